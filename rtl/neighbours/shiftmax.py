# SPDX-License-Identifier: Apache-2.0
"""I-ViT's integer softmax over a vector: largest element, sum of powers, one division, products."""

from typing import Any, Self

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.layers.specs import FACTOR, ShiftmaxSpec
from rtl.neighbours.divider import Divider
from rtl.neighbours.exponential import ShiftExponential
from rtl.neighbours.vector import Counter, keep_largest, limited, vector_memory

__all__ = [
    "Shiftmax",
]


class Shiftmax(wiring.Component):
    """Take a vector, and give its integer softmax, as `hwsim.datapath.layers.shiftmax` does.

    Parameters
    ----------
    spec : ShiftmaxSpec

    Members
    -------
    unit : In, ``spec.unit_bits`` bits
        ``ceil(1 / scale)``, not 0; the same from a vector's first element to its last result.
    i : In, stream of signed elements of ``spec.bits`` bits
        ``spec.length`` make a vector.
    o : Out, stream of unsigned results of ``spec.code_bits - 1`` bits
        In units of ``2**-(code_bits - 1)``.

    Attributes
    ----------
    latency : int
        Cycles from a vector's last element to its first result. Throughput: a vector in ``3 * length`` cycles and those
        of the division; `i` is not ready while the results go out.
    """

    def __new__(cls, spec: ShiftmaxSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        if not isinstance(spec, ShiftmaxSpec):
            raise TypeError(f"spec must be a ShiftmaxSpec, not {spec!r}")
        made: Self = super().__new__(cls, spec)
        return made

    def __init__(self, spec: ShiftmaxSpec) -> None:
        self.spec = spec
        self._divider = Divider(31, 31)
        self.latency = spec.length + self._divider.latency + 4
        super().__init__(
            {
                "unit": In(spec.unit_bits),
                "i": In(stream.Signature(signed(spec.bits))),
                "o": Out(stream.Signature(spec.code_bits - 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Pass over the vector three times: maximum, sum, results."""
        m = Module()
        spec = self.spec
        counter = Counter(spec.length)
        write, read = vector_memory(m, signed(spec.bits), spec.length, counter)
        m.submodules.exponential = exponential = ShiftExponential(spec.bits, spec.unit_bits, spec.steps)
        m.submodules.divider = divider = self._divider
        largest = Signal(signed(spec.bits), name="largest", reset_less=True)
        power = Signal(31, name="power", reset_less=True)
        held = Signal(name="held")
        total = Signal(31, name="total", reset_less=True)
        factor = Signal(31, name="factor", reset_less=True)
        summed = Signal(32, name="summed")
        product = Signal(31, name="product")
        m.d.comb += [
            write.data.eq(self.i.p),
            exponential.distance.eq(largest - read.data),
            exponential.unit.eq(self.unit),
            divider.i.p.dividend.eq(FACTOR),
            divider.i.p.divisor.eq(total),
            summed.eq(total + power),
            # No power is above the sum, so no product is above 2**31 - 1.
            product.eq(power * factor),
            self.o.p.eq(product >> (32 - spec.code_bits)),
        ]
        capped = limited(m, exponential.power, "capped")
        with m.FSM(name="state"):
            with m.State("LOAD"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [total.eq(0), held.eq(0)]
                with m.If(self.i.valid):
                    m.d.comb += write.en.eq(1)
                    keep_largest(m, largest, self.i.p, counter.index == 0, None)
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += [power.eq(capped), held.eq(1)]
                counter.step(m)
                with m.If(held):
                    m.d.sync += total.eq(limited(m, summed, "total_so_far"))
                with m.If(counter.last):
                    m.next = "LAST"
            with m.State("LAST"):
                m.d.sync += [total.eq(limited(m, summed, "total_of_all")), held.eq(0)]
                m.next = "DIVIDE"
            with m.State("DIVIDE"):
                m.d.comb += divider.i.valid.eq(1)
                with m.If(divider.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += divider.o.ready.eq(1)
                m.d.sync += factor.eq(divider.o.p.quotient)
                with m.If(divider.o.valid):
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += self.o.valid.eq(held)
                with m.If(~held | self.o.ready):
                    m.d.sync += [power.eq(capped), held.eq(1)]
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "LOAD"
        return m
