# SPDX-License-Identifier: Apache-2.0
"""A comparison on the terminal: what is compared, its fronts, the FPGA's counts, the energy by component."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from cost_models.technologies import FpgaTechnology, read
from hwsim.study.front import pareto
from hwsim.study.quantities import quantity

__all__ = [
    "Front",
    "comparison_lines",
    "comparison_tables",
    "default_fronts",
    "front_keys",
    "fronts",
    "labels",
    "varying",
]

Row = Mapping[str, Any]
_NAMES = ("network", "format", "unit", "accelerator", "technology")
_OF_UNIT = ("format", "unit", "technology")
_VALUES = ("accuracy", "agreement", "output_sqnr_db")
_COSTS = ("array_area_mm2", "energy_nj")
_FPGA_COSTS = ("lut", "latency_us")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class _Column(NamedTuple):
    """A column: its heading, the figure, what that is multiplied by, its decimals (None: a prefix of 1000s)."""

    heading: str
    key: str
    factor: float = 1
    decimals: int | None = 0
    of_cost: bool = False  # whether it is fitted where the unit's cost is


_VALUE = (
    _Column("accuracy\n%", "accuracy", 100, 2),
    _Column("as float32\n%", "agreement", 100, 2),
)
_UNIT = (
    _Column("weights\nQSNR dB", "weight_qsnr_db", 1, 1),
    _Column("bits", "bits_per_element", 1, 2),
    _Column("unit\num2", "unit_area_um2", 1, 1, of_cost=True),
    _Column("delay\nps", "unit_delay_ps", 1, 0, of_cost=True),
    _Column("pJ/\nMAC", "energy_pj_per_mac", 1, 4, of_cost=True),
)
_MACHINE = (
    _Column("array\num2", "array_area_mm2", 1e6, 0, of_cost=True),
    _Column("area\nmm2", "area_mm2", 1, 4, of_cost=True),
    _Column("clock\nMHz", "clock_mhz"),
    _Column("latency\nus", "latency_us", 1, 2),
    _Column("energy\nnJ", "energy_nj", 1, 1, of_cost=True),
    _Column("inf/s/\nmm2", "inferences_per_s_per_mm2", 1, None, of_cost=True),
    _Column("inf/J", "inferences_per_j", 1, None, of_cost=True),
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
    _Column("units\nnJ", "energy_units_nj", 1, 1, of_cost=True),
    _Column("registers\nnJ", "energy_registers_nj", 1, 1),
    _Column("SRAM\nnJ", "energy_sram_nj", 1, 1),
    _Column("DRAM\nnJ", "energy_dram_nj", 1, 1),
    _Column("wires\nnJ", "energy_wires_nj", 1, 1),
    _Column("leakage\nnJ", "energy_leakage_nj", 1, 1, of_cost=True),
    _Column("all\nnJ", "energy_nj", 1, 1, of_cost=True),
    _Column("power\nmW", "power_mw", 1, 2, of_cost=True),
    _Column("SRAM\nkbit", "sram_kbit", 1, 1),
    _Column("DRAM\nkbit", "dram_kbit", 1, 1),
)


@dataclass(frozen=True, slots=True)
class Front:
    """A Pareto front: its objectives, each with which way is better, and for each row whether it is on it."""

    objectives: tuple[tuple[str, str], ...]
    on: tuple[bool, ...]

    def __str__(self) -> str:
        """Say what is best against what: `accuracy (more) against energy (less)`."""
        return " against ".join(f"{quantity(key).label} ({better})" for key, better in self.objectives)


def front_keys(text: str) -> tuple[str, ...]:
    """Read the objectives of a front, as `accuracy,energy_nj`.

    Raises
    ------
    KeyError
        For an unknown quantity; the message has the close matches.
    ValueError
        For fewer than two, one that is twice there, and one of which neither more nor less is better.
    """
    keys = tuple(part.strip() for part in text.split(","))
    if len(keys) < 2 or len(set(keys)) < len(keys):
        raise ValueError(f"--front must be two quantities or more, each once, as accuracy,energy_nj, not {text!r}")
    for key in keys:
        if quantity(key).better is None:
            raise ValueError(f"--front {text}: neither more nor less {key} is better")
    return keys


def default_fronts(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    """Return what is worth setting against what in these rows: values against array area and energy, or FPGA counts."""
    value = next((key for key in _VALUES if _known(rows, key)), _VALUES[-1])
    costs = _COSTS if any(_known(rows, key) for key in _COSTS) else _FPGA_COSTS
    return tuple((value, cost) for cost in costs)


def fronts(rows: Sequence[Row], chosen: Sequence[tuple[str, ...]]) -> list[Front]:
    """Return the fronts of rows by their objectives."""
    found = []
    for keys in chosen:
        objectives = {key: better for key in keys if (better := quantity(key).better) is not None}
        found.append(Front(tuple(objectives.items()), tuple(pareto(rows, objectives))))
    return found


def varying(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return what tells the rows apart: the format, and the names that differ between rows of one format."""
    others = [key for key in _NAMES if key != "format" and len({row[key] for row in rows}) > 1]
    if "unit" in others and all(
        len({row["unit"] for row in rows if row["format"] == each}) == 1 for each in _formats(rows)
    ):
        others.remove("unit")
    return ("format", *(key for key in _NAMES if key in others))


