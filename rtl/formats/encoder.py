# SPDX-License-Identifier: Apache-2.0
"""The encoder of any scalar format: a float is rounded to a code."""

from typing import Any, Self

from amaranth.hdl import Const, Module, Signal
from amaranth.lib.wiring import In, Out

from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.formats.block import Scalar
from rtl.datapath.layouts import operand_layout
from rtl.formats.codebook import encode_codebook
from rtl.formats.conversion import FLOAT32, Conversion
from rtl.formats.float import decode_float, encode_float
from rtl.formats.integer import encode_integer
from rtl.formats.posit import encode_posit
from rtl.part import Part

__all__ = [
    "Encoder",
]


class Encoder(Part):
    """Round a float to a code, as `encode` of the format does.

    Parameters
    ----------
    spec : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
    source : FloatSpec
        Of the value; float32 if not given.
    rounding : Rounding or str
    overflow : Overflow or str
    random_bits : int
        Bits of `random`, 1 to 32, for stochastic rounding; 0 for the other modes.

    Members
    -------
    value : In, ``source.bits`` bits
    random : In, `random_bits` bits, where there are any
        A number in [0, 2**random_bits), uniform and new for each value.
    code : Out, ``spec.bits`` bits
        `encode` of a format without NaN does not take NaN: here it is 0 in an integer and the largest value in any
        other format. Nor does it take an infinity where an integer wraps: here that is 0.

    Latency: none, combinational.

    Raises
    ------
    TypeError, ValueError
        If the rules do not go with the format, or with one another.
    """

    def __new__(cls, spec: Scalar, source: FloatSpec = FLOAT32, **rules: Any) -> Self:
        """Check the rules before there is a component: Amaranth warns of one that is not used."""
        _conversion(spec, source, **rules)
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self,
        spec: Scalar,
        source: FloatSpec = FLOAT32,
        *,
        rounding: Rounding | str = "nearest_even",
        overflow: Overflow | str = "saturate",
        random_bits: int = 0,
    ) -> None:
        self.spec = _conversion(spec, source, rounding, overflow, random_bits)
        random = {"random": In(random_bits)} if random_bits else {}
        super().__init__({"value": In(source.bits)} | random | {"code": Out(spec.bits)})

    def _module_name(self) -> str:
        return f"encode_{self.spec.name}"

    def _build(self) -> Module:
        m = Module()
        number = Signal(operand_layout(self.spec.source), name="number")
        decode_float(m, self.spec.source, self.value, number)
        target = self.spec.format
        random = self.random if self.spec.random_bits else Const(0, 1)
        code: Any
        if isinstance(target, IntegerSpec):
            code = encode_integer(m, target, self.spec, number, random)
        elif isinstance(target, PositSpec):
            code = encode_posit(m, target, self.spec, number, random)
        elif isinstance(target, CodebookSpec):
            code = encode_codebook(m, target, self.spec, self.value, number, random)
        else:
            code = encode_float(m, target, self.spec, number, random)
        m.d.comb += self.code.eq(code)
        return m


def _conversion(
    spec: Scalar,
    source: FloatSpec,
    rounding: Rounding | str = "nearest_even",
    overflow: Overflow | str = "saturate",
    random_bits: int = 0,
) -> Conversion:
    mode, rule = Rounding(rounding), Overflow(overflow)
    return Conversion(format=spec, source=source, rounding=mode, overflow=rule, random_bits=random_bits)
