# SPDX-License-Identifier: Apache-2.0
"""The Pareto front, against the definition."""

import random
from collections.abc import Mapping

import pytest

from hwsim.study import pareto
from hwsim.study.quantities import Better


def _by_definition(rows: list[dict[str, float | None]], objectives: Mapping[str, Better]) -> list[bool]:
    """Compare every row with every other."""

    def at_least(one: dict[str, float | None], other: dict[str, float | None], *, strictly: bool) -> list[bool]:
        found = []
        for key, better in objectives.items():
            a, b = one[key], other[key]
            assert a is not None
            assert b is not None
            a, b = (a, b) if better == "more" else (-a, -b)
            found.append(a > b if strictly else a >= b)
        return found

    known = [all(row[key] is not None for key in objectives) for row in rows]
    return [
        known[i]
        and not any(
            known[j] and all(at_least(other, row, strictly=False)) and any(at_least(other, row, strictly=True))
            for j, other in enumerate(rows)
        )
        for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize("keys", ["ab", "abc"])
def test_pareto_is_what_it_is_defined_to_be(keys: str) -> None:
    generator = random.Random(1)
    directions: tuple[Better, ...] = ("more", "less")
    compared = 0
    for _ in range(60):
        rows = [
            {key: generator.choice([None, *map(float, range(6))]) for key in keys}
            for _ in range(generator.randrange(25))
        ]
        objectives: dict[str, Better] = {key: generator.choice(directions) for key in keys}
        assert pareto(rows, objectives) == _by_definition(rows, objectives)
        compared += len(rows)
    assert compared > 300


def test_pareto_of_equal_and_unknown_rows() -> None:
    rows: list[dict[str, float | None]] = [
        {"x": 1.0, "y": 2.0},
        {"x": 1.0, "y": 2.0},
        {"x": 1.0, "y": float("nan")},
        {"x": None, "y": 9.0},
    ]
    assert pareto(rows, {"x": "less", "y": "more"}) == [True, True, False, False]
    assert pareto([], {"x": "less"}) == []


def test_pareto_wrong() -> None:
    with pytest.raises(ValueError, match=r"^objectives must be at least one figure with its direction, not none$"):
        pareto([], {})
    with pytest.raises(ValueError, match=r"^objectives\['x'\] must be more or less, not 'best'$"):
        pareto([], {"x": "best"})  # type: ignore[dict-item]
    with pytest.raises(KeyError, match="y"):
        pareto([{"x": 1}], {"y": "less"})


def test_pareto_of_places_apart() -> None:
    rows = [
        {"area": 1, "accuracy": 0.9, "technology": "small"},
        {"area": 9, "accuracy": 0.8, "technology": "large"},
        {"area": 2, "accuracy": 0.8, "technology": "small"},
    ]
    objectives: dict[str, Better] = {"area": "less", "accuracy": "more"}
    assert pareto(rows, objectives) == [True, False, False]
    assert pareto(rows, objectives, apart=("technology",)) == [True, True, False]
