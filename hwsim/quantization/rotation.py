# SPDX-License-Identifier: Apache-2.0
"""Hadamard rotation of what products read: folded into the layer before where exact, else a layer of its own."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import hadamard
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.paths import Shapes, channels_of, siblings, turned_by
from hwsim.quantization.products import Product, products

__all__ = [
    "rotate",
]

_LARGEST = 4096


def rotate(graph: FloatGraph, shapes: Shapes, size: int) -> list[str]:
    """Turn the input channels of every product with weights by blocks of an orthonormal Hadamard matrix.

    x W = (x H) (H^T W): the weights take H^T at once. The H of x goes into the output channels of the product that
    makes x where only reordering (and attention's weighing of values) lies between, and is else computed as the
    network runs: a MatMul by H on reshaped channels, or a grouped 1 x 1 Conv in front of a Conv.

    Parameters
    ----------
    graph : FloatGraph
        Changed in place.
    shapes : mapping of str to tuple of int
        Of its tensors.
    size : int
        Of a block, a power of two; 0: the largest that divides a product's channels, up to 4096.

    Returns
    -------
    list of str
        The places: folded, online, or left as they are for their channels do not divide.

    Source
    ------
    QuaRot, arXiv:2404.00456; Sylvester's matrix (`hwsim.formats.hadamard`).
    """
    known = {product.name: product for product in products(graph)}
    notes = []
    for tensor in dict.fromkeys(product.input for product in known.values()):
        readers = [each for each in known.values() if each.input == tensor and each.has_weights and each.groups == 1]
        for is_conv in (False, True):
            alike = [each for each in readers if each.is_conv == is_conv]
            if alike:
                notes.append(_rotate_one(graph, tensor, alike, shapes, size, known))
    return notes


def _rotate_one(
    graph: FloatGraph, tensor: str, readers: list[Product], shapes: Shapes, size: int, known: dict[str, Product]
) -> str:
    names, channels = ", ".join(each.name for each in readers), channels_of(readers[0])
    block = size or min(channels & -channels, _LARGEST)
    if block < 2 or channels % block:
        return f"{names}: not rotated, {channels} channels are no multiple of {max(block, 2)}"
    alone = siblings(graph, tensor, known)
    source = turned_by(graph, tensor, block, shapes, is_conv=readers[0].is_conv) if alone else None
    if source is not None:
        product, some = source.product, slice(source.first, source.last)
        rows, bias = product.rows.astype(np.float64), product.bias.astype(np.float64)
        rows[some], bias[some] = hadamard(rows[some], block, 0), hadamard(bias[some], block, 0)
        product.set_rows(rows)
        product.set_bias(bias)
        where = f"folded into {product.name}"
    else:
        turned = (_before_conv if readers[0].is_conv else _before_matmul)(graph, tensor, channels, block, shapes)
        graph.redirect(tensor, turned, [each.node for each in readers])
        where = "computed as the network runs"
    for each in readers:
        apart = each.rows.reshape(each.rows.shape[0], channels, each.taps).astype(np.float64)
        each.set_rows(hadamard(apart, block, 1).reshape(each.rows.shape))
    return f"{names}: blocks of {block}, {where}"


def _matrix(block: int) -> npt.NDArray[Any]:
    return hadamard(np.eye(block), block).astype(np.float32)


def _before_matmul(graph: FloatGraph, tensor: str, channels: int, block: int, shapes: Shapes) -> str:
    """Multiply the last axis, block by block, by a Hadamard matrix."""
    lead = [0] * (len(shapes[tensor]) - 1)
    split = graph.add_constant(f"{tensor}.blocks", np.array([*lead, channels // block, block], np.int64))
    whole = graph.add_constant(f"{tensor}.channels", np.array([*lead, channels], np.int64))
    matrix = graph.add_constant(f"{tensor}.hadamard", _matrix(block))
    cut = graph.append("Reshape", [tensor, split], f"{tensor}.cut")
    turned = graph.append("MatMul", [cut, matrix], f"{tensor}.turned")
    graph.kept.add(turned)
    return graph.append("Reshape", [turned, whole], f"{tensor}.rotated")


def _before_conv(graph: FloatGraph, tensor: str, channels: int, block: int, shapes: Shapes) -> str:
    """Multiply the channels of each point, block by block, by a Hadamard matrix (which is symmetric)."""
    rank = len(shapes[tensor]) - 2
    weight = np.tile(_matrix(block), (channels // block, 1)).reshape(channels, block, *[1] * rank)
    name = graph.add_constant(f"{tensor}.hadamard", weight)
    turned = graph.append("Conv", [tensor, name], f"{tensor}.rotated", group=channels // block)
    graph.kept.add(turned)
    return turned
