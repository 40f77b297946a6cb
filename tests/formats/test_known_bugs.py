# SPDX-License-Identifier: Apache-2.0
"""Bugs that others had, each with the input that shows it; none of them is here.

Right results are worked out in rational numbers from the formats' definitions, or are those that a standard states.
"""

import math
import os
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hwsim import formats

# So many that every quick way is taken; fewer where kernels run as plain Python.
MANY = 1 << (16 if os.environ.get("NUMBA_DISABLE_JIT", "0") == "0" else 10)
E2M1, E2M3, E3M2, E4M3, E5M2 = (
    "float4_e2m1fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float8_e4m3fn",
    "float8_e5m2",
)
# Exponent bits, mantissa bits, bias, the code of the largest magnitude: OCP OFP8 1.0, table 1; OCP MX 1.0, section 5.
FIELDS = {
    E2M1: (2, 1, 1, 7),
    E2M3: (2, 3, 1, 31),
    E3M2: (3, 2, 3, 31),
    E4M3: (4, 3, 7, 126),
    E5M2: (5, 2, 15, 123),
    "float16": (5, 10, 15, 0x7BFF),
    "ue5m3": (5, 3, 15, 254),
}


def magnitudes(name: str) -> list[Fraction]:
    """Return a format's magnitudes by its definition, in the order of their codes."""
    _, man_bits, bias, largest = FIELDS[name]
    values = []
    for code in range(largest + 1):
        field, mantissa = divmod(code, 1 << man_bits)
        hidden = int(field > 0)
        significand = hidden + Fraction(mantissa, 1 << man_bits)
        values.append(significand * Fraction(2) ** (max(field, 1) - bias))
    assert all(low < high for low, high in pairwise(values))
    return values


def nearest_even(grid: list[Fraction], value: Fraction) -> int:
    """Return the code of the magnitude nearest to a positive value within the grid, that of the even code at a tie."""
    low = bisect_right(grid, value) - 1
    if low == len(grid) - 1:
        return low
    twice = 2 * value - grid[low] - grid[low + 1]
    return low + int(twice > 0 or (twice == 0 and low % 2 == 1))


def encode(name: str, *values: float, **rules: Any) -> list[int]:
    """Encode float32 values, alone and among enough others that the quick way is taken; both must agree."""
    spec: Any = formats.named(name)
    array = np.array(values, np.float32)
    assert array.astype(np.float64).tolist() == list(values)
    codes = spec.encode(array, **rules)
    assert np.array_equal(spec.encode(np.resize(array, MANY), **rules), np.resize(codes, MANY))
    return list(codes.tolist())


def value(name: str, code: int) -> float:
    spec: Any = formats.named(name)
    return float(spec.decode(np.array([code]))[0])


@pytest.mark.parametrize("name", [E2M1, E2M3, E3M2, E4M3, E5M2])
def test_known_bugs_ties_go_to_even(name: str) -> None:
    """ROCm/aiter 974, 2247, 3992: E2M1 took ties up: 0.25 to 0.5, 1.25 to 1.5, 2.5 to 3, 5 to 6. Right: 0, 1, 2, 4."""
    if name == E2M1:
        ties = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
        assert [value(name, code) for code in encode(name, *ties)] == [0, 1, 1, 2, 2, 4, 4]
        assert [value(name, code) for code in encode(name, *(-t for t in ties))] == [-0.0, -1, -1, -2, -2, -4, -4]
    grid = magnitudes(name)
    middles = [(low + high) / 2 for low, high in pairwise(grid)]
    codes = encode(name, *map(float, middles))
    assert codes == [nearest_even(grid, middle) for middle in middles]
    assert all(code % 2 == 0 for code in codes)
    assert len(codes) == len(grid) - 1


@pytest.mark.parametrize("name", [E2M1, E2M3, E3M2, E4M3, E5M2])
def test_known_bugs_round_trip(name: str) -> None:
    """tt-metal 51971: subnormals were encoded a binade too small, and E4M3's odd mantissas cut off.

    Of the 16, 64, 64, 256 and 256 codes 2, 14, 6, 132 and 6 did not come back. Right: all do.
    """
    grid = magnitudes(name)
    sign = len(grid) if FIELDS[name][3] == 2 ** (FIELDS[name][0] + FIELDS[name][1]) - 1 else 128
    assert encode(name, *map(float, grid)) == list(range(len(grid)))
    assert encode(name, *(-float(size) for size in grid)) == [sign | code for code in range(len(grid))]


