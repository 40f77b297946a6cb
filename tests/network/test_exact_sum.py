# SPDX-License-Identifier: Apache-2.0
"""Exact sums against rational arithmetic, and what infinities and NaN give."""

from fractions import Fraction

import numpy as np
import pytest

from hwsim.network.exact_sum import exact_product


def _rational(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the exact product, each element rounded once to float64."""
    rows = [[Fraction(v) for v in row] for row in a.tolist()]
    columns = [[Fraction(v) for v in column] for column in b.T.tolist()]
    return np.array([[float(sum(x * y for x, y in zip(r, c, strict=True))) for c in columns] for r in rows])


@pytest.mark.parametrize("bits", [3, 11, 24])
@pytest.mark.parametrize("spread", [0, 5, 40, 140])
def test_exact_sum_equals_rationals(bits: int, spread: int) -> None:
    rng = np.random.default_rng(bits + 1000 * spread)
    compared = 0
    for k in (1, 7, 70):
        a, b = (
            rng.integers(-(2**bits), 2**bits, size).astype(np.float64)
            * np.exp2(rng.integers(-spread, spread + 1, size))
            for size in ((6, k), (k, 5))
        )
        np.testing.assert_array_equal(exact_product(a, b), _rational(a, b))
        compared += 30
    assert compared == 90


def test_exact_sum_cancels_what_float64_would_lose() -> None:
    a = np.array([[2.0**60, 1.0, -(2.0**60), 2.0**-60]])
    np.testing.assert_array_equal(exact_product(a, np.ones((4, 1))), [[1.0]])
    half = np.array([[2.0**53, 1.0, 2.0**-70]])  # above the tie between two float64 numbers
    np.testing.assert_array_equal(exact_product(half, np.ones((3, 1))), [[2.0**53 + 2]])
    below = np.array([[2.0**53, 1.0, -(2.0**-70)]])
    np.testing.assert_array_equal(exact_product(below, np.ones((3, 1))), [[2.0**53]])


def test_exact_sum_of_specials_is_that_of_ieee_additions() -> None:
    a = np.array([[1.0, np.inf], [np.inf, -np.inf], [np.nan, 1.0], [1e300, 2.0], [0.0, np.inf]])
    b = np.array([[1.0, -1.0], [2.0, 0.0]])
    with np.errstate(invalid="ignore"):
        expected = np.array([[np.inf, np.nan], [np.nan, np.nan], [np.nan, np.nan], [1e300, -1e300], [np.inf, np.nan]])
    np.testing.assert_array_equal(exact_product(a, b), expected)
