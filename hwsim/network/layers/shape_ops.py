# SPDX-License-Identifier: Apache-2.0
"""Layers that only move values: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout, Transpose, Concat."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Engine, Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise, operand_fields
from hwsim.network.pattern import Pattern, RawNode, affine
from hwsim.network.requantize import Rule

__all__ = [
    "Concat",
    "Reshape",
    "Transpose",
    "build_concat",
    "build_flatten",
    "build_identity",
    "build_qlinear_concat",
    "build_reshape",
    "build_squeeze",
    "build_transpose",
    "build_unsqueeze",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reshape(Elementwise):
    """The same elements in another shape.

    Parameters
    ----------
    source, target : tuple of int
        Shapes with the batch that the network was read with; another batch takes the place of both first numbers.
    """

    kind: ClassVar[str] = "reshape"
    moves_only: ClassVar[bool] = True

    source: Shape
    target: Shape

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the target."""
        if prod(shapes[0]) != prod(self.target):
            raise ValueError(f"layer {self.name!r}: {shapes[0]} has not the number of elements of {self.target}")
        return self.target

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays as it is."""
        return bool(self.source) and bool(self.target) and self.source[0] == self.target[0]

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Reshape, with the batch of the values."""
        x = values[0]
        if x.shape == self.source:
            return x.reshape(self.target)
        return x.reshape(x.shape[0], *self.target[1:])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transpose(Elementwise):
    """The axes in another order.

    Parameters
    ----------
    permutation : tuple of int
    """

    kind: ClassVar[str] = "transpose"
    moves_only: ClassVar[bool] = True

    permutation: tuple[int, ...]

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the permuted shape."""
        if sorted(self.permutation) != list(range(len(shapes[0]))):
            raise ValueError(f"layer {self.name!r}: {self.permutation} does not permute the axes of {shapes[0]}")
        return tuple(shapes[0][axis] for axis in self.permutation)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays first."""
        return self.permutation[:1] == (0,)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Permute."""
        return np.asarray(values[0].transpose(self.permutation), order="C")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concat(Elementwise):
    """Tensors one after another along an axis.

    Parameters
    ----------
    axis : int
    """

    kind: ClassVar[str] = "concat"
    moves_only: ClassVar[bool] = True

    axis: int

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the joined shape."""
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(f"layer {self.name!r}: axis {self.axis} is not one of the {rank} axes")
        axis = self.axis % rank
        rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(rest) != 1:
            raise ValueError(f"layer {self.name!r}: shapes {shapes} differ outside axis {axis}")
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the batch is not what is joined, and no part is a constant."""
        return self.axis % len(specs[0].shape) != 0 and all(value is None for value in self.constants)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Join."""
        return np.concatenate(values, axis=self.axis)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Join codes or values, as the rule says."""
        output = self.output_quantization
        if output is not None and rule is Rule.ONNX and self.activation is None:
            parts = []
            for codes, q in zip(self._operands(values), self.quantizations, strict=True):
                same = q is not None and q.same_as(output)
                parts.append(codes if same else output.quantize(codes if q is None else q.dequantize(codes)))
            return (self.compute(tuple(parts)),)
        return Elementwise.run(self, values, engine, rule)


def build_reshape(node: RawNode, pattern: Pattern) -> None:
    """Build a Reshape with a constant shape."""
    source = pattern.shape(node.inputs[0])
    wanted = [int(v) for v in pattern.constant(node, 1).reshape(-1)]
    if not node.attributes.get("allowzero", 0):
        wanted = [source[i] if v == 0 and i < len(source) else v for i, v in enumerate(wanted)]
    if wanted.count(-1) > 1 or any(v < -1 for v in wanted):
        raise ValueError(f"node {node.label}: shape {wanted} must have at most one -1 and nothing below")
    known = prod(v for v in wanted if v != -1)
    if -1 in wanted:
        if known == 0 or prod(source) % known:
            raise ValueError(f"node {node.label}: {source} cannot take shape {wanted}")
        wanted[wanted.index(-1)] = prod(source) // known
    _add_reshape(node, pattern, tuple(wanted))


def build_flatten(node: RawNode, pattern: Pattern) -> None:
    """Build a Flatten."""
    source = pattern.shape(node.inputs[0])
    axis = int(node.attributes.get("axis", 1))
    axis = axis + len(source) if axis < 0 else axis
    _add_reshape(node, pattern, (prod(source[:axis]), prod(source[axis:])))


def build_squeeze(node: RawNode, pattern: Pattern) -> None:
    """Build a Squeeze."""
    source = pattern.shape(node.inputs[0])
    axes = _axes(node, pattern, len(source))
    if axes is None:
        axes = [i for i, size in enumerate(source) if size == 1]
    if any(source[axis] != 1 for axis in axes):
        raise ValueError(f"node {node.label}: axes {axes} of {source} are not all of size 1")
    _add_reshape(node, pattern, tuple(size for i, size in enumerate(source) if i not in axes))


def build_unsqueeze(node: RawNode, pattern: Pattern) -> None:
    """Build an Unsqueeze."""
    source = pattern.shape(node.inputs[0])
    given = _axes(node, pattern, None)
    if given is None:
        raise ValueError(f"node {node.label}: axes must be given")
    rank = len(source) + len(given)
    axes = [axis % rank for axis in given]
    if len(set(axes)) != len(axes) or any(not -rank <= axis < rank for axis in given):
        raise ValueError(f"node {node.label}: axes {given} must be {len(given)} of {rank}")
    rest = iter(source)
    _add_reshape(node, pattern, tuple(1 if i in axes else next(rest) for i in range(rank)))


def build_identity(node: RawNode, pattern: Pattern) -> None:
    """Build an Identity, or a Dropout, which does nothing in inference, and whose mask is then all true."""
    shape = pattern.shape(node.inputs[0])
    if node.operator == "Dropout":
        training = node.present(2) and bool(pattern.constant(node, 2).any())
        if training and (not node.present(1) or pattern.constant(node, 1).any()):
            raise ValueError(
                f"node {node.label}: training mode is not inference; export the network in evaluation mode"
            )
        if len(node.outputs) > 1 and node.outputs[1]:
            pattern.constants[node.outputs[1]] = np.broadcast_to(np.True_, shape)
    _add_reshape(node, pattern, shape)


def build_transpose(node: RawNode, pattern: Pattern) -> None:
    """Build a Transpose."""
    rank = len(pattern.shape(node.inputs[0]))
    permutation = tuple(node.attributes.get("perm", range(rank - 1, -1, -1)))
    pattern.add(Transpose(**Transpose.fields(node, pattern, 1), permutation=permutation))


def build_concat(node: RawNode, pattern: Pattern) -> None:
    """Build a Concat."""
    pattern.add(Concat(**Concat.fields(node, pattern, len(node.inputs)), axis=int(node.attributes["axis"])))


def build_qlinear_concat(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QLinearConcat: Y_scale, Y_zero_point, then tensor, scale, zero point of each part."""
    indices = range(2, len(node.inputs), 3)
    operands = [pattern.plain(node.inputs[index]) for index in indices]
    fields = operand_fields(operands)
    fields["quantizations"] = tuple(
        affine(node, pattern.constant(node, i + 1), pattern.constant(node, i + 2), operand.spec.dtype)
        for operand, i in zip(operands, indices, strict=True)
    )
    zero = pattern.constant(node, 1)
    output = affine(node, pattern.constant(node, 0), zero, zero.dtype.name)
    pattern.add(
        Concat(
            **fields,
            name=node.name,
            operator=node.operator,
            outputs=node.outputs,
            output_quantization=output,
            axis=int(node.attributes["axis"]),
        )
    )


def _add_reshape(node: RawNode, pattern: Pattern, target: Shape) -> None:
    """Append a Reshape."""
    source = pattern.shape(node.inputs[0])
    pattern.add(Reshape(**Reshape.fields(node, pattern, 1), source=source, target=target))


def _axes(node: RawNode, pattern: Pattern, rank: int | None) -> list[int] | None:
    """Return the axes of a Squeeze or Unsqueeze: an attribute before opset 13, an input from then on."""
    if "axes" in node.attributes:
        axes = [int(v) for v in node.attributes["axes"]]
    elif node.present(1):
        axes = [int(v) for v in pattern.constant(node, 1).reshape(-1)]
    else:
        return None
    return axes if rank is None else [axis % rank for axis in axes]
