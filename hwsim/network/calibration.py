# SPDX-License-Identifier: Apache-2.0
"""Calibrate a float network: the range of the operands of each matrix product, on given inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.execution import ExactEngine, run
from hwsim.network.graph import Layer, Network

__all__ = [
    "calibrate",
]


class _RangeEngine(ExactEngine):
    """Float products in numpy, with the largest magnitudes of the operands remembered."""

    def __init__(self) -> None:
        self.ranges: dict[str, tuple[float, float]] = {}

    def matmul(self, layer: Layer, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if np.issubdtype(a.dtype, np.floating):
            seen = self.ranges.get(layer.name, (0.0, 0.0))
            here = (float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
            self.ranges[layer.name] = (max(seen[0], here[0]), max(seen[1], here[1]))
        return super().matmul(layer, a, b)


def calibrate(network: Network, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[float, float]]:
    """Run a network in float32 and return what its float products saw.

    Parameters
    ----------
    network : Network
    inputs : mapping of str to ndarray
        As for `run`; the images on which the scales are to be chosen.

    Returns
    -------
    dict of str to two floats
        By layer name, the largest magnitude of each operand (activations, weights) over all images.

    Raises
    ------
    TypeError, ValueError
        As `run`.
    """
    engine = _RangeEngine()
    run(network, inputs, engine=engine)
    return engine.ranges
