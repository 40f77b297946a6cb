# SPDX-License-Identifier: Apache-2.0
"""Kernels over rows of blocks: largest magnitudes, codes under given scales, values and errors; all unchecked.

A row is cut into blocks of `size` elements, the last one maybe shorter; scales have the shape (rows, blocks). The loops
run over local slices, with int32 said at each step, as LLVM makes vectors of such. float32 comes as its bits in int32,
so that nothing depends on how a processor treats subnormal floats.
"""

import numba
import numpy as np
from numpy import int32
from numpy.typing import NDArray

__all__ = [
    "block_errors",
    "block_excess",
    "block_sums",
    "divide_to_integers",
    "encode_float",
    "encode_integer",
    "largest_patterns",
    "multiply_scales",
]


@numba.njit(cache=True)
def largest_patterns(raw: NDArray[np.int32], size: int, out: NDArray[np.int32]) -> None:
    """Give the bits of the largest magnitude of each block; at least those of infinity where it holds a NaN or one."""
    for r in range(out.shape[0]):
        for b in range(out.shape[1]):
            source = raw[r, b * size : (b + 1) * size]
            largest = int32(0)
            for i in range(source.size):
                largest = max(largest, int32(source[i] & int32(0x7FFFFFFF)))
            out[r, b] = largest


@numba.njit(cache=True)
def _float_code(pattern: int, lowest: int, man_bits: int, largest: int, bits: int) -> int:
    """Round one float32 as `encode_float`, bringing a subnormal one to a significand of 24 bits first."""
    magnitude = pattern & 0x7FFFFFFF
    field = max(magnitude >> 23, 1)
    significand = magnitude - ((field - 1) << 23)
    while 0 < significand < 1 << 23:
        significand <<= 1
        field -= 1
    normal = max(field - lowest, 0)
    shift = min(23 - man_bits + normal - (field - lowest), 25)
    half = (1 << (shift - 1)) - 1
    kept = (significand + half + ((significand >> shift) & 1)) >> shift
    code = min((normal << man_bits) + kept if significand else 0, largest)
    return code | ((1 << (bits - 1)) if pattern < 0 else 0)


@numba.njit(cache=True)
def encode_float(
    raw: NDArray[np.int32],
    low: NDArray[np.int32],
    size: int,
    man_bits: int,
    largest: int,
    bits: int,
    out: NDArray[np.unsignedinteger],
) -> None:
    """Round to a float with sign, subnormals and 1 to 14 mantissa bits under powers of two: nearest even, saturating.

    `low` is the exponent field that a float32 has where an element under the scale is the smallest normal; above 900
    it makes the whole block zero. The significand is shifted right to the element's last place, that is 23 - man_bits
    places for a normal element and more for a subnormal one; from 25 places on all of it (below 2**24) is less than
    half. Half of the last place less one, plus the bit that stays last, carries exactly where nearest even rounds up.
    The sum is below 2**24 + 2**24, the code at most (255 + 300) << 14. Largest is the code of the largest magnitude.
    """
    one = int32(1)
    places = int32(23 - man_bits)
    wide = int32(man_bits)
    top = int32(largest)
    sign_bit = int32(1 << (bits - 1))
    for r in range(low.shape[0]):
        for b in range(low.shape[1]):
            source = raw[r, b * size : (b + 1) * size]
            target = out[r, b * size : (b + 1) * size]
            lowest = low[r, b]
            if lowest > 900:
                for i in range(target.size):
                    target[i] = 0
                continue
            if lowest < 1:  # subnormals of float32 may be normal elements
                for i in range(source.size):
                    target[i] = _float_code(source[i], lowest, man_bits, largest, bits)
                continue
            for i in range(source.size):
                pattern = source[i]
                magnitude = int32(pattern & int32(0x7FFFFFFF))
                field = max(int32(magnitude >> int32(23)), one)
                significand = int32(magnitude - int32(int32(field - one) << int32(23)))
                above = int32(field - lowest)
                normal = max(above, int32(0))
                shift = min(int32(places + int32(normal - above)), int32(25))
                half = int32(int32(one << int32(shift - one)) - one)
                odd = int32(int32(significand >> shift) & one)
                kept = int32(int32(significand + int32(half + odd)) >> shift)
                code = min(int32(int32(normal << wide) + kept), top)
                target[i] = int32(code | int32(int32(pattern >> int32(31)) & sign_bit))


