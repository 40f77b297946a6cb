# SPDX-License-Identifier: Apache-2.0
"""Tables of constants as checked dataclasses: named keys with their units, and errors that name the near miss."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args

__all__ = [
    "checked",
    "data",
    "lookup",
    "overridden",
    "read_toml",
]

_Built = TypeVar("_Built")
_UNITS = ("_pj", "_bytes", "_bits", "_pj_per_bit", "_pj_per_mm", "_mw", "_uw", "_ns", "_mm2", "_um2", "_nm")


@cache
def data(stem: str) -> dict[str, Any]:
    """Read a TOML file of this package once."""
    return read_toml(Path(__file__).with_name(f"{stem}.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, or raise ValueError that names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from error


def lookup(table: Mapping[str, _Built], name: str, what: str) -> _Built:
    """
    Find an entry by name.

    Raises
    ------
    LookupError
        No such entry; close matches are given.
    """
    if name not in table:
        close = get_close_matches(name, table) or list(table)
        raise LookupError(f"{what} {name!r} is unknown; close matches: {', '.join(close)}")
    return table[name]


def checked(kind: type[_Built], row: Mapping[str, Any], where: str) -> _Built:
    """
    Make a dataclass of a table.

    Raises
    ------
    ValueError
        A key is unknown, lacks its unit or is missing, or a value is of the wrong kind or below 0; the text names the
        table and the key.
    """
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in row:
        if key not in known:
            raise ValueError(f"{where}: {_unknown(key, known)}")
    absent = [name for name, item in known.items() if name not in row and item.default is MISSING]
    if absent:
        raise ValueError(f"{where}: missing {', '.join(absent)}")
    return kind(**{key: _value(known[key].type, value, f"{where}: {key}") for key, value in row.items()})


def overridden(spec: _Built, values: Mapping[str, float | int | str], where: str) -> _Built:
    """Replace fields of a dataclass by the user's values, with `checked`'s errors, and say so in its source."""
    if not values:
        return spec
    known = {item.name: item for item in fields(spec)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ValueError(f"{where}: {_unknown(key, known)}")
    row = {key: _value(known[key].type, value, f"{where}: {key}") for key, value in values.items()}
    given = ", ".join(f"{key} = {value}" for key, value in row.items())
    source = f"{spec.source}; by the user: {given}"  # type: ignore[attr-defined]
    return replace(spec, source=source, **row)  # type: ignore[type-var]


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    """Say what an unknown key may have been."""
    lacking = [name for name in known if any(name == key + suffix for suffix in _UNITS)]
    if lacking:
        return f"key {key!r} lacks its unit: write {lacking[0]!r}"
    close = get_close_matches(key, known, n=1)
    return f"unknown key {key!r}" + (f"; did you mean {close[0]!r}?" if close else f"; the keys are {', '.join(known)}")


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return a value of a field's type."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if float in kinds and type(value) in (int, float):
        value = float(value)
    if type(value) not in kinds:
        wanted = "a number" if float in kinds else "an integer" if int in kinds else "a string"
        raise ValueError(f"{where} must be {wanted}, not {value!r}")
    if type(value) in (int, float) and not 0 <= value < float("inf"):
        raise ValueError(f"{where} must be finite and at least 0, not {value!r}")
    return value
