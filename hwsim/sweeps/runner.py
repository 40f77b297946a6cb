# SPDX-License-Identifier: Apache-2.0
"""Run design points on dask.distributed into a store: as they come, none lost, none twice."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cost_models import Cost
from hwsim.study.cases import Case
from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint
from hwsim.sweeps import tasks
from hwsim.sweeps.cluster import check_address, check_workers, client_of, distributed, local_scheduler
from hwsim.sweeps.execution import Execution, LostError
from hwsim.sweeps.keying import Keyring
from hwsim.sweeps.plan import Plan
from hwsim.sweeps.progress import Failure, Progress
from hwsim.sweeps.store import Store

__all__ = [
    "Failure",
    "Progress",
    "Result",
    "Runner",
    "run",
]

_TELL_SECONDS = 0.25
Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run found.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        In the order of the points asked for, each once, without those that failed; those refused are among them.
    failures : tuple of Failure
    earlier : int
        How many were in the store before.
    """

    evaluations: tuple[Evaluation, ...]
    failures: tuple[Failure, ...]
    earlier: int


class Runner:
    """Evaluates points with one store and one set of workers; use it in a ``with`` statement.

    Workers are started, or the cluster is asked, when the first point is not in the store.

    Parameters
    ----------
    cases : mapping of str to Case, or iterable of Case
        What the points' networks are.
    store : path or Store
    scheduler : str, optional
        Address of a Dask scheduler (``tcp://host:8786``), whose workers have this hwsim; without one, processes of
        this machine, one thread each, that end with this one.
    workers : int, optional
        Local processes; the processor's cores unless given.
    costs : "known" or "measured"
        Whether units that nobody has measured are synthesized on the workers, or have fitted prices.
    layers : bool
        Whether each layer's outputs are compared with float32's too, which takes about twice the time.

    Raises
    ------
    ModuleNotFoundError
        Without dask.distributed or pyarrow (``pip install 'hwsim[sweep]'``).
    ValueError
        For a number of workers below 1 or beside an address, what is no address, other `costs`, or two cases of one
        name.
    """

    def __init__(
        self,
        cases: Mapping[str, Case] | Iterable[Case],
        store: str | Path | Store,
        *,
        scheduler: str | None = None,
        workers: int | None = None,
        costs: Literal["known", "measured"] = "known",
        layers: bool = True,
    ) -> None:
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ValueError(f"workers must be an int of at least 1, not {workers!r}")
        if workers is not None and scheduler is not None:
            raise ValueError("workers must be left out beside a scheduler's address, which has workers of its own")
        if scheduler is not None:
            check_address(scheduler)
        if costs not in {"known", "measured"}:
            raise ValueError(f"costs must be 'known' or 'measured', not {costs!r}")
        self.cases = dict(cases) if isinstance(cases, Mapping) else _by_name(cases)
        self.store = store if isinstance(store, Store) else Store(store)
        self.workers = workers or len(os.sched_getaffinity(0))
        self._scheduler = scheduler
        self.measured = costs == "measured"
        self.layers = layers
        self._stack = ExitStack()
        self._address: Callable[[], str]
        self._prepared = False
        self._client: Any = None
        self._expected: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None:
            self.store.compact()

    def run(self, points: Iterable[DesignPoint], progress: Tell = lambda progress: None) -> Result:
        """Evaluate the points that are not in the store, and return them all.

        Parameters
        ----------
        points : iterable of DesignPoint
        progress : callable
            Called with a `Progress` a few times a second, in this thread.

        Raises
        ------
        KeyboardInterrupt, RuntimeError
            If it is interrupted, the scheduler or all workers are lost, or a worker is another version: the message
            says how much is kept and how to go on.
        LookupError
            If there is no case of a point's network.
        ValueError
            If the store is damaged.
        """
        asked = list(dict.fromkeys(points))
        for point in asked:
            if point.network not in self.cases:
                raise LookupError(f"no case {point.network!r}; there are {', '.join(self.cases)}")
        run = _Run(self, asked, progress)
        try:
            return run.result()
        except (LostError, tasks.MismatchError) as error:
            text = self._kept(f"{error}", run)
            self.store.log("stopped", why=text)
            raise RuntimeError(text) from None
        except KeyboardInterrupt:
            text = self._kept("interrupted", run)
            self.store.log("stopped", why=text)
            raise KeyboardInterrupt(text) from None

    def _kept(self, why: str, run: "_Run") -> str:
        where = f" at {self._scheduler}" if self._scheduler is not None and "scheduler" in why else ""
        return (
            f"{why}{where}: {run.done} of {len(run.asked)} points are kept in {str(self.store.path)!r}; run the same "
            "again to go on from there"
        )

    def prepare(self) -> None:
        """Start local workers, without waiting for them; once."""
        if self._client is None and not self._prepared:
            distributed()
            self._prepared = True
            if self._scheduler is None:
                self._address = self._stack.enter_context(local_scheduler(self.workers))

    def execution(self, plan: Plan, priced: Callable[[str, Cost], None]) -> Execution:
        """Return what carries out a plan on the workers, which are started and checked at the first call."""
        if self._client is None:
            self._expected = tasks.fingerprint()
            self.prepare()
            address = self._address() if self._scheduler is None else self._scheduler
            client = self._stack.enter_context(client_of(address, local=self._scheduler is None))
            self.workers = check_workers(client, self._expected)
            self._client = client
        return Execution(
            self._client, plan, self.cases, self.store, expected=self._expected, layers=self.layers,
            workers=self.workers, priced=priced,
        )  # fmt: skip


