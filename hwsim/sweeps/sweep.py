# SPDX-License-Identifier: Apache-2.0
"""Run a study into a store, or say first what that takes."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from hwsim.study.cases import Case
from hwsim.study.checks import check_point
from hwsim.study.evaluation import Evaluation, evaluate, value_figures, value_key
from hwsim.study.machine import draft
from hwsim.study.point import DesignPoint
from hwsim.study.quantities import QUANTITIES
from hwsim.study.version import model_version
from hwsim.sweeps.keying import Keyring
from hwsim.sweeps.plan import PriceTask
from hwsim.sweeps.progress import Failure, Progress
from hwsim.sweeps.runner import Runner
from hwsim.sweeps.search import Generation
from hwsim.sweeps.space import Selection
from hwsim.sweeps.store import Store
from hwsim.sweeps.study_file import Study

__all__ = [
    "Preview",
    "StoppedError",
    "Swept",
    "comparison_dict",
    "preview",
    "sweep",
]

_LONG_SECONDS = 20.0


class StoppedError(Exception):
    """A sweep was interrupted; the text says what is kept, and how to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found.

    `evaluations` are in the order of the points asked for, those refused among them; `failures` are points that were
    given up; `earlier` is how many evaluations were in the store before; `selection` says what was left out (None of a
    search), and `generations` are those of a search.
    """

    evaluations: tuple[Evaluation, ...]
    failures: tuple[Failure, ...]
    earlier: int
    selection: Selection | None
    generations: tuple[Generation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a sweep will take.

    Attributes
    ----------
    points : int
        To be evaluated, of a search at most so many; `there` of those known beforehand are in the store.
    values : int
        Networks to be run on a unit for value figures; of a search, at most.
    prices : int
        Units to be measured.
    seconds : float or None
        About how long on `workers` processes of this machine: one network run and one point of each network were timed
        for it, and units take what their like took. None for a search, whose points are not known.
    selection : Selection or None
        What is left out; None for a search.
    unpriced : tuple of DesignPoint
        Those whose unit has no price and will have none: they have no area and no energy.
    """

    points: int
    there: int
    values: int
    prices: int
    workers: int
    seconds: float | None
    selection: Selection | None
    unpriced: tuple[DesignPoint, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "points": self.points, "in_store": self.there, "values": self.values, "prices": self.prices,
            "workers": self.workers, "seconds": self.seconds, "unpriced": len(self.unpriced),
            "selection": None if self.selection is None else self.selection.as_dict(),
        }  # fmt: skip


def sweep(
    study: Study,
    runner: Runner,
    *,
    progress: Callable[[Progress], None] = lambda progress: None,
    told: Callable[[Generation], None] = lambda generation: None,
) -> Swept:
    """Evaluate a study's points into the runner's store.

    Parameters
    ----------
    study : Study
    runner : Runner
        With the study's cases, `costs` and `layers`.
    progress : callable
        Is told how far the run is, a few times a second; of a search, each generation is a run.
    told : callable
        Is given each generation of a search.

    Raises
    ------
    StoppedError
        If it is interrupted.
    LookupError, ModuleNotFoundError, RuntimeError, TypeError, ValueError
        As `Study.selection`, `Runner.run` and `hwsim.sweeps.search.search`; before any work where a point's names do
        not go together.
    """
    try:
        return _search(study, runner, progress, told) if study.is_search else _all(study, runner, progress)
    except KeyboardInterrupt as error:
        raise StoppedError(str(error) or "interrupted: nothing was run yet") from None


def _all(study: Study, runner: Runner, progress: Callable[[Progress], None]) -> Swept:
    """Evaluate the points of a grid, a list or a random choice."""
    selection = study.selection()
    for point in selection.points:
        check_point(point, runner.cases[point.network])
    result = runner.run(selection.points, progress)
    return Swept(
        evaluations=result.evaluations,
        failures=result.failures,
        earlier=result.earlier,
        selection=selection,
        generations=(),
    )


