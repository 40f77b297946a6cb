# SPDX-License-Identifier: Apache-2.0
"""Operands and registers as float32 or float64, laid out for the kernels that go through K in order."""

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import decode_register
from hwsim.datapath.operands import unpack
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.round_pack import Packing, pack_float, packing
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, ScalarSpec
from hwsim.formats import FloatSpec, Specials
from hwsim.formats.codes import code_dtype

__all__ = [
    "Floats",
    "fits",
    "left",
    "loaded",
    "right",
    "unloaded",
    "values",
]

Floats = NDArray[Any]
"""Of float32 or float64."""

_TABLE_BITS = 16
_OWN: dict[tuple[Any, ...], Any] = {
    (8, 23, 127, Specials.IEEE): np.float32,
    (11, 52, 1023, Specials.IEEE): np.float64,
}
_PLAIN_SCALE = 100  # an exact factor in either
_DEPTH = 64  # of K, so that the cache has the lines while all columns of a panel are written to them


def fits(spec: ScalarSpec, dtype: Any, scale: int = 0) -> bool:
    """Tell whether a float type holds each finite value of a format times ``2**scale``."""
    info = np.finfo(dtype)
    low, high = int(info.minexp) - int(info.nmant), int(info.maxexp)
    bits = spec.max_significand.bit_length()
    return bits <= int(info.nmant) + 1 and spec.exp_min + scale >= low and spec.exp_max + bits + scale <= high


def values(spec: ScalarSpec, codes: Codes, dtype: Any, scale: int = 0) -> Floats:
    """Return the values of codes times ``2**scale``, which fit; specials are 0, or what the float itself has."""
    fields = (spec.exp_bits, spec.man_bits, spec.bias, spec.specials) if isinstance(spec, FloatSpec) else ()
    if fields in _OWN and abs(scale) <= _PLAIN_SCALE:
        exact: Floats = codes.view(_OWN[fields]).astype(dtype)
        return exact * dtype(2.0**scale) if scale else exact
    significand, exponent, special = unpack(spec, codes)
    usual = special == 0
    exponent = np.where(usual, exponent, 0) + scale
    half = exponent // 2  # ldexp takes no exponent of a subnormal in one
    value: Floats = np.ldexp(np.ldexp(np.where(usual, significand, 0).astype(np.float64), half), exponent - half)
    return value.astype(dtype)


@lru_cache(maxsize=32)
def _table(spec: ScalarSpec, dtype: Any, scale: int) -> Floats:
    return values(spec, np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)), dtype, scale)


@numba.njit(cache=True, parallel=True)
def _left_kernel(codes: Codes, table: Floats, out: Floats) -> None:
    """Unchecked: out has the columns of codes, and at least its rows."""
    for row in numba.prange(codes.shape[0]):
        for column in range(codes.shape[1]):
            out[row, column] = table[codes[row, column]]


@numba.njit(cache=True, parallel=True)
def _right_kernel(codes: Codes, table: Floats, out: Floats) -> None:
    """Unchecked: out has the shape (panels, K, width), codes (K, columns)."""
    depth, columns = codes.shape
    width = out.shape[2]
    for k in numba.prange(depth):
        line = codes[k]
        for panel in range(out.shape[0]):
            target = out[panel, k]
            for column in range(min(width, columns - panel * width)):
                target[column] = table[line[panel * width + column]]


@numba.njit(cache=True, parallel=True)
def _turn_kernel(codes: Codes, table: Floats, out: Floats) -> None:
    """Unchecked: out has the shape (panels, K, width), codes (columns, K)."""
    columns, depth = codes.shape
    width = out.shape[2]
    spans = (depth + _DEPTH - 1) // _DEPTH
    for piece in numba.prange(out.shape[0] * spans):
        panel, start = piece // spans, piece % spans * _DEPTH
        for column in range(min(width, columns - panel * width)):
            line = codes[panel * width + column]
            for k in range(start, min(start + _DEPTH, depth)):
                out[panel, k, column] = table[line[k]]


