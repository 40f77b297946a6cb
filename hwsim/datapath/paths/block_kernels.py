# SPDX-License-Identifier: Apache-2.0
"""Kernels of the path `block`: a step's sum in integers, float32 or float64, then the register with the scales."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.simd import (
    add,
    bit_and,
    bit_or,
    bit_xor,
    bitcast,
    compare_eq,
    compare_lt,
    convert,
    fma,
    fmuladd,
    load,
    mul,
    select,
    splat,
    store,
    sub,
)
from hwsim.datapath.simd_integer import VNNI_LANES, dot_bytes, dot_words
from hwsim.datapath.tiles import tile_load, tile_step, tile_store
from hwsim.datapath.vectors import REGISTER_BITS, REGISTERS

__all__ = [
    "DOUBLE_COLUMNS",
    "INTEGER_COLUMNS",
    "ROWS",
    "SINGLE_COLUMNS",
    "canonical",
    "run_doubles",
    "run_integers",
    "run_singles",
    "spread",
    "sum_steps",
]

ROWS, _VECTORS = (4, 4) if REGISTERS == 32 else (3, 2)
"""Of a tile. The sums of a step fit the machine's registers; what the step is added to may wait in the cache."""

_SINGLES, _DOUBLES = REGISTER_BITS // 32, REGISTER_BITS // 64
INTEGER_COLUMNS = _VECTORS * VNNI_LANES
SINGLE_COLUMNS = _VECTORS * _SINGLES
DOUBLE_COLUMNS = _VECTORS * _DOUBLES

Steps = tuple[int, int]


@numba.njit(forceinline=True)
def _set_step(_total: Any, start: Any, _b: Any, _extra: Any) -> Any:
    return start


@numba.njit(forceinline=True)
def _byte_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return dot_bytes(total, b, a)


@numba.njit(forceinline=True)
def _word_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return dot_words(total, b, a)


@numba.njit(forceinline=True)
def _product_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return fmuladd(a, b, total)


