# SPDX-License-Identifier: Apache-2.0
"""Plots as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "check_file",
    "check_plot_file",
    "comparison_plot",
]

_KINDS = (".png", ".svg", ".pdf")


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
        raise ValueError(f"the {what}'s file must end in {listed}, not {file.name!r}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to")
    if file.is_dir():
        raise ValueError(f"the {what}'s file {str(file)!r} is a directory")
    return file


def comparison_plot(rows: Sequence[Mapping[str, Any]], path: str | Path, title: str) -> Path:
    """Draw accuracy against area and against LUTs, a point a format, with the Pareto front.

    Parameters
    ----------
    rows : sequence of mappings
        From `hwsim.study.compare`; a row without the figure of a panel is left out of that panel.
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
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    file = check_plot_file(path)
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    colours = {row["format"]: f"C{index % 10}" for index, row in enumerate(rows)}
    for panel, key, label in zip(
        panels, ("area_um2", "lut"), ("area in ASAP7, um2", "LUT4 in ECP5, without DSP blocks"), strict=True
    ):
        points = sorted((row[key], 100 * row["accuracy"], row["format"]) for row in rows if row.get(key) is not None)
        panel.set_xlabel(label)
        panel.grid(alpha=0.3)
        best = -1.0
        front = []
        for x, y, _ in points:
            if y > best:
                best = y
                front.append((x, y))
        panel.plot([x for x, _ in front], [y for _, y in front], drawstyle="steps-post", color="0.6", zorder=1)
        middle = sum(x for x, _, _ in points[:: max(len(points) - 1, 1)]) / 2 if len(points) > 1 else 0.0
        for index, (x, y, name) in enumerate(points):
            left = x > middle
            offset = (-6 if left else 6, 6 if index % 2 else -12)
            panel.scatter([x], [y], color=colours[name], zorder=2)
            panel.annotate(
                name, (x, y), textcoords="offset points", xytext=offset, ha="right" if left else "left", fontsize=8
            )
    panels[0].set_ylabel("accuracy on 360 held-out images, % (one image: 0.28)")
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)
    return file
