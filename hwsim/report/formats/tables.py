# SPDX-License-Identifier: Apache-2.0
"""Formats as tables on the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from hwsim.formats.catalog import Entry
from hwsim.report.formats.facts import (
    NEVER_MADE,
    Facts,
    all_values,
    bits_per_element,
    element,
    ends,
    landmarks,
    never_made,
)
from hwsim.report.formats.text import code_text, definition, value_text

__all__ = [
    "catalog_rows",
    "catalog_table",
    "codes_table",
    "facts_table",
    "landmarks_table",
    "marked_values",
    "ranking_table",
    "tensors_table",
    "values_table",
    "verdicts_table",
]


def catalog_rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return what the list of formats says of each, JSON-ready."""
    rows = []
    for entry in entries:
        inner = element(entry.spec)
        largest, lowest, smallest = ends(entry.spec)
        rows.append(
            {
                "name": entry.name,
                "family": entry.family,
                "bits": entry.spec.bits,
                "bits_per_element": bits_per_element(entry.spec),
                "largest": largest,
                "lowest": lowest,
                "smallest_positive": smallest,
                "nan": bool(getattr(inner, "has_nan", False)),
                "infinity": bool(getattr(inner, "has_inf", False)),
                "summary": entry.summary,
                "source": entry.source,
                "aliases": list(entry.aliases),
            }
        )
    return rows


def catalog_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a format, the families one after the other."""
    table = Table(title=f"{len(rows)} formats", title_justify="left")
    table.add_column("format", no_wrap=True)
    for heading in ("bits", "largest", "smallest > 0"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("NaN")
    table.add_column("inf")
    table.add_column("what it is")
    family = None
    for row in rows:
        if row["family"] != family:
            table.add_section()
            family = row["family"]
            table.add_row(f"[bold]{family}[/bold]")
        table.add_row(
            row["name"],
            f"{row['bits_per_element']:.7g}",
            short(row["largest"]),
            short(row["smallest_positive"]),
            "yes" if row["nan"] else "",
            "yes" if row["infinity"] else "",
            row["summary"],
        )
    return table


def facts_table(about: Facts) -> Table:
    """Return the facts of one format, a line each."""
    entry = about.entry
    table = Table(title=entry.spec.name, title_justify="left", show_header=False)
    table.add_column("quantity", no_wrap=True)
    table.add_column("value")
    rows: list[tuple[str, str]] = [
        ("family", entry.family),
        ("summary", entry.summary),
        ("source", entry.source),
        ("also called", ", ".join(entry.aliases)),
        ("bits", f"{about.bits_per_element:.7g}"),
        ("definition", "\n".join(definition(entry.spec))),
        ("fields", ", ".join(f"{key} {value}" for key, value in about.fields.items() if not isinstance(value, list))),
        ("largest", both(about.largest)),
        ("lowest", both(about.lowest)),
        ("smallest positive", both(about.smallest)),
        *about.specials.items(),
        ("rounding", ", ".join(about.rounding)),
        ("overflow", ", ".join(about.overflow)),
    ]
    for what, text in rows:
        if text:
            table.add_row(what, escape(text))  # levels[code] is no markup
    return table


def values_table(spec: Any, columns: int = 8) -> Table:
    """Return the values of all codes of up to 8 bits as a grid: the code is that of its row plus that of its column."""
    inner = element(spec)
    values = marked_values(inner)
    columns = min(columns, len(values))
    table = Table(box=SIMPLE, pad_edge=False, caption=_caption(inner), caption_justify="left")
    table.add_column("code", no_wrap=True)
    for column in range(columns):
        table.add_column(f"+{column:x}", justify="right", no_wrap=True)
    for start in range(0, len(values), columns):
        table.add_row(code_text(start, inner.bits), *values[start : start + columns])
    return table


def marked_values(spec: Any) -> list[str]:
    """Return the value of each code as text, with a star where `encode` never makes the code."""
    never = set(never_made(spec))
    return [value_text(value) + "*" * (code in never) for code, value in enumerate(all_values(spec).tolist())]


def _caption(spec: Any) -> str | None:
    """Return what the star is, where there is one."""
    return f"* {NEVER_MADE}" if never_made(spec) else None


def landmarks_table(spec: Any) -> Table:
    """Return the notable codes of a format too wide for a grid."""
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("value", "code", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=True)
    for what, code, value in landmarks(spec):
        table.add_row(value_text(value), code_text(code, element(spec).bits), what)
    return table


def codes_table(spec: Any) -> Table:
    """Return every code and its value, a line each."""
    inner = element(spec)
    never = set(never_made(inner))
    table = Table(box=SIMPLE, pad_edge=False, caption=_caption(inner), caption_justify="left")
    for heading in ("code", "bits", "value"):
        table.add_column(heading, justify="right", no_wrap=True)
    for code, value in enumerate(all_values(inner).tolist()):
        table.add_row(code_text(code, inner.bits), f"{code:0{inner.bits}b}", f"{value}{'*' * (code in never)}")
    return table


def ranking_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a format of a ranking."""
    table = Table()
    table.add_column("format", no_wrap=True)
    for heading in ("bits", "QSNR dB", "mean QSNR dB", "RMS error", "max error", "codes used %"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["format"],
            f"{row['bits_per_element']:.4g}",
            decibels(row["qsnr_db"]),
            decibels(row["mean_qsnr_db"]),
            *_errors(row),
        )
    return table


def tensors_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a format and tensor of a ranking."""
    table = Table(title="tensor by tensor", title_justify="left")
    table.add_column("format", no_wrap=True)
    table.add_column("tensor", overflow="fold")
    for heading in ("elements", "QSNR dB", "RMS error", "max error", "codes used %"):
        table.add_column(heading, justify="right")
    for row in rows:
        for index, tensor in enumerate(row["tensors"]):
            table.add_row(
                row["format"] if index == 0 else "",
                tensor["tensor"],
                f"{tensor['elements']:,}",
                decibels(tensor["qsnr_db"]),
                *_errors(tensor),
            )
        table.add_section()
    return table


def verdicts_table(verdicts: Sequence[Any]) -> Table:
    """Return one row a format and reference of a conformance report; without counts where nothing was compared."""
    table = Table(title="formats against their references", title_justify="left")
    for heading in ("format", "reference", "version"):
        table.add_column(heading, no_wrap=True)
    for heading in ("decoded", "encoded", "differ", "known"):
        table.add_column(heading, justify="right")
    table.add_column("note")
    for verdict in verdicts:
        counts = verdict.decoded, verdict.encoded, verdict.differences, verdict.known
        cells = [f"{count:,}" if verdict.version else "-" for count in counts]
        table.add_row(verdict.format, verdict.reference, verdict.version, *cells, escape(verdict.note))
    return table


def _errors(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the cells that a format and one of its tensors share."""
    return f"{row['mse'] ** 0.5:.3g}", f"{row['max_error']:.3g}", f"{100 * row['codes_used']:.1f}"


def both(value: float | None) -> str:
    """Return a value exactly, and in decimals where that is something else."""
    exact, decimal = value_text(value), short(value)
    return exact if exact == decimal else f"{exact} = {decimal}" if "^" in exact else exact


def short(value: float | None) -> str:
    """Return a number in six digits."""
    return "" if value is None else f"{value:.6g}".replace("e+", "e")


def decibels(value: float | None) -> str:
    """Return decibels with two decimals; an exact result has no noise."""
    return "exact" if value is None else f"{value:.2f}"
