# SPDX-License-Identifier: Apache-2.0
"""A unit's stages as a figure."""

import textwrap
from pathlib import Path
from typing import Any

from hwsim.datapath import DotProductUnit
from hwsim.report.plots import check_plot_file
from hwsim.report.units.stages import inputs, is_fused, stages

__all__ = [
    "stages_figure",
]

_HASH_SALT = "hwsim"
_COLUMNS = 84  # characters of a line in a box
_LINE, _PAD, _GAP = 0.24, 0.2, 0.46  # inches: of a line of text, above and below it, between boxes
_LEFT, _RIGHT, _WIDTH = 0.35, 8.55, 9.4
_MIDDLE = 5.0
_FACES = {False: "#eff6ff", True: "#fef3c7"}
_EDGES = {False: "#1d4ed8", True: "#b45309"}


def stages_figure(name: str, unit: DotProductUnit, path: str | Path) -> Path:
    """Draw a unit: a box a stage, the width of each signal between them, and each register's way back.

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    file = check_plot_file(path)
    boxes = stages(unit)
    texts = [[line for does in stage.does for line in textwrap.wrap(does, _COLUMNS)] for stage in boxes]
    heights = [max(len(text), 1) * _LINE + 2 * _PAD for text in texts]
    entering = inputs(unit)
    total = 0.75 + len(entering) * _LINE + sum(heights) + (len(boxes) + 1) * _GAP
    with mpl.rc_context({"svg.hashsalt": _HASH_SALT, "svg.fonttype": "none"}):
        figure = plt.figure(figsize=(_WIDTH, total))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, _WIDTH)
        axes.set_ylim(0, total)
        axes.axis("off")
        axes.text(_LEFT, total - 0.3, name, fontsize=13, weight="bold", va="center")
        y = total - 0.65
        for line in entering:
            axes.text(_LEFT + 0.1, y, line, fontsize=10, va="center")
            y -= _LINE
        y += _LINE / 2
        loops: list[tuple[float, float]] = []  # from where a register's value goes back, and to where
        target = 0.0
        _arrow(axes, (1.0, y - 0.05), (1.0, y - _GAP), "")
        y -= _GAP
        for stage, text, height in zip(boxes, texts, heights, strict=True):
            middle = y - height / 2
            target = middle if stage.name == "align_add" else target
            if stage.register:
                fused = stage.name == "accumulate" and is_fused(unit)
                loops.append((middle - 0.12, (target if fused else middle) + 0.12))
            if stage.name == "promote":
                _arrow(axes, (_MIDDLE, y), (_MIDDLE, y + _GAP), "restarts at 0", _EDGES[True])
            box = Rectangle(
                (_LEFT, y - height),
                _RIGHT - _LEFT,
                height,
                facecolor=_FACES[stage.register],
                edgecolor=_EDGES[stage.register],
                linewidth=1.2,
            )
            axes.add_patch(box)
            axes.text(_LEFT + 0.15, y - _PAD - _LINE / 2, stage.name, fontsize=10.5, weight="bold", va="center")
            for at, line in enumerate(text):
                axes.text(_LEFT + 1.45, y - _PAD - (at + 0.5) * _LINE, line, fontsize=9.5, va="center")
            y -= height
            _arrow(axes, (1.0, y), (1.0, y - _GAP), stage.out)
            y -= _GAP
        turn = _RIGHT + 0.4
        for source, end in loops:
            axes.plot([_RIGHT, turn, turn], [source, source, end], color=_EDGES[True], linewidth=1.4)
            _arrow(axes, (turn, end), (_RIGHT, end), "", _EDGES[True])
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
        plt.close(figure)
    return file


def _arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], label: str, colour: str = "#374151"
) -> None:
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.4})
    if label:
        axes.text(start[0] + 0.15, (start[1] + end[1]) / 2, label, fontsize=9, va="center", color="#374151")
