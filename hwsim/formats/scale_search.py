# SPDX-License-Identifier: Apache-2.0
"""The scales among which rule MSE finds that of the least squared error: all of a format that can have it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.block import BlockSpec, Scalar, ScaleRule
from hwsim.formats.block_encoding import scale_values
from hwsim.formats.block_kernels import block_excess
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.tiling import Tiling

__all__ = [
    "scale_candidates",
]


def scale_candidates(
    rows: NDArray[Any],
    spec: BlockSpec,
    element: Scalar,
    tiling: Tiling,
    usual: NDArray[np.unsignedinteger],
    largest: NDArray[Any],
    outer: NDArray[np.float64] | float,
    least: NDArray[np.float64],
) -> Iterator[NDArray[np.unsignedinteger]]:
    """Yield the usual scales, and with rule MSE others, nearest first, that may go below `least`, updated meanwhile.

    A block goes down until what its scale clips is at least that, which only grows from there; a block for which there
    is nothing left to try has its usual scale again.
    """
    yield usual
    if spec.rule is not ScaleRule.MSE:
        return
    assert isinstance(spec.scale, FloatSpec)
    codes = usual.astype(np.int64)
    down = codes <= spec.scale.max_magnitude_code
    up = down & (least > 0)
    wide = np.where(down, largest, 0).astype(np.float64)
    highest = _highest_codes(spec.scale, element, codes, wide / outer)
    limit = max(element.max_value, -element.min_value)
    for distance in count(1):
        down &= codes >= distance
        factors = scale_values(spec.scale, np.where(down, codes - distance, 0).astype(usual.dtype)) * outer
        with np.errstate(over="ignore"):
            down &= np.maximum(wide - limit * factors, 0) ** 2 < least
            if down.any():
                excess = np.empty((rows.shape[0], tiling.blocks))
                block_excess(rows, limit, np.ascontiguousarray(tiling.spread(factors)), tiling.size, excess)
                down &= tiling.gather(excess, np.add) < least
        if down.any():
            yield np.where(down, codes - distance, codes).astype(usual.dtype)
        up &= codes + distance <= highest
        if up.any():
            yield np.where(up, codes + distance, codes).astype(usual.dtype)
        elif not down.any():
            return


def _highest_codes(
    scale: FloatSpec, element: Scalar, usual: NDArray[np.int64], largest: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the codes of scales above which no scale has a smaller error than some scale has that is not above.

    Elements on a grid that has the halves of its values have with scale s / 2 every value that s gives them, unless s /
    2 clips, as it does up to twice the usual scale, or is no scale, as the odd codes of the two lowest binades. Others
    have nothing but zeros and worse from where the smallest level is four times the largest magnitude; `largest` is
    over the outer scale.
    """
    top = scale.max_magnitude_code
    if isinstance(element, FloatSpec):
        halved = True
    elif isinstance(element, IntegerSpec):
        halved = element.min_value == 0 or -element.min_value >= element.max_value
    else:
        halved = False
    if halved:
        reach = 1 << scale.man_bits
        lowest = 2 * reach - 1 if scale.subnormals else 0
        return np.minimum(np.maximum(usual + reach, lowest), top)
    magnitudes = np.abs(element.decode(np.arange(1 << element.bits)))
    smallest = magnitudes[np.isfinite(magnitudes) & (magnitudes > 0)].min()
    ends = scale.encode(np.minimum(4 * largest / smallest, scale.max_value), "up")
    return np.minimum(np.maximum(ends.astype(np.int64), usual), top)
