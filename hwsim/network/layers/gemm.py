# SPDX-License-Identifier: Apache-2.0
"""Matrix products: the layer, and the float operators Gemm and MatMul between whatever quantizes."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.float_quantization import BlockQuantization, Quantization
from hwsim.network.graph import KOrder, MatmulShape, Shape, TensorSpec
from hwsim.network.layers.batch_normalization import fold_after
from hwsim.network.layers.expansion import Expansion
from hwsim.network.layers.multiply_accumulate import Form, MultiplyAccumulate, SplitBias, split_bias
from hwsim.network.layers.product_operands import read_product
from hwsim.network.pattern import Operand, Pattern, RawNode

__all__ = [
    "Gemm",
    "build_gemm",
    "build_matmul",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gemm(MultiplyAccumulate):
    """A product of (..., m, k) and (..., k, n); the weights, if any, are the second and already (..., k, n).

    Parameters
    ----------
    transpose_a : bool
        Whether the first operand comes as (k, m).
    """

    kind: ClassVar[str] = "gemm"

    transpose_a: bool = False

    def output_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (..., m, n)."""
        a, b = self._shapes(shapes)
        wide_a, wide_b = _matrix(a, first=True), _matrix(b, first=False)
        if wide_a[-1] != wide_b[-2]:
            raise ValueError(f"layer {self.name!r}: operands {a} and {b} do not share their inner axis")
        try:
            leading = np.broadcast_shapes(wide_a[:-2], wide_b[:-2])
        except ValueError:
            raise ValueError(f"layer {self.name!r}: operands {a} and {b} do not broadcast") from None
        rows = () if len(a) == 1 else (wide_a[-2],)
        columns = () if len(b) == 1 else (wide_b[-1],)
        return (*leading, *rows, *columns)

    def output_channels(self, specs: tuple[TensorSpec, ...]) -> int:
        """Return the number of columns."""
        return self.matmul_shape(specs).n

    def operands(self, values: tuple[Array, ...], k_order: KOrder) -> tuple[Array, Array]:
        """Return both operands with their leading axes as groups; one group where the second has none."""
        del k_order  # a matrix has one k axis
        return self._arranged(values[0], values[1] if self.weight is None else self.weight)

    def arranged(self, scales: Array, index: int, values: tuple[Array, ...]) -> Array:
        """Bring block scales to groups as `operands` does the codes."""
        if index == 0:
            return self._arranged(scales, values[1] if self.weight is None else self.weight)[0]
        return self._arranged(values[0], scales)[1]

    def _arranged(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return both operands in groups; their inner axes need not agree."""
        a = a.T if self.transpose_a else a
        a, b = a.reshape(_matrix(a.shape, first=True)), b.reshape(_matrix(b.shape, first=False))
        if b.ndim == 2:
            return a.reshape(1, -1, a.shape[-1]), b[np.newaxis]
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        wide_a = np.broadcast_to(a, (*leading, *a.shape[-2:])).reshape(-1, *a.shape[-2:])
        wide_b = np.broadcast_to(b, (*leading, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
        return wide_a, wide_b

    def restore(self, product: Array, shapes: tuple[Shape, ...]) -> Array:
        """Bring (groups, m, n) to the output's shape."""
        return product.reshape(self.output_shape(shapes))

    def matmul_shape(self, specs: tuple[TensorSpec, ...]) -> MatmulShape:
        """Return the product's sizes."""
        a, b = self._shapes(tuple(spec.shape for spec in specs))
        wide_a, wide_b = _matrix(a, first=True), _matrix(b, first=False)
        if len(wide_b) == 2:
            return MatmulShape(1, prod(wide_a[:-1]), wide_a[-1], wide_b[-1])
        groups = prod(np.broadcast_shapes(wide_a[:-2], wide_b[:-2]))
        return MatmulShape(groups, wide_a[-2], wide_a[-1], wide_b[-1])

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is a row or a group of its own on both sides."""
        a, b = self._shapes(tuple(spec.shape for spec in specs))
        # A slotted dataclass is made twice, which breaks the short form of super().
        kept = MultiplyAccumulate.keeps_batch(self, specs)
        if not kept or self.transpose_a or len(a) < 2 or any(self.varying_input):
            return False
        if self.weight is not None:
            return len(b) <= max(len(a) - 1, 2)
        return len(a) == len(b) >= 3

    def tflite_scale(self) -> npt.NDArray[np.float64]:
        """Return the scale as TFLite's fully connected layer takes it: the product rounded to float32.

        Source: tflite/kernels/kernel_util.cc, GetQuantizedConvolutionMultipler.
        """
        assert isinstance(self.a_quantization, AffineQuantization)
        assert isinstance(self.b_quantization, AffineQuantization)
        if self.b_quantization.axis is not None:
            return self.accumulator_scale()
        scale = np.asarray(np.float64(np.float32(self.a_quantization.scale * self.b_quantization.scale)))
        return scale if self.channel_scale is None else scale * self.channel_scale.astype(np.float64)

    def _shapes(self, shapes: tuple[Shape, ...]) -> tuple[Shape, Shape]:
        """Return the operands' shapes, the first as it is multiplied."""
        a = shapes[0][::-1] if self.transpose_a else shapes[0]
        return a, shapes[1] if self.weight is None else self.weight.shape


def build_gemm(node: RawNode, pattern: Pattern) -> None:
    """Build a float, QDQ or coded Gemm; one that a layer cannot hold as several."""
    e = Expansion(node, pattern)
    transpose_b = bool(node.attributes.get("transB", 0))
    if transpose_b and not pattern.is_known(node.inputs[1]):
        turned = e("Transpose", node.inputs[1], perm=[1, 0])
        node = replace(node, inputs=(node.inputs[0], turned, *node.inputs[2:]))
        transpose_b = False
    beta = float(node.attributes.get("beta", 1.0))
    alpha = float(node.attributes.get("alpha", 1.0))
    if node.present(2) and not _is_row(node, pattern):
        product = pattern.fresh(f"{node.name}/product")
        own = replace(node, name=product, inputs=node.inputs[:2], outputs=(product,))
        _add(own, pattern, None, transpose_b=transpose_b, alpha=alpha)
        addend = node.inputs[2] if beta == 1 else e("Mul", node.inputs[2], e.constant(beta, np.float32))
        e("Add", product, addend, output=node.outputs[0])
        return
    bias = pattern.coded(node.inputs[2]) if node.present(2) else None
    if bias is not None and beta != 1:
        bias = Operand(spec=bias.spec, constant=bias.values * np.float32(beta))
    _add(node, pattern, bias, transpose_b=transpose_b, alpha=alpha)


def build_matmul(node: RawNode, pattern: Pattern) -> None:
    """Build a float, QDQ or coded MatMul; one of a constant first operand as that of the transposed matrices."""
    first, second = node.inputs[:2]
    if not pattern.is_known(first) or pattern.is_known(second):
        _add(node, pattern, None)
        return
    ranks = [len(pattern.coded(name).spec.shape) for name in (first, second)]
    if min(ranks) < 2:
        raise ValueError(f"node {node.label}: a constant first operand must be a matrix, as must be the second")
    e = Expansion(node, pattern)
    turned = [
        e("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])
        for name, rank in zip((second, first), reversed(ranks), strict=True)
    ]
    product = e("MatMul", *turned)
    rank = max(ranks)
    e("Transpose", product, perm=[*range(rank - 2), rank - 1, rank - 2], output=node.outputs[0])


def _is_row(node: RawNode, pattern: Pattern) -> bool:
    """Tell whether C is a constant of one number, or one a column: what a layer adds as its bias."""
    if not pattern.is_known(node.inputs[2]):
        return False
    shape = pattern.coded(node.inputs[2]).spec.shape
    return prod(shape[:-1]) == 1


def _add(
    node: RawNode, pattern: Pattern, bias: Operand | None, *, transpose_b: bool = False, alpha: float = 1.0
) -> None:
    """Append the layer with what follows it."""
    transpose_a = bool(node.attributes.get("transA", 0))
    if transpose_a and len(pattern.coded(node.inputs[0]).spec.shape) != 2:
        raise ValueError(f"node {node.label}: transA needs a matrix")
    a_axis, b_axes = (-2 if transpose_a else -1), ((-1, -2) if transpose_b else (-2, -1))
    if len(pattern.coded(node.inputs[1]).spec.shape) == 1:
        b_axes = (0, -2)  # a vector has k alone
    product = read_product(node, pattern, (node.inputs[0], node.inputs[1]), a_axis, b_axes)
    form, a, b = product
    if a.constant is not None:
        raise ValueError(f"node {node.label}: the first operand must not be a constant")
    weight, b_quantization = b.constant, b.quantization
    if transpose_b:
        assert weight is not None
        weight = weight.T
        b_quantization = _turned(b_quantization)
    scale: npt.NDArray[np.float32] | None = None
    unit = product.unit
    if alpha != 1 and form is Form.FLOAT and weight is not None:
        weight = weight * np.float32(alpha)
    elif alpha != 1:
        scale = np.array([alpha], np.float32)
    if unit is not None:
        unit = unit * alpha
    split = SplitBias(None, None)
    if bias is not None:
        columns = pattern.coded(node.inputs[1]).spec.shape[0 if transpose_b else -1]
        split = split_bias(_row(node, bias, columns), bias.quantization, unit)
    output = node.outputs[0]
    if weight is not None and weight.ndim == 2:
        folded = fold_after(node, pattern, weight, split, form, unit)
        output, split = folded.output, folded.bias
    tail = None if form is Form.FLOAT else pattern.tail(output)
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=product.inputs,
            outputs=(output if tail is None else tail.output,),
            form=form,
            weight=weight,
            a_quantization=a.quantization,
            b_quantization=_columns(b_quantization),
            bias=split.units,
            bias_values=split.values,
            channel_scale=scale,
            output_quantization=None if tail is None else tail.quantization,
            activation=None if tail is None else tail.activation,
            scale_inputs=product.scale_inputs,
            varying_input=product.varying_input,
            transpose_a=transpose_a,
        )
    )


