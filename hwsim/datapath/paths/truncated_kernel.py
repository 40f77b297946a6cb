# SPDX-License-Identifier: Apache-2.0
"""The step of a tensor core for 64 columns: exponents first, then products cut and summed, then the register."""

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from hwsim.datapath.simd import (
    add,
    bit_and,
    bit_or,
    bit_xor,
    bitcast,
    compare_eq,
    compare_le,
    compare_lt,
    convert,
    load,
    maximum,
    minimum,
    mul,
    select,
    shift_left,
    shift_right,
    splat,
    sub,
    sub_saturating,
)
from hwsim.datapath.tiles import tile_load, tile_store
from hwsim.datapath.vectors import Tile, Vec, call_llvm, elementwise, intrinsic

__all__ = [
    "COLUMNS",
    "FIELD_SHIFT",
    "NO_LEAD",
    "Cut",
    "Flag",
    "narrow_kernel",
    "wide_kernel",
]

COLUMNS = 64
"""Columns of a panel."""

NO_LEAD = -(1 << 20)
"""The exponent of a scale that is zero: below any other."""

FIELD_SHIFT = 100
"""Wide significands are kept times 2**(FIELD_SHIFT / 2), so that a scale's exponent field can end at zero."""

_ROWS = 32  # rows that share the operands of a step while they are in the first cache


Flag = int | None
"""1, or None for a no: of a type of its own, so that kernels are compiled for it and branch nowhere."""


class Cut(NamedTuple):
    """A unit as the kernels take it."""

    lanes: int
    chunk: int  # lanes whose cut products an int32 sums
    parted: Flag  # whether those are not all
    fraction_bits: int
    top: int  # the largest sum of two operands' exponents
    most: int  # how far below it that sum can be
    floor: int  # at least the unit's own, and no addend other than zero has an exponent below
    apart: Flag  # whether a gap of all ones is not enough to bring an exponent below any other
    scaled: Flag  # whether there are block scales
    a_steps: int  # that share a scale of a
    b_steps: int
    direct: Flag  # whether the register is a float32 rounded toward zero
    long: Flag  # whether the sum of a step may be 2**24 or more
    carries: Flag  # whether it may be 2**31 or more
    fine: Flag  # whether products may have bits below the last place of a float32
    exp_low: int  # exponent of the register's subnormals
    man_bits: int  # kept ones
    nearest: Flag  # to nearest even, or toward zero
    largest: int  # float32 bits of the register's largest finite number
    beyond: int  # of what is larger


@intrinsic(prefer_literal=True)
def _split(_context: Any, x: Any, vectors: Any) -> Any:
    """Return a Vec as a Tile of one row of shorter ones."""
    if not isinstance(x, Vec) or not isinstance(vectors, types.IntegerLiteral):
        return None
    count = x.count // vectors.literal_value
    tile = Tile(Vec(x.dtype, count), 1, vectors.literal_value)

    def codegen(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        out = ir.Constant(tile.llvm, ir.Undefined)
        for at in range(tile.vectors):
            places = list(range(at * count, (at + 1) * count))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), count), places)
            out = builder.insert_value(out, builder.shuffle_vector(values[0], values[0], mask), at)
        return out

    return tile(x, vectors), codegen


@intrinsic
def _leading_zeros(_context: Any, x: Any) -> Any:
    """Return how many zeros stand before the first one; 32 for a zero."""

    def emit(builder: Any, value: Any) -> Any:
        return call_llvm(builder, "llvm.ctlz", value.type, [value, ir.Constant(ir.IntType(1), 0)])

    return elementwise((x,), emit)


@numba.njit(forceinline=True)
def _ones(x: Any) -> Any:
    """Return ones of the shape of x."""
    return bit_or(bit_and(x, 0), 1)


@numba.njit(forceinline=True)
def _power(exponent: Any) -> Any:
    """Return 2**exponent as float32: 0 from -127 on down, 2**120 from there on up."""
    return bitcast(shift_left(maximum(minimum(add(exponent, 127), 247), 0), 23), np.float32)


