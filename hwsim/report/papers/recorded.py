# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.papers` measured at length, kept with the package: its lines, when, and under which conditions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

__all__ = [
    "PATH",
    "Recorded",
    "Section",
]

PATH = Path(__file__).with_name("recorded_papers.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the benchmark: the command, the day and the conditions it ran under, and its lines."""

    command: str
    date: str
    conditions: str
    lines: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The sections by name."""

    sections: Mapping[str, Section]

    @classmethod
    def read(cls, path: Path = PATH) -> Self:
        """Read what `write` wrote; empty where there is no file."""
        if not path.is_file():
            return cls({})
        table = json.loads(path.read_text(encoding="utf-8"))
        return cls({name: Section(**each | {"lines": tuple(each["lines"])}) for name, each in table.items()})

    def with_lines(self, lines: Sequence[Mapping[str, Any]], *, command: str, date: str, conditions: str) -> Self:
        """Return these with the sections of new lines in place of older ones."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for line in lines:
            found.setdefault(line["section"], []).append(line)
        fresh = {
            name: Section(command=command, date=date, conditions=conditions, lines=tuple(each))
            for name, each in found.items()
        }
        return type(self)({**self.sections, **fresh})

    def write(self, path: Path = PATH) -> None:
        """Write all sections as JSON, a line of it a line of the benchmark."""
        parts = []
        for name, section in sorted(self.sections.items()):
            head = {"command": section.command, "date": section.date, "conditions": section.conditions}
            lines = ",\n  ".join(json.dumps(line) for line in section.lines)
            parts.append(f'{json.dumps(name)}: {json.dumps(head)[:-1]}, "lines": [\n  {lines}\n ]}}')
        path.write_text("{\n " + ",\n ".join(parts) + "\n}\n", encoding="utf-8")

    def line(self, *, section: str, **match: Any) -> Mapping[str, Any]:
        """Return the line of a section that has these values; LookupError unless there is just one."""
        if section not in self.sections:
            raise LookupError(f"section {section!r} was not recorded: python -m benchmarks.papers {section} --record")
        lines = self.sections[section].lines
        found = [each for each in lines if all(each.get(key) == value for key, value in match.items())]
        if len(found) != 1:
            raise LookupError(f"section {section!r} has {len(found)} lines of {match}, not one")
        return found[0]

    def how(self, section: str) -> str:
        """Return the command and the day of a section."""
        return f"`{self.sections[section].command}`, {self.sections[section].date}"
