# SPDX-License-Identifier: Apache-2.0
"""Layers that keep, repeat and rearrange elements: Slice, Split, Expand, Tile, DepthToSpace, SpaceToDepth."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Expand",
    "Rearrange",
    "Slice",
    "Tile",
    "build_depth_to_space",
    "build_expand",
    "build_slice",
    "build_space_to_depth",
    "build_split",
    "build_tile",
    "integers",
    "one_axis",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice(Elementwise):
    """Every `steps`-th element of each axis.

    Parameters
    ----------
    starts, steps, sizes : tuple of int
        One for each axis: the first element kept, the distance to the next (negative: backwards), and how many.
    whole : tuple of bool
        Whether an axis is kept as it is, whatever its size.
    """

    kind: ClassVar[str] = "move"
    moves_only: ClassVar[bool] = True

    starts: tuple[int, ...]
    steps: tuple[int, ...]
    sizes: tuple[int, ...]
    whole: tuple[bool, ...]

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the sizes."""
        return self.sizes

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is kept as it is."""
        return bool(self.whole) and self.whole[0]

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Slice."""
        keys = []
        for start, step, size, whole in zip(self.starts, self.steps, self.sizes, self.whole, strict=True):
            stop = start + step * size
            keys.append(slice(None) if whole else slice(start, None if stop < 0 else stop, step))
        return np.asarray(values[0][tuple(keys)], order="C")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expand(Elementwise):
    """The elements repeated to a broadcast shape.

    Parameters
    ----------
    target : tuple of int
        What the input is broadcast with; 1 for its axis 0 where that stays the batch.
    """

    kind: ClassVar[str] = "move"
    moves_only: ClassVar[bool] = True

    target: Shape

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the broadcast shape."""
        try:
            return np.broadcast_shapes(shapes[0], self.target)
        except ValueError:
            raise ValueError(f"layer {self.name!r}: shape {shapes[0]} does not broadcast to {self.target}") from None

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is not what is repeated."""
        rank = len(specs[0].shape)
        return len(self.target) < rank or (len(self.target) == rank > 0 and self.target[0] == 1)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Broadcast."""
        return np.array(np.broadcast_to(values[0], self.shape((values[0].shape,))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile(Elementwise):
    """The tensor repeated along its axes.

    Parameters
    ----------
    repeats : tuple of int
        One for each axis.
    """

    kind: ClassVar[str] = "move"
    moves_only: ClassVar[bool] = True

    repeats: tuple[int, ...]

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the repeated shape."""
        if len(self.repeats) != len(shapes[0]) or min(self.repeats, default=0) < 0:
            raise ValueError(f"layer {self.name!r}: repeats {self.repeats} do not fit the axes of {shapes[0]}")
        return tuple(size * times for size, times in zip(shapes[0], self.repeats, strict=True))

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is not repeated."""
        return bool(self.repeats) and self.repeats[0] == 1

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Repeat."""
        return np.tile(values[0], self.repeats)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rearrange(Elementwise):
    """The same elements in another order: split axes, permute them, join them; axis 0 stays.

    Parameters
    ----------
    split, target : tuple of int
        Shapes before and after the permutation, without axis 0.
    permutation : tuple of int
        Of the axes of `split` with axis 0 in front.
    """

    kind: ClassVar[str] = "move"
    moves_only: ClassVar[bool] = True

    split: Shape
    permutation: tuple[int, ...]
    target: Shape

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the target."""
        return (shapes[0][0], *self.target)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Rearrange."""
        x = values[0]
        moved = x.reshape(x.shape[0], *self.split).transpose(self.permutation)
        return np.asarray(moved, order="C").reshape(x.shape[0], *self.target)


