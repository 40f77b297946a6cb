# SPDX-License-Identifier: Apache-2.0
"""The levels of a codebook as arrays: in order, unpacked, and with the thresholds between them."""

from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.codes import Unpacked
from hwsim.formats.rounding import Rounding

__all__ = [
    "Levels",
    "Ties",
    "arranged",
    "thresholds",
]


class Ties(Enum):
    """Where the mean of two neighbouring levels goes.

    EVEN: to the even code, or the lower one where both are even or both odd. LOWER, UPPER: to the lower or upper level.
    """

    EVEN = "even"
    LOWER = "lower"
    UPPER = "upper"


class Levels(NamedTuple):
    """The levels of a codebook, by code or in ascending order of the different ones; read-only arrays."""

    values: NDArray[np.float64]  # by code
    unpacked: Unpacked  # by code
    ordered: NDArray[np.float64]
    codes: NDArray[np.int64]  # in that order: the lowest of each level, and of a zero the positive one
    negative_zero: int  # the code of a negative zero beside a positive one, or -1


def arranged(levels: tuple[float, ...]) -> Levels:
    """Arrange finite levels, given by code; unchecked."""
    values = np.array(levels, np.float64)
    ordered, first = np.unique(values, return_index=True)
    codes = first.astype(np.int64)
    zeros = np.flatnonzero(values == 0)
    signs = np.signbit(values[zeros])
    negative_zero = -1
    if signs.any() and not signs.all():
        codes[ordered == 0] = zeros[~signs][0]
        negative_zero = int(zeros[signs][0])
    unpacked = _unpacked(levels)
    for column in (values, ordered, codes, *unpacked):
        column.setflags(write=False)
    return Levels(values, unpacked, ordered, codes, negative_zero)


def thresholds(levels: Levels, ties: Ties, boundaries: tuple[float, ...] | None, mode: Rounding) -> NDArray[np.float64]:
    """Return the smallest float64 that goes up from each level but the last, see `CodebookSpec`; not stochastic."""
    low, high = levels.ordered[:-1], levels.ordered[1:]
    low_code, high_code = levels.codes[:-1], levels.codes[1:]
    differ = (low_code ^ high_code) & 1 == 1
    above_low = np.nextafter(low, np.inf)
    if mode is Rounding.UP:
        table = above_low
    elif mode is Rounding.DOWN:
        table = high.copy()
    elif mode is Rounding.TOWARD_ZERO:
        table = np.where(low >= 0, high, np.where(high <= 0, above_low, 0.0))
    elif mode is Rounding.TO_ODD:
        table = np.where(np.where(differ, high_code & 1 == 1, high_code < low_code), above_low, high)
    elif boundaries is not None:
        table = np.nextafter(np.array(boundaries), np.inf)
    else:
        middle = low / 2 + high / 2  # exact: so says the contract of `CodebookSpec`
        if mode is Rounding.NEAREST_AWAY:
            tie_up = np.abs(high) >= np.abs(low)
        elif ties is Ties.EVEN:
            tie_up = np.where(differ, high_code & 1 == 0, high_code < low_code)
        else:
            tie_up = np.full(low.shape, ties is Ties.UPPER)
        table = np.where(tie_up, middle, np.nextafter(middle, np.inf))
    table.setflags(write=False)
    return table


def _unpacked(levels: tuple[float, ...]) -> Unpacked:
    """Unpack levels: to the width of the widest, or to the lowest place of all where that is above."""
    parts: list[tuple[int, int]] = []  # odd significand and exponent
    for level in levels:
        numerator, denominator = level.as_integer_ratio()
        zeros = (numerator & -numerator).bit_length() - 1 if numerator else 0
        parts.append((numerator >> zeros, zeros - (denominator.bit_length() - 1)))
    width = max(abs(odd).bit_length() for odd, _ in parts)
    lowest = min(exponent for odd, exponent in parts if odd)
    significands, exponents = [], []
    for odd, exponent in parts:
        place = max(exponent + abs(odd).bit_length() - width, lowest) if odd else lowest
        significands.append(odd << (exponent - place) if odd else 0)
        exponents.append(place)
    return Unpacked(np.array(significands, np.int64), np.array(exponents, np.int64), np.zeros(len(levels), np.uint8))
