# SPDX-License-Identifier: Apache-2.0
"""A small float register that rounds to nearest even at each step, in float32 or float64 vectors.

The sum s of register and products is rounded to the register's grid by adding and subtracting
``1.5 * 2**(e + n - m)``, e the exponent of s or of the smallest normal if larger, m the register's mantissa bits, n the
vector's: the unit in the last place there is the register's. All is scaled so that this number overflows where e is the
register's largest: the sum is then NaN and stays it, and a tile with one is computed again, each step compared with the
limit.

With P = n + 1 and p = m + 1 bits, s is first rounded to P bits, which goes wrong only if it makes a tie, a number of
p + 1 bits, of what was none. It makes none where no sum has more than P bits; or where the products of a step have w
bits with ``p + max(w, p) < P``, and either w <= p, or no register but zero is below 2**-P times a sum. Else s is
rounded to odd, by the error that Knuth's two-sum gives: then no rounding to fewer than P - 1 bits can go wrong (Boldo
and Melquiond, IEEE Trans. Computers 57:462, 2008).
"""

from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np

from hwsim.datapath.paths.floats import Floats, fits, left, loaded, right, unloaded, values
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import (
    absolute,
    add,
    bit_and,
    bit_or,
    bit_xor,
    bitcast,
    compare_eq,
    compare_le,
    compare_lt,
    fmuladd,
    maximum,
    minimum,
    mul,
    reduce_and,
    select,
    shift_right,
    splat,
    sub,
)
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_and, tile_load, tile_map, tile_splat, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator
from hwsim.datapath.vectors import NATIVE, REGISTER_BITS, REGISTERS
from hwsim.formats import Overflow, Rounding

__all__ = [
    "offer",
]

_ROWS = 4  # times _VECTORS: 16 of 32 registers, or 8 of 16; the others are for b, an element of a and the rounding
_VECTORS = 4 if REGISTERS == 32 else 2
_DEPTH = 1024  # of K: what the cache holds of a panel of b
_GROUP = 16  # tiles, one below the other, that pass over it


class _Way(NamedTuple):
    """How a register's values are held, and how the sum of a step is rounded."""

    dtype: Any
    scale: int  # a register holds its value times two to this power
    low: bool  # whether a sum can be finer than the register's subnormals
    odd: bool  # whether sums are rounded to odd
    unit: int | None  # c must be zero or a multiple of two to this power, and
    limit: int  # less than two to this power: else another way is taken


class _Numbers(NamedTuple):
    """Constants of the kernel, floats of its dtype as arrays of one element."""

    infinity: Any
    low: Any  # the smallest normal
    factor: Any
    scale: Any  # of the sum of several lanes
    limit: Any  # of a rounded sum
    beyond: Any  # what overflows becomes
    sign: Any


@numba.njit(forceinline=True)
def _magic(total: Any, number: Any) -> Any:
    return sub(add(total, number), number)


@numba.njit(forceinline=True)
def _round(total: Any, constants: Any) -> Any:
    infinity, factor, _ = constants
    return _magic(total, mul(bit_and(total, infinity), factor))


@numba.njit(forceinline=True)
def _round_low(total: Any, constants: Any) -> Any:
    infinity, factor, low = constants
    return _magic(total, mul(maximum(bit_and(total, infinity), low), factor))


@numba.njit(forceinline=True)
def _odd(register: Any, product: Any) -> Any:
    total = add(register, product)
    added = sub(total, register)
    error = add(sub(register, sub(total, added)), sub(product, added))
    word = bitcast(total, np.int64)
    toward = bit_or(shift_right(bit_xor(word, bitcast(error, np.int64)), 63), 1)
    exact = bit_or(compare_eq(error, 0.0), compare_eq(bit_and(word, 1), 1))
    return bitcast(add(word, select(exact, 0, toward)), np.float64)


@numba.njit(forceinline=True)
def _careful(total: Any, constants: Any) -> Any:
    """Round and compare: a sixteenth is rounded, whose magic number is finite."""
    infinity, factor, low, limit, beyond, sign = constants
    magnitude = minimum(maximum(bit_and(total, infinity), low), limit)
    rounded = mul(_magic(mul(total, 0.0625), mul(mul(magnitude, 0.0625), factor)), 16.0)
    return select(compare_le(limit, absolute(rounded)), bit_or(bit_and(rounded, sign), beyond), rounded)


