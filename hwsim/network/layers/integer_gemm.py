# SPDX-License-Identifier: Apache-2.0
"""Matrix products whose operators take codes: QLinearMatMul, MatMulInteger, com.microsoft QGemm."""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import FLOAT_FORMATS, AffineQuantization, code_range
from hwsim.network.element_types import element_type_of, held
from hwsim.network.float_quantization import FormatQuantization, element_format
from hwsim.network.layers.gemm import Gemm
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.pattern import Operand, Pattern, RawNode, affine

__all__ = [
    "build_matmul_integer",
    "build_qgemm",
    "build_qlinear_matmul",
]

Array = npt.NDArray[Any]


def build_qlinear_matmul(node: RawNode, pattern: Pattern) -> None:
    """Build a QLinearMatMul of integers, or of floats of 8 bits (opset 21)."""
    a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[3])
    if a.constant is not None:
        raise ValueError(f"node {node.label}: the first operand must not be a constant")
    zero = pattern.constant(node, 7)
    kinds = (a.spec.dtype, _onnx_type(b), element_type_of(zero).layer_name)
    floats = [kind in FLOAT_FORMATS for kind in kinds]
    if any(floats) and not all(floats):
        raise ValueError(f"node {node.label}: operands and output must all be integers or all floats, not {kinds}")
    read = _float_codes if all(floats) else affine
    quantizations = [
        read(node, pattern.constant(node, index), pattern.constant(node, index + 1), kind, axis)
        for index, kind, axis in zip((1, 4, 6), kinds, (None, -1, None), strict=True)
    ]
    if quantizations[0].axis is not None or quantizations[2].axis is not None:
        raise ValueError(f"node {node.label}: the first operand and the output must have one scale for the tensor")
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(a.spec.name,) if b.constant is not None else (a.spec.name, b.spec.name),
            outputs=node.outputs,
            form=Form.CODED if all(floats) else Form.QOPERATOR,
            weight=None if b.constant is None else held(b.constant),
            a_quantization=quantizations[0],
            b_quantization=quantizations[1],
            output_quantization=quantizations[2],
        )
    )


def _onnx_type(operand: Operand) -> str:
    """Return the element type of an operand that may be a constant as onnx has it."""
    return operand.spec.dtype if operand.constant is None else element_type_of(operand.constant).layer_name


def _float_codes(
    node: RawNode, scale: Array, zero_point: Array, dtype: str, axis: int | None = None
) -> FormatQuantization:
    """Make a quantization of small floats from a node's constants."""
    if held(zero_point).any():
        raise ValueError(f"node {node.label}: the zero point of {dtype} must be 0")
    known = affine(node, scale, None, "int8", axis)  # for its checks
    return FormatQuantization(format=element_format(dtype), dtype=dtype, scale=known.scale, axis=known.axis)


def build_qgemm(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QGemm."""
    a = pattern.plain(node.inputs[0])
    weight = pattern.constant(node, 3)
    if node.attributes.get("transB", 0):
        weight = weight.T
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
    """Build a MatMulInteger; the zero point of the first operand may vary."""
    a, b = pattern.plain(node.inputs[0]), pattern.plain(node.inputs[1])
    _check_codes(node, a, b)
    zero = pattern.plain(node.inputs[2]) if node.present(2) else None
    varies = zero is not None and zero.constant is None
    a_zero = np.zeros((), np.int64) if zero is None or zero.constant is None else zero.constant
    if a_zero.size != 1 or (varies and zero is not None and prod(zero.spec.shape) != 1):
        raise ValueError(f"node {node.label}: a_zero_point must be one number")
    b_zero = pattern.constant(node, 3) if node.present(3) else np.zeros((), np.int64)
    b_zero = b_zero.reshape(()) if b_zero.size == 1 else b_zero.reshape(-1)
    operands = (a.spec.name,) if b.constant is not None else (a.spec.name, b.spec.name)
    pattern.add(
        Gemm(
            name=node.name,
            operator=node.operator,
            inputs=(*operands, zero.spec.name) if varies and zero is not None else operands,
            outputs=node.outputs,
            form=Form.INTEGER,
            weight=None if b.constant is None else held(b.constant),
            a_quantization=affine(node, np.ones((), np.float32), a_zero.reshape(()), a.spec.dtype),
            b_quantization=affine(node, np.ones(b_zero.shape, np.float32), b_zero, b.spec.dtype, -1),
            varying_input=(False, varies),
        )
    )


def _check_codes(node: RawNode, *operands: Operand) -> None:
    """Raise unless operands are integer codes, the first one a tensor that varies."""
    wrong = [operand.spec.dtype for operand in operands if code_range(operand.spec.dtype) is None]
    if wrong:
        raise ValueError(f"node {node.label}: operands must be integer codes, not {wrong[0]}")
    if operands[0].constant is not None:
        raise ValueError(f"node {node.label}: the first operand must not be a constant")


def _scalar(node: RawNode, pattern: Pattern, index: int, dtype: str) -> AffineQuantization:
    """Return the quantization of a first operand, which must be one scale for the tensor."""
    quantization = affine(node, pattern.constant(node, index), pattern.constant(node, index + 1), dtype)
    if quantization.axis is not None:
        raise ValueError(f"node {node.label}: the first operand must have one scale for the tensor")
    return quantization
