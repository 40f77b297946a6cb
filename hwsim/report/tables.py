# SPDX-License-Identifier: Apache-2.0
"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from hwsim.result import SimulationResult

__all__ = [
    "comparison_table",
    "simulation_table",
]


def simulation_table(result: "SimulationResult") -> Table:
    """Return one row a layer and a total, for one image."""
    accelerator = result.accelerator
    array = accelerator.array
    table = Table(
        title=f"{result.network} on {accelerator.name}: {array.rows} x {array.columns} x {accelerator.unit.name}, "
        f"{array.dataflow.value.replace('_', '-')}, {'one image' if result.batch == 1 else f'{result.batch} images'}",
        title_justify="left",
    )
    table.add_column("layer")
    for heading in ("MACs", "cycles", "stall", "use %", "SRAM kbit", "DRAM kbit", "energy nJ"):
        table.add_column(heading, justify="right")
    for layer in result.layers:
        traffic = layer.traffic
        table.add_row(
            layer.name,
            f"{layer.macs:,}",
            f"{layer.cycles:,}",
            f"{layer.stall_cycles:,}",
            f"{100 * layer.utilisation:.1f}" if layer.macs else "",
            f"{(traffic.bits - traffic.dram_bits) / 1e3:,.1f}",
            f"{traffic.dram_bits / 1e3:,.1f}",
            _number(layer.energy.total_pj, 1e-3, 3),
        )
    table.add_section()
    table.add_row(
        "all",
        f"{result.macs:,}",
        f"{result.cycles:,}",
        f"{sum(layer.stall_cycles for layer in result.layers):,}",
        f"{100 * result.utilisation:.1f}",
        f"{sum(layer.traffic.bits - layer.traffic.dram_bits for layer in result.layers) / 1e3:,.1f}",
        f"{sum(layer.traffic.dram_bits for layer in result.layers) / 1e3:,.1f}",
        _number(result.energy.total_pj, 1e-3, 3),
    )
    return table


_COLUMNS = (
    ("format", "format", 1, None),
    ("accuracy %", "accuracy", 100, 2),
    ("bits", "bits_per_element", 1, 2),
    ("LUT", "lut", 1, 0),
    ("FF", "ff", 1, 0),
    ("Fmax MHz", "fmax_mhz", 1, 1),
    ("LUT, with DSP", "lut_with_dsp", 1, 0),
    ("DSP", "dsp", 1, 0),
    ("area um2", "area_um2", 1, 1),
    ("delay ps", "delay_ps", 1, 0),
    ("pJ/MAC", "energy_pj_per_mac", 1, 4),
)


def comparison_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return one row a format; what was not measured is left empty."""
    table = Table(title=title, title_justify="left")
    for heading, key, _, _ in _COLUMNS:
        table.add_column(heading, justify="left" if key == "format" else "right")
    for row in rows:
        cells = [
            str(row[key]) if decimals is None else _number(row.get(key), factor, decimals)
            for _, key, factor, decimals in _COLUMNS
        ]
        table.add_row(*cells)
    return table


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "" if value is None else f"{value * factor:,.{decimals}f}"
