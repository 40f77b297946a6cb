# SPDX-License-Identifier: Apache-2.0
"""ONNX operators that only ever make constants: Constant, ConstantOfShape, Range, EyeLike, NonZero, OneHot, Size.

Every size is checked before anything is allocated.
"""

from collections.abc import Callable, Mapping
from math import ceil, isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from hwsim.network.element_types import element_type
from hwsim.network.pattern import RawNode

__all__ = [
    "CONSTANT_OPERATORS",
    "MAX_ELEMENTS",
    "MAX_GROWTH",
    "tensor_value",
]

Array = npt.NDArray[Any]

MAX_ELEMENTS = 2**28  # of a constant, a GiB of float32: more is a damaged file, or a model too big to fold
MAX_GROWTH = 2**25  # of a constant that is larger than what it is computed from: a mask of 4096 x 8192


def tensor_value(tensor: TensorProto) -> Array:
    """Return a tensor's value, or raise ValueError."""
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"constant {tensor.name!r} is damaged: {type(error).__name__}: {error}") from None


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of a size that can be made, or raise."""
    if min(shape, default=0) < 0 or prod(shape) > MAX_GROWTH:
        raise ValueError(f"a constant of shape {shape} must have 0 to {MAX_GROWTH} elements")
    return shape


def _constant(node: RawNode, operands: list[Array]) -> Array:
    del operands
    for name, value in node.attributes.items():
        if name == "value":
            return tensor_value(value)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
        raise ValueError(f"attribute {name!r} is not a number or a dense tensor")
    raise ValueError("the value is missing")


def _constant_of_shape(node: RawNode, operands: list[Array]) -> Array:
    shape = _bounded(tuple(int(size) for size in operands[0].reshape(-1)))
    value = tensor_value(node.attributes["value"]) if "value" in node.attributes else np.zeros(1, np.float32)
    if value.size != 1:
        raise ValueError(f"value must be one element, not {value.size}")
    return np.full(shape, value.reshape(()))


def _range(node: RawNode, operands: list[Array]) -> Array:
    del node
    start, limit, delta = (operand.reshape(()) for operand in operands)
    steps = (float(limit) - float(start)) / float(delta) if delta else float("nan")
    if not isfinite(steps):
        raise ValueError(f"a range from {start} to {limit} in steps of {delta} has no end")
    count = max(ceil(steps), 0)
    _bounded((count,))
    return np.asarray((start + np.arange(count).astype(start.dtype) * delta).astype(start.dtype))


def _eye_like(node: RawNode, operands: list[Array]) -> Array:
    shape, kind = operands[0].shape, operands[0].dtype
    if len(shape) != 2:
        raise ValueError(f"the input must be a matrix, not {shape}")
    if "dtype" in node.attributes:
        kind = element_type(int(node.attributes["dtype"])).dtype
    return np.eye(*shape, int(node.attributes.get("k", 0)), dtype=kind)


def _non_zero(node: RawNode, operands: list[Array]) -> Array:
    del node
    return np.asarray(np.nonzero(np.atleast_1d(operands[0])), np.int64)


def _one_hot(node: RawNode, operands: list[Array]) -> Array:
    indices, depth, values = operands[0], int(operands[1].reshape(-1)[0]), operands[2]
    rank = indices.ndim + 1
    axis = int(node.attributes.get("axis", -1))
    if not -rank <= axis < rank or values.size != 2:
        raise ValueError(f"axis {axis} must be one of {rank}, values two, not {values.size}")
    axis %= rank
    _bounded((*indices.shape[:axis], depth, *indices.shape[axis:]))
    places = np.expand_dims(indices.astype(np.int64), axis)
    codes = np.arange(depth).reshape([-1 if i == axis else 1 for i in range(rank)])
    inside = (places >= -depth) & (places < depth)
    hot = inside & (np.where(places < 0, places + depth, places) == codes)
    return np.asarray(np.where(hot, values[1], values[0]))


def _size(node: RawNode, operands: list[Array]) -> Array:
    del node
    return np.asarray(operands[0].size, np.int64)


def _shape(node: RawNode, operands: list[Array]) -> Array:
    bounds = node.attributes
    return np.asarray(operands[0].shape[int(bounds.get("start", 0)) : bounds.get("end")], np.int64)


CONSTANT_OPERATORS: Mapping[str, Callable[[RawNode, list[Array]], Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "NonZero": _non_zero,
    "OneHot": _one_hot,
    "Range": _range,
    "Shape": _shape,
    "Size": _size,
}
