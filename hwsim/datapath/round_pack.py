# SPDX-License-Identifier: Apache-2.0
"""Round-pack stage: an exact number becomes a code, by a named rounding and a named overflow."""

import math
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, code_dtype
from hwsim.formats.rounding import pack_magnitude, round_shift, round_shift_exact, round_shift_random

__all__ = [
    "Packing",
    "bit_length",
    "pack_float",
    "pack_register",
    "packing",
    "round_pack",
    "round_pack_exact",
]


def round_pack_exact(
    spec: IntegerSpec | FloatSpec | PositSpec,
    term: Term,
    rounding: Rounding,
    overflow: Overflow,
    *,
    man_bits: int | None = None,
    random: int = 0,
    random_bits: int = 0,
) -> int:
    """Round a term to a code.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec or PositSpec
        A float needs subnormals; if the term can be NaN, the format too.
    term : Term
    rounding : Rounding
        Applied as if the exponent had no upper limit.
    overflow : Overflow
        Applied to what then lies beyond the largest finite value. An infinity becomes the format's own, else NaN; with
        SATURATE and no infinity in the format, the largest finite value.
    man_bits : int, optional
        Mantissa bits to keep of a float; the rest are zero.
    random, random_bits : int
        The word of stochastic rounding to a float, in [0, 2**random_bits).

    Returns
    -------
    int
        In [0, 2**spec.bits). A zero is +0; a NaN is `spec.nan_code`.

    Raises
    ------
    ValueError
        If the rounding is stochastic, the overflow rule is none of units, or an integer has a zero point.
    """
    _check_rules(spec, rounding, overflow, random_bits)
    if isinstance(spec, IntegerSpec):
        return _pack_integer(spec, term, rounding, overflow)
    if isinstance(spec, PositSpec):
        return int(spec.encode(_odd_float(term), rounding, overflow))
    sign = 1 << (spec.bits - 1) if spec.signed else 0
    if term.special == NAN:
        return spec.nan_code
    negative = term.significand < 0 or term.special == NEGATIVE_INFINITY
    if term.special:
        if spec.has_inf:
            return _signed(spec, spec.inf_code, negative, sign)
        beyond = spec.max_magnitude_code if overflow is Overflow.SATURATE else spec.nan_code
        return _signed(spec, beyond, negative, sign)
    if term.significand == 0:
        return 0
    dropped = 0 if man_bits is None else spec.man_bits - man_bits
    lowest = 1 - spec.bias  # exponent of the smallest normal
    lead = max(abs(term.significand).bit_length() - 1 + term.exponent, lowest)
    unit = lead - spec.man_bits + dropped
    rounded = round_shift_exact(abs(term.significand), unit - term.exponent, negative, rounding, random, random_bits)
    code = ((lead - lowest) << spec.man_bits) + (rounded << dropped)  # as if the exponent field had no upper limit
    if code > spec.max_magnitude_code:
        if overflow is Overflow.SATURATE:
            kept = spec.man_bits if man_bits is None else man_bits
            code = spec.max_magnitude_code >> (spec.man_bits - kept) << (spec.man_bits - kept)
        else:
            code = spec.inf_code if spec.has_inf else spec.nan_code
    return _signed(spec, code, negative, sign) if code else 0


def _check_rules(
    spec: IntegerSpec | FloatSpec | PositSpec, rounding: Rounding, overflow: Overflow, random_bits: int = 0
) -> None:
    """Raise for what formats have and units have not."""
    if rounding is Rounding.STOCHASTIC and not (random_bits and isinstance(spec, FloatSpec)):
        raise ValueError(f"rounding must be deterministic, for there are no random words, not {rounding!r}")
    if overflow in (Overflow.PROPAGATE, Overflow.IEEE):
        raise ValueError(f"overflow must be WRAP, SATURATE or INFINITY, not {overflow!r}")
    if isinstance(spec, IntegerSpec) and spec.zero_point:
        raise ValueError(f"an integer must have its zero point at 0 to be rounded to, and {spec.name} has not")


def _odd_float(term: Term) -> float:
    """Return a term as a float64, rounded to odd: a posit of up to 32 bits then rounds as the exact number would."""
    if term.special:
        return {NAN: math.nan, NEGATIVE_INFINITY: -math.inf}.get(term.special, math.inf)
    magnitude, exponent = abs(term.significand), term.exponent
    places = magnitude.bit_length() - 53
    if places > 0:
        lost = magnitude & ((1 << places) - 1)
        magnitude, exponent = magnitude >> places | int(lost != 0), exponent + places
    lead = magnitude.bit_length() + exponent
    if magnitude and abs(lead) > 1000:  # beyond every posit
        exponent += (1000 if lead > 0 else -1000) - lead
    return math.ldexp(-magnitude if term.significand < 0 else magnitude, exponent)


def _signed(spec: FloatSpec, code: int, negative: bool, sign: int) -> int:
    """Return the code with its sign; an unsigned format has zero for what is negative, a NaN is positive."""
    if not negative or code == spec.nan_code:
        return code
    return code | sign if spec.signed else 0


