# SPDX-License-Identifier: Apache-2.0
"""Drawings as SVG: rectangles, lines and text, legible on a light and on a dark page."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

__all__ = [
    "Drawing",
    "text_width",
]

_STYLE = """
svg { --page: #ffffff; --ink: #1f2328; --soft: #59636e; --box: #eef4fb; --edge: #3b6ea5; --state: #fff3d6;
  --rim: #9a6700; --wire: #57606a; --mark: #a40e26; --grid: #d8dee4; --port: #e9f5ec; --brim: #1a7f37 }
@media (prefers-color-scheme: dark) { svg { --page: #0d1117; --ink: #e6edf3; --soft: #9198a1; --box: #14263b;
  --edge: #6cb6ff; --state: #3a2c0c; --rim: #e3b341; --wire: #9198a1; --mark: #ff8182; --grid: #30363d;
  --port: #12301b; --brim: #56d364 } }
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink) }
.page { fill: var(--page) } .frame { fill: none; stroke: var(--soft); stroke-dasharray: 5 4 }
.box { fill: var(--box); stroke: var(--edge) } .state { fill: var(--state); stroke: var(--rim) }
.port { fill: var(--port); stroke: var(--brim) } .grid { fill: none; stroke: var(--grid) }
.wire { fill: none; stroke: var(--wire); stroke-width: 1.4 } .loop { fill: none; stroke: var(--rim); stroke-width: 1.4 }
.wave { fill: none; stroke: var(--edge); stroke-width: 1.6 } .bus { fill: var(--box); stroke: var(--edge) }
.idle { fill: none; stroke: var(--grid); stroke-width: 1.6 } .mark { fill: none; stroke: var(--mark) }
.head { fill: var(--wire) } .loophead { fill: var(--rim) } .markhead { fill: var(--mark) }
.label { fill: var(--soft); paint-order: stroke; stroke: var(--page); stroke-width: 3px }
.soft { fill: var(--soft) } .strong { font-weight: 600 } .marked { fill: var(--mark) }
"""
_MONOSPACE = 0.605  # of the font's size: the advance of the fonts in the style


def text_width(text: str, size: float = 11) -> float:
    """Return about how wide a text comes out, in the drawing's units."""
    return len(text) * size * _MONOSPACE


class Drawing:
    """A drawing of given size; every method adds to it, above what is there."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._width, self._height, self._title = round(width), round(height), title
        self._items: list[str] = []

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 4) -> None:
        """Add a rectangle of a class of the style."""
        self._items.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """Add straight lines through points."""
        text = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._items.append(f'<path class="{kind}" d="M{text}{"Z" if closed else ""}"/>')

    def curve(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a line that leaves and reaches every point horizontally."""
        (x, y), text = points[0], f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for next_x, next_y in points[1:]:
            middle = (x + next_x) / 2
            text += f" C{middle:.1f} {y:.1f} {middle:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}"
            x, y = next_x, next_y
        self._items.append(f'<path class="{kind}" d="{text}"/>')

    def head(self, x: float, y: float, kind: str, *, left: bool = False) -> None:
        """Add an arrow's head whose tip is at a point."""
        back = 6 if left else -6
        self.path([(x, y), (x + back, y - 3.5), (x + back, y + 3.5)], kind, closed=True)

    def text(
        self, x: float, y: float, text: str, kind: str = "", *, size: float = 11, anchor: str = "start", full: str = ""
    ) -> None:
        """Add a line of text on a base line; `full` is shown where a pointer rests on it."""
        tip = f"<title>{escape(full)}</title>" if full else ""
        self._items.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}">'
            f"{escape(text)}{tip}</text>"
        )

    def finish(self) -> str:
        """Return the SVG."""
        body = "\n".join(self._items)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" '
            f'width="{self._width}" height="{self._height}" role="img">\n<title>{escape(self._title)}</title>\n'
            f"<style>{_STYLE}</style>\n"
            f'<rect class="page" width="{self._width}" height="{self._height}"/>\n{body}\n</svg>\n'
        )
