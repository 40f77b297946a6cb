# SPDX-License-Identifier: Apache-2.0
"""The rules that bring an integer accumulator back to the codes of a quantized tensor."""

import math
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization, storage_type

__all__ = [
    "Activation",
    "Rule",
    "code_bounds",
    "multiply_by_quantized_multiplier",
    "quantize_multiplier",
    "requantize_codes",
    "requantize_onnx",
    "requantize_qoperator",
    "requantize_tflite",
    "rounding_divide_by_power_of_two",
    "saturating_rounding_doubling_high_multiply",
]

Activation = tuple[float, float]  # least and greatest value of a fused Relu or Clip

_INT32 = np.iinfo(np.int32)


class Rule(Enum):
    """How an accumulator becomes a code.

    Members
    -------
    ONNX
        A float scale, ties to even: the meaning of an ONNX QDQ or QOperator graph.
    TFLITE
        A 31-bit fixed-point multiplier and a shift, as the TensorFlow Lite reference kernels.
    """

    ONNX = "onnx"
    TFLITE = "tflite"


def requantize_onnx(
    acc: npt.NDArray[Any],
    scale: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float32] | None,
    activation: Activation | None,
    output: AffineQuantization | None,
) -> npt.NDArray[Any]:
    """Requantize by the ONNX rule, in the order of a QDQ graph.

    Parameters
    ----------
    acc : ndarray of int64 (or float64), any shape
        Accumulators, zero points taken out and the integer bias added.
    scale : ndarray of float64, broadcast to `acc`
        Value of one unit of `acc`: the product of both operands' float32 scales, exact in float64.
    bias : ndarray of float32 or None
        Bias that is not an integer number of units, broadcast to `acc`.
    activation : tuple of two floats or None
        Range of the fused Relu or Clip.
    output : AffineQuantization or None
        What to quantize to; None leaves the float32 value.

    Returns
    -------
    ndarray
        y = float32(acc * scale + bias), rounded once, to nearest even, from float64; then the activation; then
        round(float32(y / output.scale)) + zero_point, ties to even, saturated.

    Source
    ------
    ONNX operators DequantizeLinear, Conv, QuantizeLinear. ONNX Runtime sums float32 products instead, so its y may
    lie some units in the last place away.
    """
    real = acc.astype(np.float64) * scale
    if bias is not None:
        real = real + bias.astype(np.float64)
    value = real.astype(np.float32)
    if activation is not None:
        value = np.clip(value, np.float32(activation[0]), np.float32(activation[1]))
    return value if output is None else output.quantize(value)


