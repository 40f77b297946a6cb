# SPDX-License-Identifier: Apache-2.0
"""A float network and its quantized twin, side by side, layer by layer, all portions of a calibration set at each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network import ExactEngine, Layer, Network, SteadyEngine
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.requantize import Rule
from hwsim.quantization.grids import BlockGrid, Grid

__all__ = [
    "Noise",
    "Operands",
    "Visit",
    "side_by_side",
    "sqnr_db",
]

Array = npt.NDArray[Any]
Visit = Callable[[MultiplyAccumulate, Sequence[Array], Sequence[Array]], MultiplyAccumulate]
"""Takes a layer, and of each portion its first operand (groups, m, k) in float and quantized; gives the new layer."""


class Noise:
    """Sums of squares of a signal and of the difference of another from it."""

    def __init__(self) -> None:
        self.signal = 0.0
        self.noise = 0.0

    def add(self, wanted: Array, found: Array) -> None:
        """Count a portion."""
        exact = wanted.astype(np.float64)
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(found - exact).sum())

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantization noise ratio; None where there is no noise or no signal."""
        return sqnr_db(self.signal, self.noise)


def sqnr_db(signal: float, noise: float) -> float | None:
    """Return 10 log10(signal / noise); None where either is zero."""
    return float(10 * np.log10(signal / noise)) if signal > 0 and noise > 0 else None


class Operands(SteadyEngine):
    """Float products of operands that are quantized first.

    Parameters
    ----------
    grids : mapping of str to two grids (or None)
        By layer name, of the first and of a varying second operand.
    """

    def __init__(self, grids: Mapping[str, tuple[Grid | BlockGrid | None, Grid | BlockGrid | None]]) -> None:
        self._grids = grids

    def operand(self, layer: Layer, a: Array) -> Array:
        """Return a layer's first operand, quantized."""
        weight = layer.weight if isinstance(layer, MultiplyAccumulate) else None
        taps = int(np.prod(weight.shape[2:])) if weight is not None and layer.kind == "conv" else 1
        return _fake(self._grids.get(layer.name, (None, None))[0], a, -1, taps)

    def matmul(self, layer: Layer, a: Array, b: Array) -> Array:
        """Multiply (groups, m, k) by (groups, k, n)."""
        second = self._grids.get(layer.name, (None, None))[1]
        assert isinstance(layer, MultiplyAccumulate)
        return super().matmul(layer, self.operand(layer, a), b if layer.weight is not None else _fake(second, b, -2))


def side_by_side(
    network: Network,
    portions: Sequence[Mapping[str, Array]],
    operands: Operands,
    *,
    visit: Visit,
    tensors: Mapping[str, Grid],
    reference: Mapping[str, Sequence[Array]] | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Noise]:
    """Run a network in float and quantized, and say how far they are apart.

    Parameters
    ----------
    network : Network
        In float32.
    portions : sequence of mapping
        Of the calibration set. What is alive at a layer is held for all of them, twice.
    operands : Operands
        The quantized twin's engine.
    visit : callable
        Called at each product with constant weights, before it runs: it gives the quantized twin's layer.
    tensors : mapping of str to Grid
        Tensors that are quantized wherever they are read.
    reference : mapping of str to arrays
        Of each network output what it is compared with, a portion at a time; without it, the float twin's.
    progress : callable
        Is told each layer.

    Returns
    -------
    dict of str to Noise
        By layer name (of products), and by name of each network output.
    """
    wanted = [spec.name for spec in network.outputs]
    last = {name: index for index, layer in enumerate(network.layers) for name in layer.inputs}
    engine = SteadyEngine()
    exact: list[dict[str, Array]] = [{**network.constants, **portion} for portion in portions]
    coded = [
        {name: tensors[name].fake(value) if name in tensors else value for name, value in each.items()}
        for each in exact
    ]
    found: dict[str, Noise] = {}
    for index, layer in enumerate(network.layers):
        product = isinstance(layer, MultiplyAccumulate)
        twin: Layer = layer
        if isinstance(layer, MultiplyAccumulate) and layer.weight is not None:
            progress(f"layer {layer.name}")
            pairs = [
                [_first(layer, each, engine) for each in exact],
                [operands.operand(layer, _first(layer, each, engine)) for each in coded],
            ]
            twin = visit(layer, pairs[0], pairs[1])
            del pairs
        noise = Noise()
        for plain, code in zip(exact, coded, strict=True):
            one = layer.run(tuple(plain[name] for name in layer.inputs), engine, Rule.ONNX)
            other = twin.run(tuple(code[name] for name in layer.inputs), operands, Rule.ONNX)
            for name, value, with_noise in zip(layer.outputs, one, other, strict=True):
                plain[name] = value
                code[name] = tensors[name].fake(with_noise) if name in tensors else with_noise
                if product:
                    noise.add(value, with_noise)
            for name in set(layer.inputs):
                if last[name] == index and name not in wanted:
                    del plain[name], code[name]
        if product:
            found[layer.name] = noise
    for name in wanted:
        found[name] = Noise()
        targets = [each[name] for each in exact] if reference is None else reference[name]
        for target, each in zip(targets, coded, strict=True):
            found[name].add(target, each[name])
    return found


def _first(layer: MultiplyAccumulate, values: Mapping[str, Array], engine: ExactEngine) -> Array:
    """Return the first operand as (groups, m, k)."""
    return layer.operands(tuple(values[name] for name in layer.inputs), engine.k_order)[0]


def _fake(grid: Grid | BlockGrid | None, values: Array, axis: int, taps: int = 1) -> Array:
    if grid is None:
        return values
    return grid.fake(values, axis, taps) if isinstance(grid, BlockGrid) else grid.fake(values)
