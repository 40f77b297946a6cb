# SPDX-License-Identifier: Apache-2.0
"""One product a step into a float32 or float64 register: the machine's own fused multiply-add, in order of K."""

from dataclasses import replace
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.paths.floats import Floats, fits, left, loaded, right, unloaded
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import bit_and, bits, compare_eq, floats, fma, fmuladd, select
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator, NanResult, ScalarSpec
from hwsim.datapath.vectors import HAS_FMA, NATIVE, REGISTER_BITS, REGISTERS, compiled
from hwsim.formats import FloatSpec, Overflow, PositSpec, Rounding, Specials

__all__ = [
    "native_type",
    "offer",
    "settled",
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


@numba.njit(forceinline=True)
def _flushed_step(total: Any, a: Any, b: Any, fields: Any) -> Any:
    exponent, sign = fields
    after = _step(total, a, b, 0)
    return select(compare_eq(bit_and(bits(after), exponent), 0), floats(bit_and(bits(after), sign)), after)


@numba.njit(cache=True, parallel=True)
def _chain_kernel(a: Floats, b: Floats, d: Floats, flush: bool, fields: tuple[Any, Any]) -> None:
    """Unchecked: d holds the registers, (rows of a, panels * width of b); `fields` are masks of exponent and sign."""
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
                if not flush:
                    for k in range(begin, min(begin + _DEPTH, depth)):
                        beside = (a, block * _ROWS * depth + k, depth)
                        tile = tile_step(_step, tile, beside, (b, (panel * depth + k) * width), 0)
                else:
                    for k in range(begin, min(begin + _DEPTH, depth)):
                        beside = (a, block * _ROWS * depth + k, depth)
                        tile = tile_step(_flushed_step, tile, beside, (b, (panel * depth + k) * width), fields)
                tile_store(d, place, d.shape[1], tile)


@numba.njit(cache=True, parallel=True)
def _settle_kernel(patterns: Codes, fields: Codes, out: Codes) -> None:
    """Unchecked: codes of floats; fields are the mask of the magnitude, infinity, the NaN and the sign of a zero."""
    mask, infinity, nan, sign = fields
    for row in numba.prange(out.shape[0]):
        for column in range(out.shape[1]):
            pattern = patterns[row, column]
            magnitude = pattern & mask
            code = pattern if magnitude != 0 else pattern & sign
            out[row, column] = code if magnitude <= infinity else nan


def settled(unit: DotProductUnit, registers: Floats, shape: tuple[int, int]) -> Codes:
    """Return d, of a shape, of registers of `native_type`: with one NaN, and zeros of the sign the unit gives them."""
    accumulator = unit.accumulator
    assert isinstance(accumulator, FloatAccumulator)
    if unit.converts:  # which leaves no sign to a zero, nor of a NaN which it was
        return unloaded(replace(unit, accumulator=replace(accumulator, nan=NanResult.QUIET)), registers, shape)
    dtype: Any = np.uint32 if registers.dtype == np.float32 else np.uint64
    sign = 1 << (accumulator.bits - 1)
    zero = sign if accumulator.signed_zero else 0
    fields: NDArray[Any] = np.array([sign - 1, accumulator.format.inf_code, accumulator.nan_code, zero], dtype)
    out = np.empty(shape, dtype)
    with threads_for(out.size):
        _settle_kernel(registers.view(dtype), fields, out)
    return out


def native_type(unit: DotProductUnit) -> Any:
    """Return the float type that is a unit's register, and that rounds and has operands as it does; None without one.

    It is float32 or float64, for a register that rounds to nearest even and overflows to infinity, without block
    scales. The output is no posit. Where a zero has a sign, the zeros of operands must have theirs in that type.
    """
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator) or unit.inner is not unit or unit.scales:
        return None
    if register.rounding is not Rounding.NEAREST_EVEN or register.overflow is not Overflow.INFINITY:
        return None
    fields = (register.format.exp_bits, register.format.man_bits, register.format.bias, register.result_man_bits)
    dtype: Any = {(8, 23, 127, 23): np.float32, (11, 52, 1023, 52): np.float64}.get(fields)
    factors = (unit.element_a, unit.element_b)
    if dtype is None or isinstance(unit.output, PositSpec) or not all(fits(spec, dtype) for spec in factors):
        return None
    if register.signed_zero and any(_loses_sign(spec) for spec in factors):
        return None
    return dtype


def _loses_sign(spec: ScalarSpec) -> bool:
    """Tell whether a format has a -0 that `values` makes +0."""
    if not isinstance(spec, FloatSpec) or not spec.signed or spec.nan_code == 1 << (spec.bits - 1):
        return False
    own = ((8, 23, 127, Specials.IEEE), (11, 52, 1023, Specials.IEEE))
    return (spec.exp_bits, spec.man_bits, spec.bias, spec.specials) not in own


def _run(dtype: Any, problem: Problem) -> Codes:
    unit, shape = problem.unit, (problem.a.shape[0], problem.b.shape[0])
    assert isinstance(unit.accumulator, FloatAccumulator)
    width = _VECTORS * REGISTER_BITS // np.finfo(dtype).bits
    a = left(unit.element_a, problem.a, dtype, _ROWS)
    b = right(unit.element_b, problem.b, dtype, width)
    d = loaded(problem, dtype, (a.shape[0], b.shape[0] * width))
    fields: tuple[Any, Any] = (np.int32(0x7F800000), np.int32(-(1 << 31)))
    if dtype is np.float64:
        fields = (np.int64(0x7FF << 52), np.int64(-(1 << 63)))
    with threads_for(shape[0] * problem.a.size):
        _chain_kernel(a, b, d, unit.accumulator.flush, fields)
    return settled(unit, d, shape)


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path for one lane into a whole float32 or float64 register that rounds to nearest even.

    A fused multiply-add rounds the exact sum once, as the unit does, and gives a zero the sign of IEEE 754. Without one
    in the machine, the products must be exact. Whatever K is.
    """
    if not compiled() or not isinstance(unit.alignment, ExactAlignment) or unit.lanes != 1 or depth < 1:
        return None
    dtype = native_type(unit)
    if dtype is None:
        return None
    info, factors = np.finfo(dtype), (unit.element_a, unit.element_b)
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
