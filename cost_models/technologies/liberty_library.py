# SPDX-License-Identifier: Apache-2.0
"""Make a technology of a Liberty file (NLDM tables), at the library's own FO4 operating point."""

import gzip
import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cost_models.technologies.function import truth_table
from cost_models.technologies.liberty_cells import Draft, characterize, draft, out_slew_ps
from cost_models.technologies.liberty_groups import Group, parse
from cost_models.technologies.liberty_tables import Tables, UnusableCellError, number
from cost_models.technologies.technology import Cell, OperatingPoint, Technology

__all__ = [
    "read_liberty",
]

_FLOW = 2  # raise when what is read out of a file changes: it is part of the digest
_INVERTER, _BUFFER, _NAND2 = (1, 0b01), (1, 0b10), (2, 0b0111)  # pins and truth table
_FO4 = 4
_DRIVER = 3.0  # least drive of the cell before the inputs: a buffer "X4" by name reads as less by its slope


def read_liberty(path: str | Path, *, inverter: str = "") -> Technology:
    """
    Read a Liberty file, ``.lib`` or ``.lib.gz``, as a technology.

    The operating point is that of the package's tables: every cell drives four times the input capacitance of the
    reference inverter, and its inputs have the slew of an inverter so loaded (rise and fall averaged), found by
    iteration. Delays and slews are means over timing arcs and edges there; internal energy is the mean over arcs and
    edges of ``internal_power`` at the output, per transition, summed over supplies where they are apart; leakage is
    ``cell_leakage_power``, or the mean over the states, summed over supplies too. `drive` is the inverter's growth of
    delay with load over the cell's. Power at the input pins of combinational cells is not read.

    Cells that the cost model cannot use (latches, scan, clock gates, buses, three-state outputs, more than 6 inputs,
    ``dont_use``, or without the data) are left out; `Technology.left_out` says why. Flip-flops with set or reset are
    used only where there is no other: those pins are then tied, and `source` says so.

    Parameters
    ----------
    path : str or Path
    inverter : str, optional
        Name of the reference inverter. Default: of the smallest area, then of the smallest input capacitance.

    Returns
    -------
    Technology
        `node_nm` is 0, for a Liberty file has none; `wires` is None. A TOML file of kind "liberty" can add them.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is not Liberty, has an unknown unit or no voltage, or has no usable inverter, NAND2 or flip-flop.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"technology file {path} does not exist")
    where = str(path)
    content = file.read_bytes()
    library = parse(_text(content, where), where)
    tables = Tables.of(library, where)
    drafts, left_out = _drafts(library, tables)
    reset = not any(row.cell.is_flip_flop and not row.tied for row in drafts.values())
    for name in [name for name, row in drafts.items() if row.tied and not reset]:
        left_out[name] = f"set or reset {', '.join(drafts.pop(name).tied)}"
    reference = _reference(drafts, inverter, where, left_out)
    load = _FO4 * next(iter(reference.cell.pin_caps_ff.values()))
    try:
        slew = _self_consistent_slew(reference, tables, load)
    except UnusableCellError as error:
        raise ValueError(f"{where}: inverter {reference.cell.name!r}: {error}") from error
    cells = {}
    for name, row in drafts.items():
        try:
            cells[name] = characterize(row, tables, slew, load)
        except UnusableCellError as error:
            left_out[name] = str(error)
    if reference.cell.name not in cells:
        raise ValueError(f"{where}: inverter {reference.cell.name!r}: {left_out[reference.cell.name]}")
    if not any(cell.is_flip_flop for cell in cells.values()):
        raise ValueError(f"{where}: no usable flip-flop{_why(left_out)}")
    slope = cells[reference.cell.name].slope_ps_per_ff
    cells = {name: replace(cell, drive=slope / cell.slope_ps_per_ff) for name, cell in cells.items()}
    tied = "; set and reset of its flip-flops tied" if reset else ""
    return Technology(
        name=library.name or file.name.split(".")[0],
        title=f"Liberty library {library.name}", node_nm=0.0, source=f"{file.name}{tied}",
        licence="as the file says", inverter=reference.cell.name, nand2=_nand2(cells, where, left_out),
        driver=_driver(cells),
        operating_point=OperatingPoint(
            voltage_v=_nominal(library, "nom_voltage", where) * tables.volt,
            temperature_c=_nominal(library, "nom_temperature", where),
            load_ff=load, input_slew_ps=slew, fo4_ps=cells[reference.cell.name].delay_ps,
        ),
        cells=cells, digest=hashlib.sha256(b"%d %s " % (_FLOW, inverter.encode()) + content).hexdigest(),
        left_out=dict(sorted(left_out.items())),
    )  # fmt: skip


def _text(content: bytes, where: str) -> str:
    """Decompress and decode; only comments have anything but ASCII."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f"{where}: not a gzip file: {error}") from error
    return content.decode("utf-8", errors="replace")