def left(spec: ScalarSpec, codes: Codes, dtype: Any, rows: int, scale: int = 0) -> Floats:
    """Return values times ``2**scale`` of a's codes, (M, K), with zero rows up to a multiple of `rows`."""
    out = np.empty((-(-codes.shape[0] // rows) * rows, codes.shape[1]), dtype)
    out[codes.shape[0] :] = 0
    if spec.bits > _TABLE_BITS:
        out[: codes.shape[0]] = values(spec, codes, dtype, scale)
    else:
        with threads_for(codes.size):
            _left_kernel(np.ascontiguousarray(codes), _table(spec, dtype, scale), out)
    return out


def right(spec: ScalarSpec, codes: Codes, dtype: Any, width: int, scale: int = 0) -> Floats:
    """Return values times ``2**scale`` of b's codes, (N, K), as panels of `width` columns: (panels, K, width)."""
    columns, depth = codes.shape
    count = -(-columns // width)
    out = np.empty((count, depth, width), dtype)
    out[-1:, :, columns - (count - 1) * width :] = 0
    if spec.bits > _TABLE_BITS:
        for panel in range(count):
            part = codes[panel * width : (panel + 1) * width]
            out[panel, :, : part.shape[0]] = values(spec, part, dtype, scale).T
    else:
        table = _table(spec, dtype, scale)
        with threads_for(codes.size):
            if codes.T.flags.c_contiguous:
                _right_kernel(codes.T, table, out)
            else:
                _turn_kernel(np.ascontiguousarray(codes), table, out)
    return out


def loaded(problem: Problem, dtype: Any, shape: tuple[int, int], scale: int = 0) -> Floats:
    """Return registers with the values of c times ``2**scale``, zero where there is none, of a larger shape."""
    out = np.zeros(shape, dtype)
    if problem.c is not None:
        out[: problem.c.shape[0], : problem.c.shape[1]] = values(
            problem.unit.accumulator.format, problem.c, dtype, scale
        )
    return out


class _Fields(NamedTuple):
    """How a register's code comes from the bits of a float."""

    magnitude: int  # mask of all but the sign
    infinity: int
    drop: int  # bits of the mantissa that are zero
    rebias: int
    man_bits: int
    unit: float  # a subnormal times this is its code; 0 where the float's own bits are
    inf_code: int
    nan_code: int
    sign: int


def _fields(accumulator: FloatAccumulator, dtype: Any, scale: int) -> _Fields:
    spec, info = accumulator.format, np.finfo(dtype)
    man_bits: int = int(info.nmant)
    exp_bits = info.bits - 1 - man_bits
    bias = (1 << (exp_bits - 1)) - 1
    own = spec.man_bits == man_bits and scale == 0
    return _Fields(
        (1 << (info.bits - 1)) - 1,
        ((1 << exp_bits) - 1) << man_bits,
        man_bits - spec.man_bits,
        (bias + scale - spec.bias) << spec.man_bits,
        spec.man_bits,
        0.0 if own else 2.0 ** -(spec.exp_min + scale),
        spec.inf_code,
        accumulator.nan_code,
        1 << (spec.bits - 1) if spec.bits < 64 else -(1 << 63),
    )


@numba.njit(cache=True, parallel=True)
def _unload_kernel(bits: NDArray[Any], floats: Floats, fields: _Fields, out: Codes) -> None:
    """Unchecked: the values are those of the register's format; one zero, one NaN."""
    mask, infinity, drop, rebias, man_bits, unit, inf_code, nan_code, sign = fields
    for row in numba.prange(out.shape[0]):
        for column in range(out.shape[1]):
            pattern: Any = np.int64(bits[row, column])
            magnitude = pattern & mask
            code: Any = (magnitude >> drop) - rebias
            if unit != 0.0 and code < (1 << man_bits):
                code = np.int64(abs(np.float64(floats[row, column])) * unit)
            code = inf_code if magnitude == infinity else code
            code |= sign if pattern != magnitude and code != 0 else 0
            out[row, column] = nan_code if magnitude > infinity else code


@numba.njit(cache=True, parallel=True)
def _convert_kernel(codes: Codes, register: tuple[int, int, int], pack: Packing, out: Codes) -> None:
    """Unchecked: codes of a register of exponent bits, mantissa bits and bias, to those of an output."""
    exp_bits, man_bits, bias = register
    for row in numba.prange(out.shape[0]):
        for column in range(out.shape[1]):
            code: Any = np.int64(codes[row, column])
            significand, exponent, special = decode_register(code, exp_bits, man_bits, bias)
            out[row, column] = pack_float(pack, significand, exponent, special)


def unloaded(unit: DotProductUnit, floats: Floats, shape: tuple[int, int], scale: int = 0) -> Codes:
    """Return d, codes of the output, of registers that hold values of their format times ``2**scale``."""
    assert isinstance(unit.accumulator, FloatAccumulator)
    spec = unit.accumulator.format
    out = np.empty(shape, code_dtype(spec.bits))
    bits = floats.view(np.uint32 if floats.dtype == np.float32 else np.int64)
    with threads_for(out.size):
        _unload_kernel(bits, floats, _fields(unit.accumulator, floats.dtype, scale), out)
    if not unit.converts:
        return out
    assert isinstance(unit.output, FloatSpec)  # for a float register has a NaN
    pack = packing(unit.output, unit.rounding, unit.overflow, unit.output.man_bits)
    d = np.empty(shape, code_dtype(unit.output.bits))
    with threads_for(out.size):
        _convert_kernel(out, (spec.exp_bits, spec.man_bits, spec.bias), pack, d)
    return d
