# SPDX-License-Identifier: Apache-2.0
"""Quantize a float network: the methods in order, each one's effect, and the result as standard ONNX."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hwsim.network import Network, SteadyEngine, run
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import carriers
from hwsim.quantization.finishing import Finished, finish, watched
from hwsim.quantization.float_graph import FloatGraph, opened
from hwsim.quantization.grids import Grid
from hwsim.quantization.products import Product, products, simplify
from hwsim.quantization.ranges import Histogram, histograms
from hwsim.quantization.recipe import ORDER, Observer, Recipe, format_of
from hwsim.quantization.report import LayerReport, Report, Step
from hwsim.quantization.rescaling import equalize, smooth, smoothable
from hwsim.quantization.rotation import rotate
from hwsim.quantization.sequential import Noise
from hwsim.quantization.writing import check_blocks, written_model

__all__ = [
    "Quantized",
    "check",
    "quantize",
]

Array = npt.NDArray[Any]
Progress = Callable[[str], None]
_PORTION = 32  # images that go through at once
_FLOAT_METHODS = ORDER[:3]  # they change the float network


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantized:
    """A quantized network.

    model : onnx.ModelProto or None
        Standard QDQ; None where it was only evaluated.
    report : Report
    """

    model: onnx.ModelProto | None
    report: Report


def quantize(
    model: str | os.PathLike[str] | onnx.ModelProto,
    recipe: Recipe,
    calibration: Mapping[str, Array],
    *,
    written: bool = True,
    effects: bool = True,
    progress: Progress = lambda text: None,
) -> Quantized:
    """Quantize a float network.

    In this order: batch normalizations folded; of the recipe's methods equalization, smoothing, rotation; ranges of
    activations; then layer after layer, on what the quantized layers before it give, weights (GPTQ or to nearest) and
    the bias (corrected or as it is, to int32 units where both operands are integers).

    Parameters
    ----------
    model : path or onnx.ModelProto
        Float32, with operators that `hwsim.network.read` runs.
    recipe : Recipe
    calibration : mapping of str to ndarray
        An array for each input of the network, images along axis 0. They go through in portions of 32; GPTQ, bias
        correction and the noise hold the tensors alive at one layer for all of them.
    written : bool
        Whether a file is wanted: formats that ONNX cannot carry are then an error. False evaluates any format.
    effects : bool
        Whether the network is evaluated after each method, not only at the end.
    progress : callable
        Is told what is being done.

    Returns
    -------
    Quantized

    Raises
    ------
    FileNotFoundError, TypeError, ValueError, KeyError
        For a model that cannot be read or is quantized already, inputs that do not fit, formats or layers that are
        unknown or cannot be written; all before any work.
    """
    graph, folded, network = _prepared(model, recipe, calibration, written=written)
    work = _Work(graph, network, recipe, calibration, progress)
    steps: list[Step] = []
    finished: Finished | None = None
    for name in ("", *recipe.steps):
        places = work.change(graph, name) if name in _FLOAT_METHODS else []
        if effects or name == (("", *recipe.steps)[-1]):
            methods = frozenset(recipe.steps[: recipe.steps.index(name) + 1] if name else ())
            finished = work.finish(graph, methods)
            steps.append(_step(name, finished, graph, work.outputs, places))
        elif places:
            steps.append(Step(name=name, output_sqnr_db=None, layers_sqnr_db={}, places=tuple(places)))
    assert finished is not None
    layers = tuple(_layer_report(product, recipe, finished) for product in products(graph))
    left = tuple(f"{node.name} ({node.op_type})" for node in _left(graph))
    result = written_model(graph, finished, work.shapes) if written else None
    report = Report(
        output_sqnr_db=_output_noise(finished, work.outputs), layers=layers, steps=tuple(steps), folded=tuple(folded),
        left=left, opset=graph.opset if written else None, recipe=recipe.as_dict(),
    )  # fmt: skip
    return Quantized(model=result, report=report)


def check(model: str | os.PathLike[str] | onnx.ModelProto, recipe: Recipe, calibration: Mapping[str, Array]) -> None:
    """Raise what `quantize` raises of a model and a recipe that cannot be written."""
    _prepared(model, recipe, calibration, written=True)


def _prepared(
    model: str | os.PathLike[str] | onnx.ModelProto, recipe: Recipe, calibration: Mapping[str, Array], *, written: bool
) -> tuple[FloatGraph, list[str], Network]:
    """Return the float graph, what was folded in it, and its network; raise where the recipe does not go with it."""
    if written:
        carriers.check(recipe)
    own = opened(model)
    sizes = _sizes(own, calibration)
    graph = FloatGraph(own, carriers.opset(recipe) if written else 13, sizes)
    folded = simplify(graph)
    known = {product.name for product in products(graph)}
    unknown = sorted(set(recipe.layers) - known)
    if unknown:
        raise ValueError(f"layers must be among the products {', '.join(sorted(known))}, not {', '.join(unknown)}")
    if not known:
        raise ValueError("the network has no Conv, Gemm or MatMul that can be quantized")
    network = from_model(graph.to_model(), dimensions=sizes)
    if written:
        check_blocks(graph, recipe, {name: spec.shape for name, spec in network.tensors.items()})
    return graph, folded, network


class _Work:
    """A network with its calibration set, and what is known of it."""

    def __init__(
        self,
        graph: FloatGraph,
        network: Network,
        recipe: Recipe,
        calibration: Mapping[str, Array],
        progress: Progress,
    ) -> None:
        self._sizes = _sizes(graph.model, calibration)
        self._network = network
        self._recipe = recipe
        self._progress = progress
        self._portions = _portions(network, calibration)
        self._seen: dict[str, Histogram] | None = None
        self.outputs = [spec.name for spec in network.outputs]
        self._reference: dict[str, list[Array]] = {name: [] for name in self.outputs}
        progress("the float network")
        for portion in self._portions:
            for name, value in run(network, portion, engine=SteadyEngine()).items():
                self._reference[name].append(value)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors of the network as it is now."""
        return {name: spec.shape for name, spec in self._network.tensors.items()}

    def change(self, graph: FloatGraph, name: str) -> list[str]:
        """Apply a method that changes the float network; return its places."""
        self._progress(name)
        recipe, shapes = self._recipe, self.shapes
        if name == "equalize":
            places = equalize(graph, shapes, power_of_two=recipe.power_of_two)
        elif name == "smooth":
            assert recipe.smooth is not None
            sizes = self._channel_sizes(graph)
            places = smooth(graph, shapes, sizes, recipe.smooth, power_of_two=recipe.power_of_two)
        else:
            assert recipe.rotate is not None
            places = rotate(graph, shapes, recipe.rotate)
        self._network = from_model(graph.to_model(), dimensions=self._sizes)
        self._seen = None
        return places

    def finish(self, graph: FloatGraph, methods: frozenset[str]) -> Finished:
        """Quantize the network as it is now."""
        if self._seen is None:
            names = watched(graph, self._network, self._recipe)
            counted = self._recipe.observer is not Observer.ABSMAX
            self._seen = histograms(
                self._network, lambda: iter(self._portions), names, counted=counted, progress=self._progress
            )  # fmt: skip
        return finish(
            graph, self._network, self._recipe, self._seen, self._portions, self._reference, methods, self._progress
        )

    def _channel_sizes(self, graph: FloatGraph) -> dict[str, npt.NDArray[np.float64]]:
        """Return the largest magnitude of each channel of the tensors that smoothing looks at."""
        axes = {name: 1 if readers[0].is_conv else -1 for name, readers in smoothable(graph).items()}
        found: dict[str, npt.NDArray[np.float64]] = {}

        def look(name: str, value: Array) -> None:
            if name in axes:
                last = np.moveaxis(np.abs(value), axes[name], -1)
                here = last.reshape(-1, last.shape[-1]).max(axis=0).astype(np.float64)
                found[name] = np.maximum(found.get(name, 0.0), here)

        for portion in self._portions:
            run(self._network, portion, engine=SteadyEngine(), hook=look)
        return found


