# SPDX-License-Identifier: Apache-2.0
"""I-ViT's integer layer normalization over a vector: mean, sum of squares, root, reciprocal, products."""

from typing import Any, Self

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.layers.specs import FACTOR, LayerNormSpec
from rtl.neighbours.divider import Divider, NewtonRoot
from rtl.neighbours.vector import Counter, vector_memory

__all__ = [
    "LayerNorm",
    "element_layout",
]


def element_layout(spec: LayerNormSpec) -> data.StructLayout:
    """Return an element, with its bias where there are any."""
    bias = {"bias": signed(spec.bias_bits)} if spec.bias_bits else {}
    return data.StructLayout({"value": signed(spec.bits)} | bias)


class LayerNorm(wiring.Component):
    """Take a vector, and give it normalized, as `hwsim.datapath.layers.layer_norm` does.

    Parameters
    ----------
    spec : LayerNormSpec

    Members
    -------
    i : In, stream of elements, a struct of value and, where there are any, bias
        ``spec.length`` make a vector.
    o : Out, stream of signed results of ``spec.sum_bits`` bits

    Attributes
    ----------
    latency : int
        Cycles from a vector's last element to its first result. Throughput: `i` is not ready while the results go out,
        one a cycle.
    """

    def __new__(cls, spec: LayerNormSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        if not isinstance(spec, LayerNormSpec):
            raise TypeError(f"spec must be a LayerNormSpec, not {spec!r}")
        made: Self = super().__new__(cls, spec)
        return made

    def __init__(self, spec: LayerNormSpec) -> None:
        self.spec = spec
        self._total_bits = spec.bits + (spec.length - 1).bit_length()
        dividend_bits = max(self._total_bits, spec.square_bits, 31)
        divisor_bits = max(spec.length.bit_length(), spec.root_bits)
        self._divider = Divider(dividend_bits, divisor_bits)
        self._root = NewtonRoot(dividend_bits, divisor_bits, spec.start_bits, spec.iterations)
        division = self._divider.latency + 1
        self.latency = spec.length + division * (spec.iterations + 2) + 5
        super().__init__(
            {
                "i": In(stream.Signature(element_layout(spec))),
                "o": Out(stream.Signature(signed(spec.sum_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Pass over the vector three times: sum, sum of squares, results; with one divider for all quotients."""
        m = Module()
        spec = self.spec
        counter = Counter(spec.length)
        write, read = vector_memory(m, element_layout(spec), spec.length, counter)
        m.submodules.divider = divider = self._divider
        m.submodules.root = root = self._root
        total = Signal(signed(self._total_bits + 1), name="total", reset_less=True)
        mean = Signal(signed(spec.bits), name="mean", reset_less=True)
        squares = Signal(spec.square_bits, name="squares", reset_less=True)
        centred = Signal(signed(spec.bits + 1), name="centred", reset_less=True)
        bias = Signal(signed(max(spec.bias_bits, 1)), name="bias", reset_less=True)
        factor = Signal(spec.factor_bits, name="factor", reset_less=True)
        held = Signal(name="held")
        m.d.comb += [
            write.data.eq(self.i.p),
            root.i.p.eq(squares),
            self.o.p.eq(((centred * factor) >> 1) + (bias if spec.bias_bits else 0)),
        ]
        rounded = self._rounded_mean(m, total)
        following = [centred.eq(read.data.value - mean), held.eq(1)]
        if spec.bias_bits:
            following.append(bias.eq(read.data.bias))
        with m.FSM(name="state"):
            with m.State("LOAD"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [squares.eq(0), held.eq(0)]
                with m.If(self.i.valid):
                    m.d.comb += write.en.eq(1)
                    m.d.sync += total.eq(Mux(counter.index == 0, 0, total) + self.i.p.value)
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "MEAN"
            with m.State("MEAN"):
                self._ask(m, Mux(total < 0, -total, total), spec.length)
                with m.If(divider.i.ready):
                    m.next = "MEAN_FOUND"
            with m.State("MEAN_FOUND"):
                m.d.comb += divider.o.ready.eq(1)
                m.d.sync += mean.eq(rounded)
                with m.If(divider.o.valid):
                    m.next = "SQUARES"
            with m.State("SQUARES"):
                m.d.sync += following
                counter.step(m)
                with m.If(held):
                    m.d.sync += squares.eq(squares + centred * centred)
                with m.If(counter.last):
                    m.next = "LAST_SQUARE"
            with m.State("LAST_SQUARE"):
                m.d.sync += [squares.eq(squares + centred * centred), held.eq(0)]
                m.next = "ROOT"
            self._reciprocal(m, root, factor)
            with m.State("GIVE"):
                m.d.comb += self.o.valid.eq(held)
                with m.If(~held | self.o.ready):
                    m.d.sync += following
                    counter.step(m)
                    with m.If(counter.last):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "LOAD"
        return m

    def _reciprocal(self, m: Module, root: NewtonRoot, factor: Any) -> None:
        """Add the states that find the root of the sum of squares, and its reciprocal."""
        divider = self._divider
        with m.State("ROOT"):
            m.d.comb += root.i.valid.eq(1)
            m.next = "ROOT_FOUND"
        with m.State("ROOT_FOUND"):
            m.d.comb += [
                divider.i.p.eq(root.request.p),
                divider.i.valid.eq(root.request.valid),
                root.request.ready.eq(divider.i.ready),
                root.answer.p.eq(divider.o.p),
                root.answer.valid.eq(divider.o.valid),
                divider.o.ready.eq(root.answer.ready),
            ]
            with m.If(root.o.valid):
                m.next = "FACTOR"
        with m.State("FACTOR"):
            self._ask(m, FACTOR, root.o.p)
            m.d.comb += root.o.ready.eq(1)
            m.next = "FACTOR_FOUND"
        with m.State("FACTOR_FOUND"):
            m.d.comb += divider.o.ready.eq(1)
            m.d.sync += factor.eq(divider.o.p.quotient)
            with m.If(divider.o.valid):
                m.next = "GIVE"

    def _ask(self, m: Module, dividend: Any, divisor: Any) -> None:
        """Put a division to the divider."""
        divider = self._divider
        m.d.comb += [divider.i.p.dividend.eq(dividend), divider.i.p.divisor.eq(divisor), divider.i.valid.eq(1)]

    def _rounded_mean(self, m: Module, total: Any) -> Any:
        """Return the quotient that the divider has, rounded to nearest even, with the sum's sign."""
        answer = self._divider.o.p
        twice = Cat(0, answer.remainder)
        magnitude = Signal(self.spec.bits + 1, name="mean_magnitude")
        above = twice > self.spec.length
        tie = twice == self.spec.length
        m.d.comb += magnitude.eq(answer.quotient + (above | (tie & answer.quotient[0])))
        return Mux(total < 0, -magnitude, magnitude)
