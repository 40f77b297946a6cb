# SPDX-License-Identifier: Apache-2.0
"""Quantization by the range of the data: DynamicQuantizeLinear, and the products that ONNX Runtime makes of it."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import code_range
from hwsim.network.element_types import held
from hwsim.network.graph import Engine, Layer, TensorSpec
from hwsim.network.layers.gemm import Gemm
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.pattern import Operand, Pattern, RawNode, affine
from hwsim.network.quantize_linear import dynamic_quantize_linear
from hwsim.network.requantize import Rule

__all__ = [
    "DynamicQuantize",
    "build_dynamic_quantize_linear",
    "build_dynamic_quantize_matmul",
    "build_matmul_integer_to_float",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DynamicQuantize(Layer):
    """Values to uint8 codes by the least and the greatest of them: codes, scale, zero point."""

    kind: ClassVar[str] = "quantize"

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the specs of the codes, the scale and the zero point."""
        if specs[0].dtype != "float32":
            raise ValueError(f"layer {self.name!r}: {self.operator} needs float32 values, not {specs[0].dtype}")
        shapes, types = (specs[0].shape, (), ()), ("uint8", "float32", "uint8")
        return tuple(
            TensorSpec(name=name, shape=shape, dtype=dtype)
            for name, shape, dtype in zip(self.outputs, shapes, types, strict=True)
        )

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell that a scale is that of the batch as a whole."""
        return False

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Quantize (see `dynamic_quantize_linear`)."""
        del engine, rule
        try:
            return dynamic_quantize_linear(values[0])
        except ValueError as error:
            raise ValueError(f"layer {self.name!r}: {error}") from error


def build_dynamic_quantize_linear(node: RawNode, pattern: Pattern) -> None:
    """Build a DynamicQuantizeLinear."""
    outputs = [node.outputs[index] if index < len(node.outputs) else "" for index in range(3)]
    names = [name or pattern.fresh(f"{node.name}_output_{index}") for index, name in enumerate(outputs)]
    a = pattern.plain(node.inputs[0])
    if a.constant is not None:
        raise ValueError(f"node {node.label}: x must not be a constant")
    pattern.add(DynamicQuantize(name=node.name, operator=node.operator, inputs=(a.spec.name,), outputs=tuple(names)))


def build_dynamic_quantize_matmul(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft DynamicQuantizeMatMul: A, B, b_scale, b_zero_point, bias."""
    names = [pattern.fresh(f"{node.name}/{part}") for part in ("codes", "scale", "zero")]
    quantize = replace(node, name=pattern.fresh(f"{node.name}/quantize"), inputs=node.inputs[:1], outputs=tuple(names))
    build_dynamic_quantize_linear(quantize, pattern)
    b_zero, bias = (node.inputs[index] if node.present(index) else "" for index in (3, 4))
    inputs = (names[0], node.inputs[1], names[1], node.inputs[2], names[2], b_zero, bias)
    build_matmul_integer_to_float(replace(node, inputs=inputs), pattern)


def build_matmul_integer_to_float(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft MatMulIntegerToFloat: A, B, a_scale, b_scale, a_zero_point, b_zero_point, bias.

    float32(sum) * (a_scale * b_scale) + bias, each operation rounded to float32; A's scale and zero point may vary.
    Source: onnxruntime contrib_ops/cpu/quantization/dynamic_quantize_matmul.cc.
    """
    a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[1])
    for operand in (a, b):
        if code_range(operand.spec.dtype) is None:
            raise ValueError(f"node {node.label}: operands must be integer codes, not {operand.spec.dtype}")
    if a.constant is not None:
        raise ValueError(f"node {node.label}: the first operand must not be a constant")
    scale = _one(node, pattern, 2, np.ones((), np.float32))
    zero = _one(node, pattern, 4, np.zeros((), np.int64))
    varying = [operand.spec.name for operand in (scale, zero) if operand.constant is None]
    a_scale = np.ones((), np.float32) if scale.constant is None else scale.constant.reshape(())
    a_zero = np.zeros((), np.int64) if zero.constant is None else zero.constant.reshape(())
    b_scale = pattern.constant(node, 3)
    b_zero = pattern.constant(node, 5) if node.present(5) else None
    bias = pattern.constant(node, 6) if node.present(6) else None
    operands = (a.spec.name,) if b.constant is not None else (a.spec.name, b.spec.name)
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(*operands, *varying),
            outputs=node.outputs,
            form=Form.QOPERATOR,
            weight=None if b.constant is None else held(b.constant),
            a_quantization=affine(node, a_scale, a_zero, a.spec.dtype),
            b_quantization=affine(
                node,
                b_scale.reshape(-1) if b_scale.size > 1 else b_scale,
                None if b_zero is None else b_zero.reshape(-1) if b_zero.size > 1 else b_zero,
                b.spec.dtype,
                -1,
            ),
            bias_values=None if bias is None else bias.astype(np.float32).reshape(-1),
            varying_input=(scale.constant is None, zero.constant is None),
        )
    )


def _one(node: RawNode, pattern: Pattern, index: int, default: Array) -> Operand:
    """Return a parameter of one number that may vary."""
    if not node.present(index):
        return Operand(spec=TensorSpec(name="", shape=(), dtype=default.dtype.name), constant=default)
    operand = pattern.plain(node.inputs[index])
    if prod(operand.spec.shape) != 1:
        raise ValueError(f"node {node.label}: input {index} must be one number, not shape {operand.spec.shape}")
    return operand
