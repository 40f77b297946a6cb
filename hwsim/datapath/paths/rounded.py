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
    bits,
    compare_eq,
    compare_lt,
    floats,
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
from hwsim.datapath.vectors import HAS_FMA, NATIVE, REGISTER_BITS, REGISTERS, compiled
from hwsim.formats import Overflow, Rounding

__all__ = [
    "offer",
]

_ROWS = 4  # times _VECTORS: 16 of 32 registers, or 8 of 16; the others are for b, an element of a and the rounding
_VECTORS = 4 if REGISTERS == 32 else 2
_SPARE_BITS = 4  # of a float's mantissa beyond the register's: 2 for the magic number, 2 to keep what overflows finite
_SPAN = 128  # of K, after which a tile is looked at, and
_SPANS = 8  # of these: what the cache holds of a panel of b
_GROUP = 16  # tiles, one below the other, that pass over it


class _Way(NamedTuple):
    """How a register's values are held, and how the sum of a step is rounded."""

    dtype: Any
    scale: int  # a register holds its value times two to this power
    low: bool  # whether a sum can be finer than the register's subnormals
    odd: bool  # whether sums are rounded to odd
    unit: int | None  # c must be zero or a multiple of two to this power, and
    limit: int  # less than two to this power: else another way is taken


@numba.njit(forceinline=True)
def _round(total: Any, constants: Any) -> Any:
    number = mul(bit_and(total, constants[0]), constants[1])
    return sub(add(total, number), number)


@numba.njit(forceinline=True)
def _round_low(total: Any, constants: Any) -> Any:
    number = mul(floats(maximum(bits(bit_and(total, constants[0])), bits(constants[2]))), constants[1])
    return sub(add(total, number), number)


@numba.njit(forceinline=True)
def _round_limited(total: Any, constants: Any) -> Any:
    """Round a sixteenth, whose magic number is finite, and let the multiple that reaches the limit be infinite."""
    infinity, _, low, limit, factor, up, _, _, _ = constants
    magnitude = minimum(maximum(bits(bit_and(total, infinity)), bits(low)), bits(limit))
    number = mul(floats(magnitude), factor)
    return mul(sub(fmuladd(total, 0.0625, number), number), up)


@numba.njit(forceinline=True)
def _infinite(total: Any, constants: Any) -> Any:
    return mul(_round_limited(total, constants), constants[6])


@numba.njit(forceinline=True)
def _saturated(total: Any, constants: Any) -> Any:
    beyond = constants[7]
    return mul(minimum(maximum(_round_limited(total, constants), mul(beyond, -1.0)), beyond), constants[6])


@numba.njit(forceinline=True)
def _odd(register: Any, product: Any) -> Any:
    """Add, rounding to odd."""
    total = add(register, product)
    added = sub(total, register)
    error = add(sub(register, sub(total, added)), sub(product, added))
    word = bits(total)
    toward = bit_or(shift_right(bit_xor(word, bits(error)), 63), 1)
    even = bit_and(compare_lt(0.0, absolute(error)), compare_eq(bit_and(word, 1), 0))  # no error of an infinity
    return floats(add(word, select(even, toward, 0)))


@numba.njit(forceinline=True)
def _finite(product: Any, limit: Any) -> Any:
    """Bound a product that makes any sum overflow."""
    return minimum(maximum(product, mul(limit, -2.0)), mul(limit, 2.0))


@numba.njit(forceinline=True)
def _sum(register: Any, x: Any, y: Any, limit: Any) -> Any:
    if HAS_FMA:
        return fmuladd(x, y, register)
    return add(register, _finite(mul(x, y), limit))


