# SPDX-License-Identifier: Apache-2.0
"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

__all__ = [
    "comparison_table",
]


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