def _drafts(library: Group, tables: Tables) -> tuple[dict[str, Draft], dict[str, str]]:
    """Take the cells that can be used, and say why not of the others."""
    drafts, left_out = {}, {}
    for group in library.all("cell"):
        try:
            drafts[group.name] = draft(group, library, tables)
        except UnusableCellError as error:
            left_out[group.name] = str(error)
    return drafts, left_out


def _nominal(library: Group, key: str, where: str) -> float:
    """Read voltage or temperature."""
    if key not in library.simple:
        raise ValueError(f"{where}: {key} is missing")
    return number(library.simple[key], where)


def _why(left_out: dict[str, str]) -> str:
    """Say what was left out."""
    few = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
    return f"; left out {len(left_out)} cells: {few}" if left_out else ""


def _alike(cells: dict[str, Cell], kind: tuple[int, int]) -> Iterator[Cell]:
    """Find cells of one output with so many pins and that truth table."""
    for cell in cells.values():
        if not cell.is_flip_flop and len(cell.outputs) == 1 and len(cell.inputs) == kind[0]:
            (function,) = cell.outputs.values()
            if truth_table(function, cell.inputs) == kind[1]:
                yield cell


def _size(cell: Cell) -> tuple[float, float, str]:
    """Order cells by area, then input capacitance, then name."""
    return cell.area_um2, sum(cell.pin_caps_ff.values()), cell.name


def _reference(drafts: dict[str, Draft], inverter: str, where: str, left_out: dict[str, str]) -> Draft:
    """Choose the reference inverter."""
    found = sorted(_alike({name: row.cell for name, row in drafts.items()}, _INVERTER), key=_size)
    if not found:
        raise ValueError(f"{where}: no usable inverter{_why(left_out)}")
    if inverter and inverter not in [cell.name for cell in found]:
        raise ValueError(f"{where}: inverter must be one of {', '.join(cell.name for cell in found)}, not {inverter!r}")
    return drafts[inverter or found[0].name]


def _nand2(cells: dict[str, Cell], where: str, left_out: dict[str, str]) -> str:
    """Choose the NAND2 that areas are counted in."""
    found = sorted(_alike(cells, _NAND2), key=_size)
    if not found:
        raise ValueError(f"{where}: no usable NAND2{_why(left_out)}")
    return found[0].name


def _driver(cells: dict[str, Cell]) -> str:
    """Choose the smallest buffer (else inverter) of that drive, or the strongest."""
    found = list(_alike(cells, _BUFFER)) or list(_alike(cells, _INVERTER))
    strong = [cell for cell in found if cell.drive >= _DRIVER]
    return min(strong, key=_size).name if strong else max(found, key=lambda cell: (cell.drive, cell.name)).name


def _self_consistent_slew(inverter: Draft, tables: Tables, load: float) -> float:
    """Iterate the slew of an inverter that drives `load`, in ps, until it gives itself."""
    slew = 0.0
    for _ in range(1000):
        found = out_slew_ps(inverter, tables, slew, load)
        if not 0 < found < math.inf:
            break
        if abs(found - slew) <= 1e-9 * found:
            return found
        slew = found
    raise ValueError(f"{tables.where}: the slew of inverter {inverter.cell.name!r} at four times its load has no end")
