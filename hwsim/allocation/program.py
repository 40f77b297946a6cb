# SPDX-License-Identifier: Apache-2.0
"""The choice of a format for each layer as an integer program, solved to proven optimality."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, lil_array

from hwsim.allocation.costs import Costs
from hwsim.allocation.sensitivity import Sensitivities

__all__ = [
    "Allocation",
    "allocate",
    "best_first",
    "check_budget",
]

_SCALE = 1e6  # of the objective: HiGHS also stops at an absolute gap of 1e-6, which is then 1e-12 of the largest
_ROUNDING = 1e-12  # relative, of sums of some thousand terms in float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A format for each layer.

    assignment : by layer, the name of the format
    objective : sum of the sensitivities
    costs : by quantity of the budget, the sum of the costs
    budget : as given
    gap : relative gap between the objective and the solver's bound on all others; 0 where it is proven optimal
    """

    assignment: dict[str, str]
    objective: float
    costs: dict[str, float]
    budget: dict[str, float]
    gap: float

    @property
    def proven(self) -> bool:
        """Whether no other assignment within the budget has a smaller sum of sensitivities."""
        return self.gap == 0


def allocate(sensitivities: Sensitivities, costs: Costs, budget: Mapping[str, float]) -> Allocation:
    """Choose the formats with the least sum of sensitivities within a budget.

    minimize sum s[l, f] x[l, f], x binary, sum over f of x[l, f] = 1 for each layer, sum c[l, f] x[l, f] <= budget for
    each quantity (HAWQ-V3, arXiv:2011.10680, equations 8 to 11), by `scipy.optimize.milp` (HiGHS), relative gap 0.

    Parameters
    ----------
    sensitivities : Sensitivities
    costs : Costs
        Of the same layers and formats.
    budget : mapping of str to float
        Of one or more of "bits", "area", "energy" and "latency".

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        Where layers or formats differ, a quantity is unknown, or nothing fits the budget (the least is said).
    RuntimeError
        Where the solver fails.
    """
    return next(best_first(sensitivities, costs, budget))


def best_first(sensitivities: Sensitivities, costs: Costs, budget: Mapping[str, float]) -> Iterator[Allocation]:
    """Give the assignments within a budget, the best first; each is proven best of those not yet given."""
    _check(sensitivities, costs, budget)
    layers, kinds = sensitivities.values.shape
    taken: list[list[int]] = []
    while True:
        found = _solve(sensitivities.values, costs, budget, taken)
        if found is None:
            if not taken:
                raise RuntimeError("the solver found no assignment, though one fits the budget")
            return
        chosen, gap = found
        taken.append(chosen)
        totals = {name: costs.total(name, chosen) for name in budget}
        if any(totals[name] > limit for name, limit in budget.items()):
            continue  # within the solver's tolerance, but not within the budget
        yield Allocation(
            assignment={costs.layers[row]: costs.formats[column] for row, column in enumerate(chosen)},
            objective=float(sensitivities.values[np.arange(layers), chosen].sum()),
            costs=totals,
            budget=dict(budget),
            gap=gap,
        )
        if len(taken) == kinds**layers:
            return


def _check(sensitivities: Sensitivities, costs: Costs, budget: Mapping[str, float]) -> None:
    if (sensitivities.layers, sensitivities.formats) != (costs.layers, costs.formats):
        raise ValueError("sensitivities and costs must be of the same layers and formats")
    check_budget(costs, budget)
    if not np.isfinite(sensitivities.values).all() or (sensitivities.values < 0).any():
        raise ValueError("sensitivities must be finite and not negative")


def check_budget(costs: Costs, budget: Mapping[str, float]) -> None:
    """Raise ValueError unless a budget is of known quantities, and the cheapest formats are within it."""
    if not budget:
        raise ValueError("budget must name at least one quantity")
    for name, limit in budget.items():
        least = float(costs.of(name).min(axis=1).sum())
        if not limit >= least:
            raise ValueError(
                f"budget of {name} must be at least {least:g}, what the cheapest formats take, not {limit:g}"
            )


def _solve(
    values: npt.NDArray[np.float64], costs: Costs, budget: Mapping[str, float], taken: Sequence[Sequence[int]]
) -> tuple[list[int], float] | None:
    """Return the best choice that is not taken, and its gap; None where there is no other."""
    layers, kinds = values.shape
    largest = float(values.max()) or 1.0
    once = csr_array(
        (np.ones(values.size), (np.repeat(np.arange(layers), kinds), np.arange(values.size))),
        shape=(layers, values.size),
    )
    constraints = [LinearConstraint(once, 1, 1)]
    for name, limit in budget.items():
        scale = limit or 1.0
        constraints.append(LinearConstraint(costs.of(name).reshape(1, -1) / scale, -np.inf, limit / scale))
    if taken:
        cuts = lil_array((len(taken), values.size))
        for row, chosen in enumerate(taken):
            cuts[row, [layer * kinds + kind for layer, kind in enumerate(chosen)]] = 1
        constraints.append(LinearConstraint(csr_array(cuts), -np.inf, layers - 1))
    with _silent():
        result = milp(
            values.reshape(-1) * (_SCALE / largest),
            integrality=np.ones(values.size, np.int64),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )
    if result.status == 2:
        return None
    if result.x is None or result.status != 0:
        raise RuntimeError(f"the integer program was not solved: {result.message}")
    return [int(kind) for kind in result.x.reshape(layers, kinds).argmax(axis=1)], _gap(result.mip_gap)


def _gap(found: float | None) -> float:
    """Return a gap; one of the rounding of the solver's own sums is none."""
    return 0.0 if found is None or found < _ROUNDING else float(found)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep off standard output what HiGHS prints of its search whatever its options say."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
