# SPDX-License-Identifier: Apache-2.0
"""Pages of documentation of the units of real hardware, one an architecture, made from their specs."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hwsim.datapath.hardware import Entry, Evidence
from hwsim.report.units.catalog import PATTERN, entries
from hwsim.report.units.numerics import numerics
from hwsim.report.units.stages import stages
from hwsim.report.units.words import alignment_text, count, operands_text, register_text, step_text

__all__ = [
    "architecture_page",
    "index_page",
    "pages",
    "write_pages",
]

_MADE = "<!-- Made by `python -m hwsim.report.units docs/units`: change the catalog, not this file. -->"

_IN_STAGES = ("products", "register", "result")  # topics of which a stage says as much


def _by_architecture() -> dict[str, list[Entry]]:
    """Return the entries of each page: those of one architecture, whatever its versions, under the longest title."""
    found: dict[str, list[Entry]] = {}
    for entry in entries():
        found.setdefault(_family(entry.architecture), []).append(entry)
    return {max((entry.architecture for entry in held), key=len): held for held in found.values()}


def _family(architecture: str) -> str:
    return architecture.partition(" (")[0]


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
    """Return the page of one architecture in Markdown: each way of adding once, and the units that share it."""
    ways = _ways(held)
    said = f"{count(len(held), 'unit')} in {len(ways)} way{'s' if len(ways) > 1 else ''} of adding"
    lines = [_MADE, f"# {held[0].vendor} {architecture}", ""]
    lines += [f"{said}. `hwsim units NAME` draws one with all its widths.", ""]
    sources = list(dict.fromkeys(entry.source for entry in held))
    lines += [f"{at}. {source}." for at, source in enumerate(sources, start=1)]
    words = [numerics(entry.unit) for entry in held]
    common = {topic: said for topic, said in words[0].items() if all(each.get(topic) == said for each in words)}
    common = {topic: said for topic, said in common.items() if topic not in _IN_STAGES}
    if len(held) > 1 and common:
        lines += ["", "Of all of them:", "", *_table(("what", "numerics"), common.items())]
    else:
        common = {}
    for way in ways:
        lines += _way(architecture, way, sources, set(common))
    return "\n".join(lines) + "\n"


def _ways(held: Sequence[Entry]) -> list[list[Entry]]:
    """Group entries by how they add, whatever their operands and lanes, their evidence, and the format of d."""
    found: dict[Any, list[Entry]] = {}
    for entry in held:
        unit = entry.unit
        promoted = None if unit.promotion is None else unit.promotion.accumulator
        how = alignment_text(unit), unit.accumulator, promoted, unit.flush_operands
        found.setdefault(how, []).append(entry)
    return list(found.values())


def _way(architecture: str, way: Sequence[Entry], sources: Sequence[str], common: set[str]) -> list[str]:
    first = way[0]
    lines = ["", f"## {alignment_text(first.unit)}; {register_text(first.unit, brief=True)}", ""]
    for note in dict.fromkeys(entry.note for entry in way if entry.note):
        lines += [f"{_noted(way, note)}: {note}.", ""]
    words = [(stage.name, "; ".join(stage.does)) for stage in stages(first.unit)]
    words += [(topic, said) for topic, said in _shared(way).items() if topic not in {*common, *_IN_STAGES}]
    lines += [*_table(("what", f"stages of `{first.name}`, and numerics"), words), ""]
    rows = [
        (
            f"`{entry.name}`",
            f"`{entry.instruction}`" + ("" if entry.architecture == architecture else f" ({entry.architecture})"),
            operands_text(entry.unit),
            step_text(entry.unit),
            register_text(entry.unit),
            entry.unit.output.name,
            f"{entry.evidence.name.lower()} ({sources.index(entry.source) + 1})",
        )
        for entry in way
    ]
    return lines + _table(("unit", "instruction", "operands", "products", "register", "d", "evidence"), rows)


def _shared(way: Sequence[Entry]) -> dict[str, str]:
    """Return the numerics of a way of adding: by topic what is said of all its units, or of an example."""
    words = [numerics(entry.unit) for entry in way]
    found = {}
    for topic in dict.fromkeys(topic for each in words for topic in each):
        said = list(dict.fromkeys(each[topic] for each in words if topic in each))
        found[topic] = said[0] if len(said) == 1 else f"{said[0]} (of `{way[0].name}`)"
        if len(said) > 1 and topic not in words[0]:
            found[topic] = "; or ".join(said)
    return found


def _noted(group: Sequence[Entry], note: str) -> str:
    """Return of which units a note is."""
    names = [f"`{entry.name}`" for entry in group if entry.note == note]
    if len(names) == len(group):
        return "Note"
    others = f" and {count(len(names) - 3, 'other')}" if len(names) > 3 else ""
    return f"Note on {', '.join(names[:3])}{others}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(*head), "|" + "---|" * len(head), *(_line(*row) for row in rows)]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
