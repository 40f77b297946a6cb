# SPDX-License-Identifier: Apache-2.0
"""The sections of a study's file: networks, accelerators, exclusions, objectives and limits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from hwsim import accelerator as accelerators
from hwsim.study.point import Setting
from hwsim.study.quantities import QUANTITIES, Better
from hwsim.study.toml_checks import (
    check_keys,
    check_name,
    existing_file,
    flag_of,
    limits_of,
    one_of,
    table_of,
    unknown,
    whole,
)
from hwsim.sweeps.parameters import Machines, flattened
from hwsim.sweeps.space import Grid, is_one_of

__all__ = [
    "BUILT_IN",
    "OBJECTIVES",
    "NetworkFiles",
    "check_given",
    "excluded",
    "limits",
    "machines",
    "networks",
    "objectives",
]

BUILT_IN = "digits"
OBJECTIVES: Mapping[str, Better] = {"accuracy": "more", "energy_nj": "less", "area_mm2": "less"}
"""What a front is of where a study does not say."""
_FILES, _COUNTS = ("inputs", "calibration"), ("images", "batch")
_NETWORK = ("model", *_FILES, *_COUNTS, "from_quantized", "dimensions", "optional")
_DIRECTIONS = ("more", "less")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFiles:
    """The files of a network: what `hwsim.study.case` takes."""

    model: Path
    inputs: Path | tuple[float, float] | None = None
    calibration: Path | None = None
    from_quantized: bool = False
    images: int | None = None
    batch: int | None = None
    dimensions: Mapping[str, int] | None = None


def networks(given: Any, options: Mapping[str, str | Path], file: Path) -> dict[str, NetworkFiles]:
    """Return the files of the networks, those of the command line first; optional ones without a file are left out."""
    found = {}
    tables = table_of(given, f"{file}: networks")
    for name in dict.fromkeys((*tables, *options)):
        where = f"{file}: networks.{name}"
        if name == BUILT_IN:
            raise ValueError(f"{where} must have another name: the built-in network has it")
        table = table_of(tables.get(name, {}), where)
        check_keys(table, _NETWORK, where)
        if flag_of(table.get("optional", False), f"{where}.optional") and not (
            {name} & set(options) or "model" in table
        ):
            continue
        if name not in options and "model" not in table:
            raise ValueError(f"{where}.model is missing: give it there, or with --network {name}=MODEL.onnx")
        model = Path(options[name]) if name in options else existing_file(table["model"], file.parent, f"{where}.model")
        if not model.is_file():
            raise FileNotFoundError(f"--network {name}: no file {str(model)!r}")
        sizes = table_of(table.get("dimensions", {}), f"{where}.dimensions")
        is_range = isinstance(table.get("inputs"), list)
        named = [key for key in _FILES if key in table and not (is_range and key == "inputs")]
        files = {key: existing_file(table[key], file.parent, f"{where}.{key}") for key in named}
        counts = {key: whole(table[key], 1, f"{where}.{key}") for key in _COUNTS if key in table}
        found[name] = NetworkFiles(
            model=model,
            inputs=limits_of(table["inputs"], f"{where}.inputs") if is_range else files.get("inputs"),
            calibration=files.get("calibration"),
            images=counts.get("images"),
            batch=counts.get("batch"),
            from_quantized=flag_of(table.get("from_quantized", False), f"{where}.from_quantized"),
            dimensions={key: whole(size, 1, f"{where}.dimensions.{key}") for key, size in sizes.items()} or None,
        )
    return found


def check_given(options: Collection[str], known: Collection[str]) -> None:
    """Raise ValueError for a file of a network that the study does not name."""
    for name in options:
        if name not in known:
            raise ValueError(
                f"--network {name}: the study has no network {name!r}; it has {', '.join(dict.fromkeys(known))}"
            )


def machines(given: Any, file: Path) -> tuple[Machines, dict[str, Path]]:
    """Return the TOML text of the study's accelerators and their files, each read once as it stands."""
    texts, files = {}, {}
    for name, each in table_of(given, f"{file}: accelerators").items():
        where = f"{file}: accelerators.{name}"
        table = table_of(each, where)
        check_keys(table, ("file",), where)
        if name in accelerators.presets():
            raise ValueError(f"{where} must have another name: a preset has it")
        if "file" not in table:
            raise ValueError(f"{where}.file is missing")
        files[name] = existing_file(table["file"], file.parent, f"{where}.file")
        texts[name] = accelerators.toml_text(files[name])
        accelerators.read_text(*texts[name])
    return texts, files


def excluded(table: Mapping[str, Any], grids: Sequence[Grid], where: str) -> dict[str, tuple[Setting, ...]]:
    """Return the values by parameter that are excluded together, all of which a grid has."""
    known: dict[str, dict[Setting, None]] = {}
    for grid in grids:
        for key, values in grid.parameters.items():
            known.setdefault(key, {}).update(dict.fromkeys(values))
    found = {}
    for key, given in flattened(table, where):
        if key not in known:
            raise ValueError(f"{where}: {key!r} must be a parameter of the study; {unknown(key, known)}")
        values = tuple(given) if isinstance(given, list) else (given,)
        for value in values:
            if not is_one_of(value, known[key]):
                there = ", ".join(repr(each) for each in known[key])
                raise ValueError(f"{where}.{key} must be one of the parameter's values, {there}, not {value!r}")
        found[key] = values
    if not found:
        raise ValueError(f"{where} must have a parameter, or it would exclude every point")
    return found


def objectives(given: Any, where: str) -> dict[str, Better]:
    """Return which way each objective is better."""
    if given is None:
        return dict(OBJECTIVES)
    found: dict[str, Better] = {}
    for key, direction in table_of(given, where).items():
        _check_figure(key, where)
        found[key] = "more" if one_of(direction, _DIRECTIONS, f"{where}.{key}") == "more" else "less"
    if len(found) < 2:
        raise ValueError(f"{where} must be two figures or more, not {given!r}: one alone has no front")
    return found


def limits(given: Any, where: str) -> dict[str, float]:
    """Return limits by figure: at least so much where more is better, else at most."""
    found = {}
    for key, limit in table_of(given, where).items():
        _check_figure(key, where)
        if next(each.better for each in QUANTITIES if each.key == key) is None:
            raise ValueError(f"{where}.{key}: neither more nor less of it is better, so there is no limit to it")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not isfinite(limit):
            raise TypeError(f"{where}.{key} must be a finite number, not {limit!r}")
        found[key] = float(limit)
    return found


def _check_figure(key: str, where: str) -> None:
    """Raise unless a figure is there that is a number."""
    check_name(key, [each.key for each in QUANTITIES if each.kind in {"float", "int"}], "a figure", f"{where}.{key}")
