# SPDX-License-Identifier: Apache-2.0
"""Sums of small integers in a fixed register, by the dot products of bytes or words that some machines have."""

from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.paths.fixed import finish, grid_range, on_grid, step_largest, takes
from hwsim.datapath.paths.panels import filled, pack
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import add
from hwsim.datapath.simd_integer import VNNI_LANES, dot_bytes, dot_words, vnni_lanes
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, ScalarSpec
from hwsim.formats import IntegerSpec, Overflow

__all__ = [
    "left_bytes",
    "offer",
    "right_bytes",
    "width_of",
]

_ROWS, _VECTORS = 4, 4
_COLUMNS = _VECTORS * VNNI_LANES  # of a panel
_DEPTH = 1024  # 32-bit parts of K, of which a panel stays in the cache: 256 KiB
_BYTE, _WORD = 8, 16
_HALF = 128


def _fits(spec: ScalarSpec, low: int, high: int) -> bool:
    least, largest = grid_range(spec)
    return low <= least and largest <= high


def width_of(a: ScalarSpec, b: ScalarSpec) -> int:
    """Return the bits that both formats' significands fit on their grid: 8, with a sign or not, 16 with one, or 0."""
    if all(_fits(spec, -_HALF, _HALF - 1) or _fits(spec, 0, 2 * _HALF - 1) for spec in (a, b)):
        return _BYTE
    return _WORD if all(_fits(spec, -(1 << 15), (1 << 15) - 1) for spec in (a, b)) else 0


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where significands fit bytes or words and the machine has AVX-512 or AVX VNNI.

    Sums are right modulo 2**32, whatever overflows on the way. That is all of a register of up to 32 bits that wraps;
    a wider one takes them in chunks of K that fit; one that saturates must be wide enough for the largest sum.
    """
    if not takes(unit) or depth == 0 or not vnni_lanes():
        return None
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    width, largest = width_of(unit.element_a, unit.element_b), step_largest(unit)
    chunk = min(((1 << 31) - 1) // max(largest, 1), depth)
    modular = register.overflow is Overflow.WRAP and register.bits <= 32
    if not width or (chunk < min(_HALF, depth) and not modular):
        return None
    proof = f"significands of {unit.element_a.name} and {unit.element_b.name} fit {width} bits"
    if register.overflow is Overflow.SATURATE:
        if (depth * largest << unit.sum_shift) >= 1 << (register.bits - 1):
            return None
        proof += f"; the sum of all {depth} products fits the register, and sums to which c leaves less room are done "
        proof += "by steps"
    if modular:
        chunk = depth
        proof += f"; sums are right modulo 2**32, and so modulo 2**{register.bits}"
    else:
        proof += f"; {chunk} products of up to {largest} stay below 2**31"
    if chunk < depth:
        proof += f", and the {-(-depth // chunk)} chunks of K are added in int64"
    size = width / 8
    return Path(
        name="integer",
        proof=proof,
        run=partial(_run, chunk=chunk, width=width),
        a_bytes=2 * size,
        b_bytes=3 * size,
        d_bytes=8 if chunk == depth else 16,
    )


def _run(problem: Problem, *, chunk: int, width: int) -> Codes:
    unit = problem.unit
    depth = problem.a.shape[1]
    total: NDArray[np.signedinteger]
    if chunk >= depth:
        total = _product(unit, problem.a, problem.b, width)
    else:
        total = np.zeros((problem.a.shape[0], problem.b.shape[0]), np.int64)
        for begin in range(0, depth, chunk):
            part = slice(begin, begin + chunk)
            total += _product(unit, problem.a[:, part], problem.b[:, part], width)
    return finish(problem, total, depth * step_largest(unit))


def left_bytes(spec: ScalarSpec, codes: Codes) -> tuple[NDArray[np.int8], int]:
    """Return significands less an offset that makes signed bytes of them, and the offset."""
    if isinstance(spec, IntegerSpec) and spec.bits == 8 and spec.signed:
        return np.ascontiguousarray(codes).view(np.int8), 0
    offset = 0 if _fits(spec, -_HALF, _HALF - 1) else _HALF
    return on_grid(spec, np.ascontiguousarray(codes), np.int8, -offset), offset


def right_bytes(spec: ScalarSpec, codes: Codes) -> tuple[NDArray[np.uint8], int, int]:
    """Return bytes that are, with some bits inverted, significands and an offset; those bits, and the offset."""
    if isinstance(spec, IntegerSpec) and spec.bits == 8:
        return codes.astype(np.uint8, copy=False), _HALF * spec.signed, _HALF * spec.signed
    offset = 0 if _fits(spec, 0, 2 * _HALF - 1) else _HALF
    return on_grid(spec, codes, np.uint8, offset), 0, offset


def _product(unit: DotProductUnit, a: Codes, b: Codes, width: int) -> NDArray[np.int32]:
    """Return the sums of products modulo 2**32."""
    (rows, depth), columns = a.shape, b.shape[0]
    group = 32 // width
    shape = (-(-rows // _ROWS) * _ROWS, -(-depth // group) * group)
    by_row, by_column = np.zeros(shape[0], np.int32), np.zeros(-(-columns // _COLUMNS) * _COLUMNS, np.int32)
    with threads_for(rows * columns * depth // _HALF):
        if width == _WORD:
            left = filled(on_grid(unit.element_a, np.ascontiguousarray(a), np.int16), shape).view(np.int32)
            right = pack(on_grid(unit.element_b, b, np.int16), group, _COLUMNS).view(np.int32)
        else:
            # With x = a - p and y = b + q, sum(a * b) = sum(x * y) - q * sum(x) + p * sum(y) - p * q * depth.
            signed, p = left_bytes(unit.element_a, a)
            unsigned, flip, q = right_bytes(unit.element_b, b)
            left = filled(signed, shape).view(np.int32)
            right = pack(unsigned, group, _COLUMNS, flip).view(np.int32)
            if q:
                _add_rows(left.view(np.int8), -q, -p * q * depth, by_row)
            if p:
                _add_columns(right, p, by_column)
        total = np.empty((shape[0], by_column.size), np.int32)
        for begin in range(0, left.shape[1], _DEPTH):
            span = (begin, min(begin + _DEPTH, left.shape[1]))
            _multiply(left, right, by_row, by_column, span, width == _BYTE, total)
    return np.ascontiguousarray(total[:rows, :columns])


@numba.njit(cache=True, parallel=True)
def _add_rows(left: NDArray[np.int8], factor: int, start: int, sums: NDArray[np.int32]) -> None:
    """Set sums to `start` and `factor` times those of the rows, modulo 2**32; unchecked."""
    for row in numba.prange(left.shape[0]):
        total = np.int32(0)
        for k in range(left.shape[1]):
            total += np.int32(left[row, k])
        sums[row] = np.int32(start + factor * total)


@numba.njit(cache=True, parallel=True)
def _add_columns(right: NDArray[np.int32], factor: int, sums: NDArray[np.int32]) -> None:
    """Add `factor` times the sums of the columns' unsigned bytes, modulo 2**32; unchecked."""
    columns = right.shape[2]
    for panel in numba.prange(right.shape[0]):
        total = np.zeros(columns, np.int64)
        for part in range(right.shape[1]):
            for j in range(columns):
                word = right[panel, part, j]
                total[j] += (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24 & 255)
        for j in range(columns):
            sums[panel * columns + j] = np.int32(factor * total[j])


