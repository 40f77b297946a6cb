# SPDX-License-Identifier: Apache-2.0
"""The fixed-point exponential and reciprocal of TFLite's integer kernels (gemmlowp)."""

import numpy as np
import numpy.typing as npt

from hwsim.network.requantize import (
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)

__all__ = [
    "exp_on_negative_values",
    "reciprocal",
]

IntArray = npt.NDArray[np.int64]

# Q0.31 constants. Source: gemmlowp fixedpoint/fixedpoint.h.
_EXP_MINUS_ONE_EIGHTH = 1895147668
_ONE_THIRD = 715827883
# exp(-2**e) for e = -2, -1, 0, ..., 4
_EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_ONE = 2**31 - 1
_48_OVER_17 = 1515870810  # Q2.29
_MINUS_32_OVER_17 = -1010580540  # Q2.29


def exp_on_negative_values(x: IntArray, integer_bits: int) -> IntArray:
    """Return exp(x) for x not above 0.

    Parameters
    ----------
    x : ndarray of int64
        In units of 2**-(31 - integer_bits), in the int32 range.
    integer_bits : int
        At most 5.

    Returns
    -------
    ndarray of int64
        In units of 2**-31; 2**31 - 1 for x = 0.

    Source
    ------
    gemmlowp fixedpoint/fixedpoint.h, exp_on_negative_values.
    """
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << (fraction_bits - 2)
    modulo = (x & (quarter - 1)) - quarter
    result = _exp_on_quarter(_shift_left_saturating(modulo, integer_bits))
    remainder = modulo - x
    for index, constant in enumerate(_EXP_OF_POWERS):
        exponent = index - 2
        if integer_bits > exponent:
            bit = np.int64(1) << (fraction_bits + exponent)
            scaled = saturating_rounding_doubling_high_multiply(result, constant)
            result = np.where(remainder & bit, scaled, result)
    return np.where(x == 0, _ONE, result)


def reciprocal(x: IntArray, integer_bits: int) -> tuple[IntArray, IntArray]:
    """Return 1 / x as a Q0.31 number and a shift.

    Parameters
    ----------
    x : ndarray of int64
        Positive, in units of 2**-(31 - integer_bits), below 2**31.
    integer_bits : int

    Returns
    -------
    scale : ndarray of int64
        In units of 2**-31.
    bits_over_unit : ndarray of int64
        1 / x = scale * 2**-bits_over_unit.

    Source
    ------
    tflite/kernels/internal/common.h, GetReciprocal; gemmlowp, one_over_one_plus_x_for_x_in_0_1.
    """
    headroom = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)  # leading zeros of 32 bits
    fraction = (x << headroom) - (np.int64(1) << 31)
    # RoundingHalfSum(fraction, One) in [1/2, 1], then three Newton steps on x in Q2.29
    half = (fraction + _ONE + 1) // 2
    y = _48_OVER_17 + saturating_rounding_doubling_high_multiply(half, _MINUS_32_OVER_17)
    for _ in range(3):
        product = saturating_rounding_doubling_high_multiply(half, y)
        rest = (1 << 29) - product
        y = y + _shift_left_saturating(saturating_rounding_doubling_high_multiply(y, rest), 2)
    # x / 2 from Q2.29 is Q1.30; Rescale<0> shifts left by 1
    return _shift_left_saturating(y, 1), integer_bits - headroom


def _exp_on_quarter(x: IntArray) -> IntArray:
    """Return exp(x), both Q0.31, for x in [-1/4, 0): a Taylor expansion around -1/8."""
    multiply = saturating_rounding_doubling_high_multiply
    shifted = x + (1 << 28)
    square = multiply(shifted, shifted)
    cube = multiply(square, shifted)
    fourth = multiply(square, square)
    quarter = rounding_divide_by_power_of_two(fourth, 2)
    tail = rounding_divide_by_power_of_two(multiply(quarter + cube, _ONE_THIRD) + square, 1)
    return _EXP_MINUS_ONE_EIGHTH + multiply(shifted + tail, _EXP_MINUS_ONE_EIGHTH)


def _shift_left_saturating(x: IntArray, bits: int) -> IntArray:
    """Return x * 2**bits, held in the int32 range (gemmlowp SaturatingRoundingMultiplyByPOT)."""
    return np.asarray(np.clip(x << bits, -(2**31), 2**31 - 1))