@numba.njit(forceinline=True)
def _largest_lead(cut: Cut, gap: Any, shift: Any, bits: Any) -> Any:
    """Return the exponent to which all addends of a step go, of the least gap below `top` and the register."""
    distance = convert(_split(gap, 4), np.int32)
    products = add(sub(cut.top, distance), shift)
    if cut.apart is not None:
        products = select(compare_le(distance, cut.most), products, cut.floor)
    magnitude = bit_and(bits, 0x7FFFFFFF)
    exponent = maximum(sub(shift_right(magnitude, 23), 127), cut.exp_low)
    register = select(compare_eq(magnitude, 0), cut.floor, exponent)
    return maximum(maximum(products, register), cut.floor)


@numba.njit(forceinline=True)
def _cut_register(cut: Cut, lead: Any, bits: Any) -> Any:
    """Return the register in units of the last kept place, cut toward zero."""
    magnitude = bit_and(bits, 0x7FFFFFFF)
    field = maximum(shift_right(magnitude, 23), 1)
    significand = sub(magnitude, shift_left(sub(field, 1), 23))
    places = add(sub(lead, field), 127 + max(23 - cut.fraction_bits, 0))
    places = minimum(bitcast(places, np.uint32), 31)  # negative, thus huge, for a zero alone
    kept = shift_right(shift_left(significand, max(cut.fraction_bits - 23, 0)), bitcast(places, np.int32))
    sign = shift_right(bits, 31)
    return sub(bit_xor(kept, sign), sign)


@numba.njit(forceinline=True)
def _scaled(cut: Cut, value: Any, lead: Any) -> Any:
    """Return the bits of the float32 value in units of the last kept place: exact, or of an infinity.

    The unit, 2**-250 or more by the proof of the path, a step of zeros included, is the product of two powers of two:
    their exponent fields are in 2..247, so that neither is a zero, an infinity or a NaN.
    """
    unit = minimum(sub(lead, cut.fraction_bits), 240)
    first = shift_left(add(shift_right(unit, 1), 127), 23)
    second = sub(shift_left(add(unit, 254), 23), first)
    return bitcast(mul(mul(value, bitcast(first, np.float32)), bitcast(second, np.float32)), np.int32)


@numba.njit(forceinline=True)
def _negative(cut: Cut, low: Any, high: Any) -> Any:
    """Return -1 where a sum is negative, else 0: `low` is the sum modulo 2**32, and `high` a quarter of it."""
    sign = shift_right(low, 31)
    if cut.carries is not None:  # a large sum has the sign of its quarter, a small one its own
        return select(compare_lt(1 << 27, high), 0, select(compare_lt(high, -(1 << 27)), -1, sign))
    return sign


@numba.njit(forceinline=True)
def _signed(value: Any, negative: Any, bits: Any) -> Any:
    """Return magnitudes' bits with their sign, but a zero without, and an infinity that the register was."""
    value = select(compare_eq(value, 0), 0, bit_or(value, bit_and(negative, -(1 << 31))))
    return bitcast(select(compare_le(0x7F800000, bit_and(bits, 0x7FFFFFFF)), bits, value), np.float32)


@numba.njit(forceinline=True)
def _toward_zero(cut: Cut, low: Any, high: Any, lead: Any, bits: Any) -> Any:
    """Return the float32 register: the sum toward zero, `man_bits` kept."""
    negative = _negative(cut, low, high)
    magnitude = sub(bit_xor(low, negative), negative)
    if cut.fine is not None:
        places = minimum(maximum(sub(cut.fraction_bits - 149, lead), 0), 31)
        kept = shift_right(bitcast(magnitude, np.uint32), bitcast(places, np.uint32))
        magnitude = shift_left(bitcast(kept, np.int32), places)
    if cut.carries is not None:
        whole = bitcast(magnitude, np.uint32)
        value = convert(whole, np.float32)
        up = compare_lt(whole, convert(value, np.uint32))
        value = bitcast(sub(bitcast(value, np.int32), convert(up, np.int32)), np.float32)
    else:
        value = convert(magnitude, np.float32)
        if cut.long is not None:
            up = compare_lt(magnitude, convert(value, np.int32))
            value = bitcast(sub(bitcast(value, np.int32), convert(up, np.int32)), np.float32)
    return _signed(bit_and(_scaled(cut, value, lead), -(1 << (23 - cut.man_bits))), negative, bits)


