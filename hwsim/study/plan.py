# SPDX-License-Identifier: Apache-2.0
"""What a sweep still has to do, and in which portions: prices, value figures a key, batches of points."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any

from cost_models import Cost
from hwsim.study.tasks import Batch, Keyed

__all__ = [
    "Plan",
    "Task",
]

_BATCH_SECONDS = 0.5
"""What a batch should take: long beside the 5 ms that a task costs, short enough that little is lost with a worker."""
_LARGEST_BATCH = 256
_FIRST_BATCH = 4
_REMEMBERED = 64


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Work for one worker: the value figures of one point's key, or a batch of points of one network."""

    points: tuple[Keyed, ...]
    is_values: bool = False
    alone: bool = False

    @property
    def network(self) -> str:
        """The case that it needs."""
        return self.points[0].point.network


@dataclass(slots=True)
class Plan:
    """The points of a run that the store does not have, the value figures and prices they need.

    `values` grows as value figures arrive (`add_values`); a point is handed out after its own. A task that killed its
    workers comes back (`suspect`), is taken apart, and runs with nothing beside it, so that what dies then is what
    kills.
    """

    values: dict[str, dict[str, Any]]
    costs: Mapping[str, Cost | None]
    missing: deque[Keyed] = field(default_factory=deque)
    waiting: dict[str, list[Keyed]] = field(default_factory=lambda: defaultdict(list))
    ready: dict[str, deque[Keyed]] = field(default_factory=lambda: defaultdict(deque))
    suspects: deque[Task] = field(default_factory=deque)
    single: deque[Task] = field(default_factory=deque)
    point_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    values_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    values_total: int = 0
    in_flight: int = 0

    def add(self, points: Iterable[Keyed]) -> None:
        """Add points to be evaluated."""
        for keyed in points:
            if keyed.value_key in self.values:
                self.ready[keyed.point.network].append(keyed)
                continue
            if keyed.value_key not in self.waiting:
                self.missing.append(keyed)
                self.values_total += 1
            self.waiting[keyed.value_key].append(keyed)

    def add_values(self, value_key: str, figures: dict[str, Any]) -> None:
        """Take value figures: the points that waited for them are ready."""
        self.values[value_key] = figures
        for keyed in self.waiting.pop(value_key):
            self.ready[keyed.point.network].append(keyed)

    def drop(self, value_key: str) -> list[Keyed]:
        """Return the points of value figures that cannot be had, which are given up."""
        return self.waiting.pop(value_key)

    def timed(self, task: Task, seconds: float) -> None:
        """Remember how long a task took."""
        times = self.values_seconds if task.is_values else self.point_seconds
        times.append(seconds / len(task.points))

    def split(self, task: Task) -> None:
        """Take a batch apart in which a point raised: the others are to arrive."""
        self.single.extend(Task((keyed,)) for keyed in task.points)

    def again(self, task: Task) -> None:
        """Put back a task whose result is gone."""
        if task.alone:
            self.suspects.append(task)
        elif task.is_values:
            self.missing.appendleft(task.points[0])
        else:
            self.ready[task.network].extendleft(reversed(task.points))

    def suspect(self, task: Task) -> None:
        """Put a task last, each of its points alone."""
        self.suspects.extend(Task((keyed,), task.is_values, alone=True) for keyed in task.points)

    def next(self, workers: int) -> Task | None:
        """Return the next task, or None where nothing can be started now.

        Value figures come first, for they take longest, and a long task at the end leaves the other workers idle.
        """
        if self.missing:
            return Task((self.missing.popleft(),), is_values=True)
        if self.single:
            return self.single.popleft()
        for points in self.ready.values():
            if points:
                count = min(self._batch(workers), len(points))
                return Task(tuple(points.popleft() for _ in range(count)))
        if self.suspects and not self.in_flight:
            return self.suspects.popleft()
        return None

    def batch(self, task: Task) -> Batch:
        """Return what a worker needs for a task of points, each price and each value figure once."""
        values = {keyed.value_key: self.values[keyed.value_key] for keyed in task.points}
        costs = {keyed.cost_key: self.costs[keyed.cost_key] for keyed in task.points}
        return Batch(points=task.points, values=values, costs=costs)

    def seconds_left(self, points: int, values: int, workers: int) -> float | None:
        """Return an estimate from what tasks took so far; None where nothing of a kind is known yet."""
        if (points and not self.point_seconds) or (values and not self.values_seconds):
            return None
        total = points * _mean(self.point_seconds) + values * _mean(self.values_seconds)
        return total / max(workers, 1)

    def _batch(self, workers: int) -> int:
        """Points of a batch: by the time they take, and smaller towards the end so that all workers end together."""
        if not self.point_seconds:
            return _FIRST_BATCH
        by_time = max(1, round(_BATCH_SECONDS / max(median(self.point_seconds), 1e-6)))
        left = sum(map(len, self.ready.values())) + sum(map(len, self.waiting.values()))
        return min(by_time, _LARGEST_BATCH, max(1, ceil(left / (3 * max(workers, 1)))))


def _mean(times: Iterable[float]) -> float:
    held = list(times)
    return sum(held) / len(held) if held else 0.0
