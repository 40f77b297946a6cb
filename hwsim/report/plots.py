# SPDX-License-Identifier: Apache-2.0
"""Plots as files."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.report.fronts import Front

__all__ = [
    "check_file",
    "check_plot_file",
    "comparison_plot",
]

_KINDS = (".png", ".svg", ".pdf")
_SHARES = ("accuracy", "agreement")
_STYLES = ("-", "--", "-.", ":")


def check_plot_file(path: str | Path) -> Path:
    """Return the file that a plot is to be written to, or raise before any work is done.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If its ending is no kind that can be written, or it is a directory.
    """
    return check_file(path, _KINDS, "plot")


def check_file(path: str | Path, kinds: tuple[str, ...], what: str) -> Path:
    """Return the file that something of one of several kinds is to be written to, or raise as `check_plot_file`."""
    file = Path(path)
    if file.suffix not in kinds:
        listed = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        raise ValueError(f"the {what}'s file must end in {listed}, not {file.name or str(path)!r}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to")
    if file.is_dir():
        raise ValueError(f"the {what}'s file {str(file)!r} is a directory")
    return file


def comparison_plot(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str) -> Path:
    """Draw accuracy against array area and against energy, a point a row, with the Pareto fronts.

    Parameters
    ----------
    rows : sequence of mappings
        From `hwsim.study.Comparison.rows`; a row without the figures of a panel is left out of that panel. The panels
        are those of `hwsim.report.fronts.default_fronts`: the output's SQNR where no image has a label, counts where
        the technology is an FPGA. A front is of a network in a technology.
    path : str or Path
        The file to write; its ending is the kind (png, svg, pdf).
    title : str

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`.
    """
    from hwsim.report.figures import figure_of, saved
    from hwsim.report.fronts import default_fronts
    from hwsim.report.rows import labels

    file = check_plot_file(path)
    figure, panels = figure_of(1, 2, width=11, height=4.6, sharey=True)
    names = labels(rows)
    for panel, (value, cost) in zip(panels, default_fronts(rows), strict=True):
        _panel(panel, rows, names, value, cost)
    panels[0].set_ylabel(_axis(value, rows))
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    return saved(figure, file)


def _panel(panel: Any, rows: Sequence[Mapping[str, Any]], names: Sequence[str], value: str, cost: str) -> None:
    """Draw one panel: points with their names, and the steps of each front."""
    from hwsim.report.fronts import directed, fronts

    scale = 100 if value in _SHARES else 1
    known = [index for index, row in enumerate(rows) if row.get(cost) is not None and row.get(value) is not None]
    points = sorted((rows[index][cost], scale * rows[index][value], names[index], index) for index in known)
    panel.set_xlabel(_axis(cost, rows))
    panel.grid(alpha=0.3)
    found = [front for front in fronts(rows, [directed((value, cost))]) if any(front.on)]
    for style, front in zip(cycle(_STYLES), found, strict=False):
        steps = sorted({(row[cost], scale * row[value]) for row in front.members})
        panel.plot(*zip(*steps, strict=True), style, drawstyle="steps-post", color="0.6", zorder=1, label=_name(front))
    if len(found) > 1:
        panel.legend(fontsize=8, title="front")
    middle = (points[0][0] + points[-1][0]) / 2 if points else 0.0
    for place, (x, y, name, index) in enumerate(points):
        left = x > middle
        panel.scatter([x], [y], color=f"C{index % 10}", zorder=2)
        panel.annotate(
            name, (x, y), textcoords="offset points", xytext=(-6 if left else 6, 6 if place % 2 else -12),
            ha="right" if left else "left", fontsize=8,
        )  # fmt: skip


def _name(front: "Front") -> str:
    return f"{front.network}, {front.technology}"


def _axis(key: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Name an axis: the quantity and its unit; of shares, what one image is."""
    from hwsim.study.quantities import quantity

    if key not in _SHARES:
        return f"{quantity(key).label}, {quantity(key).unit}".removesuffix(", ")
    images = {row["images"] for row in rows if row.get("images")}
    one = f" ({min(images)} images: one is {100 / min(images):.2g})" if len(images) == 1 else ""
    return f"{quantity(key).label}, %{one}"
