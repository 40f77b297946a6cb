# SPDX-License-Identifier: Apache-2.0
"""Rounding and overflow rules, on Python integers and as a kernel; every stage that rounds uses these."""

from enum import Enum
from typing import Any, Never

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_int

__all__ = [
    "DETERMINISTIC",
    "Overflow",
    "Rounding",
    "check_random",
    "pack_magnitude",
    "round_shift",
    "round_shift_exact",
    "round_shift_random",
]


class Rounding(Enum):
    """How a value between two representable neighbours is rounded (IEEE 754-2019, section 4.3, and others).

    TO_ODD takes the odd neighbour. STOCHASTIC takes the one of the larger magnitude if an adder of `random_bits` bits
    below the last kept one carries: with f in [0, 1) the place of the value between the magnitudes of its neighbours,
    where ``floor(f * 2**random_bits) + random >= 2**random_bits``. IEEE P3109 calls it StochasticA; its StochasticB is
    this with ``random_bits + 1`` bits and the word ``2 * random + 1``.
    """

    NEAREST_EVEN = "nearest_even"
    NEAREST_AWAY = "nearest_away"
    TOWARD_ZERO = "toward_zero"
    UP = "up"
    DOWN = "down"
    TO_ODD = "to_odd"
    STOCHASTIC = "stochastic"

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
    PROPAGATE saturates finite values, and leaves infinities what they are, or makes them NaN where the format has none
    (IEEE P3109, SatPropagate, for formats that have them).
    IEEE stops a finite value at the largest finite one where the rounding mode is toward zero there, and else is
    INFINITY (IEEE 754-2019, section 7.4; IEEE P3109, SatNone). To odd stops where that is the odd neighbour of an
    infinity, as in the IEEE formats (Berkeley SoftFloat 3e).
    """

    SATURATE = "saturate"
    INFINITY = "infinity"
    WRAP = "wrap"
    PROPAGATE = "propagate"
    IEEE = "ieee"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise _unknown(cls, "overflow", value)


def _unknown(rules: type[Enum], what: str, value: object) -> TypeError | ValueError:
    """Return the error for what names no rule."""
    if not isinstance(value, str):
        return TypeError(f"{what} must be a {rules.__name__} or a str, not {value!r}")
    return ValueError(f"{what} must be one of {', '.join(rule.value for rule in rules)}, not {value!r}")


DETERMINISTIC = tuple(rounding for rounding in Rounding if rounding is not Rounding.STOCHASTIC)
_INDEX = {rounding: index for index, rounding in enumerate(Rounding)}
_EVEN, _AWAY, _ZERO, _UP, _DOWN, _ODD = range(6)


def check_random(
    mode: Rounding, shape: tuple[int, ...], random: ArrayLike | None, random_bits: int | None
) -> NDArray[np.int64] | None:
    """Check the random words of an encode.

    Parameters
    ----------
    mode : Rounding
    shape : tuple of int
        Of the values.
    random : array of integers in [0, 2**random_bits) that broadcasts to `shape`, or None
    random_bits : int in 1..32, or None

    Returns
    -------
    contiguous ndarray of int64 of that shape, or None where the mode is not stochastic

    Raises
    ------
    TypeError, ValueError
        If the words are of the wrong kind, out of range or of another shape; if they are missing with stochastic
        rounding, or given with another mode.
    """
    if mode is not Rounding.STOCHASTIC:
        if random is not None or random_bits is not None:
            raise ValueError(f"random and random_bits must be given with stochastic rounding only, not {mode.value!r}")
        return None
    if random is None or random_bits is None:
        raise ValueError("random and random_bits must be given for stochastic rounding, not None")
    check_int("random_bits", random_bits, 1, 32)
    words: NDArray[Any] = np.asarray(random)
    if words.dtype.kind not in "ui":
        raise TypeError(f"random must be integers, not {words.dtype}")
    if words.size and (int(words.min()) < 0 or int(words.max()) >> random_bits):
        bad = int(words.min()) if int(words.min()) < 0 else int(words.max())
        raise ValueError(f"random must be in 0..2**{random_bits} - 1, not {bad}")
    try:
        return np.array(np.broadcast_to(words.astype(np.int64), shape), order="C")
    except ValueError:
        raise ValueError(f"random must broadcast to the values' shape {shape}, not {words.shape}") from None


def round_shift_exact(
    magnitude: int, shift: int, negative: bool, rounding: Rounding, random: int = 0, random_bits: int = 0
) -> int:
    """Return ``magnitude * 2**-shift`` rounded to an integer; the oracle of `round_shift` and `round_shift_random`."""
    if shift <= 0:
        return magnitude << -shift
    kept, lost = magnitude >> shift, magnitude & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    if rounding is Rounding.STOCHASTIC:
        check_int("random_bits", random_bits, 1, 32)
        return kept + (((lost << random_bits) >> shift) + random >> random_bits)
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
    """Return ``magnitude * 2**-shift`` rounded, not stochastically.

    Unchecked: magnitude in [0, 2**63), in [0, 2**62) where the shift is above 62; a left shift must fit 63 bits.
    """
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
def round_shift_random(magnitude: int, shift: int, random: int, random_bits: int) -> int:
    """Return ``magnitude * 2**-shift`` rounded stochastically; unchecked: as `round_shift`, random_bits in 1..32."""
    if shift <= 0:
        return magnitude << min(-shift, 62)
    if shift > 62:
        kept, lost = 0, magnitude
    else:
        kept = magnitude >> shift
        lost = magnitude - (kept << shift)
    # The part of a place that is lost, in units of the random word's last bit; a magnitude has at most 62 bits.
    part = lost >> min(shift - random_bits, 62) if shift >= random_bits else lost << (random_bits - shift)
    return kept + ((part + random) >> random_bits)


@numba.njit(cache=True, inline="always")
def pack_magnitude(
    magnitude: int, exponent: int, negative: int, man_bits: int, exp_low: int, subnormals: int, rounding: int
) -> int:
    """Round ``magnitude * 2**exponent`` to a code without its sign, as if the exponent field had no upper limit.

    Unchecked: magnitude in [1, 2**62). `exp_low` is the exponent of the smallest normal. Negative where the value is
    below a format without zero. Even and odd are the significand's: a tie without mantissa goes to the larger.
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
