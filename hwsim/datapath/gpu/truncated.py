# SPDX-License-Identifier: Apache-2.0
"""Truncated alignment on the GPU: a product is cut by one multiplication toward zero into the subnormal numbers.

A subnormal float is an integer times the smallest one. So a product scaled to have that integer's unit at the last
place that alignment keeps, and rounded toward zero, is the addend; float sums of addends are exact as long as they are
below two to the digits of a significand; and the bits of such a sum are its integer.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_two
from hwsim.datapath.decode import decode_register, point_bits
from hwsim.datapath.gpu.intrinsics import DOUBLE, SIDE, SINGLE, THREADS, TILE, Real, add_max
from hwsim.datapath.gpu.operands import TABLE_BITS, Side, entry, grid_of, no_codes, table_of, take, take_scales, values
from hwsim.datapath.plan import plan, register_packing
from hwsim.datapath.round_pack import Packing, pack_float, packing
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, TruncatedAlignment
from hwsim.formats import FloatSpec, Rounding
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, code_dtype

__all__ = [
    "Cut",
    "cut",
    "run_truncated",
]

_U = np.uint32  # an index that cannot be negative needs no test for it
_NOTHING = -8192  # exponent of a zero: the sum of two, and of one with any exponent, is below all others and fits 16 bits


class Cut(NamedTuple):
    """A unit as the kernel takes it; all its numbers are constants when it is compiled."""

    single: bool  # float32, else float64
    width: int  # places of a step: the lanes, made even
    scaled: bool
    exp_floor: int
    fraction_bits: int
    register_left: int
    register_right: int
    fused: bool
    low: int  # an exponent below is that of no product: all are zero
    high: int  # above it all are cut to zero
    lift: int  # b is multiplied by 2**-lift
    pack: Packing
    fields: tuple[int, int, int]  # exponent bits, mantissa bits and bias of the register
    promote: int  # steps between two additions to the second register; 0: there is none
    outer: Packing
    outer_fields: tuple[int, int, int]


def _fields(accumulator: FloatAccumulator) -> tuple[int, int, int]:
    return accumulator.format.exp_bits, accumulator.format.man_bits, accumulator.format.bias


def _register_packing(accumulator: FloatAccumulator) -> Packing:
    rules = (accumulator.rounding, accumulator.overflow, accumulator.result_man_bits, accumulator.nan_code)
    return packing(accumulator.format, *rules)


@lru_cache(maxsize=256)
def cut(unit: DotProductUnit) -> Cut | None:
    """Return the kernel's form of a unit in float32 if that loses nothing, else in float64, else None.

    """
    inner, alignment = unit.inner, unit.alignment
    if not isinstance(alignment, TruncatedAlignment) or not isinstance(unit.accumulator, FloatAccumulator):
        return None
    if not isinstance(unit.register, FloatAccumulator) or max(unit.register.bits, unit.accumulator.bits) > 32:
        return None
    odd = unit.register.flush or unit.register.signed_zero or unit.register.rounding is Rounding.STOCHASTIC
    if not inner.is_plain or odd or unit.flush_operands or unit.sparsity:
        return None
    if max(unit.element_a.bits, unit.element_b.bits) > TABLE_BITS:
        return None
    how = plan(inner)
    for real in (SINGLE, DOUBLE):
        limits = _limits(inner, alignment, real)
        if limits is not None:
            return Cut(
                single=real is SINGLE,
                width=unit.lanes + unit.lanes % 2,
                scaled=bool(unit.scales),
                exp_floor=alignment.exp_floor,
                fraction_bits=alignment.fraction_bits,
                register_left=how.register_left,
                register_right=how.register_right,
                fused=alignment.with_accumulator,
                low=limits[0],
                high=limits[1],
                lift=limits[2],
                pack=register_packing(inner),
                fields=_fields(unit.accumulator),
                promote=unit.promotion.length // unit.lanes if unit.promotion else 0,
                outer=_register_packing(unit.register),
                outer_fields=_fields(unit.register),
            )
    return None


def _limits(unit: DotProductUnit, alignment: TruncatedAlignment, real: Real) -> tuple[int, int, int] | None:
    """Return low, high and lift of a `Cut`, or None where a float type cannot do it."""
    a, b, fraction_bits = unit.element_a, unit.element_b, alignment.fraction_bits
    how = plan(unit)
    factors = 1
    for spec in unit.scales:
        factors *= spec.max_significand
    largest = (unit.product_max * factors << how.cut_left >> how.cut_right) + 1
    if (unit.product_max * factors).bit_length() > real.digits or largest * unit.lanes >= 1 << real.digits:
        return None
    scale_low = -sum(spec.man_bits for spec in unit.scales)  # exponents of the scales' last places and of their ends,
    scale_high = len(unit.scales)  # both are taken without their leading exponents
    low = a.exp_min + point_bits(a) + b.exp_min + point_bits(b)
    high = a.exp_max + point_bits(a) + b.exp_max + point_bits(b) + fraction_bits + scale_high + 3
    a_end = a.exp_max + a.max_significand.bit_length()
    b_end = b.exp_max + b.max_significand.bit_length()
    if max(abs(low), abs(high)) > -_NOTHING // 4:
        return None
    # The power 2**(fraction_bits + last_exp + lift - e) is normal for e in low..high, and a times it loses nothing.
    least = max(
        real.exp_low - scale_low + high - fraction_bits - real.last_exp,
        high - fraction_bits - a.exp_min - scale_low,
        b_end - real.exp_high,
    )
    most = min(
        real.exp_high - scale_high + low - fraction_bits - real.last_exp,
        real.exp_high - a_end - scale_high + low - fraction_bits - real.last_exp,
        b.exp_min - real.last_exp,
    )
    return (low, high, (least + most) // 2) if least <= most else None


@lru_cache(maxsize=64)
def _kernel(how: Cut) -> Any:
    real = SINGLE if how.single else DOUBLE
    dtype, multiply, power, code_of = real.dtype, real.multiply, real.power, real.code
    magnitude = (1 << (8 * np.dtype(dtype).itemsize - 1)) - 1
    infinity = (2 * real.exp_high + 1) << real.man_bits
    offset = how.fraction_bits + real.last_exp + how.lift
    width, half, scaled, fused, promote = how.width, how.width // 2, how.scaled, how.fused, how.promote
    low, high, exp_floor, fraction_bits = how.low, how.high, how.exp_floor, how.fraction_bits
    left, right, pack, outer_pack = how.register_left, how.register_right, how.pack, how.outer
    exp_bits, man_bits, bias = how.fields
    outer_exp_bits, outer_man_bits, outer_bias = how.outer_fields
    nothing = (2 * _NOTHING & 0xFFFF) | (2 * _NOTHING << 16)

    single_of = real.single
    # Toward zero into float32, a normal result is the float of the sum, cut, with another exponent.
    short = fused and pack.rounding == Rounding.TOWARD_ZERO.index and how.fields == (8, 23, 127)
    kept = -1 << pack.dropped_bits

    @cuda.jit(device=True)
    def step(register: int, bits: int, largest: int) -> int:
        """Add the products' sum, of which these are the bits, and the register, and round."""
        sig, exponent, special = decode_register(register, exp_bits, man_bits, bias)
        total = bits & magnitude
        if total >= infinity:
            special |= NAN if total > infinity else NEGATIVE_INFINITY if bits < 0 else POSITIVE_INFINITY
        total = -total if bits < 0 else total
        unit = largest - fraction_bits
        if fused:
            addend = (abs(sig) << left) >> min(largest - exponent - man_bits + right, 63)
            total += addend if sig >= 0 else -addend
            if short and special == 0:
                code = single_of(total)
                if total == 0:
                    return 0
                if 0 < ((code >> 23) & 255) + unit < 255:
                    return (code & kept) + (unit << 23)
        else:
            total, unit = add_two(total, unit, sig, exponent)
        return pack_float(pack, total, unit, special)

    def kernel(
        x: Any, x_exp: Any, x_scale: Any, x_lead: Any, y: Any, y_exp: Any, y_scale: Any, y_lead: Any, c: Any, out: Any
    ) -> None:
        xs = cuda.shared.array((width, SIDE), dtype)
        ys = cuda.shared.array((width, SIDE), dtype)
        xe = cuda.shared.array((half, SIDE), np.int32)
        ye = cuda.shared.array((half, SIDE), np.int32)
        top = cuda.local.array((TILE, TILE), np.int32)
        factor = cuda.local.array((TILE, TILE), dtype)
        total = cuda.local.array((TILE, TILE), dtype)
        register = cuda.local.array((TILE, TILE), np.uint32)
        outer = cuda.local.array((TILE, TILE), np.uint32)
        tx, ty = _U(cuda.threadIdx.x), _U(cuda.threadIdx.y)
        row0, column0 = _U(cuda.blockIdx.y * SIDE), _U(cuda.blockIdx.x * SIDE)
        thread = cuda.threadIdx.y * THREADS + cuda.threadIdx.x
        for i in range(TILE):
            for j in range(TILE):
                row, column = row0 + ty + _U(i * THREADS), column0 + tx + _U(j * THREADS)
                start = np.uint32(0)
                if c.shape[0] > row and c.shape[1] > column:
                    start = np.uint32(c[row, column])
                outer[i, j] = start
                register[i, j] = np.uint32(0) if promote else start
        steps = x.shape[0] // width
        for at in range(steps):
            cuda.syncthreads()
            for place in range(thread, width * SIDE, THREADS * THREADS):
                k, r = _U(place // SIDE), _U(place % SIDE)
                xs[k, r] = x[_U(at * width) + k, row0 + r]
                ys[k, r] = y[_U(at * width) + k, column0 + r]
            for place in range(thread, half * SIDE, THREADS * THREADS):
                k, r = _U(place // SIDE), _U(place % SIDE)
                xe[k, r] = x_exp[_U(at * half) + k, row0 + r]
                ye[k, r] = y_exp[_U(at * half) + k, column0 + r]
            cuda.syncthreads()
            for i in range(TILE):
                for j in range(TILE):
                    top[i, j] = nothing
            for k in range(_U(half)):
                for i in range(TILE):
                    for j in range(TILE):
                        top[i, j] = add_max(xe[k, ty + _U(i * THREADS)], ye[k, tx + _U(j * THREADS)], top[i, j])
            for i in range(TILE):
                for j in range(TILE):
                    largest = max(top[i, j] >> 16, np.int32(top[i, j] << 16) >> 16)
                    lead = 0
                    scale = dtype(1)
                    if scaled:
                        scale = x_scale[at, row0 + ty + _U(i * THREADS)] * y_scale[at, column0 + tx + _U(j * THREADS)]
                        lead = x_lead[at, row0 + ty + _U(i * THREADS)] + y_lead[at, column0 + tx + _U(j * THREADS)]
                        largest = largest + lead if scale != 0 else exp_floor
                    if fused:
                        sig, exponent, _ = decode_register(np.int64(register[i, j]), exp_bits, man_bits, bias)
                        if sig != 0:
                            largest = max(largest, exponent + man_bits)
                    largest = max(largest, exp_floor)
                    top[i, j] = largest
                    factor[i, j] = scale * power(offset - min(max(largest - lead, low), high))
                    total[i, j] = dtype(0)
            for k in range(_U(width)):
                for i in range(TILE):
                    value = xs[k, ty + _U(i * THREADS)]
                    for j in range(TILE):
                        total[i, j] += multiply(value * factor[i, j], ys[k, tx + _U(j * THREADS)])
            for i in range(TILE):
                for j in range(TILE):
                    bits = code_of(total[i, j])
                    register[i, j] = np.uint32(step(np.int64(register[i, j]), bits, np.int64(top[i, j])) & 0xFFFFFFFF)
            if promote and ((at + 1) % promote == 0 or at == steps - 1):
                for i in range(TILE):
                    for j in range(TILE):
                        sig, exponent, special = decode_register(np.int64(register[i, j]), exp_bits, man_bits, bias)
                        sig_o, exponent_o, special_o = decode_register(
                            np.int64(outer[i, j]), outer_exp_bits, outer_man_bits, outer_bias
                        )
                        added, unit = add_two(sig, exponent, sig_o, exponent_o)
                        outer[i, j] = np.uint32(pack_float(outer_pack, added, unit, special | special_o))
                        register[i, j] = np.uint32(0)
        for i in range(TILE):
            for j in range(TILE):
                row, column = row0 + ty + _U(i * THREADS), column0 + tx + _U(j * THREADS)
                if row < out.shape[0] and column < out.shape[1]:
                    out[row, column] = outer[i, j] if promote else register[i, j]

    return cuda.jit(kernel)


def _exponents(side: Side, table: NDArray[np.int64], rows: int) -> Any:
    """Return exponents of the products' places, two neighbours of K in a word."""
    single = take(side, table.astype(np.int32), rows)
    pairs = cuda.device_array((single.shape[0] // 2, rows), np.int32)
    _pair_kernel[grid_of(pairs.size), 256](single, pairs)
    return pairs


@cuda.jit
def _pair_kernel(single: Any, pairs: Any) -> None:
    at = cuda.grid(1)
    if at < pairs.shape[0] * pairs.shape[1]:
        k, row = at // pairs.shape[1], at % pairs.shape[1]
        pairs[k, row] = (single[2 * k, row] & 0xFFFF) | (single[2 * k + 1, row] << 16)


def run_truncated(unit: DotProductUnit, how: Cut, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; a special makes its own way, as that of the float type, to the sum of its step."""
    real = SINGLE if how.single else DOUBLE
    args: list[Any] = []
    for side, spec, scale, lift in (
        (x, unit.element_a, unit.scale_a, 0),
        (y, unit.element_b, unit.scale_b, -how.lift),
    ):
        rows = -(-side.rows // SIDE) * SIDE
        known = entry(spec)
        lead = np.where(known.significand == 0, _NOTHING, known.exponent + point_bits(spec))
        args.append(take(side, values(known, real.dtype, lift, special=True), rows))
        args.append(_exponents(side, lead, rows))
        if how.scaled:
            factor, exponent = _scale_tables(unit, scale, real.dtype)
            args.append(take_scales(side, factor, rows))
            args.append(take_scales(side, exponent, rows))
        else:
            args.append(table_of(np.ones((1, 1), real.dtype)))
            args.append(table_of(np.zeros((1, 1), np.int32)))
    out = cuda.device_array((x.rows, y.rows), code_dtype(unit.register.bits))
    start = no_codes(out.dtype) if c is None else c
    grid = (-(-y.rows // SIDE), -(-x.rows // SIDE))
    _kernel(how)[grid, (THREADS, THREADS)](*args, start, out)
    return out


def _scale_tables(unit: DotProductUnit, spec: FloatSpec | None, dtype: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return the scales in [0, 2) and the exponents that go with them; the last entry is 1."""
    if spec is None:
        return np.ones(1, dtype), np.zeros(1, np.int32)
    parts = entry(spec)
    factor = values(parts._replace(exponent=np.full_like(parts.exponent, -spec.man_bits)), dtype, special=True)
    factor[-1] = 1
    exponent = parts.exponent + spec.man_bits
    exponent[-1] = 0
    return factor, exponent.astype(np.int32)
