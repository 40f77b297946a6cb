# SPDX-License-Identifier: Apache-2.0
from itertools import islice, product

import numpy as np
import pytest

from hwsim.allocation import Costs, Sensitivities, allocate, best_first


def _instance(seed: int, layers: int, kinds: int) -> tuple[Sensitivities, Costs]:
    rng = np.random.default_rng(seed)
    names = tuple(f"l{i}" for i in range(layers)), tuple(f"f{i}" for i in range(kinds))
    values = rng.exponential(1.0, (layers, kinds)) * 10.0 ** rng.integers(-6, 1, (layers, kinds))
    bits, area, energy, latency = rng.integers(1, 60, (4, layers, kinds)).astype(np.float64)
    costs = Costs(
        layers=names[0], formats=names[1], bits=bits, area=area, energy=energy, latency=latency, notes=("",) * kinds
    )
    return Sensitivities(layers=names[0], formats=names[1], values=values), costs


def _brute(sensitivities: Sensitivities, costs: Costs, budget: dict[str, float]) -> list[tuple[float, tuple[int, ...]]]:
    """All assignments within a budget, the best first, by enumeration."""
    layers, kinds = sensitivities.values.shape
    rows = np.arange(layers)
    found = [
        (float(sensitivities.values[rows, chosen].sum()), chosen)
        for chosen in product(range(kinds), repeat=layers)
        if all(costs.of(name)[rows, chosen].sum() <= limit for name, limit in budget.items())
    ]
    return sorted(found)


def test_allocate_against_enumeration() -> None:
    rng, compared = np.random.default_rng(9), 0
    for seed in range(40):
        layers, kinds = int(rng.integers(2, 6)), int(rng.integers(2, 5))
        sensitivities, costs = _instance(seed, layers, kinds)
        budget = {}
        for name in rng.choice(["bits", "area", "energy", "latency"], int(rng.integers(1, 3)), replace=False):
            low, high = costs.of(name).min(axis=1).sum(), costs.of(name).max(axis=1).sum()
            budget[str(name)] = float(np.rint(low + rng.uniform(0.2, 0.9) * (high - low)))
        expected = _brute(sensitivities, costs, budget)
        if not expected:
            continue
        found = allocate(sensitivities, costs, budget)
        columns = tuple(int(name[1:]) for name in found.assignment.values())
        assert columns == expected[0][1]
        assert found.objective == expected[0][0]
        assert found.proven
        assert all(found.costs[name] <= limit for name, limit in budget.items())
        compared += 1
    assert compared >= 30


def test_best_first_goes_through_all_in_order() -> None:
    sensitivities, costs = _instance(3, 3, 3)
    budget = {"bits": 90.0, "energy": 110.0}
    expected = _brute(sensitivities, costs, budget)
    found = [
        tuple(int(name[1:]) for name in each.assignment.values()) for each in best_first(sensitivities, costs, budget)
    ]
    assert found == [chosen for _, chosen in expected]
    assert len(found) > 5
    assert len(list(islice(best_first(sensitivities, costs, budget), 2))) == 2


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ({}, r"^budget must name at least one quantity$"),
        ({"power": 3.0}, r"^a budget must be of one of bits, area, energy, latency, not 'power'$"),
        ({"bits": 1.0}, r"^budget of bits must be at least [0-9]+, what the cheapest formats take, not 1$"),
        ({"bits": float("nan")}, r"^budget of bits must be at least [0-9]+, .* not nan$"),
    ],
)
def test_allocate_budget_wrong(budget: dict[str, float], text: str) -> None:
    sensitivities, costs = _instance(0, 3, 2)
    with pytest.raises(ValueError, match=text):
        allocate(sensitivities, costs, budget)


def test_allocate_layers_wrong() -> None:
    sensitivities, _ = _instance(0, 3, 2)
    _, costs = _instance(0, 4, 2)
    with pytest.raises(ValueError, match=r"^sensitivities and costs must be of the same layers and formats$"):
        allocate(sensitivities, costs, {"bits": 100.0})
