# SPDX-License-Identifier: Apache-2.0
"""Numbers at ports as planes of bits, 64 lanes a word, and back."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from cost_models.activity.words import CHUNK, gather_bits, scatter_bits

__all__ = [
    "Layout",
    "Planes",
    "layout",
    "pack",
    "unpack",
]

_Words = npt.NDArray[np.uint64]
_BLOCK = 32  # words of a row at most: all rows of a unit of some thousand gates then stay in the second-level cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How lanes lie in words: `blocks` of `words` words each, the first `lanes` bits of all being used."""

    lanes: int
    blocks: int
    words: int

    def mask(self) -> _Words:
        """Give the used bits, of shape (blocks, words)."""
        lane = np.arange(self.blocks * self.words * 64).reshape(-1, 64)
        bits = (lane < self.lanes).astype(np.uint64) << np.arange(64, dtype=np.uint64)
        words: _Words = np.bitwise_or.reduce(bits, axis=1).reshape(self.blocks, self.words)
        return words


def layout(lanes: int) -> Layout:
    """Spread lanes over blocks of equal size, a multiple of `CHUNK` words."""
    words = -(-lanes // 64)
    blocks = -(-words // _BLOCK)
    return Layout(lanes=lanes, blocks=blocks, words=-(-words // (blocks * CHUNK)) * CHUNK)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """
    Packed inputs of a run, made by `Simulator.pack`.

    Attributes
    ----------
    words : ndarray of uint64, shape (blocks, cycles, bits, words)
        Each bit of each input port, ports in the order of the netlist.
    layout : Layout
    """

    words: _Words
    layout: Layout


@numba.njit(cache=True, nogil=True)
def _pack_kernel(numbers: Any, lanes: int, bits: int, planes: Any, offset: int) -> None:
    """Turn numbers (cycle, lane) into planes. Checks nothing."""
    scratch = np.zeros(64, dtype=numbers.dtype)
    blocks, cycles, _, words = planes.shape
    for block in range(blocks):
        for cycle in range(cycles):
            for w in range(words):
                lane = 64 * (block * words + w)
                if lane + 64 <= lanes:
                    for bit in range(bits):
                        planes[block, cycle, offset + bit, w] = gather_bits(numbers, cycle * lanes + lane, bit)
                elif lane < lanes:
                    for i in range(lanes - lane):
                        scratch[i] = numbers[cycle * lanes + lane + i]
                    for bit in range(bits):
                        planes[block, cycle, offset + bit, w] = gather_bits(scratch, 0, bit)


@numba.njit(cache=True, nogil=True)
def _unpack_kernel(planes: Any, shape: Any, offset: int, bits: int, lanes: int, numbers: Any) -> None:
    """Turn planes, given flat, back into numbers (cycle, lane), given flat. Checks nothing."""
    scratch = np.zeros(64, dtype=np.uint64)
    blocks, cycles, rows, words = shape
    for block in range(blocks):
        for cycle in range(cycles):
            for w in range(words):
                lane = 64 * (block * words + w)
                first = ((block * cycles + cycle) * rows + offset) * words + w
                if lane + 64 <= lanes:
                    scatter_bits(numbers, cycle * lanes + lane, planes, first, words, bits)
                elif lane < lanes:
                    scatter_bits(scratch, 0, planes, first, words, bits)
                    for i in range(lanes - lane):
                        numbers[cycle * lanes + lane + i] = scratch[i]


def pack(name: str, values: npt.NDArray[Any], bits: int, planes: Planes, offset: int) -> None:
    """
    Put the numbers at a port of `bits` bits into planes from row `offset` on.

    Raises
    ------
    TypeError
        The numbers are not of an integer kind.
    ValueError
        The shape is not (cycles, lanes), or above 64 bits (cycles, lanes, limbs).
    """
    values = np.asarray(values)
    if values.dtype.kind not in "iub":
        raise TypeError(f"input {name!r} must have an integer dtype, not {values.dtype}")
    lanes = planes.layout.lanes
    shape: tuple[int, ...] = (planes.words.shape[1], lanes)
    shape = shape if bits <= 64 else (*shape, -(-bits // 64))
    if values.shape != shape:
        raise ValueError(f"input {name!r} of {bits} bits must have shape {shape}, not {values.shape}")
    kind, size = values.dtype.kind.replace("b", "u"), values.dtype.itemsize
    if bits > 8 * size:  # the bits above come from the sign
        size = 8
    values = values.astype(np.dtype(f"{kind}{size}"), copy=False)
    for first in range(0, bits, 64):
        limb = values if bits <= 64 else values[:, :, first // 64]
        numbers = np.ascontiguousarray(limb).reshape(-1)
        _pack_kernel(numbers, lanes, min(64, bits - first), planes.words, offset + first)


def unpack(words: _Words, of: Layout, offset: int, bits: int) -> _Words:
    """Give the numbers at a port from planes: shape (cycles, lanes), or (cycles, lanes, limbs) above 64 bits."""
    limbs = []
    for first in range(0, bits, 64):
        numbers = np.zeros((words.shape[1], of.lanes), dtype=np.uint64)
        _unpack_kernel(
            words.reshape(-1), words.shape, offset + first, min(64, bits - first), of.lanes, numbers.reshape(-1)
        )
        limbs.append(numbers)
    return limbs[0] if len(limbs) == 1 else np.stack(limbs, axis=2)
