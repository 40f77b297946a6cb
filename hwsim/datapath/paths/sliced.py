# SPDX-License-Identifier: Apache-2.0
"""Sums in wide fixed registers, such as a posit's quire: significands in slices, of which products add up exactly."""

from functools import lru_cache, partial
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.round_pack import round_pack
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, ScalarSpec
from hwsim.datapath.vectors import compiled
from hwsim.formats import IntegerSpec, Overflow, PositSpec
from hwsim.formats.codes import code_dtype

__all__ = [
    "offer",
]

_TABLE_BITS = 16
_DOUBLE_BITS = 53
_WORTH = 1024  # of K in one product of slices, or all of it
_MOST = 64  # products of slices
_LIMB_BITS = 32
_KEPT_BITS = 60  # of a register that is rounded: the last one says whether anything is below it
_KEPT_MAN_BITS = 56


class _Slices(NamedTuple):
    """The slices of a's and of b's significands, `width` bits each, and the part of K that is exact at a time."""

    a: int
    b: int
    width: int
    chunk: int


@lru_cache(maxsize=32)
def _grid(spec: ScalarSpec) -> tuple[int, ...]:
    """Return each code's significand in units of its last place, of any size; 0 for specials."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    places = (parts.exponent - _last_place(spec)).tolist()
    return tuple(
        value << place if place >= 0 else value >> -place
        for value, place in zip(parts.significand.tolist(), places, strict=True)
    )


def _last_place(spec: ScalarSpec) -> int:
    """Return the exponent of the lowest bit that a value can have: of posits that of the smallest one."""
    return -spec.scale_max if isinstance(spec, PositSpec) else spec.exp_min


def _shift(unit: DotProductUnit) -> int:
    """Return the places by which products in those units go left to meet the register's; never negative."""
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    return unit.product_last_exp + register.fraction_bits


@lru_cache(maxsize=32)
def _largest(spec: ScalarSpec) -> int:
    return max(abs(value) for value in _grid(spec))


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Return the path where few enough slices do, of formats of up to 16 bits.

    With slices of w bits and their sign, the sums of all products of slices that have one weight fit float64 if ``n *
    pairs * (2**w - 1)**2 <= 2**53``. They are added, shifted by their weights, in limbs of 32 bits, and the register is
    the sum modulo its width; one that saturates must be wide enough for the largest sum.
    """
    register = unit.accumulator
    if not compiled() or unit.inner is not unit or not isinstance(unit.alignment, ExactAlignment) or depth == 0:
        return None
    if not isinstance(register, FixedAccumulator) or max(unit.element_a.bits, unit.element_b.bits) > _TABLE_BITS:
        return None
    largest = _largest(unit.element_a) * _largest(unit.element_b)
    saturates = (depth * largest << _shift(unit)) >= 1 << (register.bits - 1)
    # c may leave less room; where the register is wider than any code, there is none.
    if register.overflow is Overflow.SATURATE and (saturates or register.bits <= 64):
        return None
    slices = _slices(_largest(unit.element_a).bit_length(), _largest(unit.element_b).bit_length(), depth)
    if slices is None or not _rounds(unit):
        return None
    each = (1 << slices.width) - 1
    pairs = min(slices.a, slices.b)
    proof = (
        f"{pairs} x {slices.chunk} products of slices of {slices.width} bits take at most "
        f"{(pairs * slices.chunk * each * each).bit_length()} bits, and float64 holds integers up to 2**53; "
        f"their {slices.a + slices.b - 1} weights are added in integers of {_LIMB_BITS} bits"
    )
    return Path(
        name="sliced",
        proof=proof,
        run=partial(_run, slices=slices),
        a_bytes=8 * slices.a,
        b_bytes=8 * slices.b + unit.element_b.bits / 8,
        d_bytes=8 * (slices.a + slices.b - 1) + 40,
    )


def _slices(a_bits: int, b_bits: int, depth: int) -> _Slices | None:
    """Return the fewest slices that do."""
    for width in range(_DOUBLE_BITS // 2, 0, -1):
        a, b = max(-(-a_bits // width), 1), max(-(-b_bits // width), 1)
        chunk = min((1 << _DOUBLE_BITS) // (min(a, b) * ((1 << width) - 1) ** 2), depth)
        if a * b > _MOST:
            return None
        if chunk >= min(_WORTH, depth):
            return _Slices(a, b, width, chunk)
    return None


def _rounds(unit: DotProductUnit) -> bool:
    """Whether d can be had of the register's first 60 bits, or is the register itself."""
    if not unit.converts:
        return True
    if isinstance(unit.output, IntegerSpec):
        return unit.overflow is Overflow.SATURATE and unit.output.bits <= _KEPT_MAN_BITS
    return isinstance(unit.output, PositSpec) or unit.output.man_bits <= _KEPT_MAN_BITS


@lru_cache(maxsize=32)
def _table(spec: ScalarSpec, count: int, width: int) -> NDArray[np.float64]:
    """Return the slices of each code's significand, the lowest first, with its sign."""
    mask = (1 << width) - 1
    rows = [[(abs(value) >> (width * at)) & mask for value in _grid(spec)] for at in range(count)]
    signs = np.array([-1.0 if value < 0 else 1.0 for value in _grid(spec)])
    table: NDArray[np.float64] = np.array(rows, np.float64) * signs
    return table


