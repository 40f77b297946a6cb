# SPDX-License-Identifier: Apache-2.0
"""Allocation checked by simulation: the best of the assignments that the additive model ranks first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from hwsim.allocation.costs import Costs
from hwsim.allocation.program import Allocation, best_first
from hwsim.allocation.sensitivity import Probe, Sensitivities

__all__ = [
    "Choice",
    "choose_by_simulation",
    "uniform",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An assignment chosen by simulation.

    allocation : it
    loss : measured with all layers in their formats at once
    rank : 1 for the optimum of the additive model, 2 for the next, ...; 0 for a uniform assignment
    optimum, optimum_loss : the optimum of the additive model, and its measured loss
    """

    allocation: Allocation
    loss: float
    rank: int
    optimum: Allocation
    optimum_loss: float


def uniform(sensitivities: Sensitivities, costs: Costs, name: str, budget: Mapping[str, float]) -> Allocation | None:
    """Return the assignment of one format to all layers; None where it is over the budget."""
    column = costs.formats.index(name)
    chosen = [column] * len(costs.layers)
    totals = {quantity: costs.total(quantity, chosen) for quantity in budget}
    if any(totals[quantity] > limit for quantity, limit in budget.items()):
        return None
    return Allocation(
        assignment=dict.fromkeys(costs.layers, name),
        objective=float(sensitivities.values[:, column].sum()),
        costs=totals,
        budget=dict(budget),
        gap=0.0,
    )


def choose_by_simulation(
    probe: Probe,
    sensitivities: Sensitivities,
    costs: Costs,
    budget: Mapping[str, float],
    *,
    pool: int = 8,
    progress: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Simulate the first few assignments of the integer program and every uniform one within the budget; take the best.

    The sum of the sensitivities leaves out that errors of layers add up or cancel, so its optimum need not be the best.
    As the uniform assignments are among those tried, none of them is better on the calibration set than what is
    returned, which may be one of them; on other inputs one can be.

    Parameters
    ----------
    probe : Probe
    sensitivities, costs, budget
        As for `allocate`.
    pool : int
        Assignments of the integer program that are simulated, at least 1.
    progress : callable
        Is told each of them.
    """
    if isinstance(pool, bool) or not isinstance(pool, int):
        raise TypeError(f"pool must be an int, not {pool!r}")
    if pool < 1:
        raise ValueError(f"pool must be at least 1, not {pool}")
    ranked = list(islice(best_first(sensitivities, costs, budget), pool))
    tried = [(allocation, rank) for rank, allocation in enumerate(ranked, 1)]
    same = (uniform(sensitivities, costs, name, budget) for name in costs.formats)
    tried += [(allocation, 0) for allocation in same if allocation is not None]
    losses = []
    for index, (allocation, _) in enumerate(tried, 1):
        progress(f"assignment {index} of {len(tried)}")
        losses.append(probe.measure(allocation.assignment))
    best = min(range(len(tried)), key=lambda index: losses[index])
    return Choice(
        allocation=tried[best][0], loss=losses[best], rank=tried[best][1], optimum=ranked[0], optimum_loss=losses[0]
    )
