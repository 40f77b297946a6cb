# SPDX-License-Identifier: Apache-2.0
"""Quantize arrays: choose scales, then encode; and the way back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.catalog import named
from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.rounding import Rounding

__all__ = [
    "Quantized",
    "quantize",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """An array in a format.

    codes : unsigned ndarray, the shape of the array
        Element codes.
    scales : ndarray
        Block formats: scale codes, with `axis` shortened to one code a block. Scalar formats: float32 scales, with
        `axis` of length 1 (a scalar if axis is None), or of the shape given.
    tensor_scale : float
        A float32 value; 1.0 where the format has none.
    format, axis
        As given to `quantize`; `axis` counted from the front, or None.
    """

    codes: NDArray[np.unsignedinteger]
    scales: NDArray[np.unsignedinteger] | NDArray[np.float32]
    tensor_scale: float
    format: IntegerSpec | FloatSpec | BlockSpec
    axis: int | None

    def dequantize(self) -> NDArray[np.float64]:
        """Return the values: element x scale x tensor scale, same shape as codes.

        Exact for the catalogued block formats and for scalars of up to 29 significant bits; else rounded to float64.
        """
        if not isinstance(self.format, BlockSpec):
            return np.asarray(self.format.decode(self.codes) * self.scales.astype(np.float64))
        assert self.axis is not None
        scales = np.repeat(self.format.scale.decode(self.scales), self.format.block_size, axis=self.axis)
        kept = np.take(scales, np.arange(self.codes.shape[self.axis]), axis=self.axis)
        return np.asarray(self.format.element.decode(self.codes) * (kept * self.tensor_scale))


def quantize(
    x: ArrayLike,
    fmt: str | IntegerSpec | FloatSpec | BlockSpec,
    axis: int | None = -1,
    *,
    scale: ArrayLike | None = None,
    rounding: Rounding | str = "nearest_even",
) -> Quantized:
    """Quantize an array.

    Parameters
    ----------
    x : array of floats, at least one dimension unless axis is None
        Scalar formats: finite. Block formats: a block that holds a NaN or an infinity becomes NaN as a whole.
    fmt : format or name
        A block format cuts `axis` into blocks of `block_size`, the last one shorter where it does not divide, each with
        a scale by the format's rule. A scalar format has one float32 scale for each slice along `axis`.
    axis : int or None
        The axis along which elements share a scale; None (scalar formats only): one scale for all.
    scale : float32 array, optional
        Scalar formats: the scale(s) to use, of a shape that broadcasts to that of x, positive and finite. Without it,
        the largest magnitude over the format's largest value, rounded to nearest and not below the smallest float32; 1
        where all are zero. Block formats: the float32 scale of the tensor where the format has one. Without it, the
        largest magnitude over the largest value of an element and over that of a scale, rounded in the same way.
    rounding : Rounding or str
        Of the elements; they saturate. Quotients are taken in float64: for float32 data and formats of up to 16 bits no
        quotient lies so near a rounding boundary that this could show.

    Returns
    -------
    Quantized
        A block of zeros has the smallest scale; elements under a scale of NaN or zero are zero.

    Raises
    ------
    TypeError, ValueError
        For an axis, scale or value that does not obey the above.
    KeyError
        For an unknown name.

    Source
    ------
    OCP Microscaling Formats 1.0, section 6.3; arXiv:2509.25149 (NVFP4), whose reciprocals are divisions here.
    """
    spec = named(fmt) if isinstance(fmt, str) else fmt
    if not isinstance(spec, IntegerSpec | FloatSpec | BlockSpec):
        raise TypeError(f"fmt must be a format or its name, not {fmt!r}")
    given = np.asarray(x)
    if not np.can_cast(given.dtype, np.float64):
        raise TypeError(f"x must be an array of real numbers that fit float64, not {given.dtype}")
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        array = given.astype(np.float64)
    if axis is not None:
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"axis must be an int or None, not {axis!r}")
        ndim = array.ndim
        if not -ndim <= axis < ndim:
            raise ValueError(f"axis must be in {-ndim}..{ndim - 1} for an array of {ndim} dimensions, not {axis}")
        axis %= ndim
    if isinstance(spec, BlockSpec):
        if axis is None:
            raise ValueError(f"axis must be an int for the block format {spec.name}, not None")
        return _quantize_blocks(array, spec, axis, scale, Rounding(rounding))
    return _quantize_scalar(array, spec, axis, scale, Rounding(rounding))


def _quantize_scalar(
    array: NDArray[np.float64],
    spec: IntegerSpec | FloatSpec,
    axis: int | None,
    scale: ArrayLike | None,
    rounding: Rounding,
) -> Quantized:
    if not np.isfinite(array).all():
        raise ValueError(f"x must be finite to be quantized to {spec.name}, which has one scale for many elements")
    if scale is not None:
        scales = _checked_scale(scale)
        try:
            np.broadcast_to(scales, array.shape)
        except ValueError:
            text = f"scale must broadcast to the shape {array.shape} of x, not {scales.shape}"
            raise ValueError(text) from None
    elif spec.max_value > 0:
        largest = np.abs(array).max(axis=axis, keepdims=axis is not None, initial=0.0)
        scales = _checked_scale(_float32_scale(largest, spec.max_value))
    else:
        raise ValueError(f"scale must be given for {spec.name}, whose largest value is {spec.max_value}")
    codes = spec.encode(array / scales.astype(np.float64), rounding)
    return Quantized(codes=codes, scales=scales, tensor_scale=1.0, format=spec, axis=axis)


def _quantize_blocks(
    array: NDArray[np.float64], spec: BlockSpec, axis: int, scale: ArrayLike | None, rounding: Rounding
) -> Quantized:
    size = spec.block_size
    front = np.moveaxis(array, axis, -1)
    length = front.shape[-1]
    count = -(-length // size)
    padded = np.zeros((*front.shape[:-1], count * size))
    padded[..., :length] = front
    blocks = padded.reshape(*front.shape[:-1], count, size)
    largest = np.abs(blocks).max(axis=-1)  # NaN where a block holds one
    tensor_scale = _tensor_scale(largest, spec, scale)
    scales = _block_scales(largest, spec, tensor_scale)
    factor = spec.scale.decode(scales)[..., None] * tensor_scale
    usable = np.isfinite(factor) & (factor > 0)
    elements = np.where(usable, blocks / np.where(usable, factor, 1.0), 0.0)
    codes = spec.element.encode(elements, rounding).reshape(padded.shape)[..., :length]
    return Quantized(
        codes=np.ascontiguousarray(np.moveaxis(codes, -1, axis)),
        scales=np.ascontiguousarray(np.moveaxis(scales, -1, axis)),
        tensor_scale=float(tensor_scale),
        format=spec,
        axis=axis,
    )


def _tensor_scale(largest: NDArray[np.float64], spec: BlockSpec, scale: ArrayLike | None) -> np.float64:
    """Return the scale of the tensor, a float32 value; 1 where the format has none."""
    if not spec.tensor_scale:
        if scale is not None:
            raise ValueError(f"scale must be None for {spec.name}, which has no scale of the tensor")
        return np.float64(1)
    if scale is None:
        whole = np.asarray(largest[np.isfinite(largest)].max(initial=0.0))
        scale = _float32_scale(whole, spec.element.max_value * spec.scale.max_value)
    chosen = _checked_scale(scale)
    if chosen.shape != ():
        raise ValueError(f"scale must be one number for {spec.name}, not an array of shape {chosen.shape}")
    return np.float64(chosen)


def _block_scales(
    largest: NDArray[np.float64], spec: BlockSpec, tensor_scale: np.float64
) -> NDArray[np.unsignedinteger]:
    """Return the scale codes for the largest magnitudes; NaN where that is not finite, the smallest for zeros."""
    finite = np.isfinite(largest)
    safe = np.where(finite, largest, 0.0)
    dtype = code_dtype(spec.scale.bits)
    if spec.rule is ScaleRule.OCP_FLOOR:
        # frexp gives the exponent exactly, where a rounded logarithm is one too high just below a power of two.
        element_exponent = int(np.frexp(spec.element.max_value)[1]) - 1
        exponent = np.frexp(safe)[1] - 1 - element_exponent
        field = np.where(safe > 0, exponent + spec.scale.bias, 0)
        codes = np.clip(field, 0, spec.scale.max_magnitude_code).astype(dtype)
    else:
        codes = spec.scale.encode(safe / spec.element.max_value / tensor_scale)
    return np.where(finite, codes, dtype(spec.scale.nan_code))


def _float32_scale(largest: NDArray[np.float64], limit: float) -> NDArray[np.float32]:
    """Return largest / limit in float32, not below the smallest one; 1 where largest is 0."""
    with np.errstate(over="ignore", under="ignore"):  # an infinite scale is for the caller to refuse
        scales = np.asarray(largest / limit).astype(np.float32)
    smallest = np.finfo(np.float32).smallest_subnormal
    return np.asarray(np.where(largest > 0, np.maximum(scales, smallest), np.float32(1)))


def _checked_scale(scale: ArrayLike) -> NDArray[np.float32]:
    """Return scales as float32, or raise."""
    given = np.asarray(scale)
    if not np.can_cast(given.dtype, np.float64):
        raise TypeError(f"scale must be real, not {given.dtype}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scales = given.astype(np.float32)
    good = np.isfinite(scales) & (scales > 0)
    if not good.all():
        raise ValueError(f"scale must be positive and finite in float32, not {given[~good].flat[0]}")
    return scales
