# SPDX-License-Identifier: Apache-2.0
"""Sums and rounding of signed integers without a branch, so that loops over them become vector code."""

from typing import NamedTuple

import numba
import numpy as np

from hwsim.datapath.round_pack import Packing
from hwsim.formats import Rounding

__all__ = [
    "Rule",
    "merged",
    "rounded",
    "rule_of",
    "to_code",
]

_EVEN, _AWAY, _ZERO, _UP, _ODD = (
    rounding.index
    for rounding in (
        Rounding.NEAREST_EVEN,
        Rounding.NEAREST_AWAY,
        Rounding.TOWARD_ZERO,
        Rounding.UP,
        Rounding.TO_ODD,
    )
)


class Rule(NamedTuple):
    """A rounding as masks, 0 or -1: what is added below the last kept place before the rest is cut off."""

    most: int  # places beyond which it is all the same
    negative: int = 0  # all ones, of a negative value
    always: int = 0  # all ones
    half: int = 0  # a half, less one
    away: int = 0  # one more of a value that is not negative
    even: int = 0  # one more of an odd one
    odd: int = 0  # the last kept place is set where a bit is lost


@numba.njit(cache=True)
def rule_of(rounding: int) -> Rule:
    """Return the rule of `Rounding.index`; of stochastic rounding, which has no rule, one of no meaning."""
    return Rule(
        63 if rounding <= _AWAY else 62,
        -1 if rounding == _ZERO else 0,
        -1 if rounding == _UP else 0,
        -1 if rounding <= _AWAY else 0,
        -1 if rounding == _AWAY else 0,
        -1 if rounding == _EVEN else 0,
        -1 if rounding == _ODD else 0,
    )


@numba.njit(cache=True)
def rounded(rule: Rule, value: int, places: int) -> int:
    """Return ``value * 2**-places`` rounded; unchecked: value within 2**62, places not negative."""
    places = min(places, rule.most)
    mask = ~(-1 << places)
    kept = value >> places
    bias = mask & (((value >> 63) & rule.negative) | rule.always)
    bias += (mask >> 1) & rule.half
    bias += mask & 1 & ((~(value >> 63) & rule.away) | (kept & rule.even))
    lost = mask & rule.odd
    return ((value + bias) >> places) | ((((value & lost) + lost) >> places) & 1 & rule.odd)


@numba.njit(cache=True)
def _bits(magnitude: int) -> int:
    """Return the bits of a magnitude; of zero no number of use."""
    exact = magnitude & ~(magnitude >> 1)  # as many bits, and none above is reached by rounding
    return int(np.float64(exact).view(np.int64) >> 52) - 1022


@numba.njit(cache=True)
def merged(sig_a: int, exp_a: int, sig_b: int, exp_b: int) -> tuple[int, int]:
    """Add two numbers as `add_two` does."""
    swap = exp_a < exp_b
    top, top_exp = (sig_b if swap else sig_a), (exp_b if swap else exp_a)
    low, low_exp = (sig_a if swap else sig_b), (exp_a if swap else exp_b)
    gap = top_exp - low_exp
    up = max(min(gap, 61 - _bits(abs(top))), 0)
    down = min(gap - up, 63)
    magnitude = abs(low)
    kept = magnitude >> down
    kept |= 1 if kept << down != magnitude else 0
    total = (top << min(up, 62)) + (kept if low > 0 else -kept)
    unit = low_exp + gap - up
    total, unit = (low, low_exp) if top == 0 else (total, unit)
    return (top, top_exp) if low == 0 else (total, unit)


@numba.njit(cache=True)
def to_code(pack: Packing, rule: Rule, value: int, exponent: int, minus: int, word: int) -> int:
    """Round to a float register as `pack_register` does."""
    magnitude = abs(value)
    top = _bits(magnitude) - 1 + exponent
    low = max(top, pack.exp_low)
    shift = low - pack.man_bits - exponent
    shifted = value << min(max(-shift, 0), 62)
    places = max(shift, 0)
    if pack.random_bits:
        right = min(places, 63)
        kept = abs(shifted) >> right
        lost = abs(shifted) - (kept << right)
        beneath = places - pack.random_bits
        part = (lost >> min(max(beneath, 0), 62)) << min(max(-beneath, 0), 63)
        significand = kept + ((part + word) >> pack.random_bits)
    else:
        significand = abs(rounded(rule, shifted, places))
    field = min(low, pack.exp_limit - 1) - pack.exp_low
    code = ((field << pack.man_bits) + significand) << pack.dropped_bits
    code = pack.beyond if code > pack.largest or top >= pack.exp_limit else code
    code = 0 if value == 0 else code
    code |= pack.sign if value < 0 and code not in (0, pack.nan) else 0
    code = 0 if pack.flush != 0 and code & pack.infinity == 0 else code
    zero = pack.signed_zero != 0 and code == 0 and (value < 0 or (value == 0 and minus != 0))
    return pack.sign if zero else code
