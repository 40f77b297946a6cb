# SPDX-License-Identifier: Apache-2.0
"""The phases 1, i, -1 and -i: codes to complex integers, and complex floats to codes."""

from typing import Self

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.formats import FloatSpec
from rtl.formats.conversion import FLOAT32
from rtl.part import Part

__all__ = [
    "PhaseDecoder",
    "PhaseEncoder",
]


class PhaseDecoder(Part):
    """Decode a phase.

    Members
    -------
    code : In, 2 bits
    re, im : Out, 2 bits, signed
        One is 0, the other 1 or -1.

    Latency: none, combinational.
    """

    def __init__(self) -> None:
        super().__init__({"code": In(2), "re": Out(signed(2)), "im": Out(signed(2))})

    def _module_name(self) -> str:
        return "decode_phase4"

    def _build(self) -> Module:
        m = Module()
        turned, negative = self.code[0], self.code[1]
        m.d.comb += [
            self.re.eq(Cat(~turned, ~turned & negative)),
            self.im.eq(Cat(turned, turned & negative)),
        ]
        return m


class PhaseEncoder(Part):
    """Give the phase nearest to that of a complex number.

    Parameters
    ----------
    source : FloatSpec
        Of both parts, with a sign and a zero; float32 if not given.

    Members
    -------
    re, im : In, ``source.bits`` bits
        `PhaseSpec.encode` takes finite parts only: here an infinity is the largest number, and a NaN a larger one.
    code : Out, 2 bits

    Latency: none, combinational.

    Raises
    ------
    ValueError
        If the source has no sign or no zero.
    """

    def __new__(cls, source: FloatSpec = FLOAT32) -> Self:
        """Check the source before there is a component: Amaranth warns of one that is not used."""
        if not (source.signed and source.subnormals):
            raise ValueError(f"source must have a sign and a zero, not {source.name}")
        made: Self = super().__new__(cls)
        return made

    def __init__(self, source: FloatSpec = FLOAT32) -> None:
        self._source = source
        super().__init__({"re": In(source.bits), "im": In(source.bits), "code": Out(2)})

    def _module_name(self) -> str:
        return f"encode_phase4_from_{self._source.name}"

    def _build(self) -> Module:
        m = Module()
        # Magnitudes are in the order of their codes.
        across = Signal(self._source.bits - 1, name="across")
        along = Signal(self._source.bits - 1, name="along")
        left, down = self.re[-1], self.im[-1]
        m.d.comb += [across.eq(self.re), along.eq(self.im)]
        # Each diagonal belongs to the phase that comes next, counter-clockwise.
        is_real = Signal(name="is_real")
        m.d.comb += is_real.eq((along < across) | ((along == across) & (left ^ down) & across.any()))
        nonzero = along.any()
        m.d.comb += self.code.eq(Mux(is_real, Cat(Const(0, 1), left), Cat(nonzero, down & nonzero)))
        return m
