# SPDX-License-Identifier: Apache-2.0
"""Affine (scale and zero point) quantization of a tensor, as ONNX defines it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CODE_RANGES",
    "AffineQuantization",
    "storage_type",
]

# ONNX element types a quantized tensor may have, with the least and the greatest code.
# Source: ONNX operator QuantizeLinear-25, https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
CODE_RANGES = {
    "int2": (-2, 1),
    "uint2": (0, 3),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "uint16": (0, 65535),
    "int32": (-(2**31), 2**31 - 1),
}


def storage_type(dtype: str) -> np.dtype[Any]:
    """Return the numpy type that holds codes of an ONNX element type (int4 is held in int8)."""
    if dtype in ("int2", "int4"):
        return np.dtype(np.int8)
    if dtype in ("uint2", "uint4"):
        return np.dtype(np.uint8)
    return np.dtype(dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffineQuantization:
    """Scale and zero point of a tensor of integer codes: value = (code - zero_point) * scale.

    Parameters
    ----------
    scale : ndarray of float32, shape () or (channels,)
        Step of one code, one for the tensor or one for each slice along `axis`.
    zero_point : ndarray of int64, the shape of `scale`
        The code of the value 0.
    dtype : str
        ONNX element type of the codes, a key of `CODE_RANGES`.
    axis : int or None
        The axis that `scale` runs along; None where it is one number.

    Raises
    ------
    ValueError
        Where `dtype` is not a quantized type, the shapes disagree, or a scale is not a finite number other than 0.

    Source
    ------
    ONNX operators QuantizeLinear and DequantizeLinear.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    dtype: str
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in CODE_RANGES:
            raise ValueError(f"quantized element type must be one of {', '.join(CODE_RANGES)}, not {self.dtype!r}")
        if self.scale.shape != self.zero_point.shape:
            shapes = f"{self.scale.shape} and {self.zero_point.shape}"
            raise ValueError(f"scale and zero point must have one shape, not {shapes}")
        if self.scale.ndim != (0 if self.axis is None else 1):
            raise ValueError(f"scale must be one number, or a vector along an axis, not shape {self.scale.shape}")
        if not np.all(np.isfinite(self.scale)) or np.any(self.scale == 0):
            raise ValueError(f"scale must be finite and not 0, not {self.scale!r}")

    @property
    def low(self) -> int:
        """The least code."""
        return CODE_RANGES[self.dtype][0]

    @property
    def high(self) -> int:
        """The greatest code."""
        return CODE_RANGES[self.dtype][1]

    def same_as(self, other: "AffineQuantization") -> bool:
        """Tell whether both give every code the same value."""
        return (
            self.dtype == other.dtype
            and self.scale.ndim == other.scale.ndim
            and (self.axis == other.axis or self.scale.ndim == 0)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def dequantize(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the values of codes as ONNX Runtime computes them.

        Parameters
        ----------
        codes : ndarray of integers, any shape

        Returns
        -------
        ndarray of float32
            float32(code - zero_point) * scale, each of the two operations rounded to nearest even.
        """
        scale, zero_point = self._along(codes.ndim)
        if zero_point.any():
            shifted = codes.astype(np.int32) - zero_point.astype(np.int32)
            return shifted.astype(np.float32) * scale
        return codes.astype(np.float32) * scale

    def quantize(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return the codes nearest to float32 values.

        Parameters
        ----------
        values : ndarray of float32, any shape

        Returns
        -------
        ndarray of `storage_type(dtype)`
            round(values / scale) + zero_point, the quotient rounded to float32, ties to even, saturated.

        Raises
        ------
        ValueError
            Where a value is NaN.
        """
        scale, zero_point = self._along(values.ndim)
        quotient = values.astype(np.float32, copy=False) / scale
        if np.isnan(quotient).any():
            raise ValueError("a NaN has no integer code: the float network produced one")
        # The bounds are exact in float64 for every type; rounding first or clamping first is the same.
        rounded = np.rint(quotient).astype(np.float64) + zero_point
        return np.asarray(np.clip(rounded, self.low, self.high).astype(storage_type(self.dtype)))

    def _along(self, ndim: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Shape scale and zero point to broadcast against a tensor of `ndim` axes."""
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [1] * ndim
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)