@numba.njit(forceinline=True)
def _step(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _round(fmuladd(a, b, register), constants)


@numba.njit(forceinline=True)
def _step_low(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _round_low(fmuladd(a, b, register), constants)


@numba.njit(forceinline=True)
def _step_odd(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _round_low(_odd(register, mul(a, b)), constants)


@numba.njit(forceinline=True)
def _step_careful(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _careful(fmuladd(a, b, register), constants)


@numba.njit(forceinline=True)
def _step_odd_careful(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _careful(_odd(register, mul(a, b)), constants)


@numba.njit(cache=True, parallel=True)
def _kernel(a: Floats, b: Floats, d: Floats, numbers: Floats, low: int | None, odd: int | None) -> None:
    """Unchecked: d holds the registers, (rows of a, panels * width of b). `low` and `odd` are 1 or None."""
    count, depth, width = b.shape
    blocks = d.shape[0] // _ROWS
    groups = (blocks + _GROUP - 1) // _GROUP
    dtype = a.dtype
    for part in numba.prange(count * groups):
        panel = part // groups
        first = part % groups * _GROUP
        infinity, factor = splat(numbers[0], dtype, NATIVE), splat(numbers[1], dtype, NATIVE)
        lowest, limit = splat(numbers[2], dtype, NATIVE), splat(numbers[3], dtype, NATIVE)
        beyond, sign = splat(numbers[4], dtype, NATIVE), splat(numbers[5], dtype, NATIVE)
        constants = (infinity, factor, lowest)
        all_constants = (infinity, factor, lowest, limit, beyond, sign)
        for begin in range(0, depth, _DEPTH):
            end = min(begin + _DEPTH, depth)
            for block in range(first, min(first + _GROUP, blocks)):
                place = block * _ROWS * d.shape[1] + panel * width
                start = tile_load(d, place, d.shape[1], _ROWS, _VECTORS, NATIVE)
                tile = start
                for k in range(begin, end):
                    beside, below = (a, block * _ROWS * depth + k, depth), (b, (panel * depth + k) * width)
                    if odd is not None:
                        tile = tile_step(_step_odd, tile, beside, below, constants)
                    elif low is not None:
                        tile = tile_step(_step_low, tile, beside, below, constants)
                    else:
                        tile = tile_step(_step, tile, beside, below, constants)
                if not reduce_and(tile_and(compare_lt(absolute(tile), infinity))):
                    tile = start
                    for k in range(begin, end):
                        beside, below = (a, block * _ROWS * depth + k, depth), (b, (panel * depth + k) * width)
                        if odd is not None:
                            tile = tile_step(_step_odd_careful, tile, beside, below, all_constants)
                        else:
                            tile = tile_step(_step_careful, tile, beside, below, all_constants)
                tile_store(d, place, d.shape[1], tile)


@numba.njit(forceinline=True)
def _product(total: Any, a: Any, b: Any, _: Any) -> Any:
    return fmuladd(a, b, total)


@numba.njit(forceinline=True)
def _join(both: Any, constants: Any) -> Any:
    return _round(fmuladd(both[1], constants[6], both[0]), constants[:3])


@numba.njit(forceinline=True)
def _join_low(both: Any, constants: Any) -> Any:
    return _round_low(fmuladd(both[1], constants[6], both[0]), constants[:3])


@numba.njit(forceinline=True)
def _join_odd(both: Any, constants: Any) -> Any:
    return _round_low(_odd(both[0], mul(both[1], constants[6])), constants[:3])


@numba.njit(forceinline=True)
def _join_careful(both: Any, constants: Any) -> Any:
    return _careful(fmuladd(both[1], constants[6], both[0]), constants[:6])


@numba.njit(forceinline=True)
def _join_odd_careful(both: Any, constants: Any) -> Any:
    return _careful(_odd(both[0], mul(both[1], constants[6])), constants[:6])


@numba.njit(forceinline=True)
def _lanes(a: Floats, b: Floats, at: int, below: int, width: int, lanes: int) -> Any:
    """Return the exact sums of a step's products."""
    total = tile_splat(splat(0.0, a.dtype, NATIVE), _ROWS, _VECTORS)
    for lane in range(lanes):
        total = tile_step(_product, total, (a, at + lane, a.shape[1]), (b, below + lane * width), 0)
    return total


@numba.njit(cache=True, parallel=True)
def _lanes_kernel(
    a: Floats, b: Floats, d: Floats, numbers: Floats, low: int | None, odd: int | None, lanes: int
) -> None:
    """As `_kernel`, with the sum of several lanes a step."""
    count, depth, width = b.shape
    blocks = d.shape[0] // _ROWS
    groups = (blocks + _GROUP - 1) // _GROUP
    dtype = a.dtype
    span = max(_DEPTH // lanes, 1) * lanes
    for part in numba.prange(count * groups):
        panel = part // groups
        first = part % groups * _GROUP
        infinity, factor = splat(numbers[0], dtype, NATIVE), splat(numbers[1], dtype, NATIVE)
        lowest, limit = splat(numbers[2], dtype, NATIVE), splat(numbers[3], dtype, NATIVE)
        beyond, sign = splat(numbers[4], dtype, NATIVE), splat(numbers[5], dtype, NATIVE)
        constants = (infinity, factor, lowest, limit, beyond, sign, splat(numbers[6], dtype, NATIVE))
        for begin in range(0, depth, span):
            end = min(begin + span, depth)
            for block in range(first, min(first + _GROUP, blocks)):
                place = block * _ROWS * d.shape[1] + panel * width
                row = block * _ROWS * depth
                start = tile_load(d, place, d.shape[1], _ROWS, _VECTORS, NATIVE)
                tile = start
                for k in range(begin, end, lanes):
                    both = (tile, _lanes(a, b, row + k, (panel * depth + k) * width, width, lanes))
                    if odd is not None:
                        tile = tile_map(_join_odd, both, constants)
                    elif low is not None:
                        tile = tile_map(_join_low, both, constants)
                    else:
                        tile = tile_map(_join, both, constants)
                if not reduce_and(tile_and(compare_lt(absolute(tile), infinity))):
                    tile = start
                    for k in range(begin, end, lanes):
                        both = (tile, _lanes(a, b, row + k, (panel * depth + k) * width, width, lanes))
                        if odd is not None:
                            tile = tile_map(_join_odd_careful, both, constants)
                        else:
                            tile = tile_map(_join_careful, both, constants)
                tile_store(d, place, d.shape[1], tile)


def _numbers(unit: DotProductUnit, way: _Way) -> Floats:
    """Return the kernels' constants: infinity, factor, smallest normal, limit, what is beyond, sign, scale of lanes."""
    assert isinstance(unit.accumulator, FloatAccumulator)
    spec, bits = unit.accumulator.format, np.finfo(way.dtype).nmant
    limit = 2.0 ** (spec.exp_max + spec.sig_bits + way.scale)  # may be infinity where none is reached
    saturates = unit.accumulator.overflow is Overflow.SATURATE
    beyond = limit - 2.0 ** (spec.exp_max + way.scale) if saturates else np.inf
    factor = 1.5 * 2.0 ** (bits - spec.man_bits)
    low = 2.0 ** (spec.exp_min + spec.man_bits + way.scale)
    with np.errstate(over="ignore"):
        return np.array([np.inf, factor, low, limit, beyond, -0.0, 2.0**way.scale]).astype(way.dtype)


def _run(ways: tuple[_Way, ...], problem: Problem) -> Codes:
    unit = problem.unit
    way = next(way for way in ways if way.unit is None or _suits(way, problem))
    lanes, shape = unit.lanes, (problem.a.shape[0], problem.b.shape[0])
    width = _VECTORS * REGISTER_BITS // np.finfo(way.dtype).bits
    scale_a, scale_b = (0, 0) if lanes > 1 else _split(unit, way)
    a = left(unit.element_a, problem.a, way.dtype, _ROWS, scale_a)
    b = right(unit.element_b, problem.b, way.dtype, width, scale_b)
    d = loaded(problem, way.dtype, (a.shape[0], b.shape[0] * width), way.scale)
    low, odd = 1 if way.low else None, 1 if way.odd else None
    with threads_for(shape[0] * problem.b.size):
        if lanes > 1:
            _lanes_kernel(a, b, d, _numbers(unit, way), low, odd, lanes)
        else:
            _kernel(a, b, d, _numbers(unit, way), low, odd)
    return unloaded(unit, d, shape, way.scale)


def _suits(way: _Way, problem: Problem) -> bool:
    """Tell whether c, if there is one, is zero or a multiple of the way's unit below its limit."""
    if problem.c is None:
        return True
    assert way.unit is not None
    value = values(problem.unit.accumulator.format, problem.c, np.float64, -way.unit)
    return bool(np.all(value == np.rint(value)) and np.all(np.abs(value) < 2.0 ** (way.limit - way.unit)))


def _split(unit: DotProductUnit, way: _Way) -> tuple[int, int]:
    """Return the powers of two by which a's and b's values are scaled, as near to each other as they fit."""
    for away in range(abs(way.scale) + 1):
        for scale_a in (way.scale // 2 + away, way.scale // 2 - away):
            scale_b = way.scale - scale_a
            if fits(unit.element_a, way.dtype, scale_a) and fits(unit.element_b, way.dtype, scale_b):
                return scale_a, scale_b
    raise AssertionError("the way was offered for scales that fit")


def _fit(unit: DotProductUnit, dtype: Any, scale: int) -> bool:
    if unit.lanes > 1:
        return fits(unit.element_a, dtype) and fits(unit.element_b, dtype)
    return fits(unit.element_a, dtype, scale // 2) and fits(unit.element_b, dtype, scale - scale // 2)
