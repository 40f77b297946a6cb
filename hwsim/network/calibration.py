# SPDX-License-Identifier: Apache-2.0
"""Calibrate a float network: the range of the operands of each matrix product, on given inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.execution import ExactEngine, run
from hwsim.network.graph import Layer, Network
from hwsim.network.tensor_files import release

__all__ = [
    "calibrate",
]

_AT_ONCE = 1 << 23  # elements looked at


class _RangeEngine(ExactEngine):
    """Products of another engine, with the largest magnitudes of float operands remembered."""

    def __init__(self, inner: ExactEngine) -> None:
        self._inner = inner
        self.ranges: dict[str, tuple[float, float]] = {}

    def matmul(self, layer: Layer, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if np.issubdtype(a.dtype, np.floating):
            seen = self.ranges.get(layer.name, (0.0, 0.0))
            here = (_largest(a), _largest(b))
            self.ranges[layer.name] = (max(seen[0], here[0]), max(seen[1], here[1]))
        return self._inner.matmul(layer, a, b)


def _largest(values: npt.NDArray[Any]) -> float:
    """Return the largest magnitude, without an array of all of them, or all of a mapped one, in memory."""
    found = 0.0
    columns = values.shape[-1]
    step = max(1, _AT_ONCE * columns // max(values.size, 1))
    for start in range(0, columns, step):
        part = values[..., start : start + step]
        found = float(np.max([found, float(part.max(initial=0)), -float(part.min(initial=0))]))  # NaN, if there is one
        if step < columns:
            release(values)
    return found


def calibrate(
    network: Network, inputs: Mapping[str, npt.NDArray[Any]], *, engine: ExactEngine | None = None
) -> dict[str, tuple[float, float]]:
    """Run a network in float32 and return what its float products saw.

    Parameters
    ----------
    network : Network
    inputs : mapping of str to ndarray
        As for `run`; the images on which the scales are to be chosen.
    engine : ExactEngine, optional
        What multiplies; `ExactEngine` unless given, `SteadyEngine` for the same ranges on other machines.

    Returns
    -------
    dict of str to two floats
        By layer name, the largest magnitude of each operand (activations, weights) over all images.

    Raises
    ------
    TypeError, ValueError
        As `run`.
    """
    ranging = _RangeEngine(ExactEngine() if engine is None else engine)
    run(network, inputs, engine=ranging)
    return ranging.ranges
