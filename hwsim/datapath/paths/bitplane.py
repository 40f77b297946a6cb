# SPDX-License-Identifier: Apache-2.0
"""Products of one- and two-bit operands by planes: AND, a count of ones, and a weight for each pair of planes."""

from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.paths.fixed import finish, grid_range, grid_table, looked_up, step_largest, takes
from hwsim.datapath.paths.panels import filled
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import add, bit_and, bitcast, compare_lt, convert, load, mul, shift_left, splat, store
from hwsim.datapath.simd_integer import count_ones, has_popcount, vnni_lanes
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_splat, tile_step, tile_store
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, ScalarSpec
from hwsim.datapath.vectors import REGISTER_BITS, REGISTERS
from hwsim.formats import Overflow
from hwsim.formats.codes import check_codes

__all__ = [
    "BitPlanes",
    "bit_planes",
    "offer",
]

_MOST_PLANES = 8
_WORD_BITS = 64
_WORDS = REGISTER_BITS // _WORD_BITS
_ROWS, _VECTORS = (4, 4) if REGISTERS == 32 else (4, 2)
_COLUMNS = _VECTORS * _WORDS


class BitPlanes(NamedTuple):
    """Codes as planes of bits: ``value = (offset + sum(step * 2**i * planes[i])) * 2**exponent``.

    planes is an ndarray of uint8, 0 or 1, shape (number of planes, *shape of the codes).
    """

    planes: NDArray[np.uint8]
    offset: int
    step: int
    exponent: int


class _Levels(NamedTuple):
    """The places of each code between the least value and the largest, `step` apart."""

    place: NDArray[np.uint8]
    offset: int
    step: int
    planes: int


