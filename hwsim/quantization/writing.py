# SPDX-License-Identifier: Apache-2.0
"""All of a network's codes and quantizers written into its graph."""

from collections.abc import Mapping

import numpy as np
import onnx

from hwsim.formats import BlockSpec
from hwsim.quantization.finishing import Finished, varying
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.grids import BlockGrid, Grid
from hwsim.quantization.products import Product, products
from hwsim.quantization.qdq import (
    bias_units,
    quantize_blocks,
    quantize_everywhere,
    quantize_operand,
    write_bias,
    write_weights,
)
from hwsim.quantization.recipe import Recipe, format_of

__all__ = [
    "check_blocks",
    "written_model",
]


def written_model(graph: FloatGraph, finished: Finished, shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """Write the codes and quantizers into the graph, and return it as a checked model."""
    found = products(graph)
    # All places are known before the first one is changed.
    wanted: dict[tuple[str, str, int], tuple[Grid | BlockGrid, list[tuple[onnx.NodeProto, int]]]] = {}
    for product in found:
        for index, grid in enumerate(finished.activations[product.name]):
            if grid is not None:
                name = str(product.node.input[index])
                axis = _k_axis(product, index, len(shapes[name])) if isinstance(grid, BlockGrid) else 0
                wanted.setdefault((name, grid.spec.name, axis), (grid, []))[1].append((product.node, index))
    for product in found:
        if product.has_weights and not np.array_equal(finished.biases[product.name], product.bias):
            product.set_bias(finished.biases[product.name])
    for product in found:
        if not product.has_weights or product.name not in finished.grids:
            continue
        weights = finished.grids[product.name]
        first = finished.tensors.get(product.input, finished.activations[product.name][0])
        units = bias_units(product, product.bias, weights, first)
        if units is not None:
            write_bias(product, units)
        write_weights(product, weights, weights.codes(finished.weights[product.name]))
    if finished.tensors:
        quantize_everywhere(graph, finished.tensors)
    for (tensor, _, axis), (grid, readers) in wanted.items():
        if isinstance(grid, BlockGrid):
            quantize_blocks(graph, tensor, grid, axis, len(shapes[tensor]), readers)
        else:
            quantize_operand(graph, tensor, grid, readers)
    result = graph.to_model()
    onnx.checker.check_model(result, full_check=True)
    return result


def _k_axis(product: Product, index: int, rank: int) -> int:
    """Return the axis of an operand that products are summed along, counted from the front."""
    if product.is_conv:
        return 1
    return rank - 1 if index == 0 else rank - 2


def check_blocks(graph: FloatGraph, recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise where blocks whose scales are chosen as the network runs do not divide the channels, with all of them."""
    wrong = []
    for product in products(graph):
        for index, (name, chosen) in enumerate(varying(product, recipe)):
            spec = format_of(chosen)
            length = shapes[name][_k_axis(product, index, len(shapes[name]))] // product.groups
            if isinstance(spec, BlockSpec) and length % spec.block_size:
                wrong.append(f"{name} ({length} by {spec.block_size})")
    if wrong:
        raise ValueError(
            f"blocks whose scales are chosen as the network runs must divide the channels, not so: {', '.join(wrong)}; "
            "leave these activations in float32 (layers)"
        )
