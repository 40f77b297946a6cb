# SPDX-License-Identifier: Apache-2.0
"""Results kept as JSON: the user's cache, written atomically, and the read-only set that comes with the package."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from platformdirs import user_cache_path

__all__ = [
    "cache_directory",
    "costs",
    "key",
    "load",
    "load_cost",
    "save",
    "save_cost",
    "ship",
    "text_hash",
]

_MEASURED = Path(__file__).with_name("measured")


def cache_directory() -> Path:
    """Directory of the user's results: ``$HWSIM_CACHE``, else the platform's cache directory for ``hwsim``."""
    given = os.environ.get("HWSIM_CACHE", "")
    return Path(given) if given else user_cache_path("hwsim", appauthor=False)


def text_hash(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def key(**parts: Any) -> str:
    """Name a result by everything that it depends on: SHA-256 of the parts as JSON with sorted keys."""
    return text_hash(json.dumps(parts, sort_keys=True))


def load(kind: str, name: str) -> Any | None:
    """Load a result of a kind from the user's cache; None if it is not there or was cut short."""
    path = cache_directory() / kind / name[:2] / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def save(kind: str, name: str, value: Any) -> None:
    """Save a result of a kind; a reader sees all of it or nothing."""
    _write(cache_directory() / kind / name[:2] / f"{name}.json", value)


def _write(path: Path, value: Any) -> None:
    """Write JSON to a neighbour and rename it."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, suffix=".part", encoding="utf-8", delete=False) as file:
        part = Path(file.name)
        try:
            file.write(text)
            file.close()
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def save_cost(unit: str, technology: str, record: Mapping[str, Any]) -> None:
    """Save the cost record of a unit in a technology, in place of an earlier one."""
    _write(cache_directory() / "costs" / technology / f"{unit}.json", dict(record))


def load_cost(unit: str, technology: str) -> tuple[dict[str, Any], str] | None:
    """
    Load the cost record of a unit: the user's own if there is one, else the package's.

    Returns
    -------
    tuple of dict and str, or None
        The record, and ``"user"`` or ``"package"``; None where nobody measured.
    """
    for where, records in (("user", _user_costs(technology, unit)), ("package", _shipped(technology))):
        if unit in records:
            return records[unit], where
    return None


def costs(technology: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Go through all records of a technology as (unit, record, where), by unit name; the user's hide the package's."""
    own = _user_costs(technology, "*")
    shipped = _shipped(technology)
    for unit in sorted(own | shipped):
        yield (unit, own[unit], "user") if unit in own else (unit, shipped[unit], "package")


def ship(technology: str) -> Path:
    """Merge the user's records of a technology into the package's set, for a release, and give the path of its file."""
    path = _MEASURED / f"{technology}.json"
    _write(path, _shipped(technology) | _user_costs(technology, "*"))
    return path


def _user_costs(technology: str, pattern: str) -> dict[str, dict[str, Any]]:
    """Read the user's records; a unit's name has no wildcard in it."""
    folder = cache_directory() / "costs" / technology
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{pattern}.json"))}


def _shipped(technology: str) -> dict[str, dict[str, Any]]:
    """Read the package's records."""
    path = _MEASURED / f"{technology}.json"
    if not path.is_file():
        return {}
    records: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return records
