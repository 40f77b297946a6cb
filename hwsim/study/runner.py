# SPDX-License-Identifier: Apache-2.0
"""Run design points on dask.distributed into a store: as they come, none lost, none twice."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cost_models import Cost
from cost_models.store import key as content_key
from hwsim.study import tasks
from hwsim.study.cases import Case
from hwsim.study.cluster import check_workers, client_of, local_scheduler
from hwsim.study.evaluation import Evaluation, point_key, value_key
from hwsim.study.execution import Execution, LostError
from hwsim.study.machine import draft, needs_price, resolve_cost
from hwsim.study.plan import Plan
from hwsim.study.point import DesignPoint
from hwsim.study.progress import Failure, Progress
from hwsim.study.store import Store
from hwsim.study.tasks import Keyed

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
        For a number of workers below 1 or beside an address, other `costs`, or two cases of one name.
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
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ValueError(f"workers must be an int of at least 1, not {workers!r}")
        if workers is not None and scheduler is not None:
            raise ValueError("workers must be left out beside a scheduler's address, which has workers of its own")
        if costs not in {"known", "measured"}:
            raise ValueError(f"costs must be 'known' or 'measured', not {costs!r}")
        self.cases = dict(cases) if isinstance(cases, Mapping) else _by_name(cases)
        self.store = store if isinstance(store, Store) else Store(store)
        self.workers = workers or len(os.sched_getaffinity(0))
        self._scheduler = scheduler
        self._measured = costs == "measured"
        self._layers = layers
        self._stack = ExitStack()
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

    def connect(self) -> Any:
        """Return a client of the workers, started and checked at the first call."""
        if self._client is None:
            self._expected = tasks.fingerprint()
            address = self._scheduler or self._stack.enter_context(local_scheduler(self.workers))
            client = self._stack.enter_context(client_of(address, local=self._scheduler is None))
            self.workers = check_workers(client, self._expected)
            self._client = client
        return self._client

    def execution(self, plan: Plan) -> Execution:
        """Return what carries out a plan on the workers."""
        return Execution(
            self.connect(), plan, self.cases, self.store, expected=self._expected, layers=self._layers,
            workers=self.workers,
        )  # fmt: skip
