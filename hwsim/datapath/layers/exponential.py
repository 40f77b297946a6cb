# SPDX-License-Identifier: Apache-2.0
"""I-ViT's exponential of integers by shifts, and the two layers that divide by a sum of such."""

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.layers.checks import rows_of, within
from hwsim.datapath.layers.specs import FACTOR, ShiftGeluSpec, ShiftmaxSpec

__all__ = [
    "exponential_unit",
    "shift_exponential",
    "shift_gelu",
    "shiftmax",
]


def exponential_unit(scale: float) -> int:
    """
    Return ``ceil(1 / scale)``: how many steps of an input make 1.

    Parameters
    ----------
    scale : float
        Of the input; for `shift_gelu` 1.702 times that. Positive and finite; its exact value counts (the authors' code
        divides in float32).

    Raises
    ------
    ValueError
        If the scale is not positive and finite.
    """
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive and finite, not {scale!r}")
    return -int(-1 // Fraction(float(scale)))


def shift_exponential(value: NDArray[np.int64], unit: NDArray[np.int64] | int, steps: int) -> NDArray[np.int64]:
    """
    Return about ``unit * 2**steps * exp(value / unit)``, without a product; unchecked.

    With floors toward minus infinity and v <= 0: ``p = v + floor(v / 2) - floor(v / 16)`` (log2 e is about 1.4375), not
    below ``-steps * unit``; ``q = floor(-p / unit)``, 0 to steps; ``r = p + q * unit``, above -unit; and the result is
    ``floor((r + 2 * unit) * 2**(steps - q) / 2)``, for between two powers of two the exponential is taken as linear.
    It is 1 to ``unit * 2**steps``.
    """
    scaled = np.maximum(value + (value >> 1) - (value >> 4), -steps * unit)
    quotient = -scaled // unit
    rest = scaled + quotient * unit
    return np.asarray(((rest + 2 * unit) << (steps - quotient)) >> 1)


def shiftmax(x: ArrayLike, unit: int, spec: ShiftmaxSpec, axis: int = -1) -> NDArray[np.int64]:
    """
    Return I-ViT's integer softmax along an axis.

    Parameters
    ----------
    x : array of integers
        Signed, of ``spec.bits`` bits, with ``spec.length`` elements along the axis.
    unit : int
        ``exponential_unit(scale)``, 1 to ``2**spec.unit_bits - 1``.
    spec : ShiftmaxSpec
    axis : int

    Returns
    -------
    ndarray of int64, same shape
        0 to ``2**(code_bits - 1) - 1``, in units of ``2**-(code_bits - 1)``: ``e = shift_exponential(x - max)``; the
        sum of all e, not above 2**31 - 1; ``f = floor((2**31 - 1) / sum)``; ``floor(e * f / 2**(32 - code_bits))``,
        clamped. The authors' code does this in float32, which rounds the products, and does not clamp at the end: with
        a sum below 2**31 nothing is ever clamped.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Source
    ------
    arXiv:2207.01405, equations 12 to 15; quant_modules.py, IntSoftmax.
    """
    rows = rows_of("x", x, spec.bits, spec.length, axis)
    units = within("unit", unit, 1, (1 << spec.unit_bits) - 1)
    powers = shift_exponential(rows - rows.max(axis=-1, keepdims=True), units, spec.steps)
    total = np.minimum(powers.sum(axis=-1, keepdims=True), FACTOR)
    out = _share(powers, total, spec.code_bits)
    return np.moveaxis(out, -1, axis)


def shift_gelu(x: ArrayLike, unit: int, spec: ShiftGeluSpec, axis: int = -1) -> NDArray[np.int64]:
    """
    Return I-ViT's integer GELU, ``x * sigmoid(1.702 * x)``, of vectors along an axis.

    Parameters
    ----------
    x : array of integers
        Signed, of ``spec.bits`` bits, with ``spec.length`` elements along the axis.
    unit : int
        ``exponential_unit(1.702 * scale)``, 1 to ``2**spec.unit_bits - 1``.
    spec : ShiftGeluSpec
    axis : int
        The elements along it share the maximum that is taken off.

    Returns
    -------
    ndarray of int64, same shape
        In units of ``scale * 2**-(code_bits - 1)``: with ``m = max(0, largest x)``, ``e = shift_exponential(x - m)``
        and ``z = shift_exponential(-m)``, the sum ``e + z``, not above 2**31 - 1; ``f = floor((2**31 - 1) / sum)``;
        ``s = floor(e * f / 2**(32 - code_bits))``, not above ``2**(code_bits - 1) - 1``; the result is ``x * s``. The
        authors' code does this in float32, does not clamp s, and lets m be negative, where the power of -m has no
        bound; the values of a sigmoid are the same for any m.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Source
    ------
    arXiv:2207.01405, equations 16 to 19; quant_modules.py, IntGELU.
    """
    rows = rows_of("x", x, spec.bits, spec.length, axis)
    units = within("unit", unit, 1, (1 << spec.unit_bits) - 1)
    largest = np.maximum(rows.max(axis=-1, keepdims=True), 0)
    powers = shift_exponential(rows - largest, units, spec.steps)
    total = np.minimum(powers + shift_exponential(-largest, units, spec.steps), FACTOR)
    return np.moveaxis(rows * _share(powers, total, spec.code_bits), -1, axis)


def _share(powers: NDArray[np.int64], total: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return each power's part of a sum, by the sum's reciprocal of 31 bits."""
    # No power is above the sum, so a product is at most 2**31 - 1; but where the sum was clamped, the factor is 1 and
    # a power may be above it.
    return np.asarray(np.minimum((powers * (FACTOR // total)) >> (32 - bits), (1 << (bits - 1)) - 1))
