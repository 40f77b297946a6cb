# SPDX-License-Identifier: Apache-2.0
"""SRAM: a grid of CACTI 7 runs, interpolated, and points that others published."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

from cost_models.memory.tables import data

__all__ = [
    "Sram",
    "interpolated",
    "sram",
]

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sram:
    """
    An SRAM of one bank with a read and a write port.

    Energies are of one bit of an access of the full width, in pJ/bit; leakage in mW, access time in ns and area in
    mm2 are of the whole, and None where the source has none.
    """

    capacity_bytes: int
    width_bits: int
    node_nm: int
    cell: str
    read_pj_per_bit: float
    write_pj_per_bit: float
    leakage_mw: float | None
    access_ns: float | None
    area_mm2: float | None
    source: str


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
    table = data("sram")
    grids = {(grid["cell"], grid["node_nm"]): grid["rows"] for grid in table["grids"]}
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
        _power_law([(row[0], row[column] * (width_bits / row[1]) ** power) for row in path], capacity_bytes)
        for column, power in enumerate(powers, start=2)
    )
    return Sram(
        capacity_bytes=capacity_bytes, width_bits=width_bits, node_nm=node_nm, cell=cell,
        read_pj_per_bit=read / width_bits, write_pj_per_bit=write / width_bits,
        leakage_mw=leakage, access_ns=access, area_mm2=area,
        source=f"{table['source']}, {cell}, {node_nm} nm, interpolated",
    )  # fmt: skip


def interpolated(
    points: Sequence[Sequence[float]], capacity_bytes: int, width_bits: int, node_nm: int, source: str
) -> Sram:
    """
    Price an SRAM between points that someone published: capacity in bytes, pJ/bit of a read and of a write.

    A power law of the capacity between neighbouring points. The energy of a bit is that of the source's own access
    width, whatever `width_bits`; leakage, time and area are not known.

    Raises
    ------
    ValueError
        The capacity is not between the points; nothing is extrapolated.
    """
    capacities = [int(point[0]) for point in points]
    if not capacities[0] <= capacity_bytes <= capacities[-1]:
        low, high = capacities[0] // _KIB, capacities[-1] // _KIB
        raise ValueError(f"SRAM capacity must be {low} to {high} KiB, not {capacity_bytes} bytes")
    read, write = (_power_law([(point[0], point[column]) for point in points], capacity_bytes) for column in (1, 2))
    return Sram(
        capacity_bytes=capacity_bytes, width_bits=width_bits, node_nm=node_nm, cell="published",
        read_pj_per_bit=read, write_pj_per_bit=write, leakage_mw=None, access_ns=None, area_mm2=None,
        source=f"{source}, interpolated",
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


def _power_law(points: Sequence[tuple[float, float]], capacity: int) -> float:
    """Interpolate in the logarithms, between points in order of capacity."""
    x = log(capacity)
    for (c0, y0), (c1, y1) in pairwise(points):
        if capacity <= c1:
            share = (x - log(c0)) / (log(c1) - log(c0))
            return exp(log(y0) + (log(y1) - log(y0)) * share)
    return points[-1][1]
