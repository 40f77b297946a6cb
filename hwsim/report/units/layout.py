# SPDX-License-Identifier: Apache-2.0
"""Where everything in the drawing of a unit stands: a shape a stage, the signals between them, each register's loop."""

import re
from dataclasses import dataclass, field

from hwsim.datapath import DotProductUnit, TruncatedAlignment
from hwsim.report.units.stages import Stage, inputs, is_fused, stages

__all__ = [
    "Drawing",
    "Shape",
    "Text",
    "laid_out",
]

_LETTER, _BOLD = 0.56, 1.1  # of a font's size: a letter's width in DejaVu Sans, wider than other common fonts
_WIDTHS = {**dict.fromkeys("mwMW@%", 0.98), **dict.fromkeys("ijlt.,:;'|![]() ", 0.4)}  # of letters far from it
_EDGE, _GUTTER = 12, 38  # around the drawing, and left of the shapes
_LEAST, _STACKED, _STEP = 48, 4, 4  # a shape's height; boxes drawn for many lanes, and how far apart
_WIDE = 480  # from here on the drawing is laid out for a page, below for a phone

Point = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Lines through points; `kind` is logic, state, port, wire, loop, restart, or exact and loss (marks)."""

    kind: str
    points: tuple[Point, ...]
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text that starts, or has its middle, at a point on its base line."""

    text: str
    x: int
    y: int
    size: int
    bold: bool = False
    middle: bool = False


@dataclass(slots=True, kw_only=True)
class Drawing:
    """Shapes, the later above the earlier, and the text on them."""

    title: str
    width: int
    height: int = 0
    shapes: list[Shape] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def box(self, kind: str, x: int, y: int, width: int, height: int, *, taper: int = 0) -> None:
        """Add a box; its lower edge is narrower by `taper` on both sides."""
        end = y + height
        points = ((x, y), (x + width, y), (x + width - taper, end), (x + taper, end))
        self.shapes.append(Shape(kind=kind, points=points, closed=True))

    def stack(self, kind: str, x: int, y: int, width: int, height: int, boxes: int) -> None:
        """Add what is seen of boxes behind one at a place, each above and to the right of the one before it."""
        for at in range(boxes):
            low, high, right, end = (
                y - at * _STEP,
                y - (at + 1) * _STEP,
                x + width + at * _STEP,
                y + height - (at + 1) * _STEP,
            )
            left = x + (at + 1) * _STEP
            points = (
                (left, low),
                (left, high),
                (right + _STEP, high),
                (right + _STEP, end),
                (right, end),
                (right, low),
            )
            self.shapes.append(Shape(kind=kind, points=points, closed=True))

    def arrow(self, kind: str, *points: Point) -> None:
        """Add lines with a head at the last point, to which the last one is level or upright."""
        self.shapes.append(Shape(kind=kind, points=points))
        (x, y), (end_x, end_y) = points[-2:]
        along_x, along_y = _sign(end_x - x), _sign(end_y - y)
        back_x, back_y = end_x - 8 * along_x, end_y - 8 * along_y
        head = (
            (end_x, end_y),
            (back_x + 4 * along_y, back_y + 4 * along_x),
            (back_x - 4 * along_y, back_y - 4 * along_x),
        )
        self.shapes.append(Shape(kind=f"{kind}_head", points=head, closed=True))

    def port(self, label: str, x: int, y: int, size: int) -> int:
        """Add a port's label in its shape, the middle at a point; return half its width."""
        half = round(len(label) * size * _LETTER / 2) + 6
        points = ((-half, 0), (5 - half, -10), (half - 5, -10), (half, 0), (half - 5, 10), (5 - half, 10))
        self.shapes.append(Shape(kind="port", points=tuple((x + dx, y + dy) for dx, dy in points), closed=True))
        self.texts.append(Text(text=label, x=x, y=y + 4, size=size, bold=True, middle=True))
        return half

    def words(self, lines: list[str], x: int, y: int, size: int) -> None:
        """Add lines of text below each other, the first one's top at y."""
        for at, line in enumerate(lines):
            self.texts.append(Text(text=line, x=x, y=y + (at + 1) * (size + 3) - 3, size=size))


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _broken(words: list[str], joint: str, room: float) -> list[str]:
    """Put words in lines of a width, in font sizes; those that go on begin with a space."""
    lines, line = [], words[0]
    for word in words[1:]:
        longer = line + joint + word
        if _breadth(longer) > room:
            lines.append(line)
            longer = f"\u2002{word}"
        line = longer
    return [*lines, line]


def _breadth(text: str) -> float:
    return sum(_WIDTHS.get(letter, _LETTER) for letter in text)


