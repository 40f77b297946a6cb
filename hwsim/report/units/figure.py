# SPDX-License-Identifier: Apache-2.0
"""A unit's block diagram as a file: SVG as it is, or as a picture for what reads no SVG."""

from pathlib import Path
from typing import Any

from hwsim.datapath import DotProductUnit
from hwsim.report.plots import check_plot_file
from hwsim.report.units.drawing import COLOURS, INK, STYLES, datapath_svg
from hwsim.report.units.layout import Drawing, Shape, laid_out

__all__ = [
    "stages_figure",
]

_DOTS, _POINTS = 96, 72  # an inch: units of the drawing, and of a font's or a line's size
_WIDTH = 680


def stages_figure(name: str, unit: DotProductUnit, path: str | Path) -> Path:
    """Write the drawing of `datapath_svg` to a file; its ending is the kind (svg, png, pdf).

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`.
    """
    file = check_plot_file(path)
    if file.suffix == ".svg":
        file.write_text(datapath_svg(unit, name=name, width=_WIDTH, alone=True), encoding="utf-8")
        return file
    _write_picture(laid_out(unit, name, _WIDTH), file)
    return file


def _write_picture(drawing: Drawing, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(drawing.width / _DOTS, drawing.height / _DOTS))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, shape in enumerate(drawing.shapes):
        _draw(axes, shape, order)
    for text in drawing.texts:
        axes.text(
            text.x,
            text.y,
            text.text,
            fontsize=text.size * _POINTS / _DOTS,
            weight="bold" if text.bold else "normal",
            ha="center" if text.middle else "left",
            parse_math=False,
            zorder=len(drawing.shapes),
        )
    figure.savefig(file, dpi=2 * _DOTS, metadata={"CreationDate": None} if file.suffix == ".pdf" else None)
    plt.close(figure)


def _draw(axes: Any, shape: Shape, order: int) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Polygon

    style = STYLES[shape.kind]
    fill, stroke = (_colour(each) for each in (style.fill, style.stroke))
    axes.add_patch(
        Polygon(
            shape.points,
            closed=shape.closed,
            facecolor=to_rgba(fill, style.opacity) if style.fill else "none",
            edgecolor=stroke,
            linewidth=style.width * _POINTS / _DOTS if style.stroke else 0,
            linestyle=(0, style.dashes) if style.dashes else "solid",
            zorder=order,
        )
    )


def _colour(name: str) -> str:
    found = COLOURS[name] if name else "none"
    return "black" if found == INK else found
