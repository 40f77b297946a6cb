# SPDX-License-Identifier: Apache-2.0
"""Parts with registers: one Verilog module for all elements of an array, instead of a copy for each."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, Value
from amaranth.lib.wiring import In

from rtl.part import Boxes, Part

__all__ = [
    "Cell",
    "place",
]


class Cell(Part):
    """A part whose registers have no reset, with a clock among its ports; all of a class in an array are equal.

    Whoever holds it adds it by `place`, which connects the clock. Simulated, it is in the domain ``sync`` of its
    surroundings.

    Parameters
    ----------
    ports : dict
        Besides the clock.
    """

    latency = 1
    shared = True

    def __init__(self, ports: dict[str, Any]) -> None:
        self._boxed = False
        super().__init__({"clk": In(1)} | ports)

    def elaborate(self, platform: Any) -> Module | Instance:
        """Return an instance of the cell's module, or for a simulation what is in it."""
        self._boxed = isinstance(platform, Boxes)
        return super().elaborate(platform)

    def _module(self) -> Module:
        """Return an empty module in which ``sync`` is the clock of the ports."""
        m = Module()
        if self._boxed:
            m.domains.sync = domain = ClockDomain("sync", reset_less=True)
            domain.clk = self.clk
        return m


def place(m: Module, part: Part, name: str) -> None:
    """Make a part a submodule, whose ports leave the names of nets to those that they are connected to."""
    m.submodules[name] = part
    for _, _, port in part.signature.flatten(part):
        Value.cast(port).name = ""  # no name: of several, Yosys keeps the first in the alphabet
    if isinstance(part, Cell):
        m.d.comb += part.clk.eq(ClockSignal())
