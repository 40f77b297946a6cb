# SPDX-License-Identifier: Apache-2.0
"""Block diagrams: the stages of a module as they stand in its Verilog, with widths and ranks of registers."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from testbenches.package.netlist import Module
from testbenches.package.stages import Edge, Node, Stages, stages
from testbenches.package.svg import Drawing, text_width

__all__ = [
    "block_diagram",
    "part_diagram",
]

_GAP = 18.0
_AISLE = 62.0  # between columns, for the wires and their widths
_MARGIN = 26.0
_TOP = 64.0
_HEIGHT = 38.0
_LANE = _TOP + 40  # of the control bits, above the data
_CLASSES = {"instance": "box", "registers": "state", "input": "port", "output": "port"}
_SWEEPS = 6


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where a node, or a wire on its way through a column, is drawn; `y` is that of its middle."""

    column: int
    kind: str
    lines: tuple[str, ...]
    control: bool = False
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0


def block_diagram(
    module: Module,
    modules: Mapping[str, Module],
    *,
    title: str,
    subtitle: str = "",
    footer: str = "",
    notes: Mapping[str, str],
) -> str:
    """
    Draw a module: its instances, its ranks of registers and the wires between them.

    Parameters
    ----------
    module : Module
    modules : mapping of str to Module
        Those of its instances.
    title, subtitle, footer : str
        The two lines on top, and the last one.
    notes : mapping of str to str
        What to write in an instance or at a port, by its name, under the name.

    Returns
    -------
    str
        SVG.
    """
    found = stages(module, modules)
    places = {
        name: _Place(column=node.column, kind=node.kind, lines=_lines(node, notes), control=node.control)
        for name, node in found.nodes.items()
    }
    ways = [_way(edge, places) for edge in found.edges if not edge.loop]
    loops = [edge for edge in found.edges if edge.loop]
    width = _arrange_columns(places)
    height = _arrange_rows(places, ways)
    floor = height + 16 * len({edge.source for edge in loops}) + (8 if loops else 0)
    deep = any(node.inside for node in found.nodes.values())
    logic = "logic, with the registers that it names" if deep else "combinational logic"
    legend = f"/n on a wire: its bits. Yellow: registers, on clk. Blue: {logic}."
    widest = max(
        width + _MARGIN, *(text_width(line) + 2 * _MARGIN for line in (title + "    ", subtitle, legend, footer))
    )
    drawing = Drawing(widest, floor + (68 if footer else 52), title)
    drawing.text(_MARGIN, 26, title, "strong", size=14)
    drawing.text(_MARGIN, 44, subtitle, "soft")
    _draw_ranks(drawing, found, places, floor)
    _draw_wires(drawing, found, places, ways)
    _draw_loops(drawing, loops, places, height)
    for place in places.values():
        if place.kind != "way":
            _draw_node(drawing, place)
    drawing.text(_MARGIN, floor + 38, legend, "soft", size=10)
    drawing.text(_MARGIN, floor + 54, footer, "soft", size=10)
    return drawing.finish()