@numba.njit(forceinline=True)
def _sum_odd(register: Any, x: Any, y: Any, limit: Any) -> Any:
    return _odd(register, _finite(mul(x, y), limit))


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
def _step_infinite(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _infinite(_sum(register, a, b, constants[3]), constants)


@numba.njit(forceinline=True)
def _step_saturated(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _saturated(_sum(register, a, b, constants[3]), constants)


@numba.njit(forceinline=True)
def _step_odd_infinite(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _infinite(_sum_odd(register, a, b, constants[3]), constants)


@numba.njit(forceinline=True)
def _step_odd_saturated(register: Any, a: Any, b: Any, constants: Any) -> Any:
    return _saturated(_sum_odd(register, a, b, constants[3]), constants)


@numba.njit(forceinline=True)
def _product(total: Any, a: Any, b: Any, _: Any) -> Any:
    return fmuladd(a, b, total)


@numba.njit(forceinline=True)
def _advance(step: Any, tile: Any, left: Any, right: Any, depth: int, constants: Any, lanes: int | None) -> Any:
    """Return a tile after products up to `depth`; left and right are arrays, where they begin, and strides."""
    a, at, stride = left
    b, below, width = right
    if lanes is None:
        for k in range(depth):
            tile = tile_step(step, tile, (a, at + k, stride), (b, below + k * width), constants)
    else:
        for k in range(0, depth, lanes):
            total = tile_splat(splat(0.0, a.dtype, NATIVE), _ROWS, _VECTORS)
            for lane in range(k, k + lanes):
                total = tile_step(_product, total, (a, at + lane, stride), (b, below + lane * width), 0)
            tile = tile_map(step, tile, total, constants[8], constants)
    return tile


@numba.njit(cache=True, parallel=True)
def _kernel(a: Floats, b: Floats, d: Floats, numbers: Floats, lanes: Any, low: Any, odd: Any, saturates: Any) -> None:
    """Unchecked: d holds the registers, (rows of a, panels * width of b).

    `lanes` is None for one; `low`, `odd` and `saturates` are 1, or None, so that only what is needed is compiled.
    """
    count, depth, width = b.shape
    blocks = d.shape[0] // _ROWS
    groups = (blocks + _GROUP - 1) // _GROUP
    span = _SPAN if lanes is None else max(_SPAN // lanes, 1) * lanes
    for part in numba.prange(count * groups):
        panel = part // groups
        first = part % groups * _GROUP
        infinity, factor = splat(numbers[0], a.dtype, NATIVE), splat(numbers[1], a.dtype, NATIVE)
        lowest, limit = splat(numbers[2], a.dtype, NATIVE), splat(numbers[3], a.dtype, NATIVE)
        sixteenth, up = splat(numbers[4], a.dtype, NATIVE), splat(numbers[5], a.dtype, NATIVE)
        down, beyond = splat(numbers[6], a.dtype, NATIVE), splat(numbers[7], a.dtype, NATIVE)
        constants = (infinity, factor, lowest, limit, sixteenth, up, down, beyond, splat(numbers[8], a.dtype, NATIVE))
        for begin in range(0, depth, _SPANS * span):
            for block in range(first, min(first + _GROUP, blocks)):
                place = block * _ROWS * d.shape[1] + panel * width
                tile = tile_load(d, place, d.shape[1], _ROWS, _VECTORS, NATIVE)
                for k in range(begin, min(begin + _SPANS * span, depth), span):
                    beside, below = (a, block * _ROWS * depth + k, depth), (b, (panel * depth + k) * width, width)
                    start, ahead = tile, min(span, depth - k)
                    calm = reduce_and(tile_and(compare_lt(absolute(tile), mul(limit, 0.5))))
                    if calm:
                        if odd is not None:
                            tile = _advance(_step_odd, start, beside, below, ahead, constants, lanes)
                        elif low is not None:
                            tile = _advance(_step_low, start, beside, below, ahead, constants, lanes)
                        else:
                            tile = _advance(_step, start, beside, below, ahead, constants, lanes)
                        calm = reduce_and(tile_and(compare_lt(absolute(tile), infinity)))
                    if not calm:
                        if odd is not None and saturates is not None:
                            tile = _advance(_step_odd_saturated, start, beside, below, ahead, constants, lanes)
                        elif odd is not None:
                            tile = _advance(_step_odd_infinite, start, beside, below, ahead, constants, lanes)
                        elif saturates is not None:
                            tile = _advance(_step_saturated, start, beside, below, ahead, constants, lanes)
                        else:
                            tile = _advance(_step_infinite, start, beside, below, ahead, constants, lanes)
                tile_store(d, place, d.shape[1], tile)


def _numbers(unit: DotProductUnit, way: _Way) -> Floats:
    """Return the kernel's constants."""
    assert isinstance(unit.accumulator, FloatAccumulator)
    spec, info = unit.accumulator.format, np.finfo(way.dtype)
    limit = 2.0 ** (spec.exp_max + spec.sig_bits + way.scale)
    factor = 1.5 * 2.0 ** (info.nmant - spec.man_bits)
    low = 2.0 ** (spec.exp_min + spec.man_bits + way.scale)
    up = 2.0 ** (info.nmant - spec.man_bits - 1)  # times the limit: infinity
    beyond = (limit - 2.0 ** (spec.exp_max + way.scale)) * up
    numbers = [np.inf, factor, low, limit, factor / 16, 16 * up, 1 / up, beyond, 2.0**way.scale]
    with np.errstate(over="ignore"):  # of a register that does not overflow
        return np.array(numbers).astype(way.dtype)


def _run(ways: tuple[_Way, ...], problem: Problem) -> Codes:
    unit = problem.unit
    way = next(way for way in ways if way.unit is None or _suits(way, problem))
    lanes, shape = unit.lanes, (problem.a.shape[0], problem.b.shape[0])
    width = _VECTORS * REGISTER_BITS // np.finfo(way.dtype).bits
    scale_a, scale_b = (0, 0) if lanes > 1 else (way.scale // 2, way.scale - way.scale // 2)
    a = left(unit.element_a, problem.a, way.dtype, _ROWS, scale_a)
    b = right(unit.element_b, problem.b, way.dtype, width, scale_b)
    d = loaded(problem, way.dtype, (a.shape[0], b.shape[0] * width), way.scale)
    flags = (way.low and not way.odd, way.odd, unit.accumulator.overflow is Overflow.SATURATE)
    with threads_for(shape[0] * problem.b.size):
        _kernel(a, b, d, _numbers(unit, way), lanes if lanes > 1 else None, *(1 if flag else None for flag in flags))
    return unloaded(unit, d, shape, way.scale)


def _suits(way: _Way, problem: Problem) -> bool:
    """Tell whether c, if there is one, is zero or a multiple of the way's unit below its limit."""
    if problem.c is None:
        return True
    assert way.unit is not None
    value = values(problem.unit.accumulator.format, problem.c, np.float64, -way.unit)
    return bool(np.all(value == np.rint(value)) and np.all(np.abs(value) < 2.0 ** (way.limit - way.unit)))


def _offered(unit: DotProductUnit, register: FloatAccumulator, dtype: Any, finest: int) -> _Way | None:
    """Return a way that takes any c that is a multiple of 2**finest, or None."""
    info, spec = np.finfo(dtype), register.format
    if spec.man_bits > info.nmant - _SPARE_BITS:
        return None
    scale = int(info.maxexp) - (info.nmant - spec.man_bits) - (spec.exp_max + spec.man_bits)
    lowest = min(spec.exp_min, unit.product_exp_min)
    if spec.exp_min + spec.man_bits + scale < info.minexp or lowest + scale < int(info.minexp) - info.nmant:
        return None
    odd = not _is_innocuous(unit, register, dtype, finest)
    if (odd and dtype is np.float32) or not _fits(unit, dtype, scale):
        return None
    needed = None if finest == spec.exp_min else finest
    return _Way(dtype, scale, unit.product_exp_min < spec.exp_min, odd, needed, spec.exp_max + spec.sig_bits)


def _bounded(unit: DotProductUnit, register: FloatAccumulator) -> _Way | None:
    """Return the way of a register with as wide exponents as float32's, which neither overflows nor underflows.

    Beyond 2**(p + 1) times the largest sum of a step, p its bits, that sum is below half a unit in its last place, and
    it stays what it is.
    """
    info, spec = np.finfo(np.float32), register.format
    unit_exp, top = unit.product_exp_min, _sum_exp(unit)
    limit = top + spec.sig_bits + 2
    if unit_exp < max(spec.exp_min, int(info.minexp)) or limit > spec.exp_max + spec.man_bits:
        return None
    if limit + (info.nmant - spec.man_bits) + 2 > info.maxexp or not _fits(unit, np.float32, 0):
        return None
    if not _is_innocuous(unit, register, np.float32, unit_exp):
        return None
    return _Way(np.float32, 0, False, False, unit_exp, limit)


def _sum_bits(unit: DotProductUnit) -> int:
    """Return the bits of the significand of a product, or those of the sum of a step of several, in its finest unit."""
    a, b = unit.element_a, unit.element_b
    largest = a.max_significand * b.max_significand
    if unit.lanes > 1:
        largest *= unit.lanes << (unit.product_exp_max - unit.product_exp_min)
    return largest.bit_length()


def _sum_exp(unit: DotProductUnit) -> int:
    """Return a power of two above every sum of a step."""
    return _sum_bits(unit) + (unit.product_exp_min if unit.lanes > 1 else unit.product_exp_max)


def _is_innocuous(unit: DotProductUnit, register: FloatAccumulator, dtype: Any, finest: int) -> bool:
    """Tell whether sums can be rounded to dtype first; a register is 0 or at least 2**finest."""
    precision, spec = np.finfo(dtype).nmant + 1, register.format
    limit, top = spec.exp_max + spec.sig_bits, _sum_exp(unit)
    if max(limit, top) + 1 - min(finest, unit.product_exp_min) <= precision:
        return True
    bits = _sum_bits(unit)
    no_tie = bits <= spec.sig_bits or min(top, limit) - precision < finest
    return spec.sig_bits + max(bits, spec.sig_bits) < precision and no_tie


def _fits(unit: DotProductUnit, dtype: Any, scale: int) -> bool:
    """Tell whether operands, products and the sums of a step are exact in dtype."""
    scale_a, scale_b = (0, 0) if unit.lanes > 1 else (scale // 2, scale - scale // 2)
    exact = _sum_bits(unit) <= np.finfo(dtype).nmant + 1
    return exact and fits(unit.element_a, dtype, scale_a) and fits(unit.element_b, dtype, scale_b)


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path for a float register that rounds to nearest even, and products or sums of lanes that are exact.

    Whatever K is.
    """
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator) or not isinstance(unit.alignment, ExactAlignment) or depth < 1:
        return None
    if not compiled() or not unit.is_plain or unit.scales:
        return None
    if register.rounding is not Rounding.NEAREST_EVEN or register.result_man_bits != register.format.man_bits:
        return None
    whole = register.format.exp_min
    ways = [_offered(unit, register, np.float32, whole), _bounded(unit, register)]
    if unit.product_exp_min > whole:
        ways.insert(1, _offered(unit, register, np.float32, unit.product_exp_min))
    ways.append(_offered(unit, register, np.float64, whole))
    found = [way for way in ways if way is not None]
    last = next((at for at, way in enumerate(found) if way.unit is None), None)
    if last is None:
        return None
    found = found[: last + 1]
    way = found[0]
    name = np.dtype(way.dtype).name
    how = "rounded to odd, which no second rounding can tell" if way.odd else "which makes no tie of what is none"
    proof = (
        f"a product or sum of lanes of {_sum_bits(unit)} bits is exact in {name}; its sum with a register of "
        f"{register.format.sig_bits} bits is rounded to {np.finfo(way.dtype).nmant + 1} bits first, {how}"
    )
    size = float(np.dtype(found[-1].dtype).itemsize)
    return Path(f"{name} rounded", proof, partial(_run, tuple(found)), size, size, 2 * size)
