# SPDX-License-Identifier: Apache-2.0
"""Tables of costs for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from cost_models import Cost

__all__ = [
    "catalog_table",
]


def catalog_table(costs: "Sequence[Cost]") -> Table:
    """Return one row a measured cost."""
    table = Table(title=f"{len(costs)} measured costs", title_justify="left")
    table.add_column("unit", overflow="fold")
    table.add_column("technology")
    for heading in ("ranks", "area um2", "delay ps", "pJ a row", "LUT", "DSP", "MHz"):
        table.add_column(heading, justify="right")
    table.add_column("structure")
    for cost in costs:
        energy = "" if cost.energy_pj is None else f"{cost.energy_pj:.4g} .. {cost.energy_upper_pj:.4g}"
        table.add_row(
            cost.unit,
            cost.technology,
            str(cost.pipeline),
            "" if cost.area_um2 is None else f"{cost.area_um2:,.5g}",
            "" if cost.delay_ps is None else f"{cost.delay_ps:,.0f}",
            energy,
            "" if cost.lut is None else f"{cost.lut:,}",
            "" if cost.dsp is None else str(cost.dsp),
            "" if cost.fmax_mhz is None else f"{cost.fmax_mhz:.0f}",
            f"{cost.architecture} {cost.recipe}".strip(),
        )
    return table
