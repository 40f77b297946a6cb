# SPDX-License-Identifier: Apache-2.0
"""Read an accelerator's TOML file."""

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from enum import Enum
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from hwsim import datapath
from hwsim.accelerator.spec import (
    Accelerator,
    ArraySpec,
    Constants,
    DramSpec,
    Folds,
    MappingSpec,
    Objective,
    SramSpec,
    WireSpec,
)
from hwsim.datapath.array import ArrayKind
from hwsim.network import Rule
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearSpec, SoftmaxKind

__all__ = [
    "UnknownNameError",
    "keys",
    "presets",
    "read",
    "read_text",
    "toml_text",
]

_Built = TypeVar("_Built")
_KINDS: Mapping[type, str] = {int: "an int", str: "a str", bool: "true or false"}
# Constants that the user may give in place of ours; what they must be, `cost_models.memory` says.
_SRAM = ("read_pj_per_bit", "write_pj_per_bit", "leakage_mw")
_DRAM = (
    "row_pj",
    "row_bytes",
    "burst_bytes",
    "array_pj_per_bit",
    "io_pj_per_bit",
    "page_policy",
    "row_hit_rate",
)
_WIRE = ("transition_pj_per_mm", "toggle_rate")
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
        "nonlinear",
        "mapping",
    ),
    "array": ("dataflow", "rows", "columns", "depth", "count", "folds", "serial_bits"),
    "memory": ("preset", "activations", "weights", "dram", "registers", "wire"),
    "memory.activations": ("kilobytes", "width_bits", "banks", "double_buffered", *_SRAM),
    "memory.weights": ("kilobytes", "width_bits", "banks", "double_buffered", *_SRAM),
    "memory.dram": ("kind", "bits_per_cycle", *_DRAM),
    "memory.registers": ("clock_pj_per_cycle", "data_pj_per_toggle", "leakage_uw", "toggle_rate"),
    "memory.wire": ("name", "length_mm", *_WIRE),
    "nonlinear": ("softmax", "gelu", "layer_norm", "tile"),
    "mapping": ("objective", "limit"),
}


class UnknownNameError(ValueError):
    """A key that no accelerator has, or a value that is none of those a key can have."""


def keys() -> tuple[str, ...]:
    """Return the dotted keys that an accelerator's file can have, without those of tables."""
    found = (f"{prefix}.{key}" if prefix else key for prefix, inner in _KEYS.items() for key in inner)
    return tuple(key for key in found if key not in _KEYS)


def presets() -> tuple[str, ...]:
    """Return the names of the accelerators that come with the package."""
    folder = resources.files("hwsim.accelerator") / "presets"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read(path: str | Path, *, changes: Mapping[str, Any] | None = None) -> Accelerator:
    """Read an accelerator.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the name of a preset (`presets`); docs/accelerators.md has every key. Those with a default may
        be left out: `name` (the file's stem), `pipeline` (2), `requantization` ("onnx"), of the array `depth` (1),
        `count` (1), `folds` ("streamed") and `serial_bits` (0), of a memory `double_buffered` (true), the tables
        `nonlinear` and `mapping`, and the constants of memories (docs/memory.md). With `memory.preset`, there is no
        `sram_node_nm`, and `memory.dram.kind` may be left out.
    changes : mapping of str to value, optional
        What is to be put in place of the file's, or added to it, by dotted key: ``{"array.rows": 8}``.

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

    Examples
    --------
    >>> read("int8_16x16", changes={"array.rows": 8}).array.rows
    8
    """
    return read_text(*toml_text(path), changes=changes)


def read_text(text: str, where: str, *, changes: Mapping[str, Any] | None = None) -> Accelerator:
    """Read an accelerator from the text of a TOML file; `where` names it in errors. Else as `read`."""
    table = _parsed(text, where)
    if changes:
        table = _changed(table, changes, where)
    _check_keys(table, "", where)
    try:
        return _accelerator(table, where)
    except (KeyError, TypeError, ValueError) as error:
        message = str(error.args[0])
        kind = ValueError if isinstance(error, KeyError) else type(error)
        raise kind(message if message.startswith(where) else f"{where}: {message}") from None


@lru_cache(maxsize=64)
def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: not a TOML file: {error}") from None


