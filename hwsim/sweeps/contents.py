# SPDX-License-Identifier: Apache-2.0
"""What a store holds, by version; and its points as a table for other programs."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.study.evaluation import Evaluation
from hwsim.study.quantities import KEYS
from hwsim.study.version import model_version
from hwsim.sweeps.parts import POINT_COLUMNS, arrow
from hwsim.sweeps.store import Store

__all__ = [
    "EXPORTS",
    "Contents",
    "contents",
    "export",
    "flat_rows",
    "opened",
    "other_versions",
]

EXPORTS = (".csv", ".parquet", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The evaluations of a store that are asked for, and how many there are of each other version of hwsim."""

    evaluations: tuple[Evaluation, ...]
    others: Mapping[str, int]

    @property
    def old(self) -> int:
        """How many points are of other versions."""
        return sum(self.others.values())


def contents(store: Store, *, every: bool = False) -> Contents:
    """Return what a store holds.

    Parameters
    ----------
    store : Store
    every : bool
        Give the points of other versions of hwsim too; a point may then be there more than once.

    Returns
    -------
    Contents
        Sorted by key. A point that was evaluated with and without its layers is there with them.

    Raises
    ------
    ValueError
        If the store is damaged.
    """
    versions = _versions(store)
    asked = None if every else {key for key, version in versions.items() if version == model_version()}
    found: dict[Any, Evaluation] = {}
    for each in store.evaluations(asked):
        name = (each.point, versions[each.key])
        if name not in found or _is_detailed(each):
            found[name] = each
    return Contents(evaluations=tuple(sorted(found.values(), key=lambda each: each.key)), others=other_versions(store))


def opened(folder: Path, *, every: bool = False) -> Contents:
    """Return what the store in a folder holds; raises as `Store` and `contents`, and ValueError where it is empty."""
    held = contents(Store(folder, create=False), every=every)
    if not held.evaluations:
        why = f": {held.old:,} are of other versions of hwsim, which --all takes too" if held.old else ""
        raise ValueError(f"the store {str(folder)!r} has no point{why}")
    return held


def other_versions(store: Store) -> dict[str, int]:
    """Return how many points are of each version of hwsim but this."""
    counts = Counter(_versions(store).values())
    del counts[model_version()]
    return dict(counts)


def _versions(store: Store) -> dict[str, str]:
    """Return the version of each key."""
    table = store.table("points").select(["key", "version"])
    return {row["key"]: row["version"] or "unknown" for row in table.to_pylist()}


def _is_detailed(evaluation: Evaluation) -> bool:
    """Return whether layers were compared with float32's."""
    return any(layer.get("sqnr_db") is not None for layer in evaluation.layers)


def flat_rows(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return a row a point: its names, ``settings.KEY`` for each setting that any has, figures, refused, key."""
    keys = sorted({key for each in evaluations for key, _ in each.point.settings})
    return [
        {
            **{name: getattr(each.point, name) for name in POINT_COLUMNS},
            **{f"settings.{key}": each.point.setting(key) for key in keys},
            **{key: each.figures[key] for key in KEYS},
            "refused": each.refused,
            "key": each.key,
        }
        for each in evaluations
    ]


def export(evaluations: Sequence[Evaluation], file: Path) -> None:
    """Write points for other programs.

    Parameters
    ----------
    evaluations : sequence of Evaluation
    file : Path
        ``.csv`` or ``.parquet``: `flat_rows`, empty where a figure is not known; ``.json``: all of each evaluation,
        layers, stages and sources too.

    Raises
    ------
    ValueError
        If the name ends otherwise.
    """
    if file.suffix == ".json":
        file.write_text(json.dumps([each.as_dict() for each in evaluations], indent=1) + "\n", encoding="utf-8")
        return
    rows = flat_rows(evaluations)
    if file.suffix == ".csv":
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]) if rows else ["key"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".parquet":
        pa = arrow()
        columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ["key"])}
        pa.parquet.write_table(pa.table(columns), file)
    else:
        raise ValueError(f"a file of points must end in {', '.join(EXPORTS)}, not {file.name!r}")


def _column(values: list[Any]) -> list[Any]:
    """Return values of one kind: as text where a setting is a number in one point and a word in another."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
