# SPDX-License-Identifier: Apache-2.0
"""What the paths into a fixed register share: operands on their format's grid, and the way from exact sums to codes."""

from functools import lru_cache
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.operands import unpack
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.round_pack import Packing, packing, round_pack
from hwsim.datapath.simd import load, store
from hwsim.datapath.simd_integer import has_permute, permute_bytes
from hwsim.datapath.staged import output
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, ScalarSpec
from hwsim.datapath.vectors import compiled
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "finish",
    "finish_registers",
    "grid_range",
    "grid_table",
    "looked_up",
    "on_grid",
    "step_largest",
    "takes",
]

Number = TypeVar("Number", bound=np.generic)

_TABLE_BITS = 16
_PERMUTE_BITS = 6
_RUN = 1 << 12  # bytes that a thread looks up at a time
_EXACT_BITS = 53  # float64 holds every integer up to 2**53
_WIDEST_BITS = 64
_PACKED_BITS = 62  # of a magnitude that `round_pack` takes
_EVEN, _AWAY, _ZERO, _UP, _DOWN, _ODD = (
    mode.index
    for mode in (
        Rounding.NEAREST_EVEN,
        Rounding.NEAREST_AWAY,
        Rounding.TOWARD_ZERO,
        Rounding.UP,
        Rounding.DOWN,
        Rounding.TO_ODD,
    )
)


