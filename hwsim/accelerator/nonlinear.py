# SPDX-License-Identifier: Apache-2.0
"""The integer softmax, GELU and layer normalization of an accelerator, from codes to codes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.i_vit_float32 import (
    gelu_float32,
    layer_norm_float32,
    requantize_float64,
    softmax_float32,
)
from hwsim.datapath.layers import (
    LayerNormSpec,
    ShiftGeluSpec,
    ShiftmaxSpec,
    dyadic,
    exponential_unit,
    layer_norm,
    requantization_ratio,
    rescale,
    shift_gelu,
    shiftmax,
)
from hwsim.network.affine import AffineQuantization, storage_type
from hwsim.network.nonlinear import GeluKind, LayerNormKind, SoftmaxKind

__all__ = [
    "KERNELS",
    "LayerKernels",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

_CODE_BITS = 8  # of a softmax and of GELU's sigmoid, as in I-ViT
_LONGEST = 4096  # elements of a vector that the integer units take (`hwsim.datapath.layers`)
_FINEST = 2.0**-16  # least input scale: the unit of the exponential has 16 bits
_RESULT_SCALE = np.float32(2.0 ** -(_CODE_BITS - 1))


class LayerKernels:
    """The kernels of `hwsim.datapath.layers`, equal to the RTL, and I-ViT's own float32 code beside them.

    Codes enter with their zero point taken out. Results go to the output's codes by dyadic requantization: times an
    integer of 31 bits and over a power of two, to nearest even, then the output's zero point, then clamped. In the
    float32 kinds that product is taken in float64, as the authors do.

    Source
    ------
    I-ViT, arXiv:2207.01405, and its quant_modules.py and quant_utils.py; HAWQ-V3, arXiv:2011.10680.
    """

    def softmax(
        self, kind: SoftmaxKind, codes: NDArray[Any], source: AffineQuantization, output: AffineQuantization
    ) -> NDArray[Any]:
        """Return a softmax' codes along the last axis (see `hwsim.network.nonlinear.NonlinearKernels`)."""
        rows, bits = _centred(codes, source)
        scale = _positive("input", source)
        if kind is SoftmaxKind.SHIFTMAX_FLOAT32:
            return _from_float32(softmax_float32(rows, scale, _CODE_BITS), _RESULT_SCALE, output)
        unit = _exponential_unit(float(scale))
        spec = ShiftmaxSpec(length=rows.shape[-1], bits=bits, unit_bits=unit.bit_length(), code_bits=_CODE_BITS)
        return _requantized(shiftmax(rows, unit, spec), _RESULT_SCALE, output)

    def gelu(
        self, kind: GeluKind, codes: NDArray[Any], source: AffineQuantization, output: AffineQuantization
    ) -> NDArray[Any]:
        """Return a GELU's codes; the elements along the last axis share a maximum."""
        rows, bits = _centred(codes, source)
        scale = _positive("input", source)
        if kind is GeluKind.SHIFT_GELU_FLOAT32:
            return _from_float32(gelu_float32(rows, scale, _CODE_BITS), scale * _RESULT_SCALE, output)
        unit = _exponential_unit(1.702 * float(scale))
        spec = ShiftGeluSpec(length=rows.shape[-1], bits=bits, unit_bits=unit.bit_length(), code_bits=_CODE_BITS)
        return _requantized(shift_gelu(rows, unit, spec), scale * _RESULT_SCALE, output)

    def layer_norm(
        self,
        kind: LayerNormKind,
        codes: NDArray[Any],
        source: AffineQuantization,
        output: AffineQuantization,
        gamma: FloatArray,
        beta: FloatArray,
    ) -> NDArray[Any]:
        """Return the codes of a normalization along the last axis, with a gain and an offset for each element."""
        rows, bits = _centred(codes, source)
        length = rows.shape[-1]
        scale, bias = _gain_and_bias(gamma, beta, length)
        if kind is LayerNormKind.I_LAYER_NORM_FLOAT32:
            normal = layer_norm_float32(rows, _positive("input", source), bias.astype(np.float32))
            return _from_float32(normal, scale, output)
        spec = LayerNormSpec(length=length, bits=bits, bias_bits=32 if bias.any() else 0)
        normal_units = layer_norm(rows, spec, bias if bias.any() else None)
        return _requantized(normal_units, scale, output)


