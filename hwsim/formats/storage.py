# SPDX-License-Identifier: Apache-2.0
"""Dense storage: codes of any width packed into bytes, and split into two planes (FP6 as 4 + 2 bits)."""

from enum import Enum
from typing import NamedTuple, Never

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_int, code_dtype

__all__ = [
    "BitOrder",
    "Planes",
    "join_planes",
    "pack_codes",
    "packed_bytes",
    "split_planes",
    "unpack_codes",
]


class BitOrder(Enum):
    """Where in its bytes a packed code stands.

    LITTLE: bit b of code i is bit ``i * bits + b`` of the row, and bit n of the row is bit ``n % 8``, of weight
    ``2**(n % 8)``, of byte ``n // 8``; so the first of two nibbles is the low one (ONNX INT4 and FLOAT4E2M1).
    BIG: the row is written from the top: its first bit is bit 7 of the first byte and the top bit of the first code; so
    the first of two nibbles is the high one (bitsandbytes).
    """

    LITTLE = "little"
    BIG = "big"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        if not isinstance(value, str):
            raise TypeError(f"order must be a BitOrder or a str, not {value!r}")
        raise ValueError(f"order must be one of {', '.join(order.value for order in cls)}, not {value!r}")


class Planes(NamedTuple):
    """Codes split by bits: `low` packs the low bits of each code, `high` the rest, both as `pack_codes` packs."""

    low: NDArray[np.uint8]
    high: NDArray[np.uint8]