def labels(rows: Sequence[Row]) -> list[str]:
    """Return a name for each row, of what tells them apart."""
    keys = varying(rows)
    return [" ".join(str(row[key]) for key in keys) for row in rows]


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
        Of the same rows; the last column has the numbers of those that a row is on.
    details : bool
        Cycles, energy by component and traffic, too.
    ecp5 : bool
        What the units of standard cells take on ECP5, too.
    """
    places = [index for index, row in enumerate(rows) if not row["refused"]]
    shown = [rows[index] for index in places]
    marks = [" ".join(str(number) for number, front in enumerate(found, 1) if front.on[index]) for index in places]
    if not shown:
        return {}
    names = varying(shown)
    cells = [row for row in shown if not _is_fpga(row["technology"])]
    if len(names) == 1:
        tables = {"": _table(shown, names, (*_VALUE, *_UNIT, *_MACHINE), marks)}
    else:
        tables = {"": _table(shown, names, (*_VALUE, *_MACHINE), marks), "one unit": _units(shown, _UNIT, _OF_UNIT)}
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
    names = labels(rows)
    for number, front in enumerate(found, 1):
        members = [name for name, on in zip(names, front.on, strict=True) if on]
        yield f"front {number}, {front}: {', '.join(members) or 'no row has all these figures'}"
    errors = [row["cost_error"] for row in rows if row["cost_fitted"] and row["cost_error"] is not None]
    if any(row["cost_fitted"] for row in rows):
        error = f", within {100 * max(errors):.0f} % for nine of ten formats that were held out" if errors else ""
        yield f"~ the unit's cost is fitted, not measured{error}"
    unknown = [row for row in rows if not row["refused"] and row["cost_source"] is None]
    yield from dict.fromkeys(
        f"{row['unit']} was never measured in {row['technology']}: run without --no-measure" for row in unknown
    )
    for name, row in zip(names, rows, strict=True):
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
    rows: Sequence[Row], names: Sequence[str], columns: Sequence[_Column], marks: Sequence[str] | None = None
) -> Table:
    """Return a table of names, and of the columns of which at least one row has the figure."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    shown = [column for column in columns if _known(rows, column.key)]
    said = {"agreement"} if _known(rows, "accuracy") else set()
    said |= {"clock_mhz"} if len({row["clock_mhz"] for row in rows}) == 1 else set()  # by the title
    shown = [column for column in shown if column.key not in said]
    for name in names:
        table.add_column(name, overflow="fold")
    for column in shown:
        table.add_column(column.heading, justify="right", no_wrap=True)
    if marks is not None:
        table.add_column("front")
    for index, row in enumerate(rows):
        cells = [*(str(row[name]) for name in names), *(_cell(row, column) for column in shown)]
        table.add_row(*cells, *(() if marks is None else (marks[index],)))
    return table


def _cell(row: Row, column: _Column) -> str:
    value = row.get(column.key)
    if value is None:
        return ""
    mark = "~" if column.of_cost and row["cost_fitted"] else ""
    if column.decimals is not None:
        return f"{mark}{value * column.factor:,.{column.decimals}f}"
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if value >= size), (1, ""))
    return f"{mark}{f'{value / size:#.3g}'.rstrip('.')} {prefix}".rstrip()


def _known(rows: Sequence[Row], key: str) -> bool:
    return any(row.get(key) is not None for row in rows)


def _formats(rows: Sequence[Row]) -> set[str]:
    return {row["format"] for row in rows}
