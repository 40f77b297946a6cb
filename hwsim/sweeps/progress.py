# SPDX-License-Identifier: Apache-2.0
"""What a sweep tells while it runs."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint

__all__ = [
    "Failure",
    "Progress",
]


class Failure(NamedTuple):
    """A point that was given up for another reason than its own figures; it is not in the store."""

    point: DesignPoint
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage : "starting", "prices" or "points"
        Workers are started; units are measured; networks run and points are evaluated.
    done, total : int
        Points in the store, of those asked for.
    earlier : int
        Those of `done` that were there before this run.
    refused : int
        Those of `done` that cannot be.
    failed : int
        Points that were given up.
    values_done, values_total : int
        Networks run on a unit for value figures, of those that this run needs.
    prices_done, prices_total : int
        Units measured, of those that this run needs.
    workers : int
        Worker processes.
    seconds : float
        Since the start.
    rate : float or None
        Points a second, of this run.
    seconds_left : float or None
        What is left by what points and networks took so far; None until both are known, and while units are measured.
    fresh : tuple of Evaluation
        What came since the last call.
    """

    stage: Literal["starting", "prices", "points"]
    done: int
    total: int
    earlier: int
    refused: int
    failed: int
    values_done: int
    values_total: int
    prices_done: int
    prices_total: int
    workers: int
    seconds: float
    rate: float | None
    seconds_left: float | None
    fresh: tuple[Evaluation, ...] = ()