def requantize_qoperator(
    acc: npt.NDArray[Any], multiplier: npt.NDArray[np.float32], output: AffineQuantization
) -> npt.NDArray[Any]:
    """Requantize as ONNX Runtime's QLinear operators do: one float32 product.

    Parameters
    ----------
    acc : ndarray of int64, any shape
        Accumulators in the int32 range.
    multiplier : ndarray of float32, broadcast to `acc`
        a_scale * b_scale / y_scale, each operation rounded to float32, from the left.
    output : AffineQuantization
        What to quantize to.

    Returns
    -------
    ndarray of the output's storage type
        round(float32(float32(acc) * multiplier)) + zero_point, ties to even, saturated.

    Source
    ------
    onnxruntime mlas/lib/quantize.cpp, MlasRequantizeOutput.
    """
    rounded = np.rint(acc.astype(np.float32) * multiplier).astype(np.float64) + output.zero_point
    return np.asarray(np.clip(rounded, output.low, output.high).astype(storage_type(output.dtype)))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split a real multiplier into a 31-bit fraction and a power of two.

    Parameters
    ----------
    real : float
        Not negative.

    Returns
    -------
    multiplier : int
        In [2**30, 2**31), or 0 for a multiplier below 2**-32; rounded half away from zero.
    shift : int
        real is close to multiplier * 2**(shift - 31).

    Raises
    ------
    ValueError
        Where `real` is negative or not finite.

    Source
    ------
    tflite/kernels/internal/quantization_util.cc, QuantizeMultiplier (double rounding variant).
    """
    if not (math.isfinite(real) and real >= 0):
        raise ValueError(f"the TFLite rule needs a multiplier that is finite and not negative, not {real!r}")
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    fixed = math.floor(fraction * 2**31 + 0.5)  # fraction * 2**31 + 0.5 is below 2**32: exact in float64
    if fixed == 2**31:
        fixed //= 2
        shift += 1
    return (0, 0) if shift < -31 else (fixed, shift)


def saturating_rounding_doubling_high_multiply(
    a: npt.NDArray[np.int64], b: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.int64]:
    """Return a*b / 2**31 for int32 values, rounded to nearest, ties up; -2**31 * -2**31 saturates.

    Source: gemmlowp fixedpoint/fixedpoint.h, SaturatingRoundingDoublingHighMul.
    """
    product = a * b  # at most 2**62
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    # C++ division truncates: floor for the positive, ceiling for the negative.
    high = np.where(total >= 0, total >> 31, -((-total) >> 31))
    return np.minimum(high, _INT32.max)  # only -2**31 * -2**31 exceeds it


def rounding_divide_by_power_of_two(
    x: npt.NDArray[np.int64], exponent: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.int64]:
    """Return x / 2**exponent rounded to nearest, ties away from zero.

    Source: gemmlowp fixedpoint/fixedpoint.h, RoundingDivideByPOT.
    """
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_by_quantized_multiplier(
    x: npt.NDArray[np.int64], multiplier: npt.NDArray[np.int64] | int, shift: npt.NDArray[np.int64] | int
) -> npt.NDArray[np.int64]:
    """Multiply int32 values by a fixed-point multiplier, rounding twice.

    Parameters
    ----------
    x : ndarray of int64
        Values in the int32 range, also after the left shift.
    multiplier, shift : ndarray of int64 or int
        From `quantize_multiplier`.

    Returns
    -------
    ndarray of int64
        x * multiplier * 2**(shift - 31), rounded at bit 31 (ties up) and again at the right shift (ties away from 0).

    Raises
    ------
    ValueError
        Where a value leaves the int32 range before the multiplication.

    Source
    ------
    tflite/kernels/internal/common.cc, MultiplyByQuantizedMultiplier (double rounding variant).
    """
    shifts = np.asarray(shift, np.int64)
    shifted = x << np.maximum(shifts, 0)
    if shifted.size and (shifted.max() > _INT32.max or shifted.min() < _INT32.min):
        raise ValueError(f"the TFLite rule needs accumulators of 32 bits, not {int(np.abs(shifted).max())}")
    high = saturating_rounding_doubling_high_multiply(shifted, multiplier)
    return rounding_divide_by_power_of_two(high, np.maximum(-shifts, 0))


def requantize_tflite(
    acc: npt.NDArray[np.int64],
    real_multiplier: npt.NDArray[np.float64],
    activation: Activation | None,
    output: AffineQuantization,
) -> npt.NDArray[Any]:
    """Requantize by the TFLite rule.

    Parameters
    ----------
    acc : ndarray of int64, any shape
        Accumulators in the int32 range, bias added.
    real_multiplier : ndarray of float64, broadcast to `acc`
        Input scales over output scale.
    activation : tuple of two floats or None
        Range of the fused Relu or Clip, applied to codes.
    output : AffineQuantization
        What to quantize to, one scale for the tensor.

    Returns
    -------
    ndarray of the output's storage type

    Source
    ------
    tflite/kernels/internal/reference/integer_ops/conv.h, ConvPerChannel.
    """
    if not np.issubdtype(acc.dtype, np.integer):
        raise ValueError(f"the TFLite rule needs integer accumulators, not {acc.dtype}")
    pairs = [quantize_multiplier(float(value)) for value in real_multiplier.ravel()]
    multiplier = np.array([pair[0] for pair in pairs], np.int64).reshape(real_multiplier.shape)
    shift = np.array([pair[1] for pair in pairs], np.int64).reshape(real_multiplier.shape)
    scaled = multiply_by_quantized_multiplier(acc.astype(np.int64), multiplier, shift) + output.zero_point
    low, high = code_bounds(activation, output)
    return np.asarray(np.clip(scaled, low, high).astype(storage_type(output.dtype)))


def requantize_codes(
    codes: npt.NDArray[Any],
    source: AffineQuantization,
    target: AffineQuantization,
    activation: Activation | None = None,
) -> npt.NDArray[Any]:
    """Bring codes from one quantization to another by the TFLite rule (its QUANTIZE and RELU kernels)."""
    if source.same_as(target) and activation is None:
        return codes
    ratio = np.asarray(source.scale, np.float64) / np.asarray(target.scale, np.float64)
    return requantize_tflite(codes.astype(np.int64) - source.zero_point, ratio, activation, target)


def code_bounds(activation: Activation | None, output: AffineQuantization) -> tuple[int, int]:
    """Return the least and greatest code a fused activation lets through, by the TFLite rule.

    Source: tflite/kernels/kernel_util.cc, CalculateActivationRangeQuantized.
    """
    low, high = output.low, output.high
    if activation is None:
        return low, high
    zero_point = int(output.zero_point)
    if math.isfinite(activation[0]):
        low = max(low, zero_point + _round_half_away(np.float32(activation[0]) / output.scale))
    if math.isfinite(activation[1]):
        high = min(high, zero_point + _round_half_away(np.float32(activation[1]) / output.scale))
    return low, high


def _round_half_away(value: Any) -> int:
    """Round a float to the nearest integer, ties away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))
