# SPDX-License-Identifier: Apache-2.0
"""Kernels over rows of blocks that encode by counting thresholds, for formats of up to 16 values; all unchecked.

See `hwsim.formats.block_kernels` for rows, blocks and the style.
"""

import numba
import numpy as np
from numpy import int32
from numpy.typing import NDArray

__all__ = [
    "encode_by_magnitude",
    "encode_by_order",
]

_NEVER = 0x7FFFFFFF  # a pattern above those of all finite magnitudes
_EXCEED = 1 << 29
_TOGETHER = 256  # blocks whose thresholds are multiplied at a time


@numba.njit(cache=True)
def _patterns_passed(
    thresholds: NDArray[np.float64],
    carries: NDArray[np.int64],
    factors: NDArray[np.float64],
    products: NDArray[np.float64],
    passed: NDArray[np.int32],
) -> None:
    """Give the bits of the smallest float32 that is above, or not below, each threshold times each factor (all exact).

    Thresholds are not negative; those to fill up with are 1e200. The bits of a float64 shifted right by 29 are those
    of the float32 toward zero, up to the bias, and a carry added below makes it the next one: 2**29 - 1 where equality
    passes, else 2**29. What is above all float32 becomes a pattern above those of all finite ones. Below 2**-126
    patterns count units of 2**-149. The least factor is found among bits, as that loop fills vectors, and one of floats
    does not.
    """
    raw = products.view(np.int64)
    for b in range(factors.size):
        products[b] = factors[b]
    least = raw[0]
    for b in range(factors.size):
        least = min(least, raw[b])
    raw[0] = least
    least_factor = products[0]
    for t in range(thresholds.size):
        threshold, carry = thresholds[t], carries[t]
        row = passed[t]
        for b in range(factors.size):
            products[b] = threshold * factors[b]
        for b in range(factors.size):
            row[b] = max(min(((raw[b] + carry) >> 29) - ((1023 - 127) << 23), _NEVER), 0)
        if least_factor * threshold >= 2.0**-126:
            continue
        for b in range(factors.size):
            if products[b] < 2.0**-126:
                units = products[b] * 2.0**149
                whole = int(units)
                row[b] = whole + int(units > whole or carry == _EXCEED)


@numba.njit(cache=True)
def encode_by_magnitude(
    raw: NDArray[np.int32],
    factors: NDArray[np.float64],
    size: int,
    thresholds: NDArray[np.float64],
    carries: NDArray[np.int64],
    bits: int,
    negate: bool,
    out: NDArray[np.uint8],
) -> None:
    """Count the thresholds that a magnitude passes: codes of a format of up to 8 magnitudes, alike for both signs.

    A quotient x / factor reaches a threshold t where x reaches t * factor, which is exact in float64 by the caller's
    care, and x is a float32: so the smallest float32 that passes decides, and the comparison is one of integers. No
    quotient is formed. A threshold that is reached passes by itself, another has to be exceeded. `negate` gives two's
    complement, else the sign is the top bit. A factor that is not above zero makes the whole block zero.
    """
    products = np.empty(_TOGETHER, np.float64)
    passed = np.empty((8, _TOGETHER), np.int32)
    sign_bit = int32(1 << (bits - 1))
    mask = int32((1 << bits) - 1)
    for r in range(factors.shape[0]):
        for first in range(0, factors.shape[1], _TOGETHER):
            some = factors[r, first : first + _TOGETHER]
            _patterns_passed(thresholds, carries, some, products[: some.size], passed)
            for k in range(some.size):
                b = first + k
                source = raw[r, b * size : (b + 1) * size]
                target = out[r, b * size : (b + 1) * size]
                a0, a1, a2, a3 = passed[0, k], passed[1, k], passed[2, k], passed[3, k]
                a4, a5, a6 = passed[4, k], passed[5, k], passed[6, k]
                for i in range(source.size):
                    pattern = source[i]
                    x = int32(pattern & int32(0x7FFFFFFF))
                    count = int32(int32(x >= a0) + int32(x >= a1))
                    count = int32(count + int32(x >= a2))
                    count = int32(count + int32(x >= a3))
                    count = int32(count + int32(x >= a4))
                    count = int32(count + int32(x >= a5))
                    count = int32(count + int32(x >= a6))
                    target[i] = int32(count | int32(int32(pattern >> int32(31)) & sign_bit))
                if negate:  # a second pass, over what is still near
                    for i in range(target.size):
                        count = int32(target[i])
                        sign = int32(-int32(count >= sign_bit))
                        count = int32(count & int32(sign_bit - int32(1)))
                        target[i] = int32(int32(int32(count ^ sign) - sign) & mask)
            for k in range(some.size):  # apart: a branch would cost the loops above their speed
                if not 0 < some[k] < np.inf:
                    target = out[r, (first + k) * size : (first + k + 1) * size]
                    for i in range(target.size):
                        target[i] = 0


