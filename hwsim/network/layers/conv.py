# SPDX-License-Identifier: Apache-2.0
"""Convolution: Conv, QLinearConv, ConvInteger."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.graph import KOrder, MatmulShape, Shape, TensorSpec
from hwsim.network.layers.batch_normalization import fold_after
from hwsim.network.layers.multiply_accumulate import Form, MultiplyAccumulate, split_bias
from hwsim.network.layers.window import Window, read_window, unroll
from hwsim.network.pattern import Operand, Pattern, RawNode, affine

__all__ = [
    "Conv",
    "build_conv",
    "build_conv_integer",
    "build_qlinear_conv",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conv(MultiplyAccumulate):
    """A convolution of (batch, channel, spatial...) by weights (filter, channel / groups, kernel...).

    Parameters
    ----------
    window : Window
    groups : int
        Channels and filters fall into so many independent groups; a depthwise convolution has one channel in each.
    """

    kind: ClassVar[str] = "conv"

    window: Window
    groups: int

    def output_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, filter, out...)."""
        assert self.weight is not None
        (x,) = shapes
        filters, channels = self.weight.shape[:2]
        if len(x) != self.weight.ndim or x[1] != channels * self.groups or filters % self.groups:
            raise ValueError(
                f"layer {self.name!r}: input {x} does not fit weights {self.weight.shape} in {self.groups} groups"
            )
        return (x[0], filters, *self.window.output(x[2:]))

    def output_channels(self, specs: tuple[TensorSpec, ...]) -> int:
        """Return the number of filters."""
        del specs
        assert self.weight is not None
        return int(self.weight.shape[0])

    def operands(self, values: tuple[Array, ...], k_order: KOrder) -> tuple[Array, Array]:
        """Unroll the windows to rows, padded with the zero point, and the filters to columns."""
        assert self.weight is not None
        fill = 0 if self.a_quantization is None else int(self.a_quantization.zero_point)
        a = unroll(values[0], self.window, self.groups, fill, k_order)
        weight = self.weight
        if k_order != "channel_first":
            weight = np.moveaxis(weight, 1, -1)
        filters = weight.shape[0]
        b = weight.reshape(self.groups, filters // self.groups, -1).transpose(0, 2, 1)
        return a, b

    def restore(self, product: Array, shapes: tuple[Shape, ...]) -> Array:
        """Bring (groups, batch * out, filters / groups) to (batch, filter, out...)."""
        batch = shapes[0][0]
        out = self.window.output(shapes[0][2:])
        groups, _, n = product.shape
        split = product.reshape(groups, batch, prod(out), n).transpose(1, 0, 3, 2)
        return split.reshape(batch, groups * n, *out)

    def matmul_shape(self, specs: tuple[TensorSpec, ...]) -> MatmulShape:
        """Return rows = output pixels of the batch, k = taps, columns = filters of a group."""
        assert self.weight is not None
        x = specs[0].shape
        taps = prod(self.weight.shape[1:])
        return MatmulShape(
            self.groups, x[0] * prod(self.window.output(x[2:])), taps, self.weight.shape[0] // self.groups
        )


def build_conv(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ convolution."""
    a, b = pattern.operand(node.inputs[0]), pattern.operand(node.inputs[1])
    if not (_per_tensor(a.quantization) and b.quantization is not None and _along_filters(b)):
        a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[1])
    bias = pattern.operand(node.inputs[2]) if node.present(2) else None
    if bias is not None and bias.constant is None:
        raise ValueError(f"node {node.label}: the bias must be a constant")
    _add(node, pattern, a, b, bias, Form.FLOAT if a.quantization is None else Form.QDQ)


def _add(node: RawNode, pattern: Pattern, a: Operand, b: Operand, bias: Operand | None, form: Form) -> None:
    """Append the layer with what follows it."""
    weight = _weight(node, b)
    unit = None
    if a.quantization is not None and b.quantization is not None:
        unit = np.asarray(np.float64(a.quantization.scale) * b.quantization.scale.astype(np.float64))
    split = split_bias(None if bias is None else bias.constant, None if bias is None else bias.quantization, unit)
    folded = fold_after(node, pattern, weight, split, form, unit)
    tail = pattern.tail(folded.output) if form is Form.QDQ else None
    pattern.add(
        Conv(
            form=form,
            a_quantization=a.quantization,
            b_quantization=b.quantization,
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,),
            outputs=(folded.output if tail is None else tail.output,),
            weight=folded.weight,
            bias=folded.bias.units,
            bias_values=folded.bias.values,
            channel_scale=folded.channel_scale,
            output_quantization=None if tail is None else tail.quantization,
            activation=None if tail is None else tail.activation,
            window=_window(node, a.spec.shape, weight),
            groups=int(node.attributes.get("group", 1)),
        )
    )


def build_qlinear_conv(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearConv."""
    x = pattern.plain(node.inputs[0])
    weight = pattern.constant(node, 3)
    bias = pattern.constant(node, 8) if node.present(8) else None
    zero = pattern.constant(node, 7)
    pattern.add(
        Conv(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=node.outputs,
            form=Form.QOPERATOR,
            weight=weight,
            a_quantization=affine(node, pattern.constant(node, 1), pattern.constant(node, 2), x.spec.dtype),
            b_quantization=affine(node, pattern.constant(node, 4), pattern.constant(node, 5), weight.dtype.name, 0),
            bias=None if bias is None else bias.astype(np.int64),
            output_quantization=affine(node, pattern.constant(node, 6), zero, zero.dtype.name),
            window=_window(node, x.spec.shape, weight),
            groups=int(node.attributes.get("group", 1)),
        )
    )


def build_conv_integer(node: RawNode, pattern: Pattern) -> None:
    """Build a ConvInteger."""
    x = pattern.plain(node.inputs[0])
    weight = pattern.constant(node, 1)
    one = np.ones((), np.float32)
    zeros = [pattern.constant(node, i) if node.present(i) else np.zeros((), np.int64) for i in (2, 3)]
    w_scale = np.ones(zeros[1].shape, np.float32)
    pattern.add(
        Conv(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=node.outputs,
            form=Form.INTEGER,
            weight=weight,
            a_quantization=affine(node, one, zeros[0].reshape(()), x.spec.dtype),
            b_quantization=affine(node, w_scale, zeros[1], weight.dtype.name, 0),
            window=_window(node, x.spec.shape, weight),
            groups=int(node.attributes.get("group", 1)),
        )
    )


def _window(node: RawNode, shape: Shape, weight: Array) -> Window:
    """Return the window of a convolution; `kernel_shape` must be the weights'."""
    kernel = tuple(weight.shape[2:])
    if tuple(node.attributes.get("kernel_shape", kernel)) != kernel:
        declared = node.attributes["kernel_shape"]
        raise ValueError(f"node {node.label}: kernel_shape {declared} is not that of weights {weight.shape}")
    if len(shape) != weight.ndim:
        raise ValueError(f"node {node.label}: input {shape} does not fit weights {weight.shape}")
    return read_window(node, shape[2:], kernel)


def _weight(node: RawNode, operand: Operand) -> Array:
    if operand.constant is None:
        raise ValueError(f"node {node.label}: the weights must be a constant")
    return operand.constant


def _per_tensor(quantization: AffineQuantization | None) -> bool:
    return quantization is not None and quantization.axis is None


def _along_filters(operand: Operand) -> bool:
    quantization = operand.quantization
    return quantization is not None and (quantization.axis is None or quantization.axis % len(operand.spec.shape) == 0)