@numba.njit(forceinline=True)
def _rounded(cut: Cut, low: Any, high: Any, lead: Any, bits: Any) -> Any:
    """Return the register, of any format, as the float32 of its value."""
    negative = _negative(cut, low, high)
    magnitude = bitcast(sub(bit_xor(low, negative), negative), np.uint32)
    first = sub(31, bitcast(_leading_zeros(magnitude), np.int32))
    dropped = maximum(sub(first, cut.man_bits), sub(cut.exp_low - cut.man_bits + cut.fraction_bits, lead))
    places = bitcast(minimum(maximum(dropped, 0), 31), np.uint32)
    if cut.nearest is not None:
        half = shift_right(shift_left(_ones(places), places), 1)
        odd = bit_and(shift_right(magnitude, places), 1)
        more = maximum(bitcast(sub(add(half, odd), 1), np.int32), 0)
        magnitude = add(magnitude, bitcast(more, np.uint32))
    magnitude = shift_left(shift_right(magnitude, places), places)
    value = _scaled(cut, convert(magnitude, np.float32), lead)
    return _signed(select(compare_lt(cut.largest, value), cut.beyond, value), negative, bits)


@numba.njit(forceinline=True)
def _next(cut: Cut, low: Any, high: Any, lead: Any, bits: Any) -> Any:
    """Return the register after the products' sum."""
    kept = _cut_register(cut, lead, bits)
    low, high = add(low, kept), add(high, shift_right(kept, 2))
    if cut.direct is not None:
        return _toward_zero(cut, low, high, lead, bits)
    return _rounded(cut, low, high, lead, bits)


@numba.njit(forceinline=True)
def _narrow_sum(a: Any, line: int, at: int, b: Any, right: int, factor: Any, count: int) -> Any:
    """Return the sum of `count` products, each in units of the last kept place and cut."""
    total = bit_and(bitcast(factor, np.int32), 0)
    for k in range(count):
        values = mul(tile_load(b, right + k * COLUMNS, 0, 1, 4, 16), a[line, at + k])
        total = add(total, convert(mul(values, factor), np.int32))
    return total