def packed_bytes(count: int, bits: int) -> int:
    """Return the bytes that a row of `count` codes of `bits` bits takes: the next whole number."""
    return -(-count * bits // 8)


def pack_codes(codes: ArrayLike, bits: int, order: BitOrder | str = "little") -> NDArray[np.uint8]:
    """Pack codes densely into bytes, row by row.

    Parameters
    ----------
    codes : array of unsigned integers, shape (..., n), at least one dimension
        In [0, 2**bits).
    bits : int
        Width of a code, 1 to 64.
    order : BitOrder or str
        Where the first code of a row stands.

    Returns
    -------
    ndarray of uint8, shape (..., ceil(n * bits / 8))
        Every row of the last axis starts on a byte; the bits left over in its last byte are zero.

    Raises
    ------
    TypeError, ValueError
        If the codes are not integers, have no dimension, or need more than `bits` bits; if bits or order is wrong.
    """
    check_int("bits", bits, 1, 64)
    big = BitOrder(order) is BitOrder.BIG
    array = _checked(codes, bits)
    rows = array.reshape(-1, array.shape[-1]) if array.size else array.reshape(0, 0)
    out = np.zeros((*array.shape[:-1], packed_bytes(array.shape[-1], bits)), np.uint8)
    if array.size and bits == array.dtype.itemsize * 8:
        swapped = array.astype(array.dtype.newbyteorder(">" if big else "<"))
        return swapped.view(np.uint8).reshape(out.shape)
    if array.size:
        _pack_kernel(_signed(rows), bits, big, out.reshape(len(rows), -1))
    return out


def unpack_codes(
    packed: ArrayLike, bits: int, count: int, order: BitOrder | str = "little"
) -> NDArray[np.unsignedinteger]:
    """Undo `pack_codes`.

    Parameters
    ----------
    packed : array of uint8, shape (..., ceil(count * bits / 8))
    bits : int
        Width of a code, 1 to 64.
    count : int
        Codes in a row.
    order : BitOrder or str
        As packed.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `bits`, shape (..., count)
        The bits left over in a row's last byte are not looked at.

    Raises
    ------
    TypeError, ValueError
        If packed is not of uint8 or not of that shape; if bits, count or order is not as above.
    """
    check_int("bits", bits, 1, 64)
    check_int("count", count, 0, 1 << 62)
    big = BitOrder(order) is BitOrder.BIG
    given = np.asarray(packed)
    if given.dtype != np.uint8:
        raise TypeError(f"packed must be an array of uint8, not {given.dtype}")
    row_bytes = packed_bytes(count, bits)
    if given.ndim == 0 or given.shape[-1] != row_bytes:
        text = f"packed must have {row_bytes} bytes in a row for {count} codes of {bits} bits, not shape {given.shape}"
        raise ValueError(text)
    array = np.ascontiguousarray(given)
    dtype = np.dtype(code_dtype(bits))
    if array.size and bits == dtype.itemsize * 8:
        wide = array.view(dtype.newbyteorder(">" if big else "<"))
        return wide.astype(dtype).reshape(*array.shape[:-1], count)
    out = np.empty((*array.shape[:-1], count), dtype)
    if out.size:
        _unpack_kernel(array.reshape(-1, row_bytes), bits, big, _signed(out.reshape(-1, count)))
    return out


def split_planes(codes: ArrayLike, bits: int, low_bits: int, order: BitOrder | str = "little") -> Planes:
    """Store the low bits of each code in one dense plane and its high bits in another.

    Both planes then have a width that divides a byte, where the code's does not: FP6 as 4 + 2 bits, FP5 as 4 + 1.

    Parameters
    ----------
    codes : array of unsigned integers, shape (..., n)
        In [0, 2**bits).
    bits, low_bits : int
        Width of a code, 2 to 64, and of its part in the low plane, 1 to ``bits - 1``.
    order : BitOrder or str
        Of both planes.

    Returns
    -------
    Planes
        The two, packed by `pack_codes`.

    Raises
    ------
    TypeError, ValueError
        As `pack_codes`; if low_bits is not as above.

    Source
    ------
    TC-FPx (FP6-LLM, arXiv:2401.14112) splits weights of 6 bits into segments of 2 and 4. Its order of the
    segments in memory is that of its GPU's threads and is not kept here.
    """
    check_int("bits", bits, 2, 64)
    check_int("low_bits", low_bits, 1, bits - 1)
    array = _checked(codes, bits)
    low = (array & array.dtype.type((1 << low_bits) - 1)).astype(code_dtype(low_bits))
    high = (array >> array.dtype.type(low_bits)).astype(code_dtype(bits - low_bits))
    return Planes(pack_codes(low, low_bits, order), pack_codes(high, bits - low_bits, order))


def join_planes(
    planes: Planes, bits: int, low_bits: int, count: int, order: BitOrder | str = "little"
) -> NDArray[np.unsignedinteger]:
    """Undo `split_planes`, given the number of codes in a row; the rest, and what is raised, as there."""
    check_int("bits", bits, 2, 64)
    check_int("low_bits", low_bits, 1, bits - 1)
    dtype = code_dtype(bits)
    low = unpack_codes(planes.low, low_bits, count, order).astype(dtype, copy=False)
    high = unpack_codes(planes.high, bits - low_bits, count, order).astype(dtype, copy=False)
    if low.shape != high.shape:
        raise ValueError(f"planes must have the same rows, not {low.shape[:-1]} and {high.shape[:-1]}")
    return np.asarray((high << dtype(low_bits)) | low)


def _checked(codes: ArrayLike, bits: int) -> NDArray[np.unsignedinteger]:
    """Return codes as a contiguous array of the smallest dtype, or raise."""
    array = np.asarray(codes)
    if array.dtype.kind not in "ui":
        raise TypeError(f"codes must be integers, not {array.dtype}")
    if array.ndim == 0:
        raise ValueError("codes must have at least one dimension, not none")
    dtype = code_dtype(bits)
    if array.size and (array.dtype != dtype or array.dtype.itemsize * 8 > bits):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >> bits:
            raise ValueError(f"codes must be in 0..2**{bits} - 1, not {low if low < 0 else high}")
    return np.ascontiguousarray(array, dtype)


def _signed(array: NDArray[np.unsignedinteger]) -> NDArray[np.integer]:
    """Return 64-bit codes as int64, for no uint64 may meet an int64 in a kernel; others as they are."""
    return array.view(np.int64) if array.dtype.itemsize == 8 else array


@numba.njit(cache=True)
def _pack_kernel(codes: NDArray[np.integer], bits: int, big: bool, out: NDArray[np.uint8]) -> None:
    """Pack rows into zeros; unchecked. Budget: a group is 8 codes of at most 7 bits, 56 bits."""
    rows, count = codes.shape
    grouped = count & ~7 if bits < 8 else 0
    top, step = (8 * (bits - 1), -8) if big else (0, 8)
    flip = 7 if big else 0  # the first code is the lowest of a group, or the highest
    for r in range(rows):
        place = 0
        for i in range(0, grouped, 8):
            word = 0
            for j in range(8):
                word |= int(codes[r, i + (j ^ flip)]) << (j * bits)
            for j in range(bits):
                out[r, place + j] = (word >> (top + step * j)) & 0xFF
            place += bits
        fill = 0
        for i in range(grouped, count):
            code, left = int(codes[r, i]), bits
            while left:
                take = min(8 - fill, left)
                left -= take
                if big:
                    out[r, place] |= ((code >> left) & ((1 << take) - 1)) << (8 - fill - take)
                else:
                    out[r, place] |= (code & ((1 << take) - 1)) << fill
                    code >>= take
                fill = (fill + take) & 7
                place += int(fill == 0)


@numba.njit(cache=True)
def _unpack_kernel(packed: NDArray[np.uint8], bits: int, big: bool, out: NDArray[np.integer]) -> None:
    """Unpack rows; unchecked, same budget."""
    rows, count = out.shape
    grouped = count & ~7 if bits < 8 else 0
    top, step = (8 * (bits - 1), -8) if big else (0, 8)
    flip = 7 if big else 0
    mask = (1 << (bits & 7)) - 1
    for r in range(rows):
        place = 0
        for i in range(0, grouped, 8):
            word = 0
            for j in range(bits):
                word |= int(packed[r, place + j]) << (top + step * j)
            for j in range(8):
                out[r, i + (j ^ flip)] = (word >> (j * bits)) & mask
            place += bits
        fill = 0
        for i in range(grouped, count):
            code, got = 0, 0
            while got < bits:
                take = min(8 - fill, bits - got)
                byte = int(packed[r, place])
                if big:
                    code = code << take | ((byte >> (8 - fill - take)) & ((1 << take) - 1))
                else:
                    code |= ((byte >> fill) & ((1 << take) - 1)) << got
                got += take
                fill = (fill + take) & 7
                place += int(fill == 0)
            out[r, i] = code
