# SPDX-License-Identifier: Apache-2.0
"""Tables of the fronts of many points: what tells the members apart, their figures, their fronts."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table

from hwsim.report.fronts import Front, Objectives, marks
from hwsim.report.rows import Row, is_fitted, is_known, settings_of, varying, varying_settings
from hwsim.study.quantities import Better, quantity

__all__ = ["front_tables"]

_VALUES = ("accuracy", "output_sqnr_db", "agreement")
_FIGURES = ("energy_nj", "area_mm2", "lut", "latency_us", "clock_mhz")
_SHARES = ("accuracy", "float_accuracy", "agreement", "utilisation")
_MOST_ROWS = 30
_NAME_WIDTH = 36


def front_tables(found: Sequence[Front], title: str) -> Iterator[Table]:
    """Give a table a network and technology: the members of its fronts, with the fronts' numbers.

    Best in the first objective first; at most thirty rows, which the title says.
    """
    several = len({front.technology for front in found}) > 1
    for place in dict.fromkeys((front.network, front.technology) for front in found):
        own = [front for front in found if (front.network, front.technology) == place]
        members = list({row["key"]: row for front in own for row in front.members}.values())
        if members:
            more = f", {_MOST_ROWS} of {len(members):,}" if len(members) > _MOST_ROWS else ""
            name = f"{title}: {place[0]}" + f" in {place[1]}" * several + more
            yield _table(_sorted(members, own[0].objectives)[:_MOST_ROWS], own, name)


def _sorted(members: Sequence[Row], objectives: Objectives) -> list[Row]:
    """Return members, best in the first objective first, then in the next."""

    def rank(row: Row) -> tuple[tuple[bool, float], ...]:
        values = [(row[key], better) for key, better in objectives.items()]
        return tuple((value is None, 0.0 if value is None else _small(value, better)) for value, better in values)

    return sorted(members, key=lambda row: (*rank(row), row["key"]))


def _small(value: Any, better: Better) -> float:
    """Return a figure so that the better is the smaller one."""
    return -float(value) if better == "more" else float(value)


def _table(members: Sequence[Row], own: Sequence[Front], title: str) -> Table:
    """Return a table of members: what tells them apart, their figures, their fronts."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    names = (*varying(members), *varying_settings(members))
    asked = (key for front in own for key in front.objectives)
    value = next((key for key in _VALUES if is_known(members, key)), _VALUES[0])
    keys = [key for key in dict.fromkeys((*asked, value, *_FIGURES)) if is_known(members, key)]
    for name in names:
        longest = max(len(_name(row, name)) for row in members)
        table.add_column(name.rpartition(".")[2], overflow="fold", min_width=min(longest, _NAME_WIDTH))
    for key in keys:
        table.add_column(_heading(key), justify="right", no_wrap=True)
    if len(own) > 1:
        table.add_column("front")
    for row in members:
        cells = [*(_name(row, name) for name in names), *(_cell(row, key) for key in keys)]
        table.add_row(*cells, *[marks(row, own)] * (len(own) > 1))
    return table


def _name(row: Row, key: str) -> str:
    """Return a name or a setting of a point; nothing where the accelerator's own holds."""
    return str(row[key] if key in row and "." not in key and key != "clock_mhz" else settings_of(row).get(key, ""))


def _heading(key: str) -> str:
    held = quantity(key)
    unit = "%" if key in _SHARES else held.unit
    return f"{held.label}\n{unit}" if unit else held.label


def _cell(row: Row, key: str) -> str:
    """Return a figure as text; one that follows from a fitted price is marked."""
    value = row[key]
    if value is None:
        return ""
    if key in _SHARES:
        return f"{100 * float(value):.2f}"
    return f"{'~' * is_fitted(row, key)}{_number(value, quantity(key).digits)}"


def _number(value: Any, digits: int) -> str:
    """Return a number with so many significant digits, without an exponent where it is of a usual size."""
    if not isinstance(value, float):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))).lstrip("0"))
    return f"{value:,.{max(0, digits - max(whole, 0))}f}"