@numba.njit(forceinline=True)
def _first_step(_total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return mul(a, b)


@numba.njit(forceinline=True)
def _integer_scale(state: Any, x: Any, y: Any, _extra: Any) -> Any:
    register, total = state
    return fma(mul(convert(total, np.float32), x), y, register), total


@numba.njit(forceinline=True)
def _single_scale(state: Any, x: Any, y: Any, _extra: Any) -> Any:
    register, total = state
    return fma(mul(total, x), y, register), total


@numba.njit(forceinline=True)
def _double_scale(state: Any, x: Any, y: Any, _extra: Any) -> Any:
    """Add in float64, to odd if inexact, and round to float32."""
    register, total = state
    product = mul(mul(total, x), y)
    rounded = add(register, product)
    other = sub(rounded, register)
    lost = add(sub(register, sub(rounded, other)), sub(product, other))
    bits, lost_bits = bitcast(rounded, np.int64), bitcast(lost, np.int64)
    toward_zero = compare_lt(bit_xor(bits, lost_bits), 0)
    odd = select(toward_zero, sub(bits, 1), bit_or(bits, 1))
    inexact = bit_or(compare_lt(lost, 0.0), compare_lt(0.0, lost))  # neither where an infinity makes it NaN
    even = compare_eq(bit_and(bits, 1), 0)
    exact = bitcast(select(bit_and(inexact, even), odd, bits), np.float64)
    return convert(convert(exact, np.float32), np.float64), total


@numba.njit(cache=True, parallel=True)
def run_integers(
    elements: tuple[NDArray[np.int32], NDArray[np.int32]],
    scales: tuple[NDArray[np.float32], NDArray[np.float32]],
    start: NDArray[np.int32],
    span: Steps,
    of_bytes: bool,
    out: NDArray[np.float32],
) -> None:
    """Run a span of steps on the registers; unchecked.

    a's elements are (rows, parts), b's (panels, parts, columns), parts of 32 bits, as many to each step. a's scales
    are (rows, steps), b's (panels, steps, columns). `start` (rows, steps) is what a step's sum begins with.
    """
    (a, b), (x, y) = elements, scales
    steps, width = start.shape[1], out.shape[1]
    parts = a.shape[1]
    each = parts // steps
    bands = a.shape[0] // ROWS
    for tile_at in numba.prange(bands * b.shape[0]):
        row, panel = tile_at % bands * ROWS, tile_at // bands
        at = row * width + panel * INTEGER_COLUMNS
        register = tile_load(out, at, width, ROWS, _VECTORS, VNNI_LANES)
        total = tile_load(b, 0, 0, ROWS, _VECTORS, VNNI_LANES)
        for step in range(span[0], span[1]):
            left = row * parts + step * each
            right = (panel * parts + step * each) * INTEGER_COLUMNS
            total = tile_step(_set_step, total, (start, row * steps + step, steps), (b, right), 0)
            if of_bytes:
                for part in range(each):
                    total = tile_step(
                        _byte_step, total, (a, left + part, parts), (b, right + part * INTEGER_COLUMNS), 0
                    )
            else:
                for part in range(each):
                    total = tile_step(
                        _word_step, total, (a, left + part, parts), (b, right + part * INTEGER_COLUMNS), 0
                    )
            of_b = (panel * steps + step) * INTEGER_COLUMNS
            register, total = tile_step(_integer_scale, (register, total), (x, row * steps + step, steps), (y, of_b), 0)
        tile_store(out, at, width, register)


@numba.njit(cache=True, parallel=True)
def run_singles(
    elements: tuple[NDArray[np.float32], NDArray[np.float32]],
    scales: tuple[NDArray[np.float32], NDArray[np.float32]],
    span: Steps,
    out: NDArray[np.float32],
) -> None:
    """Run a span of steps on the registers; unchecked. Arrays as `run_integers` has them, a part an element."""
    (a, b), (x, y) = elements, scales
    steps, width = x.shape[1], out.shape[1]
    depth = a.shape[1]
    lanes = depth // steps
    bands = a.shape[0] // ROWS
    for tile_at in numba.prange(bands * b.shape[0]):
        row, panel = tile_at % bands * ROWS, tile_at // bands
        at = row * width + panel * SINGLE_COLUMNS
        register = tile_load(out, at, width, ROWS, _VECTORS, _SINGLES)
        total = register
        for step in range(span[0], span[1]):
            left, right = row * depth + step * lanes, (panel * depth + step * lanes) * SINGLE_COLUMNS
            total = tile_step(_first_step, total, (a, left, depth), (b, right), 0)
            for lane in range(1, lanes):
                total = tile_step(_product_step, total, (a, left + lane, depth), (b, right + lane * SINGLE_COLUMNS), 0)
            of_b = (panel * steps + step) * SINGLE_COLUMNS
            register, total = tile_step(_single_scale, (register, total), (x, row * steps + step, steps), (y, of_b), 0)
        tile_store(out, at, width, register)


@numba.njit(cache=True, parallel=True)
def run_doubles(
    elements: tuple[NDArray[np.float64], NDArray[np.float64]],
    scales: tuple[NDArray[np.float64], NDArray[np.float64]],
    span: Steps,
    out: NDArray[np.float64],
) -> None:
    """Run a span of steps on the registers, float32 values; unchecked. Arrays as `run_singles` has them."""
    (a, b), (x, y) = elements, scales
    steps, width = x.shape[1], out.shape[1]
    depth = a.shape[1]
    lanes = depth // steps
    bands = a.shape[0] // ROWS
    for tile_at in numba.prange(bands * b.shape[0]):
        row, panel = tile_at % bands * ROWS, tile_at // bands
        at = row * width + panel * DOUBLE_COLUMNS
        register = tile_load(out, at, width, ROWS, _VECTORS, _DOUBLES)
        total = register
        for step in range(span[0], span[1]):
            left, right = row * depth + step * lanes, (panel * depth + step * lanes) * DOUBLE_COLUMNS
            total = tile_step(_first_step, total, (a, left, depth), (b, right), 0)
            for lane in range(1, lanes):
                total = tile_step(_product_step, total, (a, left + lane, depth), (b, right + lane * DOUBLE_COLUMNS), 0)
            of_b = (panel * steps + step) * DOUBLE_COLUMNS
            register, total = tile_step(_double_scale, (register, total), (x, row * steps + step, steps), (y, of_b), 0)
        tile_store(out, at, width, register)


@numba.njit(cache=True, parallel=True)
def sum_steps(parts: NDArray[np.int32], factor: int, sums: NDArray[np.int32]) -> None:
    """Set sums (rows, steps) to `factor` times those of the steps' signed bytes, four a part; unchecked."""
    steps = sums.shape[1]
    each = parts.shape[1] // steps
    for row in numba.prange(parts.shape[0]):
        line = np.empty(parts.shape[1], np.int32)
        whole = parts.shape[1] // VNNI_LANES * VNNI_LANES
        for at in range(0, whole, VNNI_LANES):
            ones = splat(0x01010101, np.int32, VNNI_LANES)
            four = load(parts, row * parts.shape[1] + at, VNNI_LANES)
            store(line, at, dot_bytes(splat(0, np.int32, VNNI_LANES), ones, four))
        for at in range(whole, parts.shape[1]):
            word = np.int64(parts[row, at])
            high, low = word >> 16, word << 48 >> 48
            line[at] = (high >> 8) + (high << 56 >> 56) + (low >> 8) + (low << 56 >> 56)
        for step in range(steps):
            total = np.int32(0)
            for at in range(step * each, step * each + each):
                total += line[at]
            sums[row, step] = factor * total


@numba.njit(cache=True, parallel=True)
def spread(
    codes: NDArray[np.unsignedinteger], table: NDArray[np.floating], lanes: Steps, out: NDArray[np.floating]
) -> None:
    """Set out (rows, steps) to each step's scale, given the lanes and the block's size; unchecked."""
    each, size = lanes
    for row in numba.prange(codes.shape[0]):
        for step in range(out.shape[1]):
            out[row, step] = table[codes[row, step * each // size]]


@numba.njit(cache=True, parallel=True)
def canonical(codes: NDArray[np.uint32], nan: int) -> None:
    """Make every zero +0 and every NaN the code `nan`; unchecked."""
    for row in numba.prange(codes.shape[0]):
        for column in range(codes.shape[1]):
            code = codes[row, column]
            magnitude = code & np.uint32(0x7FFFFFFF)
            code = np.uint32(0) if magnitude == 0 else code
            codes[row, column] = np.uint32(nan) if magnitude > np.uint32(0x7F800000) else code
