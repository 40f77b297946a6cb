# SPDX-License-Identifier: Apache-2.0
"""What the builders of all kinds of arrays share: the streams, lines of flags, and lines of registers."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Signal

from hwsim.datapath.array import ArrayGeometry
from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.cell import place
from rtl.datapath.step import Resolve, register_of_code
from rtl.pipelining import Pipelined

__all__ = [
    "Frame",
    "named",
]


@dataclass(frozen=True, slots=True)
class Frame:
    """An array under construction.

    geometry, unit, architecture : as of `rtl.arrays.array`
    element : the unit of a processing element
    m : the module
    i, o : the streams
    moves : the clock enable of everything
    ahead, behind : ranks of registers of a unit in front of its accumulator, and behind it (`step_ranks`)
    """

    geometry: ArrayGeometry
    unit: DotProductUnit
    architecture: Architecture
    element: DotProductUnit
    m: Module
    i: Any
    o: Any
    moves: Signal
    ahead: int
    behind: int

    def line(self, enters: Any, stages: int, name: str) -> list[Any]:
        """Send a flag down registers that a reset clears; return the flag at the entry and after each stage."""
        places = [named(self.m, enters, f"{name}_in")]
        for stage in range(stages):
            flag = Signal(name=f"{name}_{stage}")
            with self.m.If(self.moves):
                self.m.d.sync += flag.eq(places[-1])
            places.append(flag)
        return places

    def delayed(self, value: Any, cycles: int, name: str) -> Any:
        """Return a value some enabled cycles later; its registers have no reset."""
        for cycle in range(cycles):
            held = Signal(len(value), name=f"{name}_{cycle}", reset_less=True)
            with self.m.If(self.moves):
                self.m.d.sync += held.eq(value)
            value = held
        return value

    def starts(self) -> list[Any]:
        """Return the register that each column's sum starts from: of c, or 0."""
        columns = self.geometry.columns
        if not self.geometry.partial_sums:
            return [register_of_code(self.element, self.architecture, 0)] * columns
        bits = len(self.i.p.c) // columns
        codes = [self.i.p.c[column * bits : (column + 1) * bits] for column in range(columns)]
        return [register_of_code(self.element, self.architecture, code) for code in codes]

    def resolved(self, registers: list[Any]) -> list[Any]:
        """Return the output code of each column's register."""
        outputs = []
        for column, register in enumerate(registers):
            resolve: Any = Resolve(self.element, self.architecture)
            if self.behind:
                self.m.submodules[f"resolve_c{column}"] = resolve = Pipelined(resolve, self.behind)
                self.m.d.comb += resolve.en.eq(self.moves)
            else:
                place(self.m, resolve, f"resolve_c{column}")
            self.m.d.comb += resolve.register.eq(register)
            outputs.append(named(self.m, resolve.d, f"d_c{column}"))
        return outputs

    def leave(self, outputs: list[Any], valid: Any, last: Any) -> None:
        """Connect the output stream, of which `valid` and `last` come with the registers."""
        valid, last = (self.line(flag, self.behind, name)[-1] for flag, name in ((valid, "valid"), (last, "ends")))
        self.m.d.comb += [self.o.p.d.eq(Cat(outputs)), self.o.valid.eq(valid), self.o.p.last.eq(last)]


def named(m: Module, value: Any, name: str) -> Signal:
    """Return a net of this name, so that the Verilog has it."""
    net = Signal(len(value), name=name)
    m.d.comb += net.eq(value)
    return net
