# SPDX-License-Identifier: Apache-2.0
"""The exact value of a product of codes of any format, block scales included."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwsim.network.exact_sum import exact_product
from hwsim.network.float_quantization import BlockQuantization, FormatQuantization, element_values

if TYPE_CHECKING:
    from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "coded_product",
    "operand_values",
]

Array = npt.NDArray[Any]


def coded_product(layer: "MultiplyAccumulate", a: Array, b: Array) -> Array:
    """Multiply the operands of a layer in the CODED form, exactly.

    Parameters
    ----------
    layer : MultiplyAccumulate
        Its block scales arranged as its operands are (see `MultiplyAccumulate.run`).
    a, b : ndarray, shape (groups, m, k) and (groups, k, n)
        Codes; float32 values where an operand is not quantized.

    Returns
    -------
    ndarray of float64, shape (groups, m, n)
        The sum of element x element x block scales, exact, rounded once to float64. Where an operand is float32 values
        (weight-only quantization), a float32 product in numpy's own order, of weights rounded to float32.
    """
    left = operand_values(layer.a_quantization, a, layer.arranged_scales[0], axis=2)
    right = operand_values(layer.b_quantization, b, layer.arranged_scales[1], axis=1)
    if np.float32 in (left.dtype, right.dtype):
        return np.asarray(np.matmul(left.astype(np.float32), right.astype(np.float32)))
    return np.stack([exact_product(left[group], right[group]) for group in range(a.shape[0])])


def operand_values(quantization: object, codes: Array, scales: Array | None, axis: int) -> Array:
    """Return an operand's values before its outer scale: float64 of codes with their block scales, or float32 as given.

    Parameters
    ----------
    quantization : FormatQuantization, BlockQuantization or None
    codes : ndarray, shape (groups, m, k) or (groups, k, n)
    scales : unsigned ndarray or None
        Codes of the block scales, `codes`' shape but for `axis`.
    axis : int
        That of k.
    """
    if isinstance(quantization, FormatQuantization):
        return quantization.elements(codes)
    if not isinstance(quantization, BlockQuantization):
        return codes
    assert scales is not None
    values = element_values(quantization.format, codes)
    by_block = quantization.scale_values(scales)
    blocks = np.arange(codes.shape[axis]) // quantization.block_size
    return np.asarray(values * np.take(by_block, blocks, axis=axis))
