# SPDX-License-Identifier: Apache-2.0
"""Formats as a figure: values on the number line, and their relative spacing against magnitude."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.report.formats.bars import ticks
from hwsim.report.formats.facts import LISTED_BITS, Facts, all_values, element, runs
from hwsim.report.plots import check_plot_file

__all__ = [
    "relative_gaps",
    "spacing_plot",
]

_LINE_BITS = 9  # the values of wider formats would blacken the number line
_HASH_SALT = "hwsim"


def spacing_plot(abouts: Sequence[Facts], path: str | Path) -> Path:
    """Draw formats: their values, and the gap from each positive value to the next over that value.

    Parameters
    ----------
    abouts : sequence of Facts
        One format or several, a colour each; of a block format its elements under a scale of one. Formats of more than
        16 bits are drawn by binades.
    path : str or Path
        The file to write; its ending is the kind (png, svg, pdf).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        As `check_plot_file`; if a format's values are not real.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    file = check_plot_file(path)
    for about in abouts:
        if not about.binades:
            raise ValueError(f"the values of {about.entry.spec.name} are not real, and have no place on a line")
    height = 3.6 + 0.3 * len(abouts)
    with mpl.rc_context({"svg.hashsalt": _HASH_SALT, "svg.fonttype": "none"}):
        figure, (line, spacing) = plt.subplots(
            2, 1, figsize=(9, height), height_ratios=[0.45 + 0.3 * len(abouts), 3.0], layout="constrained"
        )
        for index, about in enumerate(abouts):
            name, colour = about.entry.spec.name, f"C{index % 10}"
            inner = element(about.entry.spec)
            unit = max(abs(inner.max_value), abs(inner.min_value)) if len(abouts) > 1 else 1.0
            if inner.bits <= _LINE_BITS:
                values = all_values(inner)
                values = np.unique(values[np.isfinite(values)])
                line.vlines(values / unit, -index - 0.35, -index + 0.35, colors=colour, linewidth=0.8)
            else:
                line.hlines([-index], inner.min_value / unit, inner.max_value / unit, colors=colour, linewidth=6)
            style = "steps-post" if inner.bits <= LISTED_BITS else "default"
            spacing.plot(*relative_gaps(about), drawstyle=style, color=colour, label=name)
        names = [about.entry.spec.name for about in abouts]
        line.set_yticks([-index for index in range(len(names))], names, fontsize=8)
        line.set_ylim(0.5 - len(names), 0.5)
        scaled = ", each over its largest magnitude" if len(names) > 1 else ""
        line.set_title(f"values on the number line{scaled}", fontsize=9, loc="left")
        spacing.set_title("gap to the next value, relative to the value", fontsize=9, loc="left")
        spacing.set_xscale("log", base=2)
        spacing.set_yscale("log", base=2)
        first = min(about.binades[0].exponent for about in abouts)
        last = max(about.binades[-1].exponent for about in abouts)
        spacing.set_xticks([2.0**exponent for exponent in ticks(first, last, 12)])
        spacing.minorticks_off()
        spacing.set_xlabel("magnitude")
        spacing.grid(alpha=0.3)
        if len(abouts) > 1:
            spacing.legend(fontsize=8)
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
        plt.close(figure)
    return file


def relative_gaps(about: Facts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positive values and the relative gap from each to the next; of wide formats at both ends of each run."""
    inner = element(about.entry.spec)
    if inner.bits <= LISTED_BITS:
        values = all_values(inner)
        positive = np.unique(values[np.isfinite(values) & (values > 0)])
        return positive[:-1], np.diff(positive) / positive[:-1]
    magnitudes, gaps = [], []
    for first, last in runs(about.binades):
        for exponent in range(first.exponent, last.exponent + 1):
            start = float(np.ldexp(1.0, exponent))
            magnitudes += [start, start * (2 - 1 / first.count)]
            gaps += [1 / first.count, 1 / (2 * first.count - 1)]
    return np.array(magnitudes), np.array(gaps)
