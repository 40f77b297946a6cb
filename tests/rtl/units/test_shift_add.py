# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, Row, dot_exact
from hwsim.formats import CodebookSpec, IntegerSpec, Overflow
from rtl.units.shift_add import ShiftAdd, blocks, signed_digits, weight_integers
from rtl.units.step_core import StepCore, Streams

BLOCKS = [
    pytest.param(
        block,
        id=block.name,
        marks=pytest.mark.slow
        if block.name not in ("shift_add_apot4_int8_l8_booth_heap", "shift_add_log2_4_int8_l8_tool")
        else (),
    )
    for block in blocks()
]


def test_signed_digits_every_integer() -> None:
    for number in range(-300, 301):
        digits = signed_digits(number)
        assert sum((-1 if minus else 1) << place for place, minus in digits) == number
        places = [place for place, _ in digits]
        assert all(high - low > 1 for low, high in pairwise(places))


@pytest.mark.parametrize(("name", "addends"), [("ternary", 1), ("log2_4", 1), ("denseshift4", 1), ("apot4", 2)])
def test_shift_add_addends(name: str, addends: int) -> None:
    weight = formats.named(name)
    assert isinstance(weight, CodebookSpec)
    integers, fraction_bits = weight_integers(weight)
    assert [integer * 2.0**-fraction_bits for integer in integers] == list(weight.levels)
    assert max(len(signed_digits(integer)) for integer in integers) == addends


@pytest.mark.parametrize("block", BLOCKS)
def test_shift_add_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 300) == 300


@pytest.mark.parametrize("name", ["ternary", "apot4"])
def test_shift_add_stream_equals_dot_product_unit(name: str, run_rows: Any) -> None:
    weight = formats.named(name)
    assert isinstance(weight, CodebookSpec)
    fraction_bits = weight_integers(weight)[1]
    register = FixedAccumulator(bits=32, fraction_bits=fraction_bits, overflow=Overflow.WRAP)
    unit = DotProductUnit(
        a=weight,
        b=IntegerSpec(bits=8),
        lanes=4,
        alignment=ExactAlignment(),
        accumulator=register,
        output=register.format,
        overflow=Overflow.WRAP,
    )
    generator = np.random.default_rng(1)
    rows, packed = [], []
    for index in range(60):
        first, last = index % 3 == 0, index % 3 == 2
        a, b = (tuple(map(int, generator.integers(0, 1 << bits, 4))) for bits in (weight.bits, 8))
        rows.append(Row(first, last, a, b, c=index))
        fields = {"first": int(first), "last": int(last), "c": index}
        fields["a"] = sum(code << weight.bits * lane for lane, code in enumerate(a))
        packed.append(fields | {"b": sum(code << 8 * lane for lane, code in enumerate(b))})
    expected = dot_exact(unit, rows)
    assert run_rows(Streams(StepCore(ShiftAdd(weight, IntegerSpec(bits=8), 4))), packed, 20) == expected


def test_shift_add_register_bits_wrong() -> None:
    weight = formats.named("log2_4")
    assert isinstance(weight, CodebookSpec)
    with pytest.raises(ValueError, match=r"^register_bits must hold a product of 23 bits, not 16$"):
        ShiftAdd(weight, IntegerSpec(bits=8), 2, 16)