@pytest.mark.parametrize("name", [E2M1, E2M3, E3M2, E4M3, E5M2])
def test_known_bugs_sticky_bits(name: str) -> None:
    """tt-metal 51971, 51975: bits far below a subnormal were dropped, so that 0.25000006 became 0. Right: 0.5."""
    if name == E2M1:
        assert encode(name, 0.25 + 2.0**-24) == [1]
    grid = magnitudes(name)
    compared = 0
    for low, high in pairwise(grid[:20]):
        middle = (low + high) / 2
        above = float(np.nextafter(np.float32(float(middle)), np.float32(np.inf)))
        below = float(np.nextafter(np.float32(float(middle)), np.float32(0)))
        assert encode(name, below, above) == [grid.index(low), grid.index(high)]
        compared += 2
    assert compared == 2 * min(len(grid) - 1, 19)


def test_known_bugs_double_rounding_bfloat16() -> None:
    """Microfloats.jl 25: by way of bfloat16, 1.31640625 became the tie 1.3125 and then 1.25. Right: 1.375."""
    exact = Fraction(1.31640625)
    assert exact > Fraction(21, 16)  # the middle of 1.25 and 1.375
    assert nearest_even(magnitudes(E4M3), exact) == 0x3B
    assert encode(E4M3, 1.31640625) == [0x3B]
    assert value(E4M3, 0x3B) == 1.375


def test_known_bugs_double_rounding_float32() -> None:
    """ml_dtypes 0.6 and torch 2.13: by way of float32, 1.0625 + 2**-40 becomes E4M3's tie 1.0625 and then 1.

    Right: 1.125. torch's float16 of 1 + 2**-11 + 2**-40 is 1 for the same reason. Right: 1 + 2**-10.
    """
    cases: tuple[tuple[str, float], ...] = ((E4M3, 1.0625 + 2.0**-40), ("float16", 1 + 2.0**-11 + 2.0**-40))
    for name, number in cases:
        spec: Any = formats.named(name)
        right = nearest_even(magnitudes(name), Fraction(number))
        assert spec.encode(np.array([number])).tolist() == [right]
        assert spec.encode(np.array([number]).astype(np.float32)).tolist() == [right - 1]


def test_known_bugs_mantissa_carry() -> None:
    """auto-round 2302: 1.96875 rounded to a mantissa of 8 / 8 without a carry into E5M3's exponent. Right: 2."""
    grid = magnitudes("ue5m3")
    assert encode("ue5m3", 1.96875) == [nearest_even(grid, Fraction(1.96875))] == [grid.index(Fraction(2))]
    carries = [high - (high - low) / 4 for low, high in pairwise(grid) if grid.index(high) % 8 == 0]
    assert encode("ue5m3", *map(float, carries)) == list(range(8, 255, 8))
    assert len(carries) == 31


def test_known_bugs_e4m3_overflow() -> None:
    """Universal 1302, 1351: E4M3 clamped to 448 where OFP8 has NaN without saturation.

    OFP8 1.0, table 3: NaN above 464 when not saturating (464 is the tie, to the even 448), 448 when saturating.
    ONNX Runtime 1.31 gives 448 for 480 to 496 when not saturating. Right: NaN.
    """
    inputs = (448.0, 464.0, 464.0 + 2.0**-15, 479.0, 480.0, 495.0, 496.0, 2.0**100, math.inf)
    assert encode(E4M3, *inputs, overflow="infinity") == [0x7E, 0x7E, *[0x7F] * 7]
    assert encode(E4M3, *inputs, overflow="saturate") == [0x7E] * 9
    assert encode(E4M3, -448.0, -464.0, -math.inf) == [0xFE] * 3


def test_known_bugs_e5m2_overflow() -> None:
    """Universal 1302: E5M2 gave infinity for all above 57344. Right: up to the middle 61440 it is 57344.

    ONNX Runtime 1.31 gives NaN for 61440 to 65536 when not saturating. Right: infinity.
    """
    below = float(np.nextafter(np.float32(61440), np.float32(0)))
    assert encode(E5M2, 57345.0, below, 61440.0, 65535.0, 65536.0, overflow="infinity") == [0x7B, 0x7B, *[0x7C] * 3]


