# SPDX-License-Identifier: Apache-2.0
"""The graph of a network's layers as a small SVG."""

from collections import Counter
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from hwsim.network import Network

__all__ = [
    "DRAWN_LAYERS",
    "network_svg",
]

DRAWN_LAYERS = 300
_WIDTH, _HEIGHT, _GAP, _AISLE, _EDGE = 190, 24, 18, 26, 10
_LETTERS = 24  # of a name that fit a box


def network_svg(network: "Network") -> str:
    """Draw a network from its inputs downward: a box a layer, a line for each pair that shares a tensor.

    Raises
    ------
    ValueError
        If it has more layers than `DRAWN_LAYERS`.
    """
    if len(network.layers) > DRAWN_LAYERS:
        raise ValueError(f"a network to draw has at most {DRAWN_LAYERS} layers, not {len(network.layers)}")
    graph = network.graph
    row: dict[str, int] = {}
    for layer in network.layers:  # each comes after those it reads
        row[layer.name] = 1 + max((row[source] for source in graph.predecessors(layer.name)), default=-1)
    taken: Counter[int] = Counter()
    places: dict[str, tuple[int, int]] = {}
    for name, at in row.items():
        places[name] = (_EDGE + taken[at] * (_WIDTH + _AISLE), _EDGE + at * (_HEIGHT + _GAP))
        taken[at] += 1
    reach = max((row[end] - row[start] for start, end in graph.edges), default=1)
    bulge = min(12 + 6 * reach, 90) if reach > 1 else 0
    width = 2 * _EDGE + max(taken.values(), default=1) * (_WIDTH + _AISLE) - _AISLE + bulge
    height = 2 * _EDGE + (max(row.values(), default=0) + 1) * (_HEIGHT + _GAP) - _GAP
    lines = "".join(
        _line(places[start], places[end], row[end] - row[start], bulge, reach) for start, end in graph.edges
    )
    boxes = "".join(_box(*places[layer.name], layer.name, layer.operator) for layer in network.layers)
    texts = "".join(_label(*places[layer.name], layer.name) for layer in network.layers)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'style="max-width:100%;height:auto" font-family="system-ui, sans-serif" font-size="11">'
        f"<title>{escape(f'Layers of {network.name}')}</title>"
        f'<g fill="none" stroke="var(--hw-wire, currentColor)" stroke-opacity=".6">{lines}</g>'
        f'<g fill="var(--hw-box, #3b82f6)" fill-opacity=".14" stroke="var(--hw-edge, #3b82f6)">{boxes}</g>'
        f'<g fill="var(--hw-ink, currentColor)" text-anchor="middle">{texts}</g></svg>'
    )


def _line(start: tuple[int, int], end: tuple[int, int], rows: int, bulge: int, reach: int) -> str:
    """Draw straight down to the next row, and around the boxes of the rows between to a later one."""
    (x, y), (end_x, end_y) = start, end
    if rows == 1:
        return f'<path d="M{x + _WIDTH // 2} {y + _HEIGHT}L{end_x + _WIDTH // 2} {end_y}"/>'
    side = max(x, end_x) + _WIDTH + round(bulge * rows / reach * 4 / 3)
    return (
        f'<path d="M{x + _WIDTH} {y + _HEIGHT // 2}C{side} {y + _HEIGHT // 2} {side} {end_y + _HEIGHT // 2} '
        f'{end_x + _WIDTH} {end_y + _HEIGHT // 2}"/>'
    )


def _box(x: int, y: int, name: str, operator: str) -> str:
    told = f"<title>{escape(f'{name}: {operator}')}</title>"
    return f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4">{told}</rect>'


def _label(x: int, y: int, name: str) -> str:
    short = name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}"
    return f'<text x="{x + _WIDTH // 2}" y="{y + _HEIGHT // 2 + 4}">{escape(short)}</text>'
