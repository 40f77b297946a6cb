# SPDX-License-Identifier: Apache-2.0
"""A comparison on the terminal: what is compared, its fronts, the FPGA's counts, the energy by component."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich import box
from rich.table import Table

from cost_models.technologies import FpgaTechnology, read
from hwsim.report.front_lines import fit_lines, front_lines
from hwsim.report.fronts import Front, marks
from hwsim.report.rows import Row, is_fitted, is_known, labels, varying

__all__ = [
    "comparison_lines",
    "comparison_tables",
    "refusals",
]

_OF_UNIT = ("format", "unit", "technology")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class _Column(NamedTuple):
    """A column: its heading, the figure, what that is multiplied by, its decimals (None: a prefix of 1000s)."""

    heading: str
    key: str
    factor: float = 1
    decimals: int | None = 0


_VALUE = (
    _Column("accuracy\n%", "accuracy", 100, 2),
    _Column("as float32\n%", "agreement", 100, 2),
    _Column("output\nSQNR dB", "output_sqnr_db", 1, 1),
)
_UNIT = (
    _Column("weights\nQSNR dB", "weight_qsnr_db", 1, 1),
    _Column("bits", "bits_per_element", 1, 2),
    _Column("unit\num2", "unit_area_um2", 1, 1),
    _Column("delay\nps", "unit_delay_ps", 1, 0),
    _Column("pJ/\nMAC", "energy_pj_per_mac", 1, 4),
)
_MACHINE = (
    _Column("array\num2", "array_area_mm2", 1e6, 0),
    _Column("area\nmm2", "area_mm2", 1, 4),
    _Column("clock\nMHz", "clock_mhz"),
    _Column("latency\nus", "latency_us", 1, 2),
    _Column("energy\nnJ", "energy_nj", 1, 1),
    _Column("inf/s/\nmm2", "inferences_per_s_per_mm2", 1, None),
    _Column("inf/J", "inferences_per_j", 1, None),
)
_FPGA = (
    _Column("LUT", "lut"),
    _Column("FF", "ff"),
    _Column("DSP", "dsp"),
    _Column("Fmax MHz", "fmax_mhz", 1, 1),
)
_ECP5 = (
    *(column for column in _FPGA if column.key != "dsp"),
    _Column("LUT, with DSP", "lut_with_dsp"),
    _Column("DSP", "dsp"),
    _Column("Fmax MHz, with DSP", "fmax_with_dsp_mhz", 1, 1),
)
_DETAILS = (
    _Column("cycles", "cycles"),
    _Column("use %", "utilisation", 100, 1),
    _Column("units\nnJ", "energy_units_nj", 1, 1),
    _Column("registers\nnJ", "energy_registers_nj", 1, 1),
    _Column("SRAM\nnJ", "energy_sram_nj", 1, 1),
    _Column("DRAM\nnJ", "energy_dram_nj", 1, 1),
    _Column("wires\nnJ", "energy_wires_nj", 1, 1),
    _Column("leakage\nnJ", "energy_leakage_nj", 1, 1),
    _Column("all\nnJ", "energy_nj", 1, 1),
    _Column("power\nmW", "power_mw", 1, 2),
    _Column("SRAM\nkbit", "sram_kbit", 1, 1),
    _Column("DRAM\nkbit", "dram_kbit", 1, 1),
)


def comparison_tables(
    rows: Sequence[Row], found: Sequence[Front], *, details: bool = False, ecp5: bool = False
) -> dict[str, Table]:
    """Return the tables of a comparison by their titles; that of the first is empty.

    Where more than the format varies, what is of a unit alone stands in a table of its own, a row a unit; so do an
    FPGA's counts.

    Parameters
    ----------
    rows : sequence of mappings
        Of `hwsim.study.Comparison.rows`; refused ones are left out.
    found : sequence of Front
        Of the same rows, each network's in each technology numbered from 1; the last column has the numbers of those
        that a row is on.
    details : bool
        Cycles, energy by component and traffic, too.
    ecp5 : bool
        What the units of standard cells take on ECP5, too.
    """
    shown = [row for row in rows if not row["refused"]]
    numbers = [marks(row, found) for row in shown]
    if not shown:
        return {}
    names = varying(shown)
    cells = [row for row in shown if not _is_fpga(row["technology"])]
    if len(names) == 1:
        tables = {"": _table(shown, names, (*_VALUE, *_UNIT, *_MACHINE), numbers)}
    else:
        tables = {"": _table(shown, names, (*_VALUE, *_MACHINE), numbers), "one unit": _units(shown, _UNIT, _OF_UNIT)}
    if len(cells) < len(shown):
        fpgas = [row for row in shown if _is_fpga(row["technology"])]
        tables["one unit on an FPGA"] = _units(fpgas, _FPGA, _OF_UNIT)
    if ecp5 and cells:
        tables["one unit on ECP5"] = _units(cells, _ECP5, _OF_UNIT[:2])
    if details:
        tables["an inference: cycles, energy by component, traffic"] = _table(shown, names, _DETAILS)
    return tables


def comparison_lines(rows: Sequence[Row], found: Sequence[Front]) -> Iterator[str]:
    """Say what the fronts are, what is fitted with which error, what nobody has measured, what is refused and why."""
    yield from front_lines(found)
    yield from fit_lines(rows)
    unknown = [row for row in rows if not row["refused"] and row["cost_source"] is None]
    yield from dict.fromkeys(
        f"{row['unit']} was never measured in {row['technology']}: run without --no-measure" for row in unknown
    )
    yield from refusals(rows)


def refusals(rows: Sequence[Row]) -> Iterator[str]:
    """Say what is refused and why."""
    for name, row in zip(labels(rows), rows, strict=True):
        if row["refused"]:
            yield f"{name}: left out, {row['refused']}"


@lru_cache(maxsize=32)
def _is_fpga(technology: str) -> bool:
    return isinstance(read(technology), FpgaTechnology)


def _units(rows: Sequence[Row], columns: Sequence[_Column], keys: Sequence[str]) -> Table:
    """Return a table of a row for each unit, of the first row that has it."""
    first = {tuple(row[key] for key in keys): row for row in reversed(rows)}
    units = list(reversed(first.values()))
    names = [name for name in varying(units) if name in keys]
    return _table(units, names, columns)


def _table(
    rows: Sequence[Row], names: Sequence[str], columns: Sequence[_Column], numbers: Sequence[str] | None = None
) -> Table:
    """Return a table of names, and of the columns of which at least one row has the figure."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    shown = [column for column in columns if is_known(rows, column.key)]
    said = {"agreement", "output_sqnr_db"} if is_known(rows, "accuracy") else set()
    said |= {"clock_mhz"} if len({row["clock_mhz"] for row in rows}) == 1 else set()  # by the title
    shown = [column for column in shown if column.key not in said]
    for name in names:
        table.add_column(name, overflow="fold")
    for column in shown:
        table.add_column(column.heading, justify="right", no_wrap=True)
    if numbers is not None:
        table.add_column("front")
    for index, row in enumerate(rows):
        cells = [*(str(row[name]) for name in names), *(_cell(row, column) for column in shown)]
        table.add_row(*cells, *(() if numbers is None else (numbers[index],)))
    return table


def _cell(row: Row, column: _Column) -> str:
    value = row.get(column.key)
    if value is None:
        return ""
    mark = "~" * is_fitted(row, column.key)
    if column.decimals is not None:
        return f"{mark}{value * column.factor:,.{column.decimals}f}"
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if value >= size), (1, ""))
    return f"{mark}{f'{value / size:#.3g}'.rstrip('.')} {prefix}".rstrip()
