# SPDX-License-Identifier: Apache-2.0
"""How much a network suffers when one layer has a format: measured layer by layer, or estimated from curvature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim import formats
from hwsim.accelerator.scales import slice_scales, tensor_scale
from hwsim.allocation.candidates import Candidate, MixedEngine, product_layers
from hwsim.formats import BlockSpec
from hwsim.network import ExactEngine, Layer, Network, calibrate, run
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "Loss",
    "Probe",
    "Sensitivities",
    "estimate_sensitivities",
    "measure_sensitivities",
]

Array = npt.NDArray[Any]
Progress = Callable[[str], None]


class Loss(Enum):
    """What a format costs in accuracy, over all images of the calibration set.

    KL: the mean Kullback-Leibler divergence, in nats, of the network's class probabilities from the float network's;
    the softmax of the first output, or that output itself where each row of it is a distribution already.
    NOISE: the squared error of all outputs over the squares of the float network's.
    """

    KL = "kl"
    NOISE = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivities:
    """Losses by layer (rows) and format (columns), each with every other layer in float32."""

    layers: tuple[str, ...]
    formats: tuple[str, ...]
    values: npt.NDArray[np.float64]


class Probe:
    """A float network with its calibration set: runs it with formats on some layers, and says what that costs.

    Parameters
    ----------
    network : Network
        Of float32.
    candidates : sequence of Candidate
    inputs : mapping of str to ndarray
        The calibration set: scales are chosen on it, and losses taken.
    loss : Loss or str
    """

    def __init__(
        self, network: Network, candidates: Sequence[Candidate], inputs: Mapping[str, Array], loss: Loss | str = "kl"
    ) -> None:
        self.network = network
        self.candidates = tuple(candidates)
        self.inputs = inputs
        self.loss = Loss(loss)
        self.layers = tuple(product_layers(network))
        self.ranges = calibrate(network, inputs)
        self._wanted = run(network, inputs)
        self._known: dict[tuple[tuple[str, str], ...], float] = {}

    def measure(self, assignment: Mapping[str, str]) -> float:
        """Return the loss with formats on some layers, the others in float32: every product on its own unit."""
        key = tuple(sorted(assignment.items()))
        if key not in self._known:
            engine = MixedEngine(self.candidates, self.ranges, assignment)
            self._known[key] = self.distance(run(self.network, self.inputs, engine=engine))
        return self._known[key]

    def outputs(self, assignment: Mapping[str, str], inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs on other inputs."""
        return run(self.network, inputs, engine=MixedEngine(self.candidates, self.ranges, assignment))

    def loss_on(self, assignment: Mapping[str, str], inputs: Mapping[str, Array]) -> float:
        """Return the loss on other inputs, as held-out images; the scales are those of the calibration set."""
        return self.distance(self.outputs(assignment, inputs), run(self.network, inputs))

    def distance(self, outputs: Mapping[str, Array], wanted: Mapping[str, Array] | None = None) -> float:
        """Return the loss of outputs against the float network's: those on the calibration set unless given."""
        exact = self._wanted if wanted is None else wanted
        if self.loss is Loss.NOISE:
            signal = sum(float(np.square(value.astype(np.float64)).sum()) for value in exact.values())
            noise = sum(
                float(np.square(outputs[name].astype(np.float64) - value).sum()) for name, value in exact.items()
            )
            return noise / signal if signal else noise
        name = self.network.outputs[0].name
        p, q = _log_probabilities(exact[name]), _log_probabilities(outputs[name])
        return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def measure_sensitivities(probe: Probe, progress: Progress = lambda text: None) -> Sensitivities:
    """Measure the loss of each format on each layer alone; negative ones (of rounding in luck) count as 0."""
    values = np.zeros((len(probe.layers), len(probe.candidates)))
    for row, layer in enumerate(probe.layers):
        for column, each in enumerate(probe.candidates):
            progress(f"sensitivity of {layer} to {each.name}")
            values[row, column] = max(probe.measure({layer: each.name}), 0.0)
    return Sensitivities(layers=probe.layers, formats=tuple(each.name for each in probe.candidates), values=values)


