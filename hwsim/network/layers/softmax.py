# SPDX-License-Identifier: Apache-2.0
"""Softmax: in float32, by TFLite's or I-ViT's integer kernels; com.microsoft QLinearSoftmax."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.fixed_point import exp_on_negative_values, reciprocal
from hwsim.network.float_softmax import online_softmax, softmax, two_pass_softmax
from hwsim.network.graph import Engine, TensorSpec
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.nonlinear import Kind, Nonlinear, from_rows, to_rows
from hwsim.network.nonlinear import NonlinearKernels, NonlinearSpec, SoftmaxKind
from hwsim.network.pattern import Pattern, RawNode, input_and_output
from hwsim.network.requantize import (
    Rule,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)

__all__ = [
    "Softmax",
    "build_qlinear_softmax",
    "build_softmax",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_DIFF_INTEGER_BITS = 5  # tflite/kernels/internal/reference/softmax.h, kScaledDiffIntegerBits
_ACCUMULATION_INTEGER_BITS = 12  # there, kAccumulationIntegerBits
_LEAST_SCALE = 2.0**-24  # of a QLinearSoftmax, whose product of 23 bits and 1 / scale has to fit 63


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax(Nonlinear):
    """exp(x) over its sum, along an axis; in opset 12 and before all axes from it on count as one.

    Parameters
    ----------
    form : Form
        QOPERATOR follows ONNX Runtime's QLinearSoftmax, which is all in integers but for its table.
    """

    kind: ClassVar[str] = "softmax"

    form: Form = Form.QDQ

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the sum does not run over the batch."""
        return self.axis % len(specs[0].shape) != 0

    def chosen(self, spec: NonlinearSpec) -> SoftmaxKind:
        """Return the kind of softmax."""
        return spec.softmax

    def float_rows(self, kind: Kind, rows: FloatArray, tile: int) -> FloatArray:
        """Compute in float32 (see `hwsim.network.float_softmax`)."""
        if kind is SoftmaxKind.ONLINE:
            return online_softmax(rows, tile)
        return two_pass_softmax(rows) if kind is SoftmaxKind.TWO_PASS else softmax(rows)

    def code_rows(
        self,
        kernels: NonlinearKernels,
        kind: Kind,
        rows: Array,
        source: AffineQuantization,
        output: AffineQuantization,
    ) -> Array:
        """Compute by an integer kernel."""
        assert isinstance(kind, SoftmaxKind)
        return kernels.softmax(kind, rows, source, output)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute on codes or values, as the engine's machine does and the rule says."""
        in_floats = engine.nonlinear.softmax is SoftmaxKind.FLOAT
        if self.form is Form.QOPERATOR and rule is Rule.ONNX and in_floats:
            return (self._run_qlinear(values[0]),)
        # A slotted dataclass is made twice, which breaks the short form of super().
        return Nonlinear.run(self, values, engine, rule)

    def _run_qlinear(self, codes: Array) -> Array:
        """Compute on codes as ONNX Runtime does: a table of exponentials, integer sum and division, half up.

        Source: onnxruntime contrib_ops/cpu/quantization/qlinear_softmax.cc; the result was measured.
        """
        source, output = self.quantizations[0], self.output_quantization
        assert source is not None
        assert output is not None
        rows, shape, back = to_rows(codes.astype(np.int64), self.axis, self.flatten)
        unit = min((2.0**32 - 1) / rows.shape[-1], float(0x7FFFFF))  # the sum fits 32 bits
        difference = (rows - rows.max(axis=-1, keepdims=True)).astype(np.float64)
        table = np.rint(unit * np.exp(difference * np.float64(source.scale))).astype(np.int64)
        total = table.sum(axis=-1, keepdims=True)
        steps = math.floor(np.float32(1) / output.scale)
        quotient = (table * steps + total // 2) // total + output.zero_point
        result = np.clip(quotient, output.low, output.high).astype(codes.dtype)
        return from_rows(result, shape, back)

    def compute_tflite(self, operands: tuple[Array, ...]) -> Array:
        """Compute on codes by TFLite's reference kernel.

        Source: tflite/kernels/internal/reference/softmax.h, Softmax; quantization_util.cc, PreprocessSoftmaxScaling.
        """
        output = self.output_quantization
        assert output is not None
        source = self.tflite_quantization(self.quantizations[0])
        bits = output.high - output.low + 1
        if output.zero_point != output.low or float(output.scale) * bits != 1 or bits != 256:
            raise ValueError(
                f"layer {self.name!r}: the TFLite rule needs a Softmax output of 8 bits with scale 1/256 and "
                f"zero point {output.low}, not {float(output.scale)} and {int(output.zero_point)}"
            )
        rows, shape, back = to_rows(operands[0].astype(np.int64), self.axis, self.flatten)
        real = min(float(source.scale) * (1 << (31 - _DIFF_INTEGER_BITS)), float(2**31 - 1))
        multiplier, left_shift = quantize_multiplier(real)
        radius = math.floor(((1 << _DIFF_INTEGER_BITS) - 1) * 2.0 ** (31 - _DIFF_INTEGER_BITS) / 2.0**left_shift)
        difference = rows - rows.max(axis=-1, keepdims=True)
        counts = difference >= -radius
        scaled = multiply_by_quantized_multiplier(np.where(counts, difference, 0), multiplier, left_shift)
        exps = exp_on_negative_values(scaled, _DIFF_INTEGER_BITS)  # Q0.31
        parts = rounding_divide_by_power_of_two(exps, _ACCUMULATION_INTEGER_BITS)
        total = np.where(counts, parts, 0).sum(axis=-1, keepdims=True)
        inverse, bits_over_unit = reciprocal(total, _ACCUMULATION_INTEGER_BITS)
        product = saturating_rounding_doubling_high_multiply(exps, inverse)
        codes = rounding_divide_by_power_of_two(product, bits_over_unit + 31 - 8) + output.low
        codes = np.where(counts, np.clip(codes, output.low, output.high), output.low)
        return from_rows(codes.astype(operands[0].dtype), shape, back)


def build_softmax(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ Softmax."""
    old = node.opset < 13
    axis = int(node.attributes.get("axis", 1 if old else -1))
    pattern.add(Softmax(**Softmax.fields(node, pattern, 1), axis=axis, flatten=old))


def build_qlinear_softmax(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QLinearSoftmax: X, its scale and zero point, Y's scale and zero point."""
    x = pattern.plain(node.inputs[0])
    scales = input_and_output(node, pattern, x.spec.dtype)
    if not float(scales[1].scale) >= _LEAST_SCALE:
        raise ValueError(
            f"node {node.label}: Y's scale must be at least {_LEAST_SCALE}, not {float(scales[1].scale)!r}"
        )
    pattern.add(
        Softmax(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=node.outputs,
            quantizations=(scales[0],),
            output_quantization=scales[1],
            axis=int(node.attributes.get("axis", -1)),
            flatten=int(node.attributes.get("opset", 13)) < 13,
            form=Form.QOPERATOR,
        )
    )
