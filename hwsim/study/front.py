# SPDX-License-Identifier: Apache-2.0
"""The Pareto front: the rows that no other row is at least as good as in everything, and better in something."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Protocol

from hwsim.study.quantities import Better

__all__ = [
    "PLACE",
    "pareto",
]

PLACE = ("network", "technology")
"""What areas, energies and accuracies do not compare across."""


class Row(Protocol):
    """A row of figures: a mapping or a `hwsim.study.Evaluation`."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a figure; None where it is not known."""


def pareto(rows: Sequence[Row], objectives: Mapping[str, Better], *, apart: Sequence[str] = ()) -> list[bool]:
    """Tell which rows are on the front.

    Parameters
    ----------
    rows : sequence of mappings or evaluations
    objectives : mapping of str to "more" or "less"
        Which way each figure is better; at least one.
    apart : sequence of str
        Keys, such as those of `PLACE`: rows that differ in one are not compared, and have fronts of their own.

    Returns
    -------
    list of bool
        A row without one of the figures (None or NaN) is never on the front; of equal ones, all are.

    Raises
    ------
    KeyError
        If a row has no such key.
    ValueError
        If there is no objective, or its direction is neither "more" nor "less".

    Examples
    --------
    >>> rows = [{"area": 1, "accuracy": 0.8}, {"area": 2, "accuracy": 0.9}, {"area": 3, "accuracy": 0.9}]
    >>> pareto(rows, {"area": "less", "accuracy": "more"})
    [True, True, False]
    """
    if not objectives:
        raise ValueError("objectives must be at least one figure with its direction, not none")
    for key, better in objectives.items():
        if better not in ("more", "less"):
            raise ValueError(f"objectives[{key!r}] must be more or less, not {better!r}")
    found = [False] * len(rows)
    places: dict[tuple[Any, ...], list[int]] = {}
    for index, row in enumerate(rows):
        places.setdefault(tuple(row[key] for key in apart), []).append(index)
    for place in places.values():
        _mark(rows, objectives, place, found)
    return found


def _mark(rows: Sequence[Row], objectives: Mapping[str, Better], place: Sequence[int], found: list[bool]) -> None:
    """Mark the rows of one place that are on its front."""
    known = sorted((point, index) for index in place if (point := _point(rows[index], objectives)) is not None)
    front: list[tuple[float, ...]] = []
    for point, index in known:  # what dominates a point comes before it, and on the front itself
        if not any(_dominates(other, point) for other in front):
            found[index] = True
            if not front or front[-1] != point:
                front.append(point)


def _point(row: Row, objectives: Mapping[str, Better]) -> tuple[float, ...] | None:
    """Return what is to be made small; None where a figure is not known."""
    values = [row[key] for key in objectives]
    if any(value is None or isnan(value) for value in values):
        return None
    return tuple(
        -value if better == "more" else value for value, better in zip(values, objectives.values(), strict=True)
    )


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
