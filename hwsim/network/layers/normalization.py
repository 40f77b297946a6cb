# SPDX-License-Identifier: Apache-2.0
"""InstanceNormalization, GroupNormalization, LpNormalization, LRN and Hardmax: in float64, rounded once."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import one_axis
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "GroupNormalization",
    "Hardmax",
    "LocalResponse",
    "LpNormalization",
    "build_group_normalization",
    "build_hardmax",
    "build_instance_normalization",
    "build_local_response",
    "build_lp_normalization",
]

Array = npt.NDArray[Any]

_FLOATS = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Normalization(Elementwise):
    """A layer on floats of any width."""

    kind: ClassVar[str] = "normalization"

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the type of the operands, a float's."""
        if types[0] not in _FLOATS or len(set(types)) > 1:
            raise ValueError(
                f"layer {self.name!r}: {self.operator} needs floats of one type, not {' and '.join(types)}"
            )
        return types[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupNormalization(_Normalization):
    """Each group of channels of each image, less its mean, over its deviation; then scaled and shifted.

    The operands are the tensor, scales and shifts, one a channel or one a group.

    Parameters
    ----------
    groups : int
        As many as channels for an InstanceNormalization.
    epsilon : float
        Added to the variance.
    """

    groups: int
    epsilon: float

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the input's shape."""
        x, scale, shift = shapes
        channels = x[1] if len(x) > 2 else 0
        if not 1 <= self.groups <= channels or channels % self.groups or scale != shift:
            raise ValueError(f"layer {self.name!r}: {x} does not fall into {self.groups} groups")
        if scale not in ((channels,), (self.groups,)):
            raise ValueError(f"layer {self.name!r}: scales {scale} must be one a channel or group of {x}")
        return x

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether scales and shifts are constants."""
        return len(specs) == 1

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Normalize."""
        x, scale, shift = (value.astype(np.float64) for value in values)
        grouped = x.reshape(x.shape[0], self.groups, -1)
        centred = grouped - grouped.mean(axis=2, keepdims=True)
        variance = np.square(centred).mean(axis=2, keepdims=True)
        normal = (centred / np.sqrt(variance + self.epsilon)).reshape(x.shape)
        each = x.shape[1] // scale.size
        along = (1, -1, *([1] * (x.ndim - 2)))
        factors, offsets = (np.repeat(vector, each).reshape(along) for vector in (scale, shift))
        return np.asarray((normal * factors + offsets).astype(values[0].dtype))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LpNormalization(_Normalization):
    """A tensor over its L1 or L2 norm along an axis; zeros stay zeros.

    Parameters
    ----------
    axis, order : int
        The axis is not negative; the order is 1 or 2.
    """

    axis: int
    order: int

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the axis is not the batch."""
        return self.axis != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Normalize."""
        x = values[0].astype(np.float64)
        norm = np.linalg.norm(x, ord=self.order, axis=self.axis, keepdims=True)
        return np.asarray(np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)).astype(values[0].dtype))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalResponse(_Normalization):
    """LRN: each element over a power of the squares of its neighbours in other channels.

    Parameters
    ----------
    size : int
        Channels that count, around its own.
    alpha, beta, bias : float
        x / (bias + alpha / size * sum of squares) ** beta.
    """

    size: int
    alpha: float
    beta: float
    bias: float

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Normalize."""
        x = values[0].astype(np.float64)
        before = (self.size - 1) // 2
        channels = x.shape[1]
        squares = np.square(x)
        sums = np.zeros((x.shape[0], channels + 1, *x.shape[2:]))
        np.cumsum(squares, axis=1, out=sums[:, 1:])
        starts = np.maximum(np.arange(channels) - before, 0)
        ends = np.minimum(np.arange(channels) + (self.size - before), channels)
        total = sums[:, ends] - sums[:, starts]
        return np.asarray((x / (self.bias + self.alpha / self.size * total) ** self.beta).astype(values[0].dtype))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hardmax(_Normalization):
    """1 for the first greatest element along some axes, 0 for all others.

    Parameters
    ----------
    first, last : int
        The range of axes that count as one.
    """

    kind: ClassVar[str] = "reduce"

    first: int
    last: int

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the axes are not the batch."""
        return self.first != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Find the greatest."""
        x = values[0]
        joined = x.reshape(*x.shape[: self.first], -1, *x.shape[self.last :])
        best = np.argmax(joined, axis=self.first)
        result = np.zeros_like(joined)
        np.put_along_axis(result, np.expand_dims(best, self.first), 1, axis=self.first)
        return result.reshape(x.shape)


def build_instance_normalization(node: RawNode, pattern: Pattern) -> None:
    """Build an InstanceNormalization."""
    shape = pattern.shape(node.inputs[0])
    _add_groups(node, pattern, shape[1])


def build_group_normalization(node: RawNode, pattern: Pattern) -> None:
    """Build a GroupNormalization."""
    _add_groups(node, pattern, int(node.attributes["num_groups"]))


def build_lp_normalization(node: RawNode, pattern: Pattern) -> None:
    """Build an LpNormalization."""
    rank = len(pattern.shape(node.inputs[0]))
    order = int(node.attributes.get("p", 2))
    if order not in (1, 2):
        raise ValueError(f"node {node.label}: p must be 1 or 2, not {order}")
    axis = one_axis(node, int(node.attributes.get("axis", -1)), rank)
    pattern.add(LpNormalization(**LpNormalization.fields(node, pattern, 1), axis=axis, order=order))


def build_local_response(node: RawNode, pattern: Pattern) -> None:
    """Build an LRN."""
    size = int(node.attributes["size"])
    if size < 1 or len(pattern.shape(node.inputs[0])) < 2:
        raise ValueError(f"node {node.label}: size must be at least 1, not {size}, and the input have channels")
    defaults = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    numbers: dict[str, Any] = {name: float(node.attributes.get(name, default)) for name, default in defaults.items()}
    pattern.add(LocalResponse(**LocalResponse.fields(node, pattern, 1), size=size, **numbers))


def build_hardmax(node: RawNode, pattern: Pattern) -> None:
    """Build a Hardmax; before opset 13 all axes from `axis` on count as one."""
    rank = len(pattern.shape(node.inputs[0]))
    old = node.opset < 13
    first = one_axis(node, int(node.attributes.get("axis", 1 if old else -1)), rank)
    pattern.add(Hardmax(**Hardmax.fields(node, pattern, 1), first=first, last=rank if old else first + 1))


def _add_groups(node: RawNode, pattern: Pattern, groups: int) -> None:
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    fields = GroupNormalization.fields(node, pattern, 3)
    pattern.add(GroupNormalization(**fields, groups=groups, epsilon=epsilon))
