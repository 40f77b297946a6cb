# SPDX-License-Identifier: Apache-2.0
"""Stochastic rounding between any two neighbours, for formats whose codes are no plain significands."""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "rounds_away",
]

_SPLITTER = float((1 << 27) + 1)


def rounds_away(
    values: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    random: NDArray[np.int64],
    random_bits: int,
) -> NDArray[np.bool_]:
    """Return where stochastic rounding takes `high` of two neighbours, see `Rounding.STOCHASTIC`.

    Parameters
    ----------
    values, low, high : ndarray of float64, same shape
        low <= values <= high, with low < high where it counts. ``high - low`` must be a float64, as it is for float32
        values of up to 29 binary places apart; magnitudes at most 2**960.
    random : ndarray of int64, same shape
        Words in [0, 2**random_bits).
    random_bits : int
        1 to 32.

    Returns
    -------
    ndarray of bool
        ``floor((values - low) / (high - low) * 2**random_bits) + random >= 2**random_bits``, exactly.

    Source
    ------
    Knuth, TAOCP 2, section 4.2.2 (the error of a sum is a float); Dekker, Numer. Math. 18 (1971), for a product.
    """
    steps = ((1 << random_bits) - random).astype(np.float64)
    # The floor drops out: steps is an integer. Left (values - low) * 2**random_bits, right steps * (high - low), each
    # as a float64 and what it lacks, which is at most half a unit of it: so they compare one after the other.
    left, left_rest = _difference(values, low)
    right, right_rest = _product(high - low, steps)
    left, left_rest = np.ldexp(left, random_bits), np.ldexp(left_rest, random_bits)
    return np.asarray((left > right) | ((left == right) & (left_rest >= right_rest)))


def _difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a - b rounded, and its error."""
    total = a - b
    back = total - a
    return total, (a - (total - back)) - (b + back)


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a * b rounded, and its error."""
    total = a * b
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


def _split(a: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two numbers of up to 26 bits whose sum is a."""
    scaled = a * _SPLITTER
    high = scaled - (scaled - a)
    return high, a - high
