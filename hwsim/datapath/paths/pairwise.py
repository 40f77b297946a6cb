# SPDX-License-Identifier: Apache-2.0
"""Trees of float32 or float64 adders: the machine's own products and sums, pair by pair, for a tile of dot products."""

from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from hwsim.datapath.paths.chain import native_type, settled
from hwsim.datapath.paths.floats import Floats, left, loaded, right
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_store
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, PairwiseAlignment
from hwsim.datapath.vectors import (
    NATIVE,
    REGISTER_BITS,
    REGISTERS,
    Tile,
    Vec,
    address,
    compiled,
    intrinsic,
    is_contiguous,
    load_vec,
    scalar_type,
    spread,
)

__all__ = [
    "offer",
]

_ROWS = 6  # times _VECTORS; beside them are b's vectors of all lanes, and a tree's sums
_VECTORS = 2 if REGISTERS == 32 else 1
_DEPTH = 1024  # of K: what the cache holds of a panel of b; a multiple of _LANES
_GROUP = 16  # tiles, one below the other, that pass over it
_LANES = 16  # more would be a long unrolled step
_PRODUCT_BITS = 60  # which the stages take, as they must beside a NaN or an infinity


def _flushed(builder: Any, value: Any, vec: Vec) -> Any:
    """Emit a vector with a zero of the same sign for each subnormal."""
    bits = vec.dtype.bitwidth
    integers = ir.VectorType(ir.IntType(bits), vec.count)
    sign = 1 << (bits - 1)
    exponent = sign - (1 << (23 if bits == 32 else 52))
    pattern = builder.bitcast(value, integers)
    field = builder.and_(pattern, ir.Constant(integers, [exponent] * vec.count))
    low = builder.icmp_unsigned("==", field, ir.Constant(integers, [0] * vec.count))
    zero = builder.bitcast(builder.and_(pattern, ir.Constant(integers, [sign] * vec.count)), value.type)
    return builder.select(low, zero, value)


@intrinsic
def _tree_step(_context: Any, tile: Any, left: Any, right: Any, flushes: Any) -> Any:
    """Return a Tile of registers after a step.

    left is ``(a, a_at, a_stride)`` and right ``(b, b_at, b_stride)``: lane by lane, a goes on by 1 and b by its stride.
    flushes is a tuple, one a lane: of bool where each result that is subnormal becomes zero, else of int.
    """
    (a, _, _), (b, _, _) = left, right
    if not isinstance(tile, Tile) or not (is_contiguous(a) and is_contiguous(b)):
        return None
    vec, lanes, flush = tile.vec, len(flushes), isinstance(flushes[0], types.Boolean)

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        unpack: Any = cgutils.unpack_tuple
        array_a, at_a, stride_a = unpack(builder, values[1])
        array_b, at_b, stride_b = unpack(builder, values[2])

        def result(value: Any) -> Any:
            return _flushed(builder, value, vec) if flush else value

        def moved(at: Any, stride: Any, count: int) -> Any:
            return builder.add(at, builder.mul(stride, ir.Constant(at.type, count)))

        def across(lane: int, each: int) -> Any:
            place = builder.add(moved(at_b, stride_b, lane), ir.Constant(at_b.type, each * vec.count))
            return load_vec(context, builder, b, array_b, place, vec)

        def down(row: int, lane: int) -> Any:
            place = builder.add(moved(at_a, stride_a, row), ir.Constant(at_a.type, lane))
            scalar = builder.load(address(context, builder, a, array_a, place, scalar_type(a.dtype)))
            return spread(context, builder, scalar, a.dtype, vec)

        vectors = [[across(lane, each) for each in range(tile.vectors)] for lane in range(lanes)]
        out = values[0]
        for row in range(tile.rows):
            factors = [down(row, lane) for lane in range(lanes)]
            for each in range(tile.vectors):
                at = row * tile.vectors + each
                level = [result(builder.fmul(factors[lane], vectors[lane][each])) for lane in range(lanes)]
                while len(level) > 1:
                    pairs = zip(level[::2], level[1::2], strict=True)
                    level = [result(builder.fadd(first, second)) for first, second in pairs]
                total = result(builder.fadd(level[0], builder.extract_value(values[0], at)))
                out = builder.insert_value(out, total, at)
        return out

    return tile(tile, left, right, flushes), codegen