def _search(
    study: Study, runner: Runner, progress: Callable[[Progress], None], told: Callable[[Generation], None]
) -> Swept:
    """Evaluate what a search asks for."""
    failures: list[Failure] = []
    earlier = 0
    done: list[Generation] = []

    def run(points: Sequence[DesignPoint]) -> list[Evaluation]:
        nonlocal earlier
        result = runner.run(points, progress)
        failures.extend(result.failures)
        earlier += result.earlier
        found = {each.point: each for each in result.evaluations}
        lost = {failure.point: failure.text for failure in result.failures}
        return [found.get(point) or Evaluation(point=point, key="", refused=lost[point]) for point in points]

    def tell(generation: Generation) -> None:
        done.append(generation)
        told(generation)

    try:
        study.search(run, tell)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted in generation {len(done) + 1} of {generations_of(study)}: {done[-1].asked if done else 0} "
            f"points of those before and what was finished of it are kept in {str(runner.store.path)!r}; run the "
            "same again to go on from there"
        ) from None
    evaluations = [each for generation in done for each in generation.evaluations if each.key]
    return Swept(
        evaluations=tuple(evaluations),
        failures=tuple(failures),
        earlier=earlier,
        selection=None,
        generations=tuple(done),
    )


def preview(study: Study, cases: Mapping[str, Case], store: str | Path, *, workers: int | None = None) -> Preview:
    """Say what a study takes, without making a store.

    One network run and one point of each network are timed, which takes as long as they take. Raises as `sweep`.
    """
    workers = workers or len(os.sched_getaffinity(0))
    held = Store(store, create=False) if Path(store).exists() else None
    if study.is_search:
        assert study.count is not None
        most = min(study.count, len(study.space))
        return Preview(
            points=most, there=0, values=most, prices=0, workers=workers, seconds=None, selection=None
        )  # fmt: skip
    selection = study.selection()
    costs = None if study.costs == "known" else {} if held is None else held.costs()
    ring = Keyring(cases, study.layers, costs)
    there = set() if held is None else held.keys()
    known = set() if held is None else held.keys("values")
    prices: dict[str, PriceTask] = {}
    missing: dict[str, DesignPoint] = {}
    left: list[DesignPoint] = []
    unpriced: list[DesignPoint] = []
    for point in selection.points:
        name, price = ring.price(point)
        is_bare = name and price is None and ring.costs[name] is None
        if is_bare and not draft(point, cases[point.network]).array.serial_bits:
            unpriced.append(point)
        if price is not None:
            prices[price.key] = price
        elif ring.keyed(point, name).key in there:
            continue
        left.append(point)
        key = value_key(point, cases[point.network], layers=study.layers)
        if key and key not in known:
            missing.setdefault(key, point)
    seconds = _seconds(left, list(missing.values()), cases, study.layers) + _price_seconds(list(prices.values()))
    return Preview(
        points=len(selection.points), there=len(selection.points) - len(left), values=len(missing),
        prices=len(prices), workers=workers, seconds=seconds / workers, selection=selection,
        unpriced=tuple(unpriced),
    )  # fmt: skip


def _seconds(
    points: Sequence[DesignPoint], runs: Sequence[DesignPoint], cases: Mapping[str, Case], layers: bool
) -> float:
    """Time one run and one point of each network, and return what all of them will take."""
    total = 0.0
    for name, case in cases.items():
        of_points = [point for point in points if point.network == name]
        of_runs = [point for point in runs if point.network == name]
        if not of_points:
            continue
        run, point = _timed((of_runs or of_points)[0], case, layers)
        if run < _LONG_SECONDS:  # the first of a process also loads compiled kernels
            run, point = _timed((of_runs or of_points)[0], case, layers)
        total += len(of_runs) * run + len(of_points) * point
    return total


def _timed(point: DesignPoint, case: Case, layers: bool) -> tuple[float, float]:
    """Return the seconds of a network run, and of a point whose network has run."""
    began = time.perf_counter()
    values = value_figures(point, case, layers=layers)
    middle = time.perf_counter()
    evaluate(point, case, values=values, layers=layers)
    return middle - began, time.perf_counter() - middle


def _price_seconds(prices: Sequence[PriceTask]) -> float:
    """Return what measuring units will take: what each, or the like of it, took before."""
    if not prices:
        return 0.0
    from hwsim.catalog import Row, expected_seconds

    return expected_seconds([Row(price.unit, price.technology, price.pipeline) for price in prices])


def generations_of(study: Study) -> int:
    """Return how many generations a search has at most."""
    assert study.count is not None
    return ceil(min(study.count, len(study.space)) / study.population)


def comparison_dict(evaluations: Sequence[Evaluation], title: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the report page takes: title, version, quantities, evaluations, notes."""
    return {
        "title": title,
        "version": model_version(),
        "quantities": [each.as_dict() for each in QUANTITIES],
        "evaluations": [each.as_dict() for each in evaluations],
        "notes": list(notes),
    }