@pytest.mark.parametrize("name", [E2M1, E2M3, E3M2, E4M3, E5M2, "float16", "bfloat16"])
def test_known_bugs_negative_zero(name: str) -> None:
    """QPyTorch, mptorch: -0, and what rounds to it, lose their sign. Right: IEEE 754-2019, 6.3: the sign stays."""
    spec: Any = formats.named(name)
    tiny = -float(spec.decode(np.array([1]))[0]) / 4
    assert encode(name, -0.0, float(np.float32(tiny))) == [1 << (spec.bits - 1)] * 2
    assert np.signbit(spec.decode(np.array([1 << (spec.bits - 1)]))[0])


def test_known_bugs_e8m0_underflow() -> None:
    """Gfloat 62: below 2**-127 the result was no member of E8M0, as 2**-130. Right: the smallest member, 2**-127."""
    codes = encode("float8_e8m0fnu", 2.0**-130, 2.0**-149, 1.5 * 2.0**-128, 2.0**-127)
    assert codes == [0, 0, 0, 0]
    assert value("float8_e8m0fnu", 0) == 2.0**-127


def test_known_bugs_e8m0_subnormal() -> None:
    """ml_dtypes 0.6, torch 2.13, onnx 1.23: E8M0 of 1.25 * 2**-127 goes up to 2**-126. Right: the nearer 2**-127."""
    number = Fraction(5, 4) * Fraction(2) ** -127
    assert number - Fraction(2) ** -127 < Fraction(2) ** -126 - number
    assert encode("float8_e8m0fnu", float(number)) == [0]


def test_known_bugs_logarithm_below_power() -> None:
    """Microxcaling: log2 in float32 of the number just below 4 is 2, so the scale's exponent came out one too high.

    Right: OCP MX 1.0, 6.3: the largest power of two not above it is 2, over E2M1's 4: 2**-1; then 3.9999998 / 0.5
    saturates to 6, and the result is 3.
    """
    number = float(np.nextafter(np.float32(4), np.float32(0)))
    assert Fraction(2) <= Fraction(number) < Fraction(4)
    for power in range(-120, 120):
        below = float(np.nextafter(np.float32(2.0**power), np.float32(0)))
        q = formats.quantize(np.array([below] + [0.0] * 31, np.float32), "mxfp4")
        assert q.scales.tolist() == [power - 1 - 2 + 127]
        q = formats.quantize(np.array([2.0**power] + [0.0] * 31, np.float32), "mxfp4")
        assert q.scales.tolist() == [power - 2 + 127]
    q = formats.quantize(np.array([number] + [1.0] * 31, np.float32), "mxfp4")
    assert q.scales.tolist() == [126]
    assert q.dequantize().tolist() == [3.0] + [1.0] * 31


def test_known_bugs_subnormal_just_below_half() -> None:
    """Microxcaling: E4M3 of 0.00097656244 was 0.001953125, for its log2 is rounded. Right: below half of it, 0."""
    number = float(np.float32(0.00097656244))
    assert Fraction(number) < magnitudes(E4M3)[1] / 2
    assert encode(E4M3, number, -number) == [0x00, 0x80]


def test_known_bugs_nvfp4_scale_overflow() -> None:
    """Universal's nvblock: a block's scale beyond E4M3 became NaN. Right: it saturates at 448 (arXiv:2509.25149)."""
    block = np.array([3000.0] + [1344.0] * 15, np.float32)
    q = formats.quantize(block, "nvfp4", scale=1.0)
    assert Fraction(3000, 6) > 448
    assert q.scales.tolist() == [0x7E]
    assert q.dequantize().tolist() == [6 * 448.0] + [3 * 448.0] * 15


def test_known_bugs_blocks_within_rows() -> None:
    """Mase 321: where a row is no multiple of 32, its tail shared a scale with the next row's start. Right: never."""
    x = np.ones((2, 40), np.float32)
    x[1] *= 2.0**20
    q = formats.quantize(x, "mxfp4")
    assert q.scales.tolist() == [[125, 125], [145, 145]]
    assert np.array_equal(q.dequantize(), x)
    turned = formats.quantize(x.T, "mxfp4", axis=0)
    assert np.array_equal(turned.scales.T, q.scales)
    assert np.array_equal(turned.dequantize(), x.T)


