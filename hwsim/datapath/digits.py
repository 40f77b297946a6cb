# SPDX-License-Identifier: Apache-2.0
"""Radix-4 digits of integers, and how many of them a processing element that skips zeros has to take.

Sources: Booth 1951 in MacSorley's radix-4 form of 1961 (digits -2 to 2); EN-T, the sign-magnitude encoding of TPE
(arXiv:2503.06342), whose digits of the magnitude are -1, 0, 1 and 2.
"""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Encoding",
    "bench_average",
    "digit_count",
    "digits",
    "mean_nonzero",
    "nonzero_digits",
    "normal_weights",
    "row_cycles",
]

_MOST_BITS = 62  # a magnitude and its carry stay in int64


Encoding = Literal["booth", "en_t"]
"""
How an integer becomes digits of weights 1, 4, 16, ...

``"booth"``: each digit from three bits, ``-2 * high + middle + low``. ``"en_t"``: the magnitude's bits two by two,
where 3 is -1 and a carry, and 2 with a carry likewise; each digit then has the integer's sign.
"""


def digit_count(bits: int, *, signed: bool = True) -> int:
    """
    Return the digits of an integer, the same in both encodings: ``ceil(bits / 2)``, unsigned ``bits // 2 + 1``.

    Raises
    ------
    ValueError
        `bits` is not in 1..62.
    """
    if not 1 <= bits <= _MOST_BITS:
        raise ValueError(f"bits must be in 1..{_MOST_BITS}, not {bits!r}")
    return (bits + 1) // 2 if signed else bits // 2 + 1


def digits(values: ArrayLike, bits: int, encoding: Encoding, *, signed: bool = True) -> NDArray[np.int8]:
    """
    Encode integers.

    Parameters
    ----------
    values : array_like of int
        In the range of `bits` bits, two's complement or unsigned.
    bits : int
        1 to 62.
    encoding : Encoding
    signed : bool

    Returns
    -------
    ndarray of int8, shape of values and ``digit_count(bits)``
        The digit of weight 1 first; ``sum(digits * 4**i)`` is the value. In -2..2.

    Raises
    ------
    TypeError
        `values` are no integers.
    ValueError
        `bits`, or a value, is out of range, or the encoding is neither.
    """
    if encoding not in get_args(Encoding):
        raise ValueError(f"encoding must be one of {', '.join(get_args(Encoding))}, not {encoding!r}")
    count = digit_count(bits, signed=signed)
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"values must be integers, not {array.dtype}")
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        raise ValueError(f"values must be in {low}..{high}, not {int(array.min())}..{int(array.max())}")
    wide = array.astype(np.int64)
    out = np.empty((*wide.shape, count), np.int8)
    if encoding == "booth":
        for i in range(count):
            below = (wide >> (2 * i - 1)) & 1 if i else np.zeros_like(wide)
            out[..., i] = below + ((wide >> (2 * i)) & 1) - 2 * ((wide >> (2 * i + 1)) & 1)
        return out
    left = np.abs(wide)
    for i in range(count):
        # What is left holds the carry already: 3 is -1 and one more of the next weight.
        digit = left & 3
        digit = np.where((digit == 3), -1, digit)
        left = (left - digit) >> 2
        out[..., i] = np.where(wide < 0, -digit, digit)
    return out


def nonzero_digits(values: ArrayLike, bits: int, encoding: Encoding, *, signed: bool = True) -> NDArray[np.int64]:
    """Return how many digits of each integer are not zero; parameters and errors as of `digits`."""
    return np.asarray(np.count_nonzero(digits(values, bits, encoding, signed=signed), axis=-1), np.int64)


def row_cycles(
    values: ArrayLike, bits: int, encoding: Encoding, *, elements: int = 1, signed: bool = True
) -> NDArray[np.int64]:
    """
    Return the cycles that elements which take one non-zero digit a cycle need for each row.

    Parameters
    ----------
    values : array_like of int, shape (rows, lanes)
    bits, encoding, signed
        As of `digits`.
    elements : int
        Processing elements, a divisor of the lanes; each has as many neighbouring lanes, and a row is done when the
        last element is.

    Returns
    -------
    ndarray of int64, shape (rows,)
        At least 1: an element takes a row of zeros in a cycle.

    Raises
    ------
    TypeError, ValueError
        As `digits`; and `values` has not two axes, or `elements` does not divide the lanes.
    """
    array = np.asarray(values)
    if array.ndim != 2:
        raise ValueError(f"values must have the axes rows and lanes, not the shape {array.shape}")
    rows, lanes = array.shape
    if elements < 1 or lanes % elements:
        raise ValueError(f"elements must be a divisor of {lanes} lanes, not {elements!r}")
    counts = nonzero_digits(array, bits, encoding, signed=signed)
    busiest = counts.reshape(rows, elements, -1).sum(axis=2).max(axis=1)
    return np.asarray(np.maximum(busiest, 1), np.int64)


def normal_weights(sigma: float, bits: int = 8) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """
    Return the signed integers of some bits, and how often each is drawn from N(0, sigma) rounded to the nearest.

    What falls outside the range is drawn again before it is rounded, as the bench of TPE's authors does.

    Raises
    ------
    ValueError
        `sigma` is not positive, or `bits` not in 2..16.
    """
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma must be positive, not {sigma!r}")
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must be in 2..16, not {bits!r}")
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = np.arange(low, high + 1, dtype=np.int64)
    edges = np.clip(np.arange(low, high + 2) - 0.5, low, high)
    below = np.array([0.5 * math.erfc(-edge / (sigma * math.sqrt(2.0))) for edge in edges])
    mass = np.diff(below)
    return values, mass / mass.sum()


def mean_nonzero(sigma: float, encoding: Encoding, bits: int = 8) -> float:
    """Return the mean of the non-zero digits of integers from N(0, sigma), exact; see `normal_weights`."""
    values, weights = normal_weights(sigma, bits)
    return float(weights @ nonzero_digits(values, bits, encoding))


def bench_average(sigma: float, encoding: Encoding, length: int, bits: int = 8) -> float:
    """
    Return the average that the bench of TPE's authors shows, for dot products of a length (its K).

    An element takes the digits of one weight of four operands as a group. That bench
    (``OPT3_OPT4C/pe/sim/test_opt3_pe_inner_product_vectors.sv``) adds up the non-zero digits of every group, and once
    more those of each vector's last group, of the highest weight, where it has fewer than two: so that the average is
    below `mean_nonzero`, and the shorter the vectors the more.

    Parameters
    ----------
    sigma : float
    encoding : Encoding
    length : int
        A multiple of 4, at least 4.
    bits : int

    Raises
    ------
    ValueError
        `length` is no such number, or as `normal_weights`.
    """
    if length < 4 or length % 4:
        raise ValueError(f"length must be a positive multiple of 4, not {length!r}")
    values, weights = normal_weights(sigma, bits)
    table = digits(values, bits, encoding)
    mean = float(weights @ np.count_nonzero(table, axis=-1))
    top = float(weights @ (table[:, -1] != 0))
    none, one = (1 - top) ** 4, 4 * top * (1 - top) ** 3
    groups = length * table.shape[1] / 4
    return float((length * mean + one) / (groups + none + one) * table.shape[1] / 4)
