# SPDX-License-Identifier: Apache-2.0
import random
import re
from collections.abc import Sequence

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    TruncatedAlignment,
    accumulate_exact,
    load_exact,
    named,
    output_exact,
    step_exact,
)
from hwsim.datapath.staged import load, output
from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, Overflow, Rounding
from hwsim.formats.codes import NAN, POSITIVE_INFINITY


def test_accumulate_fixed_wraps_and_saturates_as_a_machine_integer() -> None:
    source = random.Random(1)
    for name in ("int8_int16", "int8_int16_sat"):
        unit = named(name)
        for _ in range(300):
            value, total = source.randint(-(1 << 15), (1 << 15) - 1), source.randint(-(1 << 14), 1 << 14)
            found, special = accumulate_exact(unit, (value, 0), Term(total, 0, 0))
            exact = np.int64(value + total)
            assert found == (
                np.clip(exact, -(1 << 15), (1 << 15) - 1) if name.endswith("sat") else exact.astype(np.int16)
            )
            assert special == 0


def test_accumulate_fixed_remembers_specials() -> None:
    unit = named("float8_e4m3fn")
    register = step_exact(unit, load_exact(unit, 0), [0x7F], [0x38])
    register = step_exact(unit, register, [0x38], [0x38])
    assert register[1] == NAN
    assert output_exact(unit, register) == 0x7FC00000
    assert output_exact(unit, step_exact(unit, load_exact(unit, 0), [0x38], [0x38])) == 0x3F800000


def test_accumulate_fixed_special_at_a_coarse_place() -> None:
    coarse = formats.named("float8_e5m2b3")
    assert isinstance(coarse, FloatSpec)
    float32 = formats.named("float32")
    assert isinstance(float32, FloatSpec)
    unit = DotProductUnit(
        a=FloatSpec(exp_bits=2, man_bits=1, bias=-9, specials=formats.Specials.IEEE),
        b=FloatSpec(exp_bits=2, man_bits=1, bias=-9, specials=formats.Specials.IEEE),
        lanes=2,
        alignment=ExactAlignment(),
        accumulator=FixedAccumulator(bits=20, fraction_bits=-18, overflow=Overflow.WRAP),
        output=float32,
    )
    assert unit.product_exp_min == 18
    assert step_exact(unit, (3, 0), [6, 1], [2, 1]) == (3, POSITIVE_INFINITY)


def test_accumulate_float_is_numpys_addition() -> None:
    unit = named("float8_e4m3fn_float32")
    source = np.random.default_rng(2)
    values = source.integers(0, 1 << 32, 500, dtype=np.uint32).view(np.float32)
    for value in values[np.isfinite(values)]:
        with np.errstate(over="ignore"):
            expected = np.float32(value + np.float32(2.25))
        found = accumulate_exact(unit, (int(value.view(np.uint32)), 0), Term(9, -2, 0))
        assert found == (int(expected.view(np.uint32)), 0)


@pytest.mark.parametrize(
    ("rounding", "code"),
    [
        (Rounding.NEAREST_EVEN, 0x3F800000),
        (Rounding.NEAREST_AWAY, 0x3F800001),
        (Rounding.TOWARD_ZERO, 0x3F800000),
        (Rounding.UP, 0x3F800001),
        (Rounding.DOWN, 0x3F800000),
        (Rounding.TO_ODD, 0x3F800001),
    ],
)
def test_accumulate_float_rounds_a_tie(rounding: Rounding, code: int) -> None:
    float32 = formats.named("float32")
    assert isinstance(float32, FloatSpec)
    unit = DotProductUnit(
        a=float32,
        b=float32,
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=FloatAccumulator(format=float32, rounding=rounding, overflow=Overflow.INFINITY, result_man_bits=23),
        output=float32,
    )
    assert accumulate_exact(unit, (0x3F800000, 0), Term(1, -24, 0)) == (code, 0)


def test_accumulate_fused_takes_the_sum_alone() -> None:
    fused = named("hopper_e4m3_e4m3_float32")
    assert isinstance(fused.alignment, TruncatedAlignment)
    assert accumulate_exact(fused, (0x3F800000, 0), Term(1, 1, 1)) == (0x40000000, 0)
    assert accumulate_exact(fused, (0, 0), Term(0, 0, 0, NAN)) == (0x7FFFFFFF, 0)


@pytest.mark.parametrize("name", ["int8", "int8_int16_sat", "float8_e4m3fn", "float8_e4m3fn_float32"])
def test_accumulate_load_and_output_equal_oracle(name: str) -> None:
    unit = named(name)
    source = random.Random(name)
    bits = unit.accumulator.format.bits
    codes = [source.getrandbits(bits) for _ in range(300)] + [0, 1 << (bits - 1), (1 << bits) - 1]
    loaded = load(unit, np.array(codes, np.uint64))
    registers = [load_exact(unit, code) for code in codes]
    assert loaded.tolist() == [value for value, _ in registers]
    specials = np.array([source.choice([0, 0, NAN]) if unit.has_specials else 0 for _ in codes], np.uint8)
    if not isinstance(unit.accumulator, FixedAccumulator):
        specials[:] = 0
    found = output(unit, loaded, specials)
    expected = [
        output_exact(unit, (value, int(special))) for (value, _), special in zip(registers, specials, strict=True)
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("a", "scales", "text"),
    [
        ([1], [127, 127], "a and b must have 2 codes each, not 1 and 2"),
        ([1, 2], [127], "scales must have 2 codes, not 1"),
    ],
)
def test_accumulate_operands_wrong(a: Sequence[int], scales: Sequence[int], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        step_exact(named("mxint8_l2"), (0, 0), a, [1, 2], scales)