def estimate_sensitivities(
    probe: Probe, *, size: float = 1e-2, draws: int = 4, seed: int = 0, progress: Progress = lambda text: None
) -> Sensitivities:
    """Estimate the losses from each layer's curvature: one figure a layer in place of one a layer and format.

    The mean curvature along random directions z of unit variance, c = 2 mean(loss(W + e z)) / e**2 (the trace of the
    Hessian, Hutchinson's estimator by finite differences), e = `size` times the root mean square of W; then the loss of
    a format is c / (2 n) * |Q(W) - W|**2 (HAWQ-V3's perturbation, arXiv:2011.10680, equation 7, with HAWQ-V2's trace).
    Errors of activations are not seen.

    Parameters
    ----------
    probe : Probe
    size : float
        Of a perturbation, above 0.
    draws : int
        Directions a layer.
    seed : int
    progress : callable
        Is told each layer.
    """
    if not size > 0:
        raise ValueError(f"size must be above 0, not {size!r}")
    generator = np.random.default_rng(seed)
    values = np.zeros((len(probe.layers), len(probe.candidates)))
    for row, name in enumerate(probe.layers):
        progress(f"curvature of {name}")
        layer = probe.network.layer(name)
        assert isinstance(layer, MultiplyAccumulate)
        if layer.weight is None:
            raise ValueError(f"layer {name!r} has no weights to be perturbed: measure the sensitivities")
        step = size * float(np.sqrt(np.mean(np.square(layer.weight)))) or size
        losses = [
            probe.distance(run(probe.network, probe.inputs, engine=_Perturbed(name, step, generator)))
            for _ in range(draws)
        ]
        curvature = 2 * max(float(np.mean(losses)), 0.0) / step**2  # of all weights moved at once: the trace
        for column, each in enumerate(probe.candidates):
            error = _rounding_error(each, layer, probe.ranges[name][1])
            values[row, column] = curvature / (2 * layer.weight.size) * error
    return Sensitivities(layers=probe.layers, formats=tuple(each.name for each in probe.candidates), values=values)


class _Perturbed(ExactEngine):
    """Float products with noise on one layer's weights, the same for all images."""

    def __init__(self, layer: str, step: float, generator: np.random.Generator) -> None:
        self._layer = layer
        self._step = step
        self._generator = generator
        self._noise: Array | None = None

    def matmul(self, layer: Layer, a: Array, b: Array) -> Array:
        if layer.name == self._layer:
            if self._noise is None:
                self._noise = (self._step * self._generator.standard_normal(b.shape)).astype(np.float32)
            b = b + self._noise
        return super().matmul(layer, a, b)


def _rounding_error(candidate: Candidate, layer: MultiplyAccumulate, largest: float) -> float:
    """Return the squared error of a layer's weights in a format, with the scales of `UnitEngine`."""
    weight = layer.weight
    assert weight is not None
    columns = weight.reshape(weight.shape[0], -1).T if layer.kind == "conv" else weight.reshape(-1, weight.shape[-1])
    spec = candidate.unit.b
    scale = tensor_scale(spec, largest) if isinstance(spec, BlockSpec) else slice_scales(spec, columns, 0)
    found = formats.quantize(columns, spec, 0, scale=scale)
    return float(np.square(found.dequantize() - columns).sum())


def _log_probabilities(outputs: Array) -> npt.NDArray[np.float64]:
    """Return logarithms of probabilities, rows over the last axis."""
    rows = outputs.reshape(outputs.shape[0], -1).astype(np.float64)
    if (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        return np.asarray(np.log(np.maximum(rows, 1e-12)))
    rows = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(rows - np.log(np.exp(rows).sum(axis=1, keepdims=True)))
