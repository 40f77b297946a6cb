# SPDX-License-Identifier: Apache-2.0
"""I-ViT's layer normalization in exact integers, with a root by a fixed number of Newton's steps."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.layers.checks import rows_of, signed_within
from hwsim.datapath.layers.specs import FACTOR, LayerNormSpec

__all__ = [
    "layer_norm",
    "newton_root",
]


def newton_root(value: NDArray[np.int64], start_bits: int, iterations: int) -> NDArray[np.int64]:
    """Return k after some steps ``k = floor((k + floor(value / k)) / 2)`` from ``2**start_bits``; unchecked.

    Without enough steps to reach it, k is above the root: at least ``2**(start_bits - iterations)``, so never 0.
    """
    root = np.full(value.shape, 1 << start_bits, np.int64)
    for _ in range(iterations):
        root = (root + value // root) >> 1
    return root


def layer_norm(x: ArrayLike, spec: LayerNormSpec, bias: ArrayLike | None = None, axis: int = -1) -> NDArray[np.int64]:
    """
    Return I-ViT's integer layer normalization along an axis.

    Parameters
    ----------
    x : array of integers
        Signed, of ``spec.bits`` bits, with ``spec.length`` elements along the axis.
    spec : LayerNormSpec
    bias : array of integers, shape (length,)
        ``floor((beta / gamma) / scale)`` with the result's scale, of ``spec.bias_bits`` bits; only where these are not
        0.
    axis : int

    Returns
    -------
    ndarray of int64, same shape
        In units of ``sqrt(length) / 2**30``, times gamma: the mean rounded to nearest even; ``y = x - mean``; v the sum
        of the y squared; ``k = newton_root(v)``; ``f = floor((2**31 - 1) / k)``; ``floor(y * f / 2) + bias``. The
        authors' code does this in float32, which rounds.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Source
    ------
    arXiv:2207.01405, equations 20 and 21; quant_modules.py, IntLayerNorm.
    """
    rows = rows_of("x", x, spec.bits, spec.length, axis)
    if (bias is not None) != bool(spec.bias_bits):
        raise ValueError(f"bias must be given where bias_bits is not 0, and only there; it is {spec.bias_bits}")
    added: NDArray[np.int64] | int = 0
    if bias is not None:
        added = signed_within("bias", bias, spec.bias_bits)
        if added.shape != (spec.length,):
            raise ValueError(f"bias must have the shape ({spec.length},), not {added.shape}")
    total = rows.sum(axis=-1, keepdims=True)
    mean, twice = total // spec.length, 2 * (total % spec.length)
    mean = mean + ((twice > spec.length) | ((twice == spec.length) & (mean & 1 == 1)))
    centred = rows - mean
    root = newton_root((centred * centred).sum(axis=-1, keepdims=True), spec.start_bits, spec.iterations)
    return np.moveaxis(((centred * (FACTOR // root)) >> 1) + added, -1, axis)
