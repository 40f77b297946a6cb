# SPDX-License-Identifier: Apache-2.0
"""Matrix products: Gemm, MatMul, QLinearMatMul, MatMulInteger, com.microsoft QGemm."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.graph import KOrder, MatmulShape, Shape, TensorSpec
from hwsim.network.layers.batch_normalization import fold_after
from hwsim.network.layers.multiply_accumulate import Form, MultiplyAccumulate, SplitBias, split_bias
from hwsim.network.pattern import Operand, Pattern, RawNode, affine

__all__ = [
    "Gemm",
    "build_gemm",
    "build_matmul",
    "build_matmul_integer",
    "build_qgemm",
    "build_qlinear_matmul",
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
        a = values[0].T if self.transpose_a else values[0]
        b = values[1] if self.weight is None else self.weight
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
        if self.transpose_a or len(a) < 2:
            return False
        if self.weight is not None:
            return len(b) <= max(len(a) - 1, 2)
        return len(a) == len(b) >= 3

    def tflite_scale(self) -> npt.NDArray[np.float64]:
        """Return the scale as TFLite's fully connected layer takes it: the product rounded to float32.

        Source: tflite/kernels/kernel_util.cc, GetQuantizedConvolutionMultipler.
        """
        assert self.a_quantization is not None
        assert self.b_quantization is not None
        if self.b_quantization.axis is not None:
            return self.accumulator_scale()
        scale = np.asarray(np.float64(np.float32(self.a_quantization.scale * self.b_quantization.scale)))
        return scale if self.channel_scale is None else scale * self.channel_scale.astype(np.float64)

    def _shapes(self, shapes: tuple[Shape, ...]) -> tuple[Shape, Shape]:
        """Return the operands' shapes, the first as it is multiplied."""
        a = shapes[0][::-1] if self.transpose_a else shapes[0]
        return a, shapes[1] if self.weight is None else self.weight.shape


def build_gemm(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ Gemm."""
    transpose_b = bool(node.attributes.get("transB", 0))
    alpha = float(node.attributes.get("alpha", 1.0))
    beta = float(node.attributes.get("beta", 1.0))
    bias = pattern.operand(node.inputs[2]) if node.present(2) else None
    if bias is not None:
        if bias.constant is None:
            raise ValueError(f"node {node.label}: C must be a constant")
        if beta != 1:
            values = bias.values * np.float32(beta)
            bias = Operand(spec=bias.spec, constant=values)
    _add(node, pattern, bias, transpose_b=transpose_b, alpha=alpha)


def build_matmul(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ MatMul."""
    _add(node, pattern, None)


def _add(
    node: RawNode, pattern: Pattern, bias: Operand | None, *, transpose_b: bool = False, alpha: float = 1.0
) -> None:
    """Append the layer with what follows it."""
    a, b = pattern.operand(node.inputs[0]), pattern.operand(node.inputs[1])
    if not _fits(a, b, transpose_b):
        a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[1])
    if a.constant is not None:
        raise ValueError(f"node {node.label}: the first operand must not be a constant")
    form = Form.FLOAT if a.quantization is None else Form.QDQ
    weight = b.constant
    if transpose_b:
        if weight is None:
            raise ValueError(f"node {node.label}: transB needs a constant second operand")
        weight = np.ascontiguousarray(weight.T)
    scale: npt.NDArray[np.float32] | None = None
    unit = None
    if alpha != 1 and form is Form.FLOAT and weight is not None:
        weight = weight * np.float32(alpha)
    elif alpha != 1:
        scale = np.array([alpha], np.float32)
    if a.quantization is not None and b.quantization is not None:
        unit = np.asarray(np.float64(a.quantization.scale) * b.quantization.scale.astype(np.float64) * alpha)
    split = SplitBias(None, None)
    if bias is not None:
        assert weight is not None
        split = split_bias(_row(node, bias, weight.shape[-1]), bias.quantization, unit)
    output = node.outputs[0]
    if weight is not None and weight.ndim == 2:
        folded = fold_after(node, pattern, weight, split, form, unit)
        output, split = folded.output, folded.bias
    tail = pattern.tail(output) if form is Form.QDQ else None
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,) if weight is not None else (a.spec.name, b.spec.name),
            outputs=(output if tail is None else tail.output,),
            form=form,
            weight=weight,
            a_quantization=a.quantization,
            b_quantization=None if b.quantization is None else _columns(b.quantization),
            bias=split.units,
            bias_values=split.values,
            channel_scale=scale,
            output_quantization=None if tail is None else tail.quantization,
            activation=None if tail is None else tail.activation,
            transpose_a=bool(node.attributes.get("transA", 0)),
        )
    )


