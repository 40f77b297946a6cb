# SPDX-License-Identifier: Apache-2.0
"""All of a network's codes and quantizers written into its graph."""

from collections.abc import Mapping

import onnx

from hwsim.formats import BlockSpec
from hwsim.quantization.finishing import Finished
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.grids import BlockGrid, Grid
from hwsim.quantization.products import Product, products
from hwsim.quantization.qdq import (
    quantize_blocks,
    quantize_everywhere,
    quantize_operand,
    write_bias,
    write_weights,
)
from hwsim.quantization.recipe import Recipe, format_of

__all__ = [
    "written_model",
]


def written_model(
    graph: FloatGraph, finished: Finished, recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]
) -> onnx.ModelProto:
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
    _check_blocks(wanted, shapes)
    for product in found:
        if product.has_weights and "correct_bias" in recipe.steps:
            product.set_bias(finished.biases[product.name])
    for product in found:
        if not product.has_weights or product.name not in finished.grids:
            continue
        weights = finished.grids[product.name]
        first = finished.tensors.get(product.input, finished.activations[product.name][0])
        write_bias(product, weights, first if isinstance(first, Grid) else None)
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


def _check_blocks(wanted: Mapping[tuple[str, str, int], object], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise where blocks whose scales are chosen as the network runs do not divide an axis, with all of them."""
    wrong = []
    for tensor, name, axis in wanted:
        spec = format_of(name)
        length = shapes[tensor][axis]
        if isinstance(spec, BlockSpec) and length % spec.block_size:
            wrong.append(f"{tensor} ({length} by {spec.block_size})")
    if wrong:
        raise ValueError(
            f"blocks whose scales are chosen as the network runs must divide the channels, not so: {', '.join(wrong)}; "
            "leave these activations in float32 (layers)"
        )
