# SPDX-License-Identifier: Apache-2.0
"""What a notebook shows of a unit, a format, a cost, a network, an accelerator, a simulation, an evaluation."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwsim.report.notebook.html import block, drawing, facts, note, table

if TYPE_CHECKING:
    from cost_models import Cost
    from hwsim.accelerator import Accelerator
    from hwsim.datapath import DotProductUnit
    from hwsim.formats import AnyFormat
    from hwsim.network import Network
    from hwsim.result import SimulationResult
    from hwsim.study.comparison import Comparison
    from hwsim.study.evaluation import Evaluation

__all__ = [
    "accelerator_html",
    "comparison_html",
    "cost_html",
    "evaluation_html",
    "evaluation_text",
    "format_html",
    "network_html",
    "network_text",
    "result_html",
    "result_text",
    "show_comparison",
    "unit_html",
]

_GRAPH_HEIGHT = 420  # pixels, beyond which a network's graph scrolls


def unit_html(unit: "DotProductUnit") -> str:
    """Return a unit: what it takes and gives, and its block diagram."""
    from hwsim.report.units.drawing import datapath_svg
    from hwsim.report.units.words import alignment_text, operands_text, register_text

    found = {
        "operands": operands_text(unit),
        "products a step": unit.lanes,
        "added": alignment_text(unit),
        "register": register_text(unit),
        "output": unit.output.name,
    }
    return block(facts(found, unit.name), drawing(datapath_svg(unit)))


def format_html(spec: "AnyFormat") -> str:
    """Return a format: its facts, and how its values lie."""
    from hwsim.report.formats.drawing import drawing as values_svg
    from hwsim.report.formats.facts import facts as facts_of

    about = facts_of(spec)
    found = {
        "family": about.entry.family,
        "bits": spec.bits,
        "bits an element": about.bits_per_element,
        "largest": about.largest,
        "lowest": about.lowest,
        "smallest positive": about.smallest,
        **about.specials,
        "source": about.entry.source,
    }
    return block(facts(found, spec.name), note(about.entry.summary), drawing(values_svg(about, inside=True)))


def cost_html(cost: "Cost") -> str:
    """Return a cost: its figures, and area and energy by stage."""
    from hwsim.report.costs import FIGURES

    what = "fitted, not measured" if cost.is_fitted else "measured"
    found: dict[str, Any] = {
        f"{heading}, {unit}" if unit else heading: getattr(cost, key) for heading, key, unit in FIGURES
    }
    found |= {
        "energy of a step, pJ, at least": cost.energy_pj,
        "energy of a step, pJ, at most": cost.energy_upper_pj,
        **{f"{key}: error of a fitted figure": f"{100 * error:.3g} %" for key, error in cost.errors.items()},
        "source": cost.source,
    }
    title = f"{cost.unit} in {cost.technology}, {cost.pipeline} register ranks ({what})"
    parts = [facts(found, title)]
    if cost.area_by_stage:
        stages = dict.fromkeys((*cost.area_by_stage, *cost.energy_by_stage, *cost.energy_upper_by_stage))
        columns = (cost.area_by_stage, cost.energy_by_stage, cost.energy_upper_by_stage)
        rows = [(stage, *(column.get(stage) for column in columns)) for stage in stages]
        parts.append(table(("stage", "area, um2", "pJ a step, at least", "pJ a step, at most"), rows))
    return block(*parts)


def network_html(network: "Network") -> str:
    """Return a network: its layers as a table and as a graph."""
    from hwsim.report.notebook.graph import DRAWN_LAYERS, network_svg

    rows = []
    for layer in network.layers:
        shape = layer.matmul_shape(network.specs(layer))
        outputs = ", ".join(
            f"{'x'.join(map(str, network.tensors[name].shape))} {network.tensors[name].dtype}"
            for name in layer.outputs
            if name in network.tensors
        )
        rows.append((layer.name, layer.operator, None if shape is None else shape.macs, layer.parameters, outputs))
    count = len(network.layers)
    title = f"{network.name}, {count} layers, {sum(row[2] or 0 for row in rows):,} MACs a pass of {network.batch}"
    parts = [table(("layer", "operator", "MACs", "parameters", "output"), rows, title)]
    if count <= DRAWN_LAYERS:
        parts.append(drawing(network_svg(network), height=_GRAPH_HEIGHT))
    else:
        parts.append(note(f"{count} layers are too many to draw"))
    return block(*parts)


def network_text(network: "Network") -> str:
    """Return a network in a line."""
    return f"Network {network.name}: {len(network.layers)} layers, batch {network.batch}"


def accelerator_html(accelerator: "Accelerator") -> str:
    """Return an accelerator: its arrays, memories and clock."""
    from hwsim.result import peak_macs

    array = accelerator.array
    arrays = f"{array.count} x " if array.count > 1 else ""
    depth = f" x {array.depth}" if array.depth > 1 else ""
    found = {
        "unit": accelerator.unit.name,
        "array": f"{arrays}{array.rows} x {array.columns}{depth} units, {array.dataflow.value.replace('_', ' ')}",
        "MACs a cycle, at most": peak_macs(accelerator),
        "register ranks of a unit": accelerator.pipeline,
        "clock, MHz": accelerator.clock_mhz,
        "technology": accelerator.technology,
        "activation SRAM, KiB": accelerator.activations.kilobytes,
        "weight SRAM, KiB": accelerator.weights.kilobytes,
        "SRAM node, nm": accelerator.sram_node_nm,
        "DRAM": f"{accelerator.dram.kind} {accelerator.dram.bits_per_cycle} bits a cycle".strip(),
        "vector unit, elements a cycle": accelerator.vector_lanes,
        "requantization": accelerator.requantization.value,
    }
    return block(facts(found, accelerator.name))


def result_html(result: "SimulationResult") -> str:
    """Return a simulation: its totals, and a row a layer."""
    energy = result.energy.total_pj
    found = {
        "images": result.images,
        "cycles": result.cycles,
        "latency, us": result.latency_us,
        "utilisation": f"{100 * result.utilisation:.1f} %",
        "energy, nJ": None if energy is None else energy / 1e3,
        "values": result.values,
    }
    with_errors = any(layer.error is not None for layer in result.layers)
    headings = ["layer", "kind", "MACs", "cycles", "use %", "SRAM kbit", "DRAM kbit", "energy nJ"]
    rows = []
    for layer in result.layers:
        total = layer.energy.total_pj
        row: list[Any] = [
            layer.name,
            layer.kind,
            layer.macs or None,
            layer.cycles,
            100 * layer.utilisation if layer.macs else None,
            layer.traffic.sram_bits / 1e3,
            layer.traffic.dram_bits / 1e3,
            None if total is None else total / 1e3,
        ]
        if with_errors:
            error = layer.error
            found_errors = (None, None) if error is None else (error.accumulated, error.own)
            row += [None if each is None else "equal" if each.is_equal else each.sqnr_db for each in found_errors]
        rows.append(row)
    headings += ["SQNR dB", "alone dB"] if with_errors else []
    title = f"{result.network} on {result.accelerator.name}"
    return block(facts(found, title), table(headings, rows), note(result.energy_note))


def result_text(result: "SimulationResult") -> str:
    """Return a simulation in a line."""
    return (
        f"SimulationResult of {result.network} on {result.accelerator.name}: {result.images} images, "
        f"{result.cycles:,} cycles a pass, utilisation {100 * result.utilisation:.1f} %"
    )


def evaluation_text(evaluation: "Evaluation") -> str:
    """Return a design point in a line."""
    point = evaluation.point
    end = f", refused: {evaluation.refused}" if evaluation.refused else ""
    return f"Evaluation of {point.format} on {point.accelerator} in {point.technology}, network {point.network}{end}"


def evaluation_html(evaluation: "Evaluation") -> str:
    """Return a design point: all that is known of it, and where that comes from."""
    from hwsim.report.notebook.rows import POINT_KEYS, flat
    from hwsim.study.quantities import QUANTITIES

    row = flat(evaluation)
    point = {key: row[key] for key in (*POINT_KEYS, *dict(evaluation.point.settings))}
    figures = {
        f"{each.label}, {each.unit}" if each.unit else each.label: row[each.key]
        for each in QUANTITIES
        if not each.key.startswith("energy_") or row[each.key]
    }
    parts = [facts(point, evaluation.point.format)]
    parts += [note(f"refused: {evaluation.refused}")] if evaluation.refused else [facts(figures)]
    return block(*parts, *map(note, evaluation.sources))


def comparison_html(comparison: "Comparison") -> str:
    """Return a comparison: a row a design, and on which Pareto fronts of accuracy it is."""
    from hwsim.report.notebook.designs import designs_table

    return block(designs_table(comparison))


def show_comparison(comparison: "Comparison") -> None:
    """Display a comparison: its table, and under it the figure of accuracy against energy where both are known."""
    shown: Any = import_module("IPython.display")
    shown.display(shown.HTML(comparison_html(comparison)))
    if any(each.figures.get("accuracy") is not None and each.figures.get("energy_nj") for each in comparison):
        from hwsim.report.notebook.pareto import pareto_figure

        shown.display(pareto_figure(comparison))
