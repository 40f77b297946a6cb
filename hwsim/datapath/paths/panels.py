# SPDX-License-Identifier: Apache-2.0
"""Operands of the register-tile kernels: rows as they are, columns packed into panels that a tile reads in order."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "filled",
    "pack",
]

_RUN = 16  # elements of a row that are read at a time: a line of the cache


def filled(values: NDArray[Any], shape: tuple[int, int], value: int = 0) -> NDArray[Any]:
    """Return rows of a C-contiguous array, filled up to a shape; the array itself where it has that shape."""
    if values.shape == shape:
        return np.ascontiguousarray(values)
    out = np.full(shape, value, values.dtype)
    out[: values.shape[0], : values.shape[1]] = values
    return out


def pack(values: NDArray[Any], group: int, columns: int, flip: int = 0) -> NDArray[Any]:
    """Return panels of `columns` rows of values (N, K), in each of which the elements at one k are side by side.

    Parameters
    ----------
    values : ndarray, shape (N, K)
        C-contiguous or, better, the transpose of an array that is.
    group : int
        Elements along K that are kept together in 32 bits: 4 of uint8, 2 of int16; 1 of any dtype.
    columns : int
    flip : int
        Bits of uint8 elements to invert.

    Returns
    -------
    ndarray of uint32, or of values' dtype where group is 1, shape (ceil(N / columns), ceil(K / group), columns)
        Filled up with zeros.
    """
    panels, parts = -(-values.shape[0] // columns), -(-values.shape[1] // group)
    shape = (panels * columns, parts * group)
    if values.T.flags.c_contiguous:
        source = filled(values.T, shape[::-1], flip)
        out = np.empty((panels, parts, columns), np.uint32 if group > 1 else values.dtype)
        if group == 4:
            _pack_bytes(source, np.uint32(0x01010101 * flip), out)
        elif group == 2:
            _pack_words(source.view(np.uint16), out)
        else:
            _pack(source, out)
        return out
    source = filled(values, shape, flip)
    if flip:
        source = source ^ np.uint8(flip)
    if group > 1:
        source = source.view(np.uint32)
    out = np.empty((panels, parts, columns), source.dtype)
    _pack_transposed(source, out)
    return out


@numba.njit(cache=True, parallel=True)
def _pack_bytes(source: NDArray[np.uint8], flip: Any, out: NDArray[np.uint32]) -> None:
    """Unchecked: source is (K, N), out (panels, K / 4, columns)."""
    columns = out.shape[2]
    for panel in numba.prange(out.shape[0]):
        first = panel * columns
        for part in range(out.shape[1]):
            k = 4 * part
            line = out[panel, part]
            for j in range(columns):
                low = np.uint32(source[k, first + j]) | np.uint32(source[k + 1, first + j]) << np.uint32(8)
                high = np.uint32(source[k + 2, first + j]) | np.uint32(source[k + 3, first + j]) << np.uint32(8)
                line[j] = (low | high << np.uint32(16)) ^ flip


@numba.njit(cache=True, parallel=True)
def _pack_words(source: NDArray[np.uint16], out: NDArray[np.uint32]) -> None:
    """Unchecked: source is (K, N), out (panels, K / 2, columns)."""
    columns = out.shape[2]
    for panel in numba.prange(out.shape[0]):
        first = panel * columns
        for part in range(out.shape[1]):
            line = out[panel, part]
            for j in range(columns):
                high = np.uint32(source[2 * part + 1, first + j])
                line[j] = np.uint32(source[2 * part, first + j]) | high << np.uint32(16)


@numba.njit(cache=True, parallel=True)
def _pack(source: NDArray[Any], out: NDArray[Any]) -> None:
    """Unchecked: source is (K, N), out (panels, K, columns)."""
    columns = out.shape[2]
    for panel in numba.prange(out.shape[0]):
        for k in range(out.shape[1]):
            for j in range(columns):
                out[panel, k, j] = source[k, panel * columns + j]


@numba.njit(cache=True, parallel=True)
def _pack_transposed(source: NDArray[Any], out: NDArray[Any]) -> None:
    """Unchecked: source is (N, K), out (panels, K, columns)."""
    parts, columns = out.shape[1:]
    for panel in numba.prange(out.shape[0]):
        for begin in range(0, parts, _RUN):
            for j in range(columns):
                for k in range(begin, min(begin + _RUN, parts)):
                    out[panel, k, j] = source[panel * columns + j, k]
