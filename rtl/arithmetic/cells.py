# SPDX-License-Identifier: Apache-2.0
"""Full and half adders as modules of their own, so that a synthesis flow can take the library's cells for them."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from rtl.part import Part

__all__ = [
    "FullAdder",
    "HalfAdder",
]


class FullAdder(Part):
    """
    Add three bits.

    Members
    -------
    a, b, c : In, 1 bit
    total : Out, 1 bit
        The place of the inputs.
    carry : Out, 1 bit
        The place above.

    Latency: none, combinational.
    """

    shared = True

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": In(1), "c": In(1), "total": Out(1), "carry": Out(1)})

    def _module_name(self) -> str:
        return "full_adder"

    def _build(self) -> Module:
        m = Module()
        m.d.comb += [
            self.total.eq(self.a ^ self.b ^ self.c),
            self.carry.eq((self.a & self.b) | (self.c & (self.a ^ self.b))),
        ]
        return m


class HalfAdder(Part):
    """
    Add two bits.

    Members
    -------
    a, b : In, 1 bit
    total : Out, 1 bit
        The place of the inputs.
    carry : Out, 1 bit
        The place above.

    Latency: none, combinational.
    """

    shared = True

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": In(1), "total": Out(1), "carry": Out(1)})

    def _module_name(self) -> str:
        return "half_adder"

    def _build(self) -> Module:
        m = Module()
        m.d.comb += [self.total.eq(self.a ^ self.b), self.carry.eq(self.a & self.b)]
        return m
