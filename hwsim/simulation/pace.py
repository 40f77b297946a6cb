# SPDX-License-Identifier: Apache-2.0
"""How far a run is, and how long the rest will take."""

from collections.abc import Callable, Iterator
from itertools import accumulate, count
from time import monotonic
from typing import TYPE_CHECKING, Any

from hwsim.network import Network

if TYPE_CHECKING:
    from hwsim.network.checkpoint import Checkpoint

__all__ = [
    "Pace",
]

_SURE_SECONDS = 5.0  # before which a share says little of the rest


class Pace:
    """Say what a run does: a layer's name and, after some seconds, the share that is done and the time left.

    The time left is that of the multiply-accumulates to come, at the pace of those done.

    Parameters
    ----------
    network : Network
    images : int
        How many there are in all.
    say : callable
        Takes each line.
    resume : Checkpoint, optional
        What is finished in it is not to come.
    """

    def __init__(
        self, network: Network, images: int, say: Callable[[str], None], resume: "Checkpoint | None" = None
    ) -> None:
        shapes = (layer.matmul_shape(network.specs(layer)) for layer in network.layers)
        macs = [0 if shape is None else shape.macs for shape in shapes]
        self._network, self._images, self._say, self._resume = network, images, say, resume
        self._work = dict(zip((layer.name for layer in network.layers), macs, strict=True))
        self._until = [0, *accumulate(macs)]
        self._passes = 1.0  # that go through at once
        self._before: list[int] | None = None  # work of a pass that was finished earlier, portion by portion
        self._done = 0.0
        self._at = ""
        self._start = monotonic()

    def took(self, tensor: str, array: Any) -> None:
        """Take note of a tensor of the run, for how many images go through at once."""
        spec = self._network.tensors[tensor]
        if spec.shape and spec.shape[0] and array.shape:
            self._passes = array.shape[0] / spec.shape[0]

    def begins(self, layer: str) -> None:
        """Say that a layer's product begins; the one before is done."""
        if self._before is None:
            self._before = [] if self._resume is None else list(self._finished(self._resume))
        self._done += self._work.get(self._at, 0) * self._passes
        self._at = layer
        self._say(f"{layer}{self._rest(sum(self._before) * self._passes)}")

    def _finished(self, resume: "Checkpoint") -> Iterator[int]:
        for portion in count():
            layers = resume.finished(portion)
            if not layers:
                return
            yield self._until[layers]

    def _rest(self, before: float) -> str:
        passed = monotonic() - self._start
        total = self._until[-1] * self._images / self._network.batch
        if passed < _SURE_SECONDS or not self._done:
            return ""
        share = min((before + self._done) / total, 1.0)
        left = passed * max(total - before - self._done, 0.0) / self._done
        return f" ({100 * share:.0f} % done, about {_duration(left)} left)"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