@numba.njit(cache=True)
def encode_by_order(
    raw: NDArray[np.int32],
    factors: NDArray[np.float64],
    size: int,
    thresholds: NDArray[np.float64],
    carries: NDArray[np.int64],
    codes: NDArray[np.uint8],
    marks: tuple[int, int],
    out: NDArray[np.uint8],
) -> None:
    """Count the thresholds that a value passes, from below: codes of any format of up to 16 values.

    As `encode_by_magnitude`, with float32 patterns in the order of their values: a negative one's bits below the sign
    are inverted. The threshold -0.0 parts the zeros from what is negative, 0.0 the two zeros (if reached) or them from
    what is positive. `codes` has the code after each count. Marks: the number of negative thresholds, and the code that
    fills a block without a scale.
    """
    products = np.empty(_TOGETHER, np.float64)
    passed = np.empty((16, _TOGETHER), np.int32)
    below, zero_code = marks
    plain = True
    for c in range(codes.size):
        plain = plain and codes[c] == c
    for r in range(factors.shape[0]):
        for first in range(0, factors.shape[1], _TOGETHER):
            some = factors[r, first : first + _TOGETHER]
            _patterns_passed(thresholds, carries, some, products[: some.size], passed)
            for t in range(below):  # of negative values: inverted, and passed where the magnitude does not pass
                for k in range(some.size):
                    passed[t, k] = ~(passed[t, k] - 1)
            for k in range(some.size):
                b = first + k
                source = raw[r, b * size : (b + 1) * size]
                target = out[r, b * size : (b + 1) * size]
                factor = some[k]
                if not 0 < factor < np.inf:
                    for i in range(target.size):
                        target[i] = zero_code
                    continue
                a0, a1, a2, a3 = passed[0, k], passed[1, k], passed[2, k], passed[3, k]
                a4, a5, a6, a7 = passed[4, k], passed[5, k], passed[6, k], passed[7, k]
                a8, a9, b0, b1 = passed[8, k], passed[9, k], passed[10, k], passed[11, k]
                b2, b3, b4 = passed[12, k], passed[13, k], passed[14, k]
                for i in range(source.size):
                    pattern = source[i]
                    x = int32(pattern ^ int32(int32(pattern >> int32(31)) & int32(0x7FFFFFFF)))
                    count = int32(int32(x >= a0) + int32(x >= a1))
                    count = int32(count + int32(x >= a2))
                    count = int32(count + int32(x >= a3))
                    count = int32(count + int32(x >= a4))
                    count = int32(count + int32(x >= a5))
                    count = int32(count + int32(x >= a6))
                    count = int32(count + int32(x >= a7))
                    count = int32(count + int32(x >= a8))
                    count = int32(count + int32(x >= a9))
                    count = int32(count + int32(x >= b0))
                    count = int32(count + int32(x >= b1))
                    count = int32(count + int32(x >= b2))
                    count = int32(count + int32(x >= b3))
                    count = int32(count + int32(x >= b4))
                    target[i] = count
                if not plain:
                    for i in range(target.size):
                        target[i] = codes[target[i]]
