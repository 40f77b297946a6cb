# SPDX-License-Identifier: Apache-2.0
"""Products of many small matrices, or of a wide one, in portions that a unit's kernels take well."""

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit
from hwsim.formats import Rounding
from hwsim.network.tensor_files import release

__all__ = [
    "depends_on_place",
    "in_portions",
]

Array = NDArray[Any]

_COLUMNS = 64  # that a kernel computes at a time in any case
_PACKED = 1 << 18  # elements of a product of groups beside each other, most of which are not wanted
_WEIGHTS = 1 << 22  # elements of the second operand at a time: as quantization takes memory of several times that


def depends_on_place(unit: DotProductUnit) -> bool:
    """Tell whether an element depends on where in its product it is: by the random words of stochastic rounding."""
    roundings = (unit.rounding, getattr(unit.accumulator, "rounding", None), getattr(unit.alignment, "rounding", None))
    return Rounding.STOCHASTIC in roundings


def in_portions(multiply: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
    """Multiply groups of matrices by a function of two matrices.

    Narrow groups, as of a depthwise convolution, are multiplied several at a time: the rows of some below each other by
    their columns beside each other, of which the blocks on the diagonal are taken. A wide second operand goes in parts
    of its columns.

    Parameters
    ----------
    multiply : callable
        Takes (m, k) and (k, n), gives (m, n); each element must depend on its row, its column and nothing else.
    a, b : ndarray, shape (groups, m, k) and (groups, k, n)

    Returns
    -------
    ndarray, shape (groups, m, n)
        The same as of the groups one by one.
    """
    (groups, m, k), n = a.shape, b.shape[2]
    side = max(1, min(groups, _COLUMNS // max(n, 1), isqrt(_PACKED // max(m * n, 1))))
    width = max(_COLUMNS, _WEIGHTS // max(k, 1) // _COLUMNS * _COLUMNS)
    if side > 1:
        return np.concatenate([_packed(multiply, a[g : g + side], b[g : g + side]) for g in range(0, groups, side)])
    if n <= width:
        return np.stack([multiply(a[group], b[group]) for group in range(groups)])
    parts = []
    for at in range(0, n, width):
        parts.append(np.stack([multiply(a[group], b[group, :, at : at + width]) for group in range(groups)]))
        release(b)
    return np.concatenate(parts, axis=2)


def _packed(multiply: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
    """Multiply some groups at once."""
    (groups, m, k), n = a.shape, b.shape[2]
    product = multiply(a.reshape(groups * m, k), b.transpose(1, 0, 2).reshape(k, groups * n))
    each = np.arange(groups)
    return product.reshape(groups, m, groups, n)[each, :, each, :]
