# SPDX-License-Identifier: Apache-2.0
"""The Boolean functions that the gate simulator's kernel knows, and how any gate becomes a few of them."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, permutations
from typing import Any, NamedTuple

__all__ = [
    "FUNCTIONS",
    "PASS",
    "Step",
    "cofactor",
    "steps",
    "swapped",
]

_Function = Callable[..., Any]

FUNCTIONS: tuple[tuple[int, _Function], ...] = (
    (1, lambda a: a),
    (2, lambda a, b: a & b),
    (2, lambda a, b: a ^ b),
    (3, lambda a, b, c: a & b & c),
    (3, lambda a, b, c: (a & b) | c),
    (3, lambda a, b, c: a ^ b ^ c),
    (3, lambda a, b, c: (a & b) | (c & (a | b))),
    (3, lambda a, b, c: b ^ (c & (a ^ b))),
    (4, lambda a, b, c, d: a & b & c & d),
    (4, lambda a, b, c, d: (a & b) | (c & d)),
    (4, lambda a, b, c, d: (a & b) | c | d),
    (4, lambda a, b, c, d: (a & b & c) | d),
)
"""Number of pins and the function, on anything with ``&``, ``|`` and ``^``; the place is the kernel's operation code.
Pins and output may be inverted, so that each stands for its duals too: (a + b) c is of the kind of a b + c."""

PASS = 0
"""The code of the function that gives its pin."""


class Step(NamedTuple):
    """
    One function of at most four pins.

    `pins` are the gate's pins from 0 on, or earlier steps of the same gate: -1 the first of them, -2 the second. Bit i
    of `phases` inverts pin i before the function; `inverted` says that the wanted value is the inverse of what the
    function gives.
    """

    code: int
    pins: tuple[int, ...]
    phases: int
    inverted: bool


def _columns(pins: int) -> list[int]:
    """Give the truth table of each pin alone."""
    return [sum(1 << row for row in range(1 << pins) if row >> pin & 1) for pin in range(pins)]


@cache
def _library() -> dict[tuple[int, int], tuple[int, tuple[int, ...], int, bool]]:
    """Index every truth table that a function gives with its pins in any order and phase."""
    found: dict[tuple[int, int], tuple[int, tuple[int, ...], int, bool]] = {}
    for code, (pins, function) in enumerate(FUNCTIONS):
        ones = (1 << (1 << pins)) - 1
        columns = _columns(pins)
        for phases in sorted(range(1 << pins), key=int.bit_count):
            for order in permutations(range(pins)):
                operands = [columns[pin] ^ (ones if phases >> place & 1 else 0) for place, pin in enumerate(order)]
                table = function(*operands)
                found.setdefault((pins, table), (code, order, phases, False))
                found.setdefault((pins, table ^ ones), (code, order, phases, True))
    return found


def cofactor(table: int, pins: int, pin: int, value: int) -> int:
    """Fix a pin: the table of the others, in their order."""
    rows = [row for row in range(1 << pins) if row >> pin & 1 == value]
    return sum((table >> row & 1) << place for place, row in enumerate(rows))


def swapped(table: int, pin: int) -> int:
    """Invert a pin of a table."""
    return sum(1 << (row ^ 1 << pin) for row in range(table.bit_length()) if table >> row & 1)


def _pairs(table: int, pins: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield pairs of pins that matter only through one function of the two, with it and the table that is left."""
    for low, high in combinations(range(pins), 2):
        inner = [
            cofactor(cofactor(table, pins, high, row >> 1), pins - 1, low, row & 1) for row in range(4)
        ]  # of the other pins
        if len(set(inner)) == 2:
            other = next(part for part in inner if part != inner[0])
            pair = sum((part != inner[0]) << row for row, part in enumerate(inner))
            # the pair's value becomes the last pin
            yield low, high, pair, inner[0] | other << (1 << (pins - 2))


@cache
def steps(pins: int, table: int) -> tuple[Step, ...]:
    """
    Make a gate of the kernel's functions.

    Pins that act together through one function of the two (as a and b do in a b + c d + e) are put together first;
    where there are none, the last pin selects between what is left of the gate with it at 0 and at 1.

    Parameters
    ----------
    pins : int
        1 to 6; the table must depend on every one of them.
    table : int
        Bit r is the value in row r; pin i is bit i of r.

    Returns
    -------
    tuple of Step
        The last one gives the gate's value.
    """
    made: list[Step] = []
    _make(table, list(range(pins)), made)
    return tuple(made)


def _make(table: int, pins: list[int], made: list[Step]) -> int:
    """Append the steps of a table over pins or earlier steps; return the name of the last."""
    for place in reversed(range(len(pins))):
        if not _depends(table, len(pins), place):
            table = cofactor(table, len(pins), place, 0)
            pins = pins[:place] + pins[place + 1 :]
    count = len(pins)
    known = _library().get((count, table))
    if known is not None:
        code, order, phases, inverted = known
        made.append(Step(code, tuple(pins[pin] for pin in order), phases, inverted))
        return -len(made)
    for low, high, pair, rest in _pairs(table, count):
        others = [name for place, name in enumerate(pins) if place not in (low, high)]
        return _make(rest, [*others, _make(pair, [pins[low], pins[high]], made)], made)
    halves = [cofactor(table, count, count - 1, value) for value in (0, 1)]
    ones = (1 << (1 << (count - 1))) - 1
    parts = [half if half in (0, ones) else _make(half, pins[:-1], made) for half in halves]
    if halves[0] in (0, ones):  # s ? x : 0 or s ? x : 1, in rows of (x, s)
        return _make(0b1000 | (halves[0] & 0b11), [parts[1], pins[-1]], made)
    if halves[1] in (0, ones):
        return _make(0b0010 | (halves[1] & 0b11) << 2, [parts[0], pins[-1]], made)
    return _make(0b11001010, [parts[0], parts[1], pins[-1]], made)  # s ? y : x, in rows of (x, y, s)


def _depends(table: int, pins: int, pin: int) -> bool:
    """Tell whether a pin matters."""
    return cofactor(table, pins, pin, 0) != cofactor(table, pins, pin, 1)
