# SPDX-License-Identifier: Apache-2.0
"""The scales of blocks from their largest magnitudes, by the rules of `ScaleRule`; exponents exact, without logarithms.

Every rule of powers of two is the exponent that frexp gives, plus a constant, plus one for each threshold that the
significand in [0.5, 1) reaches. So no rounded logarithm decides, which is one too high just below a power of two.
"""

from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.block import BlockSpec, Scalar, ScaleRule
from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec

__all__ = [
    "LEAST_MEAN",
    "QUEST_FACTOR",
    "QUEST_OFFSET",
    "TwoLevel",
    "divided_scales",
    "element_limit",
    "float32_scale",
    "power_exponents",
    "power_scales",
    "two_level",
]

QUEST_FACTOR = 2.92247856 / 6
QUEST_OFFSET = 1e-8
LEAST_MEAN = 1e-5


def element_limit(element: Scalar) -> float:
    """Return what amax is brought to: the largest value; of a codebook the largest magnitude of either sign."""
    return max(element.max_value, -element.min_value) if isinstance(element, CodebookSpec) else element.max_value


@lru_cache(maxsize=256)
def _power_rule(rule: ScaleRule, element: Scalar) -> tuple[int, tuple[float, ...]]:
    """Return what is added to the exponent of frexp, and the thresholds of the significand, each reached by itself."""
    fraction, exponent = (float(part) for part in np.frexp(element_limit(element)))
    whole = int(exponent)
    if rule is ScaleRule.OCP_FLOOR:
        return -whole, ()
    if rule is ScaleRule.OCP_CEIL:
        return -whole, (float(np.nextafter(0.5, 1)),)
    if rule is ScaleRule.CEIL:
        return -whole, (float(np.nextafter(fraction, 1)),)
    if rule is ScaleRule.EVEN:
        assert isinstance(element, FloatSpec)
        return -whole, (1 - 2.0 ** -(element.man_bits + 2),)
    assert rule is ScaleRule.NEAREST
    # log2 of the quotient of two fractions lies in (-1, 1), with boundaries at -1/2 and 1/2: fraction times 2**(-1/2)
    # and 2**(1/2), which are irrational; the smallest float64 above each, from an integer square root, decides.
    square = int(fraction * 2.0**53) ** 2
    below = (isqrt(square // 2) + 1, isqrt(square * 2) + 1)
    return -whole - 1, (below[0] * 2.0**-53, min(below[1] * 2.0**-53, 1.0))


def power_exponents(
    rule: ScaleRule, element: Scalar, largest: NDArray[np.float32] | NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return k of the scale 2**k for positive finite largest magnitudes (QUEST: for the blocks' ``c * std + 1e-8``)."""
    fraction, exponent = np.frexp(largest)
    if rule is ScaleRule.QUEST:
        return exponent - np.int32(1)
    constant, thresholds = _power_rule(rule, element)
    exponent += np.int32(constant)
    for threshold in thresholds:
        # In float32 too: none lies above the float32 that it rounds up to, for a significand compares as float64.
        with np.errstate(invalid="ignore"):  # of a signalling NaN, which has no exponent
            exponent += fraction.astype(np.float64) >= threshold
    return exponent


def power_scales(
    rule: ScaleRule, element: Scalar, scale: FloatSpec, largest: NDArray[np.float32] | NDArray[np.float64]
) -> NDArray[np.unsignedinteger]:
    """Return scale codes, clamped to the format's range; the smallest for zero, and NaN for what is not finite."""
    field = power_exponents(rule, element, largest) + np.int32(scale.bias)
    np.clip(field, 0, scale.max_magnitude_code, out=field)
    if rule is not ScaleRule.QUEST:
        field[largest == 0] = 0
    return _marked(field.astype(code_dtype(scale.bits)), scale, largest)


def divided_scales(
    scale: FloatSpec | IntegerSpec,
    largest: NDArray[np.floating],
    limit: float,
    outer: NDArray[np.float64] | float,
) -> NDArray[np.unsignedinteger]:
    """Return the codes of ``largest / limit / outer``, quotients in float64, to nearest even, saturating."""
    finite = np.isfinite(largest)
    wide = np.where(finite, largest, 0.0).astype(np.float64, copy=False)
    return _marked(scale.encode(wide / limit / outer), scale, largest)


def _marked(
    codes: NDArray[np.unsignedinteger], scale: FloatSpec | IntegerSpec, largest: NDArray[np.floating]
) -> NDArray[np.unsignedinteger]:
    """Put NaN where the largest magnitude is not finite; the caller has seen to it that there is a NaN."""
    bad = ~np.isfinite(largest)
    if isinstance(scale, FloatSpec) and bad.any():
        codes[bad] = scale.nan_code
    return codes


def float32_scale(largest: NDArray[np.float64], limit: float) -> NDArray[np.float32]:
    """Return largest / limit in float32, not below the smallest one; 1 where largest is 0."""
    with np.errstate(over="ignore", under="ignore"):  # an infinite scale is for the caller to refuse
        scales = np.asarray(largest / limit).astype(np.float32)
    smallest = np.finfo(np.float32).smallest_subnormal
    return np.asarray(np.where(largest > 0, np.maximum(scales, smallest), np.float32(1)))


class TwoLevel(NamedTuple):
    """The scales of the NVFP4 pretraining recipe.

    decode_tensor : float32, what dequantizing multiplies with
    codes : the blocks' scales, in the scale's format
    encode : float32, what each block's elements are multiplied with; 0 where the block's scale is zero or NaN
    """

    decode_tensor: np.float32
    codes: NDArray[np.unsignedinteger]
    encode: NDArray[np.float32]


def two_level(
    spec: BlockSpec, largest: NDArray[np.float32], largest_of_all: np.float32, decode_tensor: np.float32 | None
) -> TwoLevel:
    """Choose scales in float32, each operation rounded, as arXiv:2509.25149, appendix C, gives them.

    enc = scale_max * element_max / amax_tensor, at most the largest float32, and 1 where amax_tensor is 0 (as NVIDIA's
    Transformer Engine does; the paper leaves both open), or 1 / decode_tensor where that is given; decode_tensor =
    1 / enc; codes = min(amax / element_max * enc, scale_max); encode = 1 / (scale * decode_tensor).
    """
    assert isinstance(spec.scale, FloatSpec)
    one, element_max, scale_max = np.float32(1), np.float32(spec.element.max_value), np.float32(spec.scale.max_value)
    top = np.finfo(np.float32).max
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if decode_tensor is not None:
            enc = min(one / decode_tensor, top)
        elif largest_of_all > 0:
            enc = min(scale_max * element_max / largest_of_all, top)
            decode_tensor = one / enc
        else:
            enc, decode_tensor = one, one
        finite = np.isfinite(largest)
        safe = np.where(finite, largest, np.float32(0))
        codes = _marked(spec.scale.encode(np.minimum(safe / element_max * enc, scale_max)), spec.scale, largest)
        decoded = spec.scale.decode(codes).astype(np.float32)
        encode = one / (decoded * decode_tensor)
    usable = np.isfinite(encode)
    return TwoLevel(decode_tensor, codes, np.where(usable, encode, np.float32(0)))