@lru_cache(maxsize=64)
def _levels(spec: ScalarSpec) -> _Levels | None:
    """Return the levels of a format of up to eight planes on its grid, or None."""
    if spec.bits > _MOST_PLANES:
        return None
    low, high = grid_range(spec)
    if high - low >= 1 << 62:
        return None
    table = grid_table(spec)
    step = gcd(*(int(value) - low for value in table)) or 1
    planes = ((high - low) // step).bit_length()
    if planes > _MOST_PLANES:
        return None
    return _Levels(((table - low) // step).astype(np.uint8), low, step, max(planes, 1))


def bit_planes(spec: ScalarSpec, codes: ArrayLike) -> BitPlanes:
    """Return the planes of bits of which an array of values is a weighted sum.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
        Of up to 8 bits, with up to 256 evenly spaced places between its least and its largest value: 1 plane for
        ``bipolar`` (-1 and 1), 2 for ``ternary``, 5 for ``float4_e2m1fn``.
    codes : array of integers
        Codes of the format; NaN and infinity count as 0.

    Returns
    -------
    BitPlanes

    Raises
    ------
    TypeError, ValueError
        If the codes are not integers in range, or the format needs more planes.
    """
    array = check_codes(spec, codes)
    levels = _levels(spec)
    if levels is None:
        raise ValueError(f"spec must have up to 8 bits and 256 evenly spaced places, and {spec.name} has more")
    place = levels.place[array]
    planes = np.stack([place >> np.uint8(at) & np.uint8(1) for at in range(levels.planes)])
    return BitPlanes(planes, levels.offset, levels.step, spec.exp_min)


def _most_pairs() -> int:
    """Return up to how many pairs of planes are quicker than products of bytes or floats."""
    if vnni_lanes():
        return 2 if has_popcount() else 0
    return 4 if has_popcount() else 2


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where there are few pairs of planes: counts of ones are exact, and so are their weighted sums.

    Sums are kept modulo 2**32, which is all of a register of up to 32 bits that wraps; in any other, they must fit.
    """
    if not takes(unit) or depth == 0:
        return None
    register, a, b = unit.accumulator, _levels(unit.element_a), _levels(unit.element_b)
    assert isinstance(register, FixedAccumulator)
    if a is None or b is None or a.planes * b.planes > _most_pairs():
        return None
    largest = depth * step_largest(unit)
    modular = register.overflow is Overflow.WRAP and register.bits <= 32
    saturates = register.overflow is Overflow.SATURATE and largest << unit.sum_shift >= 1 << (register.bits - 1)
    if saturates or not (modular or largest < 1 << 31):
        return None
    held = (
        f"right modulo 2**32, and so modulo 2**{register.bits}" if modular else f"within {largest}, and int32 holds it"
    )
    proof = f"{a.planes} x {b.planes} pairs of planes, whose ones are counted; sums of {depth} products are {held}"
    return Path(name="bitplane", proof=proof, run=_run, a_bytes=1 + a.planes / 8, b_bytes=1 + b.planes / 4, d_bytes=8)


def _run(problem: Problem) -> Codes:
    unit = problem.unit
    (rows, depth), columns = problem.a.shape, problem.b.shape[0]
    a, b = _levels(unit.element_a), _levels(unit.element_b)
    assert a is not None
    assert b is not None
    with threads_for(rows * columns * depth // 512):
        left, ones_a = _packed_rows(unit.element_a, problem.a, a)
        right, ones_b = _packed_columns(unit.element_b, problem.b, b)
        # With x and y the places: sum((p + s x) * (q + t y)) = s t sum(x y) + q s sum(x) + p t sum(y) + p q depth.
        by_row = _modular(b.offset * a.step * ones_a + a.offset * b.offset * depth)
        by_column = _modular(a.offset * b.step * ones_b)
        total = np.empty((left.shape[0], by_column.size), np.int32)
        _multiply(left, right, by_row, by_column, _modular(np.array([a.step * b.step])), total)
    return finish(problem, np.ascontiguousarray(total[:rows, :columns]), depth * step_largest(unit))


def _modular(values: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return integers modulo 2**32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _packed_rows(spec: ScalarSpec, codes: Codes, levels: _Levels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return planes in words of 64 elements, shape (rows, planes, words), and the sum of each row's places."""
    rows, words = -(-codes.shape[0] // _ROWS) * _ROWS, -(-codes.shape[1] // _WORD_BITS)
    places = looked_up(spec, np.ascontiguousarray(codes), levels.place)
    out, sums = np.empty((rows, levels.planes, words), np.int64), np.empty(rows, np.int64)
    _pack_rows(filled(places, (rows, words * _WORD_BITS)).view(np.int8), out, sums)
    return out, sums


def _packed_columns(spec: ScalarSpec, codes: Codes, levels: _Levels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the same in panels, shape (panels, planes, words, columns)."""
    panels, words = -(-codes.shape[0] // _COLUMNS), -(-codes.shape[1] // _WORD_BITS)
    places = looked_up(spec, np.ascontiguousarray(codes.T), levels.place)
    out, sums = np.empty((panels, levels.planes, words, _COLUMNS, 8), np.uint8), np.zeros(panels * _COLUMNS, np.int64)
    _pack_columns(filled(places, (words * _WORD_BITS, panels * _COLUMNS)), out, sums)
    return out.view(np.int64).reshape(out.shape[:4]), sums


@numba.njit(cache=True, parallel=True)
def _pack_rows(places: NDArray[np.int8], out: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
    """Unchecked: places are (rows, 64 words)."""
    planes, words = out.shape[1:]
    for row in numba.prange(places.shape[0]):
        total = np.int64(0)
        for k in range(places.shape[1]):
            total += np.uint8(places[row, k])
        sums[row] = total
        for plane in range(planes):
            for word in range(words):
                # The bit becomes the sign.
                signs = shift_left(load(places, row * places.shape[1] + word * 64, 64), np.int8(7 - plane))
                store(out, (row * planes + plane) * words + word, bitcast(compare_lt(signs, 0), np.int64))


@numba.njit(cache=True, parallel=True)
def _pack_columns(places: NDArray[np.uint8], out: NDArray[np.uint8], sums: NDArray[np.int64]) -> None:
    """Unchecked: places are (64 words, columns of all panels), the last axis of out the bytes of a word."""
    planes, words, columns = out.shape[1:4]
    for panel in numba.prange(out.shape[0]):
        first = panel * columns
        for word in range(words):
            for byte in range(8):
                begin = word * 64 + byte * 8
                for j in range(columns):
                    total = np.uint32(0)
                    for k in range(8):
                        total += np.uint32(places[begin + k, first + j])
                    sums[first + j] += total
                for plane in range(planes):
                    for j in range(columns):
                        bits = np.uint8(0)
                        for k in range(8):
                            bits |= (places[begin + k, first + j] >> np.uint8(plane) & np.uint8(1)) << np.uint8(k)
                        out[panel, plane, word, j, byte] = bits


@numba.njit(forceinline=True)
def _count_step(total: Any, a: Any, b: Any, _extra: Any) -> Any:
    return add(total, count_ones(bit_and(a, b)))


@numba.njit(forceinline=True)
def _finish_step(total: Any, row: Any, column: Any, _extra: Any) -> Any:
    return add(add(total, row), column)


@numba.njit(cache=True, parallel=True)
def _multiply(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    by_row: NDArray[np.int32],
    by_column: NDArray[np.int32],
    step: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Set out to the weighted counts, modulo 2**32; unchecked. Planes as `_packed_rows` and `_packed_columns` give."""
    planes_a, words = left.shape[1:]
    planes_b = right.shape[1]
    width = out.shape[1]
    bands = left.shape[0] // _ROWS
    for tile_at in numba.prange(bands * right.shape[0]):
        row, panel = tile_at % bands * _ROWS, tile_at // bands
        total = tile_splat(splat(0, np.int64, _WORDS), _ROWS, _VECTORS)
        for plane_a in range(planes_a):
            for plane_b in range(planes_b):
                counts = tile_splat(splat(0, np.int64, _WORDS), _ROWS, _VECTORS)
                a = (row * planes_a + plane_a) * words
                b = (panel * planes_b + plane_b) * words * _COLUMNS
                for word in range(words):
                    counts = tile_step(
                        _count_step, counts, (left, a + word, planes_a * words), (right, b + word * _COLUMNS), 0
                    )
                total = add(total, shift_left(counts, np.int64(plane_a + plane_b)))
        scaled = mul(convert(total, np.int32), step[0])
        scaled = tile_step(_finish_step, scaled, (by_row, row, 1), (by_column, panel * _COLUMNS), 0)
        tile_store(out, row * width + panel * _COLUMNS, width, scaled)
