# SPDX-License-Identifier: Apache-2.0
"""Quantize arrays: choose scales, then encode; and the way back."""

from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.block import BlockSpec, Scalar, ScaleRule
from hwsim.formats.block_encoding import Rounder, decode_rows, scale_values
from hwsim.formats.catalog import named
from hwsim.formats.choice import largest_magnitudes, mean_magnitudes, median_magnitudes, quantize_blocks
from hwsim.formats.codes import check_axis, code_dtype
from hwsim.formats.rounding import Rounding, check_random
from hwsim.formats.scaling import element_limit, float32_scale, power_exponents
from hwsim.formats.tiling import Tiling

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
        Block formats: scale codes, with `axis` shortened to one code a block (and the axis across to one a block's
        rows; every axis to 1 where the whole tensor is a block). Scalar formats: float32 scales, with `axis` of length
        1 (a scalar if axis is None), or of the shape given.
    tensor_scale : float
        A float32 value; 1.0 where the format has none.
    format, axis
        As given to `quantize`; `axis` counted from the front, or None.
    channel_scales : ndarray of float32 or None
        With `axis` of length 1, where the format has a scale for each slice along it.
    zero_points : unsigned ndarray or None
        The code of zero of each block, the shape of the scales, where the format has one.
    selectors : ndarray of uint8 or None
        Which of the format's `elements` each block has, the shape of the scales, where there are several.
    """

    codes: NDArray[np.unsignedinteger]
    scales: NDArray[np.unsignedinteger] | NDArray[np.float32]
    tensor_scale: float
    format: Scalar | BlockSpec
    axis: int | None
    channel_scales: NDArray[np.float32] | None = None
    zero_points: NDArray[np.unsignedinteger] | None = None
    selectors: NDArray[np.uint8] | None = None

    def dequantize(self) -> NDArray[np.float64]:
        """Return the values: element x scale x tensor or channel scale, same shape as codes.

        Exact for the catalogued block formats and for scalars of up to 29 significant bits; else rounded to float64.
        """
        spec = self.format
        if not isinstance(spec, BlockSpec):
            return np.asarray(spec.decode(self.codes) * self.scales.astype(np.float64))
        tiling = Tiling.of(spec, self.codes.shape, self.axis)
        codes = tiling.to_rows(self.codes)
        factors = scale_values(spec.scale, np.asarray(self.scales, code_dtype(spec.scale.bits)))
        factors = factors * (self.tensor_scale if self.channel_scales is None else self.channel_scales)
        by_row = tiling.spread(tiling.to_blocks(factors))
        marks = self.selectors if self.zero_points is None else self.zero_points
        chosen = np.zeros(tiling.block_shape, np.uint8) if marks is None else tiling.to_blocks(marks)
        offset = self.zero_points is not None
        values = decode_rows(codes, spec.elements, tiling.spread(chosen), by_row, tiling.size, offset=offset)
        return tiling.from_rows(values)


def quantize(
    x: ArrayLike,
    fmt: str | Scalar | BlockSpec,
    axis: SupportsIndex | None = -1,
    *,
    scale: ArrayLike | None = None,
    rule: ScaleRule | str | None = None,
    rounding: Rounding | str = "nearest_even",
    random: ArrayLike | None = None,
    random_bits: int | None = None,
) -> Quantized:
    """Quantize an array.

    Parameters
    ----------
    x : array of floats, at least one dimension unless axis is None
        Scalar formats: finite. Block formats: a block that holds a NaN or an infinity becomes NaN as a whole, where the
        scale's format has a NaN; else finite. Float64 must not need a scale of the tensor or of a channel beyond
        float32, and for rule TWO_LEVEL must be finite in float32.
    fmt : format or name
        A block format cuts `axis` into blocks of `block_size`, the last one shorter where it does not divide, each with
        a scale by the format's rule. A scalar format has one float32 scale for each slice along `axis`.
    axis : int (a NumPy one too) or None
        The axis along which elements share a scale; None (scalar formats, and block formats that share one scale in the
        whole tensor): one scale for all.
    scale : float32 array, optional
        Scalar formats: the scale(s) to use, of a shape that broadcasts to that of x, positive and finite. Without it,
        the largest magnitude over the format's largest value, rounded to nearest and not below the smallest float32; 1
        where all are zero. Block formats: the float32 scale of the tensor where the format has one, or those of the
        channels, with `axis` of length 1. Without it, the largest magnitude over the largest value of an element and
        over that of a scale, rounded in the same way; of several element formats, the smallest of their largest values.
    rule : ScaleRule or str, optional
        Another rule than the format's, whose format the result then has. Scalar formats: AMAX as above, or a rule of
        powers of two but QUEST, ABSMEAN or ABSMEDIAN.
    rounding : Rounding or str
        Of the elements; they saturate. Quotients are taken in float64: for float32 data and formats of up to 16 bits no
        quotient lies so near a rounding boundary that this could show.
    random, random_bits : as of a format's encode, for stochastic rounding
        The random words broadcast to the shape of x.

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
    OCP Microscaling Formats 1.0, section 6.3; arXiv:2509.25149 (NVFP4), whose reciprocals are divisions here but for
    rule TWO_LEVEL; `ScaleRule` for the others. OCP 6.3 leaves open what becomes of a block of zeros (here: the smallest
    scale), of one below the smallest scale (that scale) and of a NaN or infinity (here: a NaN scale, for 5.1 makes all
    values NaN then; the elements are zero).
    """
    spec = named(fmt) if isinstance(fmt, str) else fmt
    if not isinstance(spec, Scalar | BlockSpec):
        raise TypeError(f"fmt must be a format or its name, not {fmt!r}")
    array = _checked_array(x)
    axis = None if axis is None else check_axis(axis, array.ndim, "an int or None")
    mode = Rounding(rounding)
    rounder = Rounder(mode, check_random(mode, array.shape, random, random_bits), random_bits)
    chosen = None if rule is None else ScaleRule(rule)
    if not isinstance(spec, BlockSpec):
        return _quantize_scalar(array, spec, axis, scale, chosen or ScaleRule.AMAX, rounder)
    if chosen is not None:
        spec = replace(spec, rule=chosen)
    if axis is None and spec.block_rows:
        raise ValueError(f"axis must be an int for the block format {spec.name}, not None")
    return _quantize_blocks(array, spec, axis, scale, rounder)


def _checked_array(x: ArrayLike) -> NDArray[Any]:
    """Return x as float32, where that holds its type, or float64."""
    given: NDArray[Any] = np.asarray(x)
    if not np.can_cast(given.dtype, np.float64):
        raise TypeError(f"x must be an array of real numbers that fit float64, not {given.dtype}")
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return given.astype(np.float32 if np.can_cast(given.dtype, np.float32) else np.float64, copy=False)


def _quantize_scalar(
    array: NDArray[Any], spec: Scalar, axis: int | None, scale: ArrayLike | None, rule: ScaleRule, rounder: Rounder
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
        scales = _checked_scale(_slice_scales(array, spec, axis, rule))
    else:
        raise ValueError(f"scale must be given for {spec.name}, whose largest value is {spec.max_value}")
    words = rounder.random
    quotients = array / scales.astype(np.float64)
    if words is None:
        codes = spec.encode(quotients, rounder.mode)
    else:
        codes = spec.encode(quotients, rounder.mode, random=words, random_bits=rounder.random_bits)
    return Quantized(codes=codes, scales=scales, tensor_scale=1.0, format=spec, axis=axis)


def _slice_scales(array: NDArray[Any], spec: Scalar, axis: int | None, rule: ScaleRule) -> NDArray[np.float32]:
    """Return the float32 scales of slices along an axis, by a rule."""
    if rule is ScaleRule.AMAX:
        largest = np.abs(array).max(axis=axis, keepdims=axis is not None, initial=0.0).astype(np.float64)
        return float32_scale(largest, element_limit(spec))
    tiling = Tiling.of_slices(array.shape, axis)
    rows = tiling.to_rows(array)
    if rule is ScaleRule.ABSMEAN:
        figures = mean_magnitudes(rows, tiling)
    elif rule is ScaleRule.ABSMEDIAN:
        figures = median_magnitudes(rows, tiling)
    elif rule.is_power and rule is not ScaleRule.QUEST:
        largest = largest_magnitudes(rows, tiling).astype(np.float64)
        exponents = np.clip(power_exponents(rule, spec, largest), -149, 127)
        figures = np.where(largest > 0, np.ldexp(1.0, exponents), 1.0)
    else:
        raise ValueError(
            f"rule must be AMAX, ABSMEAN, ABSMEDIAN or one of powers of two for {spec.name}, not {rule.name}"
        )
    with np.errstate(over="ignore"):  # an infinite scale is refused
        scales = tiling.from_blocks(figures.astype(np.float32))
    return scales.reshape(()) if axis is None else scales


def _quantize_blocks(
    array: NDArray[Any], spec: BlockSpec, axis: int | None, scale: ArrayLike | None, rounder: Rounder
) -> Quantized:
    tiling = Tiling.of(spec, array.shape, axis)
    given = _outer_scale(spec, tiling, scale)
    random = None if rounder.random is None else tiling.to_rows(rounder.random)
    found = quantize_blocks(tiling.to_rows(array), spec, tiling, given, rounder._replace(random=random))
    channels, zeros, choices = found.channel_scales, found.zero_points, found.selectors
    return Quantized(
        codes=tiling.from_rows(found.codes),
        scales=tiling.from_blocks(found.scales),
        tensor_scale=found.tensor_scale,
        format=spec,
        axis=axis,
        channel_scales=None if channels is None else tiling.with_one_block().from_blocks(channels),
        zero_points=None if zeros is None else tiling.from_blocks(zeros),
        selectors=None if choices is None else tiling.from_blocks(choices),
    )


def _outer_scale(spec: BlockSpec, tiling: Tiling, scale: ArrayLike | None) -> NDArray[np.float32] | None:
    """Return a given scale of the tensor or of the channels, of shape (rows, 1), checked."""
    if scale is None:
        return None
    if not (spec.tensor_scale or spec.channel_scale):
        raise ValueError(f"scale must be None for {spec.name}, which has no scale of the tensor")
    chosen = _checked_scale(scale)
    if spec.tensor_scale:
        if chosen.shape != ():
            raise ValueError(f"scale must be one number for {spec.name}, not an array of shape {chosen.shape}")
        return chosen
    axis = tiling.axes[0]
    expected = tuple(1 if i == axis else extent for i, extent in enumerate(tiling.shape))
    if chosen.shape != expected:
        raise ValueError(f"scale must have the shape {expected} for {spec.name}, not {chosen.shape}")
    return tiling.with_one_block().to_blocks(chosen)


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
