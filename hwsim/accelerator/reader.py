# SPDX-License-Identifier: Apache-2.0
"""Read an accelerator's TOML file."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from hwsim import datapath
from hwsim.accelerator.spec import Accelerator, ArraySpec, Dataflow, DramSpec, SramSpec
from hwsim.network import Rule

__all__ = [
    "presets",
    "read",
]

_Built = TypeVar("_Built")
_KEYS: dict[str, tuple[str, ...]] = {
    "": (
        "name",
        "unit",
        "pipeline",
        "vector_lanes",
        "clock_mhz",
        "technology",
        "sram_node_nm",
        "requantization",
        "array",
        "memory",
    ),
    "array": ("dataflow", "rows", "columns"),
    "memory": ("activations", "weights", "dram"),
    "memory.activations": ("kilobytes", "width_bits"),
    "memory.weights": ("kilobytes", "width_bits"),
    "memory.dram": ("kind", "bits_per_cycle"),
}


def presets() -> tuple[str, ...]:
    """Return the names of the accelerators that come with the package."""
    folder = resources.files("hwsim.accelerator") / "presets"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read(path: str | Path) -> Accelerator:
    """Read an accelerator.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the name of a preset (`presets`). Every key is needed, but `name` (the file's stem), `pipeline`
        (2) and `requantization` ("onnx").

    Returns
    -------
    Accelerator

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor such a preset.
    TypeError, ValueError
        If the path is a directory, the file is not TOML, or a key is unknown, missing, of the wrong kind or out of
        range: with file, key and value.
    """
    text, where = _text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: not a TOML file: {error}") from None
    _check_keys(table, "", where)
    try:
        return _accelerator(table, where)
    except (KeyError, TypeError, ValueError) as error:
        message = str(error.args[0])
        kind = ValueError if isinstance(error, KeyError) else type(error)
        raise kind(message if message.startswith(where) else f"{where}: {message}") from None


def _text(path: str | Path) -> tuple[str, str]:
    """Return the text and what to call it in an error."""
    if str(path) in presets():
        return (resources.files("hwsim.accelerator") / "presets" / f"{path}.toml").read_text(), f"preset {path}"
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{path}: is a directory, not a TOML file")
    if not file.is_file():
        close = difflib.get_close_matches(str(path), presets(), n=2)
        hint = (
            f"; did you mean the preset {', '.join(close)}?" if close else f"; the presets are {', '.join(presets())}"
        )
        raise FileNotFoundError(f"no accelerator file {str(path)!r}{hint}")
    try:
        return file.read_text(encoding="utf-8"), str(path)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a TOML file: it is not text") from None


def _check_keys(table: Mapping[str, Any], prefix: str, where: str) -> None:
    """Raise for the first key that no accelerator has."""
    known = _KEYS[prefix]
    for key, value in table.items():
        full = f"{prefix}.{key}" if prefix else key
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; the keys here are {', '.join(known)}"
            raise ValueError(f"{where}: unknown key {full!r}{hint}")
        if full in _KEYS:
            if not isinstance(value, dict):
                raise TypeError(f"{where}: {full} must be a table, not {value!r}")
            _check_keys(value, full, where)


def _need(table: Mapping[str, Any], path: str, where: str, kind: type, default: Any = None) -> Any:
    """Return the value at a dotted path, or raise if it is missing or of the wrong kind."""
    value: Any = table
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            if default is not None:
                return default
            raise ValueError(f"{where}: {path} is missing")
        value = value[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{where}: {path} must be {'an' if kind is int else 'a'} {kind.__name__}, not {value!r}")
    return value


def _choice(
    table: Mapping[str, Any], path: str, where: str, choices: type[Dataflow] | type[Rule], default: Any = None
) -> Any:
    text = _need(table, path, where, str, default)
    try:
        return choices(text)
    except ValueError:
        allowed = ", ".join(repr(choice.value) for choice in choices)
        raise ValueError(f"{where}: {path} must be one of {allowed}, not {text!r}") from None


def _accelerator(table: Mapping[str, Any], where: str) -> Accelerator:
    def integer(path: str, default: int | None = None) -> int:
        return int(_need(table, path, where, int, default))

    def sram(path: str) -> SramSpec:
        return _located(
            where,
            path,
            lambda: SramSpec(kilobytes=integer(f"{path}.kilobytes"), width_bits=integer(f"{path}.width_bits")),
        )

    dataflow = _choice(table, "array.dataflow", where, Dataflow)
    return Accelerator(
        name=_need(table, "name", where, str, Path(where).stem),
        unit=_located(where, "unit", lambda: datapath.named(_need(table, "unit", where, str))),
        pipeline=integer("pipeline", 2),
        array=_located(
            where,
            "array",
            lambda: ArraySpec(dataflow=dataflow, rows=integer("array.rows"), columns=integer("array.columns")),
        ),
        activations=sram("memory.activations"),
        weights=sram("memory.weights"),
        dram=_located(
            where,
            "memory.dram",
            lambda: DramSpec(
                kind=_need(table, "memory.dram.kind", where, str), bits_per_cycle=integer("memory.dram.bits_per_cycle")
            ),
        ),
        vector_lanes=integer("vector_lanes"),
        clock_mhz=integer("clock_mhz"),
        technology=_need(table, "technology", where, str),
        sram_node_nm=integer("sram_node_nm"),
        requantization=_choice(table, "requantization", where, Rule, "onnx"),
    )


def _located(where: str, path: str, build: Callable[[], _Built]) -> _Built:
    """Return what `build` makes, its errors preceded by file and key."""
    try:
        return build()
    except (KeyError, TypeError, ValueError) as error:
        message = str(error.args[0])
        kind = ValueError if isinstance(error, KeyError) else type(error)
        raise kind(message if message.startswith(where) else f"{where}: {path}: {message}") from None
