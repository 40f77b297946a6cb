# SPDX-License-Identifier: Apache-2.0
"""Processing elements: a step of the unit, and the registers that the kinds of arrays keep around it."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arrays.cell import Cell
from rtl.arrays.layouts import word_bits
from rtl.datapath.pipelined_step import placed_step
from rtl.datapath.step import register_of_code, step_register_layout

__all__ = [
    "OutputElement",
    "PassingElement",
    "TreeElement",
    "connect_words",
]


def connect_words(m: Module, step: Any, unit: DotProductUnit, a: Any, b: Any) -> None:
    """Give a step its operands, each a word of codes and scale."""
    for name, word, element in (("a", a, unit.element_a), ("b", b, unit.element_b)):
        bits = unit.lanes * element.bits
        m.d.comb += getattr(step, name).eq(word[:bits])
        if len(word) > bits:
            m.d.comb += getattr(step, f"scale_{name}").eq(word[bits:])


class OutputElement(Cell):
    """An element that keeps its output: two operand registers and the accumulator.

    Parameters
    ----------
    unit : DotProductUnit
        Of a step.
    architecture : Architecture
    ahead : int
        Ranks of registers in a step, in front of the accumulator; `step` and `first` come as many cycles later.
    passing : bool
        Whether it has the operand registers, and passes them on (systolic), rather than taking its operands as they
        are (broadcast).

    Members
    -------
    clk, en : In
        Clock, and its enable for all registers.
    step, first : In
        The operands that it holds (or that are there) are a step; of a sum that starts at 0.
    shift : In
        The accumulator takes `above` instead.
    a, b : In, a word
    above : In, the accumulator of the element above
    a_next, b_next : Out, a word
        The operand registers; where it has them.
    register : Out, the accumulator
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture, ahead: int = 0, *, passing: bool) -> None:
        self.spec = unit
        self._architecture = architecture
        self._ahead = ahead
        self._passing = passing
        size = step_register_layout(unit, architecture).size
        bits = {name: word_bits(unit, name) for name in ("a", "b")}
        ports: dict[str, Any] = {name: In(1) for name in ("en", "step", "first", "shift")}
        ports |= {name: In(width) for name, width in bits.items()}
        if passing:
            ports |= {f"{name}_next": Out(width) for name, width in bits.items()}
        super().__init__(ports | {"above": In(size), "register": Out(size)})

    def _module_name(self) -> str:
        return "element"

    def _build(self) -> Module:
        m = self._module()
        unit = self.spec
        operands = (self.a, self.b)
        if self._passing:
            operands = tuple(
                Signal(len(word), name=f"{name}_held", reset_less=True) for name, word in (("a", self.a), ("b", self.b))
            )
            m.d.comb += [self.a_next.eq(operands[0]), self.b_next.eq(operands[1])]
            with m.If(self.en):
                m.d.sync += [operands[0].eq(self.a), operands[1].eq(self.b)]
        step = placed_step(m, unit, self._architecture, self._ahead, self.en)
        accumulator = Signal(len(self.register), name="accumulator", reset_less=True)
        connect_words(m, step, unit, *operands)
        m.d.comb += [
            step.register.eq(Mux(self.first, register_of_code(unit, self._architecture, 0), accumulator)),
            self.register.eq(accumulator),
        ]
        with m.If(self.en & (self.step | self.shift)):
            m.d.sync += accumulator.eq(Mux(self.shift, self.above, step.following))
        return m