def part_diagram(module: Module, *, title: str, subtitle: str, inside: tuple[str, ...] = ()) -> str:
    """
    Draw a combinational module as a box with its ports, and what it is made of as lines in it.

    Parameters
    ----------
    module : Module
    title, subtitle : str
        The two lines on top.
    inside : tuple of str
        Lines in the box.

    Returns
    -------
    str
        SVG.
    """
    sides = {
        side: [(name, port.bits) for name, port in module.ports.items() if port.direction == side]
        for side in ("input", "output")
    }
    labels = {side: [f"{name} [{bits}]" for name, bits in ports] for side, ports in sides.items()}
    wide = {side: max((text_width(label) for label in texts), default=0.0) + 12 for side, texts in labels.items()}
    box = max([text_width(line) for line in (*inside, module.name)]) + 48
    rows = max(len(labels["input"]), len(labels["output"]))
    high = max(26.0 * rows + 20, 16.0 * len(inside) + 56)
    left = _MARGIN + wide["input"] + 34
    width = left + box + 34 + wide["output"] + _MARGIN
    drawing = Drawing(
        max(width, text_width(title, 14) + 2 * _MARGIN, text_width(subtitle) + 2 * _MARGIN), high + 90, title
    )
    drawing.text(_MARGIN, 26, title, "strong", size=14)
    drawing.text(_MARGIN, 44, subtitle, "soft")
    drawing.rectangle(left, _TOP, box, high, "box")
    drawing.text(left + box / 2, _TOP + 24, module.name, "strong", anchor="middle")
    for index, line in enumerate(inside):
        drawing.text(left + box / 2, _TOP + 46 + 16 * index, line, "soft", anchor="middle")
    for side, texts in labels.items():
        for index, label in enumerate(texts):
            y = _TOP + high * (index + 1) / (len(texts) + 1)
            start = left - 34 if side == "input" else left + box
            drawing.path([(start, y), (start + 28, y)], "wire")
            drawing.head(start + 34, y, "head")
            if side == "input":
                drawing.text(start - 6, y + 4, label, anchor="end")
            else:
                drawing.text(start + 40, y + 4, label)
    return drawing.finish()


def _breadth(title: str, *lines: str) -> float:
    """Return how wide a drawing must be for its lines of text."""
    return max(text_width(title, 14), *map(text_width, lines)) + 2 * _MARGIN


