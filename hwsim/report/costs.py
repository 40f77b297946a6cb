# SPDX-License-Identifier: Apache-2.0
"""Tables of costs for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from cost_models import Cost

__all__ = [
    "FIGURES",
    "catalog_table",
    "cost_tables",
]

FIGURES = (
    ("structure", "architecture", ""),
    ("recipe", "recipe", ""),
    ("area", "area_um2", "um2"),
    ("delay", "delay_ps", "ps"),
    ("delay with wires", "wired_delay_ps", "ps"),
    ("leakage", "leakage_uw", "uW"),
    ("look-up tables", "lut", ""),
    ("flip-flops", "ff", ""),
    ("DSP blocks", "dsp", ""),
    ("clock", "fmax_mhz", "MHz"),
)


def cost_tables(answer: Mapping[str, Any]) -> list[Table]:
    """Return the figures of `hwsim.cost_report.report`: the unit's, then area and energy by stage and by component."""
    what = "fitted, not measured" if answer["fitted"] else "measured"
    title = f"{answer['unit']} in {answer['technology']}, {answer['pipeline']} register ranks ({what})"
    figures = Table(title=title, title_justify="left", show_header=False, min_width=len(title))
    figures.add_column("quantity")
    figures.add_column("value")
    for heading, key, unit in FIGURES:
        value = answer.get(key)
        if value not in (None, ""):
            figures.add_row(heading, f"{value:,.4g} {unit}".strip() if isinstance(value, float) else str(value))
    energy = answer["energy"]
    if energy is None:
        return [figures]
    figures.add_row("energy", f"{_range(energy['lower_pj_per_mac'], energy['upper_pj_per_mac'])} pJ a MAC")
    return [figures, *_energy_tables(answer, energy)]


def _energy_tables(answer: Mapping[str, Any], energy: Mapping[str, Any]) -> list[Table]:
    """Return area and energy by stage, and energy by component where it was simulated now."""
    areas, tables = answer["area_by_stage"], []
    for heading, parts in (("stage", energy["by_stage"]), ("component", energy["by_component"])):
        if not parts:
            continue
        table = Table(title=f"by {heading}", title_justify="left")
        table.add_column(heading)
        columns = ("area um2", "%") if heading == "stage" else ()
        for name in (*columns, "lower pJ/MAC", "upper pJ/MAC", "% of upper"):
            table.add_column(name, justify="right")
        total = sum(upper for _, upper in parts.values())
        for name, (lower, upper) in parts.items():
            area = areas.get(name)
            cells = ["", ""] if area is None else [f"{area:,.4g}", f"{100 * area / sum(areas.values()):.0f}"]
            table.add_row(
                name, *(cells if columns else ()), f"{lower:.4g}", f"{upper:.4g}", f"{100 * upper / total:.0f}"
            )
        tables.append(table)
    return tables


def _range(lower: float, upper: float | None) -> str:
    return f"{lower:.4g}" if upper is None else f"{lower:.4g} to {upper:.4g}"


def catalog_table(costs: "Sequence[Cost]") -> Table:
    """Return one row a measured cost."""
    table = Table(title=f"{len(costs)} measured costs", title_justify="left")
    table.add_column("unit", overflow="fold")
    table.add_column("technology")
    for heading in ("ranks", "area um2", "delay ps", "pJ a row", "LUT", "DSP", "MHz"):
        table.add_column(heading, justify="right")
    table.add_column("structure")
    for cost in costs:
        energy = "" if cost.energy_pj is None else _range(cost.energy_pj, cost.energy_upper_pj)
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