def build_slice(node: RawNode, pattern: Pattern) -> None:
    """Build a Slice: bounds are attributes before opset 10, inputs from then on."""
    shape = pattern.shape(node.inputs[0])
    if "starts" in node.attributes:
        starts, ends = (integers(node.attributes[name]) for name in ("starts", "ends"))
        axes, steps = integers(node.attributes.get("axes", range(len(starts)))), [1] * len(starts)
    else:
        starts, ends = (integers(pattern.constant(node, index)) for index in (1, 2))
        axes = integers(pattern.constant(node, 3)) if node.present(3) else list(range(len(starts)))
        steps = integers(pattern.constant(node, 4)) if node.present(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError(f"node {node.label}: starts, ends, axes and steps must have one length, no step 0")
    places = [one_axis(node, axis, len(shape)) for axis in axes]
    if len(set(places)) != len(places):
        raise ValueError(f"node {node.label}: axes {axes} name one twice")
    ranges = [range(size) for size in shape]
    for axis, start, end, step in zip(places, starts, ends, steps, strict=True):
        ranges[axis] = range(shape[axis])[start:end:step]
    _add_slice(node, pattern, ranges, shape)


def build_split(node: RawNode, pattern: Pattern) -> None:
    """Build a Split as one Slice an output."""
    shape = pattern.shape(node.inputs[0])
    axis = one_axis(node, int(node.attributes.get("axis", 0)), len(shape))
    count = len(node.outputs)
    if "split" in node.attributes:
        sizes = integers(node.attributes["split"])
    elif node.present(1):
        sizes = integers(pattern.constant(node, 1))
    else:
        each = -(-shape[axis] // count)
        sizes = [each] * (count - 1) + [shape[axis] - each * (count - 1)]
    if len(sizes) != count or min(sizes) < 0 or sum(sizes) != shape[axis]:
        raise ValueError(f"node {node.label}: {count} parts of sizes {sizes} do not make {shape[axis]}")
    start = 0
    for index, size in enumerate(sizes):
        ranges = [range(length) for length in shape]
        ranges[axis] = range(start, start + size)
        start += size
        if node.outputs[index]:
            _add_slice(node, pattern, ranges, shape, index)


def build_expand(node: RawNode, pattern: Pattern) -> None:
    """Build an Expand to a constant shape."""
    shape = pattern.shape(node.inputs[0])
    target = integers(pattern.constant(node, 1))
    if min(target, default=0) < 0:
        raise ValueError(f"node {node.label}: shape {target} must not be negative")
    if len(target) == len(shape) > 0 and target[0] == shape[0]:
        target[0] = 1
    pattern.add(Expand(**Expand.fields(node, pattern, 1), target=tuple(target)))


def build_tile(node: RawNode, pattern: Pattern) -> None:
    """Build a Tile with constant repeats."""
    repeats = tuple(integers(pattern.constant(node, 1)))
    pattern.add(Tile(**Tile.fields(node, pattern, 1), repeats=repeats))


def build_depth_to_space(node: RawNode, pattern: Pattern) -> None:
    """Build a DepthToSpace, in either mode."""
    block, (channels, height, width) = _blocks(node, pattern)
    if channels % (block * block):
        raise ValueError(f"node {node.label}: {channels} channels do not make blocks of {block} x {block}")
    depth = channels // (block * block)
    if _columns_first(node):
        split, permutation = (depth, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        split, permutation = (block, block, depth, height, width), (0, 3, 4, 1, 5, 2)
    _add_rearranged(node, pattern, split, permutation, (depth, height * block, width * block))


def build_space_to_depth(node: RawNode, pattern: Pattern) -> None:
    """Build a SpaceToDepth, in either mode."""
    block, (depth, height, width) = _blocks(node, pattern)
    if height % block or width % block:
        raise ValueError(f"node {node.label}: {height} x {width} does not fall into blocks of {block} x {block}")
    split = (depth, height // block, block, width // block, block)
    permutation = (0, 1, 3, 5, 2, 4) if _columns_first(node) else (0, 3, 5, 1, 2, 4)
    target = (depth * block * block, height // block, width // block)
    _add_rearranged(node, pattern, split, permutation, target)


def integers(values: Any) -> list[int]:
    """Return a shape, axes or such as Python ints."""
    return [int(value) for value in np.asarray(values).reshape(-1)]


def one_axis(node: RawNode, axis: int, rank: int) -> int:
    """Return an axis counted from the front, or raise."""
    if not -rank <= axis < rank:
        raise ValueError(f"node {node.label}: axis {axis} is not one of {rank}")
    return axis % rank


def _add_slice(node: RawNode, pattern: Pattern, ranges: list[range], shape: Shape, output: int = 0) -> None:
    """Append a Slice."""
    fields = Slice.fields(node, pattern, 1, output)
    pattern.add(
        Slice(
            **fields,
            starts=tuple(r.start for r in ranges),
            steps=tuple(r.step for r in ranges),
            sizes=tuple(len(r) for r in ranges),
            whole=tuple(r == range(size) for r, size in zip(ranges, shape, strict=True)),
        )
    )


def _blocks(node: RawNode, pattern: Pattern) -> tuple[int, Shape]:
    """Return the block size and the input's shape without its batch."""
    shape = pattern.shape(node.inputs[0])
    block = int(node.attributes["blocksize"])
    if len(shape) != 4 or not 1 <= block <= max(shape):
        raise ValueError(f"node {node.label}: input {shape} must have 4 axes and fit blocks of {block}")
    return block, shape[1:]


def _columns_first(node: RawNode) -> bool:
    mode = node.attributes.get("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise ValueError(f"node {node.label}: mode must be DCR or CRD, not {mode!r}")
    return bool(mode == "CRD")


def _add_rearranged(node: RawNode, pattern: Pattern, split: Shape, permutation: Shape, target: Shape) -> None:
    """Append a Rearrange."""
    assert prod(split) == prod(target)
    fields = Rearrange.fields(node, pattern, 1)
    pattern.add(Rearrange(**fields, split=split, permutation=permutation, target=target))
