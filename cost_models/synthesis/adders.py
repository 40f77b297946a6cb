# SPDX-License-Identifier: Apache-2.0
"""A library's own full and half adders in the place of the modules that stand for them.

A mapper restructures an adder that is written as gates, and finds the library's cell for it rarely; an instance of the
cell is a black box to it.
"""

import re
from itertools import permutations

from cost_models.technologies import Cell, Technology
from cost_models.technologies.function import truth_table

__all__ = [
    "has_adders",
    "with_library_adders",
]

# Truth tables of sum and carry, by the number of inputs.
_SUM = {2: 0x6, 3: 0x96}
_CARRY = {2: 0x8, 3: 0xE8}
_ADDER = re.compile(
    r"^module (?P<name>\w*(?:full|half)_adder) ?\((?P<ports>[^)]*)\);.*?^endmodule", re.MULTILINE | re.DOTALL
)


def has_adders(text: str) -> bool:
    """Whether a Verilog text has modules named ``*full_adder`` or ``*half_adder``."""
    return _ADDER.search(text) is not None


def with_library_adders(text: str, technology: Technology) -> str:
    """
    Put library cells into the modules named ``*full_adder`` (ports a, b, c, total, carry) and ``*half_adder`` (a, b).

    A cell with inverted outputs gets an inverter behind each. A library without such a cell keeps the gates.
    """
    return _ADDER.sub(lambda match: _module(match, technology), text)


def _module(match: re.Match[str], technology: Technology) -> str:
    """Write a module around a cell, or leave it as it is."""
    inputs = ("a", "b", "c") if match["name"].endswith("full_adder") else ("a", "b")
    found = [made for cell in technology.cells.values() if (made := _instance(cell, inputs)) is not None]
    if not found:
        return match[0]
    _, body = min(found)
    ports = [f"  input {port};" for port in inputs] + ["  output total;", "  output carry;"]
    return "\n".join([f"module {match['name']}({match['ports']});", *ports, *body, "endmodule"])


def _instance(cell: Cell, inputs: tuple[str, ...]) -> tuple[float, list[str]] | None:
    """Return the area and the lines of an instance of a cell that adds, or None."""
    count = len(inputs)
    if cell.is_flip_flop or len(cell.inputs) != count or len(cell.outputs) != 2:
        return None
    ones = (1 << (1 << count)) - 1
    tables = {pin: truth_table(function, cell.inputs) for pin, function in cell.outputs.items()}
    for total, carry in permutations(tables):
        flips = [tables[total] ^ _SUM[count], tables[carry] ^ _CARRY[count]]
        if all(flip in (0, ones) for flip in flips):
            pins = [f".{pin}({port})" for pin, port in zip(cell.inputs, inputs, strict=True)]
            nets = [f".{total}(total_pin)", f".{carry}(carry_pin)"]
            signs = ["~" if flip else "" for flip in flips]
            lines = [
                "  wire total_pin, carry_pin;",
                f"  {cell.name} cell_ ({', '.join(pins + nets)});",
                f"  assign total = {signs[0]}total_pin;",
                f"  assign carry = {signs[1]}carry_pin;",
            ]
            return cell.area_um2, lines
    return None
