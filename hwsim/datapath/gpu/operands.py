# SPDX-License-Identifier: Apache-2.0
"""Operands on the GPU: codes become what a kernel multiplies, by a table of the format."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.gpu.reals import Real, cuda
from hwsim.datapath.operands import unpack
from hwsim.datapath.unit import DotProductUnit, ScalarSpec
from hwsim.formats import FloatSpec, Unpacked
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, code_dtype

__all__ = [
    "TABLE_BITS",
    "Side",
    "entry",
    "grid_of",
    "no_codes",
    "steps_of",
    "table_of",
    "take",
    "take_floats",
    "take_scales",
    "values",
]

TABLE_BITS = 20
"""Wider formats have no table: their codes are the floats of the GPU."""
_THREADS = 256


class Side(NamedTuple):
    """One operand of a product: codes on the GPU, of shape (rows, K), or (K, rows) where `by_k`."""

    codes: Any
    by_k: bool
    rows: int
    ignored_bits: int
    infinity: int  # code of one above the ignored bits, where these are rounded away; 0 where they are cut off
    source: Any  # int32 (steps * step width): which element of K is at a place of a step; -1 for none, a zero
    scales: Any  # codes of block scales, of shape (rows, blocks), or (blocks, rows) where `by_k`
    scale_source: Any  # int32 (steps): the block of a step


def grid_of(count: int) -> int:
    """Return how many blocks have a thread each for so many elements."""
    return max(1, -(-count // _THREADS))


def entry(spec: ScalarSpec, unpacked: FloatSpec | None = None) -> Unpacked:
    """Return the meaning of every code of a format, in another to which it is unpacked, and a last one that is zero."""
    codes = np.arange(1 << spec.bits, dtype=code_dtype(spec.bits))
    if unpacked is not None:
        codes, spec = unpacked.encode(spec.decode(codes), overflow="infinity"), unpacked
    parts = unpack(spec, codes)
    return Unpacked(
        np.append(parts.significand, 0), np.append(parts.exponent, spec.exp_min), np.append(parts.special, np.uint8(0))
    )


def steps_of(unit: DotProductUnit, depth: int, width: int) -> tuple[int, NDArray[np.int32]]:
    """Return the steps of a dot product, and which of its elements stands where.

    `width` is a step's places in a kernel, at least the unit's lanes.
    """
    lanes = unit.lanes
    steps = -(-depth // lanes)
    places = np.arange(steps * lanes)
    if unit.order:
        period = len(unit.order)
        places = np.concatenate([np.array(unit.order) + begin for begin in range(0, steps * lanes, period)])
        steps = len(places) // lanes
    source = np.full((steps, width), -1, np.int32)
    source[:, :lanes] = np.where(places < depth, places, -1).reshape(steps, lanes)
    return steps, source.reshape(-1)


def values(parts: Unpacked, dtype: Any, lift: int = 0, *, special: bool = False) -> NDArray[Any]:
    """Return ``significand * 2**(exponent + lift)`` as floats, which must hold it; specials as such, or zero."""
    found = np.ldexp(parts.significand.astype(np.float64), (parts.exponent + lift).astype(np.int64))
    if special:
        signs = np.where(parts.special == NEGATIVE_INFINITY, -np.inf, np.inf)
        found = np.where(parts.special == 0, found, np.where(parts.special == NAN, np.nan, signs))
    return found.astype(dtype)


@lru_cache(maxsize=64)
def _upload(data: bytes, dtype: str, shape: tuple[int, ...]) -> Any:
    return cuda.to_device(np.frombuffer(data, dtype).reshape(shape).copy())


def table_of(array: NDArray[Any]) -> Any:
    """Return a table on the GPU; the same one for the same content."""
    return _upload(np.ascontiguousarray(array).tobytes(), array.dtype.str, array.shape)


@lru_cache(maxsize=8)
def _take_kernel(by_k: bool) -> Any:
    def kernel(codes: Any, source: Any, table: Any, ignored: tuple[int, int], rows: int, out: Any) -> None:
        """Look up each code; `out` may have more rows, of zeros."""
        at = cuda.grid(1)
        if at >= out.shape[0] * out.shape[1]:
            return
        place, row = at // out.shape[1], at % out.shape[1]
        k = source[place]
        index = table.shape[0] - 1
        if k >= 0 and row < rows:
            ignored_bits, infinity = ignored
            code = np.int64(codes[k, row] if by_k else codes[row, k])
            index = code >> ignored_bits
            if infinity != 0 and code & (infinity | (infinity & -infinity) - 1) > infinity:  # a NaN
                index = (infinity >> ignored_bits) + 1
            elif infinity != 0:
                index = (code + (1 << (ignored_bits - 1)) - 1 + (index & 1)) >> ignored_bits
        out[place, row] = table[index]

    return cuda.jit(kernel)


def take(side: Side, table: NDArray[Any], out: Any) -> Any:
    """Look up a side's codes, to `out`: of shape (steps * width, rows), with zeros in rows beyond the side's."""
    _take(side, side.codes, side.source, table, (side.ignored_bits, side.infinity), out)
    return out


def take_scales(side: Side, table: NDArray[Any], out: Any) -> Any:
    """Look up a side's block scales, to `out` of shape (steps, rows); the table's last entry where it has none."""
    if side.scales is None:
        out.copy_to_device(np.full(out.shape, table[-1], table.dtype))
    else:
        _take(side, side.scales, side.scale_source, table, (0, 0), out)
    return out


def _take(side: Side, codes: Any, source: Any, table: NDArray[Any], ignored: tuple[int, int], out: Any) -> None:
    kernel = _take_kernel(side.by_k)
    kernel[grid_of(out.size), _THREADS](codes, source, table_of(table), ignored, side.rows, out)


@lru_cache(maxsize=8)
def _float_kernel(real: Real, by_k: bool) -> Any:
    value_of, dtype, codes_of = real.value, real.dtype, real.codes

    def kernel(codes: Any, source: Any, rows: int, out: Any) -> None:
        """Take codes for what they are."""
        at = cuda.grid(1)
        if at >= out.shape[0] * out.shape[1]:
            return
        place, row = at // out.shape[1], at % out.shape[1]
        k = source[place]
        out[place, row] = dtype(0)
        if k >= 0 and row < rows:
            out[place, row] = value_of(codes_of(codes[k, row] if by_k else codes[row, k]))

    return cuda.jit(kernel)


def take_floats(side: Side, rows: int, real: Real) -> Any:
    """Return the floats that a side's codes are, of shape (steps * width, rows)."""
    out = cuda.device_array((side.source.shape[0], rows), real.dtype)
    _float_kernel(real, side.by_k)[grid_of(out.size), _THREADS](side.codes, side.source, side.rows, out)
    return out


def no_codes(dtype: Any) -> Any:
    """Return what a kernel takes for registers that all start at 0."""
    return table_of(np.zeros((1, 1), dtype))