def _changed(table: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a copy of a table with other values at dotted keys, each of which an accelerator has."""
    known = [f"{prefix}.{key}" if prefix else key for prefix, keys in _KEYS.items() for key in keys]
    changed = deepcopy(dict(table))
    for path, value in changes.items():
        if path not in known or path in _KEYS:
            close = difflib.get_close_matches(path, [key for key in known if key not in _KEYS], n=3)
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            raise UnknownNameError(f"{where}: unknown key {path!r}{hint}")
        *tables, key = path.split(".")
        inner = changed
        for each in tables:
            inner = inner.setdefault(each, {})
            if not isinstance(inner, dict):
                raise TypeError(f"{where}: {each} must be a table, not {inner!r}")
        inner[key] = value
    return changed


def toml_text(path: str | Path) -> tuple[str, str]:
    """Return the text of a file or a preset, and what to call it in an error; the errors are those of `read`."""
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
            raise UnknownNameError(f"{where}: unknown key {full!r}{hint}")
        if full in _KEYS:
            if not isinstance(value, dict):
                raise TypeError(f"{where}: {full} must be a table, not {value!r}")
            _check_keys(value, full, where)


def _need(table: Mapping[str, Any], path: str, where: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """Return the value at a dotted path, or raise if it is missing or of the wrong kind."""
    value: Any = table
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            if default is not None:
                return default
            raise ValueError(f"{where}: {path} is missing")
        value = value[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = _KINDS.get(kind, "a number") if isinstance(kind, type) else "a number"
        raise TypeError(f"{where}: {path} must be {wanted}, not {value!r}")
    return value


def _choice(table: Mapping[str, Any], path: str, where: str, choices: type[Enum], default: Any = None) -> Any:
    text = _need(table, path, where, str, default)
    try:
        return choices(text)
    except ValueError:
        allowed = ", ".join(repr(choice.value) for choice in choices)
        raise UnknownNameError(f"{where}: {path} must be one of {allowed}, not {text!r}") from None


def _accelerator(table: Mapping[str, Any], where: str) -> Accelerator:
    def integer(path: str, default: int | None = None) -> int:
        return int(_need(table, path, where, int, default))

    def sram(path: str) -> SramSpec:
        return _located(
            where,
            path,
            lambda: SramSpec(
                kilobytes=integer(f"{path}.kilobytes"),
                width_bits=integer(f"{path}.width_bits"),
                banks=integer(f"{path}.banks", 1),
                double_buffered=_flag(table, f"{path}.double_buffered", where, default=True),
                constants=_constants(table, path, _SRAM),
            ),
        )

    preset = "" if "preset" not in table.get("memory", {}) else _need(table, "memory.preset", where, str)
    return Accelerator(
        name=_need(table, "name", where, str, Path(where).stem),
        unit=_located(where, "unit", lambda: datapath.named(_need(table, "unit", where, str))),
        pipeline=integer("pipeline", 2),
        array=_array(table, where),
        activations=sram("memory.activations"),
        weights=sram("memory.weights"),
        dram=_located(
            where,
            "memory.dram",
            lambda: DramSpec(
                kind=_need(table, "memory.dram.kind", where, str, "" if preset else None),
                bits_per_cycle=integer("memory.dram.bits_per_cycle"),
                constants=_constants(table, "memory.dram", _DRAM),
            ),
        ),
        vector_lanes=integer("vector_lanes"),
        clock_mhz=integer("clock_mhz"),
        technology=_need(table, "technology", where, str),
        sram_node_nm=None if preset and "sram_node_nm" not in table else integer("sram_node_nm"),
        requantization=_choice(table, "requantization", where, Rule, "onnx"),
        memory_preset=_beside(preset, where),
        registers=_constants(table, "memory.registers", _KEYS["memory.registers"]),
        wire=_wire(table, where, preset),
        nonlinear=_nonlinear(table, where),
        mapping=_mapping(table, where),
    )


def _array(table: Mapping[str, Any], where: str) -> ArraySpec:
    def integer(key: str, default: int | None = None) -> int:
        return int(_need(table, f"array.{key}", where, int, default))

    dataflow = _choice(table, "array.dataflow", where, ArrayKind)
    folds = _choice(table, "array.folds", where, Folds, "streamed")
    return _located(
        where,
        "array",
        lambda: ArraySpec(
            dataflow=dataflow,
            rows=integer("rows"),
            columns=integer("columns"),
            depth=integer("depth", 1),
            count=integer("count", 1),
            folds=folds,
            serial_bits=integer("serial_bits", 0),
        ),
    )


def _nonlinear(table: Mapping[str, Any], where: str) -> NonlinearSpec:
    kinds = {"softmax": SoftmaxKind, "gelu": GeluKind, "layer_norm": LayerNormKind}
    chosen = {key: _choice(table, f"nonlinear.{key}", where, kind, "float") for key, kind in kinds.items()}
    tile = _need(table, "nonlinear.tile", where, int, NonlinearSpec().tile)
    return _located(where, "nonlinear", lambda: NonlinearSpec(**chosen, tile=tile))


def _mapping(table: Mapping[str, Any], where: str) -> MappingSpec:
    default = MappingSpec()
    objective = _choice(table, "mapping.objective", where, Objective, default.objective.value)
    limit = _need(table, "mapping.limit", where, int, default.limit)
    return _located(where, "mapping", lambda: MappingSpec(objective=objective, limit=limit))


def _flag(table: Mapping[str, Any], path: str, where: str, *, default: bool) -> bool:
    return bool(_need(table, path, where, bool, default))


def _constants(table: Mapping[str, Any], path: str, keys: Sequence[str]) -> Constants:
    """Return the constants that a table gives, in their order there."""
    inner: Any = table
    for key in path.split("."):
        inner = inner.get(key, {}) if isinstance(inner, dict) else {}
    return tuple((key, value) for key, value in inner.items() if key in keys)


def _wire(table: Mapping[str, Any], where: str, preset: str) -> WireSpec | None:
    if "wire" not in table.get("memory", {}):
        return None
    return _located(
        where,
        "memory.wire",
        lambda: WireSpec(
            name=_need(table, "memory.wire.name", where, str, "" if preset else None),
            length_mm=float(_need(table, "memory.wire.length_mm", where, (int, float))),
            constants=_constants(table, "memory.wire", _WIRE),
        ),
    )


def _beside(preset: str, where: str) -> str:
    """Return a memory preset's name, or its path from the accelerator's file."""
    return str(Path(where).parent / preset) if preset.endswith(".toml") else preset


def _located(where: str, path: str, build: Callable[[], _Built]) -> _Built:
    """Return what `build` makes, its errors preceded by file and key."""
    try:
        return build()
    except (KeyError, TypeError, ValueError) as error:
        message = str(error.args[0])
        kind = ValueError if isinstance(error, KeyError) else type(error)
        raise kind(message if message.startswith(where) else f"{where}: {path}: {message}") from None
