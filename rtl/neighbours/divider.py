# SPDX-License-Identifier: Apache-2.0
"""Division and the square root of integers, a bit of the quotient a cycle."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "Divider",
    "NewtonRoot",
    "answer_layout",
    "request_layout",
]


def request_layout(dividend_bits: int, divisor_bits: int) -> data.StructLayout:
    """Return what a divider takes."""
    return data.StructLayout({"dividend": dividend_bits, "divisor": divisor_bits})


def answer_layout(dividend_bits: int, divisor_bits: int) -> data.StructLayout:
    """Return what a divider gives."""
    return data.StructLayout({"quotient": dividend_bits, "remainder": divisor_bits})


class Divider(wiring.Component):
    """Divide unsigned integers by restoring long division.

    Parameters
    ----------
    dividend_bits, divisor_bits : int

    Members
    -------
    i : In, stream of dividend and divisor
        The divisor is not 0 (of 0, the quotient is all ones, the remainder the low bits of the dividend).
    o : Out, stream of quotient and remainder

    Attributes
    ----------
    latency : int
        Cycles from an accepted `i` to a valid `o`: as many as the dividend has bits, and one. Throughput: `i` is ready
        again in the cycle after `o` is taken.
    """

    def __init__(self, dividend_bits: int, divisor_bits: int) -> None:
        self.latency = dividend_bits + 1
        super().__init__(
            {
                "i": In(stream.Signature(request_layout(dividend_bits, divisor_bits))),
                "o": Out(stream.Signature(answer_layout(dividend_bits, divisor_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Shift the dividend out at its top, and the quotient in at its bottom."""
        m = Module()
        bits = len(self.i.p.dividend)
        word = Signal(bits, name="word", reset_less=True)
        rest = Signal(len(self.i.p.divisor), name="rest", reset_less=True)
        divisor = Signal(len(self.i.p.divisor), name="divisor", reset_less=True)
        left = Signal(range(bits + 1), name="left")
        busy = Signal(name="busy")
        trial = Cat(word[-1], rest)
        difference = Signal(len(rest) + 2, name="difference")
        digit = ~difference[-1]
        m.d.comb += [
            difference.eq(trial - divisor),
            self.i.ready.eq(~busy),
            self.o.valid.eq(busy & (left == 0)),
            self.o.p.quotient.eq(word),
            self.o.p.remainder.eq(rest),
        ]
        with m.If(~busy):
            m.d.sync += [word.eq(self.i.p.dividend), divisor.eq(self.i.p.divisor), rest.eq(0), left.eq(bits)]
            m.d.sync += busy.eq(self.i.valid)
        with m.Elif(left != 0):
            m.d.sync += [word.eq(Cat(digit, word[:-1])), rest.eq(Mux(digit, difference, trial)), left.eq(left - 1)]
        with m.Elif(self.o.ready):
            m.d.sync += busy.eq(0)
        return m


class NewtonRoot(wiring.Component):
    """Find about the root of an integer by a fixed number of Newton's steps, with a divider outside.

    Parameters
    ----------
    value_bits, root_bits : int
        Of the value, and of any root on the way.
    start_bits : int
        The first root is ``2**start_bits``.
    iterations : int

    Members
    -------
    i : In, stream of values
    o : Out, stream of roots
        As `hwsim.datapath.layers.newton_root`.
    request, answer : Out and In, streams to and from a `Divider`
        Of value_bits by root_bits.

    Latency: for each iteration that of the divider and one cycle, and one cycle more.
    """

    def __init__(self, value_bits: int, root_bits: int, start_bits: int, iterations: int) -> None:
        self._start, self._iterations = start_bits, iterations
        super().__init__(
            {
                "i": In(stream.Signature(value_bits)),
                "o": Out(stream.Signature(root_bits)),
                "request": Out(stream.Signature(request_layout(value_bits, root_bits))),
                "answer": In(stream.Signature(answer_layout(value_bits, root_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Take the mean of the root and the quotient, again and again."""
        m = Module()
        value = Signal(len(self.i.p), name="value", reset_less=True)
        root = Signal(len(self.o.p), name="root", reset_less=True)
        left = Signal(range(self._iterations + 1), name="left", reset_less=True)
        m.d.comb += [
            self.request.p.dividend.eq(value),
            self.request.p.divisor.eq(root),
            self.o.p.eq(root),
        ]
        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [value.eq(self.i.p), root.eq(Const(1 << self._start)), left.eq(self._iterations)]
                with m.If(self.i.valid):
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.next = "IMPROVE"
            with m.State("IMPROVE"):
                m.d.comb += self.answer.ready.eq(1)
                with m.If(self.answer.valid):
                    m.d.sync += [root.eq((root + self.answer.p.quotient) >> 1), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "DONE"
                    with m.Else():
                        m.next = "ASK"
            with m.State("DONE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
