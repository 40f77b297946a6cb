# SPDX-License-Identifier: Apache-2.0
"""Designs as points, one figure against another, with the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.report.notebook.rows import POINT_KEYS, Designs, evaluations_of, labels, rows_of, setting_keys
from hwsim.study.evaluation import Evaluation
from hwsim.study.quantities import KEYS, Better, quantity

__all__ = [
    "pareto_figure",
]

_SHARES = ("accuracy", "float_accuracy", "agreement", "utilisation", "cost_error")
_TOLD = ("accuracy", "output_sqnr_db", "bits_per_element", "energy_nj", "area_mm2", "latency_us")
_LOG_FROM = 50  # of the largest over the smallest, a logarithmic axis


def pareto_figure(comparison: Designs, x: str = "energy_nj", y: str = "accuracy", *, colour: str = "format") -> Any:
    """Draw a point a design, and the Pareto front of each network in each technology as a line.

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

    from hwsim.study.front import PLACE, pareto

    sides = {x: _side(x), y: _side(y)}
    evaluations = evaluations_of(comparison)
    _check_colour(colour, evaluations)
    every = rows_of(comparison)
    known = [at for at, row in enumerate(every) if row[x] is not None and row[y] is not None]
    if not known:
        raise ValueError(f"none of {len(every)} designs has both {x} and {y}")
    rows, names = [every[at] for at in known], labels([evaluations[at] for at in known])
    on_front = pareto(rows, sides, apart=PLACE)
    figure = go.Figure()
    members = [row for row, is_on in zip(rows, on_front, strict=True) if is_on]
    places = list(dict.fromkeys(tuple(row[key] for key in PLACE) for row in members))
    for place in places:
        front = sorted((row[x], row[y]) for row in members if tuple(row[key] for key in PLACE) == place)
        figure.add_scatter(
            x=[each for each, _ in front],
            y=[each for _, each in front],
            mode="lines",
            line={"shape": "hv" if sides[x] == "less" else "vh", "color": "gray", "dash": "dot"},
            name="Pareto front" if len(places) == 1 else f"front of {_plain(' in '.join(place))}",
            hoverinfo="skip",
        )
    hover = [_hover(row, name, is_on) for row, name, is_on in zip(rows, names, on_front, strict=True)]
    symbols = ["diamond" if is_on else "circle" for is_on in on_front]
    if colour in KEYS:
        scale = {"color": [row[colour] for row in rows], "showscale": True, "colorbar": {"title": _axis(colour)}}
        _points(figure, rows, x, y, text=hover, symbols=symbols, name="designs", **scale)
    else:
        for value in dict.fromkeys(str(row.get(colour, "")) for row in rows):
            of = [at for at, row in enumerate(rows) if str(row.get(colour, "")) == value]
            texts, marks = ([each[at] for at in of] for each in (hover, symbols))
            _points(figure, [rows[at] for at in of], x, y, text=texts, symbols=marks, name=value)
    left_out = len(every) - len(known)
    subtitle = f"{len(known)} designs, {sum(on_front)} on the front"
    subtitle += f"; {left_out} without both figures are not drawn" if left_out else ""
    figure.update_layout(
        title={"text": f"{quantity(y).label} against {quantity(x).label}", "subtitle": {"text": subtitle}}
    )
    _scale(figure.layout.xaxis, x, rows)
    _scale(figure.layout.yaxis, y, rows)
    return figure


def _side(key: str) -> Better:
    better = quantity(key).better
    if better is None:
        raise ValueError(f"a front needs quantities of which more or less is better; of {key} neither is")
    return better


def _check_colour(colour: str, evaluations: Sequence[Evaluation]) -> None:
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
