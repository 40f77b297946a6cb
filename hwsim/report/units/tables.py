# SPDX-License-Identifier: Apache-2.0
"""Units and their differences as tables on the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from hwsim.datapath.hardware import Entry
from hwsim.report.units.comparison import Comparison, Exactness
from hwsim.report.units.words import alignment_text, operands_text, register_text, step_text

__all__ = [
    "about_table",
    "catalog_table",
    "differences_table",
    "histogram_table",
    "kinds_table",
]

_BAR = 40


def _columns(table: Table, *headings: str) -> None:
    for heading in headings:
        right = heading in ("units", "products", "outputs", "ulps")
        fixed = heading in ("unit", "for example", "evidence")
        table.add_column(heading, justify="right" if right else "left", no_wrap=fixed, overflow="fold")


def kinds_table(groups: Sequence[Sequence[Entry]]) -> Table:
    """Return one row a way of adding, architecture by architecture."""
    total = sum(map(len, groups))
    table = Table(title=f"{total} units, {len(groups)} ways of adding", title_justify="left")
    _columns(table, "for example", "units", "products", "alignment", "register", "evidence")
    architecture = None
    for group in groups:
        first = group[0]
        if first.architecture != architecture:
            table.add_section()
            architecture = first.architecture
            table.add_row(f"[bold]{escape(architecture)}[/bold]")
        widths = ", ".join(dict.fromkeys(step_text(entry.unit) for entry in group))
        cells = widths, alignment_text(first.unit), register_text(first.unit, brief=True), first.evidence.name.lower()
        table.add_row(first.name, str(len(group)), *cells)
    return table


def catalog_table(entries: Sequence[Entry]) -> Table:
    """Return one row a unit."""
    table = Table(title=f"{len(entries)} units", title_justify="left")
    _columns(table, "unit", "operands", "products", "alignment", "register", "evidence")
    architecture = None
    for entry in entries:
        if entry.architecture != architecture:
            table.add_section()
            architecture = entry.architecture
            table.add_row(f"[bold]{escape(architecture)}[/bold]")
        unit = entry.unit
        cells = operands_text(unit), step_text(unit), alignment_text(unit), register_text(unit)
        table.add_row(entry.name, *cells, entry.evidence.name.lower())
    return table


def about_table(title: str, rows: dict[str, str]) -> Table:
    """Return facts, a line each."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("words")
    for what, words in rows.items():
        table.add_row(what, escape(words))
    return table


def histogram_table(found: Comparison) -> Table:
    """Return how many outputs lie how many ulps apart."""
    table = Table(title=f"finite differences in ulps of {found.format}", title_justify="left")
    _columns(table, "ulps", "outputs")
    table.add_column("", no_wrap=True)
    most = max((number for _, _, number in found.histogram), default=1)
    for low, high, number in found.histogram:
        label = str(low) if low == high else f"{low}..{high}"
        table.add_row(label, f"{number:,}", "█" * max(1, round(_BAR * number / most)))
    return table


def differences_table(names: Sequence[str], exact: Sequence[Exactness]) -> Table:
    """Return how far each result is from the exact dot products."""
    table = Table(title="against the exact dot product, rounded once to nearest", title_justify="left")
    table.add_column("result", overflow="fold")
    for heading in ("outputs", "equal", "mean ulps", "largest ulps", "largest relative error", "not finite"):
        table.add_column(heading, justify="right")
    for name, each in zip(names, exact, strict=True):
        table.add_row(
            name,
            f"{each.outputs:,}",
            f"{each.equal:,}",
            f"{each.mean_ulps:.4g}",
            f"{each.largest_ulps:,}",
            f"{each.largest_relative:.3g}",
            f"{each.left_out:,}",
        )
    return table
