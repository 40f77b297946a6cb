# SPDX-License-Identifier: Apache-2.0
"""Affine (scale and zero point) quantization of a tensor, as ONNX defines it, and the element types of codes."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BIPOLAR",
    "CODE_RANGES",
    "FLOAT_FORMATS",
    "AffineQuantization",
    "NanError",
    "code_range",
    "element_bits",
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


# ONNX's small float types, whose codes are held in uint8, and the names of their formats in `hwsim.formats`.
FLOAT_FORMATS = {
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float6e2m3": "float6_e2m3fn",
    "float6e3m2": "float6_e3m2fn",
    "float4e2m1": "float4_e2m1fn",
}
BIPOLAR = "bipolar"  # QONNX: the two values -1 and 1, in one bit
_INTEGER = re.compile(r"(u?)int([1-9]|[12]\d|3[012])")
_FLOAT_CODES = re.compile(r"(?:minifloat|float\d+)_e(\d+)m(\d+)\w*")  # formats of QONNX that ONNX has no type for


def code_range(dtype: str) -> tuple[int, int] | None:
    """Return the least and the greatest code of an integer type of 1 to 32 bits or of BIPOLAR; None for all others."""
    if dtype == BIPOLAR:
        return -1, 1
    match = _INTEGER.fullmatch(dtype)
    if match is None:
        return None
    bits = int(match[2])
    return (0, 2**bits - 1) if match[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def element_bits(dtype: str) -> int:
    """Return the width of an element: of codes what they need, not what they are held in."""
    if dtype == BIPOLAR:
        return 1
    match = _FLOAT_CODES.fullmatch(dtype)
    if match is not None:
        return 1 + int(match[1]) + int(match[2])
    digits = re.search(r"\d+", dtype)
    return int(digits[0]) if digits else 8


def storage_type(dtype: str) -> np.dtype[Any]:
    """Return the numpy type that holds an element: of a small float its code in uint8, of int4 an int8."""
    if dtype in FLOAT_FORMATS:
        return np.dtype(np.uint8)
    if _FLOAT_CODES.fullmatch(dtype) is not None:
        return np.dtype(np.uint8 if element_bits(dtype) <= 8 else np.uint16)
    limits = code_range(dtype)
    if limits is None:
        return np.dtype(dtype)
    signed = limits[0] < 0
    width = next(width for width in (8, 16, 32) if limits[1] < 2 ** (width - signed))
    return np.dtype(f"{'' if signed else 'u'}int{width}")


class NanError(ValueError):
    """A NaN was to become an integer code."""

    def __init__(self, text: str = "a NaN has no integer code") -> None:
        super().__init__(text)


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
        Element type of the codes: a key of `CODE_RANGES`, or an integer of another width ("int3") or "bipolar" (QONNX).
    axis : int or None
        The axis that `scale` runs along; None where it is one number.
    narrow : bool
        Whether the least code of a signed type, or the greatest of an unsigned one, is not used (QONNX).

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
    narrow: bool = False

    def __post_init__(self) -> None:
        if code_range(self.dtype) is None:
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
        low = _limits(self.dtype)[0]
        return low + (self.narrow and low < 0 and self.dtype != BIPOLAR)

    @property
    def high(self) -> int:
        """The greatest code."""
        low, high = _limits(self.dtype)
        return high - (self.narrow and low == 0)

    def same_as(self, other: object) -> bool:
        """Tell whether both give every code the same value."""
        return (
            isinstance(other, AffineQuantization)
            and (self.dtype, self.narrow) == (other.dtype, other.narrow)
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
        NanError
            Where a value is NaN.
        """
        scale, zero_point = self._along(values.ndim)
        quotient = values.astype(np.float32, copy=False) / scale
        if np.isnan(quotient).any():
            raise NanError
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


def _limits(dtype: str) -> tuple[int, int]:
    """Return the range of a type that is known to have one."""
    found = code_range(dtype)
    assert found is not None
    return found