@dataclass(slots=True, kw_only=True)
class _Layout:
    """The drawing while it grows downward; `y` is where it has come to."""

    unit: DotProductUnit
    drawing: Drawing
    size: int  # of the font
    breadth: int  # of a shape
    side: int  # between shapes and words
    y: int = _EDGE

    @property
    def _words_x(self) -> int:
        return _GUTTER + self.breadth + self.side

    @property
    def behind(self) -> int:
        """Boxes behind those of the stages that every lane has for itself."""
        return min(self.unit.lanes, _STACKED) - 1

    @property
    def _middle(self) -> int:
        return _GUTTER + self.breadth // 2

    def wrapped(self, text: str, x: int) -> list[str]:
        """Break a text into lines that end within the drawing."""
        return _broken(text.split(" "), " ", (self.drawing.width - _EDGE - x) / self.size)

    def heading(self) -> None:
        size = self.size + 1
        room = (self.drawing.width - 2 * _EDGE) / (size * _BOLD)
        for line in _broken(re.split("(?<=_)", self.drawing.title), "", room):
            self.y += size + 3
            self.drawing.texts.append(Text(text=line, x=_EDGE, y=self.y, size=size, bold=True))
        self.y += _EDGE

    def operands(self) -> None:
        """Draw a and b, and the words on all that enters."""
        top = self.y
        lines = [line for text in inputs(self.unit) for line in self.wrapped(text, self._words_x)]
        self.drawing.words(lines, self._words_x, top, self.size)
        end = top + max(len(lines) * (self.size + 3), 30) + 12
        for letter, x in (("a", self._middle - self.breadth // 4), ("b", self._middle + self.breadth // 4)):
            self.drawing.arrow("wire", (x, top + 20), (x, end))
            self.drawing.port(letter, x, top + 10, self.size)
        self.y = end + _STEP * self.behind

    def stage(self, stage: Stage) -> Point:
        """Draw a stage's shape with its words beside it; return the shape's upper and lower end."""
        lines = [line for does in stage.does for line in self.wrapped(does, self._words_x)]
        top, height = self.y, max(_LEAST, (len(lines) + 1) * (self.size + 3) + 6)
        drawing, parallel = self.drawing, stage.name in ("decode", "multiply") and self.unit.lanes > 1
        if parallel:
            drawing.stack("logic", _GUTTER, top, self.breadth, height, self.behind)
        taper = self.breadth // 8 if stage.name == "align_add" and self.unit.lanes > 1 else 0
        drawing.box("state" if stage.register else "logic", _GUTTER, top, self.breadth, height, taper=taper)
        if stage.register:  # a clock's mark
            x, y = _GUTTER, top + height
            drawing.shapes.append(Shape(kind="state", points=((x, y - 14), (x + 9, y - 9), (x, y - 4))))
        name_y = top + height // 2 + (-3 if parallel else 4)
        drawing.texts.append(
            Text(text=stage.name, x=self._middle, y=name_y, size=self.size + 1, bold=True, middle=True)
        )
        if parallel:
            lanes = f"{self.unit.lanes} lanes"
            drawing.texts.append(Text(text=lanes, x=self._middle, y=name_y + 15, size=self.size - 1, middle=True))
        mark = "loss" if stage.loss else "exact"
        x, y = self._words_x, top + 3
        drawing.box(mark, x, y + 1, 8, 8)
        drawing.words([stage.loss or "exact"], x + 13, y - 3, self.size)
        drawing.words(lines, x, y - 3 + self.size + 3, self.size)
        self.y = top + height
        return top, self.y

    def wire(self, label: str, room: int = 0) -> None:
        """Draw what leaves a stage, with the mark and the words of its width; `room` for what stands over the next."""
        x, top = self._middle, self.y
        lines = self.wrapped(label, x + 14)
        end = top + len(lines) * (self.size + 3) + 22
        self.drawing.arrow("wire", (x, top), (x, end))
        self.y = end + room
        y = top + 9 + (self.size + 3) // 2
        self.drawing.shapes.append(Shape(kind="wire", points=((x - 5, y + 5), (x + 5, y - 5))))
        self.drawing.words(lines, x + 14, top + 8, self.size)

    def entering(self, label: str, ends: Point, room: int = 0) -> None:
        """Draw a port whose value enters a shape, or what stands `room` to its right, from the right."""
        y, right = sum(ends) // 2, _GUTTER + self.breadth + room
        half = self.drawing.port(label, self._words_x - 26, y, self.size - 2)
        self.drawing.arrow("wire", (self._words_x - 26 - half, y), (right, y))


def laid_out(unit: DotProductUnit, title: str, width: int) -> Drawing:
    """Return a unit's drawing, `width` units wide and as high as it needs."""
    narrow = width < _WIDE
    drawing = Drawing(title=title, width=width)
    size, breadth, side = (11, 90, 64) if narrow else (12, 128, 82)
    layout = _Layout(unit=unit, drawing=drawing, size=size, breadth=breadth, side=side)
    boxes = stages(unit)
    layout.heading()
    layout.operands()
    alignment = unit.alignment
    grouped = isinstance(alignment, TruncatedAlignment) and alignment.group > 1
    scaled = ("align_add" if grouped else "multiply") if unit.scales else ""
    last_register = "promote" if unit.promotion is not None else "accumulate"
    ends: dict[str, Point] = {}
    for at, stage in enumerate(boxes):
        ends[stage.name] = layout.stage(stage)
        if stage.name == scaled:
            layout.entering("scale", ends[stage.name], 0 if grouped else _STEP * layout.behind)
        if stage.name == last_register:
            layout.entering("c", ends[stage.name])
        layout.wire(stage.out, _STEP * layout.behind if at == 0 else 0)
    layout.drawing.port("d", layout._middle, layout.y + 10, layout.size)
    _loops(drawing, ends, fused=is_fused(unit))
    drawing.height = layout.y + 20 + _EDGE
    return drawing


def _loops(drawing: Drawing, ends: dict[str, Point], *, fused: bool) -> None:
    """Draw each register's way back, and where the second one lets the first restart."""
    for name in ("accumulate", "promote"):
        if name not in ends:
            continue
        target = ends["align_add" if fused and name == "accumulate" else name]
        start, end = ends[name][1] - 22, target[0] + 14
        drawing.arrow("loop", (_GUTTER, start), (_GUTTER - 20, start), (_GUTTER - 20, end), (_GUTTER, end))
    if "promote" in ends:
        x = _GUTTER + 16
        drawing.arrow("restart", (x, ends["promote"][0]), (x, ends["accumulate"][1]))
