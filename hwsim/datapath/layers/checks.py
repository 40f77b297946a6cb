# SPDX-License-Identifier: Apache-2.0
"""Arrays of integers at the edge of the layers' models."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_axis

__all__ = [
    "rows_of",
    "signed_within",
    "within",
]


def within(name: str, values: ArrayLike, low: int, high: int) -> NDArray[np.int64]:
    """Return integers of a range, within that of int64, as int64, or raise."""
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {array.dtype}")
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        worst = int(array.min()) if int(array.min()) < low else int(array.max())
        raise ValueError(f"{name} must be in {low}..{high}, not {worst}")
    return array.astype(np.int64, copy=False)


def signed_within(name: str, values: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Return signed integers of some bits as int64, or raise."""
    return within(name, values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def rows_of(name: str, values: ArrayLike, bits: int, length: int, axis: int) -> NDArray[np.int64]:
    """Return signed integers of some bits with an axis of a length moved to the end, or raise."""
    array = signed_within(name, values, bits)
    place = check_axis(axis, array.ndim)
    if array.shape[place] != length:
        raise ValueError(f"{name} must have {length} elements along axis {axis}, not {array.shape[place]}")
    return np.moveaxis(array, place, -1)
