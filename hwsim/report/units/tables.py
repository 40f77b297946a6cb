# SPDX-License-Identifier: Apache-2.0
"""Units and their differences as tables on the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from hwsim.datapath.hardware import Entry
from hwsim.report.units.catalog import aliases_of
from hwsim.report.units.comparison import Comparison, Exactness
from hwsim.report.units.words import alignment_text, count, operands_text, register_text, step_text

__all__ = [
    "about_table",
    "catalog_table",
    "differences_table",
    "histogram_table",
    "kinds_table",
]

_BAR = 40
_CLASSES = 8  # of distances, a line each


def _columns(table: Table, *headings: str) -> None:
    for heading in headings:
        right = heading in ("units", "products", "outputs", "ulps")
        fixed = heading in ("unit", "for example", "evidence")
        table.add_column(heading, justify="right" if right else "left", no_wrap=fixed, overflow="fold")


def kinds_table(groups: Sequence[Sequence[Entry]]) -> Table:
    """Return one row a way of adding, architecture by architecture."""
    total = sum(map(len, groups))
    table = Table(title=f"{count(total, 'unit')}, {len(groups)} ways of adding", title_justify="left")
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
    table = Table(title=count(len(entries), "unit"), title_justify="left")
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
        for alias in aliases_of(entry):
            table.add_row(f"  = {alias}")
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
    """Return how many outputs lie how many ulps apart; of many classes two are a line each."""
    table = Table(title=f"finite differences in ulps of {found.format}", title_justify="left")
    _columns(table, "ulps", "outputs")
    table.add_column("", no_wrap=True)
    classes = found.histogram if len(found.histogram) <= _CLASSES else _joined(found.histogram)
    most = max((number for _, _, number in classes), default=1)
    for low, high, number in classes:
        label = f"{low:,}" if low == high else f"{low:,}..{high:,}"
        table.add_row(label, f"{number:,}", "█" * max(1, round(_BAR * number / most)))
    return table


def _joined(classes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Join classes of distances by fours: 0, 1, 2..4, 5..16, 17..64, and so on."""
    found: dict[int, tuple[int, int, int]] = {}
    for low, high, number in classes:
        bits = (max(high, 1) - 1).bit_length()
        top = (1 << (bits + bits % 2)) if high else 0
        bottom = low if top <= 1 else top // 4 + 1
        found[top] = bottom, top, number + found.get(top, (0, 0, 0))[2]
    return list(found.values())


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
            f"{each.mean_ulps:,.0f}" if each.mean_ulps >= 100 else f"{each.mean_ulps:.3g}",
            f"{each.largest_ulps:,}",
            f"{each.largest_relative:.3g}",
            f"{each.left_out:,}",
        )
    return table
