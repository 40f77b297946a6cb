# SPDX-License-Identifier: Apache-2.0
"""Pages of documentation of the units of real hardware, one an architecture, made from their specs."""

import re
from collections.abc import Sequence
from pathlib import Path

from hwsim.datapath.hardware import Entry, Evidence
from hwsim.report.units.catalog import PATTERN, alike, entries
from hwsim.report.units.diagram import diagram
from hwsim.report.units.numerics import numerics
from hwsim.report.units.words import alignment_text, count, operands_text, register_text, step_text

__all__ = [
    "architecture_page",
    "index_page",
    "pages",
    "write_pages",
]

_MADE = "<!-- Made by `python -m hwsim.report.units docs/units`: change the catalog, not this file. -->"


def _by_architecture() -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for group in alike(entries()):
        found.setdefault(group[0].architecture, []).extend(group)
    return found


def _file(architecture: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", architecture.lower()).strip("_") + ".md"


def pages() -> dict[str, str]:
    """Return every file of the documentation of units, its text by its name."""
    files = {"index.md": index_page()}
    for architecture, held in _by_architecture().items():
        files[_file(architecture)] = architecture_page(architecture, held)
    return files


def write_pages(folder: str | Path) -> tuple[int, list[str]]:
    """Write the files into a folder, made if need be, and delete pages that are no more.

    Returns
    -------
    int
        How many files there are.
    list of str
        The names of the files that are no more.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    files = pages()
    gone = sorted(file.name for file in path.iterdir() if file.suffix == ".md" and file.name not in files)
    for name in gone:
        (path / name).unlink()
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8", newline="\n")
    return len(files), gone


def index_page() -> str:
    """Return the page that lists the architectures, and how their numerics are known."""
    architectures = _by_architecture()
    total = sum(map(len, architectures.values()))
    lines = [
        _MADE,
        "# Units of real hardware",
        "",
        f"The {total} matrix instructions and matrix products of the catalog. `hwsim units` prints a list, `hwsim",
        "units NAME` shows one with its stages and widths, `hwsim units NAME --a a.npy --b b.npy` runs one, and two",
        "names, or `--against d.npy`, compare: how many outputs differ, by how many ulps, and in which stage of which",
        "step the first one parts.",
        "",
        f"A name may describe a unit, too: `{PATTERN}`.",
        "",
        "| architecture | units | " + " | ".join(kind.value for kind in Evidence) + " |",
        "|---|---|" + "---|" * len(Evidence),
    ]
    for architecture, held in architectures.items():
        counts = [sum(entry.evidence is kind for entry in held) for kind in Evidence]
        cells = [f"[{held[0].vendor} {architecture}]({_file(architecture)})", str(len(held)), *map(str, counts)]
        lines.append(_line(*cells))
    return "\n".join(lines) + "\n"


def architecture_page(architecture: str, held: Sequence[Entry]) -> str:
    """Return the page of one architecture in Markdown: each way of adding, its units, and an example's stages."""
    groups = alike(held)
    title = f"# {held[0].vendor} {architecture}"
    said = f"{count(len(held), 'unit')} in {len(groups)} way{'s' if len(groups) > 1 else ''} of adding."
    lines = [_MADE, title, "", said]
    for group in groups:
        lines += _group(group)
    return "\n".join(lines) + "\n"


def _group(group: Sequence[Entry]) -> list[str]:
    first = group[0]
    unit = first.unit
    lanes = ", ".join(dict.fromkeys(step_text(entry.unit) for entry in group))
    lines = ["", f"## {alignment_text(unit)}; {register_text(unit, brief=True)}; d in {unit.output.name}", ""]
    lines += [f"Products a step: {lanes}. Evidence: {first.evidence.value}.", ""]
    for source in dict.fromkeys(entry.source for entry in group):
        lines += [f"Source: {source}.", ""]
    for note in dict.fromkeys(entry.note for entry in group if entry.note):
        lines += [f"{_noted(group, note)}: {note}.", ""]
    lines += [f"Stages of `{first.name}`:", "", "```text", *diagram(unit), "```", ""]
    lines += [_line("what", "numerics"), "|---|---|"]
    lines += [_line(topic, words) for topic, words in numerics(unit).items()]
    lines += ["", _line("unit", "instruction", "operands", "products", "register"), "|---|---|---|---|---|"]
    lines += [
        _line(
            f"`{entry.name}`",
            f"`{entry.instruction}`",
            operands_text(entry.unit),
            step_text(entry.unit),
            register_text(entry.unit),
        )
        for entry in group
    ]
    return lines


def _noted(group: Sequence[Entry], note: str) -> str:
    """Return of which units a note is."""
    names = [f"`{entry.name}`" for entry in group if entry.note == note]
    if len(names) == len(group):
        return "Note"
    others = f" and {count(len(names) - 3, 'other')}" if len(names) > 3 else ""
    return f"Note on {', '.join(names[:3])}{others}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