@numba.njit(cache=True, parallel=True)
def _pairwise_kernel(a: Floats, b: Floats, d: Floats, flushes: tuple[Any, ...]) -> None:
    """Unchecked: d holds the registers, (rows of a, panels * width of b); flushes as of `_tree_step`."""
    count, depth, width = b.shape
    lanes = len(flushes)
    blocks = d.shape[0] // _ROWS
    groups = (blocks + _GROUP - 1) // _GROUP
    for part in numba.prange(count * groups):
        panel = part // groups
        first = part % groups * _GROUP
        for begin in range(0, depth, _DEPTH):
            for block in range(first, min(first + _GROUP, blocks)):
                place = block * _ROWS * d.shape[1] + panel * width
                tile = tile_load(d, place, d.shape[1], _ROWS, _VECTORS, NATIVE)
                for k in range(begin, min(begin + _DEPTH, depth), lanes):
                    beside = (a, block * _ROWS * depth + k, depth)
                    tile = _tree_step(tile, beside, (b, (panel * depth + k) * width, width), flushes)
                tile_store(d, place, d.shape[1], tile)


def _meets_subnormals(unit: DotProductUnit, dtype: Any) -> bool:
    """Tell whether anything but a c can be subnormal.

    All products are multiples of the smallest's last place. Beside a register below half of that, a step's sum that is
    not zero makes one of at least that half; from there on, all are multiples of the half's own last place.
    """
    info = np.finfo(dtype)
    return unit.product_exp_min - 1 - int(info.nmant) < int(info.minexp)


def _run(dtype: Any, problem: Problem) -> Codes:
    unit, shape = problem.unit, (problem.a.shape[0], problem.b.shape[0])
    assert isinstance(unit.accumulator, FloatAccumulator)
    width = _VECTORS * REGISTER_BITS // np.finfo(dtype).bits
    a = left(unit.element_a, problem.a, dtype, _ROWS)
    b = right(unit.element_b, problem.b, dtype, width)
    d = loaded(problem, dtype, (a.shape[0], b.shape[0] * width))
    flush = unit.accumulator.flush and (_meets_subnormals(unit, dtype) or unit.accumulator.signed_zero)
    if unit.accumulator.flush and not flush and problem.c is not None:  # as if a step had added zero
        d[np.abs(d) < np.finfo(dtype).smallest_normal] = 0
    flushes: tuple[Any, ...] = (True if flush else 0,) * unit.lanes
    with threads_for(shape[0] * problem.a.size):
        _pairwise_kernel(a, b, d, flushes)
    return settled(unit, d, shape)


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path for pairwise alignment of up to 16 lanes into a whole float32 or float64 register.

    It rounds to nearest even, and may flush. Not for products of two float64. Whatever K is.
    """
    if not compiled() or not isinstance(unit.alignment, PairwiseAlignment) or unit.lanes > _LANES or depth < 1:
        return None
    dtype = native_type(unit)
    if dtype is None or unit.product_max.bit_length() > _PRODUCT_BITS:
        return None
    name = np.dtype(dtype).name
    proof = (
        f"operands of {unit.element_a.sig_bits} and {unit.element_b.sig_bits} bits are exact in {name}, whose product "
        f"and sums round once to nearest even as each adder of a tree of {unit.lanes} does, in ascending order of K"
    )
    size = float(np.dtype(dtype).itemsize)
    return Path(f"{name} pairwise", proof, partial(_run, dtype), size, size, 3 * size)
