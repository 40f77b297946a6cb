# SPDX-License-Identifier: Apache-2.0
"""What every layer of multiply-accumulates does: operands to the engine, its accumulators to the output."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, Quantization
from hwsim.network.graph import Engine, KOrder, Layer, Shape, TensorSpec
from hwsim.network.requantize import (
    Activation,
    Rule,
    requantize_onnx,
    requantize_qoperator,
    requantize_tflite,
)

__all__ = [
    "Form",
    "MultiplyAccumulate",
    "SplitBias",
    "split_bias",
]

Array = npt.NDArray[Any]


class Form(Enum):
    """How the ONNX file expresses a layer.

    Members
    -------
    FLOAT
        Operands are float32 values.
    QDQ
        A float operator between DequantizeLinear and QuantizeLinear.
    QOPERATOR
        A QLinear operator: the ONNX rule is then ONNX Runtime's one float32 product.
    INTEGER
        ConvInteger or MatMulInteger: the accumulators are the output.
    CODED
        A float operator on codes of the formats of `hwsim.formats`, block scales along k included; or one on float32
        values and such codes (weight-only quantization).
    """

    FLOAT = "float"
    QDQ = "qdq"
    QOPERATOR = "qoperator"
    INTEGER = "integer"
    CODED = "coded"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MultiplyAccumulate(Layer):
    """A layer that is a matrix product.

    Parameters
    ----------
    form : Form
    weight : ndarray or None
        The constant second operand in the ONNX layout: codes where the layer is quantized, else float32; None where
        both operands vary.
    a_quantization, b_quantization : AffineQuantization, FormatQuantization, BlockQuantization or None
        Of the first and second operand; both None in the FLOAT form, never affine in the CODED form.
    bias : ndarray of int64 or None
        In units of the accumulator, one for each output channel.
    bias_values : ndarray of float32 or None
        A bias that is not a whole number of such units, or the bias of the FLOAT form.
    output_quantization : AffineQuantization, FormatQuantization or None
        None where the output is float32 (or int32 in the INTEGER form).
    activation : tuple of two floats or None
        Range of the Relu or Clip computed with the layer.
    channel_scale : ndarray of float32 or None
        Factors on each output channel (a BatchNormalization or a Gemm's alpha), None for 1.
    scale_inputs : tuple of two bools
        Whether the block scales of the first, and of the second operand vary: then they are the last of `inputs`.
    varying_input : tuple of two bools
        Whether the scale, and the zero point of the first operand vary (dynamic quantization): then they are the last
        of `inputs`, of one element each, and `a_quantization` stands for the type of the codes only.
    arranged_scales : tuple of two arrays or None
        Codes of the block scales as the engine needs them, of shapes (groups, m, blocks) and (groups, blocks, n). `run`
        fills them in before it calls the engine.
    """

    form: Form
    weight: Array | None
    a_quantization: Quantization | None = None
    b_quantization: Quantization | None = None
    bias: npt.NDArray[np.int64] | None = None
    bias_values: npt.NDArray[np.float32] | None = None
    output_quantization: AffineQuantization | FormatQuantization | None = None
    activation: Activation | None = None
    channel_scale: npt.NDArray[np.float32] | None = None
    scale_inputs: tuple[bool, bool] = (False, False)
    varying_input: tuple[bool, bool] = (False, False)
    arranged_scales: tuple[Array | None, Array | None] = (None, None)

    @property
    def quantized(self) -> bool:
        """Whether the operands are integer codes, whose zero points the layer takes out."""
        return self.form not in (Form.FLOAT, Form.CODED)

    @property
    def coded(self) -> bool:
        """Whether an operand is codes of a format, which the engine decodes."""
        return self.form is Form.CODED

    @property
    def a_dtype(self) -> str:
        """Element type of the first operand as the engine gets it."""
        return "float32" if self.a_quantization is None else self.a_quantization.dtype

    @property
    def b_dtype(self) -> str:
        """Element type of the second operand as the engine gets it."""
        return "float32" if self.b_quantization is None else self.b_quantization.dtype

    @property
    def output_dtype(self) -> str:
        """Element type of the output."""
        if self.form is Form.INTEGER:
            return "int32"
        return "float32" if self.output_quantization is None else self.output_quantization.dtype

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(0 if x is None else x.size for x in (self.weight, self.bias, self.bias_values))

    @abstractmethod
    def output_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the output's shape; ValueError where the shapes do not fit."""

    @abstractmethod
    def operands(self, values: tuple[Array, ...], k_order: KOrder) -> tuple[Array, Array]:
        """Return the operands as (groups, m, k) and (groups, k, n)."""

    @abstractmethod
    def restore(self, product: Array, shapes: tuple[Shape, ...]) -> Array:
        """Bring (groups, m, n) to the output's shape."""

    @abstractmethod
    def output_channels(self, specs: tuple[TensorSpec, ...]) -> int:
        """Return the number of output channels: the length of a bias."""

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the output's spec."""
        shape = self.output_shape(tuple(spec.shape for spec in specs))
        self.check_blocks(specs)
        types = [spec.dtype for spec in specs] + ([] if self.weight is None else [self.weight.dtype.name])
        if self.form is Form.FLOAT and set(types) != {"float32"}:
            raise ValueError(f"layer {self.name!r}: {self.operator} needs float32 operands, not {' and '.join(types)}")
        channels = self.output_channels(specs)
        scale = None if self.b_quantization is None else self.b_quantization.scale
        for vector in (self.bias, self.bias_values, self.channel_scale, scale):
            if vector is not None and vector.size not in (1, channels):
                raise ValueError(
                    f"layer {self.name!r}: bias and scales must be one number or {channels}, not {vector.size}"
                )
        return (TensorSpec(name=self.outputs[0], shape=shape, dtype=self.output_dtype),)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 of every input is the output's; no operand that varies has constant scales a block."""
        varying = self.blocks if self.weight is None else self.blocks[:1]
        return bool(specs) and all(block is None or block.scales is None for block in varying)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Multiply on the engine, correct for the zero points, add the bias, requantize by the rule."""
        if rule is Rule.TFLITE and self.coded and self.a_quantization is not None:
            kinds = f"{self.a_dtype} by {self.b_dtype}"
            raise ValueError(f"layer {self.name!r}: the TFLite rule has no kernel for codes of {kinds}")
        if any(self.varying_input):
            layer, operands = self._with_quantization(values)
            return layer.run(operands, engine, rule)
        order = engine.k_order if self.blocks == (None, None) else "channel_last"  # the blocks lie along channels
        a, b = self.operands(values, order)
        layer = self if self.blocks == (None, None) else self._with_scales(values)
        product = engine.matmul(layer, a, b)
        expected = (a.shape[0], a.shape[1], b.shape[2])
        if product.shape != expected:
            raise ValueError(f"layer {self.name!r}: the engine must return shape {expected}, not {product.shape}")
        if self.form is Form.CODED:
            result = self._scaled(product)
        elif self.form is Form.FLOAT:
            result = product.astype(np.float32, copy=False)
            if self.channel_scale is not None:
                result = result * self.over_channels(self.channel_scale, expected)
            if self.bias_values is not None:
                result = result + self.over_channels(self.bias_values, expected)
            if self.activation is not None:
                result = np.clip(result, np.float32(self.activation[0]), np.float32(self.activation[1]))
        else:
            result = self._requantize(self._corrected(product, a, b), rule)
        return (np.asarray(self.restore(result, tuple(value.shape for value in values)), order="C"),)

    def over_channels(self, vector: Array, expected: tuple[int, int, int]) -> Array:
        """Shape one number a channel (or one in all) to broadcast against (groups, m, n)."""
        if vector.size == 1:
            return vector.reshape(1, 1, 1)
        groups, _, n = expected
        return vector.reshape(groups, 1, n) if vector.size == groups * n else vector.reshape(1, 1, n)

    @property
    def blocks(self) -> tuple[BlockQuantization | None, BlockQuantization | None]:
        """The quantizations of the operands that have a scale a block."""
        pair = (self.a_quantization, self.b_quantization)
        a, b = (one if isinstance(one, BlockQuantization) else None for one in pair)
        return a, b

    @abstractmethod
    def arranged(self, scales: Array, index: int, values: tuple[Array, ...]) -> Array:
        """Bring block scales of an operand, in its own layout, to (groups, m, blocks) or (groups, blocks, n).

        Parameters
        ----------
        scales : unsigned ndarray
        index : int
            Of the operand, 0 or 1.
        values : tuple of ndarray
            The values of the layer's inputs.
        """

    def check_blocks(self, specs: tuple[TensorSpec, ...]) -> None:
        """Raise ValueError unless the shapes of block scales are those of the operands but for one code a block."""
        shapes = [spec.shape for spec in specs[: len(specs) - sum(self.varying_input)]]
        tensors = [shapes[0], shapes[1] if self.weight is None else self.weight.shape]
        varying = shapes[len(shapes) - sum(self.scale_inputs) :]
        for index, block in enumerate(self.blocks):
            if block is None:
                continue
            given = varying.pop(0) if self.scale_inputs[index] else block.scales.shape  # type: ignore[union-attr]
            shape = tensors[index]
            axis = block.axis % len(shape)
            wanted = (*shape[:axis], -(-shape[axis] // block.block_size), *shape[axis + 1 :])
            if tuple(given) != wanted:
                raise ValueError(
                    f"layer {self.name!r}: the scales of operand {index} must have shape {wanted}, not {tuple(given)}"
                )

    def _with_quantization(self, values: tuple[Array, ...]) -> tuple["MultiplyAccumulate", tuple[Array, ...]]:
        """Return the layer with the scale and zero point that its first operand has in this run, and its operands."""
        known = self.a_quantization
        assert isinstance(known, AffineQuantization | FormatQuantization)
        varying = list(values[len(values) - sum(self.varying_input) :])
        scale = varying.pop(0).reshape(()).astype(np.float32) if self.varying_input[0] else known.scale
        own: Quantization
        try:
            own = replace(known, scale=scale)
            if self.varying_input[1] and isinstance(own, AffineQuantization):
                own = replace(own, zero_point=varying.pop(0).reshape(()).astype(np.int64))
        except ValueError as error:
            raise ValueError(f"layer {self.name!r}: {error}") from None
        layer = replace(self, a_quantization=own, varying_input=(False, False))
        return layer, values[: len(values) - sum(self.varying_input)]

    def _with_scales(self, values: tuple[Array, ...]) -> "MultiplyAccumulate":
        """Return the layer as it is in this run: its block scales as the engine needs them."""
        varying = list(values[len(values) - sum(self.scale_inputs) :])
        found: list[Array | None] = []
        for index, block in enumerate(self.blocks):
            if block is None:
                found.append(None)
                continue
            scales = varying.pop(0) if self.scale_inputs[index] else block.scales
            assert scales is not None
            if scales.dtype.kind != "u":  # float32 or float16, as layers hold those: the unit takes codes
                scales = np.ascontiguousarray(scales).view(f"u{scales.dtype.itemsize}")
            found.append(self.arranged(scales, index, values))
        return replace(self, arranged_scales=(found[0], found[1]))

    def _scaled(self, product: Array) -> Array:
        """Apply what stands before the sum, the bias, the activation and the output's quantization; one rounding."""
        shape = product.shape
        real = product.astype(np.float64) * self.over_channels(self.accumulator_scale(), shape)
        if self.bias_values is not None:
            real = real + self.over_channels(self.bias_values, shape).astype(np.float64)
        with np.errstate(over="ignore"):
            value = real.astype(np.float32)
        if self.activation is not None:
            value = np.clip(value, np.float32(self.activation[0]), np.float32(self.activation[1]))
        return value if self.output_quantization is None else self.output_quantization.quantize(value)

    def _corrected(self, product: Array, a: Array, b: Array) -> Array:
        """Take the zero points out: sum (a-za)(b-zb) = sum ab - za sum b - zb sum a + k za zb; add the bias."""
        assert isinstance(self.a_quantization, AffineQuantization)
        assert isinstance(self.b_quantization, AffineQuantization)
        shape = (a.shape[0], a.shape[1], b.shape[2])
        acc = product.astype(np.int64) if np.issubdtype(product.dtype, np.integer) else product.astype(np.float64)
        a_zero = int(self.a_quantization.zero_point)
        b_zero = self.over_channels(self.b_quantization.zero_point, shape)
        if a_zero:
            acc = acc - a_zero * b.sum(axis=1, keepdims=True, dtype=np.int64)
        if b_zero.any():
            acc = acc - b_zero * a.sum(axis=2, keepdims=True, dtype=np.int64)
            acc = acc + a.shape[2] * a_zero * b_zero
        if self.bias is not None:
            acc = acc + self.over_channels(self.bias, shape)
        return acc

    def _requantize(self, acc: Array, rule: Rule) -> Array:
        """Bring corrected accumulators to the output's type."""
        assert self.a_quantization is not None
        assert self.b_quantization is not None
        output = self.output_quantization
        assert not isinstance(output, FormatQuantization)
        shape = acc.shape
        if self.form is Form.INTEGER:
            return acc.astype(np.int32)
        scale = self.accumulator_scale()
        bias = None if self.bias_values is None else self.over_channels(self.bias_values, shape)
        if rule is Rule.TFLITE and output is not None:
            if bias is not None:
                units = np.rint(bias / self.over_channels(scale, shape))
                if not np.all(np.abs(units) < 2**31):
                    raise ValueError(
                        f"layer {self.name!r}: the TFLite rule needs a bias of 32 bits in the units of the sum"
                    )
                acc = acc + units.astype(np.int64)
            real = self.tflite_scale() / np.float64(output.scale)
            return requantize_tflite(acc, self.over_channels(real, shape), self.activation, output)
        if self.form is Form.QOPERATOR:
            product = self.a_quantization.scale * self.b_quantization.scale
            if self.channel_scale is not None:
                product = self.channel_scale * self.a_quantization.scale * self.b_quantization.scale
            if output is None:
                result = acc.astype(np.float32) * self.over_channels(np.asarray(product, np.float32), shape)
                return result if bias is None else np.asarray(result + bias)
            multiplier = np.asarray(product / output.scale, np.float32)
            return requantize_qoperator(acc, self.over_channels(multiplier, shape), output)
        return requantize_onnx(acc, self.over_channels(scale, shape), bias, self.activation, output)

    def accumulator_scale(self) -> npt.NDArray[np.float64]:
        """Return the value of one unit of the accumulator, one for the tensor or for each output channel."""
        pair = (self.a_quantization, self.b_quantization)
        scales = [np.ones(()) if one is None else one.scale.astype(np.float64) for one in pair]
        scale = np.asarray(scales[0] * scales[1])
        return scale if self.channel_scale is None else scale * self.channel_scale.astype(np.float64)

    def tflite_scale(self) -> npt.NDArray[np.float64]:
        """Return the scale that the TFLite rule divides by the output's: exact, as its convolutions take it."""
        return self.accumulator_scale()


class SplitBias(NamedTuple):
    """A bias as accumulator units, or as values where it is not a whole number of them."""

    units: npt.NDArray[np.int64] | None
    values: npt.NDArray[np.float32] | None


def split_bias(
    bias: Array | None,
    quantization: AffineQuantization | None,
    unit: npt.NDArray[np.float64] | None,
) -> SplitBias:
    """Decide how a bias is added.

    Parameters
    ----------
    bias : ndarray or None
        Codes where `quantization` is given, else values.
    quantization : AffineQuantization or None
    unit : ndarray of float64 or None
        Value of one accumulator unit; None in a float layer.

    Returns
    -------
    SplitBias
        Units where the bias's scale is the accumulator's to within float32 rounding (2**-22) and its zero point is 0.
    """
    if bias is None:
        return SplitBias(None, None)
    if quantization is None:
        return SplitBias(None, bias.astype(np.float32).reshape(-1))
    if unit is not None and not quantization.zero_point.any():
        scale = quantization.scale.astype(np.float64)
        if np.all(np.abs(scale - unit) <= np.abs(unit) * 2.0**-22):
            return SplitBias(bias.astype(np.int64).reshape(-1), None)
    return SplitBias(None, quantization.dequantize(bias).reshape(-1))