class _Run:
    """One call of `Runner.run`: keys, what the store has, and the rest on the workers."""

    def __init__(self, runner: Runner, asked: Sequence[DesignPoint], tell: Tell) -> None:
        self.asked = asked
        self._runner = runner
        self._tell_to = tell
        self._began = self._told = time.monotonic()
        self._plan = Plan()
        self._ring = Keyring(runner.cases, runner.layers, runner.store.costs() if runner.measured else None)
        self._there: set[str] = set()
        self._keys: dict[DesignPoint, str] = {}
        self._unpriced: dict[str, str] = {}
        self._known: dict[str, Evaluation] = {}
        self._refused = 0
        self._work: Execution | None = None

    @property
    def done(self) -> int:
        """Points in the store, of those asked for."""
        return len(self._known) + (0 if self._work is None else self._work.untold)

    def result(self) -> Result:
        """Do all of it."""
        runner, plan = self._runner, self._plan
        self._there = runner.store.keys("points")
        plan.values, plan.costs = runner.store.values(), self._ring.costs
        for point in self.asked:
            name, price = self._ring.price(point)
            if price is None:
                self._add(point, name)
            else:
                self._unpriced[price.key] = name
                plan.add_unpriced(point, price)
        known = self._there.intersection(self._keys.values())
        self._take(runner.store.evaluations(known) if known else [])
        earlier = len(self._known)
        failures: tuple[Failure, ...] = ()
        if earlier < len(self.asked):
            self._tell(earlier, force=True)
            self._work = runner.execution(plan, self._priced)
            runner.store.log("started", points=len(self.asked), earlier=earlier, workers=self._work.workers)
            self._work.run(lambda: self._tell(earlier))
            failures = tuple(self._work.failures)
            runner.store.log("finished", points=self.done, failed=len(failures), seconds=round(self._seconds, 1))
        self._tell(earlier, force=True)
        found = tuple(self._known[self._keys[point]] for point in self.asked if self._keys.get(point) in self._known)
        return Result(evaluations=found, failures=failures, earlier=earlier)

    def _add(self, point: DesignPoint, name: str) -> None:
        """Plan a point whose price is known, unless the store has it."""
        keyed = self._ring.keyed(point, name)
        self._keys[point] = keyed.key
        if keyed.key not in self._there:
            self._runner.prepare()
            self._plan.add(keyed)

    def _priced(self, key: str, cost: Cost) -> None:
        """Plan the points whose unit has been measured."""
        name = self._unpriced[key]
        self._ring.add(name, cost)
        points = self._plan.unpriced.pop(key)
        for point in points:
            self._add(point, name)

    def _take(self, evaluations: Iterable[Evaluation]) -> None:
        for each in evaluations:
            self._known[each.key] = each
            self._refused += bool(each.refused)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _tell(self, earlier: int, *, force: bool = False) -> None:
        """Tell how far the run is, a few times a second."""
        now = time.monotonic()
        if not force and now - self._told < _TELL_SECONDS:
            return
        self._told = now
        work, plan = self._work, self._plan
        fresh = tuple(work.take_fresh()) if work is not None else ()
        self._take(fresh)
        counts = {"price": 0, "values": 0, "points": 0} if work is None else work.done
        done, failed = len(self._known), 0 if work is None else len(work.failures)
        left = {
            "price": plan.prices_total - counts["price"],
            "values": plan.values_total - counts["values"],
            "points": len(self.asked) - done - failed,
        }
        workers = self._runner.workers if work is None else work.workers
        self._tell_to(
            Progress(
                stage="starting" if work is None and left["points"] else "prices" if left["price"] else "points",
                done=done, total=len(self.asked), earlier=earlier, refused=self._refused, failed=failed,
                values_done=counts["values"], values_total=plan.values_total,
                prices_done=counts["price"], prices_total=plan.prices_total,
                workers=workers, seconds=self._seconds,
                rate=(done - earlier) / self._seconds if done > earlier else None,
                seconds_left=plan.seconds_left(left, workers), fresh=fresh,
            )
        )  # fmt: skip


def _by_name(cases: Iterable[Case]) -> dict[str, Case]:
    held = list(cases)
    named = {case.name: case for case in held}
    if len(named) < len(held):
        raise ValueError(f"cases must have names of their own, not {', '.join(case.name for case in held)}")
    return named


def run(
    points: Iterable[DesignPoint],
    cases: Mapping[str, Case] | Iterable[Case],
    store: str | Path | Store,
    *,
    progress: Tell = lambda progress: None,
    **options: Any,
) -> Result:
    """Evaluate points into a store; `options` are those of `Runner`, and what it and its `run` raise is raised."""
    with Runner(cases, store, **options) as runner:
        return runner.run(points, progress)
