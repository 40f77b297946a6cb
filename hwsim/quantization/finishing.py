# SPDX-License-Identifier: Apache-2.0
"""The last pass over a float network: ranges to grids, weights to codes, biases corrected, the noise measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.formats import BlockSpec
from hwsim.network import Network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.gptq import gptq
from hwsim.quantization.grids import BlockGrid, Grid, activation_grid, weight_grid
from hwsim.quantization.products import Product, products
from hwsim.quantization.qdq import PASSING, bias_units
from hwsim.quantization.ranges import Histogram, choose
from hwsim.quantization.recipe import Granularity, Observer, Recipe, Scope, format_of
from hwsim.quantization.sequential import Noise, Operands, side_by_side

__all__ = [
    "Finished",
    "finish",
    "varying",
    "watched",
]

Array = npt.NDArray[Any]
_FUSED = frozenset(("Relu", "Clip"))


@dataclass(slots=True, kw_only=True, eq=False)
class Finished:
    """Codes of all weights, and what the network is with them.

    weights : by layer, the values (outputs, K) that the codes stand for
    grids : by layer, their grid, where ONNX can write them
    biases : by layer
    activations : by layer, the grids of the first and of a varying second operand
    tensors : grids of tensors, where everything is quantized
    noise : of each layer's and each output's
    """

    weights: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    biases: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    activations: dict[str, tuple[Grid | BlockGrid | None, Grid | BlockGrid | None]] = field(default_factory=dict)
    tensors: dict[str, Grid] = field(default_factory=dict)
    noise: dict[str, Noise] = field(default_factory=dict)


def watched(graph: FloatGraph, network: Network, recipe: Recipe) -> frozenset[str]:
    """Return the tensors whose ranges are needed."""
    if recipe.scope is Scope.ALL:
        return frozenset(spec.name for spec in network.tensors.values() if spec.dtype == "float32")
    found = {name for product in products(graph) for name, _ in varying(product, recipe)}
    return frozenset(name for name in found if name in network.tensors)


def varying(product: Product, recipe: Recipe) -> list[tuple[str, str | None]]:
    """Return the operands of a product that vary, each with the name of its format."""
    chosen = recipe.formats(product.name).activations
    first = [(product.input, chosen)]
    if product.has_weights:
        return first
    return [*first, (str(product.node.input[1]), recipe.kv_cache or chosen)]


def finish(
    graph: FloatGraph,
    network: Network,
    recipe: Recipe,
    seen: Mapping[str, Histogram],
    portions: Sequence[Mapping[str, Array]],
    reference: Mapping[str, Sequence[Array]],
    methods: frozenset[str],
    progress: Callable[[str], None] = lambda text: None,
) -> Finished:
    """Quantize everything, layer after layer, each on what the quantized layers before it give.

    Parameters
    ----------
    graph, network : FloatGraph, Network
        The network after the methods that change it in float.
    recipe : Recipe
    seen : mapping of str to Histogram
        Of the tensors of `watched`.
    portions : sequence of mapping
        The calibration set.
    reference : mapping of str to arrays
        Outputs of the network as it was given, a portion at a time.
    methods : frozenset of str
        Of "gptq" and "correct_bias", those that are to be used.
    progress : callable
        Is told each layer.
    """
    result = Finished()
    known = {product.name: product for product in products(graph)}
    everything = recipe.scope is Scope.ALL

    def grid(name: str, chosen: str | None) -> Grid | BlockGrid | None:
        spec = format_of(chosen)
        if spec is None:
            return None
        low, high = choose(
            seen[name], spec, Observer(recipe.observer), symmetric=recipe.symmetric, percentile=recipe.percentile
        )
        return activation_grid(spec, low, high, symmetric=recipe.symmetric)

    if everything:
        result.tensors = _everywhere(graph, network, lambda name: grid(name, recipe.activations))
    for product in known.values():
        found = [None if everything else grid(name, chosen) for name, chosen in varying(product, recipe)]
        result.activations[product.name] = (found[0], found[1] if len(found) > 1 else None)

    def visit(layer: MultiplyAccumulate, exact: Sequence[Array], coded: Sequence[Array]) -> MultiplyAccumulate:
        product = known.get(layer.name)
        if product is None:
            return layer
        return _layer(product, layer, exact, coded, recipe, methods, result)

    result.noise = side_by_side(
        network, portions, Operands(result.activations), visit=visit, tensors=result.tensors, reference=reference,
        progress=progress,
    )  # fmt: skip
    return result


def _everywhere(graph: FloatGraph, network: Network, grid: Callable[[str], Grid | BlockGrid | None]) -> dict[str, Grid]:
    """Return the grids of all float tensors but those that a bias or an activation function is computed with."""
    found: dict[str, Grid] = {}
    biased = {product.node.output[0] for product in products(graph) if product.has_weights}
    biased -= {product.output for product in products(graph) if product.has_weights}
    for name, spec in network.tensors.items():
        reader, producer = graph.only_reader(name), graph.producer(name)
        if spec.dtype != "float32" or name in biased or (reader is not None and reader.op_type in _FUSED):
            continue
        if producer is not None and producer.op_type in PASSING and producer.input[0] in found:
            found[name] = found[producer.input[0]]
        else:
            made = grid(name)
            assert isinstance(made, Grid)
            found[name] = made
    return found


def _layer(
    product: Product,
    layer: MultiplyAccumulate,
    exact: Sequence[Array],
    coded: Sequence[Array],
    recipe: Recipe,
    methods: frozenset[str],
    result: Finished,
) -> MultiplyAccumulate:
    """Quantize the weights of a layer, correct its bias, and return it with both."""
    rows = np.ascontiguousarray(product.rows, np.float32)
    values = _weights(product, rows, coded, recipe, methods, result)
    bias = given = product.bias.astype(np.float32)
    if "correct_bias" in methods:
        wanted, found = _means(exact, rows), _means(coded, values)
        bias = (bias + wanted - found).astype(np.float32)
    first = result.tensors.get(product.input, result.activations[product.name][0])
    units = bias_units(product, bias, result.grids.get(product.name), first)
    if units is not None:
        bias = (units.codes * units.unit).astype(np.float32)
    result.weights[product.name] = values
    result.biases[product.name] = bias
    assert layer.weight is not None
    weight = values.reshape(layer.weight.shape) if product.is_conv else np.ascontiguousarray(values.T)
    if layer.bias_values is None and np.array_equal(bias, given):
        return replace(layer, weight=weight)
    # an Add that the reader kept as a layer of its own adds what was given
    return replace(layer, weight=weight, bias_values=bias - given if layer.bias_values is None else bias)


def _weights(
    product: Product,
    rows: npt.NDArray[np.float32],
    coded: Sequence[Array],
    recipe: Recipe,
    methods: frozenset[str],
    result: Finished,
) -> npt.NDArray[np.float32]:
    """Return the values of the weights' codes."""
    spec = format_of(recipe.formats(product.name).weights)
    if spec is None:
        return rows
    grid = weight_grid(
        rows, spec, Granularity(recipe.granularity), recipe.group, Observer(recipe.weight_observer), product.taps
    )
    if grid is None:
        assert isinstance(spec, BlockSpec)
        if "gptq" in methods:
            raise ValueError(f"gptq needs a format whose blocks have one element format and one row, not {spec.name}")
        return BlockGrid(spec=spec).fake(rows, -1, product.taps)
    result.grids[product.name] = grid
    if "gptq" not in methods:
        return grid.fake(rows)
    each = rows.shape[0] // product.groups
    parts = []
    for group in range(product.groups):
        first, last = group * each, (group + 1) * each
        gram = np.zeros((rows.shape[1], rows.shape[1]))
        for a in coded:
            x = a[group].astype(np.float64)
            gram += x.T @ x
        parts.append(
            gptq(rows[first:last], gram, grid.rows(first, last), damping=recipe.damping, act_order=recipe.act_order)
        )
    return np.concatenate(parts)


def _means(operands: Sequence[Array], rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the mean of each output channel: that of the operands' rows, times the weights."""
    count = sum(a.shape[1] for a in operands)
    mean = sum(a.sum(axis=1, dtype=np.float64) for a in operands) / count  # (groups, k)
    groups, length = mean.shape
    return np.asarray(np.einsum("gnk,gk->gn", rows.reshape(groups, -1, length).astype(np.float64), mean)).reshape(-1)
