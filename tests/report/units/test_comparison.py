# SPDX-License-Identifier: Apache-2.0
"""Differences in ulps, and against exact sums."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import matmul, named
from hwsim.formats import FloatSpec, IntegerSpec, PositSpec
from hwsim.report.units.comparison import compare, exactness, ordered
from hwsim.report.units.operands import Operands, draw


def _spec(name: str) -> FloatSpec | IntegerSpec | PositSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec | IntegerSpec | PositSpec)
    return spec


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3fn", "int8", "uint8", "posit8_1", "posit16_2"])
def test_comparison_ordered_as_values(name: str) -> None:
    spec = _spec(name)
    codes = np.arange(1 << spec.bits)
    values = np.asarray(spec.decode(codes), np.float64)
    places = ordered(spec, codes.astype(np.uint64))
    finite = np.isfinite(values)
    by_place = np.argsort(places[finite], kind="stable")
    assert (np.diff(values[finite][by_place]) >= 0).all()
    neighbours = np.unique(places[finite])
    assert (np.diff(neighbours) == 1).all()  # one apart, without a gap
    assert len(np.unique(values[finite])) == len(neighbours)


def test_comparison_float32_is_numpys_spacing() -> None:
    rng = np.random.default_rng(4)
    spec = _spec("float32")
    first = rng.normal(size=(50, 20)).astype(np.float32)
    steps = rng.integers(-3, 4, first.shape)
    second = first.copy()
    for _ in range(3):
        up, down = steps > 0, steps < 0
        second = np.where(up, np.nextafter(second, np.float32(np.inf)), second)
        second = np.where(down, np.nextafter(second, np.float32(-np.inf)), second)
        steps = steps - np.sign(steps)
    moved = np.abs(ordered(spec, second.view(np.uint32)) - ordered(spec, first.view(np.uint32)))
    found = compare((_spec("float32"), _spec("float32")), (first.view(np.uint32), second.view(np.uint32)))
    assert found.differ == int((first != second).sum())
    assert {low: number for low, _, number in found.histogram} == {
        1: int((moved == 1).sum()),
        2: int((moved == 2).sum()),
        3: int((moved == 3).sum()),
    }
    assert found.largest_ulps is not None
    assert found.largest_ulps[0] == 3
    assert found.above + found.below == found.differ
    assert found.above == int((second > first).sum())
    assert found.largest_absolute is not None
    assert found.largest_absolute[0] == np.abs(second.astype(np.float64) - first).max()


def test_comparison_specials_apart() -> None:
    spec = _spec("float16")
    first = np.array([[0x7C00, 0x7E00, 0x7E00, 0x0000, 0x3C00, 0x7C00]], np.uint16)
    second = np.array([[0xFC00, 0x7E01, 0x3C00, 0x8000, 0x3C01, 0x7C00]], np.uint16)
    found = compare((_spec("float16"), _spec("float16")), (first, second))
    assert spec.bits == 16
    assert (found.differ, found.specials, found.zero_signs, found.nan_codes) == (3, 2, 1, 1)
    assert found.histogram == ((1, 1, 1),)
    assert found.places == ((0, 0), (0, 2), (0, 4))
    assert (found.rows, found.columns) == (1, 3)


def test_comparison_in_the_coarser_format() -> None:
    single, half = _spec("float32"), _spec("float16")
    values = np.array([[1.0, 1.0 + 2.0**-12, 1.0 + 2.0**-9, -70.0]], np.float32)
    rounded = np.array([[1.0, 1.0, 1.0, -70.0]], np.float16)
    found = compare((single, half), (values.view(np.uint32), rounded.view(np.uint16)))
    assert found.format == "float16"
    assert found.differ == 2
    assert found.histogram == ((0, 0, 1), (2, 2, 1))
    wide = compare((_spec("int32"), _spec("float16")), (np.array([[3]], np.uint32), np.array([[0x4200]], np.uint16)))
    assert (wide.differ, wide.format) == (0, "float16")


def test_comparison_of_equal_results() -> None:
    codes = np.arange(12, dtype=np.uint32).reshape(3, 4)
    found = compare((_spec("int32"), _spec("int32")), (codes, codes))
    assert (found.differ, found.histogram, found.places, found.largest_ulps) == (0, (), (), None)


def test_comparison_exactness_by_fractions() -> None:
    unit = named("hopper_e4m3_e4m3_float32")
    operands = draw(unit, (4, 96, 5), "normal", 3)
    codes = matmul(unit, operands.a, operands.b)
    found = exactness(unit, operands, codes)
    a, b = (np.asarray(unit.element_a.decode(part), np.float64) for part in (operands.a, operands.b))
    equal, worst = 0, 0.0
    for row, column in np.ndindex(4, 5):
        pairs = zip(a[row].tolist(), b[:, column].tolist(), strict=True)
        exact = sum((Fraction(x) * Fraction(y) for x, y in pairs), Fraction(0))
        value = float(unit.output.decode(codes[row, column]))
        equal += np.float32(exact.numerator / exact.denominator) == np.float32(value)
        worst = max(worst, float(abs(Fraction(value) - exact) / abs(exact)))
    assert (found.outputs, found.equal, found.left_out) == (20, equal, 0)
    assert found.largest_relative == worst
    assert found.mean_ulps > 100  # 13 bits of 23


def test_comparison_exactness_of_an_exact_unit() -> None:
    for name in ("int8_l4", "mxfp4", "nvfp4", "float16_l4_float32", "posit8_1"):
        unit = named(name)
        operands = draw(unit, (3, 40, 3), "normal", 1)
        codes = matmul(unit, operands.a, operands.b, a_scales=operands.a_scales, b_scales=operands.b_scales)
        found = exactness(unit, operands, codes)
        assert found.outputs == 9, name
        assert found.largest_ulps <= 64, name  # a float32 register is rounded at each step
        if name in ("int8_l4", "posit8_1"):
            assert found.equal == 9, name


def test_comparison_exactness_starts_from_c() -> None:
    unit = named("int8_l4")
    ones = np.ones((2, 4), np.uint8)
    operands = Operands(a=ones, b=ones.T.copy(), c=np.array([[1, 2], [2**32 - 9, 0]], np.uint32))
    codes = matmul(unit, operands.a, operands.b, operands.c)
    assert codes.tolist() == [[5, 6], [2**32 - 5, 4]]
    assert exactness(unit, operands, codes).equal == 4


def test_comparison_exactness_leaves_specials_out() -> None:
    unit = named("float16_l4_float32")
    a = np.full((2, 4), 0x3C00, np.uint16)
    a[0, 1] = 0x7C00
    operands = Operands(a=a, b=np.full((4, 2), 0x3C00, np.uint16))
    found = exactness(unit, operands, matmul(unit, operands.a, operands.b))
    assert (found.outputs, found.equal, found.left_out) == (2, 2, 2)
    assert math.isfinite(found.largest_relative)