def _pack_integer(spec: IntegerSpec, term: Term, rounding: Rounding, overflow: Overflow) -> int:
    negative = term.significand < 0
    magnitude = round_shift_exact(abs(term.significand), -spec.fraction_bits - term.exponent, negative, rounding)
    value = -magnitude if negative else magnitude
    if overflow is Overflow.SATURATE:
        value = min(max(value, spec.min_int), spec.max_int)
    return value & ((1 << spec.bits) - 1)


class Packing(NamedTuple):
    """A format and its rules as the kernels take them; the codes are int64, bit 63 included."""

    is_float: int
    man_bits: int  # kept ones
    dropped_bits: int
    exp_low: int  # exponent of the smallest normal
    exp_limit: int  # two to this power is beyond the largest finite value
    largest: int  # code of the largest finite magnitude
    beyond: int  # code of what overflows, the sign apart
    infinity: int  # code of an infinity, the sign apart
    nan: int  # -1 where there is none
    sign: int  # the sign bit; 0 for an unsigned format
    rounding: int
    wrap: int
    fraction_bits: int
    min_int: int
    max_int: int
    keep: int  # mask of an integer's code
    random_bits: int  # of stochastic rounding, else 0
    flush: int
    signed_zero: int


@lru_cache(maxsize=256)
def packing(
    spec: IntegerSpec | FloatSpec,
    rounding: Rounding,
    overflow: Overflow,
    man_bits: int,
    nan_code: int = -1,
    *,
    random_bits: int = 0,
    flush: bool = False,
    signed_zero: bool = False,
) -> Packing:
    """Return the kernels' form of a format that keeps `man_bits` mantissa bits; `nan_code` replaces the format's."""
    _check_rules(spec, rounding, overflow, random_bits)
    if isinstance(spec, IntegerSpec):
        keep = (1 << spec.bits) - 1 if spec.bits < 64 else -1
        rules = (rounding.index, int(overflow is Overflow.WRAP), spec.fraction_bits, spec.min_int, spec.max_int, keep)
        return Packing(0, 0, 0, 0, 0, 0, 0, 0, -1, 0, *rules, 0, 0, 0)
    dropped = spec.man_bits - man_bits
    largest = spec.max_magnitude_code
    special = spec.inf_code if spec.has_inf else spec.nan_code
    nan = nan_code if nan_code >= 0 else spec.nan_code
    saturate = overflow is Overflow.SATURATE
    return Packing(
        is_float=1,
        man_bits=man_bits,
        dropped_bits=dropped,
        exp_low=1 - spec.bias,
        exp_limit=spec.exp_max + spec.sig_bits,
        largest=largest,
        beyond=largest >> dropped << dropped if saturate else special,
        infinity=largest if saturate and not spec.has_inf else special,
        nan=nan if nan < 1 << 63 else nan - (1 << 64),
        sign=(1 << (spec.bits - 1) if spec.bits < 64 else -(1 << 63)) if spec.signed else 0,
        rounding=rounding.index,
        wrap=0,
        fraction_bits=0,
        min_int=0,
        max_int=0,
        keep=0,
        random_bits=random_bits,
        flush=int(flush),
        signed_zero=int(signed_zero),
    )


@numba.njit(cache=True)
def bit_length(magnitude: int) -> int:
    """Return the bits of a magnitude; unchecked: in [0, 2**63)."""
    width = 0
    for step in (32, 16, 8, 4, 2, 1):
        if magnitude >> step:
            magnitude >>= step
            width += step
    return width + magnitude


@numba.njit(cache=True)
def _pack_random(pack: Packing, magnitude: int, exponent: int, random: int) -> int:
    """Round as `pack_magnitude` does, stochastically."""
    low = max(bit_length(magnitude) - 1 + exponent, pack.exp_low)
    rounded = round_shift_random(magnitude, low - pack.man_bits - exponent, random, pack.random_bits)
    return ((low - pack.exp_low) << pack.man_bits) + rounded


@numba.njit(cache=True)
def pack_float(pack: Packing, significand: int, exponent: int, special: int, random: int = 0) -> int:
    """Round ``significand * 2**exponent``, or a special, to a code; a zero is +0; unchecked: magnitude below 2**62."""
    if special == NAN:
        return pack.nan
    if special:
        negative = int(special == NEGATIVE_INFINITY)
        code = pack.infinity
    elif significand == 0:
        return 0
    else:
        negative, magnitude = int(significand < 0), abs(significand)
        if exponent > pack.exp_limit - 62 and magnitude >> min(max(pack.exp_limit - exponent, 0), 63) != 0:
            code = pack.beyond  # before the exponent field overflows the integer
        else:
            if pack.random_bits:
                code = _pack_random(pack, magnitude, exponent, random)
            else:
                code = pack_magnitude(magnitude, exponent, negative, pack.man_bits, pack.exp_low, 1, pack.rounding)
            code <<= pack.dropped_bits
            if code > pack.largest:
                code = pack.beyond
    if not negative or code == 0:
        return code
    if code == pack.nan:
        return code
    return code | pack.sign if pack.sign else 0


