# SPDX-License-Identifier: Apache-2.0
"""Rooflines: what each layer reaches beside what the arrays and each memory allow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.report.figures import figure_of, saved
from hwsim.report.plots import check_plot_file

if TYPE_CHECKING:
    from hwsim.result import LayerResult, SimulationResult

__all__ = [
    "Memory",
    "Point",
    "memories",
    "points",
    "roofline_plot",
]

_PANELS, _KEY = 12.5, 2.6  # inches: the panels' width, and that of a column of the key
_KEYS_A_COLUMN = 16
_LONGEST = 34


class Memory(NamedTuple):
    """A memory's roof: its bytes a cycle, through the DRAM's pins or one port of an SRAM."""

    name: str
    bytes_per_cycle: float
    ports: tuple[str, ...]


class Point(NamedTuple):
    """Layers of the same figures, and where they stand.

    intensities : multiply-accumulates a byte of each of `memories`, None without one
    rate : multiply-accumulates a cycle
    """

    layers: tuple["LayerResult", ...]
    intensities: tuple[float | None, ...]
    rate: float


def memories(result: "SimulationResult") -> tuple[Memory, ...]:
    """Return the memories; of an SRAM, which reads and writes at once, the port that is busier counts."""
    accelerator = result.accelerator
    return (
        Memory("DRAM", accelerator.dram.bits_per_cycle / 8, ("dram",)),
        Memory("activation SRAM", accelerator.activations.port_bits / 8, ("activation_read", "activation_write")),
        Memory("weight SRAM", accelerator.weights.port_bits / 8, ("weight_read", "weight_write")),
    )


def points(result: "SimulationResult") -> tuple[Point, ...]:
    """Return a point for each layer with multiply-accumulates; layers of the same figures share one."""
    groups: dict[tuple[Any, ...], list[LayerResult]] = {}
    for layer in (each for each in result.layers if each.macs):
        bits = tuple(max(layer.traffic.port_bits(port) for port in memory.ports) for memory in memories(result))
        groups.setdefault((layer.macs, layer.cycles, bits), []).append(layer)
    return tuple(
        Point(
            layers=tuple(group),
            intensities=tuple(8 * macs / moved if moved else None for moved in bits),
            rate=macs / cycles,
        )
        for (macs, cycles, bits), group in groups.items()
    )


def roofline_plot(result: "SimulationResult", path: str | Path) -> Path:
    """Draw a panel a memory: multiply-accumulates a cycle over multiply-accumulates a byte, under both roofs.

    A layer without traffic in a memory stands at that panel's right edge.

    Returns
    -------
    Path
        The file; its ending is the kind (png, svg, pdf).

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`; where no layer multiplies.
    """
    file = check_plot_file(path)
    found = points(result)
    if not found:
        raise ValueError(f"network {result.network!r} has no layer with multiply-accumulates to draw")
    keys = -(-len(found) // _KEYS_A_COLUMN)
    right = _PANELS / (_PANELS + _KEY * keys)
    figure, panels = figure_of(
        1,
        3,
        width=_PANELS + _KEY * keys,
        height=4.8,
        sharey=True,
        gridspec_kw={"wspace": 0.06, "left": 0.055, "right": right - 0.01, "top": 0.86, "bottom": 0.12},
    )
    for index, (panel, memory) in enumerate(zip(panels, memories(result), strict=True)):
        _panel(panel, memory, index, found, result.macs_per_cycle)
    panels[0].set_ylabel("multiply-accumulates a cycle")
    _key(figure, found, keys, right)
    array = result.accelerator.array
    figure.suptitle(
        f"{result.network} on {result.accelerator.name}: {array.count} x {array.rows} x {array.columns} "
        f"{result.accelerator.unit.name}, at most {result.macs_per_cycle:,.6g} multiply-accumulates a cycle",
        x=0.055,
        ha="left",
        fontsize=11,
    )
    return saved(figure, file)


def _panel(panel: Any, memory: Memory, index: int, found: Sequence[Point], peak: float) -> None:
    """Draw the roofs of a memory and the points below them."""
    known = [each for each in (point.intensities[index] for point in found) if each is not None]
    ridge = peak / memory.bytes_per_cycle
    low = min([ridge, *known]) / 6
    high = max([ridge, *known]) * 9
    bottom = min(point.rate for point in found) / 3
    panel.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, peak * 2.2))
    panel.plot([low, ridge, high], [low * memory.bytes_per_cycle, peak, peak], color="0.25", lw=1.4, zorder=1)
    panel.set_title(f"{memory.name}: {memory.bytes_per_cycle:g} bytes a cycle", fontsize=10)
    panel.set_xlabel("multiply-accumulates a byte", fontsize=9)
    panel.xaxis.set_minor_formatter("")
    panel.yaxis.set_minor_formatter("")
    panel.grid(alpha=0.25, which="major")
    edge = high / 1.35
    if len(known) < len(found):
        panel.axvline(high / 2, color="0.8", lw=0.8, ls=":")
        panel.text(0.99, 0.985, "no traffic", transform=panel.transAxes, ha="right", va="top", fontsize=7, color="0.5")
    places = [(point.intensities[index] or edge, point.rate) for point in found]
    for number, (x, y) in enumerate(places):
        panel.scatter([x], [y], s=26, color=f"C{number % 10}", zorder=3, edgecolor="white", lw=0.5)
    for (x, y), numbers in _clusters(panel, places):
        left = x > edge / 2
        panel.annotate(
            _ranges(numbers), (x, y), xytext=(-6 if left else 6, -2.5), textcoords="offset points", fontsize=7.5,
            ha="right" if left else "left", bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.3},
        )  # fmt: skip


def _clusters(panel: Any, places: Sequence[tuple[float, float]]) -> list[tuple[tuple[float, float], list[int]]]:
    """Put points that one label can stand beside together, by their numbers from 1."""
    pixels = panel.transData.transform(places)
    clusters: list[tuple[Any, list[int]]] = []
    for number in sorted(range(len(places)), key=lambda each: -pixels[each][1]):
        at = pixels[number]
        near = next((each for each in clusters if abs(each[0][0] - at[0]) < 12 and abs(each[0][1] - at[1]) < 9), None)
        if near is None:
            clusters.append((at, [number + 1]))
        else:
            near[1].append(number + 1)
    return [(places[numbers[0] - 1], sorted(numbers)) for _, numbers in clusters]


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers in order, three and more in a row as a range."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)


def _key(figure: Any, found: Sequence[Point], columns: int, right: float) -> None:
    """List the numbers' layers beside the panels."""
    for column in range(columns):
        first = column * _KEYS_A_COLUMN
        lines = [
            f"{number}  {_shortened(point)}"
            for number, point in enumerate(found[first : first + _KEYS_A_COLUMN], start=first + 1)
        ]
        x = right + (1 - right) * column / columns
        figure.text(x, 0.85, "\n".join(lines), fontsize=7.5, va="top", ha="left", linespacing=1.5)


def _shortened(point: Point) -> str:
    """Name the first layer of a point, its end where it is long, and how many are like it."""
    more = f" (and {len(point.layers) - 1} alike)" if len(point.layers) > 1 else ""
    name, room = point.layers[0].name, _LONGEST - len(more)
    return (name if len(name) <= room else "..." + name[-(room - 3) :]) + more
