# SPDX-License-Identifier: Apache-2.0
"""Dot products whose partial products of one weight are added on their own, and shifted once at the end.

Source: TPE (arXiv:2503.06342), OPT2, same-bit-weight reduction; the sums in carry-save form as in OPT1.
"""

from typing import Any, Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from hwsim.formats import IntegerSpec
from rtl.architecture import Adder
from rtl.arithmetic.heap import Heap
from rtl.datapath.dot_product import row_fields
from rtl.units.bit_serial import check_integers
from rtl.units.bit_slice_digits import DigitEncoder, Encoding, check_encoding, digit_count

__all__ = [
    "SameWeightCore",
]


class SameWeightCore(wiring.Component):
    """
    Add, for each place of a's digits, the multiples of all lanes; the core of `rtl.units.step_core.Streams`.

    The sum of weight ``4**w`` wraps with ``2 * w`` bits less than the register has: shifted, they are past its end.

    Parameters
    ----------
    unit : DotProductUnit
        Of integers, with an integer register that wraps and is the output.
    encoding : {"booth", "en_t"}
        Of a's digits.
    adder : str
        Of the one carry-propagate adder behind the sums; as `rtl.architecture.Architecture`.

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, first, last : In, 1 bit
        There is a row; it starts from `c`; it ends a dot product.
    a, b : In, ``lanes`` codes
        Lane 0 at bit 0.
    c : In, d : Out, a code of the register
    ready : Out, 1 bit
        Always 1.
    d_valid : Out, 1 bit

    Attributes
    ----------
    latency, longest_latency : int
        2 enabled cycles from a row with `last` to its `d`. Throughput: one row an enabled cycle.
    full_rate : bool
        Always.
    """

    latency = 2
    longest_latency = 2
    full_rate = True

    def __new__(cls, unit: DotProductUnit, encoding: Encoding = "booth", adder: Adder = "tool") -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_integers(unit)
        check_encoding(encoding)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, unit: DotProductUnit, encoding: Encoding = "booth", adder: Adder = "tool") -> None:
        self.spec = unit
        self.row_fields = row_fields(unit)
        self._encoding, self._adder = encoding, adder
        ports = {name: In(bits) for name, bits in ({"en": 1, "valid": 1} | self.row_fields).items()}
        super().__init__(ports | {"ready": Out(1), "d": Out(unit.accumulator.bits), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Encode, add weight by weight, and behind the last row add the weights."""
        m = Module()
        unit, bits = self.spec, len(self.d)
        assert isinstance(unit.a, IntegerSpec)
        assert isinstance(unit.b, IntegerSpec)
        encoders = [DigitEncoder(unit.a.bits, unit.a.signed, self._encoding) for _ in range(unit.lanes)]
        for lane, encoder in enumerate(encoders):
            m.submodules[f"encoder_{lane}"] = encoder
            m.d.comb += encoder.value.eq(self.a.word_select(lane, unit.a.bits))
        whole = Heap(bits)
        for weight in range(digit_count(unit.a.bits, unit.a.signed)):
            if 2 * weight < bits:
                for row in self._weight(m, weight, encoders):
                    whole.add(row, 2 * weight)
        out = Signal(bits, name="out", reset_less=True)
        ending, done = Signal(name="ending"), Signal(name="done")
        with m.If(self.en):
            m.d.sync += [
                ending.eq(self.valid & self.last),
                done.eq(ending),
                out.eq(whole.total(m, "weights", self._adder)),
            ]
        m.d.comb += [self.ready.eq(1), self.d.eq(out), self.d_valid.eq(done)]
        return m

    def _weight(self, m: Module, weight: int, encoders: list[DigitEncoder]) -> tuple[Any, Any]:
        """Return the two registers of the sum of a weight."""
        unit = self.spec
        assert isinstance(unit.b, IntegerSpec)
        bits = len(self.d) - 2 * weight
        total = Signal(bits, name=f"total_{weight}", reset_less=True)
        carries = Signal(bits, name=f"carries_{weight}", reset_less=True)
        heap = Heap(bits)
        start = self.c if weight == 0 else Const(0, bits)
        heap.add(Mux(self.first, start, total), time=1.0)
        heap.add(carries & ~self.first.replicate(bits), time=1.0)
        for lane, encoder in enumerate(encoders):
            b = self.b.word_select(lane, unit.b.bits)
            sign = b[-1] if unit.b.signed else Const(0, 1)
            two, negative = encoder.two[weight], encoder.negative[weight]
            one = Signal(name=f"one_{weight}_{lane}")
            m.d.comb += one.eq(encoder.nonzero[weight] & ~two)
            once, twice = Cat(b, sign), Cat(Const(0, 1), b)
            for i in range(len(b) + 1):
                at_top = unit.b.signed and i == len(b)
                bit = ((once[i] & one) | (twice[i] & two)) ^ negative
                heap.add_bit(~bit if at_top else bit, i, 4.0)
            if not unit.b.signed:
                heap.add_bit(~negative, len(b) + 1, 3.0)
            heap.add_constant(-(1 << (len(b) + (not unit.b.signed))))
            heap.add_bit(negative, 0, 3.0)
        rows = heap.rows(m, f"weight_{weight}")
        with m.If(self.en & self.valid):
            m.d.sync += [total.eq(rows[0]), carries.eq(rows[1])]
        return total, carries
