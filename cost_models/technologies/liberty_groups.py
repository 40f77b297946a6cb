# SPDX-License-Identifier: Apache-2.0
"""The groups and attributes of a Liberty text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = [
    "Group",
    "parse",
]

_TOKEN = re.compile(
    r'(?P<skip>[ \t\r\f\v]+|/\*.*?\*/|//[^\n]*|\\[ \t]*\r?\n)|(?P<end>\n)|"(?P<text>[^"]*)"|(?P<mark>[(){}:;,])'
    r'|(?P<word>[^\s(){}:;,"\\]+)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Group:
    """
    A group ``kind (names) { ... }``.

    `simple` has the attributes ``name : value;`` (the last one counts), `complex` the attributes ``name (values);``,
    `groups` the groups in it. `line` is where it begins.
    """

    kind: str
    names: tuple[str, ...]
    line: int
    simple: dict[str, str] = field(default_factory=dict)
    complex: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first of its names, empty without one."""
        return self.names[0] if self.names else ""

    def all(self, *kinds: str) -> Iterator["Group"]:
        """Find the groups of these kinds directly in it."""
        return (group for group in self.groups if group.kind in kinds)


@dataclass(slots=True)
class _Tokens:
    """The tokens of a text with their lines; a quoted text and a word are both kind ``word``."""

    where: str
    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    at: int = 0

    def add(self, kind: str, text: str, line: int) -> None:
        self.kinds.append(kind)
        self.texts.append(text)
        self.lines.append(line)

    def mark(self) -> str:
        """Return the mark at hand, empty where there is a word or the end."""
        return self.texts[self.at] if self.at < len(self.texts) and self.kinds[self.at] == "mark" else ""

    def line(self) -> int:
        return self.lines[min(self.at, len(self.lines) - 1)] if self.lines else 1

    def expect(self, wanted: str) -> None:
        if self.mark() != wanted:
            found = repr(self.texts[self.at]) if self.at < len(self.texts) else "the end of the file"
            raise ValueError(f"{self.where}:{self.line()}: not a Liberty file: want {wanted!r}, not {found}")
        self.at += 1


def parse(text: str, where: str) -> Group:
    """
    Parse a Liberty text.

    Parameters
    ----------
    text : str
    where : str
        The file's name, for errors.

    Returns
    -------
    Group
        The ``library`` group.

    Raises
    ------
    ValueError
        The text is not of that form; the message names the line.
    """
    tokens = _tokens(text, where)
    if tokens.texts[:2] != ["library", "("]:
        first = tokens.texts[0] if tokens.texts else "the end of the file"
        raise ValueError(f"{where}:{tokens.line()}: not a Liberty file: want 'library (', not {first!r}")
    tokens.at = 1
    library = Group("library", _arguments(tokens), tokens.lines[0])
    tokens.expect("{")
    _fill(library, tokens)
    return library


def _tokens(text: str, where: str) -> _Tokens:
    """Cut the text into tokens."""
    tokens = _Tokens(where)
    line, position = 1, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{where}:{line}: not a Liberty file: cannot read {text[position : position + 20]!r}")
        position = match.end()
        kind = match.lastgroup
        if kind in ("mark", "word", "text"):
            content = match[kind]
            tokens.add("mark" if kind == "mark" else "word", content.replace("\\\n", " "), line)
        if kind not in ("mark", "word"):
            line += match[0].count("\n")
    return tokens


def _arguments(tokens: _Tokens) -> tuple[str, ...]:
    """Read ``(a, b, ...)``."""
    tokens.expect("(")
    found = []
    while tokens.mark() != ")":
        if tokens.mark() not in ("", ",", ":") or tokens.at >= len(tokens.texts):
            tokens.expect(")")
        if not tokens.mark():
            found.append(tokens.texts[tokens.at])
        tokens.at += 1
    tokens.at += 1
    return tuple(found)


def _fill(group: Group, tokens: _Tokens) -> None:
    """Read the statements of a group up to its closing brace."""
    while tokens.mark() != "}":
        if tokens.mark() == ";":
            tokens.at += 1
            continue
        if tokens.mark() or tokens.at >= len(tokens.texts):
            tokens.expect("}")
        name, line = tokens.texts[tokens.at], tokens.lines[tokens.at]
        tokens.at += 1
        if tokens.mark() == ":":
            tokens.at += 1
            group.simple[name] = _value(tokens)
            continue
        arguments = _arguments(tokens)
        if tokens.mark() == "{":
            tokens.at += 1
            inner = Group(name, arguments, line)
            _fill(inner, tokens)
            group.groups.append(inner)
        else:
            group.complex.setdefault(name, []).append(arguments)
    tokens.at += 1


def _value(tokens: _Tokens) -> str:
    """Read the value of a simple attribute: up to a semicolon, or, where one is missing, to the end of the line."""
    line, found = tokens.line(), []
    while tokens.at < len(tokens.texts) and tokens.mark() not in (";", "}") and tokens.line() == line:
        found.append(tokens.texts[tokens.at])
        tokens.at += 1
    return " ".join(found)
