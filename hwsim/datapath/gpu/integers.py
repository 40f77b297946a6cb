# SPDX-License-Identifier: Apache-2.0
"""Integers of up to eight bits into a register of up to 32 bits on the GPU, four products an instruction."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from hwsim.datapath.gpu.blocks import bytes_of, packed
from hwsim.datapath.gpu.intrinsics import SIDE, THREADS, TILE, dot4
from hwsim.datapath.gpu.operands import Side, no_codes
from hwsim.datapath.plan import plan
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats.codes import code_dtype

__all__ = [
    "Integers",
    "integers",
    "run_integers",
]

_DEPTH = 32  # words between two loads of a tile
_U = np.uint32


class Integers(NamedTuple):
    """A unit as the kernel takes it."""

    words: int  # of a step
    a_signed: bool
    b_signed: bool
    shift: int
    low: int
    high: int
    wrap: int


def integers(unit: DotProductUnit) -> Integers | None:
    """Return the kernel's form of a unit of this kind, or None."""
    if not isinstance(unit.accumulator, FixedAccumulator) or unit.accumulator.bits > 32:
        return None
    if not unit.inner.is_plain or unit.flush_operands or unit.promotion or unit.sparsity:
        return None
    a, b = bytes_of(unit.element_a), bytes_of(unit.element_b)
    if a is None or b is None or unit.lanes * unit.product_max << max(unit.sum_shift, 0) >= 1 << 31:
        return None
    how = plan(unit.inner)
    return Integers(-(-unit.lanes // 4), a[1], b[1], how.sum_shift, how.low, how.high, how.wrap)


@lru_cache(maxsize=32)
def _kernel(how: Integers) -> Any:
    words, shift, low, high, wrap = how.words, how.shift, how.low, how.high, how.wrap
    dot = dot4(how.a_signed, how.b_signed)

    def kernel(x: Any, y: Any, c: Any, out: Any) -> None:
        xs = cuda.shared.array((_DEPTH, SIDE), np.int32)
        ys = cuda.shared.array((_DEPTH, SIDE), np.int32)
        total = cuda.local.array((TILE, TILE), np.int32)
        register = cuda.local.array((TILE, TILE), np.int32)
        tx, ty = _U(cuda.threadIdx.x), _U(cuda.threadIdx.y)
        row0, column0 = _U(cuda.blockIdx.y * SIDE), _U(cuda.blockIdx.x * SIDE)
        thread = cuda.threadIdx.y * THREADS + cuda.threadIdx.x
        for i in range(TILE):
            for j in range(TILE):
                row, column = row0 + ty + _U(i * THREADS), column0 + tx + _U(j * THREADS)
                start = np.int64(0)
                if row < c.shape[0] and column < c.shape[1]:
                    start = np.int64(c[row, column])
                register[i, j] = np.int32(((start & (high - low)) ^ -low) + low)
                total[i, j] = np.int32(0)
        length = x.shape[0]
        last = words - 1
        for begin in range(0, length, _DEPTH):
            many = min(_DEPTH, length - begin)
            cuda.syncthreads()
            for place in range(thread, many * SIDE, THREADS * THREADS):
                k, r = _U(place // SIDE), _U(place % SIDE)
                xs[k, r] = x[_U(begin) + k, row0 + r]
                ys[k, r] = y[_U(begin) + k, column0 + r]
            cuda.syncthreads()
            for k in range(many):
                word = _U(k)
                for i in range(TILE):
                    value = xs[word, ty + _U(i * THREADS)]
                    for j in range(TILE):
                        total[i, j] = dot(value, ys[word, tx + _U(j * THREADS)], total[i, j])
                if not wrap:
                    if (begin + k) % words == last:  # of the step
                        for i in range(TILE):
                            for j in range(TILE):
                                value = np.int64(register[i, j]) + (np.int64(total[i, j]) << shift)
                                register[i, j] = np.int32(min(max(value, low), high))
                                total[i, j] = np.int32(0)
        for i in range(TILE):
            for j in range(TILE):
                row, column = row0 + ty + _U(i * THREADS), column0 + tx + _U(j * THREADS)
                if row < out.shape[0] and column < out.shape[1]:
                    # Sums and register are right modulo 2**32, and so modulo the register's width.
                    value = np.int64(register[i, j]) + (np.int64(total[i, j]) << shift)
                    out[row, column] = value & (high - low)

    return cuda.jit(kernel)


def run_integers(unit: DotProductUnit, how: Integers, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; the formats have no specials."""
    padded = [-(-side.rows // SIDE) * SIDE for side in (x, y)]
    left = packed(unit.lanes, unit.element_a, x, padded[0])
    right = packed(unit.lanes, unit.element_b, y, padded[1])
    out = cuda.device_array((x.rows, y.rows), code_dtype(unit.accumulator.bits))
    grid = (-(-y.rows // SIDE), -(-x.rows // SIDE))
    _kernel(how)[grid, (THREADS, THREADS)](left, right, no_codes(out.dtype) if c is None else c, out)
    return out
