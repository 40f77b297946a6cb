# SPDX-License-Identifier: Apache-2.0
"""The matrix products of a float graph: where their operands, weights and biases are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hwsim.quantization.float_graph import FloatGraph, attribute

__all__ = [
    "Product",
    "products",
    "simplify",
]

Array = npt.NDArray[Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Product:
    """A Conv, Gemm or MatMul of a float graph.

    Parameters
    ----------
    graph : FloatGraph
    node : onnx.NodeProto
    groups : int
        Of a convolution, else 1.
    """

    graph: FloatGraph
    node: onnx.NodeProto
    groups: int = 1

    @property
    def name(self) -> str:
        """Name of the node, and of the network's layer."""
        return str(self.node.name)

    @property
    def input(self) -> str:
        """The first operand."""
        return str(self.node.input[0])

    @property
    def is_conv(self) -> bool:
        """Whether channels are the second axis, else the last."""
        return bool(self.node.op_type == "Conv")

    @property
    def has_weights(self) -> bool:
        """Whether the second operand is constant."""
        return self.node.input[1] in self.graph.constants

    @property
    def weight(self) -> Array:
        """The weights as they stand in the file."""
        return self.graph.constants[self.node.input[1]]

    @property
    def is_transposed(self) -> bool:
        """Whether the weights stand as (K, outputs) in the file."""
        return not self.is_conv and not attribute(self.node, "transB", 0)

    @property
    def rows(self) -> npt.NDArray[np.float32]:
        """The weights as (outputs, K), K over (channel, kernel...)."""
        weight = self.weight
        return weight.T if self.is_transposed else weight.reshape(weight.shape[0], -1)

    def set_rows(self, rows: Array) -> None:
        """Put other weights in, of shape (outputs, K)."""
        self.graph.own_constant(self.node, 1, self.as_weight(rows.astype(np.float32)))

    def as_weight(self, rows: Array) -> Array:
        """Bring (outputs, K) to the shape of the weights in the file."""
        return np.ascontiguousarray(rows.T) if self.is_transposed else rows.reshape(self.weight.shape)

    @property
    def taps(self) -> int:
        """Elements of K that one input channel has: the kernel's size."""
        return int(np.prod(self.weight.shape[2:])) if self.is_conv else 1

    @property
    def _adder(self) -> onnx.NodeProto | None:
        """The constant Add behind a MatMul, which is its bias."""
        adder = self.graph.only_reader(self.node.output[0])
        if self.node.op_type != "MatMul" or adder is None or adder.op_type != "Add":
            return None
        other = self._addend(adder)
        value = self.graph.constants.get(other)
        return adder if value is not None and value.size == value.shape[-1] == self.rows.shape[0] else None

    def _addend(self, adder: onnx.NodeProto) -> str:
        return str(adder.input[1] if adder.input[0] == self.node.output[0] else adder.input[0])

    @property
    def output(self) -> str:
        """The tensor that results, bias included."""
        adder = self._adder if self.has_weights else None
        return str(self.node.output[0] if adder is None else adder.output[0])

    @property
    def bias(self) -> npt.NDArray[np.float32]:
        """The bias, shape (outputs,); zeros where there is none."""
        count = self.rows.shape[0]
        adder = self._adder
        if adder is not None:
            return self.graph.constants[self._addend(adder)].reshape(-1)
        if self.node.op_type != "MatMul" and len(self.node.input) > 2 and self.node.input[2]:
            return np.broadcast_to(self.graph.constants[self.node.input[2]].reshape(-1), (count,))
        return np.zeros(count, np.float32)

    def set_bias(self, bias: npt.NDArray[Any]) -> None:
        """Put another bias in, shape (outputs,); a MatMul without one gets an Add."""
        value = bias.astype(np.float32)
        if self.node.op_type != "MatMul":
            self.graph.own_constant(self.node, 2, value)
            return
        adder = self._adder
        if adder is not None:
            index = 1 if adder.input[0] == self.node.output[0] else 0
            self.graph.own_constant(adder, index, value)
            return
        if not value.any():
            return
        graph, old = self.graph, self.node.output[0]
        inner = graph.fresh(f"{old}.product")
        self.node.output[0] = inner
        name = graph.add_constant(f"{self.name}.bias", value)
        graph.nodes.append(onnx.helper.make_node("Add", [inner, name], [old], graph.fresh(f"{self.name}.add")))


