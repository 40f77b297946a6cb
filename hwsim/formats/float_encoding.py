# SPDX-License-Identifier: Apache-2.0
"""Rounding of float32 and float64 arrays to the codes of a float format."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.formats.codes import code_dtype, float_bits
from hwsim.formats.rounding import Rounding, round_shift, round_shift_random

__all__ = [
    "FloatRules",
    "encode_float",
]

_LIFT = 64  # places by which float64 subnormals are lifted where they are normal values of the format


class FloatRules(NamedTuple):
    """A float format and one overflow rule as the kernels take them; codes as `FloatSpec` has them."""

    bits: int
    man_bits: int
    exp_low: int  # exponent of the smallest normal value
    subnormals: int
    signed: int
    negative_zero: int  # whether it has a code
    largest: int  # code of the largest finite magnitude
    beyond: int  # code of what is above it
    below: int  # code of a zero or a negative value that the format does not have
    nan: int  # -1 where there is none


def encode_float(
    values: NDArray[np.float32] | NDArray[np.float64],
    rules: FloatRules,
    rounding: Rounding,
    random: NDArray[np.int64] | None = None,
    random_bits: int = 0,
) -> NDArray[np.unsignedinteger]:
    """Encode checked values."""
    if rules.man_bits > 23 or rules.exp_low < -126:  # a normal value of the format may be none of float32
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            values = values.astype(np.float64, copy=False)
    if rules.exp_low >= -1022:
        return _encode(values, rules, 0, rounding, random, random_bits)
    # The formats of P3109 with 11 exponent bits: some of their normal values are subnormals of float64, and the field
    # of an infinity is 2047 above their lowest one, a place more than the kernel has.
    finite = np.where(np.isinf(values), 0, values)
    codes = _encode(finite, rules, 0, rounding, random, random_bits)
    small = np.abs(values) < 2.0**-900
    lifted = np.where(small, values, 0) * 2.0**_LIFT
    codes = np.where(small, _encode(lifted, rules, _LIFT, rounding, random, random_bits), codes)
    negative = rules.beyond if rules.beyond == rules.nan else rules.beyond | 1 << (rules.bits - 1)
    codes[values == np.inf] = rules.beyond
    codes[values == -np.inf] = negative if rules.signed else rules.below
    return codes


def _encode(
    values: NDArray[np.float32] | NDArray[np.float64],
    rules: FloatRules,
    lift: int,
    rounding: Rounding,
    random: NDArray[np.int64] | None,
    random_bits: int,
) -> NDArray[np.unsignedinteger]:
    """Encode values that were multiplied by ``2**lift``."""
    raw, source = float_bits(values)
    low_field = rules.exp_low + lift - source.exp_low + 1
    format_ints = (rules.man_bits, low_field, rules.subnormals, rules.largest)
    sign = (-1 if rules.bits == 64 else 1) << (rules.bits - 1) if rules.signed else 0  # as an int64
    code_ints = (sign, rules.beyond, rules.below, rules.nan, rules.negative_zero)
    out = np.empty(values.shape, code_dtype(rules.bits))
    target = (out.view(np.int64) if out.itemsize == 8 else out).reshape(-1)  # no uint64 meets an int64 in the kernel
    if random is None:
        _encode_kernel(raw, source.man_bits, format_ints, code_ints, rounding.index, target)
    else:
        words = random.reshape(-1)
        _encode_random_kernel(raw, words, random_bits, source.man_bits, format_ints, code_ints, target)
    return out


@numba.njit(cache=True)
def _encode_kernel(
    raw: NDArray[np.signedinteger],
    source_man_bits: int,
    format_ints: tuple[int, int, int, int],
    code_ints: tuple[int, int, int, int, int],
    rounding: int,
    out: NDArray[np.integer],
) -> None:
    """Encode the bits of float32 or float64; unchecked."""
    for i in range(raw.size):
        out[i] = _code(int(raw[i]), source_man_bits, format_ints, code_ints, rounding, 0, 0)


@numba.njit(cache=True)
def _encode_random_kernel(
    raw: NDArray[np.signedinteger],
    random: NDArray[np.int64],
    random_bits: int,
    source_man_bits: int,
    format_ints: tuple[int, int, int, int],
    code_ints: tuple[int, int, int, int, int],
    out: NDArray[np.integer],
) -> None:
    """Encode the bits of float32 or float64 stochastically; unchecked."""
    for i in range(raw.size):
        out[i] = _code(int(raw[i]), source_man_bits, format_ints, code_ints, 0, int(random[i]), random_bits)


@numba.njit(cache=True, inline="always")
def _code(
    bits: int,
    source_man_bits: int,
    format_ints: tuple[int, int, int, int],
    code_ints: tuple[int, int, int, int, int],
    rounding: int,
    random: int,
    random_bits: int,
) -> int:
    """Encode the bits of a float; random_bits of 0 asks for the mode; unchecked.

    Budget: a field of at most 2046 above the lowest, over at most 52 mantissa bits, and a significand of 53: 63 bits.
    """
    man_bits, low_field, subnormals, largest = format_ints
    sign_bit, beyond, below, nan_code, negative_zero = code_ints
    hidden = 1 << source_man_bits
    top_field = 0x7FF if source_man_bits == 52 else 0xFF
    negative = int(bits < 0)
    field = (bits >> source_man_bits) & top_field
    fraction = bits & (hidden - 1)
    significand = fraction | (hidden if field else 0)
    above = max(field, 1) - low_field
    shift = source_man_bits - man_bits
    if subnormals:  # the fields too, so that a tie goes to the even code also where no mantissa is stored
        shift += max(-above, 0)
        significand += max(above, 0) << source_man_bits
        code = 0
    else:
        code = (above - 1) * (1 << man_bits)
    if random_bits:
        code += round_shift_random(significand, shift, random, random_bits)
    else:
        code += round_shift(significand, shift, negative, rounding)
    if not subnormals:
        code = max(code, 0) if significand else -1
    if code > largest:
        code = beyond
    if code < 0:  # a zero that the format does not have
        code = below
    if negative and sign_bit == 0 and (code or not subnormals):
        code = below
    elif negative and sign_bit and code != nan_code and (code or negative_zero):
        code |= sign_bit
    if field == top_field and fraction:
        code = nan_code
    return code
