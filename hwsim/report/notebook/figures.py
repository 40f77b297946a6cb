# SPDX-License-Identifier: Apache-2.0
"""Interactive figures, as `plotly.graph_objects.Figure`: of comparisons, costs, layers, formats and simulations.

They are reached as ``hwsim.plot``; what is shown stays the caller's to change (``figure.update_layout(...)``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.report.notebook.rows import POINT_KEYS, evaluations_of, flat, labels, setting_keys
from hwsim.study.quantities import KEYS, Quantity, quantity

if TYPE_CHECKING:
    from cost_models import Cost
    from hwsim.study.evaluation import Evaluation

    Comparable = Iterable[Evaluation] | Mapping[str, Any]

__all__ = [
    "energy_figure",
    "layer_heatmap",
    "pareto_figure",
    "stage_figure",
]

_SHARES = ("accuracy", "float_accuracy", "agreement", "utilisation", "cost_error")
_TOLD = ("accuracy", "output_sqnr_db", "bits_per_element", "energy_nj", "area_mm2", "latency_us")
_PARTS = tuple(f"energy_{part}_nj" for part in ("units", "registers", "sram", "dram", "wires", "leakage"))
_LAYER_FIGURES = {
    "sqnr_db": "SQNR after the layer, dB",
    "sqnr_alone_db": "SQNR of the layer alone, dB",
    "energy_nj": "energy, nJ",
    "cycles": "cycles",
    "utilisation": "utilisation",
    "macs": "multiply-accumulates",
}
_LOG_FROM = 50  # of the largest over the smallest, a logarithmic axis


def pareto_figure(
    comparison: "Comparable", x: str = "energy_nj", y: str = "accuracy", *, colour: str = "format"
) -> Any:
    """Draw a point a design, and the Pareto front as a line.

    Parameters
    ----------
    comparison : Comparison, sequence of Evaluation, or the dict of one
    x, y : str
        Keys of `hwsim.study.QUANTITIES` of which more or less is better.
    colour : str
        What colours tell apart: ``format``, ``unit``, ``accelerator``, ``technology``, ``network``, a setting's dotted
        key, or the key of a quantity with numbers, which is drawn as a scale.

    Returns
    -------
    plotly.graph_objects.Figure
        Designs without one of the figures are left out, and counted in the subtitle.

    Raises
    ------
    KeyError
        For an unknown quantity or colour.
    ValueError
        If a quantity has no better side, or no design has both figures.
    """
    from plotly import graph_objects as go

    from hwsim.study.front import pareto

    across, upward = _with_a_side(x), _with_a_side(y)
    evaluations = evaluations_of(comparison)
    _check_colour(colour, evaluations)
    pairs = list(zip([flat(each) for each in evaluations], labels(evaluations), strict=True))
    known = [(row, name) for row, name in pairs if row[x] is not None and row[y] is not None]
    if not known:
        raise ValueError(f"none of {len(pairs)} designs has both {x} and {y}")
    rows = [row for row, _ in known]
    on_front = pareto(rows, {x: across.better, y: upward.better})
    figure = go.Figure()
    front = sorted((row[x], row[y]) for row, is_on in zip(rows, on_front, strict=True) if is_on)
    figure.add_scatter(
        x=[each for each, _ in front],
        y=[each for _, each in front],
        mode="lines",
        line={"shape": "hv" if across.better == "less" else "vh", "color": "gray", "dash": "dot"},
        name="Pareto front",
        hoverinfo="skip",
    )
    hover = [_hover(row, name, is_on) for (row, name), is_on in zip(known, on_front, strict=True)]
    symbols = ["diamond" if is_on else "circle" for is_on in on_front]
    if colour in KEYS:
        scale = {"color": [row[colour] for row in rows], "showscale": True, "colorbar": {"title": _axis(colour)}}
        _points(figure, rows, x, y, text=hover, symbols=symbols, name="designs", **scale)
    else:
        for value in dict.fromkeys(str(row.get(colour, "")) for row in rows):
            of = [at for at, row in enumerate(rows) if str(row.get(colour, "")) == value]
            chosen, texts, marks = ([all_of[at] for at in of] for all_of in (rows, hover, symbols))
            _points(figure, chosen, x, y, text=texts, symbols=marks, name=value)
    left_out = len(pairs) - len(known)
    subtitle = f"{len(known)} designs, {sum(on_front)} on the front"
    subtitle += f"; {left_out} without both figures are not drawn" if left_out else ""
    figure.update_layout(title={"text": f"{upward.label} against {across.label}", "subtitle": {"text": subtitle}})
    _scale(figure.layout.xaxis, x, rows)
    _scale(figure.layout.yaxis, y, rows)
    return figure


def _with_a_side(key: str) -> Quantity:
    found = quantity(key)
    if found.better is None:
        raise ValueError(f"a front needs quantities of which more or less is better; of {key} neither is")
    return found


def _check_colour(colour: str, evaluations: Sequence["Evaluation"]) -> None:
    known = [*POINT_KEYS, *setting_keys(evaluations), *KEYS]
    if colour not in known:
        raise KeyError(f"colour must be one of {', '.join(known)}, not {colour!r}")
    if colour in KEYS and quantity(colour).kind == "str":
        raise ValueError(f"colour must be a quantity with numbers, not {colour!r}")


def _points(
    figure: Any, rows: Sequence[Mapping[str, Any]], x: str, y: str, *, text: Sequence[str], symbols: Sequence[str],
    name: str, **marker: Any,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=[row[x] for row in rows],
        y=[row[y] for row in rows],
        mode="markers",
        marker={"size": 10, "symbol": symbols, **marker},
        text=text,
        hovertemplate="%{text}<extra></extra>",
        name=name,
    )


def _hover(row: Mapping[str, Any], name: str, on_front: bool) -> str:
    """Return what is told of a design where a pointer rests on it."""
    lines = [f"<b>{_plain(name)}</b>" + (" (on the front)" if on_front else ""), _plain(row["unit"])]
    lines += [f"{quantity(key).label}: {_value(key, row[key])}" for key in _TOLD if row[key] is not None]
    return "<br>".join(lines)


def _plain(text: str) -> str:
    """Return a text in which plotly reads no tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _value(key: str, value: float) -> str:
    if key in _SHARES:
        return f"{100 * value:.4g} %"
    return f"{value:,.{quantity(key).digits}g} {quantity(key).unit}".strip()


