# SPDX-License-Identifier: Apache-2.0
"""Units by name for people: those of real hardware, with their evidence, and those that a name describes."""

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hwsim import datapath
from hwsim.datapath import DotProductUnit, hardware
from hwsim.datapath.hardware import Entry
from hwsim.report.units.words import alignment_text, operands_text, register_text, step_text

__all__ = [
    "PATTERN",
    "alike",
    "entries",
    "entry_of",
    "row",
    "unit_of",
]

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
    """
    found = tuple(_by_name().values())
    if architecture is not None:
        word = architecture.lower()
        kept = tuple(entry for entry in found if word in f"{entry.vendor} {entry.architecture}".lower())
        if not kept:
            known = ", ".join(dict.fromkeys(entry.architecture for entry in found))
            raise KeyError(f"unknown architecture {architecture!r}: the catalog has {known}")
        found = kept
    if evidence is not None:
        kinds = {kind.name.lower(): kind for kind in hardware.Evidence}
        if evidence.lower() not in kinds:
            raise KeyError(f"unknown evidence {evidence!r}: it is one of {', '.join(kinds)}")
        found = tuple(entry for entry in found if entry.evidence is kinds[evidence.lower()])
    return found


def entry_of(name: str) -> Entry | None:
    """Return the hardware entry of a name, or None."""
    return _by_name().get(name)


def unit_of(name: str) -> DotProductUnit:
    """Return the unit of a name: of the catalog, or one that the name describes.

    Raises
    ------
    KeyError, ValueError
        For an unknown name, with its close matches, and one whose parts do not go together.
    """
    entry = entry_of(name)
    if entry is not None:
        return entry.unit
    try:
        return datapath.named(name)
    except KeyError:
        close = difflib.get_close_matches(name, _by_name(), n=3, cutoff=0.6)
        if not close:
            raise
        raise KeyError(f"unknown unit {name!r}: did you mean {', '.join(close)}?") from None


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