@lru_cache(maxsize=64)
def grid_table(spec: ScalarSpec) -> NDArray[np.int64]:
    """Return each code's significand in units of ``2**exp_min``, 0 for specials; of a format of `grid_range`."""
    parts = unpack(spec, np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    return parts.significand << (parts.exponent - spec.exp_min)


@lru_cache(maxsize=64)
def grid_range(spec: ScalarSpec) -> tuple[int, int]:
    """Return the least and the largest significand in units of ``2**exp_min``, a bound for formats above 16 bits."""
    spread = spec.exp_max - spec.exp_min
    bound = spec.max_significand << spread
    if spec.bits > _TABLE_BITS or bound >= 1 << 63:
        return -bound, bound
    table = grid_table(spec)
    return int(table.min()), int(table.max())


def _largest(spec: ScalarSpec) -> int:
    low, high = grid_range(spec)
    return max(-low, high)


def step_largest(unit: DotProductUnit) -> int:
    """Return the largest magnitude of a product in units of the smallest product's last place."""
    return _largest(unit.element_a) * _largest(unit.element_b)


def takes(unit: DotProductUnit) -> bool:
    """Whether a unit is a plain one with a fixed register of up to 64 bits, compiled kernels, and whole bits to add.

    Not where 64 bits become another integer format, which may keep every one of them: `round_pack` takes one fewer.
    """
    integers = isinstance(unit.output, IntegerSpec) and unit.converts
    return (
        compiled()
        and unit.is_plain
        and isinstance(unit.accumulator, FixedAccumulator)
        and isinstance(unit.alignment, ExactAlignment)
        and unit.accumulator.bits <= (_PACKED_BITS + 1 if integers else _WIDEST_BITS)
        and unit.sum_shift < _WIDEST_BITS - 1
    )


def on_grid(spec: ScalarSpec, codes: Codes, dtype: type[Number], offset: int = 0) -> NDArray[Number]:
    """Return significands in units of ``2**exp_min`` plus an offset, which dtype must hold; in the codes' memory order.

    Integers modulo 2**(bits of dtype).
    """
    if codes.flags.c_contiguous or not codes.T.flags.c_contiguous:
        return _on_grid(spec, np.ascontiguousarray(codes), dtype, offset)
    return _on_grid(spec, codes.T, dtype, offset).T


def _on_grid(spec: ScalarSpec, codes: Codes, dtype: type[Number], offset: int) -> NDArray[Number]:
    if spec.bits <= _TABLE_BITS:
        return looked_up(spec, codes, (grid_table(spec) + offset).astype(dtype))
    parts = unpack(spec, codes)
    return ((parts.significand << (parts.exponent - spec.exp_min)) + offset).astype(dtype)


def looked_up(spec: ScalarSpec, codes: Codes, table: NDArray[Number]) -> NDArray[Number]:
    """Return the entries of a table of all codes, of C-contiguous rows of codes."""
    out = np.empty(codes.shape, table.dtype)
    with threads_for(codes.size // 16):
        if spec.bits <= _PERMUTE_BITS and out.itemsize == 1 and has_permute():
            entries = np.resize(table.view(np.uint8), 1 << _PERMUTE_BITS)
            _look_up_bytes(codes.reshape(-1), entries, out.reshape(-1).view(np.uint8))
        else:
            _look_up(codes, table, out)
    return out


@numba.njit(cache=True, parallel=True)
def _look_up(codes: Codes, table: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill out with the entries of the codes, rows of C-contiguous arrays; unchecked."""
    for row in numba.prange(codes.shape[0]):
        for column in range(codes.shape[1]):
            out[row, column] = table[codes[row, column]]


def finish(problem: Problem, total: NDArray[Any], largest: int) -> Codes:
    """Return d of the exact sums of all products, in units of the smallest product's last place.

    Parameters
    ----------
    problem : Problem
    total : ndarray of int32, int64, float32 or float64, shape (M, N), C-contiguous
        Exact; modulo 2**(bits of dtype) where the register wraps and has no more bits than that.
    largest : int
        The largest magnitude of an exact sum. A register that saturates must hold it; where c leaves no room for it,
        the sums are done again, a step at a time.
    """
    unit = problem.unit
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    bits, shift, c = register.bits, unit.sum_shift, problem.c
    if not unit.converts and c is None and shift == 0 and bits == total.dtype.itemsize * 8 and total.dtype.kind == "i":
        return total.view(code_dtype(bits))
    start = np.zeros((0, 0), code_dtype(bits)) if c is None else c
    far = _far(register, c, largest << shift)
    if far.size:
        values = np.empty(total.shape, np.int64)
        with threads_for(total.size * 16):
            _values(total, start, (shift, bits), values)
            _again(problem, far, values)
        return finish_registers(unit, values)
    wide = (largest << shift).bit_length() if c is None and register.overflow is Overflow.SATURATE else bits - 1
    return _codes(unit, total, start, shift, wide)


def finish_registers(unit: DotProductUnit, values: NDArray[np.signedinteger]) -> Codes:
    """Return d of the registers' values, of C-contiguous rows of int16, int32 or int64."""
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    return _codes(unit, values, np.zeros((0, 0), code_dtype(register.bits)), 0, register.bits - 1)


def _codes(unit: DotProductUnit, total: NDArray[Any], start: Codes, shift: int, wide: int) -> Codes:
    """Return d of sums and c's codes; the register's magnitude has up to `wide` bits."""
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    bits = register.bits
    out: Codes
    with threads_for(total.size * 16):
        if not unit.converts:
            out = np.empty(total.shape, code_dtype(bits))
            _registers(total, start, (shift, bits), np.uint64((1 << bits) - 1), out)
            return out
        if wide <= _EXACT_BITS and isinstance(unit.output, FloatSpec):
            out = np.empty(total.shape, code_dtype(unit.output.bits))
            _floats(unit, total, start, (shift, bits), out)
            return out
        values = np.empty(total.shape, np.int64)
        _values(total, start, (shift, bits), values)
    if bits > _PACKED_BITS + 1:
        return _wide_floats(unit, values)
    codes: Codes = output(unit, values, np.zeros(values.shape, np.uint8))
    return codes


def _wide_floats(unit: DotProductUnit, values: NDArray[np.int64]) -> Codes:
    """Round registers of 64 bits to a float format.

    From 2**62 on a magnitude is rounded to odd at its third bit: 60 bits or more are kept, of which no float needs more
    than 53 and two to round by.
    """
    register = unit.accumulator
    assert isinstance(register, FixedAccumulator)
    large = (values >= 1 << _PACKED_BITS) | (values < -(1 << _PACKED_BITS))
    places = np.where(large, np.int64(2), np.int64(0))
    odd = (values >> places) | (large & (values & 3 != 0))
    return round_pack(unit.output, odd, places - register.fraction_bits, 0, unit.rounding, unit.overflow)


def _far(register: FixedAccumulator, c: Codes | None, largest: int) -> NDArray[np.intp]:
    """Return the places (rows, 2) where a register that saturates may do so, as c leaves less room than `largest`."""
    if c is None or register.overflow is Overflow.WRAP:
        return np.zeros((0, 2), np.intp)
    value = register.format.unpack(c).significand
    room = (1 << (register.bits - 1)) - largest
    return np.argwhere((value >= room) | (value < -room))


def _again(problem: Problem, places: NDArray[np.intp], values: NDArray[np.int64]) -> None:
    """Fill in the registers at some places, saturated at each step."""
    if not places.size:
        return
    unit, register = problem.unit, problem.unit.accumulator
    assert isinstance(register, FixedAccumulator)
    assert problem.c is not None
    (rows, at_row), (columns, at_column) = (np.unique(places[:, axis], return_inverse=True) for axis in (0, 1))
    left = np.ascontiguousarray(on_grid(unit.element_a, np.ascontiguousarray(problem.a[rows]), np.int64))
    right = np.ascontiguousarray(on_grid(unit.element_b, np.ascontiguousarray(problem.b[columns]), np.int64))
    start = register.format.unpack(problem.c[places[:, 0], places[:, 1]]).significand
    limits = (unit.lanes, unit.sum_shift, -(1 << (register.bits - 1)), (1 << (register.bits - 1)) - 1)
    _step_by_step(left, right, at_row.reshape(-1), at_column.reshape(-1), limits, start)
    values[places[:, 0], places[:, 1]] = start


@numba.njit(cache=True, parallel=True)
def _step_by_step(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    limits: tuple[int, int, int, int],
    registers: NDArray[np.int64],
) -> None:
    """Unchecked: a step's sum and the register fit 63 bits together, or saturate by an overflow that is seen."""
    lanes, shift, low, high = limits
    for at in numba.prange(registers.size):
        register = registers[at]
        row, column = rows[at], columns[at]
        for begin in range(0, left.shape[1], lanes):
            total = 0
            for k in range(begin, begin + lanes):
                total += left[row, k] * right[column, k]
            total <<= shift
            if total > 0 and register > high - total:
                register = high
            elif total < 0 and register < low - total:
                register = low
            else:
                register += total
        registers[at] = register


@numba.njit(cache=True, parallel=True)
def _look_up_bytes(codes: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Fill out with the entries of a table of 64; unchecked."""
    for part in numba.prange((codes.size + _RUN - 1) // _RUN):
        begin, end = part * _RUN, min(part * _RUN + _RUN, codes.size)
        entries = load(table, 0, 64)
        whole = begin + (end - begin) // 64 * 64
        for at in range(begin, whole, 64):
            store(out, at, permute_bytes(entries, load(codes, at, 64)))
        for at in range(whole, end):
            out[at] = table[codes[at]]


@numba.njit(cache=True, inline="always")
def _register(total: Any, start: Any, shift: int, bits: int) -> Any:
    """Return the register: a sum, shifted, and c's code, which is c modulo 2**bits; unchecked."""
    value = (np.int64(total) << shift) + np.int64(start)
    return (value << (64 - bits)) >> (64 - bits)


@numba.njit(cache=True, parallel=True)
def _values(total: NDArray[Any], start: Codes, how: tuple[int, int], out: NDArray[np.int64]) -> None:
    """Unchecked. `how` is the shift and the register's bits; start is empty for zeros."""
    shift, bits = how
    for row in numba.prange(out.shape[0]):
        if start.size:
            for column in range(out.shape[1]):
                out[row, column] = _register(total[row, column], start[row, column], shift, bits)
        else:
            for column in range(out.shape[1]):
                out[row, column] = _register(total[row, column], 0, shift, bits)


@numba.njit(cache=True, parallel=True)
def _registers(total: NDArray[Any], start: Codes, how: tuple[int, int], keep: Any, out: Codes) -> None:
    """Unchecked. Codes of the register, as `_values`."""
    shift, bits = how
    for row in numba.prange(out.shape[0]):
        if start.size:
            for column in range(out.shape[1]):
                value = np.uint64(_register(total[row, column], start[row, column], shift, bits))
                out[row, column] = value & keep
        else:
            for column in range(out.shape[1]):
                out[row, column] = np.uint64(_register(total[row, column], 0, shift, bits)) & keep


def _floats(unit: DotProductUnit, total: NDArray[Any], start: Codes, how: tuple[int, int], out: Codes) -> None:
    """Round registers of up to 53 bits and a sign, which float64 holds, to a float format."""
    output, register = unit.output, unit.accumulator
    assert isinstance(output, FloatSpec)
    assert isinstance(register, FixedAccumulator)
    plain = unit.rounding is Rounding.NEAREST_EVEN and unit.overflow is Overflow.INFINITY
    # Above 2**-126 nothing is below the normal range, where a negative number could become a negative zero.
    if plain and output.name == "float32" and -64 <= register.fraction_bits <= 126:
        _singles(total, start, how, 2.0**-register.fraction_bits, out.view(np.float32))
        return
    pack = packing(output, unit.rounding, unit.overflow, output.man_bits)
    _packed(total, start, how, -register.fraction_bits, pack, out)


@numba.njit(cache=True, parallel=True)
def _singles(total: NDArray[Any], start: Codes, how: tuple[int, int], unit: float, out: NDArray[np.float32]) -> None:
    """Unchecked: float64 holds the register, and its product with the power of two `unit`: rounded once."""
    shift, bits = how
    for row in numba.prange(out.shape[0]):
        if start.size:
            for column in range(out.shape[1]):
                value = _register(total[row, column], start[row, column], shift, bits)
                out[row, column] = np.float32(np.float64(value) * unit)
        else:
            for column in range(out.shape[1]):
                value = _register(total[row, column], 0, shift, bits)
                out[row, column] = np.float32(np.float64(value) * unit)


@numba.njit(cache=True, parallel=True)
def _packed(total: NDArray[Any], start: Codes, how: tuple[int, int], exponent: int, pack: Packing, out: Codes) -> None:
    """Unchecked: registers within 2**53. The result of `pack_float`, without its branches."""
    shift, bits = how
    even, away, odd = pack.rounding == _EVEN, pack.rounding == _AWAY, pack.rounding == _ODD
    half_weight = np.int64(even | away)
    up, down = np.int64(pack.rounding == _UP), np.int64(pack.rounding == _DOWN)
    for row in numba.prange(out.shape[0]):
        line = np.empty(out.shape[1], np.int64)
        if start.size:
            for column in range(out.shape[1]):
                line[column] = _register(total[row, column], start[row, column], shift, bits)
        else:
            for column in range(out.shape[1]):
                line[column] = _register(total[row, column], 0, shift, bits)
        fields = np.abs(line).astype(np.float64).view(np.int64)
        for column in range(out.shape[1]):
            negative = np.int64(line[column] < 0)
            lead = (fields[column] >> 52) - 1023 + exponent
            significand = (fields[column] & ((1 << 52) - 1)) | (1 << 52)
            places = min(52 - pack.man_bits + max(pack.exp_low - lead, 0), 54)
            kept = significand >> places
            ones = (np.int64(1) << places) - 1
            more = half_weight * ((ones + 1) >> 1) - np.int64(even) + (np.int64(even) & kept)
            more = more if ones else np.int64(0)
            more += ones * (up * (1 - negative) + down * negative)
            rounded = (significand + more) >> places
            rounded |= np.int64(odd) & np.int64(significand & ones != 0)
            code = ((min(max(lead, pack.exp_low), pack.exp_limit) - pack.exp_low) << pack.man_bits) + rounded
            code = pack.beyond if code > pack.largest or lead >= pack.exp_limit else code
            if negative and code not in (0, pack.nan):
                code = code | pack.sign if pack.sign else 0
            out[row, column] = code if line[column] != 0 else 0