def _lines(node: Node, notes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the one or two lines of text of a node."""
    if node.control:
        stems = {name.rsplit("_", 1)[0] for name in node.names} if len(node.names) > 1 else set()
        stem = f"{stems.pop()}_" if len(stems) == 1 else ""
        names = " ".join(name.removeprefix(stem) for name in node.names)
        return (f"{stem}* : {names}" if stem else names, f"{node.bits} bit{'s' * (node.bits > 1)}")
    (name,) = node.names
    bits = f"{node.bits} bits"
    if node.inside:
        return (name, f"ranks of registers inside: {node.inside} FF")
    if node.kind == "instance":
        return (name, notes[name]) if notes.get(name) else (name,)
    return (name, f"{bits}: {notes[name]}" if notes.get(name) and node.kind != "registers" else bits)


def _way(edge: Edge, places: dict[str, _Place]) -> list[str]:
    """Return the places that a wire goes through; those of one source share theirs."""
    first, last = places[edge.source].column, places[edge.target].column
    names = []
    for column in range(first + 1, last):
        name = f"way {edge.source} {column}"
        control = places[edge.source].control
        places.setdefault(name, _Place(column=column, kind="way", lines=(), control=control))
        names.append(name)
    return [edge.source, *names, edge.target]


def _arrange_columns(places: dict[str, _Place]) -> float:
    """Set x and width of every place, and return where the drawing ends."""
    x = _MARGIN
    for column in range(max(place.column for place in places.values()) + 1):
        here = [place for place in places.values() if place.column == column]
        width = max((text_width(line) + 18 for place in here for line in place.lines), default=20.0)
        if any(place.kind == "registers" for place in here):
            width = max(width, text_width("rank 0: 0000 FF", 10))
        for place in here:
            place.x, place.width = x, width
        x += width + _AISLE
    return x - _AISLE


def _arrange_rows(places: dict[str, _Place], ways: list[list[str]]) -> float:
    """Set y of every place, so that wires are short and cross little, and return where the lowest ends."""
    before: dict[str, list[str]] = {name: [] for name in places}
    after: dict[str, list[str]] = {name: [] for name in places}
    for way in ways:
        for source, target in pairwise(way):
            before[target].append(source)
            after[source].append(target)
    columns: dict[int, list[str]] = {}
    for name, place in places.items():
        if place.control:
            place.y = _LANE
        else:
            columns.setdefault(place.column, []).append(name)
    for names in columns.values():
        _stack(places, names)
    for sweep in range(_SWEEPS):
        neighbours, order = (before, sorted(columns)) if sweep % 2 == 0 else (after, sorted(columns, reverse=True))
        for column in order:
            wanted = {
                name: (sum(places[other].y for other in neighbours[name]) / len(neighbours[name]))
                if neighbours[name]
                else places[name].y
                for name in columns[column]
            }
            columns[column].sort(key=lambda name: wanted[name])
            _settle(places, columns[column], wanted)
    data = [place for place in places.values() if not place.control]
    lift = _LANE + _HEIGHT / 2 + _GAP - min(place.y - _HEIGHT / 2 for place in data)
    for place in data:
        place.y += lift
    return max(place.y + _HEIGHT / 2 for place in places.values())


def _stack(places: dict[str, _Place], names: list[str]) -> None:
    y = 0.0
    for name in names:
        places[name].y = y + _HEIGHT / 2
        y += _HEIGHT + _GAP
    for name in names:
        places[name].y -= y / 2


def _settle(places: dict[str, _Place], names: list[str], wanted: dict[str, float]) -> None:
    """Put the places of a column near where they want to be, in order and without overlap."""
    bottom = float("-inf")
    for name in names:
        half = _HEIGHT / 2
        places[name].y = max(wanted[name], bottom + _GAP + half)
        bottom = places[name].y + half
    # What was pushed down is shared by the whole column.
    shift = sum(wanted[name] - places[name].y for name in names) / len(names)
    for name in names:
        places[name].y += shift


def _draw_ranks(drawing: Drawing, found: Stages, places: dict[str, _Place], floor: float) -> None:
    for number, column in enumerate(found.ranks, start=1):
        here = [place for place in places.values() if place.column == column and place.kind == "registers"]
        x, width = here[0].x, here[0].width
        bits = sum(node.bits for node in found.nodes.values() if node.kind == "registers" and node.column == column)
        drawing.rectangle(x - 9, _TOP, width + 18, floor - _TOP + 10, "frame")
        drawing.text(x + width / 2, _TOP + 13, f"rank {number}: {bits} FF", "soft", size=10, anchor="middle")


def _draw_wires(drawing: Drawing, found: Stages, places: dict[str, _Place], ways: list[list[str]]) -> None:
    labelled = set()
    forward = [edge for edge in found.edges if not edge.loop]
    for edge, way in zip(forward, ways, strict=True):
        source, target = places[edge.source], places[edge.target]
        points = [(source.x + source.width, source.y)]
        for name in way[1:-1]:
            points += [(places[name].x, places[name].y), (places[name].x + places[name].width, places[name].y)]
        points.append((target.x - 5, target.y))
        drawing.curve(points, "wire")
        drawing.head(target.x, target.y, "head")
    for edge in forward:
        source = places[edge.source]
        if edge.source not in labelled:
            labelled.add(edge.source)
            drawing.text(source.x + source.width + 5, source.y - 5, f"/{edge.bits}", "label", size=10)


def _draw_loops(drawing: Drawing, loops: list[Edge], places: dict[str, _Place], height: float) -> None:
    lanes: dict[str, float] = {}
    for edge in loops:
        source, target = places[edge.source], places[edge.target]
        y = lanes.setdefault(edge.source, height + 14 + 16 * len(lanes))
        right, left = source.x + source.width + 22, target.x - 22
        entry = target.y + _HEIGHT / 4
        drawing.path(
            [
                (source.x + source.width, source.y + 8),
                (right, source.y + 8),
                (right, y),
                (left, y),
                (left, entry),
                (target.x - 5, entry),
            ],
            "loop",
        )
        drawing.head(target.x, entry, "loophead")


def _draw_node(drawing: Drawing, place: _Place) -> None:
    top = place.y - _HEIGHT / 2
    drawing.rectangle(
        place.x, top, place.width, _HEIGHT, _CLASSES[place.kind], radius=2 if place.kind == "registers" else 5
    )
    middle = place.x + place.width / 2
    if len(place.lines) == 1:
        drawing.text(middle, place.y + 4, place.lines[0], "strong", anchor="middle")
    else:
        drawing.text(middle, place.y - 3, place.lines[0], "strong", anchor="middle")
        drawing.text(middle, place.y + 11, place.lines[1], "soft", size=10, anchor="middle")
