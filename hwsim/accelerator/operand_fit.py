# SPDX-License-Identifier: Apache-2.0
"""Whether the operands of a layer are what a unit takes, and their codes as the unit has them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec
from hwsim.formats.codes import code_dtype
from hwsim.network.affine import AffineQuantization
from hwsim.network.float_quantization import (
    BIPOLAR_FORMAT,
    BlockQuantization,
    FormatQuantization,
    Quantization,
    ScalarFormat,
)

__all__ = [
    "code_offset",
    "fits",
    "format_name",
    "is_wide_float",
    "scales_apart",
    "unit_codes",
    "unit_scales",
]

Array = NDArray[Any]
OperandSpec = ScalarSpec | BlockSpec

_WIDE = ("float16", "bfloat16", "tfloat32", "float32")


def is_wide_float(spec: OperandSpec) -> bool:
    """Tell whether float32 values enter a format by a cast, without a scale: float16, bfloat16, tfloat32, float32."""
    return spec.name in _WIDE


def fits(spec: OperandSpec, quantization: Quantization) -> bool:
    """Tell whether a unit's operand format is that of a layer's codes.

    An integer format fits where it has every integer of the layer's, or of them less half their number (`code_offset`),
    whose zero point moves along; a block format where element, scale and block size
    are the same (an integer's binary point may lie elsewhere under a scale of powers of two). Codes with a scale for
    each block also fit the format of their elements alone: then the scales are applied to the sum of each block
    (`scales_apart`).
    """
    if isinstance(quantization, AffineQuantization):
        return _has_integers(spec, quantization, code_offset(spec, quantization))
    if isinstance(quantization, FormatQuantization):
        return not isinstance(spec, BlockSpec) and _same_elements(spec, quantization.format)
    if not isinstance(spec, BlockSpec):
        return _same_elements(spec, quantization.format)
    same = (spec.scale, spec.block_size, spec.block_rows) == (quantization.scale_format, quantization.block_size, 1)
    plain = not (spec.others or spec.zero_point or spec.channel_scale)
    return same and plain and _scale_shift(spec, quantization) is not None


def code_offset(spec: OperandSpec, quantization: Quantization) -> int:
    """Return what a signed unit takes off a layer's unsigned codes: uint8 codes less 128 are int8 codes, else 0.

    The zero point loses as much, so values stay; what the unit multiplies are the codes of the other zero point.
    """
    if not isinstance(quantization, AffineQuantization) or not isinstance(spec, IntegerSpec):
        return 0
    half = (quantization.high + 1) // 2
    return half if quantization.low == 0 and not _has_integers(spec, quantization, 0) and spec.signed else 0


def format_name(quantization: Quantization) -> str:
    """Return a format's name for messages."""
    if isinstance(quantization, AffineQuantization):
        return quantization.dtype
    if isinstance(quantization, FormatQuantization):
        return quantization.format.name
    spec = quantization.spec
    if spec is not None:
        return spec.name
    return f"{quantization.format.name} in blocks of {quantization.block_size} under {quantization.scale_format.name}"


def scales_apart(spec: OperandSpec, quantization: Quantization | None) -> bool:
    """Tell whether a layer's block scales are applied outside of the unit, to the sum of each block."""
    return isinstance(quantization, BlockQuantization) and not isinstance(spec, BlockSpec)


def unit_codes(spec: ScalarSpec, quantization: Quantization, codes: Array) -> NDArray[np.unsignedinteger]:
    """Return a layer's codes as codes of a format that fits.

    Raises
    ------
    ValueError
        Where a code has no value in the format: the zero that a convolution of bipolar codes is padded with.
    """
    if isinstance(spec, IntegerSpec):
        integers = codes.astype(np.int64) - code_offset(spec, quantization)
        return (integers & ((1 << spec.bits) - 1)).astype(code_dtype(spec.bits))
    held = quantization.dtype if isinstance(quantization, AffineQuantization) else quantization.format
    if isinstance(spec, CodebookSpec) and not (isinstance(held, CodebookSpec) and held != BIPOLAR_FORMAT):
        found = spec.encode(codes.astype(np.float64))
        if (spec.decode(found) != codes).any():
            missing = codes[spec.decode(found) != codes].flat[0]
            raise ValueError(f"{spec.name} has no code of {missing}: its layer is padded with zeros")
        return found
    return codes.astype(code_dtype(spec.bits))


def unit_scales(spec: BlockSpec, quantization: BlockQuantization, scales: Array) -> NDArray[np.unsignedinteger]:
    """Return codes of block scales as a unit's format has them, the binary point of its integers taken in.

    Raises
    ------
    ValueError
        Where a scale then leaves the range of its format.
    """
    shift = _scale_shift(spec, quantization)
    assert isinstance(spec.scale, FloatSpec)
    if not shift:
        return scales.astype(code_dtype(spec.scale.bits))
    nan = scales == spec.scale.nan_code
    moved = scales.astype(np.int64) + shift
    if (~nan & ((moved < 0) | (moved > spec.scale.max_magnitude_code))).any():
        raise ValueError(f"a scale times 2**{shift} is no {spec.scale.name}: {spec.name} cannot have it")
    return np.where(nan, scales, moved).astype(code_dtype(spec.scale.bits))


def _has_integers(spec: OperandSpec, quantization: AffineQuantization, offset: int) -> bool:
    """Tell whether a format has every integer that codes less an offset may be."""
    if isinstance(spec, CodebookSpec):
        return quantization.high - quantization.low < 16 and _integers(quantization) <= set(spec.levels)
    if not isinstance(spec, IntegerSpec) or spec.fraction_bits or spec.zero_point:
        return False
    low = spec.min_int - (spec.narrow and spec.signed)  # the code that `encode` leaves out computes all the same
    high = spec.max_int + (spec.narrow and not spec.signed)
    return low <= quantization.low - offset and quantization.high - offset <= high


def _integers(quantization: AffineQuantization) -> set[float]:
    """Return the integers of codes of a few bits."""
    if quantization.dtype == BIPOLAR_FORMAT.name:
        return {-1.0, 1.0}
    return {float(code) for code in range(quantization.low, quantization.high + 1)}


def _same_elements(spec: ScalarSpec, codes: ScalarFormat) -> bool:
    """Tell whether a scalar format is that of codes; of integers, whether it has them all."""
    if isinstance(codes, IntegerSpec) and isinstance(spec, IntegerSpec):
        if (spec.fraction_bits, spec.zero_point) != (codes.fraction_bits, codes.zero_point):
            return False
        low = spec.min_int - (spec.narrow and spec.signed)
        least = codes.min_int - (codes.narrow and codes.signed)
        return low <= least and codes.max_int <= spec.max_int + (spec.narrow and not spec.signed)
    if codes == BIPOLAR_FORMAT:
        return isinstance(spec, CodebookSpec) and {-1.0, 1.0} <= set(spec.levels)
    return spec == codes


def _scale_shift(spec: BlockSpec, quantization: BlockQuantization) -> int | None:
    """Return what to add to a scale's code for the unit's binary point; None where the elements are not the same."""
    if spec.element == quantization.format:
        return 0
    ours, theirs = spec.element, quantization.format
    if not (isinstance(ours, IntegerSpec) and isinstance(theirs, IntegerSpec) and spec.has_power_scale):
        return None
    same = (ours.bits, ours.signed, ours.zero_point) == (theirs.bits, theirs.signed, theirs.zero_point)
    return ours.fraction_bits - theirs.fraction_bits if same else None