def _axis(key: str) -> str:
    found = quantity(key)
    return f"{found.label}, {found.unit}" if found.unit else found.label


def _scale(axis: Any, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Name an axis; make it one of shares, or logarithmic where the figures are far apart."""
    values = [row[key] for row in rows]
    axis.title.text = _axis(key)
    if key in _SHARES:
        axis.tickformat = ".1%"
    elif min(values) > 0 and max(values) / min(values) >= _LOG_FROM:
        axis.type = "log"


def stage_figure(costs: "Iterable[Cost] | Comparable") -> Any:
    """Draw area and energy of units by stage of the datapath, a bar a unit.

    Parameters
    ----------
    costs : sequence of Cost, or what `pareto_figure` takes
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
                marker={"color": _COLOURS[at % len(_COLOURS)]},
                hovertemplate=f"{stage}: %{{x:.4g}}<extra>%{{y}}</extra>",
                row=1,
                col=column,
            )
    figure.update_layout(barmode="stack", title="Where a unit's area and energy go", height=_height(len(parts)))
    figure.update_yaxes(autorange="reversed")
    return figure


_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#eeca3b", "#9d755d")


def _stages(costs: "Iterable[Cost] | Comparable") -> list[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """Return names and parts of what has parts by stage."""
    from cost_models import Cost

    given = [costs] if isinstance(costs, Cost) else costs
    if not isinstance(given, Mapping):
        given = list(given)
        if given and all(isinstance(each, Cost) for each in given):
            several = len({each.technology for each in given}) > 1
            return [
                (
                    f"{each.unit}, {each.technology}" if several else each.unit,
                    {"area_um2": each.area_by_stage, "energy_pj": each.energy_by_stage},
                )
                for each in given
                if each.area_by_stage
            ]
    evaluations = evaluations_of(given)
    return [
        (name, each.stages)
        for name, each in zip(labels(evaluations), evaluations, strict=True)
        if each.stages.get("area_um2")
    ]


def layer_heatmap(evaluations: "Comparable", what: str = "sqnr_db") -> Any:
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
    found = [(name, each.layers) for name, each in zip(labels(given), given, strict=True) if each.layers]
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


def energy_figure(comparison: "Comparable") -> Any:
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
    known = [
        (name, each.figures)
        for name, each in zip(labels(given), given, strict=True)
        if each.figures.get("energy_nj") is not None
    ]
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
                marker={"color": _COLOURS[at]},
                hovertemplate=f"{quantity(key).label}: %{{x:,.4g}} nJ<extra>%{{y}}</extra>",
            )
    figure.update_layout(
        barmode="stack", title="Energy of an inference, by component", xaxis_title="nJ", height=_height(len(known))
    )
    figure.update_yaxes(autorange="reversed")
    return figure


def _height(bars: int) -> int:
    """Return pixels for so many bars or rows below each other."""
    return min(180 + 26 * bars, 2400)
