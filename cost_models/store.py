# SPDX-License-Identifier: Apache-2.0
"""Results kept as JSON in the user's cache, written atomically."""

import hashlib
import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from platformdirs import user_cache_path

__all__ = [
    "cache_directory",
    "key",
    "load",
    "save",
    "text_hash",
    "write_text",
]


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
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    write_text(cache_directory() / kind / name[:2] / f"{name}.json", text)


def write_text(path: Path, text: str) -> None:
    """Write a text to a neighbour and rename that; make the folders that are missing."""
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
