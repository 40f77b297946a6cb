# SPDX-License-Identifier: Apache-2.0
"""The weights of an ONNX network as matrices of real values, whether or not its operators can be run."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from hwsim.network.array_operators import OPERATORS
from hwsim.network.element_types import element_type_of
from hwsim.network.layers.weight_only import bnb4_weight, nbits_weight
from hwsim.network.onnx_reader import load
from hwsim.network.pattern import RawNode
from hwsim.network.quantize_linear import dequantize_linear
from hwsim.network.raw_nodes import raw_nodes

__all__ = [
    "Weight",
    "weights",
]

Array = npt.NDArray[Any]


class Weight(NamedTuple):
    """A weight tensor: float32 values of shape (outputs, K), and the axis along which products are summed, 1."""

    values: npt.NDArray[np.float32]
    axis: int


class _Place(NamedTuple):
    """Where an operator has its weights: the inputs that are matrices, and that of their scale (0: none)."""

    inputs: tuple[int, ...]
    scale: int = 0
    zero_point: int = 0
    axis: int = -1  # of the scale, where it is a vector


_PLACES = {
    "Conv": _Place((1,)),
    "ConvInteger": _Place((1,), 0, 3, 0),
    "Gemm": _Place((1, 0)),
    "MatMul": _Place((1, 0)),
    "MatMulInteger": _Place((1, 0), 0, 0),
    "QGemm": _Place((3,), 4, 5),
    "QLinearConv": _Place((3,), 4, 5, 0),
    "QLinearMatMul": _Place((3,), 4, 5),
}
_PACKED = {"MatMulBnb4": bnb4_weight, "MatMulNBits": nbits_weight}
# Their first input is the weights before quantization (github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops).
_FAKE_QUANTIZERS = ("BipolarQuant", "FloatQuant", "IntQuant", "Quant")


def weights(path: str | os.PathLike[str]) -> dict[str, Weight]:
    """Return the constant matrices of the products in an ONNX file.

    Parameters
    ----------
    path : path-like
        A file with any operators. What stands in subgraphs (If, Loop) is not looked at.

    Returns
    -------
    dict of str to Weight
        By the name of the initializer (or Constant) that holds them, in the order of the nodes: the weights of Conv,
        Gemm and MatMul and their quantized forms, packed ones (MatMulNBits, MatMulBnb4) among them. Codes are
        dequantized, as by DequantizeLinear; those of MatMulInteger and ConvInteger, which have no scale, are their
        integers less the zero point. Behind QONNX quantizers stand the values before quantization. K runs over
        (channel, kernel...) in a convolution, which has no more of it than a group; a stack of matrices gives the rows
        of all.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read`, but for operators that are not run; where the weights of a node cannot be dequantized.
    """
    file = Path(path)
    model, mapped = load(file)
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    constants = _Constants(model.graph, raw_nodes(model.graph.node, opsets), mapped)
    found: dict[str, Weight] = {}
    for node in constants.nodes:
        try:
            for name, matrix in _matrices(node, constants):
                found.setdefault(name, Weight(values=matrix, axis=1))
        except (ValueError, IndexError) as error:
            raise ValueError(f"{file}: the weights of node {node.label} cannot be read: {error}") from error
    return found


class _Constants:
    """What a graph knows without its inputs, computed as it is asked for.

    Parameters
    ----------
    graph : onnx.GraphProto
    nodes : tuple of RawNode
        Its nodes.
    mapped : mapping of str to ndarray
        Its other initializers (`hwsim.network.tensor_files`).
    """

    def __init__(self, graph: onnx.GraphProto, nodes: tuple[RawNode, ...], mapped: Mapping[str, Array]) -> None:
        self.nodes = nodes
        self._mapped = mapped
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in nodes for name in node.outputs if name}
        self._known: dict[str, Array | None] = {}

    def value(self, name: str) -> Array | None:
        """Return the value of a tensor; None where it varies, or comes of an operator that is not followed."""
        if name not in self._known:
            self._known[name] = self._computed(name)
        return self._known[name]

    def origin(self, name: str) -> str:
        """Return the name of the initializer or Constant at the head of the chain that makes a tensor."""
        while not self._is_initializer(name) and self._producers[name].operator != "Constant":
            name = self._producers[name].inputs[0]
        return name

    def _is_initializer(self, name: str) -> bool:
        return name in self._initializers or name in self._mapped

    def _computed(self, name: str) -> Array | None:
        if name in self._mapped:
            return self._mapped[name]
        if name in self._initializers:
            return np.asarray(numpy_helper.to_array(self._initializers[name]))
        node = self._producers.get(name)
        if node is None or name != node.outputs[0]:
            return None
        if node.operator in _FAKE_QUANTIZERS and node.domain:
            return self.value(node.inputs[0])
        follow = _FOLLOWED.get(node.operator) if node.domain in ("", "com.microsoft") else None
        if follow is None:
            return None
        operands = tuple(self.value(given) if given else None for given in node.inputs)
        if any(operand is None for operand, given in zip(operands, node.inputs, strict=True) if given):
            return None
        return follow(node, operands)


def _matrices(node: RawNode, constants: _Constants) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Give the constant matrices of a node, with the names of what holds them."""
    if node.operator in _PACKED and node.domain == "com.microsoft":
        if constants.value(node.inputs[1]) is not None:
            packed = _PACKED[node.operator](node, lambda index: _held(constants, node.inputs[index]))
            yield constants.origin(node.inputs[1]), packed.quantization.dequantize(packed.codes).T
        return
    place = _PLACES.get(node.operator)
    if place is None or node.domain not in ("", "com.microsoft"):
        return
    for index in place.inputs:
        value = constants.value(node.inputs[index])
        if value is None or not value.size:
            continue
        zero_at = place.zero_point or (index + 2 if node.operator == "MatMulInteger" else 0)
        scale = constants.value(node.inputs[place.scale]) if place.scale else np.ones((), np.float32)
        zero = constants.value(node.inputs[zero_at]) if zero_at and node.present(zero_at) else None
        if scale is None:
            continue
        if element_type_of(value).is_integer:
            single = element_type_of(np.empty(0, np.float32))
            value = dequantize_linear(value, scale, zero, target=single, axis=place.axis)
        yield constants.origin(node.inputs[index]), _matrix(node, index, value)
        return  # of a product of two constants, the one that is usual


def _held(constants: _Constants, name: str) -> Array:
    value = constants.value(name)
    if value is None:
        raise ValueError(f"{name!r} must be a constant")
    return value


def _matrix(node: RawNode, index: int, value: Array) -> npt.NDArray[np.float32]:
    """Return weights as float32 of shape (outputs, K)."""
    kind = element_type_of(value)
    with np.errstate(over="ignore"):
        array = kind.values(value).astype(np.float32)
    if node.operator.endswith(("Conv", "ConvInteger")):
        return array.reshape(array.shape[0], -1)
    if array.ndim == 1:
        return array.reshape(1, -1)
    first = index == 0 and node.operator in ("Gemm", "MatMul", "MatMulInteger")
    transposed = bool(node.attributes.get("transA" if first else "transB", 0))
    if transposed == first:  # K is the last axis but one
        array = np.swapaxes(array, -1, -2)
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def _transposed(node: RawNode, operands: tuple[Array | None, ...]) -> Array:
    (x,) = operands
    assert x is not None
    return x.transpose(node.attributes.get("perm", range(x.ndim - 1, -1, -1)))


def _reshaped(node: RawNode, operands: tuple[Array | None, ...]) -> Array:
    x, shape = operands
    assert x is not None
    assert shape is not None
    keep = not node.attributes.get("allowzero", 0)
    return x.reshape([x.shape[i] if keep and size == 0 else int(size) for i, size in enumerate(shape)])


def _flattened(node: RawNode, operands: tuple[Array | None, ...]) -> Array:
    (x,) = operands
    assert x is not None
    axis = int(node.attributes.get("axis", 1)) % (x.ndim + 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _first(operator: str) -> Callable[[RawNode, tuple[Array | None, ...]], Array]:
    return lambda node, operands: OPERATORS[operator](node, operands)[0]


_FOLLOWED: Mapping[str, Callable[[RawNode, tuple[Array | None, ...]], Array]] = {
    **{name: _first(name) for name in ("Cast", "Constant", "DequantizeLinear", "Identity", "QuantizeLinear")},
    "Flatten": _flattened,
    "Reshape": _reshaped,
    "Transpose": _transposed,
}
