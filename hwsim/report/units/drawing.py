# SPDX-License-Identifier: Apache-2.0
"""A unit's block diagram as SVG, for a page and as a file."""

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

from hwsim.datapath import DotProductUnit
from hwsim.formats.codes import check_int
from hwsim.report.units.layout import Drawing, Shape, Text, laid_out
from hwsim.report.units.stages import inputs, stages

__all__ = [
    "COLOURS",
    "INK",
    "STYLES",
    "Style",
    "datapath_svg",
]

_NARROWEST, _WIDEST = 320, 2000
_BLUE, _AMBER, _RED, _GREEN = "#3b82f6", "#d97706", "#ef4444", "#16a34a"  # to be seen on white and on black
INK = "currentColor"
COLOURS = {
    "ink": INK,
    "wire": INK,
    "box": _BLUE,
    "edge": _BLUE,
    "state": _AMBER,
    "rim": _AMBER,
    "port": _GREEN,
    "port-edge": _GREEN,
    "exact": _GREEN,
    "loss": _RED,
}
"""The colours of a drawing, each a custom property of CSS: a page sets ``--hw-box`` and so on, or leaves them."""


class Style(NamedTuple):
    """How a kind of shape is drawn: names of `COLOURS`, the fill's opacity, the line's width, and its dashes."""

    fill: str = ""
    opacity: float = 1
    stroke: str = ""
    width: float = 1
    dashes: tuple[int, ...] = ()


STYLES = {
    "logic": Style("box", 0.12, "edge"),
    "state": Style("state", 0.16, "rim", 2),
    "port": Style("port", 0.14, "port-edge"),
    "wire": Style(stroke="wire", width=1.5),
    "wire_head": Style("wire"),
    "loop": Style(stroke="rim", width=1.8),
    "loop_head": Style("rim"),
    "restart": Style(stroke="rim", width=1.8, dashes=(4, 3)),
    "restart_head": Style("rim"),
    "exact": Style("exact"),
    "loss": Style("loss"),
}

_ALONE = (
    "<style>svg{color:#1f2328;background:#fff}"
    "@media (prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>"
)


def datapath_svg(unit: DotProductUnit, *, name: str = "", width: int = 680, alone: bool = False) -> str:
    """Draw a unit: a shape a stage, what it does and what it loses, each signal's width, each register's way back.

    Parameters
    ----------
    unit : DotProductUnit
    name : str
        The title; the unit's own name where empty.
    width : int
        Of the drawing, 320 to 2000, in pixels where it is not scaled: lines of text break to fit it. Where what holds
        it is narrower, the drawing is scaled down.
    alone : bool
        Whether it is a file of its own, which brings a background, light or dark as the reader has it. Else it takes
        its text's colour from the page, and draws on the page's background.

    Returns
    -------
    str
        SVG without ids, scripts or fonts, the same for the same arguments. Colours are CSS custom properties with
        defaults that are to be seen on light and on dark: see `COLOURS`.

    Raises
    ------
    TypeError, ValueError
        If `unit` is no unit, or `width` out of range.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    check_int("width", width, _NARROWEST, _WIDEST)
    drawing = laid_out(unit, name or unit.name, width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {drawing.width} {drawing.height}" '
        f'width="{drawing.width}" style="max-width:100%;height:auto" '
        'font-family="system-ui, sans-serif" stroke-linejoin="round">\n'
        f"<title>{escape(f'Datapath of {drawing.title}')}</title>\n<desc>{escape(_described(unit))}</desc>\n"
        f"{_ALONE if alone else ''}{''.join(_shapes(drawing))}{''.join(_texts(drawing))}</svg>\n"
    )


def _described(unit: DotProductUnit) -> str:
    """Return the drawing in words."""
    told = [f"{stage.name}, {stage.loss or 'exact'}, gives {stage.out}" for stage in stages(unit)]
    return ". ".join((*inputs(unit), *told)) + "."


def _paint(name: str) -> str:
    return f"var(--hw-{name}, {COLOURS[name]})" if name else "none"


def _attributes(style: Style) -> str:
    found = {"fill": _paint(style.fill)}
    if style.opacity < 1:
        found["fill-opacity"] = f"{style.opacity:g}"
    if style.stroke:
        found |= {"stroke": _paint(style.stroke), "stroke-width": f"{style.width:g}"}
    if style.dashes:
        found["stroke-dasharray"] = " ".join(map(str, style.dashes))
    return "".join(f' {key}="{value}"' for key, value in found.items())


def _shapes(drawing: Drawing) -> Iterable[str]:
    """Give a group for each run of shapes of a kind, in the order in which they cover each other."""
    kind = ""
    for shape in drawing.shapes:
        if shape.kind != kind:
            yield ("</g>\n" if kind else "") + f"<g{_attributes(STYLES[shape.kind])}>"
            kind = shape.kind
        yield f'<path d="{_path(shape)}"/>'
    yield "</g>\n"


def _path(shape: Shape) -> str:
    points = " ".join(f"{x} {y}" for x, y in shape.points)
    return f"M{points}{'z' if shape.closed else ''}"


def _texts(drawing: Drawing) -> Iterable[str]:
    yield f'<g fill="{_paint("ink")}">'
    for text in drawing.texts:
        yield _text(text)
    yield "</g>\n"


def _text(text: Text) -> str:
    bold = ' font-weight="600"' if text.bold else ""
    middle = ' text-anchor="middle"' if text.middle else ""
    return f'<text x="{text.x}" y="{text.y}" font-size="{text.size}"{bold}{middle}>{escape(text.text)}</text>'
