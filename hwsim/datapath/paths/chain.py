# SPDX-License-Identifier: Apache-2.0
"""One product a step into a float32 or float64 register: the machine's own fused multiply-add, in order of K."""

from functools import partial
from typing import Any

import numba
import numpy as np

from hwsim.datapath.paths.floats import Floats, fits, left, loaded, right, unloaded
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import fma, fmuladd
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator
from hwsim.datapath.vectors import HAS_FMA, NATIVE, REGISTER_BITS, REGISTERS, compiled
from hwsim.formats import Overflow, Rounding

__all__ = [
    "offer",
]

_ROWS = 6  # times _VECTORS: 24 of 32 registers, or 12 of 16; the others are for b and an element of a
_VECTORS = 4 if REGISTERS == 32 else 2
_DEPTH = 1024  # of K: what the cache holds of a panel of b
_GROUP = 16  # tiles, one below the other, that pass over it


@numba.njit(forceinline=True)
def _step(total: Any, a: Any, b: Any, _: Any) -> Any:
    if HAS_FMA:
        return fma(a, b, total)
    return fmuladd(a, b, total)


@numba.njit(cache=True, parallel=True)
def _chain_kernel(a: Floats, b: Floats, d: Floats) -> None:
    """Unchecked: d holds the registers, (rows of a, panels * width of b)."""
    count, depth, width = b.shape
    blocks = d.shape[0] // _ROWS
    groups = (blocks + _GROUP - 1) // _GROUP
    for part in numba.prange(count * groups):
        panel = part // groups
        first = part % groups * _GROUP
        for begin in range(0, depth, _DEPTH):
            for block in range(first, min(first + _GROUP, blocks)):
                place = block * _ROWS * d.shape[1] + panel * width
                tile = tile_load(d, place, d.shape[1], _ROWS, _VECTORS, NATIVE)
                for k in range(begin, min(begin + _DEPTH, depth)):
                    beside = (a, block * _ROWS * depth + k, depth)
                    tile = tile_step(_step, tile, beside, (b, (panel * depth + k) * width), 0)
                tile_store(d, place, d.shape[1], tile)


def _run(dtype: Any, problem: Problem) -> Codes:
    unit, shape = problem.unit, (problem.a.shape[0], problem.b.shape[0])
    width = _VECTORS * REGISTER_BITS // np.finfo(dtype).bits
    a = left(unit.element_a, problem.a, dtype, _ROWS)
    b = right(unit.element_b, problem.b, dtype, width)
    d = loaded(problem, dtype, (a.shape[0], b.shape[0] * width))
    with threads_for(shape[0] * problem.a.size):
        _chain_kernel(a, b, d)
    return unloaded(unit, d, shape)


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path for one lane into a whole float32 or float64 register that rounds to nearest even.

    A fused multiply-add rounds the exact sum once, as the unit does. Without one in the machine, the products must be
    exact. Whatever K is.
    """
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator) or not isinstance(unit.alignment, ExactAlignment):
        return None
    if not compiled() or not unit.is_plain or unit.lanes != 1 or unit.scales:
        return None
    if register.rounding is not Rounding.NEAREST_EVEN or register.overflow is not Overflow.INFINITY or depth < 1:
        return None
    fields = (register.format.exp_bits, register.format.man_bits, register.format.bias, register.result_man_bits)
    dtypes = {(8, 23, 127, 23): np.float32, (11, 52, 1023, 52): np.float64}
    if fields not in dtypes:
        return None
    dtype: Any = dtypes[fields]
    info, factors = np.finfo(dtype), (unit.element_a, unit.element_b)
    if not all(fits(spec, dtype) for spec in factors):
        return None
    bits = sum(spec.sig_bits for spec in factors)
    exact = bits <= info.nmant + 1 and unit.product_exp_min >= int(info.minexp) - info.nmant
    exact = exact and unit.product_exp_max + bits <= int(info.maxexp)
    if not (HAS_FMA or exact):
        return None
    name = np.dtype(dtype).name
    proof = (
        f"operands of {unit.element_a.sig_bits} and {unit.element_b.sig_bits} bits are exact in {name}, "
        f"and its fused multiply-add rounds the exact sum of product and register once, in ascending order of K"
    )
    size = float(np.dtype(dtype).itemsize)
    return Path(f"{name} chain", proof, partial(_run, dtype), size, size, 2 * size)