def build_qlinear_matmul(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearMatMul."""
    a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[3])
    zero = pattern.constant(node, 7)
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,) if b.constant is not None else (a.spec.name, b.spec.name),
            outputs=node.outputs,
            form=Form.QOPERATOR,
            weight=b.constant,
            a_quantization=_scalar(node, pattern, 1, a.spec.dtype),
            b_quantization=affine(node, pattern.constant(node, 4), pattern.constant(node, 5), b.spec.dtype, -1),
            output_quantization=affine(node, pattern.constant(node, 6), zero, zero.dtype.name),
        )
    )


def build_qgemm(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QGemm."""
    a = pattern.plain(node.inputs[0])
    weight = pattern.constant(node, 3)
    if node.attributes.get("transB", 0):
        weight = np.ascontiguousarray(weight.T)
    bias = pattern.constant(node, 6) if node.present(6) else None
    output = None
    if node.present(7):
        zero = pattern.constant(node, 8) if node.present(8) else np.zeros((), np.uint8)
        output = affine(node, pattern.constant(node, 7), zero, zero.dtype.name)
    alpha = float(node.attributes.get("alpha", 1.0))
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,),
            outputs=(node.outputs[0],),
            form=Form.QOPERATOR,
            weight=weight,
            a_quantization=_scalar(node, pattern, 1, a.spec.dtype),
            b_quantization=affine(node, pattern.constant(node, 4), pattern.constant(node, 5), weight.dtype.name, -1),
            bias=None if bias is None else np.broadcast_to(bias.reshape(-1), weight.shape[-1:]).astype(np.int64),
            channel_scale=np.array([alpha], np.float32),
            output_quantization=output,
            transpose_a=bool(node.attributes.get("transA", 0)),
        )
    )


def build_matmul_integer(node: RawNode, pattern: Pattern) -> None:
    """Build a MatMulInteger."""
    a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[1])
    zeros = [pattern.constant(node, i) if node.present(i) else np.zeros((), np.int64) for i in (2, 3)]
    if zeros[0].size != 1:
        raise ValueError(f"node {node.label}: a_zero_point must be one number, not shape {zeros[0].shape}")
    b_zero = zeros[1].reshape(()) if zeros[1].size == 1 else zeros[1].reshape(-1)
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,) if b.constant is not None else (a.spec.name, b.spec.name),
            outputs=node.outputs,
            form=Form.INTEGER,
            weight=b.constant,
            a_quantization=affine(node, np.ones((), np.float32), zeros[0].reshape(()), a.spec.dtype),
            b_quantization=affine(node, np.ones(b_zero.shape, np.float32), b_zero, b.spec.dtype, -1),
        )
    )


def _scalar(node: RawNode, pattern: Pattern, index: int, dtype: str) -> AffineQuantization:
    """Return the quantization of a first operand, which must be one scale for the tensor."""
    quantization = affine(node, pattern.constant(node, index), pattern.constant(node, index + 1), dtype)
    if quantization.axis is not None:
        raise ValueError(f"node {node.label}: the first operand must have one scale for the tensor")
    return quantization


def _fits(a: Operand, b: Operand, transpose_b: bool) -> bool:
    """Tell whether both operands are codes with scales that leave the sum over k an integer."""
    if a.quantization is None or b.quantization is None or a.quantization.axis is not None:
        return False
    axis = b.quantization.axis
    rank = len(b.spec.shape)
    return axis is None or (rank == 2 and b.constant is not None and axis % 2 == (0 if transpose_b else 1))


def _columns(quantization: AffineQuantization) -> AffineQuantization:
    """Return the weights' quantization with its scales along the columns of (k, n)."""
    if quantization.axis is None:
        return quantization
    return AffineQuantization(
        scale=quantization.scale, zero_point=quantization.zero_point, dtype=quantization.dtype, axis=-1
    )


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