KERNELS = LayerKernels()
"""What every engine of an accelerator brings."""


def _centred(codes: NDArray[Any], source: AffineQuantization) -> tuple[IntArray, int]:
    """Return codes without their zero point, and the bits of a signed integer that holds any of them."""
    if codes.shape[-1] > _LONGEST:
        raise ValueError(f"a vector must have at most {_LONGEST} elements, not {codes.shape[-1]}")
    zero = int(source.zero_point)
    bits = max((source.high - zero).bit_length(), (~(source.low - zero)).bit_length()) + 1
    if bits > 20:
        raise ValueError(f"the input must have codes of 16 bits or fewer, not {source.dtype}")
    return codes.astype(np.int64) - zero, bits


def _positive(what: str, quantization: AffineQuantization) -> np.float32:
    """Return a quantization's scale, or raise where it is not positive."""
    scale = np.float32(quantization.scale)
    if not scale > 0:
        raise ValueError(f"the {what}'s scale must be positive, not {float(scale)!r}")
    return scale


def _exponential_unit(scale: float) -> int:
    """Return the steps that make 1, or raise where they do not fit the hardware."""
    if scale < _FINEST:
        raise ValueError(f"the input's scale must be at least {_FINEST!r} for an integer exponential, not {scale!r}")
    return exponential_unit(scale)


def _gain_and_bias(gamma: FloatArray, beta: FloatArray, length: int) -> tuple[FloatArray, IntArray]:
    """Return the value of a unit for each element, and the offset in such units, formed in float32 as I-ViT does."""
    if not gamma.all():
        raise ValueError(f"gamma must not be 0 (element {int(np.argmin(gamma != 0))}): the integer form divides by it")
    unit = np.sqrt(np.float32(length)) / np.float32(2.0**30)
    units = np.floor((beta / gamma) / unit)
    worst = int(np.argmax(np.abs(units)))
    if not np.abs(units[worst]) <= 2.0**30:
        raise ValueError(
            f"beta / gamma must be within {length**0.5:.4g}, the root of the length, for a sum of 32 bits, "
            f"not {float(beta[worst] / gamma[worst]):.4g} (element {worst})"
        )
    return (unit * gamma).astype(np.float32), units.astype(np.int64)


def _ratio(scale: FloatArray | np.float32, output: AffineQuantization) -> tuple[IntArray, IntArray, IntArray]:
    """Return multiplier, shift and sign of a result's scale over the output's."""
    target = _positive("output", output)
    multiplier, shift = dyadic(requantization_ratio(np.abs(scale), np.float32(1), target))
    return multiplier, shift, np.where(np.asarray(scale) < 0, np.int64(-1), np.int64(1))


def _requantized(units: IntArray, scale: FloatArray | np.float32, output: AffineQuantization) -> NDArray[Any]:
    """Return the output's codes of integers of a scale, by an exact product."""
    multiplier, shift, sign = _ratio(scale, output)
    return _coded(rescale(units * sign, multiplier, shift), output)


def _from_float32(units: FloatArray, scale: FloatArray | np.float32, output: AffineQuantization) -> NDArray[Any]:
    """Return the output's codes of I-ViT's float32 integers of a scale, by a product in float64."""
    multiplier, shift, sign = _ratio(scale, output)
    return _coded(requantize_float64(units, scale, multiplier * sign, shift), output)


def _coded(integers: IntArray, output: AffineQuantization) -> NDArray[Any]:
    """Add the zero point and clamp."""
    return np.clip(integers + int(output.zero_point), output.low, output.high).astype(storage_type(output.dtype))
