# SPDX-License-Identifier: Apache-2.0
"""Integers of up to eight bits into a register of up to 32 bits on the GPU, four products an instruction."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from hwsim.datapath.gpu.blocks import bytes_of, packed
from hwsim.datapath.gpu.intrinsics import dot4
from hwsim.datapath.gpu.operands import Side, no_codes
from hwsim.datapath.gpu.reals import SIDE, cuda
from hwsim.datapath.gpu.tiles import OUTPUTS, across, down, grid_for, load_tile, padded, start_of, store
from hwsim.datapath.plan import plan
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats.codes import code_dtype

__all__ = [
    "Integers",
    "integers",
    "run_integers",
]

_DEPTH = 32  # words between two loads of a tile


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
        total = cuda.local.array(OUTPUTS, np.int32)
        register = cuda.local.array(OUTPUTS, np.int32)
        for o in range(OUTPUTS):
            register[o] = np.int32(((np.int64(start_of(c, o)) & (high - low)) ^ -low) + low)
            total[o] = np.int32(0)
        length = x.shape[0]
        for begin in range(0, length, _DEPTH):
            many = min(_DEPTH, length - begin)
            cuda.syncthreads()
            load_tile(xs, x, begin, many, cuda.blockIdx.y * SIDE)
            load_tile(ys, y, begin, many, cuda.blockIdx.x * SIDE)
            cuda.syncthreads()
            for k in range(many):
                for o in range(OUTPUTS):
                    total[o] = dot(xs[np.uint32(k), down(o)], ys[np.uint32(k), across(o)], total[o])
                if not wrap and (begin + k) % words == words - 1:  # the end of a step
                    for o in range(OUTPUTS):
                        value: Any = np.int64(register[o]) + (np.int64(total[o]) << shift)
                        register[o] = np.int32(min(max(value, low), high))
                        total[o] = np.int32(0)
        for o in range(OUTPUTS):  # sums are right modulo 2**32, and so modulo a narrower register
            store(out, o, (np.int64(register[o]) + (np.int64(total[o]) << shift)) & (high - low))

    return cuda.jit(kernel)


def run_integers(unit: DotProductUnit, how: Integers, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; the formats have no specials."""
    left = packed(unit.lanes, unit.element_a, x, padded(x.rows))
    right = packed(unit.lanes, unit.element_b, y, padded(y.rows))
    out = cuda.device_array((x.rows, y.rows), code_dtype(unit.accumulator.bits))
    _kernel(how)[grid_for(x.rows, y.rows)](left, right, no_codes(out.dtype) if c is None else c, out)
    return out
