# SPDX-License-Identifier: Apache-2.0
"""Which units are measured in which technologies: the rows of the catalog, read from a TOML file."""

import tomllib
from collections.abc import Iterator, Sequence
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
_KEYS = {"groups", "units", "comparable_lanes", "pipeline", "technologies", "presets"}


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
    ValueError
        If the file is not TOML or has an unknown key, group or technology; the text names the place.
    KeyError
        If there is no unit of a name.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from error
    groups = data.get("groups", {})
    rows: dict[tuple[str, str, int], Row] = {}
    for index, table in enumerate(data.get("rows", [])):
        for row in _rows(table, groups, f"{path}: rows[{index}]"):
            rows.setdefault((row.spec.name, row.technology, row.pipeline), row)
    return tuple(row for row in rows.values() if technologies is None or row.technology in technologies)


def _rows(table: dict[str, Any], groups: dict[str, list[str]], where: str) -> Iterator[Row]:
    """Go through the rows of one table of the file."""
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
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
    lanes = table.get("comparable_lanes")
    made = [unit if lanes is None else datapath.comparable(unit, lanes).name for unit in units]
    for technology in table.get("technologies", []):
        if technology not in names():
            raise ValueError(f"{where}: technology {technology!r} is unknown; there are {', '.join(names())}")
        for unit in made:
            yield Row(unit, technology, table.get("pipeline", 2))
