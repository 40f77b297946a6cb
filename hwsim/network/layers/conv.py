# SPDX-License-Identifier: Apache-2.0
"""Convolution: Conv, QLinearConv, ConvInteger."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.formats import FloatSpec, IntegerSpec
from hwsim.network.affine import AffineQuantization, code_range, storage_type
from hwsim.network.element_types import element_type_of, held
from hwsim.network.float_quantization import BIPOLAR_FORMAT
from hwsim.network.graph import KOrder, MatmulShape, Shape, TensorSpec
from hwsim.network.layers.batch_normalization import fold_after
from hwsim.network.layers.multiply_accumulate import Form, MultiplyAccumulate, split_bias
from hwsim.network.layers.product_operands import Product, read_product
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
        x = shapes[0]
        filters, channels = self.weight.shape[:2]
        fits = len(x) == self.weight.ndim > 2 and x[1] == channels * self.groups and filters % self.groups == 0
        if not fits:
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
        a = unroll(values[0], self.window, self.groups, self._fill(), k_order)
        return a, self._columns(self.weight, k_order)

    def arranged(self, scales: Array, index: int, values: tuple[Array, ...]) -> Array:
        """Bring block scales to rows or columns, as channels whose number is that of the blocks."""
        if index:
            return self._columns(scales, "channel_last")
        block = self.blocks[0]
        assert block is not None
        one = int(block.scale_format.encode(np.ones(()))[()])  # what the zeros of the padding are scaled by
        return unroll(scales, self.window, self.groups, one, "channel_last")

    def _fill(self) -> int:
        """Return the code of zero, with which images are padded."""
        if isinstance(self.a_quantization, AffineQuantization):
            zero = int(self.a_quantization.zero_point)
            held = np.iinfo(storage_type(self.a_quantization.dtype))
            if not held.min <= zero <= held.max:
                raise ValueError(f"layer {self.name!r}: zero is no {self.a_quantization.dtype}, to pad with")
            return zero
        if self.a_quantization is None:
            return 0
        spec = self.a_quantization.format
        if isinstance(spec, IntegerSpec):
            return spec.zero_point
        if spec == BIPOLAR_FORMAT or (isinstance(spec, FloatSpec) and not spec.subnormals):
            raise ValueError(f"layer {self.name!r}: {spec.name} has no zero to pad with")
        return int(spec.encode(np.zeros(()))[()])

    def _columns(self, weight: Array, k_order: KOrder) -> Array:
        """Return filters as (groups, k, filters of a group)."""
        if k_order != "channel_first":
            weight = np.moveaxis(weight, 1, -1)
        filters = weight.shape[0]
        return weight.reshape(self.groups, filters // self.groups, -1).transpose(0, 2, 1)

    def check_blocks(self, specs: tuple[TensorSpec, ...]) -> None:
        """As `MultiplyAccumulate.check_blocks`; and no block may reach over the channels of a group or of a tap."""
        # A slotted dataclass is made twice, which breaks the short form of super().
        MultiplyAccumulate.check_blocks(self, specs)
        assert self.weight is not None
        channels, taps = self.weight.shape[1], prod(self.weight.shape[2:])
        for block in self.blocks:
            if block is not None and channels % block.block_size and (taps > 1 or self.groups > 1):
                raise ValueError(
                    f"layer {self.name!r}: blocks of {block.block_size} must divide the {channels} channels of a group"
                )

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
    """Build a float, QDQ or coded convolution."""
    product = read_product(node, pattern, (node.inputs[0], node.inputs[1]), 1, (1, 0))
    bias = pattern.coded(node.inputs[2]) if node.present(2) else None
    if bias is not None and bias.constant is None:
        raise ValueError(f"node {node.label}: the bias must be a constant")
    _add(node, pattern, product, bias)


def _add(node: RawNode, pattern: Pattern, product: Product, bias: Operand | None) -> None:
    """Append the layer with what follows it."""
    form, a, b = product
    weight = _weight(node, b)
    unit = product.unit
    split = split_bias(None if bias is None else bias.constant, None if bias is None else bias.quantization, unit)
    folded = fold_after(node, pattern, weight, split, form, unit)
    tail = None if form is Form.FLOAT else pattern.tail(folded.output)
    pattern.add(
        Conv(
            form=form,
            a_quantization=a.quantization,
            b_quantization=b.quantization,
            name=node.name,
            operator=node.operator,
            inputs=product.inputs,
            outputs=(folded.output if tail is None else tail.output,),
            weight=folded.weight,
            bias=folded.bias.units,
            bias_values=folded.bias.values,
            channel_scale=folded.channel_scale,
            output_quantization=None if tail is None else tail.quantization,
            activation=None if tail is None else tail.activation,
            scale_inputs=product.scale_inputs,
            varying_input=product.varying_input,
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
    """Build a ConvInteger; the zero point of the input may vary."""
    x = pattern.plain(node.inputs[0])
    weight = pattern.constant(node, 1)
    kind = element_type_of(weight).layer_name
    if x.constant is not None or code_range(x.spec.dtype) is None or code_range(kind) is None:
        raise ValueError(f"node {node.label}: operands must be integer codes, the first one not a constant")
    zero = pattern.plain(node.inputs[2]) if node.present(2) else None
    varies = zero is not None and zero.constant is None
    x_zero = np.zeros((), np.int64) if zero is None or zero.constant is None else zero.constant
    if x_zero.size != 1 or (zero is not None and prod(zero.spec.shape) != 1):
        raise ValueError(f"node {node.label}: x_zero_point must be one number")
    w_zero = pattern.constant(node, 3) if node.present(3) else np.zeros((), np.int64)
    pattern.add(
        Conv(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name, zero.spec.name) if varies and zero is not None else (x.spec.name,),
            outputs=node.outputs,
            form=Form.INTEGER,
            weight=held(weight),
            a_quantization=affine(node, np.ones((), np.float32), x_zero.reshape(()), x.spec.dtype),
            b_quantization=affine(node, np.ones(w_zero.shape, np.float32), w_zero, kind, 0),
            varying_input=(False, varies),
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
