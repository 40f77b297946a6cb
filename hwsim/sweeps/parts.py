# SPDX-License-Identifier: Apache-2.0
"""The Parquet parts of a store: their columns, one part written whole or not at all, one read or told to be damaged."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, get_args

from hwsim.study.quantities import QUANTITIES

__all__ = [
    "KINDS",
    "POINT_COLUMNS",
    "Kind",
    "arrow",
    "read_part",
    "remove_leftovers",
    "table_of",
    "write_part",
]

Kind = Literal["points", "values", "costs"]
KINDS: tuple[Kind, ...] = get_args(Kind)
POINT_COLUMNS = ("network", "format", "unit", "accelerator", "technology")
_COLUMNS: Mapping[Kind, Mapping[str, str]] = {
    "points": {
        "key": "str",
        **dict.fromkeys(POINT_COLUMNS, "str"),
        "settings": "str",
        "refused": "str",
        **{each.key: each.kind for each in QUANTITIES},
        "layers": "str",
        "stages": "str",
        "sources": "str",
        "version": "str",
    },
    "values": {"key": "str", "network": "str", "unit": "str", "figures": "str"},
    "costs": {"key": "str", "unit": "str", "technology": "str", "pipeline": "int", "cost": "str"},
}
_SUFFIX = ".parquet"
_UNFINISHED = ".unfinished"
_UNFINISHED_SECONDS = 60.0
_ROWS_A_GROUP = 16384


def arrow() -> Any:
    """Return pyarrow with its Parquet part; ModuleNotFoundError says how to get it."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a store needs pyarrow: pip install 'hwsim[sweep]'", name=error.name, path=error.path
        ) from None
    return pa


def schema(kind: Kind) -> Any:
    """Return the columns of a kind of part; texts of JSON are ``settings``, ``layers``, ``stages``, ``sources``."""
    pa = arrow()
    types = {"str": pa.large_string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    columns = _COLUMNS[kind]
    return pa.schema([pa.field(name, types[what], nullable=name != "key") for name, what in columns.items()])


def table_of(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows as a table; ValueError for a column that the kind has not, or a value of another type."""
    pa = arrow()
    for row in rows:
        if row.keys() - _COLUMNS[kind].keys() or "key" not in row:
            known = ", ".join(_COLUMNS[kind])
            raise ValueError(f"a row of {kind} must have a key and none but {known}, not {sorted(row)}")
    try:
        return pa.Table.from_pylist(list(rows), schema=schema(kind))
    except pa.ArrowException as error:
        raise ValueError(f"a row of {kind} has a value of another type than its column: {error}") from None


def write_part(folder: Path, table: Any) -> Path:
    """Write a table to a part named by its bytes: a reader sees all of it or nothing, a lost power cut too.

    The bytes depend on the rows, their order and the version of pyarrow alone.
    """
    pa = arrow()
    stream = pa.BufferOutputStream()
    pa.parquet.write_table(
        table, stream, version="2.6", compression="zstd", compression_level=3, row_group_size=_ROWS_A_GROUP,
        use_dictionary=True, write_statistics=True, store_schema=False,
    )  # fmt: skip
    contents = stream.getvalue()
    path = folder / f"{hashlib.sha256(contents).hexdigest()[:32]}{_SUFFIX}"
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=".", suffix=_UNFINISHED, delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
            unfinished.chmod(0o644)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    _sync(folder)
    return path


def read_part(path: Path, kind: Kind, columns: Sequence[str] | None = None) -> Any:
    """Read a part, or some of its columns; those that an older version did not know are null.

    Raises
    ------
    FileNotFoundError
        If it is no longer there.
    ValueError
        If it is damaged, or no part of this kind; the message names the file.
    """
    pa = arrow()
    wanted = schema(kind) if columns is None else pa.schema([schema(kind).field(name) for name in columns])
    try:
        with pa.parquet.ParquetFile(path) as file:
            there = file.schema_arrow
            _check_columns(there, schema(kind), path, kind)
            read = file.read(columns=[name for name in wanted.names if name in there.names])
        filled = [
            read[field.name].cast(field.type) if field.name in read.column_names else pa.nulls(len(read), field.type)
            for field in wanted
        ]
        return pa.table(filled, schema=wanted)
    except (FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise ValueError(f"{path}: damaged, or no part of a store: {first}; move it away and run again") from None


def _check_columns(there: Any, known: Any, path: Path, kind: Kind) -> None:
    unknown = sorted(set(there.names) - set(known.names))
    if "key" not in there.names or unknown:
        what = f"columns {', '.join(unknown)}, which this version does not know" if unknown else "no column 'key'"
        raise ValueError(f"{path}: no part of a store's {kind}: it has {what}")


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed writer left; a file of the last minute may still be written."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        try:
            old = time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS
        except FileNotFoundError:
            continue
        if old:
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
