# SPDX-License-Identifier: Apache-2.0
"""Exact dot products of a step into a float32 register on the GPU, with block scales or without.

The dot product is exact in int32 (four bytes at a time) or in float64; times its scales it is exact in float64; the
sum with the register is rounded to odd in float64, so that its rounding to float32 is that of the exact sum.
"""

from functools import lru_cache
from math import isnan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.gpu.chain import register_real
from hwsim.datapath.gpu.intrinsics import DOUBLE, SINGLE, add_odd, dot4
from hwsim.datapath.gpu.operands import TABLE_BITS, Side, entry, grid_of, no_codes, take, take_scales, values
from hwsim.datapath.gpu.reals import SIDE, cuda
from hwsim.datapath.gpu.tiles import OUTPUTS, across, down, grid_for, load_tile, padded, start_of, store
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator, ScalarSpec
from hwsim.formats import FloatSpec

__all__ = [
    "Blocks",
    "blocks",
    "bytes_of",
    "packed",
    "run_blocks",
]

_DIGITS = 53


class Blocks(NamedTuple):
    """A unit as the kernel takes it."""

    words: int  # places of a step: of four bytes each, or of one float64
    integer: bool
    a_signed: bool
    b_signed: bool
    scaled: bool
    exponent: int  # of a byte product's unit
    nan_code: int


def bytes_of(spec: ScalarSpec) -> tuple[int, bool] | None:
    """Return the exponent at which a format's values are integers of eight bits, and whether these are signed."""
    if spec.bits > 16 or spec.has_nan or spec.has_inf:
        return None
    largest = spec.max_significand << (spec.exp_max - spec.exp_min)
    if largest <= 127:
        return spec.exp_min, True
    signed = getattr(spec, "signed", True)
    if largest <= (128 if signed else 255):
        return spec.exp_min, signed
    return None


