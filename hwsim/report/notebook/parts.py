# SPDX-License-Identifier: Apache-2.0
"""Parts of a whole: a unit's area and energy by stage, an inference's energy by component, a network's layers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.report.notebook.rows import COLOURS, Designs, evaluations_of, labels
from hwsim.study.evaluation import Evaluation
from hwsim.study.quantities import quantity

if TYPE_CHECKING:
    from cost_models import Cost

__all__ = [
    "energy_figure",
    "layer_heatmap",
    "stage_figure",
]

_PARTS = tuple(f"energy_{part}_nj" for part in ("units", "registers", "sram", "dram", "wires", "leakage"))
_LAYER_FIGURES = {
    "sqnr_db": "SQNR after the layer, dB",
    "sqnr_alone_db": "SQNR of the layer alone, dB",
    "energy_nj": "energy, nJ",
    "cycles": "cycles",
    "utilisation": "utilisation",
    "macs": "multiply-accumulates",
}


def stage_figure(costs: "Cost | Iterable[Cost] | Designs") -> Any:
    """Draw area and energy of units by stage of the datapath, a bar a unit.

    Parameters
    ----------
    costs : Cost, sequence of Cost, or what `pareto_figure` takes
        Those without figures by stage (fitted ones, FPGAs) are left out.

    Returns
    -------
    plotly.graph_objects.Figure
        Area in um2, energy in pJ a step: the lower bound (no glitches, no wires).

    Raises
    ------
    ValueError
        If none has figures by stage.
    """
    from plotly.subplots import make_subplots

    parts = _stages(costs)
    if not parts:
        raise ValueError("none of the costs has figures by stage: they are fitted, or of an FPGA")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, subplot_titles=("area, um2", "energy, pJ a step"))
    for column, key in enumerate(("area_um2", "energy_pj"), start=1):
        for at, stage in enumerate(dict.fromkeys(stage for _, found in parts for stage in found[key])):
            figure.add_bar(
                x=[found[key].get(stage) for _, found in parts],
                y=[name for name, _ in parts],
                orientation="h",
                name=stage,
                legendgroup=stage,
                showlegend=column == 1,
                marker={"color": COLOURS[at % len(COLOURS)]},
                hovertemplate=f"{stage}: %{{x:.4g}}<extra>%{{y}}</extra>",
                row=1,
                col=column,
            )
    figure.update_layout(barmode="stack", title="Where a unit's area and energy go", height=_height(len(parts)))
    figure.update_yaxes(autorange="reversed")
    return figure


def _stages(costs: "Cost | Iterable[Cost] | Designs") -> list[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """Return names and parts of what has parts by stage."""
    from cost_models import Cost

    given: Any = (
        costs if isinstance(costs, Mapping | Evaluation) else [costs] if isinstance(costs, Cost) else list(costs)
    )
    if isinstance(given, list) and given and all(isinstance(each, Cost) for each in given):
        several = len({each.technology for each in given}) > 1
        return [
            (
                f"{each.unit}, {each.technology}" if several else each.unit,
                {"area_um2": each.area_by_stage, "energy_pj": each.energy_by_stage},
            )
            for each in given
            if each.area_by_stage
        ]
    known = [each for each in evaluations_of(given) if each.stages.get("area_um2")]
    return [(name, each.stages) for name, each in zip(labels(known), known, strict=True)]


def layer_heatmap(evaluations: Designs, what: str = "sqnr_db") -> Any:
    """Draw a figure of every layer, a row a design: where accuracy is lost, or where energy and cycles go.

    Parameters
    ----------
    evaluations : what `pareto_figure` takes
    what : str
        sqnr_db (with what the layers before it have done), sqnr_alone_db, energy_nj, cycles, utilisation or macs.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    KeyError
        For another figure.
    ValueError
        If no design has it of a layer: `hwsim.study.compare` measures layers where it is asked to.
    """
    from plotly import graph_objects as go

    if what not in _LAYER_FIGURES:
        raise KeyError(f"what must be one of {', '.join(_LAYER_FIGURES)}, not {what!r}")
    given = evaluations_of(evaluations)
    known = [each for each in given if each.layers]
    found = [(name, each.layers) for name, each in zip(labels(known), known, strict=True)]
    columns = [
        name
        for name in dict.fromkeys(layer["name"] for _, layers in found for layer in layers)
        if any(layer["name"] == name and layer.get(what) is not None for _, layers in found for layer in layers)
    ]
    if not columns:
        raise ValueError(f"none of {len(given)} designs has {what} of a layer; compare them with layers=True")
    cells = [{layer["name"]: layer.get(what) for layer in layers} for _, layers in found]
    figure = go.Figure(
        go.Heatmap(
            z=[[row.get(name) for name in columns] for row in cells],
            x=columns,
            y=[name for name, _ in found],
            colorscale="Viridis",
            colorbar={"title": _LAYER_FIGURES[what]},
            hovertemplate="%{y}, %{x}: %{z:.4g}<extra></extra>",
        )
    )
    figure.update_layout(title=f"{_LAYER_FIGURES[what]}, by layer", height=_height(len(found)))
    figure.update_yaxes(autorange="reversed")
    return figure


def energy_figure(comparison: Designs) -> Any:
    """Draw the energy of an inference by component, a bar a design.

    Returns
    -------
    plotly.graph_objects.Figure
        Designs whose energy is not known are left out.

    Raises
    ------
    ValueError
        If it is known of none.
    """
    from plotly import graph_objects as go

    given = evaluations_of(comparison)
    priced = [each for each in given if each.figures.get("energy_nj") is not None]
    known = [(name, each.figures) for name, each in zip(labels(priced), priced, strict=True)]
    if not known:
        raise ValueError(f"the energy of none of {len(given)} designs is known")
    figure = go.Figure()
    for at, key in enumerate(_PARTS):
        values = [figures.get(key) for _, figures in known]
        if any(values):
            figure.add_bar(
                x=values,
                y=[name for name, _ in known],
                orientation="h",
                name=quantity(key).label,
                marker={"color": COLOURS[at]},
                hovertemplate=f"{quantity(key).label}: %{{x:,.4g}} nJ<extra>%{{y}}</extra>",
            )
    figure.update_layout(
        barmode="stack", title="Energy of an inference, by component", xaxis_title="nJ", height=_height(len(known))
    )
    figure.update_yaxes(autorange="reversed")
    return figure


def _height(bars: int) -> int:
    """Return pixels for so many bars or rows below each other."""
    return min(280 + 26 * bars, 2400)