@numba.njit(cache=True)
def pack_register(pack: Packing, significand: int, exponent: int, special: int, minus: int, random: int) -> int:
    """Round to a float register, by all of its rules; `minus` tells whether a significand of 0 is -0; unchecked."""
    code = pack_float(pack, significand, exponent, special, random)
    if pack.flush and code & pack.infinity == 0:
        code = 0
    if pack.signed_zero and code == 0 and (significand < 0 or (significand == 0 and minus != 0)):
        return pack.sign
    return code


@numba.njit(cache=True)
def _pack_integer_kernel(pack: Packing, significand: int, exponent: int) -> int:
    """Round to an integer's code; unchecked: magnitude below 2**62."""
    negative = int(significand < 0)
    magnitude = abs(significand)
    places = exponent + pack.fraction_bits
    if places > 0 and magnitude != 0 and (places > 62 or magnitude >> (63 - places) != 0):
        if not pack.wrap:
            return (pack.min_int if negative else pack.max_int) & pack.keep
        if places > 63:
            return 0
        low = (-magnitude if negative else magnitude) & ((1 << (64 - places)) - 1)
        low -= (low >> (63 - places)) << (64 - places)  # its own sign, so that the shift cannot overflow
        return (low << places) & pack.keep
    magnitude = round_shift(magnitude, -places, negative, pack.rounding)
    value = -magnitude if negative else magnitude
    if not pack.wrap:
        value = min(max(value, pack.min_int), pack.max_int)
    return value & pack.keep


@numba.njit(cache=True)
def _round_pack_kernel(
    pack: Packing,
    significand: NDArray[np.int64],
    exponent: NDArray[np.int64],
    special: NDArray[np.uint8],
    out: NDArray[np.int64],
) -> None:
    """Unchecked: magnitudes up to 2**62."""
    for i in range(significand.size):
        value, power = int(significand[i]), int(exponent[i])
        if abs(value) == 1 << 62:
            value, power = value >> 1, power + 1
        if pack.is_float:
            out[i] = pack_float(pack, value, power, int(special[i]))
        else:
            out[i] = _pack_integer_kernel(pack, value, power)


def round_pack(
    spec: IntegerSpec | FloatSpec | PositSpec,
    significand: ArrayLike,
    exponent: ArrayLike,
    special: ArrayLike,
    rounding: Rounding,
    overflow: Overflow,
    *,
    man_bits: int | None = None,
) -> NDArray[np.unsignedinteger]:
    """Round ``significand * 2**exponent`` to codes; the array form of `round_pack_exact`, which see.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec or PositSpec
        A float needs subnormals.
    significand, exponent, special : arrays of integers that broadcast together
        Magnitudes up to 2**62; specials as in `hwsim.formats.Unpacked`, 0 if the format has no NaN.
    rounding, overflow, man_bits
        As `round_pack_exact` has them.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `spec.bits`

    Raises
    ------
    ValueError
        If a magnitude is larger, a special goes to a format without NaN, or as `round_pack_exact`.
    """
    wide = np.broadcast_arrays(
        np.asarray(significand, np.int64), np.asarray(exponent, np.int64), np.asarray(special, np.uint8)
    )
    largest = max(int(wide[0].max()), int(wide[0].min()), key=abs) if wide[0].size else 0
    if abs(largest) > 1 << 62:
        raise ValueError(f"significand must be within 2**62, not {largest}")
    if not spec.has_nan and wide[2].any():
        raise ValueError(f"special must be 0 for {spec.name}, which has no NaN, not {int(wide[2].max())}")
    if isinstance(spec, PositSpec):
        _check_rules(spec, rounding, overflow)
        return spec.encode(_odd_floats(*wide), rounding, overflow)
    kept = man_bits if man_bits is not None else spec.man_bits if isinstance(spec, FloatSpec) else 0
    out = np.empty(wide[0].size, np.int64)
    flat = [part.flatten() for part in wide]  # copies: a broadcast array is read-only
    _round_pack_kernel(packing(spec, rounding, overflow, kept), flat[0], flat[1], flat[2], out)
    return out.view(np.uint64).reshape(wide[0].shape).astype(code_dtype(spec.bits))


def _odd_floats(
    significand: NDArray[np.int64], exponent: NDArray[np.int64], special: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the float64 of each, rounded to odd, as `_odd_float` does."""
    magnitude = np.abs(significand)
    bits = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)  # one more just below a power of two
    places = np.maximum(bits - 53, 0)
    kept = magnitude >> places
    odd = kept | (kept << places != magnitude)
    lead = np.clip(bits + exponent, -1000, 1000)  # beyond every posit
    values = np.copysign(np.ldexp(odd.astype(np.float64), lead - bits + places), significand)
    named = np.array([0.0, np.inf, -np.inf, np.nan])
    return np.where(special == 0, values, named[special])
