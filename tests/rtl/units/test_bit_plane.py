# SPDX-License-Identifier: Apache-2.0
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from hwsim import datapath
from hwsim.datapath import Row, dot_exact
from rtl.blocks import Block
from rtl.units.bit_plane import BipolarStep, PlanesStep, PopulationCount, TernaryStep, blocks
from rtl.units.step_core import StepCore, Streams

RunRows = Callable[[Any, Sequence[Mapping[str, int]], int], list[int]]


@pytest.mark.parametrize("block", blocks(), ids=lambda block: str(block.name))
def test_planes_are_the_oracle(block: Block, run_block: Callable[[Block, int], int]) -> None:
    assert run_block(block, 300) == 300


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (PlanesStep, "uint4_by_int3_l5_int20"),
        (PlanesStep, "int2_by_int8_l4_int12"),
        (BipolarStep, "bipolar_l7_int9_to_int9"),
        (TernaryStep, "ternary_l9_int9_to_int9"),
        (TernaryStep, "ternary_by_uint4_l5_int32_to_int32"),
    ],
)
def test_steps_are_the_oracle_of_their_unit(step: Any, name: str, run_rows: RunRows) -> None:
    unit = datapath.named(name)
    source = random.Random(name)
    bits = (unit.element_a.bits, unit.element_b.bits)
    codes = [[tuple(source.getrandbits(width) for _ in range(unit.lanes)) for width in bits] for _ in range(60)]
    rows = [
        Row(n % 7 == 0, n % 3 == 0 or n == 59, a, b, (), source.getrandbits(unit.accumulator.bits))
        for n, (a, b) in enumerate(codes)
    ]
    packed = [
        {
            "first": int(row.first),
            "last": int(row.last),
            "a": sum(code << (i * bits[0]) for i, code in enumerate(row.a)),
            "b": sum(code << (i * bits[1]) for i, code in enumerate(row.b)),
            "c": row.c,
        }
        for row in rows
    ]
    expected = dot_exact(unit, rows)
    assert run_rows(Streams(StepCore(step(unit))), packed, len(expected)) == expected
    assert len(expected) == 21


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PopulationCount(0), "width must be in 1..1024, not 0"),
        (
            lambda: BipolarStep(datapath.named("ternary_l4_int9_to_int9")),
            "both operands must be bipolar, not ternary and ternary",
        ),
        (
            lambda: TernaryStep(datapath.named("int8_by_ternary_l4_int20_to_int20")),
            "the operands must be ternary and an integer or ternary, not int8 and ternary",
        ),
        (
            lambda: TernaryStep(datapath.named("ternary_l4")),
            "unit ternary_l4_int14_to_float32 must add in an integer register that wraps, and give that register",
        ),
    ],
)
def test_steps_arguments_wrong(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()
