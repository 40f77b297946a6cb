# SPDX-License-Identifier: Apache-2.0
"""What the kernels have in common: the outputs of a thread, and the operands of a block in shared memory."""

from typing import Any

import numpy as np

from hwsim.datapath.gpu.reals import SIDE, THREADS, TILE, cuda

__all__ = [
    "OUTPUTS",
    "across",
    "down",
    "grid_for",
    "load_tile",
    "padded",
    "start_of",
    "store",
]

OUTPUTS = TILE * TILE
"""Outputs of a thread: rows and columns of its block's tile, `THREADS` apart."""
_U = np.uint32  # an index that cannot be negative needs no test for it


@cuda.jit(device=True, inline="always")
def down(output: int) -> Any:
    """Return the row of a thread's output in the tile of its block."""
    return _U(cuda.threadIdx.y) + _U(output // TILE * THREADS)


@cuda.jit(device=True, inline="always")
def across(output: int) -> Any:
    """Return the column of a thread's output in the tile of its block."""
    return _U(cuda.threadIdx.x) + _U(output % TILE * THREADS)


@cuda.jit(device=True, inline="always")
def load_tile(held: Any, source: Any, first: int, count: int, origin: int) -> None:
    """Load rows `first` and on of a matrix, columns from `origin` on, into shared memory."""
    thread = cuda.threadIdx.y * THREADS + cuda.threadIdx.x
    for place in range(thread, count * SIDE, THREADS * THREADS):
        k, column = _U(place // SIDE), _U(place % SIDE)
        held[k, column] = source[_U(first) + k, _U(origin) + column]


@cuda.jit(device=True, inline="always")
def start_of(c: Any, output: int) -> Any:
    """Return the code from which an output starts; 0 beyond the end of c."""
    row = _U(cuda.blockIdx.y * SIDE) + down(output)
    column = _U(cuda.blockIdx.x * SIDE) + across(output)
    code = np.uint64(0)
    if row < c.shape[0] and column < c.shape[1]:
        code = np.uint64(c[row, column])
    return code


@cuda.jit(device=True, inline="always")
def store(out: Any, output: int, code: Any) -> None:
    """Store an output's code, if it is one of the result's."""
    row = _U(cuda.blockIdx.y * SIDE) + down(output)
    column = _U(cuda.blockIdx.x * SIDE) + across(output)
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = code


def padded(rows: int) -> int:
    """Return the rows of whole tiles."""
    return -(-rows // SIDE) * SIDE


def grid_for(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the blocks, and the threads of each, for a result."""
    return (-(-columns // SIDE), -(-rows // SIDE)), (THREADS, THREADS)
