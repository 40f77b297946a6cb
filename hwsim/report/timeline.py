# SPDX-License-Identifier: Apache-2.0
"""The timeline of a pass: what the arrays, the vector unit, the DRAM and the SRAMs do over its cycles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.report.figures import figure_of, saved
from hwsim.report.lanes import LANES, Span, port_share, spans
from hwsim.report.plots import check_plot_file

if TYPE_CHECKING:
    from hwsim.result import SimulationResult

__all__ = [
    "timeline_plot",
]

_COLOURS = {"fill": "#8fb8de", "compute": "#2b6cb0", "stall": "#d9534f", "drain": "#f0ad4e"}
_PORT_COLOUR = "#5a9367"
_LABELLED_SHARE = 0.012  # of the pass, from which a layer is wide enough for its number
_LETTERS = 150  # of a name, over the whole pass
_KEY_LINE, _KEY_COLUMNS, _LONGEST = 0.17, 4, 46  # of the key: inches of a line, columns, letters of a name


def timeline_plot(result: "SimulationResult", path: str | Path) -> Path:
    """Draw a lane a component over the cycles of a pass.

    The arrays' lane has fill, compute, stall and drain apart. The height of what a memory does is the share of its
    bits a cycle that it takes: of an SRAM's port, which has one bar a layer, the mean over the layer.

    Returns
    -------
    Path
        The file; its ending is the kind (png, svg, pdf).

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`; where no layer takes a cycle.
    """
    file = check_plot_file(path)
    if not result.cycles:
        raise ValueError(f"network {result.network!r} takes no cycle to draw")
    found = list(spans(result))
    lanes = [lane for lane in LANES if any(span.lane == lane for span in found)]
    key = _key(result)
    height, below = 1.6 + 0.55 * len(lanes), _KEY_LINE * (-(-len(key) // _KEY_COLUMNS) + 1 if key else 0)
    figure, panel = figure_of(1, 1, width=13, height=height + below, gridspec_kw={"left": 0.11, "right": 0.985})
    for place, lane in enumerate(lanes):
        _lane(panel, result, lane, [span for span in found if span.lane == lane], -place)
    _layers(panel, result, key)
    panel.set(xlim=(0, result.cycles), ylim=(0.55 - len(lanes), 0.95), yticks=range(0, -len(lanes), -1))
    panel.set_yticklabels([LANES[lane] for lane in lanes], fontsize=9)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(f"cycles ({result.latency_us:,.1f} us at {result.accelerator.clock_mhz} MHz)", fontsize=9)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.spines[["top", "right", "left"]].set_visible(False)
    _legend(panel, found)
    figure.suptitle(f"{result.network} on {result.accelerator.name}", x=0.11, ha="left", fontsize=11)
    figure.subplots_adjust(top=1 - 0.75 / (height + below), bottom=(0.55 + below) / (height + below))
    _write_key(figure, key, below / (height + below))
    return saved(figure, file)


def _lane(panel: Any, result: "SimulationResult", lane: str, found: Sequence[Span], place: int) -> None:
    """Draw a lane's spans, all of a colour at once."""
    groups: dict[str, list[Span]] = {}
    for span in found:
        groups.setdefault(span.what, []).append(span)
    for what, group in groups.items():
        ranges = [(span.start, span.cycles) for span in group]
        if lane in ("array", "vector"):
            panel.broken_barh(ranges, (place - 0.35, 0.7), color=_COLOURS[what], lw=0)
            continue
        panel.axhspan(place - 0.35, place + 0.35, color="0.95", lw=0, zorder=0)
        heights = [max(0.7 * min(port_share(result, lane, span), 1.0), 0.02) for span in group]
        panel.bar(
            [start for start, _ in ranges],
            heights,
            width=[cycles for _, cycles in ranges],
            bottom=place - 0.35,
            align="edge",
            color=_PORT_COLOUR,
            lw=0,
        )


def _key(result: "SimulationResult") -> dict[str, str]:
    """Return the labels of layers by their names: numbers where one is too long for its place, else the names."""
    wide = [layer for layer in result.layers if layer.cycles >= _LABELLED_SHARE * result.cycles]
    if all(len(layer.name) <= layer.cycles / result.cycles * _LETTERS for layer in wide):
        return {}
    return {layer.name: str(number) for number, layer in enumerate(wide, start=1)}


def _layers(panel: Any, result: "SimulationResult", key: Mapping[str, str]) -> None:
    """Mark where layers begin, and label those that are wide enough."""
    for layer in result.layers:
        if not layer.cycles:
            continue
        panel.axvline(layer.start_cycle, color="0.75", lw=0.4, zorder=0)
        label = key.get(layer.name) if key else layer.name
        if label is not None and layer.cycles >= _LABELLED_SHARE * result.cycles:
            panel.text(
                layer.start_cycle + layer.cycles / 2, 0.5, label, fontsize=7, ha="center", va="bottom", clip_on=True
            )


def _write_key(figure: Any, key: Mapping[str, str], top: float) -> None:
    """List the numbers' layers below the lanes, column by column."""
    lines = [
        f"{number}  {name if len(name) <= _LONGEST else '...' + name[3 - _LONGEST :]}" for name, number in key.items()
    ]
    rows = -(-len(lines) // _KEY_COLUMNS)
    for column in range(_KEY_COLUMNS if rows else 0):
        text = "\n".join(lines[column * rows : (column + 1) * rows])
        figure.text(0.02 + 0.98 * column / _KEY_COLUMNS, top, text, fontsize=7.5, va="top", linespacing=1.5)


def _legend(panel: Any, found: Sequence[Span]) -> None:
    from matplotlib.patches import Patch

    used = [what for what in _COLOURS if any(span.what == what for span in found)]
    handles = [Patch(color=_COLOURS[what], label=what) for what in used]
    if any(span.bits for span in found):
        handles.append(Patch(color=_PORT_COLOUR, label="share of a port's bits a cycle"))
    panel.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(handles), fontsize=8, frameon=False
    )