def _run(problem: Problem, *, slices: _Slices) -> Codes:
    unit = problem.unit
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    (rows, depth), columns = problem.a.shape, problem.b.shape[0]
    limbs = np.zeros((rows, columns, -(-register.bits // _LIMB_BITS) + 1), np.int64)
    if problem.c is not None:
        value = register.format.unpack(problem.c).significand
        limbs[..., 0] = value & 0xFFFFFFFF
        limbs[..., 1] = value >> _LIMB_BITS
    of_a = _table(unit.element_a, slices.a, slices.width)
    of_b = _table(unit.element_b, slices.b, slices.width)[::-1]
    for begin in range(0, depth, slices.chunk):
        part = slice(begin, begin + slices.chunk)
        left, right = _sliced(problem.a[:, part], of_a), _sliced(problem.b[:, part], of_b)
        size = left.shape[1] // slices.a
        for weight in range(slices.a + slices.b - 1):
            low, high = max(0, weight - slices.b + 1), min(weight, slices.a - 1)
            # b's slices are stored the highest first, so that those which meet a's are side by side, too.
            first = slices.b - 1 - (weight - low)
            total = left[:, low * size : (high + 1) * size] @ right[:, first * size : (first + high - low + 1) * size].T
            with threads_for(total.size * 16):
                _add(total, _shift(unit) + weight * slices.width, limbs)
    return _finish(unit, limbs)


def _sliced(codes: Codes, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slices of rows of codes, side by side."""
    rows = np.ascontiguousarray(codes)
    out = np.empty((rows.shape[0], len(table) * rows.shape[1]))
    with threads_for(out.size):
        _slice(rows, table, out)
    return out


@numba.njit(cache=True, parallel=True)
def _slice(codes: Codes, table: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Unchecked."""
    length = codes.shape[1]
    for row in numba.prange(codes.shape[0]):
        for at in range(table.shape[0]):
            for k in range(length):
                out[row, at * length + k] = table[at, codes[row, k]]


@numba.njit(cache=True, parallel=True)
def _add(total: NDArray[np.float64], places: int, limbs: NDArray[np.int64]) -> None:
    """Add ``total * 2**places`` to limbs (M, N, n), which may be of any sign, modulo 2**(32 n); unchecked."""
    limb, shift = places // _LIMB_BITS, places % _LIMB_BITS
    count = limbs.shape[2]
    for row in numba.prange(total.shape[0]):
        for column in range(total.shape[1]):
            value = np.int64(total[row, column])
            low = (value & 0xFFFFFFFF) << shift  # below 2**63
            high = (value >> _LIMB_BITS) << shift  # within 2**(22 + 31)
            if limb < count:
                limbs[row, column, limb] += low & 0xFFFFFFFF
            if limb + 1 < count:
                limbs[row, column, limb + 1] += (low >> _LIMB_BITS) + (high & 0xFFFFFFFF)
            if limb + 2 < count:
                limbs[row, column, limb + 2] += high >> _LIMB_BITS


@numba.njit(cache=True, inline="always")
def _wrap(limbs: NDArray[np.int64], bits: int) -> int:
    """Make limbs the register's, two's complement in `bits` bits, the top one with its sign; return its index."""
    top, places = (bits - 1) // _LIMB_BITS, 63 - (bits - 1) % _LIMB_BITS
    for at in range(top):
        limbs[at + 1] += limbs[at] >> _LIMB_BITS
        limbs[at] &= 0xFFFFFFFF
    limbs[top] = limbs[top] << places >> places
    return top


@numba.njit(cache=True, parallel=True)
def _codes(limbs: NDArray[np.int64], bits: int, out: NDArray[np.uint64]) -> None:
    """Unchecked: up to 64 bits."""
    for row in numba.prange(limbs.shape[0]):
        for column in range(limbs.shape[1]):
            line = limbs[row, column]
            _wrap(line, bits)
            code = np.uint64(line[0]) & np.uint64(0xFFFFFFFF) | np.uint64(line[1]) << np.uint64(_LIMB_BITS)
            out[row, column] = code << np.uint64(64 - bits) >> np.uint64(64 - bits)


@numba.njit(cache=True, parallel=True)
def _leading(limbs: NDArray[np.int64], bits: int, out: NDArray[np.int64], exponents: NDArray[np.int64]) -> None:
    """Set the leading 60 bits of each register, the last one set if any below is, and their exponent; unchecked."""
    for row in numba.prange(limbs.shape[0]):
        for column in range(limbs.shape[1]):
            line = limbs[row, column]
            top = _wrap(line, bits)
            negative = line[top] < 0
            if negative:
                for at in range(top + 1):
                    line[at] = -line[at]
                for at in range(top):
                    line[at + 1] += line[at] >> _LIMB_BITS
                    line[at] &= 0xFFFFFFFF
            while top > 0 and line[top] == 0:
                top -= 1
            head = line[top]
            up = 0
            while up < 31 and head >> (31 - up) == 0:
                up += 1
            second = line[top - 1] if top > 0 else 0
            third = line[top - 2] if top > 1 else 0
            # 96 bits of three limbs from the leading one on: 60 are kept, 36 - up of the third are not.
            value = (head << (28 + up)) | (second << up >> 4) | (third << up >> 36)
            lost = (second << up & 15) << 36 | third << up & 0xFFFFFFFFF
            for at in range(top - 2):
                lost |= line[at]
            value |= np.int64(lost != 0)
            out[row, column] = -value if negative else value
            exponents[row, column] = _LIMB_BITS * top - 28 - up


def _finish(unit: DotProductUnit, limbs: NDArray[np.int64]) -> Codes:
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    shape = limbs.shape[:2]
    with threads_for(limbs.size * 16):
        if not unit.converts:
            codes = np.empty(shape, np.uint64)
            _codes(limbs, register.bits, codes)
            return codes.astype(code_dtype(register.bits))
        values, exponents = np.empty(shape, np.int64), np.empty(shape, np.int64)
        _leading(limbs, register.bits, values, exponents)
    return round_pack(unit.output, values, exponents - register.fraction_bits, 0, unit.rounding, unit.overflow)
