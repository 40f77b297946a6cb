# SPDX-License-Identifier: Apache-2.0
"""The diagram of an array: its elements in a grid, and which way operands, sums and outputs go."""

from collections.abc import Mapping

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from testbenches.package.svg import Drawing, text_width

__all__ = [
    "array_diagram",
]

_SHOWN = 4  # rows and columns, of larger arrays the first ones and the last
_PITCH_X, _PITCH_Y = 118.0, 82.0
_WIDTH, _HEIGHT = 74.0, 44.0
_LEFT, _TOP, _MARGIN = 176.0, 118.0, 26.0
_SYSTOLIC = (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY)


def array_diagram(geometry: ArrayGeometry, title: str, subtitle: str, ports: Mapping[str, int]) -> str:
    """
    Draw an array.

    Parameters
    ----------
    geometry : ArrayGeometry
    title, subtitle : str
        The two lines on top.
    ports : mapping of str to int
        Bits of every port; ``i_a``, ``i_b``, ``i_c`` (where there is one) and ``o_d`` are drawn.

    Returns
    -------
    str
        SVG.
    """
    rows, columns = _indices(geometry.rows), _indices(geometry.columns)
    width = _LEFT + _PITCH_X * len(columns) + _MARGIN
    bottom = _TOP + _PITCH_Y * len(rows)
    legend = _legend(geometry)
    wide = max(width, text_width(title, 14) + 60, *(text_width(line, 10) + 60 for line in (subtitle + "   ", *legend)))
    drawing = Drawing(wide, bottom + 60 + 15 * len(legend), title)
    drawing.text(_MARGIN, 26, title, "strong", size=14)
    drawing.text(_MARGIN, 44, subtitle, "soft")
    left, above = ("i_b", "i_a") if geometry.kind is ArrayKind.INPUT_STATIONARY else ("i_a", "i_b")
    drawing.text(_MARGIN, _TOP - 18, f"{left} /{ports[left]}", "strong")
    top = f"{above} /{ports[above]}" + (f", i_c /{ports['i_c']}" if "i_c" in ports else "")
    drawing.text(_LEFT, _TOP - 42, top, "strong")
    tree = geometry.kind is ArrayKind.ADDER_TREE
    for y_index, row in enumerate(rows):
        for x_index, column in enumerate(columns):
            x, y = _LEFT + _PITCH_X * x_index, _TOP + _PITCH_Y * y_index
            _wires(drawing, x, y, first=x_index == 0, systolic=geometry.kind in _SYSTOLIC)
            gap = row is None or column is None
            drawing.rectangle(x, y, _WIDTH, _HEIGHT, "frame" if gap else "box")
            label = "..." if gap else f"r{row} c{column}"
            drawing.text(x + _WIDTH / 2, y + (26 if gap else 19), label, "" if gap else "strong", anchor="middle")
            if not gap:
                drawing.text(x + _WIDTH / 2, y + 34, "x" if tree else "x + reg", "soft", size=10, anchor="middle")
    for x_index, column in enumerate(columns):
        x = _LEFT + _PITCH_X * x_index + _WIDTH / 2
        drawing.path([(x, bottom - _PITCH_Y + _HEIGHT), (x, bottom - 4)], "loop")
        drawing.rectangle(x - _WIDTH / 2, bottom - 4, _WIDTH, 26, "state" if tree else "box")
        name = "sum, reg" if tree else "to code"
        drawing.text(x, bottom + 13, "..." if column is None else name, "soft", size=10, anchor="middle")
    drawing.text(_LEFT, bottom + 40, f"o_d /{ports['o_d']}", "strong")
    for index, line in enumerate(legend):
        drawing.text(_MARGIN, bottom + 58 + 15 * index, line, "soft", size=10)
    return drawing.finish()


def _indices(count: int) -> list[int | None]:
    """Return the rows or columns that are drawn; None stands for those that are not."""
    if count <= _SHOWN:
        return list(range(count))
    return [0, 1, None, count - 1]


def _wires(drawing: Drawing, x: float, y: float, *, first: bool, systolic: bool) -> None:
    """Draw what enters an element: from its neighbours, or, where operands are broadcast, past them."""
    middle = y + _HEIGHT / 2 - 8
    start = x - (110 if first else _PITCH_X - _WIDTH)
    drawing.path([(start, middle), (x - 5, middle)], "wire")
    drawing.head(x, middle, "head")
    if systolic and not first:
        drawing.rectangle(start + 14, middle - 6, 8, 12, "state", radius=1)
    down = x + _WIDTH / 2
    kind = "loop" if y > _TOP else "wire"
    drawing.path([(down, y - (_PITCH_Y - _HEIGHT)), (down, y - 5)], kind)
    tip = [(down, y), (down - 3.5, y - 6), (down + 3.5, y - 6)]
    drawing.path(tip, "loophead" if y > _TOP else "head", closed=True)


def _legend(geometry: ArrayGeometry) -> list[str]:
    """Return what moves, line by line."""
    drawn = f"{geometry.rows} x {geometry.columns} elements"
    if geometry.kind in _SYSTOLIC:
        way = f"Yellow: registers. Row r enters r cycles later than row 0: {drawn}, skew inside."
    else:
        way = f"Yellow: registers. An operand reaches {drawn} in one cycle."
    stays = {
        ArrayKind.WEIGHT_STATIONARY: "b is loaded from above and stays; a goes right, sums go down.",
        ArrayKind.INPUT_STATIONARY: "a is loaded from above and stays; b goes right, sums go down.",
        ArrayKind.ADDER_TREE: "b is loaded from above and stays; a column adds all its products at once.",
    }.get(geometry.kind, "Outputs stay until a tile is done, then move down the columns, a row a cycle.")
    return [way, stays, "/n: bits of a port, all rows or columns together."]
