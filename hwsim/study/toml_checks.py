# SPDX-License-Identifier: Apache-2.0
"""What is in a TOML file: tables, names and numbers, each checked or told with its place."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any

__all__ = [
    "check_keys",
    "check_name",
    "existing_file",
    "flag_of",
    "limits_of",
    "one_of",
    "table_of",
    "tables_of",
    "text_of",
    "unknown",
    "whole",
]


def unknown(name: str, known: Collection[str]) -> str:
    """Return the names close to one that is not there, or all that there are, as the end of an error."""
    close = get_close_matches(name, known, n=3)
    return f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(known)}"


def check_keys(table: Collection[str], known: Collection[str], where: str) -> None:
    """Raise ValueError for the first key that is unknown."""
    for key in table:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; {unknown(key, known)}")


def check_name(name: Any, known: Collection[str], what: str, where: str) -> None:
    """Raise TypeError or ValueError where a name is none of those known."""
    if not isinstance(name, str):
        raise TypeError(f"{where} must be the name of {what}, not {name!r}")
    if name not in known:
        raise ValueError(f"{where} must be {what}, not {name!r}; {unknown(name, known)}")


def table_of(given: Any, where: str) -> dict[str, Any]:
    """Return a table, or raise TypeError."""
    if not isinstance(given, dict):
        raise TypeError(f"{where} must be a table, not {given!r}")
    return given


def tables_of(given: Any, where: str) -> list[dict[str, Any]]:
    """Return a list of tables, or raise TypeError."""
    if not (isinstance(given, list) and all(isinstance(each, dict) for each in given)):
        raise TypeError(f"{where} must be [[{where.rsplit(' ', 1)[-1]}]] tables, not {given!r}")
    return given


def whole(given: Any, least: int, where: str) -> int:
    """Return an int of at least so much, or raise TypeError or ValueError."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{where} must be an int, not {given!r}")
    if given < least:
        raise ValueError(f"{where} must be at least {least}, not {given}")
    return given


def text_of(given: Any, where: str) -> str:
    """Return a text, or raise TypeError."""
    if not isinstance(given, str):
        raise TypeError(f"{where} must be a text, not {given!r}")
    return given


def flag_of(given: Any, where: str) -> bool:
    """Return true or false, or raise TypeError."""
    if not isinstance(given, bool):
        raise TypeError(f"{where} must be true or false, not {given!r}")
    return given


def one_of(given: Any, known: Sequence[str], where: str) -> str:
    """Return one of some words, or raise ValueError."""
    if given not in known:
        raise ValueError(f"{where} must be one of {', '.join(known)}, not {given!r}")
    return str(given)


def existing_file(given: Any, folder: Path, where: str) -> Path:
    """Return the path of a file from a folder, or raise TypeError or FileNotFoundError."""
    path = folder / text_of(given, where)
    if not path.is_file():
        raise FileNotFoundError(f"{where}: no file {str(path)!r}")
    return path


def limits_of(given: Any, where: str) -> tuple[float, float]:
    """Return two rising numbers, or raise TypeError or ValueError."""
    if not (
        isinstance(given, Sequence)
        and len(given) == 2
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in given)
    ):
        raise TypeError(f"{where} must be two numbers, not {given!r}")
    if not -inf < given[0] < given[1] < inf:
        raise ValueError(f"{where} must be two rising numbers, not {given!r}")
    return float(given[0]), float(given[1])
