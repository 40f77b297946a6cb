# SPDX-License-Identifier: Apache-2.0
"""Figures of formats, and of one simulation."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hwsim.report.notebook.rows import COLOURS

if TYPE_CHECKING:
    from hwsim.formats import AnyFormat
    from hwsim.result import SimulationResult

__all__ = [
    "format_figure",
    "roofline_figure",
]

_LINE_BITS = 8  # the values of wider formats would blacken the number line


def format_figure(formats: "Iterable[str | AnyFormat] | str | AnyFormat") -> Any:
    """Draw formats' values on the number line, the largest magnitude of each at 1, and how densely they lie.

    Parameters
    ----------
    formats : names or specs of formats with real values
        Of block formats the elements' values count, under a scale of one. Values of formats wider than 8 bits are
        drawn as density alone.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    KeyError, ValueError
        As `hwsim.formats.named`; for no format, and for one whose values are not real.
    """
    import numpy as np
    from plotly.subplots import make_subplots

    from hwsim.report.formats.facts import all_values, element, facts

    given = [formats] if isinstance(formats, str) or not isinstance(formats, Iterable) else list(formats)
    if not given:
        raise ValueError("there must be a format to draw")
    found = [facts(each) for each in given]
    titles = (f"values of formats up to {_LINE_BITS} bits, over the largest", "significant bits at each magnitude")
    figure = make_subplots(rows=2, cols=1, subplot_titles=titles, vertical_spacing=0.2)
    for at, about in enumerate(found):
        spec = about.entry.spec
        if about.largest is None or not about.binades:
            raise ValueError(f"the values of {spec.name} are not real numbers to draw")
        colour = COLOURS[at % len(COLOURS)]
        if element(spec).bits <= _LINE_BITS:
            values = all_values(spec)
            distinct = np.unique(values[np.isfinite(values)])
            largest = float(np.abs(distinct).max())
            figure.add_scatter(
                x=(distinct / largest).tolist(),
                y=[spec.name] * distinct.size,
                mode="markers",
                marker={"symbol": "line-ns-open", "size": 16, "color": colour},
                text=[f"{value:.12g}" for value in distinct.tolist()],
                name=spec.name,
                legendgroup=spec.name,
                showlegend=False,
                hovertemplate="%{text}<extra>%{y}</extra>",
                row=1,
                col=1,
            )
        figure.add_scatter(
            x=[binade.exponent for binade in about.binades],
            y=[binade.significant_bits for binade in about.binades],
            mode="lines+markers",
            line={"shape": "hvh", "color": colour},
            name=spec.name,
            legendgroup=spec.name,
            hovertemplate="2^%{x}: %{y:.3g} bits<extra>" + spec.name + "</extra>",
            row=2,
            col=1,
        )
    figure.update_layout(title="Formats", height=420 + 30 * len(found))
    figure.update_xaxes(title_text="exponent of the magnitude", row=2, col=1)
    figure.update_yaxes(autorange="reversed", row=1, col=1)
    return figure


def roofline_figure(result: "SimulationResult") -> Any:
    """Draw each layer under the roofs of the arrays and of each memory.

    Returns
    -------
    plotly.graph_objects.Figure
        A panel a memory: multiply-accumulates a cycle over multiply-accumulates a byte. Layers without traffic in a
        memory are not in its panel.

    Raises
    ------
    ValueError
        If no layer multiplies.
    """
    from plotly.subplots import make_subplots

    from hwsim.report.roofline import memories, points

    found, roofs = points(result), memories(result)
    if not found:
        raise ValueError(f"network {result.network!r} has no layer with multiply-accumulates to draw")
    figure = make_subplots(
        rows=1,
        cols=len(roofs),
        shared_yaxes=True,
        subplot_titles=[f"{memory.name}: {memory.bytes_per_cycle:g} bytes a cycle" for memory in roofs],
    )
    peak = result.macs_per_cycle
    for index, memory in enumerate(roofs):
        drawn = [(point.intensities[index], point) for point in found if point.intensities[index]]
        ridge = peak / memory.bytes_per_cycle
        reach = [ridge, *(intensity for intensity, _ in drawn if intensity is not None)]
        ends = [min(reach) / 4, ridge, max(reach) * 4]
        where: dict[str, int] = {"row": 1, "col": index + 1}
        figure.add_scatter(
            x=ends,
            y=[min(each * memory.bytes_per_cycle, peak) for each in ends],
            mode="lines",
            line={"color": "gray"},
            name="roof",
            showlegend=False,
            hoverinfo="skip",
            **where,
        )
        figure.add_scatter(
            x=[intensity for intensity, _ in drawn],
            y=[point.rate for _, point in drawn],
            mode="markers",
            marker={"size": 9, "color": "#4c78a8"},
            text=["<br>".join(layer.name for layer in point.layers[:12]) for _, point in drawn],
            hovertemplate="%{text}<br>%{y:.4g} MACs a cycle, %{x:.4g} a byte<extra></extra>",
            name=memory.name,
            showlegend=False,
            **where,
        )
    figure.update_xaxes(type="log", dtick=1, title_text="MACs a byte")
    figure.update_yaxes(type="log", dtick=1)
    figure.update_yaxes(title_text="MACs a cycle", row=1, col=1)
    figure.update_layout(title=f"{result.network} on {result.accelerator.name}, at most {peak:,.6g} MACs a cycle")
    return figure
