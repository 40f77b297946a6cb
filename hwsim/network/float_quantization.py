# SPDX-License-Identifier: Apache-2.0
"""Quantizations to the formats of `hwsim.formats`: one scale for a tensor, one a channel, or one a block."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, ScaleRule, named
from hwsim.network.affine import (
    BIPOLAR,
    FLOAT_FORMATS,
    AffineQuantization,
    NanError,
    code_range,
    element_bits,
    storage_type,
)
from hwsim.network.conversion import round_values
from hwsim.network.element_types import element_type

__all__ = [
    "BIPOLAR_FORMAT",
    "BlockQuantization",
    "FormatQuantization",
    "Quantization",
    "ScalarFormat",
    "as_format",
    "element_format",
    "element_values",
]

Array = npt.NDArray[Any]
ScalarFormat = FloatSpec | IntegerSpec | CodebookSpec

_ONE = np.float32(1)
BIPOLAR_FORMAT = CodebookSpec(name=BIPOLAR, levels=(-1.0, 1.0))


def element_format(dtype: str) -> FloatSpec | IntegerSpec | CodebookSpec:
    """Return the format of an element type of codes: "float8e4m3fn", "int4", "minifloat_e3m2", "bipolar"."""
    if dtype == BIPOLAR:
        return BIPOLAR_FORMAT
    spec = named(FLOAT_FORMATS.get(dtype, dtype))
    assert isinstance(spec, FloatSpec | IntegerSpec | CodebookSpec)
    return spec


def element_values(spec: ScalarFormat, codes: Array) -> npt.NDArray[np.float64]:
    """Return the exact values of codes as layers hold them: integers as numbers, all else as the codes of the format.

    Parameters
    ----------
    spec : FloatSpec, IntegerSpec or CodebookSpec
    codes : ndarray of integers, any shape

    Returns
    -------
    ndarray of float64
        The integer less the zero point, times the value of its last place; -1 and 1 of bipolar codes.
    """
    if isinstance(spec, IntegerSpec):
        return (codes.astype(np.float64) - spec.zero_point) * 2.0**-spec.fraction_bits
    if spec == BIPOLAR_FORMAT:
        return codes.astype(np.float64)
    return np.asarray(spec.decode(codes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FormatQuantization:
    """Codes of a scalar format under float32 scales: value = element(code) * scale.

    Parameters
    ----------
    format : FloatSpec, IntegerSpec or CodebookSpec
        An integer's zero point is part of its format.
    dtype : str
        Element type of the tensor: ONNX's name, or the format's own where ONNX has none.
    scale : ndarray of float32, shape () or (channels,)
    axis : int or None
        The axis that `scale` runs along; None where it is one number.
    saturate : bool
        Of a float of 8 bits: what is too large becomes its largest value; else infinity, or NaN where it has none.

    Raises
    ------
    ValueError
        Where the scale has another shape, or is not finite or 0.

    Source
    ------
    ONNX operators QuantizeLinear-28 and DequantizeLinear-28.
    """

    format: ScalarFormat
    dtype: str
    scale: npt.NDArray[np.float32]
    axis: int | None = None
    saturate: bool = True

    def __post_init__(self) -> None:
        if self.scale.ndim != (0 if self.axis is None else 1):
            raise ValueError(f"scale must be one number, or a vector along an axis, not shape {self.scale.shape}")
        if not np.all(np.isfinite(self.scale)) or np.any(self.scale == 0):
            raise ValueError(f"scale must be finite and not 0, not {self.scale!r}")

    def same_as(self, other: object) -> bool:
        """Tell whether both give every code the same value."""
        return (
            isinstance(other, FormatQuantization)
            and (self.format, self.dtype) == (other.format, other.dtype)
            and (self.axis == other.axis or self.scale.ndim == 0)
            and np.array_equal(self.scale, other.scale)
        )

    def elements(self, codes: Array) -> npt.NDArray[np.float64]:
        """Return the exact values of codes before the scale."""
        return element_values(self.format, codes)

    def dequantize(self, codes: Array) -> npt.NDArray[np.float32]:
        """Return the values of codes: the element (exact in float32) times the scale, rounded to float32."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.elements(codes).astype(np.float32) * self._along(codes.ndim))

    def quantize(self, values: npt.NDArray[np.float32]) -> Array:
        """Return the codes nearest to float32 values.

        Returns
        -------
        ndarray of `storage_type(dtype)`
            The quotient by the scale rounded to float32, then to the format, ties to even. A NaN becomes the largest
            value of a format without NaN.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            quotient = values.astype(np.float32, copy=False) / self._along(values.ndim)
        if self.dtype in FLOAT_FORMATS:
            kind = element_type(onnx.TensorProto.DataType.Value(self.dtype.upper()))
            codes = kind.codes(round_values(quotient, kind, saturate=self.saturate))
        elif isinstance(self.format, IntegerSpec):
            if np.isnan(quotient).any():
                raise NanError
            rounded = np.rint(quotient.astype(np.float64) * 2.0**self.format.fraction_bits) + self.format.zero_point
            codes = np.clip(rounded, self.format.min_int, self.format.max_int)
        else:
            codes = self.format.encode(quotient)
        return np.asarray(codes.astype(storage_type(self.dtype)))

    def _along(self, ndim: int) -> npt.NDArray[np.float32]:
        """Shape the scale to broadcast against a tensor of `ndim` axes."""
        if self.axis is None:
            return self.scale
        shape = [1] * ndim
        shape[self.axis] = -1
        return self.scale.reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockQuantization:
    """Codes with a scale for each block of neighbours along an axis: value = element(code) * scale * tensor_scale.

    Parameters
    ----------
    format : FloatSpec, IntegerSpec or CodebookSpec
        Of an element.
    dtype : str
        Element type of the tensor.
    scale_format : FloatSpec
        Of a block's scale: float32, float16, bfloat16, E8M0 or E4M3.
    block_size : int
    axis : int
        The axis whose neighbours share a scale.
    scales : unsigned ndarray or None
        Codes of the scales, of the tensor's shape but for `axis`; None where the scales are a tensor that varies.
    tensor_scale : float32
        On top of all scales (NVFP4).

    Raises
    ------
    ValueError
        Where the block size is not positive, or the tensor's scale not a positive finite number.

    Source
    ------
    ONNX operator DequantizeLinear-28, attribute block_size; OCP Microscaling Formats 1.0; arXiv:2509.25149 (NVFP4).
    """

    format: ScalarFormat
    dtype: str
    scale_format: FloatSpec
    block_size: int
    axis: int
    scales: npt.NDArray[np.unsignedinteger] | None = None
    tensor_scale: np.float32 = _ONE

    def __post_init__(self) -> None:
        if self.block_size < 1:
            raise ValueError(f"block_size must be at least 1, not {self.block_size}")
        if not (np.isfinite(self.tensor_scale) and self.tensor_scale > 0):
            raise ValueError(f"the tensor's scale must be positive and finite, not {self.tensor_scale!r}")

    @property
    def scale(self) -> npt.NDArray[np.float32]:
        """What is multiplied after the sum: the scale of the whole tensor."""
        return np.asarray(self.tensor_scale)

    @property
    def spec(self) -> BlockSpec | None:
        """The block format of `hwsim.formats` that these are codes of, rule aside; None where it has none."""
        rule = ScaleRule.OCP_FLOOR if self.scale_format.name == "float8_e8m0fnu" else ScaleRule.AMAX
        try:
            return BlockSpec(
                element=self.format,
                scale=self.scale_format,
                block_size=self.block_size,
                tensor_scale=bool(self.tensor_scale != 1) or self.scale_format.name == "float8_e4m3fn",
                rule=rule,
            )
        except ValueError:
            return None

    def same_as(self, other: object) -> bool:
        """Tell whether both give every code the same value; never where scales vary."""
        return (
            isinstance(other, BlockQuantization)
            and self.scales is not None
            and other.scales is not None
            and (self.format, self.dtype, self.scale_format, self.block_size, self.axis, self.tensor_scale)
            == (other.format, other.dtype, other.scale_format, other.block_size, other.axis, other.tensor_scale)
            and np.array_equal(self.scales, other.scales)
        )

    def scale_values(self, scales: Array | None = None) -> npt.NDArray[np.float64]:
        """Return the exact values of scales' codes, the tensor's scale not in them."""
        chosen = self.scales if scales is None else scales
        assert chosen is not None
        return np.asarray(self.scale_format.decode(chosen))

    def dequantize(self, codes: Array) -> npt.NDArray[np.float32]:
        """Return the values of codes as ONNX's chain of DequantizeLinear does, each product rounded to float32.

        Scale times tensor scale is rounded to float32 first, then the element times that.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scales = self.scale_values().astype(np.float32) * self.tensor_scale
            spread = self._spread(scales, codes.shape)
            return np.asarray(element_values(self.format, codes).astype(np.float32) * spread)

    def quantize(self, values: npt.NDArray[np.float32]) -> Array:
        """Return the codes nearest to float32 values under the blocks' scales (see `FormatQuantization.quantize`)."""
        one = FormatQuantization(format=self.format, dtype=self.dtype, scale=np.ones((), np.float32))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scales = self.scale_values().astype(np.float32) * self.tensor_scale
            return one.quantize(np.asarray(values / self._spread(scales, values.shape)))

    def _spread(self, scales: Array, shape: tuple[int, ...]) -> Array:
        """Give every element the scale of its block."""
        axis = self.axis % len(shape)
        wanted = (*shape[:axis], -(-shape[axis] // self.block_size), *shape[axis + 1 :])
        if scales.shape != wanted:
            raise ValueError(f"scales must have shape {wanted} in blocks of {self.block_size}, not {scales.shape}")
        return np.take(scales, np.arange(shape[axis]) // self.block_size, axis=axis)


Quantization = AffineQuantization | FormatQuantization | BlockQuantization


def as_format(quantization: AffineQuantization) -> FormatQuantization | None:
    """Return integer codes as codes of a format; None where there are several zero points, or one out of range."""
    zeros = np.unique(quantization.zero_point)
    limits = code_range(quantization.dtype)
    assert limits is not None
    if zeros.size != 1 or not limits[0] <= zeros[0] <= limits[1]:
        return None
    if quantization.dtype == BIPOLAR:
        spec: ScalarFormat = BIPOLAR_FORMAT
    else:
        narrow = quantization.narrow and element_bits(quantization.dtype) > 1
        bits = element_bits(quantization.dtype)
        spec = IntegerSpec(bits=bits, signed=limits[0] < 0, narrow=narrow, zero_point=int(zeros[0]))
    return FormatQuantization(format=spec, dtype=quantization.dtype, scale=quantization.scale, axis=quantization.axis)
