# SPDX-License-Identifier: Apache-2.0
"""One run of points on a cluster's workers: tasks out, results into the store within a second or two."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from cost_models import Cost
from hwsim.study.cases import Case
from hwsim.study.evaluation import Evaluation
from hwsim.sweeps import tasks
from hwsim.sweeps.plan import Plan, Task
from hwsim.sweeps.progress import Failure
from hwsim.sweeps.store import Store
from hwsim.sweeps.tasks import MismatchError

__all__ = [
    "Execution",
    "LostError",
]

_TICK_SECONDS = 0.2
_WRITE_SECONDS = 1.0
_COUNT_SECONDS = 5.0
_LONELY_SECONDS = 60.0
_AHEAD = 2  # tasks of a worker: one that runs, one that waits for it


class LostError(RuntimeError):
    """The scheduler or all workers are gone."""


class Execution:
    """Keeps the workers busy with a plan until all of it is in the store or given up.

    Value figures are written when they arrive, and before any point that depends on them is started; points are
    written at most once a second, and at the latest a second after they arrived.

    Parameters
    ----------
    client : distributed.Client
    plan : Plan
    cases : mapping of str to Case
    store : Store
    expected : mapping of str to str
        `hwsim.sweeps.tasks.fingerprint` of the client.
    layers : bool
        Whether layers are compared too.
    workers : int
        Those there are at the start.
    priced : callable
        Called with the key of a price and the `Cost` when it is in the store, to put its points into the plan.
    """

    def __init__(
        self, client: Any, plan: Plan, cases: Mapping[str, Case], store: Store, *, expected: Mapping[str, str],
        layers: bool, workers: int, priced: Callable[[str, Cost], None],
    ) -> None:  # fmt: skip
        self.plan = plan
        self.workers = workers
        self.failures: list[Failure] = []
        self._fresh: list[Evaluation] = []
        self.done = {"price": 0, "values": 0, "points": 0}
        self._client = client
        self._cases = cases
        self._sent: dict[str, Any] = {}
        self._store = store
        self._expected = expected
        self._layers = layers
        self._priced = priced
        self._landed: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        self._tasks: dict[str, tuple[Any, Task]] = {}  # the futures too: Dask forgets what nobody holds
        self._pending: list[Evaluation] = []
        self._written = time.monotonic()
        self._counted = self._seen = time.monotonic()

    def run(self, tell: Callable[[], None]) -> None:
        """Work until nothing is left, calling `tell` a few times a second.

        Raises
        ------
        LostError
            If the scheduler is lost, or no worker is left for a minute.
        MismatchError
            If a worker that came late is another version.
        """
        try:
            while self._fill():
                self._take()
                self._write(_WRITE_SECONDS)
                self._watch()
                tell()
        finally:
            self._finish()

    @property
    def untold(self) -> int:
        """How many points have come to the store since `take_fresh`."""
        return len(self._fresh)

    def take_fresh(self) -> list[Evaluation]:
        """Return what has come to the store since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _fill(self) -> bool:
        """Give out tasks until every worker has one ahead; return whether anything is in flight."""
        while len(self._tasks) < _AHEAD * self.workers:
            task = self.plan.next(self.workers, len(self._tasks))
            if task is None:
                break
            future = self._submit(task)
            self._tasks[future.key] = (future, task)
            future.add_done_callback(partial(_land, self._landed))
        return bool(self._tasks)

    def _submit(self, task: Task) -> Any:
        call: Callable[..., Any]
        given: tuple[Any, ...]
        if task.price is not None:
            call, given = tasks.measure_price, (task.price.unit, task.price.technology, task.price.pipeline)
        elif task.kind == "values":
            call, given = tasks.measure_values, (task.points[0], self._case(task), self._layers)
        else:
            call, given = tasks.evaluate_batch, (self.plan.batch(task), self._case(task), self._layers)
        return self._client.submit(call, *given, self._expected, key=f"{call.__name__}-{uuid4().hex}", pure=False)

    def _case(self, task: Task) -> Any:
        """Return a case on the cluster: sent to the scheduler once, which gives it to every worker that needs it."""
        network = task.points[0].point.network
        if network not in self._sent:
            key = f"case-{uuid4().hex}"
            self._sent[network] = self._client.submit(tasks.pass_on, self._cases[network], key=key, pure=False)
        return self._sent[network]

    def _take(self) -> None:
        """Wait for a result, and take all that there are."""
        try:
            self._arrive(*self._landed.get(timeout=_TICK_SECONDS))
            while True:
                self._arrive(*self._landed.get_nowait())
        except Empty:
            return

    def _arrive(self, future: Any, answer: Any) -> None:
        _, task = self._tasks.pop(future.key)
        if answer is not None:
            self._keep(task, *answer)
        elif future.status == "error":
            self._failed(task, future.exception())
        elif self._client.status == "running" and future.status not in {"cancelled", "lost"}:
            self.plan.again(task)  # its worker died before the result was fetched
        else:
            raise LostError("the scheduler is lost")

    def _keep(self, task: Task, result: Any, seconds: float) -> None:
        self._seen = time.monotonic()
        self.plan.timed(task, seconds)
        self.done[task.kind] += max(1, len(task.points))
        if task.price is not None:
            self._store.add_cost(task.price.key, result)
            self._priced(task.price.key, result)
        elif task.kind == "values":
            first = task.points[0]
            self._store.add_values(first.value_key, first.point.network, first.point.unit, result)
            self.plan.add_values(first.value_key, result)
        else:
            self._pending += result

    def _failed(self, task: Task, error: BaseException) -> None:
        """Try the points of a batch alone; give up one that failed alone."""
        if isinstance(error, MismatchError):
            raise error
        died = type(error).__name__ == "KilledWorker"
        if died and not task.alone:
            self.plan.suspect(task)
        elif len(task.points) > 1:
            self.plan.split(task)
        else:
            text = "its worker died again and again" if died else f"{type(error).__name__}: {error}"
            given_up = self.plan.give_up(task)
            self.failures += [Failure(point, text) for point in given_up]
            self._store.log("failed", points=[point.as_dict() for point in given_up], error=text)

    def _finish(self) -> None:
        """Write what has arrived, whatever else has happened."""
        while not self._landed.empty():
            future, answer = self._landed.get()
            if answer is not None:
                self._keep(self._tasks.pop(future.key)[1], *answer)
        self._write(0.0)

    def _write(self, age: float) -> None:
        """Write the points that arrived, if the last writing is so many seconds ago."""
        if self._pending and time.monotonic() - self._written >= age:
            self._store.add(self._pending)
            self._fresh += self._pending
            self._pending = []
            self._written = time.monotonic()

    def _watch(self) -> None:
        """Count the workers now and then; raise where the scheduler or all of them are gone."""
        if self._client.status != "running":
            raise LostError("the scheduler is lost")
        now = time.monotonic()
        if now - self._counted < _COUNT_SECONDS:
            return
        self._counted = now
        try:
            there = len(self._client.nthreads())
        except (OSError, CancelledError, TimeoutError):
            raise LostError("the scheduler is lost") from None
        if there:
            self._seen, self.workers = max(self._seen, now), there
        elif now - self._seen > _LONELY_SECONDS:
            raise LostError(f"no worker for {_LONELY_SECONDS:.0f} s")


def _land(landed: SimpleQueue[tuple[Any, Any]], future: Any) -> None:
    """Fetch a result in Dask's own thread, and hand it on; None where there is none."""
    answer = None
    try:
        if future.status == "finished":
            answer = future.result()
    finally:
        landed.put((future, answer))
