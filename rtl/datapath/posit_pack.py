# SPDX-License-Identifier: Apache-2.0
"""A register becomes a posit: the string of regime, exponent and fraction is rounded, to nearest even.

A fixed register is not negated: a posit's codes are in two's complement, and so is the string of a negative number. Its
regime and exponent are the complement of what its leading place says.
Source: Standard for Posit Arithmetic (2022), section 3.3.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import Overflow, PositSpec
from rtl.arithmetic.leading_zeros import first_one
from rtl.arithmetic.shift import shift_left_sticky, shift_right_split
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import register_layout
from rtl.formats.conversion import Conversion
from rtl.formats.posit import encode_posit
from rtl.part import Part

__all__ = [
    "PositPack",
]


class PositPack(Part):
    """Round the register to a posit.

    Parameters
    ----------
    unit : DotProductUnit
        With a posit output.

    Members
    -------
    register : In, `register_layout`
    d : Out, ``unit.output.bits`` bits

    Latency: none, combinational.
    """

    def __new__(cls, unit: DotProductUnit) -> Any:
        """Check before there is a component, of which Amaranth warns where it is not used."""
        if not isinstance(unit.output, PositSpec):
            raise TypeError(f"output must be a PositSpec, not {unit.output!r}")
        return super().__new__(cls, unit)

    def __init__(self, unit: DotProductUnit) -> None:
        assert isinstance(unit.output, PositSpec)
        self.spec = unit
        self._output = unit.output
        super().__init__({"register": In(register_layout(unit)), "d": Out(unit.output.bits)})

    def _module_name(self) -> str:
        return "posit_pack"

    def _build(self) -> Module:
        m = Module()
        unit = self.spec
        if isinstance(unit.accumulator, FixedAccumulator):
            m.d.comb += self.d.eq(self._fixed(m, unit.accumulator))
            return m
        m.submodules.decode = decode = Decode(unit.accumulator.format)
        m.d.comb += decode.codes.eq(self.register.value)
        conversion = Conversion(format=self._output, source=unit.accumulator.format, overflow=unit.overflow)
        m.d.comb += self.d.eq(encode_posit(m, self._output, conversion, decode.operands[0], Const(0, 0)))
        return m

    def _fixed(self, m: Module, accumulator: FixedAccumulator) -> Any:
        spec, value = self._output, self.register.value
        bits, es, sign = spec.bits, spec.es, value[-1]
        # A zero below the last place ends the run of ones of a -1.
        raw = Signal(accumulator.bits, name="raw")
        m.d.comb += raw.eq(Cat(Const(0, 1), value[:-1]))
        count = first_one(m, [bit ^ sign for bit in raw[::-1]], "count")
        kept_bits = spec.fraction_bits + 2
        kept, lost = shift_left_sticky(m, raw, count, min(kept_bits, len(raw)), "normal")
        kept = Cat(Const(0, kept_bits - len(kept)), kept)
        leading = accumulator.bits - 2 - accumulator.fraction_bits
        exponent = Signal(signed(max(leading.bit_length(), accumulator.bits.bit_length()) + 2), name="exponent")
        m.d.comb += exponent.eq(leading - count)
        coded = Signal(signed(len(exponent)), name="coded_exponent")
        m.d.comb += coded.eq(exponent ^ sign.replicate(len(exponent)))
        # Before the shift the regime has two bits, 10 or 01. Of the first, above the word, come the others.
        string = Cat(lost, kept[:-1], coded[:es], coded[-1], ~coded[-1]).as_signed()
        regime = coded[es:]
        run = Signal(len(regime) - 1, name="run")
        m.d.comb += run.eq(regime[:-1] ^ regime[-1].replicate(len(run)))
        word = Signal(bits + 1, name="word")
        m.d.comb += word.eq(shift_right_split(m, string, run, bits, sticky=True, name="string"))
        body = word[2:]
        increment, magnitude = Signal(name="increment"), Signal(bits - 1, name="body")
        # Neither zero nor NaR: what is beyond the ends becomes them.
        m.d.comb += increment.eq(word[1] & (word[0] | body[0]) & ~body.all())
        m.d.comb += magnitude.eq(Mux(body.any(), body + increment, 1))
        code = Signal(bits, name="finite")
        m.d.comb += code.eq(Cat(magnitude, sign) & value.any().replicate(bits))
        special = self.register.special
        nan = special.all() if len(special) else Const(0, 1)
        result: Any = code
        if self.spec.overflow is Overflow.INFINITY:
            nan = nan | special.any()
            above = (exponent == spec.scale_max) & (sign | kept[:-1].any() | lost)
            nan = nan | (value.any() & ((exponent > spec.scale_max) | above))
        elif len(special) == 2:
            top = (1 << (bits - 1)) - 1
            result = Mux(special[0], top, Mux(special[1], top + 2, code))
        return Mux(nan, spec.nan_code, result)
