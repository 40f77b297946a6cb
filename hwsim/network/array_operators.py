# SPDX-License-Identifier: Apache-2.0
"""The ONNX operators that the backend computes on arrays of any element type, node by node."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from hwsim.network.conversion import cast
from hwsim.network.element_types import ElementType, element_type, element_type_of
from hwsim.network.pattern import RawNode
from hwsim.network.quantize_linear import dequantize_linear, dynamic_quantize_linear, quantize_linear

__all__ = [
    "CONVERSIONS",
    "OPERATORS",
    "Operator",
]

CONVERSIONS = ("Cast", "CastLike", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear")

Array = npt.NDArray[Any]
Operands = tuple[Array | None, ...]
Operator = Callable[[RawNode, Operands], tuple[Array, ...]]


def _given(node: RawNode, operands: Operands, index: int) -> Array:
    """Return an operand that must be there."""
    operand = operands[index] if index < len(operands) else None
    if operand is None:
        raise ValueError(f"input {index} is missing")
    return operand


def _optional(operands: Operands, index: int) -> Array | None:
    return operands[index] if index < len(operands) else None


def _type_attribute(node: RawNode, name: str) -> ElementType | None:
    """Return the element type that an attribute names; None where it is not given, or 0."""
    given = node.attributes.get(name, 0)
    number = TensorProto.DataType.Value(given.upper()) if isinstance(given, str) else int(given)
    return element_type(number) if number else None


def _cast(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    target = _type_attribute(node, "to")
    if target is None:
        raise ValueError("attribute 'to' must be an element type")
    return (_converted(node, _given(node, operands, 0), target),)


def _cast_like(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    return (_converted(node, _given(node, operands, 0), element_type_of(_given(node, operands, 1))),)


def _converted(node: RawNode, x: Array, target: ElementType) -> Array:
    return cast(
        x,
        target,
        saturate=bool(node.attributes.get("saturate", 1)),
        round_mode=str(node.attributes.get("round_mode", "up")),
        opset=node.opset,
    )


def _quantize_linear(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    zero_point = _optional(operands, 2)
    target = _type_attribute(node, "output_dtype")
    if target is None:
        target = element_type_of(np.empty(0, np.uint8) if zero_point is None else zero_point)
    y = quantize_linear(
        _given(node, operands, 0),
        _given(node, operands, 1),
        zero_point,
        target=target,
        axis=int(node.attributes.get("axis", 1)),
        block_size=int(node.attributes.get("block_size", 0)),
        saturate=bool(node.attributes.get("saturate", 1)),
        precision=_type_attribute(node, "precision"),
    )
    return (y,)


def _dequantize_linear(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    scale = _given(node, operands, 1)
    y = dequantize_linear(
        _given(node, operands, 0),
        scale,
        _optional(operands, 2),
        target=_type_attribute(node, "output_dtype") or element_type_of(scale),
        axis=int(node.attributes.get("axis", 1)),
        block_size=int(node.attributes.get("block_size", 0)),
    )
    return (y,)


def _dynamic_quantize_linear(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    return dynamic_quantize_linear(_given(node, operands, 0))


def _constant(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    del operands
    for name, value in node.attributes.items():
        if name == "value":
            return (np.asarray(numpy_helper.to_array(value)),)
        if name in ("value_float", "value_floats"):
            return (np.asarray(value, np.float32),)
        if name in ("value_int", "value_ints"):
            return (np.asarray(value, np.int64),)
    raise ValueError("the value must be a number or a dense tensor")


def _identity(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    return (_given(node, operands, 0),)


def _elementwise(function: Callable[..., Any], result: type[Any] | None = None) -> Operator:
    """Return an operator of NumPy's, for float32 and float64 alone: there it is IEEE 754's, exact or rounded once."""

    def run(node: RawNode, operands: Operands) -> tuple[Array, ...]:
        arrays = [_given(node, operands, index) for index in range(len(operands))]
        wrong = [array.dtype.name for array in arrays if array.dtype not in (np.float32, np.float64)]
        if wrong:
            raise ValueError(f"float32 or float64 is needed, not {wrong[0]}")
        with np.errstate(all="ignore"):
            value = function(*arrays)
        return (np.asarray(value, result or arrays[0].dtype),)

    return run


def _extremum(function: np.ufunc) -> Operator:
    """Return Min or Max, of any number of operands."""
    return _elementwise(lambda *arrays: function.reduce(np.broadcast_arrays(*arrays)))


def _reduction(function: np.ufunc) -> Operator:
    """Return ReduceMin or ReduceMax over all axes."""

    def run(node: RawNode, operands: Operands) -> tuple[Array, ...]:
        if len(operands) > 1 or "axes" in node.attributes:
            raise ValueError("only a reduction over all axes is run")
        keep = bool(node.attributes.get("keepdims", 1))
        return _elementwise(lambda x: function.reduce(x, axis=None, keepdims=keep))(node, operands)

    return run


def _clip(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    x, low, high = _given(node, operands, 0), _optional(operands, 1), _optional(operands, 2)
    bounded = x if low is None else _extremum(np.maximum)(node, (x, low))[0]
    return (bounded if high is None else _extremum(np.minimum)(node, (bounded, high))[0],)


def _where(node: RawNode, operands: Operands) -> tuple[Array, ...]:
    condition, x, y = (_given(node, operands, index) for index in range(3))
    if x.dtype != y.dtype:
        raise ValueError(f"operands must be of one type, not {x.dtype} and {y.dtype}")
    return (np.where(condition, x, y),)


OPERATORS: Mapping[str, Operator] = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Constant": _constant,
    "DequantizeLinear": _dequantize_linear,
    "Div": _elementwise(np.divide),
    "DynamicQuantizeLinear": _dynamic_quantize_linear,
    "Identity": _identity,
    "Less": _elementwise(np.less, np.bool_),
    "Max": _extremum(np.maximum),
    "Min": _extremum(np.minimum),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "QuantizeLinear": _quantize_linear,
    "ReduceMax": _reduction(np.maximum),
    "ReduceMin": _reduction(np.minimum),
    "Round": _elementwise(np.rint),
    "Sub": _elementwise(np.subtract),
    "Where": _where,
}
