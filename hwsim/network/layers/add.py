# SPDX-License-Identifier: Apache-2.0
"""Addition: Add, com.microsoft QLinearAdd."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import storage_type
from hwsim.network.graph import Engine, Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise, broadcast, broadcast_keeps_batch, operand_fields
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.pointwise import build_pointwise
from hwsim.network.pattern import Pattern, RawNode, affine
from hwsim.network.requantize import (
    Rule,
    code_bounds,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)

__all__ = [
    "Add",
    "build_add",
    "build_qlinear_add",
]

Array = npt.NDArray[Any]

_LEFT_SHIFT = 20  # tflite/kernels/add.cc, PrepareGeneralSubOp and Prepare: 20 bits of headroom for 8-bit codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Add(Elementwise):
    """The sum of two tensors, broadcast.

    Parameters
    ----------
    form : Form
        QOPERATOR follows ONNX Runtime's QLinearAdd, whose order of float32 operations is its own.
    """

    kind: ClassVar[str] = "add"

    form: Form = Form.QDQ

    @property
    def parameters(self) -> int:
        """Number of constant addends."""
        return sum(0 if value is None else value.size for value in self.constants)

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the broadcast shape."""
        return broadcast(self, shapes)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is the batch of every operand."""
        return broadcast_keeps_batch(specs, self.constants)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Add, rounded once."""
        return np.asarray(values[0] + values[1])

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Add codes or values, as the rule says."""
        if self.form is Form.QOPERATOR and rule is Rule.ONNX:
            return (self._run_qlinear(self._operands(values)),)
        # A slotted dataclass is made twice, which breaks the short form of super().
        return Elementwise.run(self, values, engine, rule)

    def compute_tflite(self, operands: tuple[Array, ...]) -> Array:
        """Add codes by TFLite's reference kernel.

        Source: tflite/kernels/add.cc, Prepare; tflite/kernels/internal/reference/integer_ops/add.h, AddFunc.
        """
        output = self.output_quantization
        assert output is not None
        inputs = [self.tflite_quantization(quantization) for quantization in self.quantizations]
        scales = [float(quantization.scale) for quantization in inputs]
        twice = 2 * max(scales)
        total = np.zeros((), np.int64)
        for codes, quantization, scale in zip(operands, inputs, scales, strict=True):
            shifted = (codes.astype(np.int64) - quantization.zero_point) << _LEFT_SHIFT
            multiplier, shift = quantize_multiplier(scale / twice)
            total = np.add(total, multiply_by_quantized_multiplier(shifted, multiplier, shift))
        multiplier, shift = quantize_multiplier(twice / ((1 << _LEFT_SHIFT) * float(output.scale)))
        raw = multiply_by_quantized_multiplier(total, multiplier, shift) + output.zero_point
        low, high = code_bounds(self.activation, output)
        return np.asarray(np.clip(raw, low, high).astype(storage_type(output.dtype)))

    def _run_qlinear(self, operands: tuple[Array, ...]) -> Array:
        """Add codes as ONNX Runtime on x86 does: y = a * (sa/sy) + (b * (sb/sy) + c), c for the zero points.

        Source: onnxruntime mlas/lib/qladd.cpp, MlasQLinearAddKernelHelper (without fused multiply-add).
        """
        first, second = self.quantizations
        output = self.output_quantization
        assert first is not None
        assert second is not None
        assert output is not None
        ratios = [np.float32(q.scale / output.scale) for q in (first, second)]
        zeros = [np.float32(q.zero_point) for q in (first, second)]
        fixed = np.float32(output.zero_point) - (ratios[0] * zeros[0] + ratios[1] * zeros[1])
        partial = operands[1].astype(np.float32) * ratios[1] + fixed
        total = operands[0].astype(np.float32) * ratios[0] + partial
        return np.clip(np.rint(total), output.low, output.high).astype(storage_type(output.dtype))


def build_add(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ Add; one of other types is any element-wise layer."""
    operand = pattern.operand(node.inputs[0])
    if operand.quantization is None and operand.spec.dtype != "float32":
        build_pointwise(node, pattern)
        return
    pattern.add(Add(**Elementwise.fields(node, pattern, 2)))


def build_qlinear_add(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QLinearAdd: A, A_scale, A_zero_point, B, B_scale, B_zero_point, C_scale, C_zero_point."""
    operands = [pattern.plain(node.inputs[index]) for index in (0, 3)]
    fields = operand_fields(operands)
    fields["quantizations"] = tuple(
        affine(
            node,
            pattern.constant(node, index + 1),
            pattern.constant(node, index + 2) if node.present(index + 2) else None,
            operand.spec.dtype,
        )
        for operand, index in zip(operands, (0, 3), strict=True)
    )
    pattern.add(
        Add(
            **fields,
            name=node.name,
            operator=node.operator,
            outputs=node.outputs,
            output_quantization=affine(
                node,
                pattern.constant(node, 6),
                pattern.constant(node, 7) if node.present(7) else None,
                operands[0].spec.dtype,
            ),
            form=Form.QOPERATOR,
        )
    )
