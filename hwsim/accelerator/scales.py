# SPDX-License-Identifier: Apache-2.0
"""The scales of float operands that enter a unit's formats: what the largest magnitude is brought to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.operand_fit import is_wide_float
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, PositSpec
from hwsim.formats.scaling import float32_scale

__all__ = [
    "scale_top",
    "slice_scales",
    "tensor_scale",
]


def scale_top(spec: ScalarSpec) -> float:
    """Return the value of a scalar format that the largest magnitude of what shares a scale is brought to.

    The end of the binades where the format has its finest relative steps. That is the largest value, for formats whose
    steps are nowhere finer than there: integers, floats, codebooks. Posits have all their fraction bits from 1/useed to
    useed, ``useed = 2**2**es``, and lose them beyond, so that theirs is useed (maxpos where it is less): a scale
    larger by a power of two, 2**5 for posit8_0, 2**10 for posit8_1, 2**20 for posit8_2.

    It is of the format alone, not the power of two with the least error on some data, so that a tile, a portion and one
    image have the scales of the whole. On the digits network's weights both are the same for these three; on its
    activations too, but for the pixels, whose 17 levels other powers hold exactly, and 0.3 dB in one layer of posit8_0.

    Raises
    ------
    ValueError
        If the format has no value above zero.

    Source
    ------
    Gustafson and Yonemoto, Beating Floating Point at its Own Game: Posit Arithmetic (2017), for useed and the regimes.
    """
    if not spec.max_value > 0:
        raise ValueError(f"a format with a scale must have values above zero, and {spec.name} has none")
    return min(2.0 ** (1 << spec.es), spec.max_value) if isinstance(spec, PositSpec) else spec.max_value


def slice_scales(spec: ScalarSpec, values: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Return a float32 scale for each slice of an array along an axis, of length 1 there.

    The slice's largest magnitude over `scale_top`; 1 where all are zero, and for formats that hold float32 as they are
    (`hwsim.accelerator.operand_fit.is_wide_float`).
    """
    if is_wide_float(spec):
        return np.ones([1 if at == axis % values.ndim else size for at, size in enumerate(values.shape)], np.float32)
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0).astype(np.float64)
    return float32_scale(largest, scale_top(spec))


def tensor_scale(spec: ScalarSpec | BlockSpec, largest: float) -> np.float32 | None:
    """Return the one float32 scale of a tensor from its largest magnitude, as `slice_scales` has it for a slice.

    Of a block format that above the scales of its blocks, which brings the largest magnitude to the largest value of
    element and scale; None where it has none.
    """
    if isinstance(spec, BlockSpec):
        if not spec.tensor_scale:
            return None
        top = spec.element.max_value * spec.scale.max_value
    elif is_wide_float(spec):
        return np.float32(1)
    else:
        top = scale_top(spec)
    scale = np.float32(largest / top)
    return scale if scale > 0 else np.float32(1)
