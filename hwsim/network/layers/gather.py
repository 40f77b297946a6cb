# SPDX-License-Identifier: Apache-2.0
"""Layers that find elements by indices: Gather, GatherElements, GatherND, ScatterElements, ScatterND, OneHot."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import one_axis
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Gather",
    "GatherElements",
    "GatherND",
    "Scatter",
    "build_gather",
    "build_gather_elements",
    "build_gather_nd",
    "build_scatter",
]

Array = npt.NDArray[Any]

_REDUCTIONS = {"none": None, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Indexed(Elementwise):
    """Data and indices: integers that count from 0, or from -1 backwards; out of range is an error of the run."""

    kind: ClassVar[str] = "gather"
    moves_only: ClassVar[bool] = True
    plain: ClassVar[tuple[int, ...]] = (1,)

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the data's type."""
        if types[1] not in ("int32", "int64"):
            raise ValueError(f"layer {self.name!r}: indices must be int32 or int64, not {types[1]}")
        return Elementwise.result_type(self, types)

    def counted(self, indices: Array, sizes: Any) -> Array:
        """Return indices counted from the front, or raise."""
        limit = np.asarray(sizes)
        if np.any(indices < -limit) or np.any(indices >= limit):
            wrong = indices[(indices < -limit) | (indices >= limit)].reshape(-1)[0]
            raise ValueError(f"layer {self.name!r}: index {int(wrong)} is out of range for sizes {limit.tolist()}")
        return np.where(indices < 0, indices + limit, indices)

    @property
    def parameters(self) -> int:
        """Number of constants among the data."""
        return 0 if self.constants[0] is None else self.constants[0].size


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gather(Indexed):
    """Slices of the data along an axis, one an index: a table of embeddings, where the data is constant.

    Parameters
    ----------
    axis : int
        Not negative.
    """

    axis: int

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the data's shape with the indices' in place of the axis."""
        data, indices = shapes
        return (*data[: self.axis], *indices, *data[self.axis + 1 :])

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether only the data varies, along another axis, or only the indices, along the first."""
        if len(specs) != 1:
            return False
        return self.axis == 0 and len(specs[0].shape) > 0 if self.constants[1] is None else self.axis != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Gather."""
        data, indices = values
        return np.asarray(np.take(data, self.counted(indices, data.shape[self.axis]), axis=self.axis))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatherElements(Indexed):
    """One element of the data an index, from the index's own place but along an axis.

    Parameters
    ----------
    axis : int
        Not negative.
    """

    axis: int

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the indices' shape."""
        data, indices = shapes
        fits = len(data) == len(indices) and all(
            i <= d for axis, (d, i) in enumerate(zip(data, indices, strict=True)) if axis != self.axis
        )
        if not fits:
            raise ValueError(f"layer {self.name!r}: indices {indices} do not fit data {data} along axis {self.axis}")
        return indices

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether both vary, image by image."""
        return len(specs) == 2 and self.axis != 0 and specs[0].shape[0] == specs[1].shape[0]

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Gather."""
        data, indices = values
        kept = tuple(slice(None if axis == self.axis else n) for axis, n in enumerate(indices.shape))
        return np.take_along_axis(data[kept], self.counted(indices, data.shape[self.axis]), axis=self.axis)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatherND(Indexed):
    """Slices of the data at tuples of indices, which are the last axis of the indices.

    Parameters
    ----------
    batch_axes : int
        So many leading axes are shared by data and indices.
    """

    batch_axes: int

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the indices' leading axes, then what of the data is left."""
        data, indices = shapes
        count = self.batch_axes
        if not indices or not count <= min(len(data), len(indices) - 1) or data[:count] != indices[:count]:
            raise ValueError(f"layer {self.name!r}: indices {indices} do not fit data {data}")
        if count + indices[-1] > len(data):
            raise ValueError(f"layer {self.name!r}: {indices[-1]} indices in a tuple are too many for data {data}")
        return (*indices[:-1], *data[count + indices[-1] :])

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is shared."""
        return len(specs) == 2 and self.batch_axes > 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Gather."""
        data, indices = values
        count, width = self.batch_axes, indices.shape[-1]
        counted = self.counted(indices, data.shape[count : count + width])
        lead: tuple[Array, ...] = np.indices(indices.shape[:count], sparse=True)
        around = indices.ndim - 1 - count
        key = (*(axis.reshape(axis.shape + (1,) * around) for axis in lead), *np.moveaxis(counted, -1, 0))
        return np.asarray(data[key]) if key else data.copy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scatter(Indexed):
    """The data with updates at indices: of elements along an axis, or of slices at tuples of indices.

    Parameters
    ----------
    axis : int or None
        None where the last axis of the indices are tuples (ScatterND).
    reduction : str
        "none", "add", "mul", "max" or "min".
    """

    axis: int | None
    reduction: str = "none"

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the data's shape."""
        data, indices, updates = shapes
        if self.axis is None:
            fits = bool(indices) and indices[-1] <= len(data)
            fits = fits and updates == (*indices[:-1], *data[indices[-1] :])
        else:
            fits = len(data) == len(indices) and indices == updates
        if not fits:
            raise ValueError(f"layer {self.name!r}: indices {indices} and updates {updates} do not fit data {data}")
        return data

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether all three vary, image by image."""
        if self.axis in (None, 0) or len(specs) != 3:
            return False
        return all(spec.shape[0] == specs[0].shape[0] for spec in specs)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Scatter, in the order of the indices."""
        data, indices, updates = values
        result = data.copy()
        if self.axis is None:
            counted = self.counted(indices, data.shape[: indices.shape[-1]])
            key: tuple[Array, ...] = tuple(np.moveaxis(counted, -1, 0))
        else:
            key = tuple(np.indices(indices.shape, sparse=True))
            places = self.counted(indices, data.shape[self.axis])
            key = tuple(places if axis == self.axis else part for axis, part in enumerate(key))
        function = _REDUCTIONS[self.reduction]
        if function is None:
            result[key] = updates
        else:
            function.at(result, key, updates)
        return result


def build_gather(node: RawNode, pattern: Pattern) -> None:
    """Build a Gather."""
    axis = one_axis(node, int(node.attributes.get("axis", 0)), len(pattern.shape(node.inputs[0])))
    pattern.add(Gather(**Gather.fields(node, pattern, 2), axis=axis))


def build_gather_elements(node: RawNode, pattern: Pattern) -> None:
    """Build a GatherElements."""
    axis = one_axis(node, int(node.attributes.get("axis", 0)), len(pattern.shape(node.inputs[0])))
    pattern.add(GatherElements(**GatherElements.fields(node, pattern, 2), axis=axis))


def build_gather_nd(node: RawNode, pattern: Pattern) -> None:
    """Build a GatherND."""
    count = int(node.attributes.get("batch_dims", 0))
    if count < 0:
        raise ValueError(f"node {node.label}: batch_dims must not be negative, not {count}")
    pattern.add(GatherND(**GatherND.fields(node, pattern, 2), batch_axes=count))


def build_scatter(node: RawNode, pattern: Pattern) -> None:
    """Build a Scatter, ScatterElements or ScatterND."""
    reduction = str(node.attributes.get("reduction", "none"))
    if reduction not in _REDUCTIONS:
        raise ValueError(f"node {node.label}: reduction must be one of {', '.join(_REDUCTIONS)}, not {reduction!r}")
    axis = None
    if node.operator != "ScatterND":
        axis = one_axis(node, int(node.attributes.get("axis", 0)), len(pattern.shape(node.inputs[0])))
    pattern.add(Scatter(**Scatter.fields(node, pattern, 3), axis=axis, reduction=reduction))
