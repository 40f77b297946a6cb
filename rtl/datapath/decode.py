# SPDX-License-Identifier: Apache-2.0
"""Decode stage: codes become significands, raw exponents and flags."""

from typing import Any

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.formats import FloatSpec, IntegerSpec, Specials
from rtl.datapath.layouts import operand_layout
from rtl.part import Part

__all__ = [
    "Decode",
]


class Decode(Part):
    """Decode the codes of some lanes.

    Parameters
    ----------
    spec : IntegerSpec or FloatSpec
    lanes : int

    Members
    -------
    codes : In, ``lanes * spec.bits`` bits
        Lane 0 at bit 0.
    operands : Out, array of `operand_layout`
        The significand of a float is a magnitude. Where `nan` or `infinite` is set, all but `negative` is of no
        meaning.

    Latency: none, combinational.
    """

    def __init__(self, spec: IntegerSpec | FloatSpec, lanes: int = 1) -> None:
        self.spec = spec
        self._lanes = lanes
        super().__init__(
            {"codes": In(lanes * spec.bits), "operands": Out(data.ArrayLayout(operand_layout(spec), lanes))}
        )

    def _module_name(self) -> str:
        return f"decode_{self.spec.name}" + (f"_l{self._lanes}" if self._lanes > 1 else "")

    def _build(self) -> Module:
        m = Module()
        for lane in range(self._lanes):
            code = self.codes[lane * self.spec.bits : (lane + 1) * self.spec.bits]
            if isinstance(self.spec, IntegerSpec):
                m.d.comb += self.operands[lane].significand.eq(code)
            else:
                _decode_float(m, self.spec, code, self.operands[lane])
        return m


def _decode_float(m: Module, spec: FloatSpec, code: Any, out: Any) -> None:
    mantissa = code[: spec.man_bits]
    field = code[spec.man_bits : spec.man_bits + spec.exp_bits]
    magnitude = code[: spec.man_bits + spec.exp_bits]
    hidden = field.any() if spec.subnormals else Const(1, 1)
    m.d.comb += out.significand.eq(Cat(mantissa, hidden))
    # A subnormal has the exponent of field 1.
    m.d.comb += out.exponent.eq(Cat(field[0] | ~hidden, field[1:]))
    if spec.signed:
        m.d.comb += out.negative.eq(code[-1])
    if spec.specials is Specials.IEEE:
        top = field.all()
        m.d.comb += [out.nan.eq(top & mantissa.any()), out.infinite.eq(top & ~mantissa.any())]
    elif spec.specials is Specials.FN:
        m.d.comb += out.nan.eq(magnitude.all())
    elif spec.specials is Specials.FNUZ:
        m.d.comb += out.nan.eq(code[-1] & ~magnitude.any())
