# SPDX-License-Identifier: Apache-2.0
"""Tables as HTML that goes with a light and with a dark notebook: no colours of its own, all text escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = [
    "block",
    "drawing",
    "facts",
    "note",
    "number",
    "table",
]

_LEFT, _RIGHT = "text-align:left", "text-align:right;font-variant-numeric:tabular-nums"
_RULE = "border-bottom:1px solid rgba(128,128,128,.5)"


def number(value: float) -> str:
    """Return a number in four significant digits; whole ones, and those from 10,000 on, to the unit."""
    if isinstance(value, int) or abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """Return a table with a row of headings; columns with numbers to the right, None as nothing."""
    cells = [list(row) for row in rows]
    numeric = [any(_is_number(row[at]) for row in cells) for at in range(len(headings))]
    styles = [f"{_RIGHT if is_numeric else _LEFT};padding:2px 10px 2px 0" for is_numeric in numeric]
    head = "".join(
        f'<th scope="col" style="{style};{_RULE};vertical-align:bottom">{escape(heading)}</th>'
        for heading, style in zip(headings, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style};white-space:nowrap">{escape(_said(cell))}</td>'
            for cell, style in zip(row, styles, strict=True)
        )
        + "</tr>"
        for row in cells
    )
    return f"<table>{_caption(caption)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(found: Mapping[str, Any], caption: str = "") -> str:
    """Return a table of names and values, without those that are None or empty."""
    rows = "".join(
        f'<tr><th scope="row" style="{_LEFT};font-weight:normal;padding:2px 16px 2px 0;opacity:.8">'
        f'{escape(name)}</th><td style="{_LEFT}">{escape(_said(value))}</td></tr>'
        for name, value in found.items()
        if value is not None and value != ""
    )
    return f"<table>{_caption(caption)}<tbody>{rows}</tbody></table>"


def _caption(text: str) -> str:
    return (
        f'<caption style="text-align:left;font-weight:600;white-space:nowrap">{escape(text)}</caption>' if text else ""
    )


def note(text: str) -> str:
    """Return a line of small text."""
    return f'<div style="opacity:.8;font-size:.9em;max-width:70em">{escape(text)}</div>'


def drawing(svg: str, *, height: int = 0) -> str:
    """Return an SVG, which is trusted, in a box that scrolls beyond a height in pixels where one is given."""
    limit = f"max-height:{height}px;overflow:auto;" if height else ""
    return f'<div style="{limit}margin:.5em 0">{svg}</div>'


def block(*parts: str) -> str:
    """Return parts of HTML as one output, which scrolls where it is too wide."""
    return f'<div class="hwsim" style="overflow-x:auto">{"".join(parts)}</div>'
