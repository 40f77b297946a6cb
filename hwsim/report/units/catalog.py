# SPDX-License-Identifier: Apache-2.0
"""Units by name for people: those of real hardware, with their evidence, and those that a name describes."""

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hwsim import datapath
from hwsim.datapath import DotProductUnit, hardware
from hwsim.datapath.hardware import Entry
from hwsim.report.units.words import alignment_text, operands_text, register_text, step_text

__all__ = [
    "PATTERN",
    "aliases_of",
    "alike",
    "entries",
    "entry_of",
    "row",
    "unit_of",
]

_MOST_LANES = 1024
_SHOWN = 3  # names of a hint
PATTERN = "FORMAT[_by_FORMAT][_lLANES][_ACCUMULATOR[_sat]][_to_FORMAT]"


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Entry]:
    return {entry.name: entry for entry in hardware.entries()}


def entries(architecture: str | None = None, evidence: str | None = None) -> tuple[Entry, ...]:
    """Return the entries of an architecture, a vendor or all, and of some evidence.

    Raises
    ------
    KeyError
        For a word in no architecture, vendor or evidence; the message lists them.
    ValueError
        For no word at all.
    """
    found = tuple(_by_name().values())
    if architecture is not None:
        word = architecture.strip().lower()
        if not word:
            raise ValueError("--architecture must be a word of an architecture or a vendor, not empty")
        kept = tuple(entry for entry in found if word in f"{entry.vendor} {entry.architecture}".lower())
        if not kept:
            known = ", ".join(dict.fromkeys(entry.architecture for entry in found))
            raise KeyError(f"unknown architecture {architecture!r}: the catalog has {known}")
        found = kept
    if evidence is not None:
        kinds = {kind.name.lower(): kind for kind in hardware.Evidence}
        said = kinds | {kind.value: kind for kind in hardware.Evidence}
        if evidence.lower() not in said:
            raise KeyError(f"unknown evidence {evidence!r}: it is one of {', '.join(kinds)}")
        found = tuple(entry for entry in found if entry.evidence is said[evidence.lower()])
    return found


@lru_cache(maxsize=1)
def _aliases() -> dict[str, str]:
    """Return the catalogued name behind each short one."""
    found = {id(entry.unit): entry.name for entry in reversed(_by_name().values())}
    return {name: found[id(datapath.named(name))] for name in datapath.names() if name not in _by_name()}


def aliases_of(entry: Entry) -> tuple[str, ...]:
    """Return the other names of a hardware entry."""
    return tuple(alias for alias, name in _aliases().items() if name == entry.name)


def entry_of(name: str) -> Entry | None:
    """Return the hardware entry of a name, in letters of any case, or None."""
    word = name.lower()
    return _by_name().get(_aliases().get(word, word))


def unit_of(name: str) -> DotProductUnit:
    """Return the unit of a name, in letters of any case: of the catalog, or one that the name describes.

    Raises
    ------
    KeyError, ValueError
        For an unknown name, with its close matches, and one whose parts do not go together.
    """
    entry = entry_of(name)
    if entry is not None:
        return entry.unit
    lanes = re.search(r"_l(\d+)(?=_|$)", name.lower())
    if lanes is not None and not 1 <= int(lanes[1]) <= _MOST_LANES:
        raise ValueError(f"{name}: lanes must be in 1..{_MOST_LANES}, not {lanes[1]}")
    try:
        return datapath.named(name.lower())
    except KeyError as error:
        hint = _hint(name.lower())
        if hint is None:
            raise KeyError(str(error.args[0]).replace(repr(name.lower()), repr(name))) from None
        raise KeyError(f"unknown unit {name!r}: {hint}") from None


def _hint(word: str) -> str | None:
    """Return what an unknown name may stand for: an architecture, a part of names, or one of those that are close."""
    known = _by_name()
    for entry in known.values():
        title = entry.architecture.partition(" (")[0]
        if word in re.split(r"[^a-z0-9_]+", f"{entry.vendor} {entry.architecture} {title.replace(' ', '_')}".lower()):
            return f"an architecture or a vendor: `hwsim units --architecture {_quoted(word)}` lists its units"
    inside = [name for name in known if word in name]
    if word and inside:
        return f"a part of {len(inside):,} names, such as {', '.join(inside[:_SHOWN])}; {_listed(inside)}"
    close = difflib.get_close_matches(word, known, n=_SHOWN, cutoff=0.6)
    if close:
        return f"did you mean {', '.join(close)}?"
    words = word.count("_") + 1
    starts = {"_".join(name.split("_")[:words]) for name in known}
    near = difflib.get_close_matches(word, starts, n=1, cutoff=0.75)
    if not near:
        return None
    begun = [name for name in known if name == near[0] or name.startswith(f"{near[0]}_")]
    return f"did you mean {', '.join(begun[:_SHOWN])}, or another {near[0]}...? {_listed(begun)}"


def _listed(names: list[str]) -> str:
    """Say which list has some names."""
    first = _by_name()[names[0]].architecture.partition(" (")[0].lower()
    return f"`hwsim units --architecture {_quoted(first)}` lists them"


def _quoted(word: str) -> str:
    """Return a word as a shell takes it."""
    words = word.replace("_", " ") if not word.startswith("sm_") else word
    return f"'{words}'" if " " in words else words


def alike(of: Iterable[Entry]) -> list[list[Entry]]:
    """Return entries in groups of one architecture, evidence and way of adding, whatever their operands and lanes."""
    found: dict[Any, list[Entry]] = {}
    for entry in of:
        unit = entry.unit
        promoted = None if unit.promotion is None else unit.promotion.accumulator
        how = alignment_text(unit), unit.accumulator, promoted, unit.output, unit.flush_operands
        found.setdefault((entry.architecture, entry.evidence, how), []).append(entry)
    places = {entry.architecture: at for at, entry in reversed(list(enumerate(_by_name().values())))}
    return sorted(found.values(), key=lambda group: places[group[0].architecture])


def row(entry: Entry) -> dict[str, Any]:
    """Return what the list says of an entry, JSON-ready."""
    unit = entry.unit
    return {
        "name": entry.name,
        "aliases": list(aliases_of(entry)),
        "vendor": entry.vendor,
        "architecture": entry.architecture,
        "instruction": entry.instruction,
        "operands": operands_text(unit),
        "step": step_text(unit),
        "alignment": alignment_text(unit),
        "register": register_text(unit),
        "output": unit.output.name,
        "evidence": entry.evidence.name.lower(),
        "source": entry.source,
        "note": entry.note,
        "unit": unit.name,
    }
