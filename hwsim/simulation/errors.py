# SPDX-License-Identifier: Apache-2.0
"""Where accuracy gets lost: every layer's output on the hardware beside the float network's, as both run."""

from math import inf, log10, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network import Engine, ExactEngine, Layer, Network, Rule
from hwsim.result import Difference, LayerError
from hwsim.simulation.float_network import FloatNetwork

__all__ = [
    "ErrorMeter",
]

Array = npt.NDArray[Any]


class ErrorMeter:
    """Run the float network beside the hardware's and compare each layer's outputs; a hook of `hwsim.network.run`.

    A tensor of the float network is dropped after its last reader, as the hardware's is.

    Parameters
    ----------
    network : Network
    engine : Engine
        The hardware's, on which each layer is run a second time, alone, on the float network's inputs.
    rule : Rule
    float_engine : ExactEngine, optional
        The float network's.
    """

    def __init__(self, network: Network, engine: Engine, rule: Rule, float_engine: ExactEngine | None = None) -> None:
        self._float = FloatNetwork(network, float_engine)
        self._engine, self._rule = engine, rule
        self._producer = {name: layer for layer in network.layers for name in layer.outputs}
        self._last = {name: layer.name for layer in network.layers for name in layer.inputs}
        self._values: dict[str, Array] = {}
        self._own: dict[str, tuple[Array, Array]] = {}  # of the layer at hand, alone: on the hardware, in float32
        self._accumulated: dict[str, _Sums] = {layer.name: _Sums() for layer in network.layers}
        self._alone: dict[str, _Sums] = {layer.name: _Sums() for layer in network.layers}

    @property
    def on_codes(self) -> tuple[str, ...]:
        """Layers whose float form is not known: they round in the float network too."""
        return self._float.on_codes

    def __call__(self, name: str, array: Array) -> None:
        """Take a tensor of the hardware's run: an input, or a layer's output, in order."""
        layer = self._producer.get(name)
        if layer is None:
            self._values[name] = self._float.values(name, array)
            return
        if name == layer.outputs[0]:
            self._advance(layer)
        self._accumulated[layer.name].add(self._float.values(name, array), self._values[name])
        self._alone[layer.name].add(*self._own.pop(name))
        if name == layer.outputs[-1]:
            for each in {*layer.inputs, *layer.outputs}:
                if self._last.get(each, layer.name) == layer.name:
                    del self._values[each]

    def errors(self) -> dict[str, LayerError]:
        """Return what was found, by layer."""
        return {
            name: LayerError(accumulated=sums.difference(), own=self._alone[name].difference())
            for name, sums in self._accumulated.items()
        }

    def _advance(self, layer: Layer) -> None:
        """Run a layer in float32; and alone, from the same codes, on the hardware and in float32."""
        values = tuple(self._values[name] for name in layer.inputs)
        wanted = self._float.run(layer, values)
        self._values.update(zip(layer.outputs, wanted, strict=True))
        codes = tuple(self._float.codes(name, value) for name, value in zip(layer.inputs, values, strict=True))
        made = layer.run(codes, self._engine, self._rule)
        if any(code is not value for code, value in zip(codes, values, strict=True)):
            rounded = tuple(self._float.values(name, code) for name, code in zip(layer.inputs, codes, strict=True))
            wanted = self._float.run(layer, rounded)
        for name, found, alone in zip(layer.outputs, made, wanted, strict=True):
            self._own[name] = (self._float.values(name, found), alone)


class _Sums:
    """What is added up of a tensor to compare it: powers, product and the largest difference."""

    def __init__(self) -> None:
        self.largest = self.signal = self.noise = self.other = self.product = 0.0

    def add(self, found: Array, wanted: Array) -> None:
        """Take in a portion of the images."""
        x, y = (np.asarray(each, np.float64).ravel() for each in (found, wanted))
        with np.errstate(invalid="ignore", over="ignore"):  # infinities and NaN are figures here: they end in none
            difference = np.where(x == y, 0.0, x - y)
            self.largest = float(np.maximum(self.largest, np.abs(difference).max(initial=0.0)))
            self.signal += float(np.square(y).sum())  # not by the BLAS, whose threads add in an order of their own
            self.noise += float(np.square(difference).sum())
            self.other += float(np.square(x).sum())
            self.product += float((x * y).sum())

    def difference(self) -> Difference:
        """Return the figures."""
        ratio = 0.0 < self.signal < inf and 0.0 < self.noise < inf
        angle = 0.0 < self.signal < inf and 0.0 < self.other < inf
        return Difference(
            max_abs=self.largest,
            sqnr_db=10 * log10(self.signal / self.noise) if ratio else None,
            cosine=self.product / (sqrt(self.signal) * sqrt(self.other)) if angle else None,
        )
