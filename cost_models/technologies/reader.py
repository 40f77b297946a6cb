# SPDX-License-Identifier: Apache-2.0
"""Read technologies: TOML files that state their source, and Liberty files."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from cost_models.technologies.function import truth_table
from cost_models.technologies.liberty_library import read_liberty
from cost_models.technologies.technology import Cell, FpgaTechnology, OperatingPoint, Technology, Wires

__all__ = [
    "names",
    "read",
]

_FOLDER = Path(__file__).parent
_UNITS = ("_um2", "_ff", "_nw", "_fj", "_ps", "_v", "_c", "_nm")
_LIBERTY = (".lib", ".lib.gz")


@cache
def names() -> tuple[str, ...]:
    """Names of the technologies that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def read(name_or_path: str | Path) -> Technology | FpgaTechnology:
    """
    Read a technology by name, from a TOML file of the same form, or from a Liberty file.

    A TOML file of ``kind = "liberty"`` names a Liberty file in ``file`` (relative to itself) and may give what such a
    file does not have: ``name``, ``title``, ``node_nm``, ``source``, ``licence``, the reference ``inverter``, a
    ``[wires]`` table.

    Parameters
    ----------
    name_or_path : str or Path
        A name from `names`, or a path (anything with a separator or the suffix ``.toml``, ``.lib`` or ``.lib.gz``).

    Returns
    -------
    Technology or FpgaTechnology

    Raises
    ------
    LookupError
        No such name; close matches are given.
    FileNotFoundError
        No such file.
    ValueError
        The file is not TOML, lacks a key, has an unknown key or one without its unit, a value of the wrong kind, or a
        function that does not parse: the text names file, table and key. Or it is a Liberty file that `read_liberty`
        cannot take.
    """
    text = str(name_or_path)
    if text in names():
        path = _FOLDER / f"{text}.toml"
    elif text.endswith((".toml", *_LIBERTY)) or "/" in text or "\\" in text:
        path = Path(text)
        if not path.is_file():
            raise FileNotFoundError(f"technology file {text} does not exist")
    else:
        close = get_close_matches(text, names()) or list(names())
        raise LookupError(f"technology {text!r} is unknown; close matches: {', '.join(close)}")
    return read_liberty(path) if text.endswith(_LIBERTY) else _toml(path)


