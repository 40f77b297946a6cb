# SPDX-License-Identifier: Apache-2.0
"""Boolean functions of cells in Liberty syntax: truth table, plain form, and Verilog."""

import re
from collections.abc import Mapping, Sequence

__all__ = [
    "liberty_expression",
    "truth_table",
    "verilog_expression",
]

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[!()*+^&|'01])")
_LEVELS = ("+|", "*&", "^")  # weakest first: Liberty binds ^ tighter than *

_Tree = tuple[str, ...] | tuple["str | _Tree", ...]


class _Parser:
    """Recursive descent over one expression; a tree is (operator, operand, ...)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise ValueError(f"function {text!r} has an unexpected character {stripped[position:].strip()[0]!r}")
            self.tokens.append(match.group(1))
            position = match.end()
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def parse(self) -> _Tree:
        tree = self.binary(0)
        if self.peek():
            raise ValueError(f"function {self.text!r} has an unexpected {self.peek()!r}")
        return tree

    def binary(self, level: int) -> _Tree:
        if level == len(_LEVELS):
            return self.unary()
        tree = self.binary(level + 1)
        while self.peek():
            if self.peek() in _LEVELS[level]:
                self.take()
            elif _LEVELS[level] != "*&" or self.peek() in ")+|^'":  # two operands side by side are an AND
                break
            tree = (_LEVELS[level][0], tree, self.binary(level + 1))
        return tree

    def unary(self) -> _Tree:
        """Parse a negation, a parenthesis, a pin or a constant, with the ' that may follow."""
        token = self.take()
        tree: _Tree
        if token == "!":
            return ("!", self.unary())
        if token == "(":
            tree = self.binary(0)
            if self.take() != ")":
                raise ValueError(f"function {self.text!r} has an open parenthesis")
        elif token and (token[0].isalnum() or token[0] == "_"):
            tree = ("pin", token)
        else:
            raise ValueError(f"function {self.text!r} wants a pin, not {token or 'its end'!r}")
        while self.peek() == "'":
            self.take()
            tree = ("!", tree)
        return tree


def _evaluate(tree: _Tree, columns: dict[str, int], ones: int, text: str) -> int:
    """Evaluate on all rows of the truth table at once, one bit a row."""
    operator = tree[0]
    if operator == "pin":
        name = str(tree[1])
        if name not in columns:
            pins = ", ".join(sorted(set(columns) - {"0", "1"}))
            raise ValueError(f"function {text!r} names {name!r}; the input pins are {pins}")
        return columns[name]
    operands = [_evaluate(operand, columns, ones, text) for operand in tree[1:] if isinstance(operand, tuple)]
    if operator == "!":
        return operands[0] ^ ones
    if operator == "*":
        return operands[0] & operands[1]
    if operator == "+":
        return operands[0] | operands[1]
    return operands[0] ^ operands[1]


def truth_table(function: str, pins: Sequence[str]) -> int:
    """
    Truth table of a Liberty function.

    Parameters
    ----------
    function : str
        Expression of pins with ``!``, postfix ``'``, ``^``, ``*`` or ``&`` or a space, ``+`` or ``|`` (binding in that
        order).
    pins : sequence of str
        The input pins; pin ``i`` is bit ``i`` of a row's number. At most 6.

    Returns
    -------
    int
        Bit ``r`` is the function's value in row ``r``; ``2**len(pins)`` bits.

    Raises
    ------
    ValueError
        The expression does not parse, names another pin, or has more than 6 pins.
    """
    if len(pins) > 6:
        raise ValueError(f"a function has at most 6 pins, not {len(pins)}")
    rows = 1 << len(pins)
    ones = (1 << rows) - 1
    columns = {"0": 0, "1": ones}
    for index, pin in enumerate(pins):
        columns[pin] = sum(1 << row for row in range(rows) if row >> index & 1)
    return _evaluate(_Parser(function).parse(), columns, ones, function)


def liberty_expression(function: str, names: Mapping[str, str] | None = None) -> str:
    """
    Rewrite a Liberty function with ``!``, ``*``, ``+`` and ``^`` and a parenthesis around every inner operation.

    `names` maps pins to what stands for them (raises ValueError as `truth_table`).
    """
    text = _liberty(_Parser(function).parse(), names or {})
    return text[1:-1] if text.startswith("(") else text


def _liberty(tree: _Tree, names: Mapping[str, str]) -> str:
    """Render with every binary operation in parentheses."""
    if tree[0] == "pin":
        return names.get(str(tree[1]), str(tree[1]))
    operands = [_liberty(operand, names) for operand in tree[1:] if isinstance(operand, tuple)]
    if tree[0] == "!":
        return operands[0][1:] if operands[0].startswith("!") else f"!{operands[0]}"
    return "(" + str(tree[0]).join(operands) + ")"


def verilog_expression(function: str) -> str:
    """Rewrite a Liberty function as a Verilog expression over the same names (raises ValueError as `truth_table`)."""
    return _verilog(_Parser(function).parse())


def _verilog(tree: _Tree) -> str:
    """Render with every binary operation in parentheses."""
    if tree[0] == "pin":
        return f"1'b{tree[1]}" if tree[1] in ("0", "1") else str(tree[1])
    operands = [_verilog(operand) for operand in tree[1:] if isinstance(operand, tuple)]
    if tree[0] == "!":
        return f"~{operands[0]}"
    return "(" + {"*": " & ", "+": " | ", "^": " ^ "}[str(tree[0])].join(operands) + ")"
