# SPDX-License-Identifier: Apache-2.0
"""Costs as a compact table: CSV, a row a measurement, readable by eye and by any spreadsheet."""

import csv
import io
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from cost_models.cost import Cost, Point

__all__ = [
    "COLUMNS",
    "from_csv",
    "to_csv",
]

_HINTS = get_type_hints(Cost)
COLUMNS = tuple(item.name for item in fields(Cost) if item.name not in ("source", "errors", "shipped"))
_DIGITS = 7


def to_csv(costs: Iterable[Cost]) -> str:
    """
    Write costs as CSV with a header, sorted by unit, ranks, structures and clock.

    Numbers have seven digits. A mapping is ``name=number`` joined by ``; ``, a front ``architecture/recipe=um2@ps``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    ordered = sorted(costs, key=lambda cost: (cost.unit, cost.pipeline, cost.structures, cost.clock_mhz or 0.0))
    writer.writerows([_written(getattr(cost, name)) for name in COLUMNS] for cost in ordered)
    return text.getvalue()


def from_csv(text: str, where: str) -> list[Cost]:
    """
    Read what `to_csv` wrote; columns that this version does not know are left out, those it lacks have their default.

    Raises
    ------
    ValueError
        A cell is not of its kind; the text names the file, the line and the column.
    """
    costs = []
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        known = {name: cell for name, cell in row.items() if name in COLUMNS and cell}
        values = {}
        for name, cell in known.items():
            try:
                values[name] = _read(cell, _HINTS[name])
            except ValueError as error:
                raise ValueError(f"{where}, line {line}: {name} cannot be read from {cell!r}") from error
        costs.append(Cost(**values | {"source": _source(known)}))
    return costs


def _source(row: Mapping[str, str]) -> str:
    """Say how a row was measured."""
    recipe = f"{row.get('architecture', '')} {row['recipe']}" if "recipe" in row else row.get("architecture", "")
    return f"measured with {row.get('tools', '')}; {recipe}; netlist {row.get('netlist_hash', '')[:12]}"


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={_written(each)}" for name, each in value.items())
    if isinstance(value, tuple):
        return "; ".join(
            f"{point.architecture}/{point.recipe}={_written(point.area_um2)}@{_written(point.delay_ps)}"
            for point in value
        )
    return str(value)


def _read(cell: str, hint: Any) -> Any:
    """Read a cell of a field's type."""
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in (int, float, str):
        if kind in kinds:
            return kind(cell)
    items = [item.rpartition("=")[::2] for item in cell.split("; ")]
    if tuple in (getattr(kind, "__origin__", None) for kind in kinds):
        return tuple(_point(name, figures) for name, figures in items)
    return {name: float(number) for name, number in items}


def _point(name: str, figures: str) -> Point:
    """Read a point of a front."""
    architecture, _, recipe = name.partition("/")
    area, _, delay = figures.partition("@")
    return Point(architecture, recipe, float(area), float(delay))