def products(graph: FloatGraph) -> list[Product]:
    """Return the products that can be quantized, in the order of the nodes: two-dimensional weights, or none."""
    found = []
    for node in graph.nodes:
        if node.domain not in ("", "ai.onnx") or node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        if node.input[0] in graph.constants or node.name in graph.kept:
            continue
        known = graph.constants.get(node.input[1])
        if node.op_type == "MatMul" and known is not None and known.ndim != 2:
            continue
        if node.op_type == "Conv" and known is None:
            continue
        if node.op_type == "Gemm" and (known is None or attribute(node, "transA", 0)):
            continue
        found.append(Product(graph=graph, node=node, groups=int(attribute(node, "group", 1))))
    return found


def simplify(graph: FloatGraph) -> list[str]:
    """Fold batch normalizations, constant additions behind convolutions, and Gemm's alpha and beta; say what was.

    A BatchNormalization goes into the Conv, Gemm or MatMul before it: W' = W * g / sqrt(v + e), b' = (b - m) * g /
    sqrt(v + e) + h, computed in float64 and rounded once.
    """
    notes = []
    for product in products(graph):
        if not product.has_weights:
            continue
        if product.node.op_type == "Gemm":
            _absorb_factors(product)
        if product.is_conv:
            notes += _absorb_addition(product)
        notes += _absorb_normalization(product)
    return notes


def _absorb_factors(product: Product) -> None:
    """Make alpha and beta 1."""
    alpha, beta = (float(attribute(product.node, name, 1.0)) for name in ("alpha", "beta"))
    if alpha != 1:
        product.set_rows(product.rows * np.float64(alpha))
    if beta != 1:
        product.set_bias(product.bias * np.float64(beta))
    kept = [each for each in product.node.attribute if each.name not in ("alpha", "beta")]
    del product.node.attribute[:]
    product.node.attribute.extend(kept)


def _absorb_addition(product: Product) -> list[str]:
    """Take a constant Add with one number a channel into the bias."""
    graph = product.graph
    adder = graph.only_reader(product.node.output[0])
    if adder is None or adder.op_type != "Add":
        return []
    other = adder.input[1] if adder.input[0] == product.node.output[0] else adder.input[0]
    value = graph.constants.get(other)
    channels, rank = product.weight.shape[0], product.weight.ndim
    if value is None or value.ndim > rank or tuple(value.shape[-(rank - 1) :]) != (channels, *[1] * (rank - 2)):
        return []
    if value.size != channels:
        return []
    product.set_bias(product.bias.astype(np.float64) + value.reshape(-1))
    graph.remove(adder)
    product.node.output[0] = adder.output[0]
    return [f"{adder.name} (Add) into the bias of {product.name}"]


def _absorb_normalization(product: Product) -> list[str]:
    graph = product.graph
    node = graph.only_reader(product.output)
    if node is None or node.op_type != "BatchNormalization" or node.input[0] != product.output:
        return []
    if any(name not in graph.constants for name in node.input[1:]) or attribute(node, "training_mode", 0):
        return []
    if not product.is_conv and product.node.op_type == "MatMul":
        return []
    scale, shift, mean, variance = (graph.constants[name].astype(np.float64) for name in node.input[1:5])
    factor = scale / np.sqrt(variance + float(attribute(node, "epsilon", 1e-5)))
    bias = (product.bias - mean) * factor + shift
    product.set_rows(product.rows * factor[:, None])
    product.set_bias(bias)
    graph.remove(node)
    product.node.output[0] = node.output[0]
    return [f"{node.name} (BatchNormalization) into {product.name}"]