def test_known_bugs_nvfp4_division() -> None:
    """arch-com 905: a product with the scale's reciprocal in place of a quotient broke 4.8 % of ties.

    Right: the quotient's tie goes to the even code, whatever the scale.
    """
    ties = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    even = [0, 2, 2, 4, 4, 6, 6]
    compared = by_reciprocal = 0
    for code in range(8, 127):
        scale = float(magnitudes(E4M3)[code])
        block = np.array([6.0, *ties, *-ties, 0.0]) * scale
        assert np.array_equal(block, block.astype(np.float32))
        q = formats.quantize(block.astype(np.float32), "nvfp4", scale=1.0)
        assert q.scales.tolist() == [code]
        assert q.codes.tolist() == [7, *even, *(8 | tie for tie in even), 0]
        products = block.astype(np.float32) * (np.float32(1) / np.float32(scale))
        by_reciprocal += int((products[1:8] != ties).sum())
        compared += 7
    assert compared == 119 * 7
    assert by_reciprocal > 100  # where a reciprocal is off the tie, so that the test tells the two apart


def test_known_bugs_mx_scale_floor() -> None:
    """Microxcaling 4: 957 in a block whose largest value is 959.5632 became 896, and was taken for a bug.

    Right: 896, by the scale rule of OCP MX 1.0, 6.3: 2**(9 - 8) = 2, and 478.5 saturates at 448. The rule that rounds
    the scale up gives 4 and 957 / 4 = 239.25, so 240 * 4 = 960.
    """
    block = np.array([957.0, -959.5632] + [100.0] * 30, np.float32)
    floor = formats.quantize(block, "mxfp8_e4m3")
    assert floor.scales.tolist() == [127 + 9 - 8]
    assert floor.dequantize()[:2].tolist() == [896.0, -896.0]
    up = formats.quantize(block, "mxfp8_e4m3", rule="ceil")
    assert up.scales.tolist() == [129]
    assert float(magnitudes(E4M3)[nearest_even(magnitudes(E4M3), Fraction(957, 4))]) * 4 == 960
    assert up.dequantize()[:2].tolist() == [960.0, -960.0]


def test_known_bugs_integer_wrap() -> None:
    """ml_dtypes 0.6: the int4 of 8.0 is -8, that of 300.7 is -4, and 7.7 is cut to 7. Right for a quantizer: 7."""
    assert encode("int4", 8.0, 300.75, 7.75, -9.0, math.inf, -math.inf) == [7, 7, 7, 8, 7, 8]
    assert encode("int4", 8.0, 300.75, rounding="toward_zero", overflow="wrap") == [8, 300 % 16]
    assert encode("int8", 2.0**31, -(2.0**31), 2.0**100) == [127, 128, 127]


def test_known_bugs_half_subnormals() -> None:
    """QPyTorch 24: floats that are subnormal in float16 came out otherwise than by a cast. Right: IEEE 754, 4.3.1."""
    grid = magnitudes("float16")
    steps = [Fraction(k, 8) * Fraction(2) ** -24 for k in range(1, 512)]
    assert encode("float16", *map(float, steps)) == [nearest_even(grid, step) for step in steps]


def test_known_bugs_float32_sign() -> None:
    """QPyTorch 48: float_quantize(3.0, exp=8, man=23) was -3.0. Right: 3.0."""
    assert encode("float32", 3.0, -3.0) == [0x40400000, 0xC0400000]


def test_known_bugs_ties_away() -> None:
    """QPyTorch 23: 1.00048828125 became 1.0009765625 in float16, ties away from zero. Right: to even, 1.0.

    Away from zero is a mode of its own here.
    """
    assert encode("float16", 1.00048828125, 1.00146484375) == [0x3C00, 0x3C02]
    assert encode("float16", 1.00048828125, 1.00146484375, rounding="nearest_away") == [0x3C01, 0x3C02]


def test_known_bugs_carry_out_of_subnormals() -> None:
    """APyTypes 0.5.1: a subnormal that rounds up to the smallest normal value becomes 0 in `APyFloatArray.cast`.

    5.340576171875e-05 is 0.875 times E5M2's smallest normal 2**-14, the tie of 0.75 and 1. Right: 2**-14.
    """
    number = 5.340576171875e-05
    assert Fraction(number) == Fraction(7, 8) * Fraction(2) ** -14
    assert encode(E5M2, number) == [nearest_even(magnitudes(E5M2), Fraction(number))] == [4]
    assert value(E5M2, 4) == 2.0**-14


def test_known_bugs_subnormal_scale() -> None:
    """torchao 0.18 (pytorch 179111): NVFP4 block scales stop at E4M3's smallest normal value, 2**-6. Right: 2**-9."""
    block = np.array([6 * 2.0**-9] * 16, np.float32)
    q = formats.quantize(block, "nvfp4", scale=1.0)
    assert q.scales.tolist() == [1]
    assert np.array_equal(q.dequantize(), block)
