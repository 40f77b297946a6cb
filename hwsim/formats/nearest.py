# SPDX-License-Identifier: Apache-2.0
"""Nearest even from float32 arrays by arithmetic that compiles to vector instructions, about as fast as memory.

A float32 addition rounds to nearest even by itself. To x is added the power of two whose unit in the last place is the
format's unit at x: the low bits of the sum are then x in that unit, rounded. Below the smallest normal value the unit
stays what it is there, which is all that subnormals need. A format with the exponents of float32 has no room for such a
sum, and needs none: its codes are the upper bits of float32, rounded as integers.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import code_dtype
from hwsim.formats.rounding import Overflow, Rounding

__all__ = [
    "encode_floats",
    "encode_integers",
]

_USE_SIZE = 1 << 10
_INFINITY = 0x7F800000
_MAGIC = 12582912.0  # 1.5 * 2**23: a float32 in [2**23, 2**24) has a unit of 1
_u32 = np.uint32


def _suits(spec: Any, values: ArrayLike, mode: Rounding) -> bool:
    return (
        isinstance(values, np.ndarray)
        and values.dtype == np.float32
        and values.size >= _USE_SIZE
        and values.flags.c_contiguous
        and mode is Rounding.NEAREST_EVEN
        and spec.bits <= 16
    )


def _pattern(significand: int, exponent: int) -> int:
    """Return the bits of a positive float32."""
    with np.errstate(over="ignore"):  # where it is beyond float32, as infinity
        return int(np.float32(significand * 2.0**exponent).view(np.uint32))


def encode_floats(spec: Any, values: ArrayLike, mode: Rounding, rule: Overflow) -> NDArray[np.unsignedinteger] | None:
    """Encode an array of float32 as `FloatSpec.encode` does.

    Parameters
    ----------
    spec : FloatSpec
    values : array
    mode, rule : Rounding, Overflow

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `bits`, same shape, or None
        None where this way does not apply: another mode, dtype, layout or rule, few values, a format that is unsigned,
        stores no mantissa or reaches the ends of float32; a NaN for a format that has none.
    """
    saturate = rule is Overflow.SATURATE
    if (
        not _suits(spec, values, mode)
        or not (spec.signed and spec.subnormals)
        or not 1 <= spec.man_bits <= 22
        or spec.exp_low < -126
        or not (saturate or rule is Overflow.INFINITY)
    ):
        return None
    man_bits, largest = spec.man_bits, spec.max_magnitude_code
    exponent = max(largest >> man_bits, 1) - 1 + spec.exp_low
    upper = spec.exp_low == -126 and exponent == 127
    if exponent + 24 - man_bits > 127 and not upper:  # the sum would overflow
        return None
    # The largest value that the kernel sees becomes the largest code; where that is to be infinity, the next one.
    significand = largest & ((1 << man_bits) - 1) | (int(largest >> man_bits > 0) << man_bits)
    limit = _pattern(significand + (not saturate and spec.has_inf), exponent - man_bits)
    nan_from = _INFINITY + 1
    if not saturate and not spec.has_inf:  # what rounds beyond the largest value: a tie goes to the even code
        nan_from = _pattern(2 * significand + 1, exponent - man_bits - 1) + (largest % 2 == 0)
    shift, lowest, add = 23 - man_bits, (spec.exp_low + 127) << 23, (23 - man_bits) << 23
    less = add + (lowest >> shift)
    nan = spec.nan_code if spec.has_nan else 0
    sign = 1 << (spec.bits - 1)
    signs = (sign, int(nan != sign), nan, nan_from)
    array = np.asarray(values)
    out = np.empty(array.shape, code_dtype(spec.bits))
    kernel, fields = (_upper_kernel, (shift, limit)) if upper else (_float_kernel, (shift, lowest, add, less, limit))
    patterns, flat = array.reshape(-1).view(np.uint32), out.reshape(-1)
    any_nan = kernel(patterns, tuple(map(_u32, fields)), tuple(map(_u32, signs)), flat)
    return None if any_nan and not spec.has_nan else out


def encode_integers(spec: Any, values: ArrayLike, mode: Rounding, rule: Overflow) -> NDArray[np.unsignedinteger] | None:
    """Encode an array of float32 as `IntegerSpec.encode` does; None where this way does not apply.

    As `encode_floats`; here a zero point and more fraction bits than 100 are left out too, and every NaN gives None.
    """
    if (
        not _suits(spec, values, mode)
        or rule is not Overflow.SATURATE
        or spec.zero_point
        or not -100 <= spec.fraction_bits <= 100
    ):
        return None
    array = np.asarray(values)
    out = np.empty(array.shape, code_dtype(spec.bits))
    limits = (np.float32(spec.min_int), np.float32(spec.max_int), np.float32(2.0**spec.fraction_bits))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # where kernels run as plain Python
        any_nan = _integer_kernel(array.reshape(-1), limits, _u32((1 << spec.bits) - 1), out.reshape(-1))
    return None if any_nan else out


@numba.njit(cache=True)
def _float_kernel(
    patterns: NDArray[np.uint32],
    fields: tuple[np.uint32, ...],
    signs: tuple[np.uint32, ...],
    out: NDArray[np.unsignedinteger],
) -> bool:
    """Encode float32 patterns, tell whether there was a NaN; unchecked. All of it is uint32, so that it fills vectors.

    Budget: the exponent of the largest value and 23 places above it are below 255; no difference is negative.
    """
    shift, lowest, add, less, limit = fields
    sign_bit, negative_zero, nan, nan_from = signs
    infinity = _u32(_INFINITY)
    largest_nan = _u32(0)
    for i in range(patterns.size):
        pattern = patterns[i]
        size = _u32(pattern & _u32(0x7FFFFFFF))
        largest_nan = size if size > largest_nan else largest_nan
        kept = size if size < limit else limit
        unit = _u32(kept & infinity)
        unit = unit if unit > lowest else lowest
        total = np.float32(_u32(kept).view(np.float32) + _u32(unit + add).view(np.float32))
        code = _u32(_u32(_u32(np.float32(total).view(np.uint32) - unit) + _u32(unit >> shift)) - less)
        negative = sign_bit if pattern > _u32(0x7FFFFFFF) else _u32(0)
        if not negative_zero:
            negative = negative if code else _u32(0)
        code = _u32(code | negative)
        code = nan if size >= nan_from else code
        out[i] = code
    return bool(largest_nan > infinity)


@numba.njit(cache=True)
def _upper_kernel(
    patterns: NDArray[np.uint32],
    fields: tuple[np.uint32, ...],
    signs: tuple[np.uint32, ...],
    out: NDArray[np.unsignedinteger],
) -> bool:
    """Round the upper bits of float32 patterns as `_float_kernel` does, for formats with the exponents of float32."""
    shift, limit = fields
    sign_bit, negative_zero, nan, nan_from = signs
    below_half = _u32((_u32(1) << _u32(shift - _u32(1))) - _u32(1))
    largest_nan = _u32(0)
    for i in range(patterns.size):
        pattern = patterns[i]
        size = _u32(pattern & _u32(0x7FFFFFFF))
        largest_nan = size if size > largest_nan else largest_nan
        kept = size if size < limit else limit
        odd = _u32(_u32(kept >> shift) & _u32(1))
        code = _u32(_u32(_u32(kept + below_half) + odd) >> shift)
        negative = sign_bit if pattern > _u32(0x7FFFFFFF) else _u32(0)
        if not negative_zero:
            negative = negative if code else _u32(0)
        code = _u32(code | negative)
        code = nan if size >= nan_from else code
        out[i] = code
    return bool(largest_nan > _u32(_INFINITY))


@numba.njit(cache=True)
def _integer_kernel(
    values: NDArray[np.float32],
    limits: tuple[np.float32, np.float32, np.float32],
    keep: np.uint32,
    out: NDArray[np.unsignedinteger],
) -> bool:
    """Encode float32 values, tell whether there was a NaN; unchecked: limits within 2**22."""
    low, high, scale = limits
    magic = np.float32(_MAGIC)
    any_nan = _u32(0)
    for i in range(values.size):
        value = np.float32(values[i] * scale)
        any_nan = _u32(any_nan | _u32(np.isnan(value)))
        value = value if value < high else high
        value = value if value > low else low
        out[i] = _u32(np.float32(np.float32(value) + magic).view(np.uint32) & keep)
    return bool(any_nan)
