# SPDX-License-Identifier: Apache-2.0
"""The rules of requantization against their definitions in exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim.network import AffineQuantization
from hwsim.network.requantize import (
    code_bounds,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize_onnx,
    requantize_qoperator,
    requantize_tflite,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)

CORNERS = [-(2**31), -(2**31) + 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30 - 1, 2**30, 2**31 - 2, 2**31 - 1]


def int8(scale: float, zero_point: int) -> AffineQuantization:
    return AffineQuantization(
        scale=np.asarray(scale, np.float32), zero_point=np.asarray(zero_point, np.int64), dtype="int8"
    )


def high_multiply(a: int, b: int) -> int:
    """Round a*b / 2**31 as gemmlowp's text says: nudge by the sign, then C++ division, which truncates."""
    if a == b == -(2**31):
        return 2**31 - 1
    total = a * b + (2**30 if a * b >= 0 else 1 - 2**30)
    return math.trunc(Fraction(total, 2**31))


def divide(x: int, exponent: int) -> int:
    """Round x / 2**exponent to nearest, ties away from zero."""
    exact = Fraction(abs(x), 2**exponent)
    return int(math.copysign(math.floor(exact + Fraction(1, 2)), x)) if x else 0


def test_requantize_high_multiply_equals_its_definition() -> None:
    rng = np.random.default_rng(1)
    values = np.array([*CORNERS, *rng.integers(-(2**31), 2**31, 200)], np.int64)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values))
    got = saturating_rounding_doubling_high_multiply(a, b)
    expected = [high_multiply(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert got.tolist() == expected
    assert len(expected) == 214**2


def test_requantize_divide_rounds_ties_away_from_zero() -> None:
    rng = np.random.default_rng(2)
    values = np.array([*CORNERS, *range(-40, 41), *rng.integers(-(2**31), 2**31, 500)], np.int64)
    for exponent in range(32):
        expected = [divide(int(x), exponent) for x in values]
        assert rounding_divide_by_power_of_two(values, exponent).tolist() == expected


def test_requantize_multiplier_is_the_nearest_31_bit_fraction() -> None:
    rng = np.random.default_rng(3)
    for real in (*2.0 ** rng.uniform(-31, 4, 2000), 0.5, 1.0, 1 - 2.0**-53, 2.0**-31):
        multiplier, shift = quantize_multiplier(float(real))
        assert 2**30 <= multiplier < 2**31
        step = Fraction(2) ** (shift - 31)
        assert abs(multiplier * step - Fraction(float(real))) <= step / 2
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-33) == (0, 0)


@pytest.mark.parametrize("real", [-0.5, math.inf, math.nan])
def test_requantize_multiplier_wrong(real: float) -> None:
    with pytest.raises(ValueError, match="the TFLite rule needs a multiplier that is finite and not negative, not"):
        quantize_multiplier(real)


def test_requantize_fixed_point_rounds_twice() -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(-(2**24), 2**24, 3000)
    for real in (0.0003, 0.01, 0.7, 1.0, 3.3):
        multiplier, shift = quantize_multiplier(real)
        expected = [divide(high_multiply(int(v) << max(shift, 0), multiplier), max(-shift, 0)) for v in x]
        assert multiply_by_quantized_multiplier(x, multiplier, shift).tolist() == expected


def test_requantize_accumulator_wrong() -> None:
    with pytest.raises(ValueError, match="the TFLite rule needs accumulators of 32 bits, not 2147483648"):
        multiply_by_quantized_multiplier(np.array([2**31]), 2**30, 0)
    with pytest.raises(ValueError, match="the TFLite rule needs integer accumulators, not float64"):
        requantize_tflite(np.zeros(3), np.asarray(0.5), None, int8(1, 0))  # type: ignore[arg-type]


def test_requantize_onnx_rounds_once_and_ties_to_even() -> None:
    acc = np.arange(-2000, 2001, dtype=np.int64)
    got = requantize_onnx(acc, np.asarray(0.125), None, None, int8(0.25, 5))
    expected = [min(max(round(Fraction(int(v), 2)) + 5, -128), 127) for v in acc]
    assert got.tolist() == expected


def test_requantize_onnx_equals_exact_arithmetic_away_from_ties() -> None:
    rng = np.random.default_rng(5)
    acc = rng.integers(-(2**22), 2**22, 20000)
    scale, output = np.float32(0.0123) * np.float64(np.float32(0.0047)), int8(0.37, -11)
    got = requantize_onnx(acc, np.asarray(scale), None, None, output)
    compared = 0
    for v, code in zip(acc, got, strict=True):
        exact = Fraction(int(v)) * Fraction(float(scale)) / Fraction(float(output.scale))
        if abs(exact - math.floor(exact) - Fraction(1, 2)) > Fraction(1, 2**12):
            compared += 1
            assert code == min(max(round(exact) - 11, -128), 127)
    assert compared > 19900


def test_requantize_rules_differ_at_ties() -> None:
    # 2.5 and -2.5: to even, against gemmlowp's first rounding, which takes ties up. QOperator and QDQ agree, as all
    # scales are powers of two.
    acc = np.array([5, -5, 7, -7], np.int64)
    assert requantize_onnx(acc, np.asarray(0.5), None, None, int8(1, 0)).tolist() == [2, -2, 4, -4]
    assert requantize_qoperator(acc, np.asarray(np.float32(0.5)), int8(1, 0)).tolist() == [2, -2, 4, -4]
    assert requantize_tflite(acc, np.asarray(0.5), None, int8(1, 0)).tolist() == [3, -2, 4, -3]


def test_requantize_activation_clamps_codes() -> None:
    assert code_bounds(None, int8(0.1, 5)) == (-128, 127)
    assert code_bounds((0.0, math.inf), int8(0.1, 5)) == (5, 127)
    assert code_bounds((0.0, 6.0), int8(0.1, 5)) == (5, 65)
    assert code_bounds((-1.0, 1.0), int8(0.4, 0)) == (-3, 3)  # 2.5 goes away from zero
    acc = np.array([-100, 0, 100, 1000], np.int64)
    assert requantize_tflite(acc, np.asarray(0.25), (0.0, 6.0), int8(0.1, 5)).tolist() == [5, 5, 30, 65]
