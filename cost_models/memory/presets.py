# SPDX-License-Identifier: Apache-2.0
"""Memories of one source together, so that results can be had in another tool's terms."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cost_models.memory.dram import Dram, dram
from cost_models.memory.registers import RegisterFile, published_register_file
from cost_models.memory.sram import Sram, interpolated, sram
from cost_models.memory.tables import checked, lookup, read_toml
from cost_models.memory.wires import Wire, wire

__all__ = [
    "Preset",
    "preset",
    "preset_names",
]

_FOLDER = Path(__file__).with_name("presets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """
    Memories of one source.

    `points` are published SRAMs (capacity in bytes, pJ/bit of a read and of a write); without them, the CACTI grid at
    `node_nm` with `cell`.
    """

    name: str
    title: str
    source: str
    node_nm: int
    cell: str
    points: tuple[tuple[float, ...], ...]
    dram: Dram
    wire: Wire
    registers: RegisterFile

    def sram(self, capacity_bytes: int, width_bits: int) -> Sram:
        """Price an SRAM, with the errors of `cost_models.memory.sram`."""
        if self.points:
            return interpolated(self.points, capacity_bytes, width_bits, self.node_nm, self.source)
        return sram(capacity_bytes, width_bits, self.node_nm, self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The top of a preset's file."""

    title: str
    source: str
    node_nm: int
    dram: str
    wire: str
    registers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SramTable:
    """What its [sram] has besides points."""

    node_nm: int | None = None
    cell: str = "itrs-hp"


def preset_names() -> tuple[str, ...]:
    """Names of the presets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def preset(name_or_path: str | Path) -> Preset:
    """
    Read a preset by name, or from a TOML file of the same form.

    Raises
    ------
    LookupError
        No such name, or the file names a DRAM, wire or register file that is unknown; close matches are given.
    FileNotFoundError
        No such file.
    ValueError
        The file is not TOML, has an unknown key, lacks one, or a value is of the wrong kind; the text names file and
        key.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise FileNotFoundError(f"memory preset {text} does not exist")
        return _read(path)
    return _shipped(lookup({name: name for name in preset_names()}, text, "memory preset"))


@cache
def _shipped(name: str) -> Preset:
    return _read(_FOLDER / f"{name}.toml")


def _read(path: Path) -> Preset:
    """Check a file."""
    table = read_toml(path)
    where = path.name
    inner = table.pop("sram", None)
    if not isinstance(inner, dict):
        raise ValueError(f"{where}: table [sram] is missing")
    top = checked(_File, table, where)
    points = _points(inner.pop("points", []), where)
    grid = checked(_SramTable, inner, f"{where}: [sram]")
    if bool(points) == (grid.node_nm is not None):
        raise ValueError(f"{where}: [sram] must have either points, or the node_nm of a CACTI grid")
    return Preset(
        name=path.stem,
        title=top.title,
        source=top.source,
        node_nm=grid.node_nm or top.node_nm,
        cell=grid.cell,
        points=points,
        dram=dram(top.dram),
        wire=wire(top.wire),
        registers=published_register_file(top.registers),
    )


def _points(points: Any, where: str) -> tuple[tuple[float, ...], ...]:
    """Check points: three numbers above 0 each, capacities ascending."""
    for point in points if isinstance(points, list) else [points]:
        numbers = isinstance(point, list) and all(type(x) in (int, float) and x > 0 for x in point)
        if not numbers or len(point) != 3:
            raise ValueError(
                f"{where}: [sram] points must be lists of bytes, pJ/bit of a read and pJ/bit of a write, not {point!r}"
            )
    capacities = [point[0] for point in points]
    if capacities != sorted(set(capacities)):
        raise ValueError(f"{where}: [sram] points must have ascending capacities, not {capacities}")
    return tuple(tuple(point) for point in points)
