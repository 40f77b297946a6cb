# SPDX-License-Identifier: Apache-2.0
"""Softmax: in float32, or by TFLite's integer kernel; com.microsoft QLinearSoftmax."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.fixed_point import exp_on_negative_values, reciprocal
from hwsim.network.graph import Engine, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.multiply_accumulate import Form
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

# exp(x) on |x| <= ln(2)/2. Source: onnxruntime mlas/lib/compute.cpp, MlasExpConstants.
_POLYNOMIAL = tuple(
    np.float32(float.fromhex(text))
    for text in ("0x1.694p-10", "0x1.125edcp-7", "0x1.555b5ap-5", "0x1.55545p-3", "0x1.fffff6p-2", "0x1p0", "0x1p0")
)
_LOWER = np.float32(-88.3762626647949)
_LOG2_RECIPROCAL = np.float32(1.44269504088896341)
_LOG2_HIGH = np.float32(-6.93145752e-1)
_LOG2_LOW = np.float32(-1.42860677e-6)
_ROUNDING_BIAS = np.float32(12582912.0)  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits

_DIFF_INTEGER_BITS = 5  # tflite/kernels/internal/reference/softmax.h, kScaledDiffIntegerBits
_ACCUMULATION_INTEGER_BITS = 12  # there, kAccumulationIntegerBits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax(Elementwise):
    """exp(x) over its sum, along an axis.

    Parameters
    ----------
    axis : int
    flatten : bool
        Whether all axes from `axis` on count as one (opset 12 and before).
    form : Form
        QOPERATOR follows ONNX Runtime's QLinearSoftmax, which is all in integers but for its table.
    """

    kind: ClassVar[str] = "softmax"

    axis: int
    flatten: bool = False
    form: Form = Form.QDQ

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the sum does not run over the batch."""
        return self.axis % len(specs[0].shape) != 0

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Compute in float32 as ONNX Runtime on x86 with AVX-512 does.

        The maximum is subtracted; exp is a polynomial of degree 6 with fused multiply-adds; the sum runs in 16 lanes,
        folded to 8 and then pairwise; each exp is multiplied by the float32 reciprocal of the sum.

        Source: onnxruntime mlas/lib/compute.cpp and x86_64/TransKernelAvx512F.S; the order of the sum was measured.
        """
        rows, shape, back = self._rows(values[0].astype(np.float32, copy=False))
        exps = _exp(rows - rows.max(axis=-1, keepdims=True))
        result = exps * (np.float32(1) / _sum_16_lanes(exps))[:, np.newaxis]
        return self._unrows(result, shape, back)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute on codes or values, as the rule says."""
        if self.form is Form.QOPERATOR and rule is Rule.ONNX:
            return (self._run_qlinear(values[0]),)
        return Elementwise.run(self, values, engine, rule)

    def _run_qlinear(self, codes: Array) -> Array:
        """Compute on codes as ONNX Runtime does: a table of exponentials, integer sum and division, half up.

        Source: onnxruntime contrib_ops/cpu/quantization/qlinear_softmax.cc; the result was measured.
        """
        source, output = self.quantizations[0], self.output_quantization
        assert source is not None
        assert output is not None
        rows, shape, back = self._rows(codes.astype(np.int64))
        unit = min((2.0**32 - 1) / rows.shape[-1], float(0x7FFFFF))  # the sum fits 32 bits
        difference = (rows - rows.max(axis=-1, keepdims=True)).astype(np.float64)
        table = np.rint(unit * np.exp(difference * np.float64(source.scale))).astype(np.int64)
        total = table.sum(axis=-1, keepdims=True)
        steps = math.floor(np.float32(1) / output.scale)
        quotient = (table * steps + total // 2) // total + output.zero_point
        result = np.clip(quotient, output.low, output.high).astype(codes.dtype)
        return self._unrows(result, shape, back)

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
        rows, shape, back = self._rows(operands[0].astype(np.int64))
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
        return self._unrows(codes.astype(operands[0].dtype), shape, back)

    def _rows(self, x: Array) -> tuple[Array, tuple[int, ...], int]:
        """Bring the axis last and everything else to one axis of rows."""
        axis = self.axis % x.ndim
        if self.flatten:
            return x.reshape(math.prod(x.shape[:axis]), -1), x.shape, -1
        moved = np.moveaxis(x, axis, -1)
        return np.ascontiguousarray(moved).reshape(-1, x.shape[axis]), moved.shape, axis

    @staticmethod
    def _unrows(rows: Array, shape: tuple[int, ...], axis: int) -> Array:
        """Undo `_rows`."""
        return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), -1, axis))


def build_softmax(node: RawNode, pattern: Pattern) -> None:
    """Build a float or QDQ Softmax."""
    old = node.opset < 13
    axis = int(node.attributes.get("axis", 1 if old else -1))
    pattern.add(Softmax(**Softmax.fields(node, pattern, 1), axis=axis, flatten=old))


def build_qlinear_softmax(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QLinearSoftmax: X, its scale and zero point, Y's scale and zero point."""
    x = pattern.plain(node.inputs[0])
    scales = input_and_output(node, pattern, x.spec.dtype)
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


def _fma(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Fused multiply-add: the product is exact in float64; a second rounding changes one result in 2**29."""
    return (a.astype(np.float64) * b + c).astype(np.float32)


def _exp(x: FloatArray) -> FloatArray:
    """Return the exponential of numbers not above 0, with the bits of MLAS."""
    clamped = np.maximum(x, _LOWER)
    turns = _fma(clamped, np.asarray(_LOG2_RECIPROCAL), np.asarray(_ROUNDING_BIAS)) - _ROUNDING_BIAS
    rest = _fma(turns, np.asarray(_LOG2_HIGH), clamped)
    rest = _fma(turns, np.asarray(_LOG2_LOW), rest)
    result = np.full_like(rest, _POLYNOMIAL[0])
    for coefficient in _POLYNOMIAL[1:]:
        result = _fma(result, rest, np.asarray(coefficient))
    return np.ldexp(result, turns.astype(np.int32))


def _sum_16_lanes(rows: FloatArray) -> FloatArray:
    """Add along the last axis in 16 lanes, fold to 8, then pairwise."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 16)))
    lanes = np.zeros((rows.shape[0], 16), np.float32)
    for start in range(0, padded.shape[1], 16):
        lanes += padded[:, start : start + 16]
    lanes = lanes[:, :8] + lanes[:, 8:]
    while lanes.shape[1] > 1:
        lanes = lanes[:, 0::2] + lanes[:, 1::2]
    return lanes[:, 0]
