# SPDX-License-Identifier: Apache-2.0
"""The sum of two codes by the rules of a float register: an adder of floats, or of a float and a fixed-point number."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator
from hwsim.formats import IntegerSpec
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.decode import Decode
from rtl.datapath.specials import special_pair
from rtl.part import Part

__all__ = [
    "FloatSum",
]

_ONE = IntegerSpec(bits=1, signed=False)


class FloatSum(Part):
    """Add a number to a float register by the register's rules: an adder of floats where the number is one.

    Parameters
    ----------
    accumulator : FloatAccumulator
        What the sum is rounded to, and how.
    addend : FloatAccumulator or FixedAccumulator
        What is added: a code of its format.

    Members
    -------
    code : In, a code of the register's format
    addend : In, as many bits as the addend has
    total : Out, a code of the register's format

    Latency: none, combinational.
    """

    def __init__(self, accumulator: FloatAccumulator, addend: FloatAccumulator | FixedAccumulator) -> None:
        self.spec = accumulator
        self._unit = DotProductUnit(
            a=addend.format,
            b=_ONE,
            lanes=1,
            alignment=ExactAlignment(),
            accumulator=accumulator,
            output=accumulator.format,
        )
        super().__init__({"code": In(accumulator.bits), "addend": In(addend.bits), "total": Out(accumulator.bits)})

    def _module_name(self) -> str:
        return f"add_{self.spec.format.name}"

    def _build(self) -> Module:
        m = Module()
        m.submodules.decode = decode = Decode(self.spec.format)
        m.submodules.accumulate = accumulate = Accumulate(self._unit)
        total = accumulate.total
        m.d.comb += [
            decode.codes.eq(self.code),
            accumulate.decoded.eq(decode.operands[0]),
            accumulate.register.value.eq(self.code),
            self.total.eq(accumulate.following.value),
        ]
        if isinstance(self._unit.a, IntegerSpec):
            m.d.comb += total.sum.eq(self.addend.as_signed())
            return m
        m.submodules.decode_addend = added = Decode(self._unit.element_a)
        own = added.operands[0]
        m.d.comb += [
            added.codes.eq(self.addend),
            total.sum.eq(own.significand),
            total.exponent.eq(own.exponent),
            total.negative.eq(own.negative),
            total.special.eq(special_pair(own.nan.any(), own.infinite.any(), own.negative)),
        ]
        return m