def blocks(unit: DotProductUnit) -> Blocks | None:
    """Return the kernel's form of a unit of this kind, or None."""
    if register_real(unit.accumulator) is not SINGLE or not isinstance(unit.alignment, ExactAlignment):
        return None
    if unit.promotion or unit.flush_operands or unit.sparsity or max(unit.scale_counts) > 1:
        return None
    assert isinstance(unit.accumulator, FloatAccumulator)
    if unit.accumulator.signed_zero or not (unit.on_grid or unit.scales):
        return None
    factors = 1
    for spec in unit.scales:
        factors *= spec.max_significand
    spread = unit.product_exp_max - unit.product_exp_min
    largest = unit.lanes * (unit.product_max << spread)
    if max(unit.element_a.bits, unit.element_b.bits) > TABLE_BITS or (largest * factors).bit_length() > _DIGITS:
        return None
    if unit.product_exp_min < -400 or unit.product_exp_max > 400:
        return None
    a, b = bytes_of(unit.element_a), bytes_of(unit.element_b)
    nan_code = unit.accumulator.nan_code
    if a is None or b is None or largest >= 1 << 31:
        return Blocks(unit.lanes, False, False, False, bool(unit.scales), 0, nan_code)
    return Blocks(-(-unit.lanes // 4), True, a[1], b[1], bool(unit.scales), a[0] + b[0], nan_code)


@lru_cache(maxsize=32)
def _kernel(how: Blocks) -> Any:
    words, integer, scaled, nan_code = how.words, how.integer, how.scaled, np.uint32(how.nan_code)
    dtype = np.int32 if integer else np.float64
    chunk = min(words, 32)
    unit = 2.0**how.exponent
    multiply_add = dot4(how.a_signed, how.b_signed) if integer else DOUBLE.fma
    value_of, bits_of, magnitude = SINGLE.value, SINGLE.bits, np.uint32(0x7FFFFFFF)

    @cuda.jit(device=True)
    def add_step(register: Any, total: Any, scale: Any) -> Any:
        """Add an exact dot product times its scales, rounded once."""
        return np.float32(add_odd(np.float64(total) * unit * scale, np.float64(register)))

    def kernel(x: Any, x_scale: Any, y: Any, y_scale: Any, c: Any, out: Any) -> None:
        xs = cuda.shared.array((chunk, SIDE), dtype)
        ys = cuda.shared.array((chunk, SIDE), dtype)
        total = cuda.local.array(OUTPUTS, dtype)
        register = cuda.local.array(OUTPUTS, np.float32)
        row, column = cuda.blockIdx.y * SIDE, cuda.blockIdx.x * SIDE
        for o in range(OUTPUTS):
            register[o] = value_of(start_of(c, o))
        for at in range(x.shape[0] // words):
            for o in range(OUTPUTS):
                total[o] = dtype(0)
            for begin in range(0, words, chunk):
                many = min(chunk, words - begin)
                cuda.syncthreads()
                load_tile(xs, x, at * words + begin, many, row)
                load_tile(ys, y, at * words + begin, many, column)
                cuda.syncthreads()
                for k in range(np.uint32(many)):
                    for o in range(OUTPUTS):
                        total[o] = multiply_add(xs[k, down(o)], ys[k, across(o)], total[o])
            for o in range(OUTPUTS):
                scale = 1.0
                if scaled:
                    scale = x_scale[at, row + down(o)] * y_scale[at, column + across(o)]
                register[o] = add_step(register[o], total[o], scale)
        for o in range(OUTPUTS):
            code = nan_code if isnan(register[o]) else bits_of(register[o])
            store(out, o, code if code & magnitude != 0 else np.uint32(0))

    return cuda.jit(kernel)


@cuda.jit
def _pack_kernel(single: Any, lanes: int, words: int, out: Any) -> None:
    """Put four neighbours of a step into a word."""
    at = cuda.grid(1)
    if at < out.shape[0] * out.shape[1]:
        place, row = at // out.shape[1], at % out.shape[1]
        step, word = place // words, place % words
        joined: Any = 0
        for byte in range(4):
            lane = 4 * word + byte
            if lane < lanes:
                joined |= (np.int64(single[step * lanes + lane, row]) & 0xFF) << (8 * byte)
        out[place, row] = np.uint32(joined)


def packed(lanes: int, spec: ScalarSpec, side: Side, rows: int) -> Any:
    """Return a side's integers of eight bits, four in a word, of shape (steps * words, rows)."""
    known = entry(spec)
    integers = (known.significand << np.maximum(known.exponent - spec.exp_min, 0)).astype(np.int16)
    single = take(side, integers, cuda.device_array((side.source.shape[0], rows), np.int16))
    steps, words = single.shape[0] // lanes, -(-lanes // 4)
    out = cuda.device_array((steps * words, rows), np.uint32)
    _pack_kernel[grid_of(out.size), 256](single, lanes, words, out)
    return out.view(np.int32)


def run_blocks(unit: DotProductUnit, how: Blocks, x: Side, y: Side, c: Any) -> Any:
    """Return the registers' codes; specials are float64's own."""
    args = []
    for side, spec, scale in ((x, unit.element_a, unit.scale_a), (y, unit.element_b, unit.scale_b)):
        rows = padded(side.rows)
        if how.integer:
            args.append(packed(unit.lanes, spec, side, rows))
        else:
            known = entry(spec)
            held = cuda.device_array((side.source.shape[0], rows), np.float64)
            args.append(take(side, values(known, np.float64, special=True), held))
        factors = no_codes(np.float64)
        if how.scaled:
            factors = cuda.device_array((side.scale_source.shape[0], rows), np.float64)
            take_scales(side, _scales(scale), factors)
        args.append(factors)
    out = cuda.device_array((x.rows, y.rows), np.uint32)
    _kernel(how)[grid_for(x.rows, y.rows)](*args, no_codes(np.uint32) if c is None else c, out)
    return out


def _scales(spec: FloatSpec | None) -> NDArray[np.float64]:
    """Return the values of a scale's codes; the last entry is 1."""
    if spec is None:
        return np.ones(1)
    found = values(entry(spec), np.float64, special=True)
    found[-1] = 1.0
    return found