def _sizes(model: onnx.ModelProto, calibration: Mapping[str, Array]) -> dict[str, int]:
    """Return the sizes that the calibration set gives to axes that the model names, those of images left out."""
    found: dict[str, int] = {}
    images: set[str] = set()
    for info in model.graph.input:
        shape = np.shape(calibration.get(info.name, ()))
        dims = info.type.tensor_type.shape.dim
        if shape and len(shape) == len(dims):
            images.add(dims[0].dim_param)
            found.update({dim.dim_param: size for dim, size in zip(dims, shape, strict=True) if dim.dim_param})
    return {name: size for name, size in found.items() if name not in images}


def _portions(network: Network, calibration: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Cut a calibration set, checked, into portions."""
    arrays = {name: np.asarray(value) for name, value in calibration.items()}
    counts = {value.shape[:1] for value in arrays.values()}
    if len(counts) > 1 or counts <= {(), (0,)}:
        raise ValueError(f"calibration must have one number of images above 0 for all inputs, not {sorted(counts)}")
    size = _PORTION if network.batchable else network.batch
    total = next(iter(counts))[0]
    if total % size and not network.batchable:
        raise ValueError(
            f"calibration must have a multiple of {network.batch} images, the network's batch, not {total}"
        )
    run(network, {name: value[: 1 if network.batchable else size] for name, value in arrays.items()})
    return [{name: value[i : i + size] for name, value in arrays.items()} for i in range(0, total, size)]


def _step(name: str, finished: Finished, graph: FloatGraph, outputs: list[str], places: list[str]) -> Step:
    layers = {product.name: finished.noise[product.name].sqnr_db for product in products(graph)}
    return Step(
        name=name or "round to nearest",
        output_sqnr_db=_output_noise(finished, outputs),
        layers_sqnr_db=layers,
        places=tuple(places),
    )


def _output_noise(finished: Finished, outputs: list[str]) -> float | None:
    total = Noise()
    for name in outputs:
        total.signal += finished.noise[name].signal
        total.noise += finished.noise[name].noise
    return total.sqnr_db


def _layer_report(product: Product, recipe: Recipe, finished: Finished) -> LayerReport:
    chosen = recipe.formats(product.name)
    noise, bits = Noise(), 0
    if product.has_weights:
        noise.add(product.rows, finished.weights[product.name])
        bits = _weight_bits(product, chosen.weights, finished.grids.get(product.name))
    return LayerReport(
        name=product.name,
        operator=product.node.op_type,
        weights=chosen.weights if product.has_weights else recipe.kv_cache or chosen.activations,
        activations=chosen.activations,
        weight_bits=bits,
        weight_sqnr_db=noise.sqnr_db,
        output_sqnr_db=finished.noise[product.name].sqnr_db,
    )


def _weight_bits(product: Product, name: str | None, grid: Grid | None) -> int:
    spec = format_of(name)
    count = product.rows.size
    if spec is None:
        return 32 * count
    if grid is None:
        return int(np.ceil(count * getattr(spec, "bits_per_element", spec.bits)))
    shared = 32 if grid.block is None else grid.block.scale.bits
    zeros = spec.bits * grid.zero.size if grid.zero.any() else 0
    return int(count * spec.bits + grid.scale.size * shared + zeros)


def _left(graph: FloatGraph) -> Iterator[onnx.NodeProto]:
    """Give the products that no layer of the recipe quantizes."""
    known = {product.name for product in products(graph)}
    for node in graph.nodes:
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Attention") and node.name not in known:
            yield node
