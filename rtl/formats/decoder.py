# SPDX-License-Identifier: Apache-2.0
"""The decoder of any scalar format: a code becomes significand, raw exponent and flags."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from hwsim.formats import CodebookSpec, IntegerSpec, PositSpec
from hwsim.formats.block import Scalar
from rtl.datapath.layouts import operand_layout
from rtl.formats.codebook import decode_codebook
from rtl.formats.float import decode_float
from rtl.formats.integer import decode_integer
from rtl.formats.posit import decode_posit
from rtl.part import Part

__all__ = [
    "Decoder",
    "decode",
]


def decode(m: Module, spec: Scalar, code: Any, out: Any, lane: int = 0) -> None:
    """Drive the fields of an operand (`operand_layout`) from a code; of several in a module, each has its lane."""
    if isinstance(spec, IntegerSpec):
        decode_integer(m, spec, code, out)
    elif isinstance(spec, PositSpec):
        decode_posit(m, spec, code, out, f"regime_{lane}" if lane else "regime")
    elif isinstance(spec, CodebookSpec):
        decode_codebook(m, spec, code, out)
    else:
        decode_float(m, spec, code, out)


class Decoder(Part):
    """Decode a code: its value is ``significand * 2**(exponent + offset)``, negated where `negative` is set.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec

    Members
    -------
    code : In, ``spec.bits`` bits
    significand, exponent, negative, nan, infinite : Out
        The fields of `operand_layout`, without those that the format has no use for. The offset is
        ``operand_raw(spec).offset``. Where `nan` or `infinite` is set, all but `negative` is of no meaning, and with
        `nan` that neither.

    Latency: none, combinational.
    """

    def __init__(self, spec: Scalar) -> None:
        self.spec = spec
        fields = {name: Out(field.shape) for name, field in operand_layout(spec) if field.width}
        super().__init__({"code": In(spec.bits)} | fields)

    def _module_name(self) -> str:
        return f"decode_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        operand = Signal(operand_layout(self.spec), name="operand")
        decode(m, self.spec, self.code, operand)
        for name, field in operand_layout(self.spec):
            if field.width:
                m.d.comb += getattr(self, name).eq(operand[name])
        return m
