# SPDX-License-Identifier: Apache-2.0
"""Dyadic requantization: accumulators times an integer, over a power of two, in exact 64-bit integers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.layers.checks import signed_within, within
from hwsim.datapath.layers.specs import RequantizerSpec, ShiftRounding

__all__ = [
    "dyadic",
    "requantization_ratio",
    "requantize",
    "rescale",
    "shift_rounded",
]

_MAX_SHIFT = 62


def requantization_ratio(
    input_scale: ArrayLike, weight_scale: ArrayLike, output_scale: ArrayLike
) -> NDArray[np.float64]:
    """
    Return the ratio of scales as HAWQ-V3's code forms it.

    Parameters
    ----------
    input_scale, weight_scale, output_scale : array of positive floats, broadcast together
        Taken as float32.

    Returns
    -------
    ndarray of float64
        ``input_scale * weight_scale`` rounded to float32, over output_scale rounded to float64.

    Raises
    ------
    ValueError
        If a scale or a ratio is not positive and finite.

    Source
    ------
    HAWQ-V3, arXiv:2011.10680; its quant_utils.py, fixedpoint_fn (1616df6).
    """
    given = []
    for name, scale in (("input_scale", input_scale), ("weight_scale", weight_scale), ("output_scale", output_scale)):
        with np.errstate(over="ignore", under="ignore"):
            rounded = np.asarray(scale, np.float64).astype(np.float32)
        if not (np.isfinite(rounded).all() and (rounded > 0).all()):
            raise ValueError(f"{name} must be positive and finite in float32")
        given.append(rounded.astype(np.float64))
    with np.errstate(over="ignore", under="ignore"):
        product = (given[0] * given[1]).astype(np.float32).astype(np.float64)
    if not (np.isfinite(product).all() and (product > 0).all()):
        raise ValueError("input_scale * weight_scale must be positive and finite in float32")
    return np.asarray(product / given[2])


def dyadic(ratio: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return the multiplier and the shift of a ratio, as HAWQ-V3's code finds them.

    Parameters
    ----------
    ratio : array of float64
        In [2**-32, 2**31).

    Returns
    -------
    multiplier : ndarray of int64
        The significand in [0.5, 1) times 2**31, rounded half up: 2**30 to 2**31, both included.
    shift : ndarray of int64
        31 minus the exponent, 0 to 62: ``ratio`` is about ``multiplier / 2**shift``.

    Raises
    ------
    ValueError
        If a ratio is out of the range. One below 2**-32 would make every accumulator of 32 bits 0.

    Source
    ------
    HAWQ-V3's quant_utils.py, batch_frexp (1616df6).
    """
    ratios = np.asarray(ratio, np.float64)
    good = (ratios >= 2.0**-32) & (ratios < 2.0**31)
    if not good.all():
        raise ValueError(f"ratio must be in [2**-32, 2**31), not {ratios[~good].flat[0]}")
    fraction, exponent = np.frexp(ratios)
    # Below 2**32 with 53 bits: the half is added exactly, or lies below the last place of one that is already whole.
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    return np.asarray(multiplier), np.asarray(31 - exponent.astype(np.int64))


def shift_rounded(values: NDArray[np.int64], shift: NDArray[np.int64], rounding: ShiftRounding) -> NDArray[np.int64]:
    """Return ``values / 2**shift`` rounded; shifts are 0 to 62, and values within 2**62 in magnitude. Unchecked."""
    floor = values >> shift
    if rounding is ShiftRounding.DOWN:
        return floor
    one = np.int64(1)
    rest = values & ((one << shift) - one)
    half = (one << shift) >> one  # 0 for a shift of 0, where no rest is above it
    above = rest > half
    tie = (rest == half) & (shift > 0)
    if rounding is ShiftRounding.NEAREST_EVEN:
        above = above | (tie & (floor & 1 == 1))
    elif rounding is ShiftRounding.NEAREST_AWAY:
        above = above | (tie & (values >= 0))
    else:
        above = above | tie
    return np.asarray(floor + above)


def rescale(
    value: ArrayLike,
    multiplier: ArrayLike,
    shift: ArrayLike,
    rounding: ShiftRounding | str = ShiftRounding.NEAREST_EVEN,
) -> NDArray[np.int64]:
    """
    Return ``value * multiplier / 2**shift``, rounded once, without clamping.

    A residual is the sum of two of these: ``DN(Sm / Sa) * q_m + DN(Sr / Sa) * q_r`` (HAWQ-V3, section 3).

    Parameters
    ----------
    value : array of integers
        Signed, of 32 bits.
    multiplier, shift : arrays of integers, broadcast to value
        0 to 2**31, and 0 to 62.
    rounding : ShiftRounding or str

    Returns
    -------
    ndarray of int64
        The product has 63 bits and is exact. HAWQ-V3's own code takes it in float64, which rounds it to 53 bits first.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind or range, or they do not broadcast.
    """
    rule = ShiftRounding(rounding)
    values = signed_within("value", value, 32)
    multipliers = within("multiplier", multiplier, 0, 1 << 31)
    shifts = within("shift", shift, 0, _MAX_SHIFT)
    return np.asarray(shift_rounded(np.asarray(values * multipliers), shifts, rule))


def requantize(
    value: ArrayLike, multiplier: ArrayLike, shift: ArrayLike, spec: RequantizerSpec | None = None
) -> NDArray[np.int64]:
    """
    Return codes: ``value * multiplier / 2**shift``, rounded once, then clamped.

    Parameters
    ----------
    value : array of integers
        Accumulators of ``spec.value_bits`` bits.
    multiplier, shift : arrays of integers, broadcast to value
        Of ``spec.multiplier_bits`` bits, at most 2**31; within ``spec.shift_min..spec.shift_max``. See `dyadic`.
    spec : RequantizerSpec, optional
        Signed INT8 from INT32, to nearest even, if not given.

    Returns
    -------
    ndarray of int64
        In ``spec.min_code..spec.max_code``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind or range, or they do not broadcast.
    """
    spec = RequantizerSpec() if spec is None else spec
    values = signed_within("value", value, spec.value_bits)
    multipliers = within("multiplier", multiplier, 0, min((1 << spec.multiplier_bits) - 1, 1 << 31))
    shifts = within("shift", shift, spec.shift_min, spec.shift_max)
    rounded = shift_rounded(np.asarray(values * multipliers), shifts, spec.rounding)
    return np.clip(rounded, spec.min_code, spec.max_code)
