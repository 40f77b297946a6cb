# SPDX-License-Identifier: Apache-2.0
"""Write the page: its program, style, data and the plotting library in one file."""

import base64
import gzip
import html
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from hwsim.report.page.payload import as_text, payload
from hwsim.report.page.steps import next_steps as usual_steps

__all__ = [
    "MODULES",
    "page_text",
    "write_page",
]

MODULES = (
    "elements", "library", "data", "words", "front", "state", "link", "palette", "legend", "axes", "picture", "labels",
    "hover", "filters", "table", "csv", "details", "breakdown", "layers", "lists", "main",
)  # fmt: skip
"""The modules of the program, each after those it reads as it is loaded."""
_STYLES = ("base", "parts", "details")


def write_page(
    comparison: Mapping[str, Any],
    path: str | Path,
    *,
    next_steps: Sequence[tuple[str, str]] | None = None,
    fronts: Sequence[tuple[str, str]] | None = None,
    models: Mapping[str, str] | None = None,
) -> Path:
    """Write a comparison as one HTML file, which asks nothing of any network.

    Parameters
    ----------
    comparison : mapping
        What `hwsim.study.Comparison.as_dict` and a store's ``as_comparison_dict`` give: ``title``, ``version``,
        ``quantities``, ``evaluations`` and ``notes``.
    path : str or Path
        Of the file; one that is there is written over. Its folder must exist.
    next_steps : sequence of (str, str), optional
        What one may want to know next, and the command that answers it; without them, what follows from the points.
    fronts : sequence of (str, str), optional
        What the two pictures set against what at first, as ("accuracy", "area_mm2"); unless given, those of
        `hwsim.report.fronts.default_fronts` for each network.
    models : mapping of str to str, optional
        The ONNX files of networks by name, for commands.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ValueError
        If a part of the comparison is missing, it has no evaluations, or the name ends in neither .html nor .htm.
    FileNotFoundError
        If there is no such folder.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a report must be a file that ends in .html or .htm, not {str(path)!r}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the report's folder must exist: {str(target.parent)!r}")
    target.write_text(page_text(comparison, next_steps, fronts, models), encoding="utf-8")
    return target


def page_text(
    comparison: Mapping[str, Any],
    next_steps: Sequence[tuple[str, str]] | None = None,
    fronts: Sequence[tuple[str, str]] | None = None,
    models: Mapping[str, str] | None = None,
) -> str:
    """Return the page of `write_page` as text."""
    missing = [key for key in ("title", "version", "quantities", "evaluations", "notes") if key not in comparison]
    if missing:
        raise ValueError(f"a comparison must have {', '.join(missing)}: it has {', '.join(comparison) or 'nothing'}")
    if not comparison["evaluations"]:
        raise ValueError("a comparison must have an evaluation at least: it has none")
    steps = usual_steps(comparison, models) if next_steps is None else next_steps
    held = payload(comparison, steps, fronts)
    can_draw = any(each["kind"] in ("float", "int") for each in held["quantities"])
    parts = {
        "theme": _part("program/theme.js"),
        "program": _program(),
        "plotly": _library() if can_draw else "",
        "style": "\n".join(_part(f"style/{name}.css") for name in _STYLES),
        "title": html.escape(comparison["title"]),
        "version": html.escape(comparison["version"]),
        "data": as_text(held),
        "charts": " Charts: plotly.js, MIT licence." if can_draw else "",
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("page.html"))


def _program() -> str:
    """Return the modules as one strict function, whose result draws the pictures once the library is there."""
    modules = "\n".join(_part(f"program/{name}.js") for name in MODULES)
    return f'const hwsimPage = (() => {{\n"use strict";\n{modules}\nreturn begin;\n}})();'


@lru_cache(maxsize=1)
def _library() -> str:
    """Return the element that holds plotly.js, compressed: half a page, and its text is unpacked beside other work."""
    packed = base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
    return f'<script type="application/gzip" id="plotly">{packed}</script>'


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
