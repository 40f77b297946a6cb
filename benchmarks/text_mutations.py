# SPDX-License-Identifier: Apache-2.0
"""Damage to TOML files, by a seed: numbers, strings, keys, lines, characters."""

import re
import string
from collections.abc import Callable

import numpy as np

__all__ = [
    "damaged_text",
]

Rng = np.random.Generator


def damaged_text(text: str, rng: Rng) -> tuple[str, str]:
    """Return a TOML file with one to three things wrong with it, and what kind of things."""
    names = []
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        name = str(rng.choice(list(_TEXT)))
        text = _TEXT[name](text, rng) if text else text
        names.append(name)
    return text, names[0]


def _at(rng: Rng, size: int) -> int:
    return int(rng.integers(max(size, 1)))


_NUMBER = re.compile(r"(?<![\w.])-?\d+(\.\d+)?(?![\w.])")
_NUMBERS = (
    "0",
    "-1",
    "1",
    "3",
    "1e9",
    "99999999999999999999",
    "4096",
    "4097",
    "nan",
    "inf",
    "true",
    '"8"',
    "[]",
    "1.5",
)
_STRINGS = ('""', '"x"', "7", "true", "[1, 2]", '"int4"', '"mxfp4"', '"float32"', '"../x"', "{a = 1}", '"int8\\n"')


def _replace_one(text: str, pattern: str, choices: tuple[str, ...], rng: Rng) -> str:
    places = list(re.finditer(pattern, text))
    if not places:
        return text
    place = places[_at(rng, len(places))]
    return text[: place.start()] + str(rng.choice(choices)) + text[place.end() :]


def _change_line(text: str, rng: Rng) -> str:
    lines = text.splitlines(keepends=True)
    at = _at(rng, len(lines))
    choice = rng.random()
    if choice < 0.4:
        del lines[at]
    elif choice < 0.7:
        lines.insert(_at(rng, len(lines)), lines[at])
    else:
        lines.insert(at, str(rng.choice(["[array]\n", "[what]\n", "x = 1\n", "[memory]\n", "=\n", "[[array]]\n"])))
    return "".join(lines)


def _change_key(text: str, rng: Rng) -> str:
    return _replace_one(text, r"(?m)^\w+(?= =)", ("rows", "unit", "name", "what", "kilobytes", "clock_mhz"), rng)


def _change_characters(text: str, rng: Rng) -> str:
    made = list(text)
    for _ in range(int(rng.integers(1, 5))):
        made[_at(rng, len(made))] = str(rng.choice(list(string.printable + "é\u2028\x00")))
    return "".join(made)


_TEXT: dict[str, Callable[[str, Rng], str]] = {
    "number": lambda text, rng: _replace_one(text, _NUMBER.pattern, _NUMBERS, rng),
    "string": lambda text, rng: _replace_one(text, r'"[^"\n]*"', _STRINGS, rng),
    "line": _change_line,
    "key": _change_key,
    "characters": _change_characters,
    "cut off": lambda text, rng: text[: _at(rng, len(text))],
}