def _toml(path: Path) -> Technology | FpgaTechnology:
    """Read a TOML file."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from error
    wires = data.pop("wires", None)
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    kind = data.pop("kind", None)
    if kind == "standard cells":
        return _standard_cells(data, wires, digest, str(path))
    if kind == "liberty":
        return _liberty(data, wires, path)
    if kind == "fpga":
        seeds = data.get("seeds", [])
        if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
            raise ValueError(f"{path}: seeds must be a list of integers, not {seeds!r}")
        return FpgaTechnology(**_checked(FpgaTechnology, data | {"seeds": tuple(seeds), "digest": digest}, str(path)))
    raise ValueError(f"{path}: kind must be 'standard cells', 'liberty' or 'fpga', not {kind!r}")


def _liberty(data: dict[str, Any], wires: Any, path: Path) -> Technology:
    """Read the Liberty file that a TOML file names, and add what else it says."""
    known = {"file": str, "inverter": str, "name": str, "title": str, "source": str, "licence": str, "node_nm": float}
    for key, value in data.items():
        if key not in known:
            close = get_close_matches(key, known) or sorted(known)
            raise ValueError(f"{path}: unknown key {key!r}; close matches: {', '.join(close)}")
        wanted = known[key]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ValueError(f"{path}: {key} must be {wanted.__name__}, not {value!r}")
    if "file" not in data:
        raise ValueError(f"{path}: missing file")
    file = path.parent / data["file"]
    if not file.is_file():
        raise FileNotFoundError(f"{path}: file {data['file']} does not exist")
    technology = read_liberty(file, inverter=data.get("inverter", ""))
    said = {key: value for key, value in data.items() if key not in ("file", "inverter")}
    digest = hashlib.sha256(json.dumps([technology.digest, said], sort_keys=True).encode()).hexdigest()
    return replace(technology, **said, digest=digest, wires=_wires(wires, str(path)))


def _standard_cells(data: dict[str, Any], wires: Any, digest: str, where: str) -> Technology:
    """Check all tables and build the technology."""
    tables = {}
    for key in ("operating_point", "cells"):
        tables[key] = data.pop(key, None)
        if not isinstance(tables[key], dict):
            raise ValueError(f"{where}: table [{key}] is missing")
    point = OperatingPoint(**_checked(OperatingPoint, tables["operating_point"], f"{where}: [operating_point]"))
    cells = {name: _cell(name, row, f"{where}: cells.{name}") for name, row in tables["cells"].items()}
    if "left_out" in data:
        raise ValueError(f"{where}: unknown key 'left_out'")
    made = {"operating_point": point, "cells": cells, "digest": digest, "wires": _wires(wires, where)}
    checked = _checked(Technology, data | made, where)
    for role in ("inverter", "nand2", "driver"):
        if checked[role] not in cells:
            raise ValueError(f"{where}: {role} {checked[role]!r} is not in [cells]")
    if not any(cell.is_flip_flop for cell in cells.values()):
        raise ValueError(f"{where}: [cells] has no flip-flop (a cell with clock and data)")
    return Technology(**checked)


def _wires(row: Any, where: str) -> Wires | None:
    """Check the table of wires, if there is one."""
    if row is None:
        return None
    if not isinstance(row, dict):
        raise ValueError(f"{where}: [wires] must be a table, not {row!r}")
    try:
        return Wires(**_checked(Wires, row, f"{where}: [wires]"))
    except ValueError as error:
        raise ValueError(str(error) if where in str(error) else f"{where}: [wires]: {error}") from error


def _cell(name: str, row: Any, where: str) -> Cell:
    """Check one row."""
    if not isinstance(row, dict):
        raise ValueError(f"{where}: want a table, not {row!r}")
    cell = Cell(**_checked(Cell, row | {"name": name}, where))
    for pin, capacitance in cell.pin_caps_ff.items():
        if type(capacitance) not in (int, float) or capacitance < 0:
            raise ValueError(f"{where}: pin_caps_ff.{pin} must be at least 0 fF, not {capacitance!r}")
    if bool(cell.clock) != bool(cell.data):
        raise ValueError(f"{where}: a flip-flop has both clock and data")
    for pin in filter(None, (cell.clock, cell.data)):
        if pin not in cell.pin_caps_ff:
            raise ValueError(f"{where}: pin {pin!r} has no pin_caps_ff")
    if cell.stages not in (1, 2) or cell.drive <= 0:
        raise ValueError(f"{where}: want stages 1 or 2 and drive above 0, not {cell.stages} and {cell.drive}")
    for pin, function in cell.outputs.items():
        try:
            truth_table(function, ("IQ",) if cell.is_flip_flop else cell.inputs)
        except ValueError as error:
            raise ValueError(f"{where}: outputs.{pin}: {error}") from error
    return cell


def _checked(kind: type, row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check a table's keys and kinds against the fields of a dataclass; integers become floats where floats are due."""
    known = {item.name: item for item in fields(kind)}
    for key in row:
        if key not in known:
            unit = [name for name in known if any(name == key + suffix for suffix in _UNITS)]
            if unit:
                raise ValueError(f"{where}: key {key!r} lacks its unit: write {unit[0]!r}")
            close = get_close_matches(key, known) or sorted(known)
            raise ValueError(f"{where}: unknown key {key!r}; close matches: {', '.join(close)}")
    absent = [
        name
        for name, item in known.items()
        if name not in row and item.default is MISSING and item.default_factory is MISSING
    ]
    if absent:
        raise ValueError(f"{where}: missing {', '.join(absent)}")
    checked = dict(row)
    for key, value in row.items():
        wanted = known[key].type
        if wanted is float:
            if type(value) not in (int, float):
                raise ValueError(f"{where}: {key} must be a number, not {value!r}")
            checked[key] = float(value)
        elif wanted in (str, int, bool) and type(value) is not wanted:
            raise ValueError(f"{where}: {key} must be {wanted.__name__}, not {value!r}")
        elif "Mapping" in str(wanted) and not isinstance(value, Mapping):
            raise ValueError(f"{where}: {key} must be a table, not {value!r}")
    return checked