def _turned(quantization: Quantization | None) -> Quantization | None:
    """Return the quantization of a transposed matrix."""
    if isinstance(quantization, BlockQuantization):
        scales = None if quantization.scales is None else np.ascontiguousarray(quantization.scales.T)
        return replace(quantization, axis=1 - quantization.axis % 2, scales=scales)
    return quantization


def _columns(quantization: Quantization | None) -> Quantization | None:
    """Return the weights' quantization with its scales, if of channels, along the columns of (k, n)."""
    if quantization is None or quantization.axis is None or isinstance(quantization, BlockQuantization):
        return quantization
    return replace(quantization, axis=-1)


def _row(node: RawNode, bias: Operand, n: int) -> Array:
    """Return a bias as one number a column."""
    assert bias.constant is not None
    if bias.constant.size == 1:
        return np.broadcast_to(bias.constant.reshape(-1), (n,))
    if bias.constant.size != n or bias.constant.shape[-1] != n:
        raise ValueError(f"node {node.label}: C must be one number a column, not shape {bias.constant.shape}")
    return bias.constant.reshape(-1)


def _matrix(shape: Shape, *, first: bool) -> Shape:
    """Return a vector's shape as a row (first operand) or a column (second)."""
    if len(shape) != 1:
        return shape
    return (1, *shape) if first else (*shape, 1)
