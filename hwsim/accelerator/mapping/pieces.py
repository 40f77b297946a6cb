# SPDX-License-Identifier: Apache-2.0
"""What a tile of a product needs of each tensor: rows, lengths, and bits in the DRAM and on chip."""

from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.footprint import Footprint, footprint
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec

__all__ = [
    "Cut",
    "Form",
    "Image",
    "Lines",
    "Matrix",
    "Operand",
    "Pieces",
    "Place",
    "Spans",
    "Whole",
    "bounds",
    "sized",
]

Form = ScalarSpec | BlockSpec | int
"""How elements are kept: a format, or plain bits of each."""
Ints = NDArray[np.int64]
Cut = tuple[int, int]
"""A side of a product and of a tile: the length of the whole, and that of a tile."""
_NONE = np.zeros((), np.int64)
_FLOAT32_BITS = 32  # of a tensor's scale


class Place(Enum):
    """Where a tensor is around a layer.

    CHIP: whole in a memory on chip, nothing crosses the DRAM.
    KEPT: whole on chip as well, but an input comes from the DRAM, tile by tile at its first use, and an output also
    goes there.
    DRAM: in the DRAM; on chip there are tiles alone.
    """

    CHIP = "chip"
    KEPT = "kept"
    DRAM = "dram"


class Spans(NamedTuple):
    """Rows that tiles need, for each of several sizes: of the largest, of all, of the first and of the last one."""

    largest: Ints
    summed: Ints
    first: Ints
    last: Ints


@lru_cache(maxsize=256)
def _spans(view: "Whole | Lines | Image", total: int, sizes: tuple[int, ...]) -> Spans:
    """Return the rows of tiles of several sizes, all in one go."""
    begins = [np.arange(0, total, size) for size in sizes]
    starts = np.cumsum([0, *map(len, begins)])
    begin = np.concatenate(begins)
    end = np.minimum(begin + np.repeat(sizes, np.diff(starts)), total)
    rows = np.broadcast_to(view.rows(begin, end), begin.shape)
    return Spans(
        np.maximum.reduceat(rows, starts[:-1]),
        np.add.reduceat(rows, starts[:-1]),
        rows[starts[:-1]],
        rows[starts[1:] - 1],
    )


