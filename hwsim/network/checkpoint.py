# SPDX-License-Identifier: Apache-2.0
"""What an interrupted run leaves in a folder, so that it goes on after the last layer it finished."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Engine, Network
from hwsim.network.requantize import Rule
from hwsim.network.tensor_files import release

__all__ = [
    "Checkpoint",
    "fingerprint",
]

Array = npt.NDArray[Any]

_FORMAT = 1
_STATE = "state.json"  # a digest, and on the next line what it is of
_SUFFIX = ".tensor"
_CHUNK = 1 << 22  # elements hashed at a time


class Checkpoint:
    """A folder that keeps what finished layers produced, as long as it is needed.

    Give it to `hwsim.network.run`, and give it again, with the same network, inputs and engine, to go on. Every file is
    written under another name first and then renamed, so that a run may be killed at any moment. A folder belongs to
    one run at a time.

    Parameters
    ----------
    folder : path-like
        Made if it is not there. It must be empty or hold a checkpoint.

    Raises
    ------
    ValueError
        If it is no folder, or holds files that are not a checkpoint's.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"a checkpoint must be a folder, not the file {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        strange = sorted(path.name for path in self.folder.iterdir() if not _own(path.name))
        if strange:
            raise ValueError(f"{self.folder} must be empty or a checkpoint: it holds {strange[0]!r}")
        self._key = ""
        self._done: list[int] = []  # layers finished, portion by portion
        self._files: dict[str, dict[str, Any]] = {}

    def open(self, network: Network, inputs: Mapping[str, Array], engine: Engine, rule: Rule, at_once: int) -> None:
        """Read what an earlier run left, or begin anew; `at_once` is how many images a portion has.

        Raises
        ------
        ValueError
            If the folder belongs to another network, input, engine or rule, if it is damaged, or if the engine has no
            `description`, by which it would be known again.
        """
        description = getattr(engine, "description", None)
        if not isinstance(description, str):
            name = type(engine).__name__
            raise ValueError(f"a run on {name} cannot be resumed: the engine has no `description` to know it by")
        self._key = fingerprint([network.layers, network.outputs, dict(inputs), description, rule.value, at_once])
        self._done, self._files = [], {}
        path = self.folder / _STATE
        if not path.exists():
            return
        digest, _, text = path.read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            raise ValueError(f"checkpoint {path} is damaged: delete {self.folder}")
        state = json.loads(text)
        kind, key, self._done, self._files = (state[name] for name in ("format", "key", "done", "files"))
        if kind != _FORMAT or key != self._key:
            raise ValueError(
                f"checkpoint {self.folder} belongs to another network, input, engine or rule, or to another version: "
                "give another folder, or delete it"
            )

    def finished(self, portion: int) -> int:
        """Return how many layers of a portion of the images are finished."""
        return self._done[portion] if portion < len(self._done) else 0

    def restore(self, portion: int) -> dict[str, Array]:
        """Return the tensors of a portion that are kept; ValueError where a file of them is damaged."""
        found = {}
        for label, entry in self._files.items():
            owner, name = label.split("/", 1)
            if int(owner) != portion:
                continue
            path = self.folder / str(entry["file"])
            data = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                raise ValueError(f"checkpoint {self.folder} is damaged: {path.name} is not as written: delete it")
            found[name] = np.frombuffer(data, _dtype(entry["dtype"])).reshape(entry["shape"]).copy()
        return found

    def keep(self, portion: int, layer: int, values: Mapping[str, Array]) -> None:
        """Write that a portion has finished so many layers, and the tensors that later ones or the caller need.

        Parameters
        ----------
        portion : int
        layer : int
        values : mapping of str to ndarray
            All that is needed; what is kept already under a name is not written again.
        """
        files = {label: entry for label, entry in self._files.items() if not label.startswith(f"{portion}/")}
        for index, (name, value) in enumerate(values.items()):
            label = f"{portion}/{name}"
            files[label] = self._files.get(label) or self._write(f"{portion}_{layer}_{index}{_SUFFIX}", value)
        self._done[portion:] = [layer]
        self._files = files
        text = json.dumps({"format": _FORMAT, "key": self._key, "done": self._done, "files": files})
        self._replace(_STATE, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode())
        needed = {_STATE, *(str(entry["file"]) for entry in files.values())}
        for path in self.folder.iterdir():
            if path.name not in needed and _own(path.name):
                path.unlink()

    def _write(self, name: str, value: Array) -> dict[str, Any]:
        """Write a tensor, and return its entry."""
        data = np.ascontiguousarray(value).tobytes()
        self._replace(name, data)
        digest = hashlib.sha256(data).hexdigest()
        return {"file": name, "dtype": value.dtype.name, "shape": list(value.shape), "sha256": digest}

    def _replace(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        temporary = self.folder / f"{name}.part"
        temporary.write_bytes(data)
        temporary.replace(self.folder / name)


def fingerprint(value: Any) -> str:
    """Return a digest of what specs, layers and arrays say, the same in every process.

    Raises
    ------
    TypeError
        For an object that is none of these, as nothing is known of what it says.
    """
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """Give the bytes of a value, each part with its kind and its length."""
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.name} {value.shape};".encode()
        flat = value.reshape(-1) if value.flags.c_contiguous else None
        rows = value if value.ndim else value.reshape(1)
        step = max(1, _CHUNK // max(1, value.size // max(1, len(rows))))
        for start in range(0, len(rows) if flat is None else flat.size, step if flat is None else _CHUNK):
            part = rows[start : start + step] if flat is None else flat[start : start + _CHUNK]
            yield np.ascontiguousarray(part).tobytes()
        release(value)
    elif isinstance(value, (tuple, list)):
        yield f"{len(value)} items;".encode()
        for each in value:
            yield from _pieces(each)
    elif isinstance(value, Mapping):
        yield f"{len(value)} entries;".encode()
        for key in sorted(value, key=str):
            yield from _pieces(key)
            yield from _pieces(value[key])
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__};".encode()
        for field in fields(value):
            yield f"{field.name}=".encode()
            yield from _pieces(getattr(value, field.name))
    elif isinstance(value, Enum):
        yield f"{type(value).__name__}.{value.name};".encode()
    elif value is None or isinstance(value, (bool, int, float, str, np.generic)):
        text = repr(value)
        yield f"{len(text)}:{text};".encode()
    elif callable(value) and hasattr(value, "__qualname__"):
        yield f"{value.__module__}.{value.__qualname__};".encode()
    else:
        raise TypeError(f"a {type(value).__name__} cannot be told from another, so that no run on it can be resumed")


def _dtype(name: str) -> np.dtype[Any]:
    """Return a type by its name."""
    return np.dtype(name)


def _own(name: str) -> bool:
    """Tell whether a file is a checkpoint's."""
    return name.removesuffix(".part") == _STATE or name.removesuffix(".part").endswith(_SUFFIX)
