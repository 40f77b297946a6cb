# SPDX-License-Identifier: Apache-2.0
"""What a sweep still has to do, and in which portions: prices, value figures a key, batches of points."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any, Literal, NamedTuple

from cost_models import Cost
from hwsim.study.point import DesignPoint
from hwsim.sweeps.tasks import Batch, Keyed

__all__ = [
    "Plan",
    "PriceTask",
    "Task",
]

_BATCH_SECONDS = 0.5
"""What a batch should take: long beside the few ms that a task costs, short, for a worker's death loses it."""
_LARGEST_BATCH = 256
_FIRST_BATCH = 4
_REMEMBERED = 64


class PriceTask(NamedTuple):
    """A unit to be measured, and the key of the price in a store."""

    key: str
    unit: str
    technology: str
    pipeline: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Task:
    """Work for one worker: a price, the value figures of one point's key, or a batch of points of one network."""

    kind: Literal["price", "values", "points"] = "points"
    points: tuple[Keyed, ...] = ()
    price: PriceTask | None = None
    alone: bool = False


@dataclass(slots=True, kw_only=True)
class Plan:
    """The points of a run that the store does not have, with the prices and value figures that they need.

    A point is handed out after its price and its value figures have arrived. A task that killed its workers comes back
    (`suspect`), is taken apart, and runs with nothing beside it, so that what dies then is what kills.

    Attributes
    ----------
    values : dict
        Value figures by key; more as they arrive.
    costs : dict
        Prices by the points' `cost_key`; more as they arrive.
    """

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    costs: dict[str, Cost | None] = field(default_factory=dict)
    prices: deque[PriceTask] = field(default_factory=deque)
    unpriced: dict[str, list[DesignPoint]] = field(default_factory=lambda: defaultdict(list))
    missing: deque[Keyed] = field(default_factory=deque)
    waiting: dict[str, list[Keyed]] = field(default_factory=lambda: defaultdict(list))
    ready: dict[str, deque[Keyed]] = field(default_factory=lambda: defaultdict(deque))
    single: deque[Task] = field(default_factory=deque)
    suspects: deque[Task] = field(default_factory=deque)
    prices_total: int = 0
    values_total: int = 0
    _seconds: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_REMEMBERED)))

    def add(self, keyed: Keyed) -> None:
        """Add a point whose price is known; without a value key, it needs no value figures."""
        if not keyed.value_key or keyed.value_key in self.values:
            self.ready[keyed.point.network].append(keyed)
            return
        if keyed.value_key not in self.waiting:
            self.missing.append(keyed)
            self.values_total += 1
        self.waiting[keyed.value_key].append(keyed)

    def add_unpriced(self, point: DesignPoint, price: PriceTask) -> None:
        """Add a point whose unit is to be measured first."""
        if price.key not in self.unpriced:
            self.prices.append(price)
            self.prices_total += 1
        self.unpriced[price.key].append(point)

    def add_values(self, value_key: str, figures: dict[str, Any]) -> None:
        """Take value figures: the points that waited for them are ready."""
        self.values[value_key] = figures
        for keyed in self.waiting.pop(value_key):
            self.ready[keyed.point.network].append(keyed)

    def give_up(self, task: Task) -> list[DesignPoint]:
        """Return the points that cannot be evaluated without what a task of theirs should have brought."""
        if task.price is not None:
            return self.unpriced.pop(task.price.key)
        gone = self.waiting.pop(task.points[0].value_key) if task.kind == "values" else task.points
        return [keyed.point for keyed in gone]

    def split(self, task: Task) -> None:
        """Take a batch apart in which a point raised: the others are to arrive."""
        self.single.extend(Task(points=(keyed,)) for keyed in task.points)

    def suspect(self, task: Task) -> None:
        """Put a task last, each of its points alone."""
        if task.price is not None:
            self.suspects.append(Task(kind="price", price=task.price, alone=True))
        self.suspects.extend(Task(kind=task.kind, points=(keyed,), alone=True) for keyed in task.points)

    def again(self, task: Task) -> None:
        """Put back a task whose result is gone."""
        (self.suspects if task.alone else self.single).appendleft(task)

    def next(self, workers: int, in_flight: int) -> Task | None:
        """Return the next task, or None where nothing can be started now.

        What takes longest comes first, for a long task at the end leaves the other workers idle.
        """
        if self.prices:
            return Task(kind="price", price=self.prices.popleft())
        if self.missing:
            return Task(kind="values", points=(self.missing.popleft(),))
        if self.single:
            return self.single.popleft()
        for points in self.ready.values():
            if points:
                count = min(self._batch(workers), len(points))
                return Task(points=tuple(points.popleft() for _ in range(count)))
        if self.suspects and not in_flight:
            return self.suspects.popleft()
        return None

    def batch(self, task: Task) -> Batch:
        """Return what a worker needs for a task of points, each price and each value figure once."""
        values = {keyed.value_key: self.values[keyed.value_key] for keyed in task.points if keyed.value_key}
        costs = {keyed.cost_key: self.costs[keyed.cost_key] for keyed in task.points}
        return Batch(points=task.points, values=values, costs=costs)

    def timed(self, task: Task, seconds: float) -> None:
        """Remember how long a task took."""
        self._seconds[task.kind].append(seconds / max(1, len(task.points)))

    def seconds_left(self, left: Mapping[str, int], workers: int) -> float | None:
        """Return an estimate for so many tasks or points of each kind; None where nothing of a kind is known yet."""
        wanted = {kind: count for kind, count in left.items() if count}
        if not all(self._seconds[kind] for kind in wanted):
            return None
        return sum(count * _mean(self._seconds[kind]) for kind, count in wanted.items()) / max(workers, 1)

    def _batch(self, workers: int) -> int:
        """Points of a batch: by the time they take, and fewer towards the end so that all workers end together."""
        times = self._seconds["points"]
        if not times:
            return _FIRST_BATCH
        by_time = max(1, round(_BATCH_SECONDS / max(median(times), 1e-6)))
        left = sum(map(len, self.ready.values())) + sum(map(len, self.waiting.values()))
        return min(by_time, _LARGEST_BATCH, max(1, ceil(left / (3 * max(workers, 1)))))


def _mean(times: Iterable[float]) -> float:
    held = list(times)
    return sum(held) / len(held)
