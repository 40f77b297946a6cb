# SPDX-License-Identifier: Apache-2.0
"""Energy of memories: SRAM from a grid of CACTI 7 runs, DRAM from published figures."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from math import exp, log
from pathlib import Path
from typing import Any

__all__ = [
    "Dram",
    "Sram",
    "dram",
    "dram_names",
    "sram",
]

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sram:
    """
    An SRAM of one bank with a read and a write port.

    Energies are of one bit of an access of the full width, in pJ/bit; leakage in mW, access time in ns and area in
    mm2 are of the whole.
    """

    capacity_bytes: int
    width_bits: int
    node_nm: int
    cell: str
    read_pj_per_bit: float
    write_pj_per_bit: float
    leakage_mw: float
    access_ns: float
    area_mm2: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """A DRAM interface: energy of an access in pJ/bit, and who says so."""

    name: str
    energy_pj_per_bit: float
    source: str


@cache
def _data() -> dict[str, Any]:
    """Read the data once."""
    return tomllib.loads(Path(__file__).with_name("memory.toml").read_text(encoding="utf-8"))


def sram(capacity_bytes: int, width_bits: int, node_nm: int = 22, cell: str = "itrs-hp") -> Sram:
    """
    Price an SRAM by interpolation in the grid of CACTI runs.

    Each quantity is a power law of the capacity between neighbouring grid points (linear in the logarithms). Energy
    goes with a power of the width, the one between the two widths that the grid has at 1 MiB for this cell and node;
    leakage, time and area do not depend on the width.

    Parameters
    ----------
    capacity_bytes : int
        4 KiB to 4 MiB.
    width_bits : int
        Bits of an access, 32 to 256.
    node_nm : {22, 32, 45}
    cell : {"itrs-hp", "itrs-lop"}
        High performance, or low operating power.

    Returns
    -------
    Sram

    Raises
    ------
    ValueError
        A value is outside the grid; nothing is extrapolated.
    """
    grids = {(grid["cell"], grid["node_nm"]): grid["rows"] for grid in _data()["sram"]["grids"]}
    if (cell, node_nm) not in grids:
        known = ", ".join(f"{name} at {node} nm" for name, node in grids)
        raise ValueError(f"SRAM cell and node must be one of {known}, not {cell} at {node_nm} nm")
    rows = grids[cell, node_nm]
    capacities, widths = [row[0] for row in rows], [row[1] for row in rows]
    if not min(capacities) <= capacity_bytes <= max(capacities):
        low, high = min(capacities) // _KIB, max(capacities) // _KIB
        raise ValueError(f"SRAM capacity must be {low} to {high} KiB, not {capacity_bytes} bytes")
    if not min(widths) <= width_bits <= max(widths):
        raise ValueError(f"SRAM width must be {min(widths)} to {max(widths)} bits, not {width_bits}")
    path = _one_width_each(rows)
    powers = [_width_power(rows, 2), _width_power(rows, 3), 0.0, 0.0, 0.0]
    read, write, leakage, access, area = (
        _power_law(path, column, capacity_bytes, power, width_bits) for column, power in enumerate(powers, start=2)
    )
    return Sram(
        capacity_bytes=capacity_bytes, width_bits=width_bits, node_nm=node_nm, cell=cell,
        read_pj_per_bit=read / width_bits, write_pj_per_bit=write / width_bits,
        leakage_mw=leakage, access_ns=access, area_mm2=area,
        source=f"{_data()['sram']['source']}, {cell}, {node_nm} nm, interpolated",
    )  # fmt: skip


def _one_width_each(rows: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """Keep the widest row of each capacity, by capacity."""
    widest: dict[float, Sequence[float]] = {}
    for row in rows:
        if row[0] not in widest or row[1] > widest[row[0]][1]:
            widest[row[0]] = row
    return [widest[capacity] for capacity in sorted(widest)]


def _width_power(rows: Sequence[Sequence[float]], column: int) -> float:
    """Find the power of the width in the access energy, from the capacity that has two widths."""
    for low in rows:
        for high in rows:
            if low[0] == high[0] and low[1] < high[1]:
                return log(high[column] / low[column]) / log(high[1] / low[1])
    raise AssertionError("every grid has a capacity with two widths")


def _power_law(path: list[Sequence[float]], column: int, capacity: int, power: float, width: int) -> float:
    """Interpolate a column in the logarithms, each row brought to the width first."""
    points = [(log(row[0]), log(row[column] * (width / row[1]) ** power)) for row in path]
    x = log(capacity)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return exp(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
    return exp(points[-1][1])


def dram_names() -> tuple[str, ...]:
    """Names of the DRAM presets."""
    return tuple(_data()["dram"])


def dram(name: str) -> Dram:
    """
    Give a DRAM preset by name.

    Raises
    ------
    LookupError
        No such preset; close matches are given.
    """
    presets = _data()["dram"]
    if name not in presets:
        close = get_close_matches(name, presets) or list(presets)
        raise LookupError(f"DRAM {name!r} is unknown; close matches: {', '.join(close)}")
    return Dram(name=name, **presets[name])