@numba.njit(forceinline=True)
def _start_step(_total: Any, row: Any, column: Any, _extra: Any) -> Any:
    return add(row, column)


@numba.njit(forceinline=True)
def _byte_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return dot_bytes(total, b, a)


@numba.njit(forceinline=True)
def _word_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return dot_words(total, b, a)


@numba.njit(cache=True, parallel=True)
def _multiply(
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    by_row: NDArray[np.int32],
    by_column: NDArray[np.int32],
    span: tuple[int, int],
    of_bytes: bool,
    out: NDArray[np.int32],
) -> None:
    """Add the products of a span of K, from `by_row` and `by_column` on in the first, modulo 2**32; unchecked."""
    begin, end = span
    parts, width = left.shape[1], out.shape[1]
    bands = left.shape[0] // _ROWS
    for tile_at in numba.prange(bands * right.shape[0]):
        row, panel = tile_at % bands * _ROWS, tile_at // bands
        at = row * width + panel * _COLUMNS
        tile = tile_load(out, at, width, _ROWS, _VECTORS, VNNI_LANES)
        if begin == 0:
            tile = tile_step(_start_step, tile, (by_row, row, 1), (by_column, panel * _COLUMNS), 0)
        a, b = row * parts, panel * parts * _COLUMNS
        if of_bytes:
            for part in range(begin, end):
                tile = tile_step(_byte_step, tile, (left, a + part, parts), (right, b + part * _COLUMNS), 0)
        else:
            for part in range(begin, end):
                tile = tile_step(_word_step, tile, (left, a + part, parts), (right, b + part * _COLUMNS), 0)
        tile_store(out, at, width, tile)
