# SPDX-License-Identifier: Apache-2.0
"""From a product's input back to what makes it, through operators that scale or turn channels as their input has."""

from collections.abc import Mapping
from typing import NamedTuple

import onnx

from hwsim.quantization.float_graph import FloatGraph, attribute
from hwsim.quantization.products import Product, products

__all__ = [
    "Shapes",
    "Source",
    "Turned",
    "channels_of",
    "scaled_by",
    "siblings",
    "turned_by",
]

Shapes = Mapping[str, tuple[int, ...]]
_HOMOGENEOUS = frozenset(
    ["Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Identity", "Dropout"]
)
"""Operators with f(s * x) = s * f(x) for s > 0, channel by channel."""
_NORMS = frozenset(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"))


class Turned(NamedTuple):
    """The output channels, from `first` on and `last` not included, of a product."""

    product: Product
    first: int
    last: int


class Source(NamedTuple):
    """What makes a tensor's channels: a product, or a normalization node with a scale a channel.

    `repeat` channels of the tensor come one after another from each channel of the source.
    """

    product: Product | None
    norm: onnx.NodeProto | None
    repeat: int


def siblings(graph: FloatGraph, tensor: str, known: Mapping[str, Product]) -> list[Product]:
    """Return the products whose first operand a tensor is, if nobody else reads it; else none."""
    readers = graph.readers(tensor)
    if tensor in graph.outputs:
        return []
    found = [known[node.name] for node in readers if node.name in known]
    plain = all(each.has_weights and each.groups == 1 and each.input == tensor for each in found)
    once = all(list(each.node.input).count(tensor) == 1 for each in found)
    return found if plain and once and len(found) == len(readers) else []


def channels_of(product: Product) -> int:
    """Return the number of input channels."""
    return int(product.rows.shape[1] // product.taps)


def scaled_by(graph: FloatGraph, tensor: str, shapes: Shapes, *, is_conv: bool) -> Source | None:
    """Return what can be scaled channel by channel so that a tensor's channels are; None where nothing can.

    Parameters
    ----------
    graph : FloatGraph
    tensor : str
    shapes : mapping of str to tuple of int
    is_conv : bool
        Whether the tensor's channels are its second axis, else its last.
    """
    by_output = {product.output: product for product in products(graph) if product.has_weights}
    repeat, second = 1, is_conv
    while True:
        if tensor in by_output:
            product = by_output[tensor]
            return Source(product, None, repeat) if product.is_conv == second or len(shapes[tensor]) == 2 else None
        node = graph.producer(tensor)
        if node is None:
            return None
        if node.op_type in _NORMS and not second and _has_scale(graph, node):
            return Source(None, node, repeat)
        source = node.input[0]
        if graph.only_reader(source) is None:
            return None
        if node.op_type in ("Flatten", "Reshape"):
            old, new = shapes[source], shapes[tensor]
            if second or len(new) != 2 or len(old) < 3 or old[0] != new[0]:
                return None
            second, repeat = True, repeat * (new[1] // old[1])
        elif not _is_homogeneous(node) or ("Pool" in node.op_type and not second):
            return None
        tensor = source


def turned_by(graph: FloatGraph, tensor: str, size: int, shapes: Shapes, *, is_conv: bool) -> Turned | None:
    """Return the output channels of a product that can be turned in blocks of `size` so that a tensor's are.

    The way back goes through Identity, through Transpose, Reshape and Split that keep neighbours of the last axis
    together, and through the second operand of a product of two varying tensors (attention's values).
    """
    by_output = {product.output: product for product in products(graph) if product.has_weights}
    first, count = 0, 0
    while True:
        if tensor in by_output:
            product = by_output[tensor]
            last = first + (count or product.rows.shape[0])
            good = product.is_conv == is_conv and product.groups == 1 and not (first % size or last % size)
            return Turned(product, first, last) if good else None
        node = graph.producer(tensor)
        if node is None:
            return None
        source = node.input[0]
        if node.op_type == "Split" and not is_conv:
            found = _part(node, tensor, shapes)
            if found is None or count:
                return None
            first, count = found
        elif node.op_type == "MatMul" and not is_conv and node.input[1] not in graph.constants:
            source = node.input[1]
        elif not _keeps_blocks(node, source, tensor, size, shapes, is_conv=is_conv):
            return None
        if graph.only_reader(source) is None:
            return None
        tensor = source


def _keeps_blocks(node: onnx.NodeProto, source: str, tensor: str, size: int, shapes: Shapes, *, is_conv: bool) -> bool:
    """Tell whether blocks of neighbours along the last axis of the source are such of the tensor."""
    if node.op_type in ("Identity", "Dropout"):
        return True
    if node.op_type == "Transpose" and not is_conv:
        return bool(list(attribute(node, "perm", [0]))[-1] == len(shapes[source]) - 1)
    return node.op_type == "Reshape" and not is_conv and not (shapes[source][-1] % size or shapes[tensor][-1] % size)


def _part(node: onnx.NodeProto, tensor: str, shapes: Shapes) -> tuple[int, int] | None:
    """Return where along the last axis a part of a Split begins, and its length."""
    rank = len(shapes[node.input[0]])
    if int(attribute(node, "axis", 0)) % rank != rank - 1:
        return None
    parts = list(node.output)
    sizes = [shapes[name][-1] for name in parts]
    at = parts.index(tensor)
    return sum(sizes[:at]), sizes[at]


def _is_homogeneous(node: onnx.NodeProto) -> bool:
    return node.op_type in _HOMOGENEOUS and (node.op_type != "LeakyRelu" or attribute(node, "alpha", 0.01) >= 0)


def _has_scale(graph: FloatGraph, node: onnx.NodeProto) -> bool:
    return all(name in graph.constants for name in node.input[1:] if name) and len(node.input) > 1
