# SPDX-License-Identifier: Apache-2.0
"""Linear delay of a cell, ``intrinsic + slope * load``, from facts at one load and several drives."""

from dataclasses import dataclass

import numpy as np

from cost_models.technologies.technology import Cell, Technology

__all__ = [
    "LinearDelay",
    "linear_delays",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDelay:
    """Delay of a cell: `intrinsic_ps` at no load, and `slope_ps_per_ff` of load."""

    intrinsic_ps: float
    slope_ps_per_ff: float


def linear_delays(technology: Technology) -> dict[str, LinearDelay]:
    """
    Split each cell's mean delay at the operating point into an intrinsic part and a part that grows with the load.

    A cell of drive ``x`` at load ``C`` takes ``p + r * C / x``, with ``p`` and ``r`` equal in all cells of a family
    (logical effort, Sutherland, Sproull and Harris 1999, chapter 1).

    1. Families of single-stage cells with several drives (inverters, NAND2, AOI21, ...) give ``r`` by least squares of
       the delay over ``1 / x``.
    2. Those families give two least-squares lines from output slew to ``r * C / x``: one of inverters, used for cells
       whose output is driven by an inverter inside; one of all of them, used for other cells that come in one drive.
    3. The part that grows is kept between a tenth and nine tenths of the delay; the rest is intrinsic, so the delay at
       the operating point is always the table's own.

    A cell with a `slope_ps_per_ff` of its own (from a Liberty file) keeps that instead of 1 and 2. Slew dependence,
    differences between pins and edges, and wires are not in the model.

    Parameters
    ----------
    technology : Technology

    Returns
    -------
    dict of str to LinearDelay

    Raises
    ------
    ValueError
        Fewer than two drives of the reference inverter's family: then no slope can be known.
    """
    load = technology.operating_point.load_ff
    known = {name: cell.slope_ps_per_ff * load for name, cell in technology.cells.items() if cell.slope_ps_per_ff}
    parts = known if len(known) == len(technology.cells) else _derived(technology) | known
    delays = {}
    for name, cell in technology.cells.items():
        part = min(max(parts[name], 0.1 * cell.delay_ps), 0.9 * cell.delay_ps)
        delays[name] = LinearDelay(intrinsic_ps=cell.delay_ps - part, slope_ps_per_ff=part / load)
    return delays


def _derived(technology: Technology) -> dict[str, float]:
    """Derive the part of each cell's delay that grows, by steps 1 and 2."""
    families: dict[str, list[Cell]] = {}
    for cell in technology.cells.values():
        if cell.stages == 1:
            families.setdefault(cell.family, []).append(cell)
    grows: dict[str, float] = {}
    for cells in families.values():
        if len(cells) >= 2:
            slope, _ = np.polyfit([1 / cell.drive for cell in cells], [cell.delay_ps for cell in cells], 1)
            grows |= {cell.name: float(slope) / cell.drive for cell in cells}
    inverters = [cell.name for cell in families[technology.cells[technology.inverter].family]]
    if len(inverters) < 2:
        raise ValueError(f"technology {technology.name} needs two drives of inverter {technology.inverter}, not one")
    lines = {1: _line(technology, grows, list(grows)), 2: _line(technology, grows, inverters)}
    for name, cell in technology.cells.items():
        slope, offset = lines[cell.stages]
        grows.setdefault(name, slope * cell.out_slew_ps + offset)
    return grows


def _line(technology: Technology, grows: dict[str, float], cells: list[str]) -> tuple[float, float]:
    """Fit the growing part of the delay as a line over the output slew."""
    slews = [technology.cells[name].out_slew_ps for name in cells]
    slope, offset = np.polyfit(slews, [grows[name] for name in cells], 1)
    return float(slope), float(offset)
