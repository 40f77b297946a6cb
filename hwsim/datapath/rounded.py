# SPDX-License-Identifier: Apache-2.0
"""Rounding of signed integers without a branch, so that loops over them become vector code."""

from typing import NamedTuple

import numba

__all__ = [
    "Rule",
    "rounded",
    "rule_of",
]


class Rule(NamedTuple):
    """A rounding as masks, 0 or -1: what is added below the last kept place before the rest is cut off."""

    most: int  # places beyond which it is all the same
    negative: int = 0  # all ones, of a negative value
    always: int = 0  # all ones
    half: int = 0  # a half, less one
    away: int = 0  # one more of a value that is not negative
    even: int = 0  # one more of an odd one
    odd: int = 0  # the last kept place is set where a bit is lost


_RULES = (
    Rule(63, half=-1, even=-1),
    Rule(63, half=-1, away=-1),
    Rule(62, negative=-1),
    Rule(62, always=-1),
    Rule(62),
    Rule(62, odd=-1),
)


def rule_of(rounding: int) -> Rule:
    """Return the rule of `Rounding.index`; of stochastic rounding, which has no rule, one of no meaning."""
    return _RULES[rounding % len(_RULES)]


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
