# SPDX-License-Identifier: Apache-2.0
"""Rounding and overflow rules, on Python integers and as a kernel; every stage that rounds uses these."""

from enum import Enum
from typing import Never

import numba

__all__ = [
    "Overflow",
    "Rounding",
    "pack_magnitude",
    "round_shift",
    "round_shift_exact",
]


class Rounding(Enum):
    """How a value between two representable neighbours is rounded (IEEE 754-2019, section 4.3, and to odd)."""

    NEAREST_EVEN = "nearest_even"
    NEAREST_AWAY = "nearest_away"
    TOWARD_ZERO = "toward_zero"
    UP = "up"
    DOWN = "down"
    TO_ODD = "to_odd"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise _unknown(cls, "rounding", value)

    @property
    def index(self) -> int:
        """The number by which kernels know the mode."""
        return _INDEX[self]


class Overflow(Enum):
    """What becomes of a rounded value beyond the largest finite one.

    SATURATE gives the largest finite value of that sign, for infinities too (OFP8 1.0, table 3, saturating).
    INFINITY gives an infinity whatever the rounding mode, or NaN where the format has no infinity (the same table, not
    saturating).
    WRAP keeps the low bits of an integer (two's complement).
    """

    SATURATE = "saturate"
    INFINITY = "infinity"
    WRAP = "wrap"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise _unknown(cls, "overflow", value)


def _unknown(rules: type[Enum], what: str, value: object) -> TypeError | ValueError:
    """Return the error for what names no rule."""
    if not isinstance(value, str):
        return TypeError(f"{what} must be a {rules.__name__} or a str, not {value!r}")
    return ValueError(f"{what} must be one of {', '.join(rule.value for rule in rules)}, not {value!r}")


_INDEX = {rounding: index for index, rounding in enumerate(Rounding)}
_EVEN, _AWAY, _ZERO, _UP, _DOWN, _ODD = range(6)


def round_shift_exact(magnitude: int, shift: int, negative: bool, rounding: Rounding) -> int:
    """Return ``magnitude * 2**-shift`` rounded to an integer magnitude; the oracle of `round_shift`."""
    if shift <= 0:
        return magnitude << -shift
    kept, lost = magnitude >> shift, magnitude & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    increment = {
        Rounding.NEAREST_EVEN: lost > half or (lost == half and kept & 1 == 1),
        Rounding.NEAREST_AWAY: lost >= half,
        Rounding.TOWARD_ZERO: False,
        Rounding.UP: lost > 0 and not negative,
        Rounding.DOWN: lost > 0 and negative,
        Rounding.TO_ODD: lost > 0 and kept & 1 == 0,
    }[rounding]
    return kept + int(increment)


@numba.njit(cache=True, inline="always")
def round_shift(magnitude: int, shift: int, negative: int, rounding: int) -> int:
    """Return ``magnitude * 2**-shift`` rounded; unchecked: magnitude in [0, 2**62), a left shift must fit 63 bits."""
    if shift <= 0:
        return magnitude << min(-shift, 62)
    if shift > 62:  # every bit is lost, and a magnitude below 2**62 is less than half of 2**63
        kept, above, tie, inexact = 0, 0, 0, int(magnitude != 0)
    else:
        kept = magnitude >> shift
        lost = magnitude - (kept << shift)
        half = 1 << (shift - 1)
        above, tie, inexact = int(lost > half), int(lost == half), int(lost != 0)
    if rounding == _EVEN:
        return kept + (above | (tie & kept & 1))
    if rounding == _AWAY:
        return kept + (above | tie)
    if rounding == _UP:
        return kept + (inexact & (1 - negative))
    if rounding == _DOWN:
        return kept + (inexact & negative)
    if rounding == _ODD:
        return kept + (inexact & (1 - (kept & 1)))
    return kept


@numba.njit(cache=True, inline="always")
def pack_magnitude(
    magnitude: int, exponent: int, negative: int, man_bits: int, exp_low: int, subnormals: int, rounding: int
) -> int:
    """Round ``magnitude * 2**exponent`` to a code without its sign, as if the exponent field had no upper limit.

    Unchecked: magnitude in [1, 2**62). `exp_low` is the exponent of the smallest normal. Negative where the value is
    below a format without zero.
    """
    width = 0
    rest = magnitude
    for step in (32, 16, 8, 4, 2, 1):
        if rest >> step:
            rest >>= step
            width += step
    top = width + exponent
    low = max(top, exp_low) if subnormals else top
    rounded = round_shift(magnitude, low - man_bits - exponent, negative, rounding)
    if subnormals:
        return ((low - exp_low) << man_bits) + rounded
    return (low - exp_low) * (1 << man_bits) + rounded - (1 << man_bits)
