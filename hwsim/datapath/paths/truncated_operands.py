# SPDX-License-Identifier: Apache-2.0
"""Operands, scales and registers of a truncating unit as its kernels take them."""

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import point_bits
from hwsim.datapath.paths.truncated_kernel import COLUMNS, FIELD_SHIFT, NO_LEAD
from hwsim.datapath.problem import Codes
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec
from hwsim.formats.codes import code_dtype

__all__ = [
    "TABLE_BITS",
    "Leads",
    "leads",
    "load_registers",
    "narrow_table",
    "operand_rows",
    "pack_panels",
    "read_registers",
    "scale_panels",
    "scale_rows",
    "used_leads",
    "wide_table",
]

TABLE_BITS = 19
"""Formats up to this width are looked up in a table of all their codes."""

WIDE_ZERO_GAP = 511
"""The gap of a zero among wide exponents."""


class Leads(NamedTuple):
    """The largest exponent of a format's finite numbers that are not zero, and how far the least lies below it."""

    top: int
    spread: int


class _Table(NamedTuple):
    """For each code its value, 0 for a special, and how far its exponent lies below the largest."""

    values: NDArray[np.float32]
    gaps: NDArray[np.unsignedinteger]


@lru_cache(maxsize=64)
def _unpacked(spec: ScalarSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the significand of every code, 0 for a special, and the exponent by which alignment goes."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    return np.where(parts.special == 0, parts.significand, 0), parts.exponent + point_bits(spec)


@lru_cache(maxsize=64)
def leads(spec: ScalarSpec) -> Leads:
    """Return the exponents of a format of up to TABLE_BITS; (0, 0) for one that holds nothing but zeros."""
    significand, lead = _unpacked(spec)
    held = lead[significand != 0]
    return Leads(int(held.max()), int(held.max() - held.min())) if held.size else Leads(0, 0)


@lru_cache(maxsize=32)
def wide_table(spec: ScalarSpec) -> _Table:
    """Return the table of a format whose values are significands times 2**(FIELD_SHIFT / 2)."""
    significand, lead = _unpacked(spec)
    values = np.ldexp(significand.astype(np.float32), FIELD_SHIFT // 2 - point_bits(spec))
    return _Table(values, np.where(significand != 0, leads(spec).top - lead, WIDE_ZERO_GAP).astype(np.uint16))


@lru_cache(maxsize=32)
def narrow_table(spec: ScalarSpec, top: int, zero_gap: int) -> _Table:
    """Return the table of a format of whose numbers only those are used that have exponents in top - 254..top."""
    significand, lead = _unpacked(spec)
    values = np.ldexp(significand.astype(np.float64), lead - point_bits(spec)).astype(np.float32)
    gaps = np.where(significand != 0, np.clip(top - lead, 0, 254), zero_gap)
    return _Table(values, gaps.astype(np.uint8))


@numba.njit(cache=True)
def _used_kernel(codes: NDArray[np.unsignedinteger], mask: int) -> tuple[int, int]:
    """Return the least and the largest magnitude code but for zeros, less one; unchecked."""
    least, largest = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            magnitude = np.uint64(codes[row, column]) & np.uint64(mask)
            least = min(least, magnitude - np.uint64(1))  # of a zero the largest number there is
            largest = max(largest, magnitude)
    return int(least & np.uint64(mask)), int(largest)


def used_leads(spec: ScalarSpec, codes: Codes) -> Leads:
    """Return the exponents that numbers other than zero have in an array; of a format that is no float, all it has."""
    if not isinstance(spec, FloatSpec):
        return leads(spec)
    across = codes if codes.flags.c_contiguous else codes.T
    least, largest = _used_kernel(np.ascontiguousarray(across), (1 << (spec.exp_bits + spec.man_bits)) - 1)
    if largest == 0:
        return Leads(0, 0)
    low, top = (max(code >> spec.man_bits, 1) - spec.bias for code in (least + 1, largest))
    return Leads(top, top - low)


def _aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Return an array, not set, that begins where a line of the cache does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size].view(dtype).reshape(shape)


def operand_rows(of: _Table, codes: Codes, lanes: int) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return values and gaps of a, shape (steps * M, lanes); narrow gaps are four times in their 32 bits.

    A step's operands of all rows are side by side: rows a power of two apart would evict one another from the cache.
    """
    codes = np.ascontiguousarray(codes.reshape(codes.shape[0], -1, lanes).transpose(1, 0, 2)).reshape(-1, lanes)
    factor = 0x01010101 if of.gaps.dtype == np.uint8 else 1
    return np.take(of.values, codes), np.take(of.gaps.astype(np.uint32) * np.uint32(factor), codes)


@numba.njit(cache=True, parallel=True)
def _panel_kernel(
    codes: NDArray[np.unsignedinteger],
    of_values: NDArray[np.float32],
    of_gaps: NDArray[np.unsignedinteger],
    values: NDArray[np.float32],
    gaps: NDArray[np.unsignedinteger],
    fields: NDArray[np.uint32],
) -> None:
    """Unchecked: codes of shape (K, N); what is beyond N is a zero. Fields are empty, or of the shape of gaps."""
    length, columns = codes.shape
    for panel in numba.prange(values.shape[0]):
        begin = panel * COLUMNS
        count = min(columns - begin, COLUMNS)
        for k in range(length):
            for column in range(COLUMNS):
                if column < count:
                    code = codes[k, begin + column]
                    values[panel, k, column] = of_values[code]
                    gaps[panel, k, column] = of_gaps[code]
                else:
                    values[panel, k, column] = 0
                    gaps[panel, k, column] = of_gaps[0]
                if fields.size:
                    fields[panel, k, column] = np.uint32(gaps[panel, k, column]) << np.uint32(23)


def pack_panels(of: _Table, codes: Codes, wide: bool) -> tuple[Any, Any, Any]:
    """Return values, gaps and, of wide exponents, fields of b in panels of columns, shape (panels, K, COLUMNS)."""
    across = np.ascontiguousarray(codes.T)
    length, columns = across.shape
    shape = (-(-columns // COLUMNS), length, COLUMNS)
    values, gaps = _aligned(shape, np.float32), _aligned(shape, of.gaps.dtype.type)
    fields = _aligned(shape if wide else (0, 0, 0), np.uint32)
    with threads_for(across.size):
        _panel_kernel(across, of.values, of.gaps, values, gaps, fields)
    return values, gaps, fields


def scale_rows(spec: FloatSpec | None, codes: Codes | None, rows: int) -> tuple[Any, Any]:
    """Return exponents, int32, and significands in [0, 2), float32, of scales (rows, blocks); of a 1 for none."""
    if spec is None or codes is None:
        return np.zeros((rows, 1), np.int32), np.ones((rows, 1), np.float32)
    parts = spec.unpack(codes)
    lead = np.where(parts.significand == 0, NO_LEAD, parts.exponent + spec.man_bits)
    return lead.astype(np.int32), np.ldexp(parts.significand.astype(np.float32), -spec.man_bits)


def scale_panels(spec: FloatSpec | None, codes: Codes | None, rows: int) -> tuple[Any, Any]:
    """Return the scales of b likewise, in panels of columns, shape (panels, blocks, COLUMNS)."""
    panels = -(-rows // COLUMNS)
    out = []
    for part in scale_rows(spec, codes, rows):
        whole = np.zeros((panels * COLUMNS, part.shape[1]), part.dtype)
        whole[:rows] = part
        out.append(np.ascontiguousarray(whole.reshape(panels, COLUMNS, -1).transpose(0, 2, 1)))
    return out[0], out[1]


@numba.njit(cache=True, parallel=True)
def _load_kernel(codes: NDArray[np.unsignedinteger], exp_bits: int, man_bits: int, out: NDArray[np.int32]) -> None:
    """Unchecked: codes (M, N) of a signed float with the usual bias become float32 bits in panels."""
    rows, columns = codes.shape
    bias, ones = (1 << (exp_bits - 1)) - 1, (1 << exp_bits) - 1
    for panel in numba.prange(out.shape[0]):
        begin = panel * COLUMNS
        for row in range(rows):
            for column in range(min(columns - begin, COLUMNS)):
                code = int(np.int64(codes[row, begin + column]))
                field, mantissa = (code >> man_bits) & ones, code & ((1 << man_bits) - 1)
                significand = mantissa << (23 - man_bits)
                if field == ones:
                    field = 255
                elif exp_bits < 8 and field > 0:
                    field += 127 - bias
                elif exp_bits < 8 and mantissa:
                    field = 128 - bias
                    while significand < 1 << 23:
                        significand, field = significand << 1, field - 1
                    significand -= 1 << 23
                sign = -(code >> (exp_bits + man_bits)) << 31
                out[panel, row, column] = sign | field << 23 | significand


@numba.njit(cache=True, parallel=True)
def _read_kernel(registers: NDArray[np.int32], exp_bits: int, man_bits: int, out: NDArray[np.unsignedinteger]) -> None:
    """Unchecked: float32 bits in panels, values of a signed float with the usual bias, become its codes."""
    rows, columns = out.shape
    bias = (1 << (exp_bits - 1)) - 1
    for panel in numba.prange(registers.shape[0]):
        begin = panel * COLUMNS
        for row in range(rows):
            for column in range(min(columns - begin, COLUMNS)):
                bits = int(np.int64(registers[panel, row, column]))
                magnitude = bits & 0x7FFFFFFF
                field = (magnitude >> 23) - 127 + bias
                if magnitude >= 0x7F800000:
                    code = ((1 << exp_bits) - 1) << man_bits | int(magnitude > 0x7F800000)
                elif field >= 1 or exp_bits == 8:
                    code = (magnitude >> (23 - man_bits)) - ((127 - bias) << man_bits)
                else:
                    significand = (magnitude & 0x7FFFFF) | (int(magnitude != 0) << 23)
                    code = significand >> min(23 - man_bits + 1 - field, 63)
                out[row, begin + column] = code | int(bits < 0) << (exp_bits + man_bits)


def load_registers(spec: FloatSpec, codes: Codes | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return registers of codes, or zeros, as float32 in panels, shape (panels, M, COLUMNS)."""
    registers = _aligned((-(-shape[1] // COLUMNS), shape[0], COLUMNS), np.float32)
    registers.fill(0)
    if codes is not None:
        _load_kernel(np.ascontiguousarray(codes), spec.exp_bits, spec.man_bits, registers.view(np.int32))
    return registers


def read_registers(spec: FloatSpec, registers: NDArray[np.float32], columns: int) -> Codes:
    """Return the codes of registers, shape (M, columns)."""
    out = np.empty((registers.shape[1], columns), code_dtype(spec.bits))
    with threads_for(out.size):
        _read_kernel(registers.view(np.int32), spec.exp_bits, spec.man_bits, out)
    return out
