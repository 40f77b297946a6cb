# SPDX-License-Identifier: Apache-2.0
"""Measured costs: the user's own, a JSON file each, and the table of each technology that comes with the package."""

import json
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cost_models import store
from cost_models.cost import ALL, Cost, Point
from cost_models.table import from_csv, to_csv

__all__ = [
    "find",
    "go_through",
    "keep",
    "ship",
    "shipped_path",
]

_FOLDER = Path(__file__).with_name("measured")
_FIELDS = {item.name for item in fields(Cost)}


def find(
    unit: str, technology: str, pipeline: int, structures: str = ALL, clock_mhz: float | None = None
) -> Cost | None:
    """Return the measured cost of a unit: the user's own if there is one, else the package's, else None."""
    key = _key(unit, pipeline, structures, clock_mhz)
    path = _own(technology) / f"{key}.json"
    return _cost(path) if path.is_file() else _shipped(technology).get(key)


def keep(cost: Cost) -> None:
    """Keep a cost as the user's measurement, for an earlier one of the same unit, ranks, structures and clock."""
    key = _key(cost.unit, cost.pipeline, cost.structures, cost.clock_mhz)
    store.write_text(_own(cost.technology) / f"{key}.json", json.dumps(asdict(cost), indent=1) + "\n")


def go_through(technology: str) -> Iterator[Cost]:
    """Go through all measured costs of a technology, by key; the user's hide the package's."""
    own = {path.stem: path for path in _own(technology).glob("*.json")}
    shipped = _shipped(technology)
    for key in sorted(own | shipped):
        yield _cost(own[key]) if key in own else shipped[key]


def ship(technology: str, costs: Iterator[Cost]) -> Path:
    """Write the table of a technology that comes with the package, for a release, and return its path."""
    path = shipped_path(technology)
    store.write_text(path, to_csv(costs))
    return path


def shipped_path(technology: str) -> Path:
    """Path of the table of a technology in the package; not every technology has one."""
    return _FOLDER / f"{technology}.csv"


def _own(technology: str) -> Path:
    return store.cache_directory() / "costs" / technology


def _key(unit: str, pipeline: int, structures: str, clock_mhz: float | None) -> str:
    """Name a measurement, as a file too."""
    clock = "" if clock_mhz is None else f"_{clock_mhz:.17g}mhz"
    return f"{unit}_p{pipeline}{'' if structures == ALL else f'_{structures}'}{clock}"


def _cost(path: Path) -> Cost:
    """Read the user's record, leaving out what another version may have added."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    known = {name: value for name, value in record.items() if name in _FIELDS}
    front = tuple(Point(*point) for point in known.get("front", ()))
    return replace(Cost(**known | {"front": front}), source=f"{record['source']} (own measurement)", shipped=False)


def _shipped(technology: str) -> dict[str, Cost]:
    path = shipped_path(technology)
    return _table(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=32)
def _table(path: Path, _changed: int) -> dict[str, Cost]:
    """Read a table once, and again when it changed."""
    costs = from_csv(path.read_text(encoding="utf-8"), path.name)
    return {
        _key(cost.unit, cost.pipeline, cost.structures, cost.clock_mhz): replace(
            cost, source=f"{cost.source} (shipped with the package)", shipped=True
        )
        for cost in costs
    }
