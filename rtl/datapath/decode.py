# SPDX-License-Identifier: Apache-2.0
"""Decode stage: codes become significands, raw exponents and flags."""

from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.formats.block import Scalar
from rtl.datapath.layouts import operand_layout
from rtl.formats.decoder import decode
from rtl.part import Part

__all__ = [
    "Decode",
]


class Decode(Part):
    """Decode the codes of some lanes.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
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

    def __init__(self, spec: Scalar, lanes: int = 1) -> None:
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
            decode(m, self.spec, code, self.operands[lane], lane)
        return m
