# SPDX-License-Identifier: Apache-2.0
"""Pareto fronts: of each network in each technology, since areas and energies of two technologies do not compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from hwsim.report.rows import Row, fit_error, is_fitted, is_known, row_of
from hwsim.study.evaluation import Evaluation
from hwsim.study.front import pareto
from hwsim.study.quantities import KEYS, Better, quantity
from hwsim.sweeps.search import is_within

__all__ = [
    "Front",
    "Objectives",
    "default_fronts",
    "directed",
    "front_keys",
    "fronts",
    "marks",
    "pairs",
    "swept_fronts",
]

Objectives = Mapping[str, Better]
"""Which way figures are better."""
_VALUES = ("accuracy", "output_sqnr_db", "agreement")
_COSTS = ("array_area_mm2", "energy_nj")
_SWEPT_COSTS = ("energy_nj", "area_mm2")  # with the memories, which may differ between the points of a sweep
_FPGA_COSTS = ("lut", "latency_us")
_POINT = ("network", "format", "unit", "accelerator", "technology", "settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A Pareto front.

    network, technology : of all rows
    number : among the fronts of that network in that technology, from 1
    objectives : what is best against what
    rows : tuple of rows, all that were looked at
    on : tuple of bool, which of them are on the front
    """

    network: str
    technology: str
    number: int
    objectives: Objectives
    rows: tuple[Row, ...]
    on: tuple[bool, ...]

    def __str__(self) -> str:
        """Say what is best against what: `accuracy (more) against energy (less)`."""
        return " against ".join(f"{quantity(key).label} ({better})" for key, better in self.objectives.items())

    @property
    def members(self) -> tuple[Row, ...]:
        """The rows on the front, in their order."""
        return tuple(row for row, on in zip(self.rows, self.on, strict=True) if on)

    @property
    def fitted(self) -> tuple[Row, ...]:
        """The members whose objectives follow from a fitted price."""
        return tuple(row for row in self.members if any(is_fitted(row, key) for key in self.objectives))

    @property
    def unsure(self) -> tuple[Row, ...]:
        """The fitted members that another row would beat, were their fitted figures worse by the error of the fit."""
        fitted = self.fitted
        if not fitted:
            return ()
        others = [row for row in self.rows if not any(row is each for each in fitted) and not row["refused"]]
        best = [row for row, on in zip(others, pareto(others, self.objectives), strict=True) if on]
        rivals = [[*best, *(each for each in fitted if each is not row)] for row in fitted]
        beaten = (
            not pareto([self._worsened(row), *those], self.objectives)[0]
            for row, those in zip(fitted, rivals, strict=True)
        )
        return tuple(compress(fitted, beaten))

    def as_dict(self) -> dict[str, Any]:
        """Return the network, the technology, the objectives, and the members with their figures, JSON-ready."""
        held = [
            {"key": row["key"], **{key: row[key] for key in _POINT}, "figures": {key: row[key] for key in KEYS}}
            for row in self.members
        ]
        return {**self._what(), "members": held}

    def of_rows(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the network, the technology, the objectives, and which of some rows are on it, JSON-ready."""
        members = self.members
        on = [any(row is each for each in members) for row in rows]
        return {**self._what(), "on": on}

    def _what(self) -> dict[str, Any]:
        return {"network": self.network, "technology": self.technology, "objectives": dict(self.objectives)}

    def _worsened(self, row: Row) -> dict[str, float]:
        """Return the objectives, worse by their errors of the fit."""
        return {
            key: row[key] * (1 + fit_error(row, key)) ** (-1 if better == "more" else 1)
            for key, better in self.objectives.items()
        }


def front_keys(text: str) -> tuple[str, ...]:
    """Read the objectives of a front, as `accuracy,energy_nj`.

    Raises
    ------
    KeyError
        For an unknown quantity; the message has the close matches.
    ValueError
        For fewer than two, one that is twice there, and one of which neither more nor less is better.
    """
    keys = tuple(part.strip() for part in text.split(","))
    if len(keys) < 2 or len(set(keys)) < len(keys):
        raise ValueError(f"--front must be two quantities or more, each once, as accuracy,energy_nj, not {text!r}")
    for key in keys:
        if quantity(key).better is None:
            raise ValueError(f"--front {text}: neither more nor less {key} is better")
    return keys


def directed(keys: Sequence[str]) -> dict[str, Better]:
    """Return which way each figure is better; those where neither is are left out."""
    return {key: better for key in keys if (better := quantity(key).better) is not None}


def default_fronts(rows: Sequence[Row], costs: Sequence[str] = _COSTS) -> tuple[tuple[str, str], ...]:
    """Return what is worth setting against what in these rows.

    Accuracy, or the output's SQNR where no image has a label, against each of the costs that is known; on an FPGA
    against look-up tables and latency.
    """
    value = next((key for key in _VALUES if is_known(rows, key)), _VALUES[0])
    known = costs if any(is_known(rows, key) for key in costs) else _FPGA_COSTS
    return tuple((value, cost) for cost in known)


def fronts(rows: Sequence[Row], chosen: Sequence[Objectives] = (), *, costs: Sequence[str] = _COSTS) -> list[Front]:
    """Return the fronts of each network in each technology.

    Parameters
    ----------
    rows : sequence of rows
        Refused ones are on no front.
    chosen : sequence of mappings, optional
        The objectives of a front each; `default_fronts` unless given.
    costs : sequence of str
        For `default_fronts`.
    """
    found = []
    for network, technology in dict.fromkeys((row["network"], row["technology"]) for row in rows):
        own = tuple(row for row in rows if (row["network"], row["technology"]) == (network, technology))
        able = [row for row in own if not row["refused"]]
        for number, objectives in enumerate(chosen or [directed(keys) for keys in default_fronts(own, costs)], 1):
            best = iter(pareto(able, objectives))
            on = tuple(not row["refused"] and next(best) for row in own)
            found.append(
                Front(
                    network=network,
                    technology=technology,
                    number=number,
                    objectives=objectives,
                    rows=own,
                    on=on,
                )
            )
    return found


def swept_fronts(
    evaluations: Sequence[Evaluation],
    chosen: Sequence[Objectives] = (),
    limits: Mapping[str, float] | None = None,
) -> list[Front]:
    """Return the fronts of each network in each technology, of the evaluations that are within the limits."""
    ordered = sorted(evaluations, key=lambda each: (each.point.format, str(each.point.settings), each.key))
    rows = [row_of(each) for each in ordered]
    for row, each in zip(rows, ordered, strict=True):
        if not each.refused and not is_within(each, limits or {}):
            row["refused"] = "outside the limits"
    return fronts(rows, chosen, costs=_SWEPT_COSTS)


def pairs(found: Sequence[Front]) -> list[tuple[str, str]] | None:
    """Return what the fronts set against what, each once; None where one is not of two figures, or there is none."""
    keys = list(dict.fromkeys(tuple(each.objectives) for each in found))
    if not keys or any(len(each) != 2 for each in keys):
        return None
    return [(each[0], each[1]) for each in keys]


def marks(row: Row, found: Sequence[Front]) -> str:
    """Return the numbers of the fronts that a row is on."""
    return " ".join(str(front.number) for front in found if any(row is each for each in front.members))
