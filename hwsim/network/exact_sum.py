# SPDX-License-Identifier: Apache-2.0
"""Matrix products of small floats, each the exact sum rounded once to float64."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "exact_product",
]

Floats = npt.NDArray[np.float64]

_MANTISSA = 53
_MAX_SLICES = 64  # of an operand: the exponents of a float64 fall into so many pieces of 21 bits and more


def exact_product(a: Floats, b: Floats) -> Floats:
    """Multiply (m, k) by (k, n), each element the exact sum of exact products, rounded once to float64.

    Parameters
    ----------
    a : ndarray of float64, shape (m, k)
    b : ndarray of float64, shape (k, n)
        Values whose products are float64 numbers: of at most 26 significant bits and moderate exponents.

    Returns
    -------
    ndarray of float64, shape (m, n)
        Ties to even. Where an operand is infinite or NaN, what IEEE 754 addition gives in any order.

    Source
    ------
    Where all products lie on one grid of 53 bits, the sum of the BLAS is exact. Else the operands are cut into slices
    whose products are: Ozaki, Ogita, Oishi, Rump, "Error-free transformations of matrix multiplication", Numerical
    Algorithms 59 (2012) 95-118.
    """
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return _with_specials(a, b)
    if _on_one_grid(a, b):
        return np.asarray(a @ b)
    # A slice of so many bits a row: k products of two of them are integers below 2**53.
    bits = (_MANTISSA - max(a.shape[1] - 1, 1).bit_length()) // 2
    left, right = _slices(a, bits, axis=1), _slices(b, bits, axis=0)
    return _rounded_sum([x @ y for x in left for y in right], (a.shape[0], b.shape[1]))


def _with_specials(a: Floats, b: Floats) -> Floats:
    """Multiply where there are infinities or NaN: the finite elements exactly."""
    finite = exact_product(np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        special = np.where(np.isfinite(a), np.sign(a), a) @ np.where(np.isfinite(b), np.sign(b), b)
    return np.where(np.isfinite(special), finite, special)


def _on_one_grid(a: Floats, b: Floats) -> bool:
    """Tell whether every partial sum is a multiple of one power of two and below 2**53 of them."""
    unit = _unit(a) + _unit(b)
    largest = float(np.abs(a).max(initial=0.0)) * float(np.abs(b).max(initial=0.0)) * a.shape[1]
    if largest == 0:
        return True
    return math.frexp(largest)[1] - unit <= _MANTISSA


def _unit(values: Floats) -> int:
    """Return the exponent of the lowest bit that any value has."""
    held = values[values != 0]
    if not held.size:
        return 0
    fraction, exponent = np.frexp(held)
    significand = np.ldexp(fraction, _MANTISSA).astype(np.int64)
    zeros = np.frexp((significand & -significand).astype(np.float64))[1] - 1
    return int((exponent - _MANTISSA + zeros).min())


def _slices(values: Floats, bits: int, axis: int) -> list[Floats]:
    """Cut values into addends of `bits` bits each on the grid of their row (axis 1) or column (axis 0)."""
    pieces: list[Floats] = []
    rest = values
    while rest.any():
        if len(pieces) == _MAX_SLICES:
            raise ValueError("the operands' exponents lie too far apart for an exact sum")
        exponent = np.frexp(np.abs(rest).max(axis=axis, keepdims=True))[1]
        high = np.ldexp(np.trunc(np.ldexp(rest, bits - exponent)), exponent - bits)
        pieces.append(high)
        rest = rest - high
    return pieces


def _rounded_sum(terms: list[Floats], shape: tuple[int, int]) -> Floats:
    """Add exact terms, rounded once: by error-free additions, and by `math.fsum` where those leave a doubt."""
    total, error = np.zeros(shape), np.zeros(shape)
    doubt = np.zeros(shape, bool)
    for term in sorted(terms, key=lambda one: -float(np.abs(one).max(initial=0.0))):
        total, low = _two_sum(total, term)
        error, lost = _two_sum(error, low)
        doubt |= lost != 0
    result = np.asarray(total + error)  # rounds the exact sum, unless digits were lost before
    for i, j in np.argwhere(doubt):
        result[i, j] = math.fsum(float(term[i, j]) for term in terms)
    return result


def _two_sum(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the rounded sum and what rounding took away (Knuth)."""
    total: Any = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)
