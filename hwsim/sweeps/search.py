# SPDX-License-Identifier: Apache-2.0
"""Search a study's space for its front, generation by generation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from hwsim.study.evaluation import Evaluation
from hwsim.study.front import pareto
from hwsim.study.point import DesignPoint
from hwsim.study.quantities import QUANTITIES, Better
from hwsim.sweeps.genetic import Nsga2, Outcome
from hwsim.sweeps.space import point_of

if TYPE_CHECKING:
    from hwsim.sweeps.study_file import Study

__all__ = [
    "Generation",
    "Run",
    "front_of",
    "is_within",
    "search",
]

Run = Callable[[Sequence[DesignPoint]], Sequence[Evaluation]]
"""What evaluates points, in their order."""
_BETTER = {each.key: each.better for each in QUANTITIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generation of a search.

    `number` counts from 1 and `of` is how many there will be at most; `evaluations` are its own, `asked` counts those
    of all generations so far, and `front` is the front of them all.
    """

    number: int
    of: int
    evaluations: tuple[Evaluation, ...]
    asked: int
    front: tuple[Evaluation, ...]


def search(study: "Study", run: Run, told: Callable[[Generation], None] = lambda generation: None) -> list[Generation]:
    """Search for the front by NSGA-II.

    Parameters
    ----------
    study : Study
        Of method ``pareto``: its space less what it excludes, `count` points in generations of `population`, the
        `objectives`, the `limits` (which a figure must keep: at least where more is better, else at most), the `seed`.
    run : callable
        Evaluates points, in their order. A search asks for the same points again with the same seed, version of optuna
        and figures, so that one that was stopped goes on where it was if `run` looks into a store.
    told : callable
        Is given each generation.

    Returns
    -------
    list of Generation

    Notes
    -----
    No point is asked for twice. One that is refused, or has no figure for an objective or a limit, is worse than any
    other; one outside the limits is worse than any within.

    Raises
    ------
    ModuleNotFoundError
        If optuna is not installed.
    ValueError
        If the space has no point.
    """
    assert study.count is not None
    grid = study.space.grids[0]
    method = Nsga2(grid.sizes, tuple(study.objectives.values()), study.population, study.seed)
    points: dict[tuple[int, ...], DesignPoint] = {}
    known: set[DesignPoint] = set()
    reasons: list[str] = []

    def allowed(choice: tuple[int, ...]) -> bool:
        values = grid.at(choice)
        if study.space.is_excluded(values):
            return False
        point = point_of(values)
        if isinstance(point, str):
            reasons.append(point)
        elif point not in known:
            known.add(point)
            points[choice] = point
            return True
        return False

    found: list[Generation] = []
    evaluations: list[Evaluation] = []
    while len(evaluations) < study.count:
        choices = method.ask(allowed, study.count - len(evaluations))
        if not choices:
            break
        fresh = tuple(run([points[choice] for choice in choices]))
        method.tell([_outcome(each, study.objectives, study.limits) for each in fresh])
        evaluations += fresh
        found.append(
            Generation(
                number=len(found) + 1,
                of=ceil(min(study.count, len(grid)) / study.population),
                evaluations=fresh,
                asked=len(evaluations),
                front=front_of(evaluations, study.objectives, study.limits),
            )
        )
        told(found[-1])
    if not found:
        raise ValueError(f"{study.file}: no point is left: {next(iter(reasons), 'all combinations are excluded')}")
    return found


def front_of(
    evaluations: Sequence[Evaluation], objectives: Mapping[str, Better], limits: Mapping[str, float] | None = None
) -> tuple[Evaluation, ...]:
    """Return the evaluations within all limits that no other one is better than in every objective.

    One that was refused, or has no figure for an objective or a limit, is never there.
    """
    kept = [each for each in evaluations if not each.refused and is_within(each, limits or {})]
    front = pareto([each.figures for each in kept], objectives)
    return tuple(each for each, is_on in zip(kept, front, strict=True) if is_on)


def is_within(evaluation: Evaluation, limits: Mapping[str, float]) -> bool:
    """Tell whether an evaluation is within all limits; not where a figure that has one is not known."""
    return _violation(evaluation, limits) == 0


def _outcome(evaluation: Evaluation, objectives: Mapping[str, Better], limits: Mapping[str, float]) -> Outcome:
    """Return what a search is told of an evaluation."""
    values = [evaluation.figures.get(key) for key in objectives]
    violation = _violation(evaluation, limits)
    if evaluation.refused or violation is None or any(value is None for value in values):
        return Outcome(None)
    return Outcome(tuple(float(value) for value in values if value is not None), violation)


def _violation(evaluation: Evaluation, limits: Mapping[str, float]) -> float | None:
    """Return by how much figures are outside their limits, as a share of them; None where one is not known."""
    total = 0.0
    for key, limit in limits.items():
        value = evaluation.figures.get(key)
        if value is None:
            return None
        beyond = limit - float(value) if _BETTER[key] == "more" else float(value) - limit
        total += max(0.0, beyond) / (abs(limit) or 1.0)
    return total
