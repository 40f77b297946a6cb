# SPDX-License-Identifier: Apache-2.0
"""Fronts of many points on the terminal: a table a network, and what each front is of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from hwsim.study import Evaluation, quantity
from hwsim.study.quantities import Better
from hwsim.study.search import front_of

__all__ = [
    "NetworkFront",
    "Objectives",
    "directed",
    "front_lines",
    "front_tables",
    "fronts",
    "place",
]

Objectives = Mapping[str, Better]
"""Which way figures are better."""
_NAMES = ("format", "unit", "accelerator", "technology")
_VALUES = ("accuracy", "agreement", "output_sqnr_db")
_FIGURES = ("energy_nj", "area_mm2", "lut", "latency_us", "clock_mhz")
_SHARES = ("accuracy", "float_accuracy", "agreement", "utilisation")
_MOST_ROWS = 30
_NAME_WIDTH = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFront:
    """The evaluations of a network that are on a front."""

    network: str
    objectives: Objectives
    members: tuple[Evaluation, ...]

    def __str__(self) -> str:
        """Say what is best against what."""
        return " against ".join(f"{quantity(key).label} ({better})" for key, better in self.objectives.items())

    def as_dict(self) -> dict[str, Any]:
        """Return the network, the objectives, and the members with their point and figures, JSON-ready."""
        held = [{"key": each.key, **each.point.as_dict(), "figures": dict(each.figures)} for each in self.members]
        return {"network": self.network, "objectives": dict(self.objectives), "members": held}


def fronts(
    evaluations: Sequence[Evaluation],
    objectives: Sequence[Objectives] = (),
    limits: Mapping[str, float] | None = None,
) -> list[NetworkFront]:
    """Return the fronts of each network.

    Parameters
    ----------
    evaluations : sequence of Evaluation
    objectives : sequence of mappings, optional
        Of a front each; without any, accuracy (or what is known in its place) against energy and against area (or an
        FPGA's look-up tables).
    limits : mapping of str to float, optional
        Those outside are on no front.
    """
    found = []
    for network in dict.fromkeys(each.point.network for each in evaluations):
        own = [each for each in evaluations if each.point.network == network]
        chosen = list(objectives) or [directed(keys) for keys in _usual(own)]
        found += [
            NetworkFront(network=network, objectives=each, members=front_of(own, each, limits)) for each in chosen
        ]
    return found


def front_tables(found: Sequence[NetworkFront], title: str) -> Iterator[Table]:
    """Give a table a network: the members of its fronts, best in the first objective first, with the fronts' numbers.

    At most thirty rows of a network.
    """
    for network in dict.fromkeys(front.network for front in found):
        own = [front for front in found if front.network == network]
        members = list({each.key: each for front in own for each in front.members}.values())
        if members:
            yield _table(_sorted(members, own[0].objectives)[:_MOST_ROWS], own, f"{title}: {network}")


def front_lines(found: Sequence[NetworkFront]) -> Iterator[str]:
    """Say what each front is of and how many points are on it."""
    for front in found:
        number = [each for each in found if each.network == front.network].index(front) + 1
        count = len(front.members)
        more = f", of which {_MOST_ROWS} are shown" if count > _MOST_ROWS else ""
        yield f"front {number} of {front.network}, {front}: {count:,} point{'s' * (count != 1)}{more}"
    if any(each.figures["cost_fitted"] for front in found for each in front.members):
        yield "~ the unit's cost is fitted, not measured"


def place(evaluation: Evaluation, keys: Sequence[str]) -> str:
    """Return what tells a point from others: the names and settings of some keys."""
    settings = dict(evaluation.point.settings)
    values = (getattr(evaluation.point, key) if key in _NAMES else settings.get(key, "") for key in keys)
    return " ".join(str(value) for value in values if value != "")


def _usual(members: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Return what is worth setting against what: the first value that is known against each cost that is."""
    value = next((key for key in _VALUES if _has(members, key)), _VALUES[-1])
    costs = [key for key in ("energy_nj", "area_mm2") if _has(members, key)] or ["lut", "latency_us"]
    return [(value, key) for key in costs]


def directed(keys: Sequence[str]) -> dict[str, Better]:
    """Return which way each figure is better; those where neither is are left out."""
    return {key: better for key in keys if (better := quantity(key).better) is not None}


def _sorted(members: Sequence[Evaluation], objectives: Objectives) -> list[Evaluation]:
    """Return members, best in the first objective first, then in the next."""

    def rank(each: Evaluation) -> tuple[tuple[bool, float], ...]:
        values = [(each.figures[key], better) for key, better in objectives.items()]
        return tuple((value is None, 0.0 if value is None else _small(value, better)) for value, better in values)

    return sorted(members, key=lambda each: (*rank(each), each.key))


def _small(value: Any, better: Better) -> float:
    """Return a figure so that the better is the smaller one."""
    return -float(value) if better == "more" else float(value)


def _table(members: Sequence[Evaluation], own: Sequence[NetworkFront], title: str) -> Table:
    """Return a table of evaluations: what tells them apart, their figures, their fronts."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    names = _telling(members)
    asked = dict.fromkeys(key for front in own for key in front.objectives)
    keys = [
        key
        for key in dict.fromkeys((*asked, next((key for key in _VALUES if _has(members, key)), "accuracy"), *_FIGURES))
        if _has(members, key)
    ]
    for name in names:
        longest = max(len(place(each, [name])) for each in members)
        table.add_column(name.rpartition(".")[2], overflow="fold", min_width=min(longest, _NAME_WIDTH))
    for key in keys:
        table.add_column(_heading(key), justify="right", no_wrap=True)
    if len(own) > 1:
        table.add_column("front")
    on = [{each.key for each in front.members} for front in own]
    for each in members:
        cells = [place(each, [name]) for name in names]
        marks = [" ".join(str(number) for number, front in enumerate(on, 1) if each.key in front)] * (len(own) > 1)
        table.add_row(*cells, *(_cell(each, key) for key in keys), *marks)
    return table


def _has(members: Sequence[Evaluation], key: str) -> bool:
    return any(each.figures[key] is not None for each in members)


def _telling(members: Sequence[Evaluation]) -> list[str]:
    """Return the names and settings that differ between some points; the format always."""
    others = [key for key in _NAMES if key != "format" and len({getattr(each.point, key) for each in members}) > 1]
    if "unit" in others and len({(e.point.format, e.point.unit) for e in members}) == len(
        {e.point.format for e in members}
    ):
        others.remove("unit")
    settings = dict.fromkeys(key for each in members for key, _ in each.point.settings)
    return ["format", *others, *(key for key in settings if len({each.point.setting(key) for each in members}) > 1)]


def _heading(key: str) -> str:
    held = quantity(key)
    unit = "%" if key in _SHARES else held.unit
    return f"{held.label}\n{unit}" if unit else held.label


def _cell(evaluation: Evaluation, key: str) -> str:
    """Return a figure as text; those that depend on a fitted cost are marked."""
    value = evaluation.figures[key]
    if value is None:
        return ""
    mark = "~" if evaluation.figures["cost_fitted"] and key in _OF_COST else ""
    if key in _SHARES:
        return f"{100 * float(value):.2f}"
    return f"{mark}{_number(value, quantity(key).digits)}"


_OF_COST = ("energy_nj", "area_mm2", "inferences_per_j")


def _number(value: Any, digits: int) -> str:
    """Return a number with so many significant digits, without an exponent where it is of a usual size."""
    if not isinstance(value, float):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))).lstrip("0"))
    return f"{value:,.{max(0, digits - max(whole, 0))}f}"
