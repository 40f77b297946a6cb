# SPDX-License-Identifier: Apache-2.0
"""Truncated alignment on the GPU: a product is cut by one multiplication toward zero into the subnormal numbers.

A subnormal float is an integer times the smallest one. So a product scaled to have that integer's unit at the last
place that alignment keeps, and rounded toward zero, is the addend; float sums of addends are exact as long as they are
below two to the digits of a significand; and the bits of such a sum are its integer.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_two
from hwsim.datapath.decode import decode_register, point_bits
from hwsim.datapath.gpu.cut import NOTHING, Cut
from hwsim.datapath.gpu.intrinsics import DOUBLE, SINGLE, add_max
from hwsim.datapath.gpu.operands import Side, entry, grid_of, no_codes, take, take_scales, values
from hwsim.datapath.gpu.reals import SIDE, cuda
from hwsim.datapath.gpu.tiles import OUTPUTS, across, down, grid_for, load_tile, padded, start_of, store
from hwsim.datapath.round_pack import pack_float
from hwsim.datapath.unit import DotProductUnit, ScalarSpec
from hwsim.formats import FloatSpec, Rounding, Unpacked
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, code_dtype

__all__ = [
    "run_truncated",
]

_PAIRS = 16  # of K in shared memory at a time: 40 KiB in float64, of the 48 that every GPU has
_BOTH_NOTHING = (2 * NOTHING & 0xFFFF) | (2 * NOTHING << 16)


@lru_cache(maxsize=64)
def _add_step(how: Cut) -> Any:
    """Return a device function that adds a step's products to the register."""
    real = SINGLE if how.single else DOUBLE
    magnitude = (1 << (8 * np.dtype(real.dtype).itemsize - 1)) - 1
    infinity = (2 * real.exp_high + 1) << real.man_bits
    left, right, fused, fraction_bits = how.register_left, how.register_right, how.fused, how.fraction_bits
    pack = how.pack
    exp_bits, man_bits, bias = how.fields
    single_of = real.single
    # Toward zero into float32, a normal result is the float of the sum, cut, with another exponent.
    short = fused and pack.rounding == Rounding.TOWARD_ZERO.index and how.fields == (8, 23, 127)
    kept = -1 << pack.dropped_bits

    @cuda.jit(device=True)
    def add_step(register: Any, bits: Any, largest: Any) -> Any:
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

    return add_step


@lru_cache(maxsize=64)
def _promote(how: Cut) -> Any:
    """Return a device function that adds the first register to the second."""
    exp_bits, man_bits, bias = how.fields
    outer_exp_bits, outer_man_bits, outer_bias = how.outer_fields
    pack = how.outer

    @cuda.jit(device=True)
    def promote(outer: Any, register: Any) -> Any:
        sig, exponent, special = decode_register(register, exp_bits, man_bits, bias)
        outer_sig, outer_exponent, outer_special = decode_register(outer, outer_exp_bits, outer_man_bits, outer_bias)
        total, unit = add_two(sig, exponent, outer_sig, outer_exponent)
        return pack_float(pack, total, unit, special | outer_special)

    return promote


@lru_cache(maxsize=64)
def _align(how: Cut) -> Any:
    """Return a device function that gives a step's largest exponent."""
    exp_floor, fused = how.exp_floor, how.fused
    exp_bits, man_bits, bias = how.fields

    @cuda.jit(device=True)
    def align(pair: Any, register: Any, lead: Any, scale: Any) -> Any:
        """Return that of the products, scales included where they are not zero, and of the register."""
        largest = max(pair >> 16, np.int32(pair << 16) >> 16) + lead if scale != 0 else exp_floor
        if fused:
            sig, exponent, _ = decode_register(register, exp_bits, man_bits, bias)
            if sig != 0:
                largest = max(largest, exponent + man_bits)
        return max(largest, exp_floor)

    return align


