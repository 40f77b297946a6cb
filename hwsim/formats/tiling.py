# SPDX-License-Identifier: Apache-2.0
"""How an array lies in blocks: as rows along one axis, with groups of rows that share their blocks' scales."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.block import BlockSpec

__all__ = [
    "Tiling",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """An array of `shape` as `groups` times `rows` rows of `length` elements.

    A block is `block_rows` rows of one group by `size` elements, less at the ends. `axes` are those moved to the end,
    the blocks' one last; empty where the whole array is one row.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    groups: int
    rows: int
    length: int
    block_rows: int
    size: int

    @classmethod
    def of(cls, spec: BlockSpec, shape: tuple[int, ...], axis: int | None) -> "Tiling":
        """Return the tiling of an array; the axis is checked, and None only where the whole is one block."""
        if spec.block_rows == 0 or axis is None:
            return cls.of_slices(shape, None)
        if spec.block_rows == 1:
            slices = cls.of_slices(shape, axis)
            return replace(slices, size=spec.block_size) if spec.block_size else slices
        if len(shape) < 2:
            raise ValueError(f"x must have at least two dimensions for {spec.name}, not the shape {shape}")
        across = axis - 1 if axis else 1
        groups = prod(extent for i, extent in enumerate(shape) if i not in (axis, across))
        return cls(
            shape=shape,
            axes=(across, axis),
            groups=groups,
            rows=shape[across],
            length=shape[axis],
            block_rows=spec.block_rows,
            size=spec.block_size,
        )

    @classmethod
    def of_slices(cls, shape: tuple[int, ...], axis: int | None) -> "Tiling":
        """Return the tiling into whole slices along an axis, or into one block."""
        length = prod(shape) if axis is None else shape[axis]
        rows = 1 if axis is None else prod(shape[:axis]) * prod(shape[axis + 1 :])
        axes = () if axis is None else (axis,)
        return cls(shape=shape, axes=axes, groups=1, rows=rows, length=length, block_rows=1, size=max(length, 1))

    def with_one_block(self) -> "Tiling":
        """Return the tiling with a row in one block."""
        return replace(self, size=max(self.length, 1))

    @property
    def blocks(self) -> int:
        """Blocks along a row."""
        return -(-self.length // self.size)

    @property
    def block_shape(self) -> tuple[int, int]:
        """Blocks as rows of blocks: all groups' down, and along a row."""
        return self.groups * -(-self.rows // self.block_rows), self.blocks

    def to_rows(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array of `shape` as contiguous rows, shape (groups * rows, length); a view where it lies so."""
        ends = tuple(range(-len(self.axes), 0))
        moved = np.moveaxis(array, self.axes, ends)
        return np.ascontiguousarray(moved).reshape(self.groups * self.rows, self.length)

    def from_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows in the array's shape, contiguous."""
        return self._back(rows, [self.shape[axis] for axis in self.axes])

    def from_blocks(self, blocks: NDArray[Any]) -> NDArray[Any]:
        """Return what each block has, of `block_shape`, with the array's axes shortened to blocks."""
        if not self.axes:
            return blocks.reshape((self.blocks,) * len(self.shape))  # 1, or 0 of an empty array
        extents = [self.blocks] if len(self.axes) == 1 else [-(-self.rows // self.block_rows), self.blocks]
        return self._back(blocks, extents)

    def to_blocks(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the inverse of `from_blocks`."""
        ends = tuple(range(-len(self.axes), 0))
        return np.ascontiguousarray(np.moveaxis(array, self.axes, ends)).reshape(self.block_shape)

    def _back(self, rows: NDArray[Any], extents: list[int]) -> NDArray[Any]:
        others = [extent for i, extent in enumerate(self.shape) if i not in self.axes]
        if not self.axes:
            return rows.reshape(self.shape)
        ends = tuple(range(-len(self.axes), 0))
        return np.ascontiguousarray(np.moveaxis(rows.reshape(*others, *extents), ends, self.axes))

    def spread(self, blocks: NDArray[Any]) -> NDArray[Any]:
        """Return what each block has for each of its rows, shape (groups * rows, blocks)."""
        if self.block_rows == 1:
            return blocks
        grouped = blocks.reshape(self.groups, -(-self.rows // self.block_rows), self.blocks)
        repeated = np.repeat(grouped, self.block_rows, axis=1)[:, : self.rows]
        return np.ascontiguousarray(repeated).reshape(self.groups * self.rows, self.blocks)

    def gather(self, by_row: NDArray[Any], combine: np.ufunc) -> NDArray[Any]:
        """Return the rows' figures of each block combined, one row after another; `block_shape`."""
        if self.block_rows == 1:
            return by_row
        grouped = by_row.reshape(self.groups, self.rows, self.blocks)
        total = np.ascontiguousarray(grouped[:, :: self.block_rows])
        for row in range(1, min(self.block_rows, self.rows)):
            part = grouped[:, row :: self.block_rows]
            kept = total[:, : part.shape[1]]
            combine(kept, part, out=kept)
        return total.reshape(self.block_shape)

    def counts(self) -> NDArray[np.int64]:
        """Return the number of elements of each block; `block_shape`."""
        down = np.minimum(np.arange(0, max(self.rows, 0), self.block_rows) + self.block_rows, self.rows)
        along = np.minimum(np.arange(0, self.length, self.size) + self.size, self.length)
        heights = np.diff(down, prepend=0)
        widths = np.diff(along, prepend=0)
        return np.tile(np.outer(heights, widths), (self.groups, 1)).reshape(self.block_shape)

    def elements(self, rows: NDArray[Any], fill: float) -> NDArray[np.float64]:
        """Return each block's elements, shape (blocks in all, block_rows * size), filled up at the ends."""
        down, along = -(-self.rows // self.block_rows), self.blocks
        padded = np.full((self.groups, down * self.block_rows, along * self.size), fill)
        padded[:, : self.rows, : self.length] = rows.reshape(self.groups, self.rows, self.length)
        cut = padded.reshape(self.groups, down, self.block_rows, along, self.size)
        return cut.swapaxes(2, 3).reshape(self.groups * down * along, self.block_rows * self.size)
