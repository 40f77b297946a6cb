# SPDX-License-Identifier: Apache-2.0
"""For griffe: in a class's docstring, paragraphs `name : what it is` become a section of attributes."""

import re
from typing import Any

import griffe

__all__ = [
    "Attributes",
]

FIRST = re.compile(r"^(?P<names>\w+(?:, \w+)*) : (?P<text>.*)$")
UNDERLINE = re.compile(r"^-{3,}$", re.MULTILINE)


class Attributes(griffe.Extension):
    """Rewrites the docstrings of classes that list their fields without a section."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Rewrite one docstring."""
        if cls.docstring is not None and not UNDERLINE.search(cls.docstring.value):
            cls.docstring.value = sectioned(cls.docstring.value)


def sectioned(text: str) -> str:
    """Return a docstring with its list of fields, if it has one, as a section; what follows the list stays."""
    lines = text.splitlines()
    first = next((place for place, line in enumerate(lines) if FIRST.match(line)), None)
    if first is None:
        return text
    last = first
    while last < len(lines) and (FIRST.match(lines[last]) or lines[last].startswith(" ")):
        last += 1
    fields: list[str] = []
    for line in lines[first:last]:
        found = FIRST.match(line)
        fields += [found["names"], f"    {found['text']}"] if found else [f"    {line.strip()}"]
    head, rest = lines[:first], lines[last:]
    return "\n".join([*head, *rest, "", "Attributes", "----------", *fields])
