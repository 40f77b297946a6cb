# SPDX-License-Identifier: Apache-2.0
"""I-ViT's integer GELU over a vector: largest element, then a division for each."""

from typing import Any, Self

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.layers.specs import FACTOR, ShiftGeluSpec
from rtl.neighbours.divider import Divider
from rtl.neighbours.exponential import ShiftExponential
from rtl.neighbours.vector import Counter, keep_largest, limited, vector_memory

__all__ = [
    "ShiftGelu",
]


class ShiftGelu(wiring.Component):
    """Take a vector, and give its integer GELU, as `hwsim.datapath.layers.shift_gelu` does.

    Parameters
    ----------
    spec : ShiftGeluSpec

    Members
    -------
    unit : In, ``spec.unit_bits`` bits
        ``ceil(1 / (1.702 * scale))``, not 0; the same from a vector's first element to its last result.
    i : In, stream of signed elements of ``spec.bits`` bits
        ``spec.length`` make a vector.
    o : Out, stream of signed results of ``spec.product_bits`` bits
        In units of ``scale * 2**-(code_bits - 1)``.

    Attributes
    ----------
    interval : int
        Cycles from one result to the next, where nothing waits; the first comes one more than that behind the vector's
        last element. `i` is not ready while the results go out.
    """

    def __new__(cls, spec: ShiftGeluSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        if not isinstance(spec, ShiftGeluSpec):
            raise TypeError(f"spec must be a ShiftGeluSpec, not {spec!r}")
        made: Self = super().__new__(cls, spec)
        return made

    def __init__(self, spec: ShiftGeluSpec) -> None:
        self.spec = spec
        self._divider = Divider(31, 31)
        self.interval = self._divider.latency + 3
        super().__init__(
            {
                "unit": In(spec.unit_bits),
                "i": In(stream.Signature(signed(spec.bits))),
                "o": Out(stream.Signature(signed(spec.product_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Find the maximum, the power of its opposite, and then a sigmoid after the other."""
        m = Module()
        spec = self.spec
        counter = Counter(spec.length)
        write, read = vector_memory(m, signed(spec.bits), spec.length, counter)
        m.submodules.exponential = exponential = ShiftExponential(spec.bits, spec.unit_bits, spec.steps)
        m.submodules.divider = divider = self._divider
        largest = Signal(signed(spec.bits), name="largest", reset_less=True)
        of_zero = Signal(31, name="of_zero", reset_less=True)
        power = Signal(31, name="power", reset_less=True)
        total = Signal(31, name="total", reset_less=True)
        sigmoid = Signal(spec.code_bits - 1, name="sigmoid", reset_less=True)
        zero = Signal(name="zero")
        summed = Signal(32, name="summed")
        product = Signal(31, name="product")
        capped = limited(m, exponential.power, "capped")
        m.d.comb += [
            write.data.eq(self.i.p),
            exponential.distance.eq(largest - Mux(zero, 0, read.data)),
            exponential.unit.eq(self.unit),
            divider.i.p.dividend.eq(FACTOR),
            divider.i.p.divisor.eq(total),
            summed.eq(capped + of_zero),
            # No power is above the sum, so no product is above 2**31 - 1.
            product.eq(power * divider.o.p.quotient),
            self.o.p.eq(read.data * sigmoid),
        ]
        with m.FSM(name="state"):
            with m.State("LOAD"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.comb += write.en.eq(1)
                    keep_largest(m, largest, self.i.p, counter.index == 0, 0)
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "ZERO"
            with m.State("ZERO"):
                m.d.comb += zero.eq(1)
                m.d.sync += of_zero.eq(capped)
                m.next = "POWER"
            with m.State("POWER"):
                m.d.sync += [power.eq(capped), total.eq(limited(m, summed, "total_of_both"))]
                m.next = "DIVIDE"
            with m.State("DIVIDE"):
                m.d.comb += divider.i.valid.eq(1)
                with m.If(divider.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += divider.o.ready.eq(1)
                m.d.sync += sigmoid.eq(product >> (32 - spec.code_bits))
                with m.If(divider.o.valid):
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "LOAD"
                    with m.Else():
                        m.next = "POWER"
        return m
