# SPDX-License-Identifier: Apache-2.0
"""The store of sweeps: a folder of Parquet parts, keyed by content, that many may write, read and merge."""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from cost_models import Cost
from cost_models.cost import Point
from hwsim.study.evaluation import Evaluation
from hwsim.study.quantities import KEYS, QUANTITIES
from hwsim.study.version import model_version
from hwsim.sweeps.parts import KINDS, POINT_COLUMNS, Kind, arrow, read_part, remove_leftovers, table_of, write_part

__all__ = [
    "Store",
    "merge",
]

_LOG = "log.jsonl"
_TRIES = 20
_DIFFERENCE_CHARS = 60


class Store:
    """What sweeps have found: ``points/*.parquet``, ``values/*.parquet`` and ``costs/*.parquet`` in a folder.

    A row has a key, the SHA-256 of all that decides it, and nothing of when, where and how long: two runs give the same
    rows. That is in ``log.jsonl`` beside. A part is written whole and never changed, so that anything that reads
    Parquet may read while a sweep writes, and several sweeps may write to one store; between a `compact`'s writing and
    removing, a row may be seen twice.

    Parameters
    ----------
    path : path
        The folder.
    create : bool
        Whether to make it if it is not there.

    Raises
    ------
    FileNotFoundError
        If it is not there and not to be made.
    ModuleNotFoundError
        Without pyarrow (``pip install 'hwsim[sweep]'``).
    ValueError
        If the path is a file, or a folder of something else.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        arrow()
        self.path = Path(path)
        if not create and not self.path.exists():
            raise FileNotFoundError(f"no store {str(path)!r}")
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"a store must be a folder, not the file {str(path)!r}")
        if self.path.is_dir() and any(self.path.iterdir()) and not any((self.path / name).exists() for name in _OWN):
            raise ValueError(f"{str(path)!r} is a folder of something else: it has none of {', '.join(_OWN)}")
        if create:
            for kind in KINDS:
                (self.path / kind).mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def parts(self, kind: Kind) -> list[Path]:
        """Return the files of a kind, sorted by name."""
        return sorted((self.path / kind).glob("[!.]*.parquet"))

    def keys(self, kind: Kind = "points") -> set[str]:
        """Return the keys that are there; ValueError names a damaged part."""
        found: set[str] = set()
        for part in self._read(kind, ("key",)):
            found.update(part["key"].to_pylist())
        return found

    def table(self, kind: Kind = "points") -> Any:
        """Return all rows as a `pyarrow.Table`, sorted by key, each key once.

        Raises
        ------
        ValueError
            If a part is damaged, or two parts differ about a key; the message names them.
        """
        return _union(kind, *self._paths_and_tables(kind))

    def append(self, kind: Kind, rows: Iterable[Mapping[str, Any]]) -> Path | None:
        """Write rows as one part, on the disk when this returns; None where there are none."""
        held = list(rows)
        return write_part(self.path / kind, table_of(kind, held)) if held else None

    def add(self, evaluations: Iterable[Evaluation]) -> Path | None:
        """Append evaluations."""
        return self.append("points", map(_point_row, evaluations))

    def add_values(self, key: str, network: str, unit: str, figures: Mapping[str, Any]) -> Path | None:
        """Append the value figures of a `hwsim.study.value_key`."""
        row = {"key": key, "network": network, "unit": unit, "figures": _json(dict(figures))}
        return self.append("values", [row])

    def add_cost(self, key: str, cost: Cost) -> Path | None:
        """Append a measured price; the time that it took is left out."""
        text = _json(asdict(replace(cost, seconds=0.0)))
        row = {"key": key, "unit": cost.unit, "technology": cost.technology, "pipeline": cost.pipeline, "cost": text}
        return self.append("costs", [row])

    def evaluations(self, keys: Collection[str] | None = None) -> list[Evaluation]:
        """Return what is known of all points, or of those of some keys, sorted by key; raises as `table`."""
        table = self.table("points")
        if keys is not None:
            table = table.filter(arrow().compute.is_in(table["key"], arrow().array(list(keys), table["key"].type)))
        return [_evaluation(row) for row in table.to_pylist()]

    def values(self) -> dict[str, dict[str, Any]]:
        """Return value figures by key; raises as `table`."""
        return {row["key"]: json.loads(row["figures"]) for row in self.table("values").to_pylist()}

    def costs(self) -> dict[str, Cost]:
        """Return measured prices by key; raises as `table`."""
        return {row["key"]: _cost(json.loads(row["cost"])) for row in self.table("costs").to_pylist()}

    def as_comparison_dict(self, title: str = "", notes: Sequence[str] = ()) -> dict[str, Any]:
        """Return what the report page takes: title, version, quantities, evaluations, notes."""
        return {
            "title": title or self.path.name,
            "version": model_version(),
            "quantities": [each.as_dict() for each in QUANTITIES],
            "evaluations": [each.as_dict() for each in self.evaluations()],
            "notes": list(notes),
        }

    def compact(self) -> None:
        """Put all parts of a kind into one, sorted by key, and remove what killed writers left.

        The same rows give the same bytes (with one version of pyarrow), in whatever order and parts they came; rows
        that others write meanwhile stay in parts of their own. Raises as `table`.
        """
        for kind in KINDS:
            remove_leftovers(self.path / kind)
            paths, tables = self._paths_and_tables(kind)
            if not paths:
                continue
            whole = write_part(self.path / kind, _union(kind, paths, tables))
            for path in paths:
                if path.name != whole.name:
                    path.unlink(missing_ok=True)

    def log(self, event: str, **what: Any) -> None:
        """Add a line to ``log.jsonl``: what happened, when and where; nothing that a row depends on."""
        import platform
        from datetime import UTC, datetime

        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node(), "event": event}
        with (self.path / _LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | what) + "\n")

    def _paths_and_tables(self, kind: Kind) -> tuple[list[Path], list[Any]]:
        paths = self.parts(kind)
        for _ in range(_TRIES):
            try:
                return paths, [read_part(path, kind) for path in paths]
            except FileNotFoundError:  # compacted meanwhile: its rows are in another part
                paths = self.parts(kind)
        raise RuntimeError(f"{self.path / kind}: parts vanish while they are read, {_TRIES} times in a row")

    def _read(self, kind: Kind, columns: Sequence[str]) -> list[Any]:
        for _ in range(_TRIES):
            try:
                return [read_part(path, kind, columns) for path in self.parts(kind)]
            except FileNotFoundError:
                continue
        raise RuntimeError(f"{self.path / kind}: parts vanish while they are read, {_TRIES} times in a row")


_OWN = (*KINDS, _LOG)


def merge(stores: Sequence[str | Path | Store], into: str | Path | Store) -> dict[Kind, int]:
    """Put the rows of stores into one: their union by key, compacted.

    Parameters
    ----------
    stores : sequence of path or Store
        Those to read, which must be there; they are not changed.
    into : path or Store
        Made if it is not there; its own rows stay.

    Returns
    -------
    dict of str to int
        Rows that came to it, by kind.

    Raises
    ------
    FileNotFoundError, ValueError
        If a store is not there or damaged, or two differ about a key: the message names both parts, and nothing is
        written.
    """
    read = [store if isinstance(store, Store) else Store(store, create=False) for store in stores]
    target = into if isinstance(into, Store) else Store(into)
    unions = {}
    for kind in KINDS:
        found = [store._paths_and_tables(kind) for store in (target, *read)]
        paths = [path for each, _ in found for path in each]
        unions[kind] = _union(kind, paths, [table for _, tables in found for table in tables])
    added: dict[Kind, int] = {}
    for kind, union in unions.items():
        added[kind] = len(union) - len(target.keys(kind))
        if added[kind]:
            write_part(target.path / kind, union)
    target.compact()
    target.log("merged", stores=[str(store.path) for store in read], rows=added)
    return added


def _union(kind: Kind, paths: Sequence[Path], tables: Sequence[Any]) -> Any:
    """Return the rows of all tables sorted by key, each key once; ValueError where two rows of one key differ."""
    pa = arrow()
    if not tables:
        return table_of(kind, [])
    whole = pa.concat_tables(tables)
    order = pa.compute.sort_indices(whole, sort_keys=[("key", "ascending")])
    ordered = whole.take(order)
    names = ordered["key"].to_pylist()
    repeats = [index for index in range(1, len(names)) if names[index] == names[index - 1]]
    if not repeats:
        return ordered.combine_chunks()
    ends = list(accumulate(len(table) for table in tables))
    for index in repeats:
        one, other = (ordered.slice(at, 1).to_pylist()[0] for at in (index - 1, index))
        if repr(one) != repr(other):  # as text: a NaN equals itself
            places = [paths[bisect_right(ends, order[at].as_py())] for at in (index - 1, index)]
            raise ValueError(_difference(kind, one, other, places))
    kept = [True] * len(names)
    for index in repeats:
        kept[index] = False
    return ordered.filter(pa.array(kept)).combine_chunks()


def _difference(kind: Kind, one: Mapping[str, Any], other: Mapping[str, Any], places: Sequence[Path]) -> str:
    column = next(name for name in one if repr(one[name]) != repr(other[name]))
    shown = [repr(row[column])[:_DIFFERENCE_CHARS] for row in (one, other)]
    return (
        f"{places[0]} and {places[1]} differ about {kind} {one['key']}: {column} is {shown[0]} and {shown[1]}; one of "
        "them was changed by hand, or made by a changed hwsim"
    )


def _point_row(evaluation: Evaluation) -> dict[str, Any]:
    values = evaluation.as_dict()
    point = values["point"]
    return {
        "key": evaluation.key,
        **{name: point[name] for name in POINT_COLUMNS},
        "settings": _json(point["settings"]),
        "refused": evaluation.refused,
        **values["figures"],
        **{name: _json(values[name]) for name in ("layers", "stages", "sources")},
        "version": model_version(),
    }


def _evaluation(row: Mapping[str, Any]) -> Evaluation:
    point = {name: row[name] for name in POINT_COLUMNS} | {"settings": json.loads(row["settings"])}
    texts = {name: json.loads(row[name]) for name in ("layers", "stages", "sources")}
    figures = {name: row[name] for name in KEYS}
    return Evaluation.from_dict(
        {"point": point, "key": row["key"], "figures": figures, "refused": row["refused"], **texts}
    )


def _cost(record: Mapping[str, Any]) -> Cost:
    known = {each.name: record[each.name] for each in fields(Cost) if each.name in record}
    return Cost(**known | {"front": tuple(Point(*point) for point in record["front"])})


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
