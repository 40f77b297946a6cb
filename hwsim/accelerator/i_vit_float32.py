# SPDX-License-Identifier: Apache-2.0
"""I-ViT's softmax, GELU and layer normalization as its authors' code computes them: integers held in float32.

Each operation is rounded to float32, so integers beyond 2**24 are not exact, 2**31 - 1 counts as 2**31, and codes are
found again as ``(code * scale) / scale``, which may lie beside the integer. Where the authors leave the order of a sum
to their library, the sum here is exact and rounded once.

Source: arXiv:2207.01405; models/quantization_utils/quant_modules.py and quant_utils.py of the authors' repository.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "gelu_float32",
    "layer_norm_float32",
    "requantize_float64",
    "softmax_float32",
]

FloatArray = NDArray[np.float32]

_LIMIT = np.float32(2**31 - 1)  # 2**31 in float32
_SOFTMAX_STEPS = 15
_GELU_STEPS = 23
_GELU_SLOPE = np.float32(1.702)
_ROOT_START = np.float32(2**16)
_ROOT_ITERATIONS = 10


def softmax_float32(codes: NDArray[np.int64], scale: np.float32, bits: int) -> FloatArray:
    """Return IntSoftmax' integers along the last axis, of scale ``2**-(bits - 1)``.

    Parameters
    ----------
    codes : ndarray of int64
        Zero point taken out, within 2**24.
    scale : float32
        Of a code; positive.
    bits : int
        Of a result.
    """
    x = _found(codes, scale)
    powers = _shift_exponential(x - x.max(axis=-1, keepdims=True), scale, _SOFTMAX_STEPS)
    return _share(powers, _sum(powers), bits)


def gelu_float32(codes: NDArray[np.int64], scale: np.float32, bits: int) -> FloatArray:
    """Return IntGELU's integers, of scale ``scale * 2**-(bits - 1)``; parameters as of `softmax_float32`.

    The power of ``-max`` has no bound where the maximum is negative, as in the authors' code.
    """
    x = _found(codes, scale)
    slope = scale * _GELU_SLOPE
    largest = x.max(axis=-1, keepdims=True)
    powers = _shift_exponential(x - largest, slope, _GELU_STEPS)
    total = powers + _shift_exponential(-largest, slope, _GELU_STEPS)
    return x * _share(powers, total, bits)


def layer_norm_float32(codes: NDArray[np.int64], scale: np.float32, bias: FloatArray) -> FloatArray:
    """Return IntLayerNorm's integers along the last axis, of scale ``sqrt(length) / 2**30`` times gamma.

    Parameters
    ----------
    codes, scale
        As of `softmax_float32`.
    bias : ndarray of float32, shape (length,)
        ``floor((beta / gamma) / (sqrt(length) / 2**30))``.
    """
    x = _found(codes, scale)
    centred = x - np.rint(_sum(x) / np.float32(x.shape[-1]))
    variance = _sum(centred * centred)
    root = np.full_like(variance, _ROOT_START)
    for _ in range(_ROOT_ITERATIONS):
        root = np.floor((root + np.floor(variance / root)) / np.float32(2))
    factor = np.floor(_LIMIT / root)
    return np.asarray(np.floor(centred * factor / np.float32(2)) + bias)


def requantize_float64(
    units: FloatArray, scale: FloatArray | np.float32, multiplier: NDArray[np.int64], shift: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``round(units * multiplier / 2**shift)`` as fixedpoint_mul: the product in float64, ties to even.

    Units first become values of the scale and are found again by ``round(value / scale)`` in float32.
    """
    found = np.rint((units * scale) / scale).astype(np.float64)
    product = found * multiplier.astype(np.float64)
    return np.asarray(np.rint(product / np.exp2(shift.astype(np.float64))), np.int64)


def _found(codes: NDArray[np.int64], scale: np.float32) -> FloatArray:
    """Return codes as the authors' modules see them: values over their scale."""
    return np.asarray((codes.astype(np.float32) * scale) / scale)


def _sum(x: FloatArray) -> FloatArray:
    """Add along the last axis, rounded once."""
    return np.asarray(x.sum(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32))


def _shift_exponential(x: FloatArray, scale: np.float32, steps: int) -> FloatArray:
    """Return int_exp_shift's integers."""
    x = x + np.floor(x / np.float32(2)) - np.floor(x / np.float32(16))
    unit = np.floor(np.float32(-1) / scale)
    x = np.maximum(x, np.float32(steps) * unit)
    quotient = np.floor(x / unit)
    rest = x - unit * quotient
    with np.errstate(over="ignore"):
        power = (rest / np.float32(2) - unit) * np.exp2(np.float32(steps) - quotient)
    return np.asarray(np.maximum(np.floor(power), np.float32(0)))


def _share(powers: FloatArray, total: FloatArray, bits: int) -> FloatArray:
    """Return each power's part of a sum, in units of ``2**-(bits - 1)``."""
    factor = np.floor(_LIMIT / np.minimum(total, _LIMIT))
    return np.asarray(np.floor(powers * factor / np.float32(2 ** (32 - bits))))