@lru_cache(maxsize=64)
def _kernel(how: Cut) -> Any:
    real = SINGLE if how.single else DOUBLE
    dtype, multiply, power, code_of = real.dtype, real.multiply, real.power, real.code
    offset = how.fraction_bits + real.last_exp + how.lift
    width, half, scaled, every, low, high = how.width, how.width // 2, how.scaled, how.promote, how.low, how.high
    chunk = min(half, _PAIRS)
    deep = 2 * chunk
    align, add_step, promote = _align(how), _add_step(how), _promote(how)

    def kernel(x: Any, x_exp: Any, y: Any, y_exp: Any, steps: int, c: Any, out: Any) -> None:
        xs = cuda.shared.array((deep, SIDE), dtype)
        ys = cuda.shared.array((deep, SIDE), dtype)
        xe = cuda.shared.array((chunk, SIDE), np.int32)
        ye = cuda.shared.array((chunk, SIDE), np.int32)
        top = cuda.local.array(OUTPUTS, np.int32)
        factor = cuda.local.array(OUTPUTS, dtype)
        total = cuda.local.array(OUTPUTS, dtype)
        register = cuda.local.array(OUTPUTS, np.uint32)
        outer = cuda.local.array(OUTPUTS, np.uint32)
        row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
        for o in range(OUTPUTS):
            outer[o] = np.uint32(start_of(c, o))
            register[o] = np.uint32(0) if every else outer[o]
        for at in range(steps):
            for o in range(OUTPUTS):
                top[o] = _BOTH_NOTHING
            for begin in range(0, half, chunk):
                many = min(chunk, half - begin)
                cuda.syncthreads()
                load_tile(xe, x_exp, at * half + begin, many, row)
                load_tile(ye, y_exp, at * half + begin, many, column)
                cuda.syncthreads()
                for k in range(np.uint32(many)):
                    for o in range(OUTPUTS):
                        top[o] = add_max(xe[k, down(o)], ye[k, across(o)], top[o])
            for o in range(OUTPUTS):
                lead = 0
                scale = dtype(1)
                if scaled:  # they stand behind the elements
                    scale = x[steps * width + at, row + down(o)] * y[steps * width + at, column + across(o)]
                    lead = x_exp[steps * half + at, row + down(o)] + y_exp[steps * half + at, column + across(o)]
                top[o] = align(top[o], np.int64(register[o]), lead, scale)
                factor[o] = scale * power(offset - min(max(top[o] - lead, low), high))
                total[o] = dtype(0)
            for begin in range(0, width, deep):
                many = min(deep, width - begin)
                cuda.syncthreads()
                load_tile(xs, x, at * width + begin, many, row)
                load_tile(ys, y, at * width + begin, many, column)
                cuda.syncthreads()
                for k in range(np.uint32(many)):
                    for o in range(OUTPUTS):
                        total[o] += multiply(xs[k, down(o)] * factor[o], ys[k, across(o)])
            for o in range(OUTPUTS):
                register[o] = np.uint32(
                    add_step(np.int64(register[o]), code_of(total[o]), np.int64(top[o])) & 0xFFFFFFFF
                )
            if every and ((at + 1) % every == 0 or at == steps - 1):
                for o in range(OUTPUTS):
                    outer[o] = np.uint32(promote(np.int64(outer[o]), np.int64(register[o])))
                    register[o] = np.uint32(0)
        for o in range(OUTPUTS):
            store(out, o, outer[o] if every else register[o])

    return cuda.jit(kernel)


@cuda.jit
def _pair_kernel(single: Any, pairs: Any, count: int) -> None:
    """Put two neighbours of K into a word; what is behind them is copied."""
    at = cuda.grid(1)
    if at < pairs.shape[0] * pairs.shape[1]:
        k, row = at // pairs.shape[1], at % pairs.shape[1]
        if k < count:
            pairs[k, row] = (single[2 * k, row] & 0xFFFF) | (single[2 * k + 1, row] << 16)
        else:
            pairs[k, row] = single[k + count, row]


def run_truncated(unit: DotProductUnit, how: Cut, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; a special makes its own way, as that of the float type, to the sum of its step."""
    left = _operand(how, x, entry(unit.element_a, unit.unpacked), unit.inner.element_a, unit.scale_a, 0)
    right = _operand(how, y, entry(unit.element_b, unit.unpacked), unit.inner.element_b, unit.scale_b, -how.lift)
    out = cuda.device_array((x.rows, y.rows), code_dtype(unit.register.bits))
    start = no_codes(out.dtype) if c is None else c
    steps = x.source.shape[0] // how.width
    _kernel(how)[grid_for(x.rows, y.rows)](*left, *right, steps, start, out)
    return out


def _operand(
    how: Cut, side: Side, known: Unpacked, spec: ScalarSpec, scale: FloatSpec | None, lift: int
) -> tuple[Any, Any]:
    """Return values and pairs of exponents, of (steps * width, rows) and half so many, and those of scales behind.

    `known` is what the codes mean as they enter, in `spec`.
    """
    real = SINGLE if how.single else DOUBLE
    rows, count = padded(side.rows), side.source.shape[0]
    behind = side.scale_source.shape[0] if how.scaled else 0
    floats = cuda.device_array((count + behind, rows), real.dtype)
    single = cuda.device_array((count + behind, rows), np.int32)
    pairs = cuda.device_array((count // 2 + behind, rows), np.int32)
    lead = np.where(known.significand == 0, NOTHING, known.exponent + point_bits(spec))
    take(side, values(known, real.dtype, lift, special=True), floats[:count])
    take(side, lead.astype(np.int32), single[:count])
    if how.scaled:
        factor, exponent = _scale_tables(scale, real.dtype)
        take_scales(side, factor, floats[count:])
        take_scales(side, exponent, single[count:])
    _pair_kernel[grid_of(pairs.size), 256](single, pairs, count // 2)
    return floats, pairs


def _scale_tables(spec: FloatSpec | None, dtype: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return the scales in [0, 2) and the exponents that go with them; the last entry is 1."""
    if spec is None:
        return np.ones(1, dtype), np.zeros(1, np.int32)
    parts = entry(spec)
    factor = values(parts._replace(exponent=np.full_like(parts.exponent, -spec.man_bits)), dtype, special=True)
    factor[-1] = 1
    exponent = parts.exponent + spec.man_bits
    exponent[-1] = 0
    return factor, exponent.astype(np.int32)
