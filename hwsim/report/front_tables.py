# SPDX-License-Identifier: Apache-2.0
"""Tables of the fronts of many points: what tells the members apart, their figures, their fronts."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table

from hwsim.report.fronts import Front, Objectives, marks
from hwsim.report.rows import Row, is_fitted, is_known, settings_of, short_names, varying, varying_settings
from hwsim.study.quantities import Better, quantity

__all__ = ["front_tables"]

_VALUES = ("accuracy", "output_sqnr_db", "agreement")
_FIGURES = ("energy_nj", "area_mm2", "lut", "latency_us", "clock_mhz")
_SHARES = ("accuracy", "float_accuracy", "agreement", "utilisation")
_FIXED = ("format", "unit", "accelerator")
_MOST_ROWS = 30
_OWN = "default"  # a setting that a point leaves to its accelerator
_NAME_WIDTH = 36


def front_tables(found: Sequence[Front], title: str) -> Iterator[Table]:
    """Give a table a network and technology: the members of its fronts, with the fronts' numbers.

    Best in the first objective first; at most thirty rows, which the title says. Members that differ in settings alone,
    and in no objective of the fronts that they are on, are a row; what else differs of them is given as a range.
    """
    several = len({front.technology for front in found}) > 1
    for place in dict.fromkeys((front.network, front.technology) for front in found):
        own = [front for front in found if (front.network, front.technology) == place]
        members = list({row["key"]: row for front in own for row in front.members}.values())
        if members:
            groups = _folded(_sorted(members, own[0].objectives), own)
            more = f", {_MOST_ROWS} of {len(groups):,}" if len(groups) > _MOST_ROWS else ""
            name = f"{title}: {place[0]}" + f" in {place[1]}" * several + more
            yield _table(groups[:_MOST_ROWS], own, name)


def _sorted(members: Sequence[Row], objectives: Objectives) -> list[Row]:
    """Return members, best in the first objective first, then in the next."""

    def rank(row: Row) -> tuple[tuple[bool, float], ...]:
        values = [(row[key], better) for key, better in objectives.items()]
        return tuple((value is None, 0.0 if value is None else _small(value, better)) for value, better in values)

    return sorted(members, key=lambda row: (*rank(row), row["key"]))


def _small(value: Any, better: Better) -> float:
    """Return a figure so that the better is the smaller one."""
    return -float(value) if better == "more" else float(value)


def _table(groups: Sequence[Sequence[Row]], own: Sequence[Front], title: str) -> Table:
    """Return a table of equal members a row: what tells them apart, their figures, their fronts."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    members = [row for group in groups for row in group]
    names, table.caption = _names(members, own[0].rows)
    table.caption_justify = "left"
    asked = (key for front in own for key in front.objectives)
    value = next((key for key in _VALUES if is_known(members, key)), _VALUES[0])
    keys = [key for key in dict.fromkeys((*asked, value, *_FIGURES)) if is_known(members, key)]
    counted = len(members) > len(groups)
    for name, heading in zip(names, short_names(names), strict=True):
        longest = max(len(_named(group, name)) for group in groups)
        table.add_column(heading.replace(".", "\n"), overflow="fold", min_width=min(longest, _NAME_WIDTH))
    if counted:
        table.add_column("equal", justify="right")
    for key in keys:
        table.add_column(_heading(key), justify="right", no_wrap=True)
    if len(own) > 1:
        table.add_column("front")
    for group in groups:
        cells = [*(_named(group, name) for name in names), *[str(len(group))] * counted]
        cells += [_range(group, key) for key in keys]
        table.add_row(*cells, *[marks(group[0], own)] * (len(own) > 1))
    return table


def _names(members: Sequence[Row], rows: Sequence[Row]) -> tuple[list[str], str | None]:
    """Return what tells members apart of all that varies among the rows, and a line of what is the same in them."""
    names = [*varying(rows), *varying_settings(rows)]
    apart = [name for name in names if name == "format" or len({_name(row, name) for row in members}) > 1]
    same = [f"{name}={_name(members[0], name) or _OWN}" for name in names if name not in apart]
    return apart, f"the same in all rows: {', '.join(same)}" if same else None


def _folded(members: Sequence[Row], own: Sequence[Front]) -> list[list[Row]]:
    """Return members that differ in their settings alone, and in no objective of their fronts, together, in order."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in members:
        at = marks(row, own)
        figures = tuple(row[key] for front in own if str(front.number) in at.split() for key in front.objectives)
        groups.setdefault((*(row[key] for key in _FIXED), at, figures), []).append(row)
    return list(groups.values())


def _named(group: Sequence[Row], key: str) -> str:
    """Return a name or a setting of equal members: `16 to 64` of numbers, all of a few words."""
    values = list(dict.fromkeys(_name(row, key) for row in group))
    settings = [settings_of(row).get(key) for row in group]
    numbers = [each for each in settings if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(values) > 1 and len(numbers) == len(settings):
        return f"{min(numbers)} to {max(numbers)}"
    return ", ".join(value or _OWN for value in values) if len(values) > 1 else values[0]


def _range(group: Sequence[Row], key: str) -> str:
    """Return a figure of equal members, which may differ where it is no objective."""
    known = sorted((row for row in group if row[key] is not None), key=lambda row: float(row[key]))
    cells = list(dict.fromkeys(_cell(row, key) for row in (known[:1] + known[-1:])))
    return " to ".join(cells)


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
