# SPDX-License-Identifier: Apache-2.0
"""What the plots of a simulation share: figures without a display, and files that do not change without cause."""

from pathlib import Path
from typing import Any

__all__ = [
    "figure_of",
    "saved",
]


def figure_of(rows: int, columns: int, *, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    """Return a figure of so many inches, and its panels."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), **options)


def saved(figure: Any, file: Path) -> Path:
    """Write a figure; an SVG keeps its text as text, and no date."""
    from matplotlib import pyplot as plt

    metadata = {"Date": None} if file.suffix == ".svg" else None
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hwsim"}):
        figure.savefig(file, dpi=150, metadata=metadata)
    plt.close(figure)
    return file
