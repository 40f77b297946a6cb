# SPDX-License-Identifier: Apache-2.0
"""How long a design takes to simulate, roughly: which simulator is done first."""

import re
from functools import cache

from testbenches.design import Design

__all__ = [
    "compiled_is_quicker",
    "rows_within",
    "seconds_in_icarus",
    "statements",
]

_MODULE = re.compile(r"^[ \t]*module\s+(\\?[^\s(]+)(.*?)^[ \t]*endmodule\b", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^[ \t]*(\\?[^\s(]+)\s+\\?[^\s(]+\s*\(\s*\.", re.MULTILINE)


def statements(design: Design) -> int:
    """Count the statements of a design, those of each module as often as it is instantiated.

    Parameters
    ----------
    design : Design
        The design.

    Returns
    -------
    int
        Semicolons: an estimate, good enough to choose a simulator.
    """
    modules = {match[1]: match[2] for _, text in design.sources for match in _MODULE.finditer(text)}

    @cache
    def count(name: str) -> int:
        body = modules.get(name, "")
        return body.count(";") + sum(count(inner) for inner in _INSTANCE.findall(body) if inner in modules)

    return count(design.top)


def compiled_is_quicker(design: Design, rows: int) -> bool:
    """Guess whether Verilator, with its build, is done before Icarus Verilog.

    Parameters
    ----------
    design : Design
        The design.
    rows : int
        Rows of its stimulus.

    Returns
    -------
    bool
        By the seconds that eleven units of 1 to 32 lanes and two netlists took on one core, within a factor of three.
    """
    compiled = 6 + 1e-3 * statements(design) + rows * 60e-6
    return compiled < seconds_in_icarus(design, rows)


def seconds_in_icarus(design: Design, rows: int) -> float:
    """Guess how many seconds Icarus Verilog takes for rows, each once, within a factor of three."""
    # Wide nets settle in many steps, the bits of a netlist are events of their own.
    events = 0.15 if design.mapped else 0.05 + design.ports.row_bits / 500
    return rows * (40 + statements(design) * events) * 1e-6


def rows_within(design: Design, seconds: float) -> int:
    """Return how many rows, each once, Icarus Verilog is guessed to do in `seconds`."""
    return int(seconds / seconds_in_icarus(design, 1))