@numba.njit(cache=True)
def encode_integer(
    raw: NDArray[np.int32],
    low: NDArray[np.int32],
    size: int,
    limits: tuple[int, int],
    bits: int,
    out: NDArray[np.unsignedinteger],
) -> None:
    """Round to a two's complement integer of at most 16 bits under powers of two: nearest even, saturating.

    `low` is the exponent field of a float32 whose last place is an element's unit, so the shift is low - field; above
    900 it makes the whole block zero. As `encode_float`, but a shift below 1, of a value of 2**22 units or more (for
    such a field is not 1, the subnormals'), is taken as 1 and saturates all the same. Limits are the largest magnitudes
    of a positive and a negative element.
    """
    one = int32(1)
    positive = int32(limits[0])
    extra = int32(limits[1] - limits[0])
    mask = int32((1 << bits) - 1)
    for r in range(low.shape[0]):
        for b in range(low.shape[1]):
            source = raw[r, b * size : (b + 1) * size]
            target = out[r, b * size : (b + 1) * size]
            unit = low[r, b]
            if unit > 900:
                for i in range(target.size):
                    target[i] = 0
                continue
            for i in range(source.size):
                pattern = source[i]
                sign = int32(pattern >> int32(31))  # 0 or -1
                magnitude = int32(pattern & int32(0x7FFFFFFF))
                field = max(int32(magnitude >> int32(23)), one)
                significand = int32(magnitude - int32(int32(field - one) << int32(23)))
                shift = min(max(int32(unit - field), one), int32(25))
                half = int32(int32(one << int32(shift - one)) - one)
                odd = int32(int32(significand >> shift) & one)
                kept = int32(int32(significand + int32(half + odd)) >> shift)
                kept = min(kept, int32(positive + int32(extra & sign)))
                target[i] = int32(int32(int32(kept ^ sign) - sign) & mask)


@numba.njit(cache=True)
def divide_to_integers(
    data: NDArray[np.floating],
    divisors: NDArray[np.float64],
    zeros: NDArray[np.int64],
    size: int,
    limits: tuple[int, int, int],
    out: NDArray[np.unsignedinteger],
) -> None:
    """Divide in float64, round to nearest even, add the block's zero, clamp and mask (low, high, mask).

    The quotient is the one that an encode would be given, so the integer is the same. A divisor that is not above zero
    makes the quotients zero.
    """
    low, high, mask = limits
    for r in range(divisors.shape[0]):
        for b in range(divisors.shape[1]):
            source = data[r, b * size : (b + 1) * size]
            target = out[r, b * size : (b + 1) * size]
            divisor, zero = divisors[r, b], float(zeros[r, b])
            if not divisor > 0:
                for i in range(target.size):
                    target[i] = zeros[r, b] & mask
                continue
            for i in range(source.size):
                rounded = np.rint(np.float64(source[i]) / divisor) + zero
                target[i] = int32(int32(min(max(rounded, float(low)), float(high))) & int32(mask))


@numba.njit(cache=True)
def multiply_scales(
    codes: NDArray[np.unsignedinteger],
    values: NDArray[np.float64],
    tables: NDArray[np.uint8],
    factors: NDArray[np.float64],
    size: int,
    out: NDArray[np.float64],
) -> None:
    """Give the value of each code, of the table (a row of `values`) that its block has, times the block's factor."""
    for r in range(factors.shape[0]):
        for b in range(factors.shape[1]):
            source = codes[r, b * size : (b + 1) * size]
            target = out[r, b * size : (b + 1) * size]
            table = values[tables[r, b]]
            factor = factors[r, b]
            for i in range(source.size):
                target[i] = table[source[i]] * factor


@numba.njit(cache=True)
def block_errors(
    data: NDArray[np.floating],
    codes: NDArray[np.unsignedinteger],
    values: NDArray[np.float64],
    factors: NDArray[np.float64],
    size: int,
    out: NDArray[np.float64],
) -> None:
    """Give each block's sum of squared errors, added in float64 in the order of the elements."""
    for r in range(factors.shape[0]):
        for b in range(factors.shape[1]):
            source = data[r, b * size : (b + 1) * size]
            chosen = codes[r, b * size : (b + 1) * size]
            factor = factors[r, b]
            total = 0.0
            for i in range(source.size):
                error = np.float64(source[i]) - values[chosen[i]] * factor
                total += error * error
            out[r, b] = total


@numba.njit(cache=True)
def block_excess(
    data: NDArray[np.floating],
    limit: float,
    factors: NDArray[np.float64],
    size: int,
    out: NDArray[np.float64],
) -> None:
    """Give each block's sum of the squares of what magnitudes exceed ``limit * factor`` by, as `block_errors` adds.

    No term is above that of `block_errors`, and a rounded sum does not fall where a term grows, so neither is the sum.
    """
    for r in range(factors.shape[0]):
        for b in range(factors.shape[1]):
            source = data[r, b * size : (b + 1) * size]
            end = limit * factors[r, b]
            total = 0.0
            for i in range(source.size):
                excess = max(abs(np.float64(source[i])) - end, 0.0)
                total += excess * excess
            out[r, b] = total


@numba.njit(cache=True)
def block_sums(
    data: NDArray[np.floating], size: int, centres: NDArray[np.float64], power: int, out: NDArray[np.float64]
) -> None:
    """Give each block's sum, in float64 in the order of the elements: of x (0), of abs(x) (1), of (x - c)**2 (2)."""
    for r in range(out.shape[0]):
        for b in range(out.shape[1]):
            source = data[r, b * size : (b + 1) * size]
            centre = centres[r, b]
            total = 0.0
            for i in range(source.size):
                x = np.float64(source[i])
                if power == 0:
                    total += x
                elif power == 1:
                    total += abs(x)
                else:
                    total += (x - centre) * (x - centre)
            out[r, b] = total
