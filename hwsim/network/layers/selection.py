# SPDX-License-Identifier: Apache-2.0
"""TopK, the indices of MaxPool, TensorScatter, ReverseSequence."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Engine, Layer, Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import one_axis
from hwsim.network.layers.window import Window, windows
from hwsim.network.pattern import Pattern, RawNode
from hwsim.network.requantize import Rule

__all__ = [
    "CacheWrite",
    "MaxPoolIndices",
    "ReverseSequence",
    "TopK",
    "build_cache_write",
    "build_reverse_sequence",
    "build_top_k",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TopK(Layer):
    """The greatest (or least) elements along an axis and their indices, sorted; of equals the first come first.

    Parameters
    ----------
    axis, count : int
        The axis is not negative.
    largest : bool
    """

    kind: ClassVar[str] = "sort"

    axis: int
    count: int
    largest: bool

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the specs of values and indices, of those that are given a name."""
        x = specs[0]
        if not 0 <= self.count <= x.shape[self.axis]:
            raise ValueError(f"layer {self.name!r}: k must be 0 to {x.shape[self.axis]}, not {self.count}")
        shape = (*x.shape[: self.axis], self.count, *x.shape[self.axis + 1 :])
        return tuple(
            TensorSpec(name=name, shape=shape, dtype=dtype)
            for name, dtype in zip(self.outputs, (x.dtype, "int64"), strict=False)
        )

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the axis is not the batch."""
        return self.axis != 0

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Sort."""
        del engine, rule
        x = values[0]
        if self.largest:  # a stable order from the end, turned around, has the first of equals first
            order = (
                x.shape[self.axis]
                - 1
                - np.flip(np.argsort(np.flip(x, self.axis), axis=self.axis, kind="stable"), self.axis)
            )
        else:
            order = np.argsort(x, axis=self.axis, kind="stable")
        chosen = np.take(order, np.arange(self.count), axis=self.axis)
        return (np.take_along_axis(x, chosen, axis=self.axis), chosen.astype(np.int64))[: len(self.outputs)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxPoolIndices(Layer):
    """Where in the flattened tensor each window of a MaxPool has its (first) maximum.

    Parameters
    ----------
    window : Window
    column_major : bool
        Whether an image's indices count its last axis slowest.
    """

    kind: ClassVar[str] = "max_pool"

    window: Window
    column_major: bool

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the spec of the indices."""
        x = specs[0].shape
        return (TensorSpec(name=self.outputs[0], shape=(*x[:2], *self.window.output(x[2:])), dtype="int64"),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell that indices count over the whole batch."""
        return False

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Find the maxima."""
        del engine, rule
        x = values[0]
        count = len(self.window.kernel)
        least = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
        if self.column_major:
            each = np.arange(x[0, 0].size, dtype=np.int64).reshape(x.shape[:1:-1]).T
            order = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *([1] * count)) * x[0, 0].size + each
        else:
            order = np.arange(x.size, dtype=np.int64).reshape(x.shape)
        shape = (*x.shape[:2], *self.window.output(x.shape[2:]), -1)
        best = windows(x, self.window, least).reshape(shape).argmax(axis=-1)[..., np.newaxis]
        places = windows(order, self.window, -1).reshape(shape)
        return (np.take_along_axis(places, best, axis=-1)[..., 0],)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheWrite(Elementwise):
    """TensorScatter: a cache with an update written at a place of its own for each image.

    Parameters
    ----------
    axis : int
        Of the sequence; not negative.
    circular : bool
        Whether places wrap around at the cache's end.
    """

    kind: ClassVar[str] = "gather"
    moves_only: ClassVar[bool] = True
    plain: ClassVar[tuple[int, ...]] = (2,)

    axis: int
    circular: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the cache's shape."""
        cache, update, places = shapes
        rest = [(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in (cache, update)]
        if len(cache) != len(update) or rest[0] != rest[1] or update[self.axis] > cache[self.axis]:
            raise ValueError(f"layer {self.name!r}: an update {update} does not fit a cache {cache}")
        if places != cache[:1]:
            raise ValueError(f"layer {self.name!r}: write_indices {places} must be one for each of {cache[0]}")
        return cache

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether all three vary, image by image."""
        return len(specs) == 3 and self.axis != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Write."""
        cache, update, places = values
        size, count = cache.shape[self.axis], update.shape[self.axis]
        rows = places.reshape(-1, 1) + np.arange(count)
        rows = rows % size if self.circular else rows
        if np.any(rows < 0) or np.any(rows >= size):
            raise ValueError(f"layer {self.name!r}: write_indices {places.tolist()} leave the cache of {size}")
        result = np.moveaxis(cache.copy(), self.axis, 1)
        result[np.arange(cache.shape[0])[:, np.newaxis], rows] = np.moveaxis(update, self.axis, 1)
        return np.asarray(np.moveaxis(result, 1, self.axis), order="C")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReverseSequence(Elementwise):
    """The first elements of each sequence in the other order.

    Parameters
    ----------
    time_first : bool
        Whether the sequence is axis 0 and the batch axis 1.
    """

    kind: ClassVar[str] = "gather"
    moves_only: ClassVar[bool] = True
    plain: ClassVar[tuple[int, ...]] = (1,)

    time_first: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the input's shape."""
        x, lengths = shapes
        if len(x) < 2 or lengths != (x[1 if self.time_first else 0],):
            raise ValueError(f"layer {self.name!r}: sequence_lens {lengths} does not fit {x}")
        return x

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is the batch of both operands."""
        return len(specs) == 2 and not self.time_first

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Reverse."""
        x, lengths = values
        moved = np.swapaxes(x, 0, 1) if self.time_first else x
        steps = np.arange(moved.shape[1])
        limit = lengths.reshape(-1, 1)
        places = np.where(steps < limit, limit - 1 - steps, steps)
        if np.any(places < 0) or np.any(limit > moved.shape[1]):
            raise ValueError(f"layer {self.name!r}: sequence_lens must be 0 to {moved.shape[1]}")
        result = moved[np.arange(moved.shape[0])[:, np.newaxis], places]
        return np.asarray(np.swapaxes(result, 0, 1) if self.time_first else result, order="C")


def build_top_k(node: RawNode, pattern: Pattern) -> None:
    """Build a TopK of a constant k."""
    x = pattern.plain(node.inputs[0])
    k = pattern.constant(node, 1) if node.present(1) else np.asarray(node.attributes["k"])
    if k.size != 1 or x.constant is not None:
        raise ValueError(f"node {node.label}: k must be one number, not {k.size}, and the input vary")
    outputs = node.outputs if len(node.outputs) == 2 else (*node.outputs, "")
    names = tuple(name or pattern.fresh(f"{node.name}_unused") for name in outputs)
    pattern.add(
        TopK(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=names,
            axis=one_axis(node, int(node.attributes.get("axis", -1)), len(x.spec.shape)),
            count=int(k.reshape(())),
            largest=bool(node.attributes.get("largest", 1)),
        )
    )


def build_cache_write(node: RawNode, pattern: Pattern) -> None:
    """Build a TensorScatter."""
    shape = pattern.shape(node.inputs[0])
    axis = one_axis(node, int(node.attributes.get("axis", -2)), len(shape))
    mode = str(node.attributes.get("mode", "linear"))
    if mode not in ("linear", "circular") or axis == 0:
        raise ValueError(f"node {node.label}: mode must be linear or circular, not {mode!r}, and axis not 0")
    if not node.present(2):
        zeros = pattern.fresh(f"{node.name}_places")
        pattern.constants[zeros] = np.zeros(shape[0], np.int64)
        node = RawNode(
            name=node.name,
            operator=node.operator,
            domain=node.domain,
            opset=node.opset,
            inputs=(*node.inputs[:2], zeros),
            outputs=node.outputs,
            attributes=node.attributes,
        )
    pattern.add(CacheWrite(**CacheWrite.fields(node, pattern, 3), axis=axis, circular=mode == "circular"))


def build_reverse_sequence(node: RawNode, pattern: Pattern) -> None:
    """Build a ReverseSequence."""
    axes = (int(node.attributes.get("time_axis", 0)), int(node.attributes.get("batch_axis", 1)))
    if axes not in ((0, 1), (1, 0)):
        raise ValueError(f"node {node.label}: time_axis and batch_axis must be 0 and 1, not {axes}")
    pattern.add(ReverseSequence(**ReverseSequence.fields(node, pattern, 2), time_first=axes[0] == 0))
