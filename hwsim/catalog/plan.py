# SPDX-License-Identifier: Apache-2.0
"""Which units are measured in which technologies: the rows of the catalog, read from a TOML file."""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from cost_models.technologies import names
from hwsim import accelerator, datapath
from hwsim.accelerator import presets
from hwsim.datapath import DotProductUnit

__all__ = [
    "PLAN",
    "Row",
    "plan",
]

PLAN = Path(__file__).with_name("plan.toml")
_KINDS: dict[str, type] = {
    "groups": list,
    "units": list,
    "comparable_lanes": int,
    "pipeline": int,
    "technologies": list,
    "presets": bool,
}


class Row(NamedTuple):
    """A unit by a name of `hwsim.datapath.named`, a technology, and register ranks: what one price is of."""

    unit: str
    technology: str
    pipeline: int

    @property
    def spec(self) -> DotProductUnit:
        """The unit, whose own name measured costs are kept by."""
        return datapath.named(self.unit)


def plan(technologies: Sequence[str] | None = None, path: Path = PLAN) -> tuple[Row, ...]:
    """Return the rows of the catalog, the ones most asked for first.

    Parameters
    ----------
    technologies : sequence of str, optional
        Leave out the others.
    path : Path
        A TOML file: ``[groups]`` with lists of units, and ``[[rows]]`` with ``groups``, ``units``, ``pipeline``,
        ``technologies``, ``comparable_lanes`` or ``presets``; the package's own says what they mean.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not TOML, has no rows, an unknown key, group or technology, or a value of the wrong kind; the
        text names the place.
    LookupError
        If there is no unit of a name, or none of the technologies asked for.
    """
    for technology in technologies or ():
        if technology not in names():
            close = get_close_matches(technology, names()) or list(names())
            raise LookupError(f"technology {technology!r} is unknown; close matches: {', '.join(close)}")
    if not path.is_file():
        raise FileNotFoundError(f"plan file {path} does not exist")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from error
    unknown = sorted(set(data) - {"groups", "rows"})
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}; there are groups, rows")
    groups, tables = data.get("groups", {}), data.get("rows", [])
    if not isinstance(groups, dict):
        raise ValueError(f"{path}: groups must be a table, not {groups!r}")
    for name, units in groups.items():
        _check_names(f"{path}: groups.{name}", units)
    if not (isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)):
        raise ValueError(f"{path}: rows must be one [[rows]] table or more, not {tables!r}")
    rows: dict[tuple[str, str, int], Row] = {}
    for index, table in enumerate(tables):
        for row in _rows(table, groups, f"{path}: rows[{index}]"):
            rows.setdefault((row.spec.name, row.technology, row.pipeline), row)
    return tuple(row for row in rows.values() if technologies is None or row.technology in technologies)


def _rows(table: dict[str, Any], groups: dict[str, list[str]], where: str) -> Iterator[Row]:
    """Go through the rows of one table of the file."""
    unknown = sorted(set(table) - set(_KINDS))
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KINDS))}")
    for key, value in table.items():
        if _KINDS[key] is list:
            _check_names(f"{where}.{key}", value)
        elif _KINDS[key] is bool and not isinstance(value, bool):
            raise ValueError(f"{where}.{key} must be true or false, not {value!r}")
        elif _KINDS[key] is int and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{where}.{key} must be an integer of at least 1, not {value!r}")
    if table.get("presets"):
        for name in presets():
            preset = accelerator.read(name)
            yield Row(preset.unit.name, preset.technology, preset.pipeline)
        return
    units: list[str] = []
    for group in table.get("groups", []):
        if group not in groups:
            raise ValueError(f"{where}: group {group!r} is not in [groups], which has {', '.join(sorted(groups))}")
        units += groups[group]
    units += table.get("units", [])
    if not (units and table.get("technologies")):
        raise ValueError(f"{where} must have units or groups, and technologies, or presets")
    lanes = table.get("comparable_lanes")
    made = [unit if lanes is None else datapath.comparable(unit, lanes).name for unit in units]
    for technology in table.get("technologies", []):
        if technology not in names():
            raise ValueError(f"{where}: technology {technology!r} is unknown; there are {', '.join(names())}")
        for unit in made:
            yield Row(unit, technology, table.get("pipeline", 2))


def _check_names(where: str, value: Any) -> None:
    """Check that a value is a list of names."""
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        raise ValueError(f"{where} must be a list of names, not {value!r}")
