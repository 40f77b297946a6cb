# SPDX-License-Identifier: Apache-2.0
"""What quantization and allocation found, for the terminal and as JSON."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from hwsim.allocation import Choice, Costs, Probe, Sensitivities
from hwsim.quantization import Report

__all__ = [
    "allocation_lines",
    "allocation_rows",
    "allocation_table",
    "quantization_table",
]


def quantization_table(report: Report) -> Table:
    """Return one row a layer."""
    table = Table(title=f"output {_db(report.output_sqnr_db)} against the float network", title_justify="left")
    for heading in ("layer", "operator", "weights", "activations"):
        table.add_column(heading)
    for heading in ("weight kbit", "weight SQNR", "output SQNR"):
        table.add_column(heading, justify="right")
    for each in report.layers:
        table.add_row(
            each.name, each.operator, each.weights or "float32", each.activations or "float32",
            f"{each.weight_bits / 1e3:,.1f}", _db(each.weight_sqnr_db), _db(each.output_sqnr_db),
        )  # fmt: skip
    return table


def allocation_rows(probe: Probe, sensitivities: Sensitivities, costs: Costs, choice: Choice) -> dict[str, Any]:
    """Return the figures of an allocation as JSON-ready values."""
    allocation, columns = choice.allocation, {name: i for i, name in enumerate(costs.formats)}
    layers = []
    for row, (name, chosen) in enumerate(allocation.assignment.items()):
        column = columns[chosen]
        layers.append(
            {
                "name": name,
                "format": chosen,
                "sensitivities": dict(zip(costs.formats, map(float, sensitivities.values[row]), strict=True)),
                **{what: float(costs.of(what)[row, column]) for what in ("bits", "area", "energy", "latency")},
            }
        )
    same = []
    for name, column in columns.items():
        totals = {what: costs.total(what, [column] * len(costs.layers)) for what in allocation.budget}
        within = all(totals[what] <= limit for what, limit in allocation.budget.items())
        found = probe.measure(dict.fromkeys(costs.layers, name)) if within else None
        same.append({"format": name, "costs": totals, "within": within, "loss": found})
    return {
        "loss": choice.loss,
        "loss_kind": probe.loss.value,
        "rank": choice.rank,
        "costs": allocation.costs,
        "budget": allocation.budget,
        "layers": layers,
        "optimum": {
            "assignment": choice.optimum.assignment,
            "sum_of_sensitivities": choice.optimum.objective,
            "loss": choice.optimum_loss,
            "gap": choice.optimum.gap,
        },
        "uniform": same,
    }


def allocation_table(rows: Mapping[str, Any]) -> Table:
    """Return one row a layer."""
    table = Table(title=f"loss ({rows['loss_kind']}) {rows['loss']:.4g}, simulated", title_justify="left")
    for heading in ("layer", "format"):
        table.add_column(heading)
    for heading in ("sensitivity", "weight bits", "um2 x cycles", "nJ", "cycles"):
        table.add_column(heading, justify="right")
    for each in rows["layers"]:
        table.add_row(
            each["name"], each["format"], f"{each['sensitivities'][each['format']]:.3g}", f"{each['bits']:,.0f}",
            f"{each['area']:,.0f}", f"{each['energy'] / 1e3:,.2f}", f"{each['latency']:,.0f}",
        )  # fmt: skip
    return table


def allocation_lines(rows: Mapping[str, Any]) -> list[str]:
    """Return what the table does not say, a sentence a line."""
    optimum = rows["optimum"]
    spent = ", ".join(f"{what} {rows['costs'][what]:,.6g} of {limit:,.6g}" for what, limit in rows["budget"].items())
    proof = "proven optimal" if optimum["gap"] == 0 else f"gap {optimum['gap']:.2g}"
    where = "a uniform format" if rows["rank"] == 0 else f"number {rows['rank']} of the integer program"
    lines = [
        f"budget: {spent}",
        f"integer program: {proof}, sum {optimum['sum_of_sensitivities']:.4g}, simulated {optimum['loss']:.4g}",
        f"chosen by simulation: {where}",
    ]
    for each in rows["uniform"]:
        result = f"loss {each['loss']:.4g}" if each["within"] else "over the budget"
        lines.append(f"{each['format']} everywhere: {result}")
    return lines


def _db(value: float | None) -> str:
    return "exact" if value is None else f"{value:.2f} dB"
