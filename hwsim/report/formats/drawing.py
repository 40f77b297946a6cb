# SPDX-License-Identifier: Apache-2.0
"""The density of a format's values as a small SVG, the same bytes on every machine."""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from hwsim.report.formats.bars import ticks
from hwsim.report.formats.facts import Binade, Facts, all_values, element, runs
from hwsim.report.formats.text import value_text

__all__ = [
    "drawing",
]

_WIDTH, _LEFT, _RIGHT = 720, 44, 12
_LINE_Y, _LINE_HEIGHT = 34, 18
_LINE_BITS = 8  # the values of wider formats would blacken the number line
_BARS_HEIGHT = 130
_LEAST_SCALE = 4  # significant bits at the top of the axis, so that coarse formats look coarse


class _Colours(NamedTuple):
    ink: str
    grey: str
    bar: str
    tick: str


_ALONE = _Colours("#1f2937", "#d1d5db", "#60a5fa", "#1d4ed8")
_INSIDE = _Colours("var(--hw-ink, currentColor)", "var(--hw-grid, #8b949e)", "#60a5fa", "#3b82f6")


def drawing(about: Facts, *, inside: bool = False) -> str:
    """Return an SVG of a format: its values on the number line, and the significant bits at each magnitude.

    The number line is left out beyond 8 bits. Of a block format the values are those of its elements under a scale of
    one.

    Parameters
    ----------
    about : Facts
    inside : bool
        Whether it stands in a page, light or dark: it then has the page's background and colour of text, and is scaled
        down where there is less room.
    """
    colours = _INSIDE if inside else _ALONE
    spec = about.entry.spec
    inner = element(spec)
    of = "" if inner is spec else " of the elements"
    parts: list[str] = []
    top = 6
    if inner.bits <= _LINE_BITS:
        values = all_values(spec)
        finite = values[np.isfinite(values)]
        parts += _plane(values, colours) if np.iscomplexobj(values) else _line(np.unique(finite).tolist(), of, colours)
        top = 190 if np.iscomplexobj(values) else 78
    if about.binades:
        parts += _bars(about.binades, top, of, colours)
        top += _BARS_HEIGHT + 62
    body = "\n".join(parts)
    fits = ' role="img" style="max-width:100%;height:auto"' if inside else ""
    ground = "" if inside else f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{colours.ink}"{fits}>\n'
        f"<title>{escape(spec.name)}</title>\n"
        f"{ground}\n{body}\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(values: Sequence[float], of: str, colours: _Colours) -> list[str]:
    """Draw a tick a value between the least and the largest."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    width = _WIDTH - _LEFT - _RIGHT - 24

    def place(value: float) -> float:
        return _LEFT + 12 + (value - low) / (high - low) * width

    places = sorted({round(place(value), 1) for value in values})
    path = "".join(f"M{x:g} {_LINE_Y - _LINE_HEIGHT / 2:g}v{_LINE_HEIGHT}" for x in places)
    labelled = [high] if low == 0 else [low, 0.0, high]
    if low == 0:
        labelled.insert(0, 0.0)
    return [
        _text(_LEFT, 14, f"values{of} on the number line", "start"),
        f'<path d="M{_LEFT} {_LINE_Y}H{_WIDTH - _RIGHT}" stroke="{colours.grey}"/>',
        f'<path d="{path}" stroke="{colours.tick}" stroke-width="1"/>',
        *(_text(place(value), _LINE_Y + 26, value_text(value)) for value in labelled),
    ]


def _plane(values: NDArray[np.complex128], colours: _Colours) -> list[str]:
    """Draw complex values as points of the plane."""
    size = max(float(np.abs(values).max()), 1e-300)
    points = [(_WIDTH / 2 + 65 * v.real / size, 95 - 65 * v.imag / size) for v in values.tolist()]
    return [
        _text(_LEFT, 14, "values in the complex plane", "start"),
        f'<path d="M{_WIDTH / 2 - 85:g} 95h170M{_WIDTH / 2:g} 10v170" stroke="{colours.grey}"/>',
        *(f'<circle cx="{x:.4g}" cy="{y:.4g}" r="4" fill="{colours.tick}"/>' for x, y in points),
        *(_text(x + 8, y - 8, value_text(v), "start") for (x, y), v in zip(points, values.tolist(), strict=True)),
    ]


def _bars(binades: Sequence[Binade], top: int, of: str, colours: _Colours) -> list[str]:
    """Draw a bar a binade over an axis of powers of two."""
    first, last = binades[0].exponent, binades[-1].exponent
    most = max(_LEAST_SCALE, math.ceil(max(binade.significant_bits for binade in binades)))
    width = (_WIDTH - _LEFT - _RIGHT) / (last - first + 1)
    width = min(width, 90)
    base = top + 22 + _BARS_HEIGHT
    gap = 1.0 if width >= 4 else 0.0

    def x(exponent: int) -> float:
        return _LEFT + (exponent - first) * width

    def y(bits: float) -> float:
        return base - bits / most * _BARS_HEIGHT

    spans = runs(binades) if gap == 0.0 else [(binade, binade) for binade in binades]
    path = "".join(
        f"M{x(a.exponent) + gap / 2:.1f} {base}V{y(a.significant_bits):.1f}H{x(b.exponent + 1) - gap / 2:.1f}V{base}z"
        for a, b in spans
    )
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64) if most / step <= 6)
    levels = range(step, most + 1, step)
    end = f"{x(last + 1):.1f}"
    grid = "".join(f"M{_LEFT} {y(level):.1f}H{end}" for level in levels)
    labelled = ticks(first, last + 1, max(2, min(12, int((last - first + 1) * width // 44))))
    marks = "".join(f"M{x(exponent):.1f} {base}v5" for exponent in labelled)
    title = f"significant bits{of} (1 + log2 of the positive values in a binade) against magnitude"
    return [
        _text(_LEFT, top + 12, title, "start"),
        f'<path d="{grid}" stroke="{colours.grey}"/>',
        f'<path d="{path}" fill="{colours.bar}"/>',
        f'<path d="M{_LEFT} {base}H{end}{marks}" stroke="{colours.ink}"/>',
        *(_text(_LEFT - 6, y(level) + 4, str(level), "end") for level in levels),
        *(_power(x(exponent), base + 20, exponent) for exponent in labelled),
    ]


def _power(x: float, y: float, exponent: int) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">2<tspan dy="-5" font-size="9">{exponent}</tspan></text>'