@lru_cache(maxsize=64)
def bounds(total: int, size: int) -> Ints:
    """Return where the tiles of a side begin, and where the last one ends."""
    ends = np.arange(-(-total // size) + 1) * size
    ends[-1] = total
    ends.flags.writeable = False
    return ends


@lru_cache(maxsize=64)
def _rows(view: "Matrix | Whole | Lines | Image", total: int, size: int, fresh: bool) -> Ints:
    """Return the rows that each tile of a side needs; `fresh`: that none before it had."""
    ends = bounds(total, size)
    if fresh and isinstance(view, Image):
        return view.new_rows(ends[1:])
    return view.rows(ends[:-1], ends[1:])


class Matrix(NamedTuple):
    """Rows of a matrix: a tile needs its own rows, of its own part of K."""

    def rows(self, begin: Ints, end: Ints) -> Ints:
        """Return the rows that each tile needs."""
        return end - begin

    def spans(self, total: int, sizes: list[int]) -> Spans:
        """Return the rows of tiles of several sizes."""
        each = np.array(sizes, np.int64)
        return Spans(each, np.full_like(each, total), each, total - (-(-total // each) - 1) * each)

    def lengths(self, bounds: Ints, *, fresh: bool) -> Ints:
        """Return how much of a row each part of K needs."""
        del fresh
        return bounds[1:] - bounds[:-1]


class Whole(NamedTuple):
    """So many rows of a length, whatever the tile."""

    row_count: int
    length: int

    def rows(self, begin: Ints, end: Ints) -> Ints:
        """Return all rows."""
        del begin, end
        return np.array([self.row_count])

    def spans(self, total: int, sizes: list[int]) -> Spans:
        """Return the rows of tiles of several sizes."""
        return _spans(self, total, tuple(sizes))

    def lengths(self, bounds: Ints, *, fresh: bool) -> Ints:
        """Return the length."""
        del bounds, fresh
        return np.array([self.length])


class Lines(NamedTuple):
    """Outputs of rows that stand for several neighbours in a line, the last of a line for fewer; channels are not cut.

    per_line : rows of the product for each line
    width : outputs in a line
    neighbours : outputs that a row stands for
    channels : of a group
    """

    per_line: int
    width: int
    neighbours: int
    channels: int

    def rows(self, begin: Ints, end: Ints) -> Ints:
        """Return the outputs of each tile."""
        return self._outputs(end) - self._outputs(begin)

    def _outputs(self, rows: Ints) -> Ints:
        """Return the outputs before a row."""
        lines, place = np.divmod(rows, self.per_line)
        outputs: Ints = lines * self.width + np.minimum(place * self.neighbours, self.width)
        return outputs

    def spans(self, total: int, sizes: list[int]) -> Spans:
        """Return the rows of tiles of several sizes."""
        return _spans(self, total, tuple(sizes))

    def lengths(self, bounds: Ints, *, fresh: bool) -> Ints:
        """Return a group's channels."""
        del bounds, fresh
        return np.array([self.channels])


class Image(NamedTuple):
    """The input of a convolution: a tile of its output needs whole lines of the image, and whole channels.

    Lines are those of the first spatial axis, from the first that a tile's windows touch to the last, padding apart.
    Where an image is loaded once for all, what strides skip is brought along with the tile before it.

    lines, pixels : of an image, and of a line (all other spatial axes)
    out_lines, per_line : lines of the output, and rows of the product for each
    stride, pad, extent : of the window, along the first spatial axis
    taps : elements of K for each channel
    channels : of a group, where K is never cut; else 0
    """

    lines: int
    pixels: int
    out_lines: int
    per_line: int
    stride: int
    pad: int
    extent: int
    taps: int
    channels: int = 0

    def rows(self, begin: Ints, end: Ints) -> Ints:
        """Return the pixels that each tile needs."""
        image, line = self._place(begin)
        last_image, last = self._place(end - 1)
        first = self._clipped(line * self.stride - self.pad)
        behind = self._clipped(last * self.stride + (self.extent - self.pad))
        pixels: Ints = ((last_image - image) * self.lines + behind - first) * self.pixels
        return pixels

    def new_rows(self, end: Ints) -> Ints:
        """Return the pixels that each tile needs and none before it needed."""
        image, line = self._place(end - 1)
        last = self._clipped(line * self.stride + (max(self.extent, self.stride) - self.pad))
        last[line == self.out_lines - 1] = self.lines
        new: Ints = np.diff(image * self.lines + last, prepend=0) * self.pixels
        return new

    def _place(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the image and the line of the output that rows of the product are of."""
        image, place = np.divmod(rows, self.out_lines * self.per_line)
        return image, place // self.per_line

    def _clipped(self, lines: Ints) -> Ints:
        """Return lines without the padding."""
        inside: Ints = np.minimum(np.maximum(lines, 0), self.lines)
        return inside

    def spans(self, total: int, sizes: list[int]) -> Spans:
        """Return the rows of tiles of several sizes."""
        return _spans(self, total, tuple(sizes))

    def lengths(self, bounds: Ints, *, fresh: bool) -> Ints:
        """Return the channels of each part of K."""
        if self.channels:
            return np.array([self.channels])
        ends = -(-bounds // self.taps)
        channels: Ints = np.diff(ends) if fresh else ends[1:] - bounds[:-1] // self.taps
        return channels


class Pieces(NamedTuple):
    """Bits of pieces: arrays as the fields of `Footprint`; of plain elements nothing but these."""

    element_bits: Ints
    scale_bits: Ints = _NONE
    index_bits: Ints = _NONE

    @property
    def bits(self) -> Ints:
        """All of each."""
        if self.scale_bits is _NONE:
            return self.element_bits
        return self.element_bits + self.scale_bits + self.index_bits


class Operand(NamedTuple):
    """A tensor of a product.

    memory : "activation" or "weight", the memory on chip
    place : Place
    view : what a tile needs of it
    groups : groups that it has; fewer than the product's where it is the same for several
    outside, stored : how it is kept in the DRAM, and on chip
    joined : whether groups lie side by side in a row
    """

    memory: str
    place: Place
    view: Matrix | Whole | Lines | Image
    groups: int
    outside: Form
    stored: Form
    joined: bool = False

    def pieces(self, form: Form, groups: int, along: Cut, across: Cut, *, fresh: bool = False) -> Pieces:
        """Return the bits of each tile: arrays of shape (tiles along the rows, tiles along K).

        `fresh`: of what no tile before it had.
        """
        rows = _rows(self.view, *along, fresh)
        lengths = self.view.lengths(bounds(*across), fresh=fresh)
        groups = min(groups, self.groups)
        rows, width = (rows, groups) if self.joined else (rows * groups, 1)
        if not isinstance(form, BlockSpec):
            bits = rows[:, np.newaxis] * (lengths * (width * (form if isinstance(form, int) else form.bits)))
            return Pieces(bits)
        sizes, column = np.unique(lengths, return_inverse=True)
        columns = [sized(form, rows, length * width) for length in sizes.tolist()]
        parts = [np.array([np.broadcast_to(each[i], rows.shape) for each in columns]).T[:, column] for i in range(3)]
        parts[1][0, 0] += _FLOAT32_BITS * form.tensor_scale  # comes with the first piece
        return Pieces(*parts)


def sized(form: Form, rows: Any, length: int) -> Footprint:
    """Return the bits of rows of a length, without a tensor's scale; `rows` may be an array."""
    return footprint(_without_tensor_scale(form) if isinstance(form, BlockSpec) else form, rows, length)


@lru_cache(maxsize=64)
def _without_tensor_scale(form: BlockSpec) -> BlockSpec:
    return replace(form, tensor_scale=False)