class PassingElement(Cell):
    """An element that keeps an operand and passes the sum on: two registers for the one that stays, one to stream.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture
    ahead : int
        Ranks of registers in a step, in front of the sum; `above` comes as many cycles later.
    stays : str
        ``"a"`` or ``"b"``, the operand that stays.

    Members
    -------
    clk, en : In
        Clock, and its enable for all registers.
    load : In
        The register for the operand to come takes `kept`.
    swap : In
        The operand to come is taken into use.
    stream, kept : In, a word
        Of the operand that streams, from the left; of the one that stays, from above.
    above : In, the sum of the element above
    stream_next, kept_next : Out, a word
        What the neighbours get.
    register : Out, the sum
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture, ahead: int = 0, *, stays: str) -> None:
        self.spec = unit
        self._architecture = architecture
        self._ahead = ahead
        self._stays = stays
        size = step_register_layout(unit, architecture).size
        kept, stream = word_bits(unit, stays), word_bits(unit, "a" if stays == "b" else "b")
        ports: dict[str, Any] = {name: In(1) for name in ("en", "load", "swap")}
        ports |= {"stream": In(stream), "kept": In(kept), "stream_next": Out(stream), "kept_next": Out(kept)}
        super().__init__(ports | {"above": In(size), "register": Out(size)})

    def _module_name(self) -> str:
        return "element"

    def _build(self) -> Module:
        m = self._module()
        held = Signal(len(self.stream), name="held", reset_less=True)
        coming = Signal(len(self.kept), name="coming", reset_less=True)
        used = Signal(len(self.kept), name="used", reset_less=True)
        total = Signal(len(self.register), name="sum", reset_less=True)
        step = placed_step(m, self.spec, self._architecture, self._ahead, self.en)
        a, b = (used, held) if self._stays == "a" else (held, used)
        connect_words(m, step, self.spec, a, b)
        m.d.comb += [
            step.register.eq(self.above),
            self.stream_next.eq(held),
            self.kept_next.eq(coming),
            self.register.eq(total),
        ]
        with m.If(self.en):
            m.d.sync += [held.eq(self.stream), total.eq(step.following)]
        with m.If(self.en & self.load):
            m.d.sync += coming.eq(self.kept)
        with m.If(self.en & self.swap):
            m.d.sync += used.eq(coming)
        return m


class TreeElement(Cell):
    """A column of an adder tree: an operand that stays, for all rows, one step over them, and the sum's register.

    Parameters
    ----------
    unit : DotProductUnit
        Of the array's rows together (`ArrayGeometry.element`).
    architecture : Architecture
    ahead : int
        Ranks of registers in a step, in front of the sum; `start` comes as many cycles later.
    rows : int

    Members
    -------
    clk, en : In
        Clock, and its enable for all registers.
    load : In
        A row of the operand to come moves down, and `kept` is its row 0.
    swap : In
        The operand to come is taken into use.
    stream : In, the codes of all rows, their scale above them
    kept : In, the codes of a row
    kept_scale : In, their scale
        For all rows that of the last one loaded; where the operand has one.
    start : In, the register that the sum starts from
    register : Out, the sum
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture, ahead: int = 0, *, rows: int) -> None:
        self.spec = unit
        self._architecture = architecture
        self._ahead = ahead
        self._bits = unit.lanes // rows * unit.element_b.bits
        size = step_register_layout(unit, architecture).size
        ports: dict[str, Any] = {name: In(1) for name in ("en", "load", "swap")}
        ports |= {"stream": In(word_bits(unit, "a")), "kept": In(self._bits), "start": In(size), "register": Out(size)}
        if unit.scale_b is not None:
            ports["kept_scale"] = In(unit.scale_b.bits)
        super().__init__(ports)

    def _module_name(self) -> str:
        return "element"

    def _build(self) -> Module:
        m = self._module()
        unit = self.spec
        codes = unit.lanes * unit.element_b.bits
        coming = Signal(word_bits(unit, "b"), name="coming", reset_less=True)
        used = Signal(len(coming), name="used", reset_less=True)
        total = Signal(len(self.register), name="sum", reset_less=True)
        step = placed_step(m, unit, self._architecture, self._ahead, self.en)
        connect_words(m, step, unit, self.stream, used)
        m.d.comb += [step.register.eq(self.start), self.register.eq(total)]
        scale = [] if unit.scale_b is None else [self.kept_scale]
        with m.If(self.en):
            m.d.sync += total.eq(step.following)
        with m.If(self.en & self.load):
            m.d.sync += coming.eq(Cat(self.kept, coming[: codes - self._bits], *scale))
        with m.If(self.en & self.swap):
            m.d.sync += used.eq(coming)
        return m