@numba.njit(cache=True, parallel=True)
def narrow_kernel(
    cut: Cut,
    a: NDArray[np.float32],
    a_gap: NDArray[np.uint32],
    b: NDArray[np.float32],
    b_gap: NDArray[np.uint8],
    a_scale: tuple[NDArray[np.int32], NDArray[np.float32]],
    b_scale: tuple[NDArray[np.int32], NDArray[np.float32]],
    registers: NDArray[np.float32],
) -> None:
    """Add products of values to the registers; unchecked. The panels of b and the registers are 64 columns wide.

    Gaps are bytes, those of a four times in an integer: a load then spreads it over a vector.
    """
    panels, rows, _ = registers.shape
    lanes = cut.lanes
    length = a.shape[0] // rows * lanes
    blocks = (rows + _ROWS - 1) // _ROWS
    for task in numba.prange(panels * blocks):
        panel, begin = task // blocks, task % blocks * _ROWS
        for at in range(0, length, lanes):
            right = (panel * length + at) * COLUMNS
            for row in range(begin, min(begin + _ROWS, rows)):
                line = at // lanes * rows + row
                gap = splat(255, np.uint8, COLUMNS)
                for k in range(lanes):
                    of_a = bitcast(splat(a_gap[line, k], np.uint32, 16), np.uint8)
                    gap = minimum(gap, add(load(b_gap, right + k * COLUMNS, COLUMNS), of_a))
                gap = select(compare_le(gap, min(cut.most, 254)), gap, 255)
                place = (panel * rows + row) * COLUMNS
                bits = bitcast(tile_load(registers, place, 0, 1, 4, 16), np.int32)
                shift = sub(bits, bits)
                block = at // lanes // cut.a_steps
                of_b = (panel * b_scale[0].shape[1] + at // lanes // cut.b_steps) * COLUMNS
                if cut.scaled is not None:
                    shift = add(tile_load(b_scale[0], of_b, 0, 1, 4, 16), a_scale[0][row, block])
                lead = _largest_lead(cut, gap, shift, bits)
                factor = _power(add(sub(cut.fraction_bits, lead), shift))
                if cut.scaled is not None:
                    factor = mul(factor, mul(tile_load(b_scale[1], of_b, 0, 1, 4, 16), a_scale[1][row, block]))
                low = _narrow_sum(a, line, 0, b, right, factor, min(lanes, cut.chunk))
                high = shift_right(low, 2)
                if cut.parted is not None:
                    for first in range(cut.chunk, lanes, cut.chunk):
                        count = min(cut.chunk, lanes - first)
                        part = _narrow_sum(a, line, first, b, right + first * COLUMNS, factor, count)
                        low, high = add(low, part), add(high, shift_right(part, 2))
                tile_store(registers, place, 0, _next(cut, low, high, lead, bits))


@numba.njit(forceinline=True)
def _wide_sum(left: Any, line: int, at: int, right: Any, begin: int, start: Any, count: int) -> Any:
    """Return the sum of `count` products, whose scales are `start` less the gaps of both operands."""
    total = bitcast(bit_and(start, 0), np.int32)
    for k in range(count):
        of_a = bitcast(splat(left[1][line, at + k] << np.uint32(23), np.uint32, 16), np.uint16)
        of_b = bitcast(tile_load(right[1], begin + k * COLUMNS, 0, 1, 4, 16), np.uint16)
        factor = bitcast(sub_saturating(sub_saturating(start, of_a), of_b), np.float32)
        values = mul(tile_load(right[0], begin + k * COLUMNS, 0, 1, 4, 16), left[0][line, at + k])
        total = add(total, convert(mul(values, factor), np.int32))
    return total


@numba.njit(cache=True, parallel=True)
def wide_kernel(
    cut: Cut,
    a: NDArray[np.float32],
    a_gap: NDArray[np.uint32],
    b: NDArray[np.float32],
    b_gap: NDArray[np.uint16],
    b_field: NDArray[np.uint32],
    registers: NDArray[np.float32],
) -> None:
    """Add products of significands, whose exponents are the gaps; unchecked. `b_field` is b_gap, left by 23 places."""
    panels, rows, _ = registers.shape
    lanes = cut.lanes
    length = a.shape[0] // rows * lanes
    blocks = (rows + _ROWS - 1) // _ROWS
    for task in numba.prange(panels * blocks):
        panel, begin = task // blocks, task % blocks * _ROWS
        for at in range(0, length, lanes):
            right = (panel * length + at) * COLUMNS
            for row in range(begin, min(begin + _ROWS, rows)):
                line = at // lanes * rows + row
                gap = splat(0xFFFF, np.uint16, COLUMNS)
                for k in range(lanes):
                    gap = minimum(gap, add(load(b_gap, right + k * COLUMNS, COLUMNS), a_gap[line, k]))
                place = (panel * rows + row) * COLUMNS
                bits = bitcast(tile_load(registers, place, 0, 1, 4, 16), np.int32)
                lead = _largest_lead(cut, gap, sub(bits, bits), bits)
                field = sub(cut.top + cut.fraction_bits + 127 - FIELD_SHIFT, lead)
                start = bitcast(shift_left(minimum(maximum(field, 0), 511), 23), np.uint16)
                low = _wide_sum((a, a_gap), line, 0, (b, b_field), right, start, min(lanes, cut.chunk))
                high = shift_right(low, 2)
                if cut.parted is not None:
                    for first in range(cut.chunk, lanes, cut.chunk):
                        count, of_b = min(cut.chunk, lanes - first), right + first * COLUMNS
                        part = _wide_sum((a, a_gap), line, first, (b, b_field), of_b, start, count)
                        low, high = add(low, part), add(high, shift_right(part, 2))
                tile_store(registers, place, 0, _next(cut, low, high, lead, bits))
