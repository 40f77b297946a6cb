# SPDX-License-Identifier: Apache-2.0
"""Round-pack stage: the accumulator becomes a code of the output format."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from rtl.arithmetic.rounder import Rounder, RounderSpec, round_increment
from rtl.arithmetic.shift import shift_right_jam
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import operand_raw, register_layout
from rtl.datapath.posit_pack import PositPack
from rtl.datapath.specials import special_pair
from rtl.part import Part

__all__ = [
    "RoundPack",
]


class RoundPack(Part):
    """Round the register to the output format; without a conversion, wires.

    Members
    -------
    register : In, `register_layout`
    d : Out, ``unit.output.bits`` bits

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit) -> None:
        self.spec = unit
        super().__init__({"register": In(register_layout(unit)), "d": Out(unit.output.bits)})

    def _module_name(self) -> str:
        return "round_pack"

    def _build(self) -> Module:
        m = Module()
        unit = self.spec
        if not unit.converts:
            m.d.comb += self.d.eq(self.register.value)
            return m
        if isinstance(unit.output, IntegerSpec):
            assert isinstance(unit.accumulator, FixedAccumulator)  # a float accumulator has NaN, and so has its output
            self._integer(m, unit.accumulator, unit.output)
            return m
        if isinstance(unit.output, PositSpec):
            m.submodules.posit_pack = posit_pack = PositPack(unit)
            m.d.comb += [posit_pack.register.eq(self.register), self.d.eq(posit_pack.d)]
            return m
        if isinstance(unit.accumulator, FixedAccumulator):
            value = self.register.value
            top = -unit.accumulator.fraction_bits + len(value) - 2 + unit.output.bias
            self._round(m, unit.output, value, Const(0, 1), Const(top), (top, top), self.register.special)
        else:
            self._float(m, unit.accumulator.format, unit.output)
        return m

    def _integer(self, m: Module, accumulator: FixedAccumulator, spec: IntegerSpec) -> None:
        """Round a fixed-point register to an integer, in two's complement."""
        unit = self.spec
        value: Any = self.register.value
        shift = accumulator.fraction_bits - spec.fraction_bits
        if shift <= 0:
            rounded = value << -shift
        else:
            value = Cat(value, value[-1].replicate(max(0, shift + 1 - len(value)))).as_signed()
            lost, negative = value[:shift], value[-1]
            inexact, guard, sticky = lost.any(), lost[-1], lost[:-1].any()
            # The cut is toward minus infinity: what a mode does to the magnitude of a negative number turns around.
            increment = {
                Rounding.NEAREST_EVEN: round_increment(unit.rounding, value[shift], guard, sticky, negative),
                Rounding.NEAREST_AWAY: guard & (sticky | ~negative),
                Rounding.TOWARD_ZERO: inexact & negative,
                Rounding.UP: inexact,
                Rounding.DOWN: Const(0, 1),
                Rounding.TO_ODD: inexact & ~value[shift],
            }[unit.rounding]
            rounded = value[shift:].as_signed() + increment
        if unit.overflow is Overflow.SATURATE:
            wide = Signal(signed(max(len(rounded), spec.bits + 1) + 1), name="rounded")
            m.d.comb += wide.eq(rounded)
            low, high = Const(spec.min_int), Const(spec.max_int)
            m.d.comb += self.d.eq(Mux(wide < low, low, Mux(wide > high, high, wide)))
        else:
            m.d.comb += self.d.eq(rounded)

    def _float(self, m: Module, source: FloatSpec, spec: FloatSpec) -> None:
        """Round a float register to another float."""
        m.submodules.decode = decode = Decode(source)
        m.d.comb += decode.codes.eq(self.register.value)
        number = decode.operands[0]
        raw = operand_raw(source)
        offset = raw.offset + source.man_bits + spec.bias  # from the source's exponent field to that of the output
        low, high = raw.low + offset, raw.high + offset
        significand: Any = number.significand
        top: Any = number.exponent + offset
        if low < 1:
            # What is below the smallest normal is brought to its exponent; the last bit stands for what falls off.
            window = max(len(significand), spec.man_bits + 3)
            below = Signal(signed(max(len(top), (1 - low).bit_length()) + 2), name="below")
            m.d.comb += below.eq(1 - top)
            bits = window.bit_length()
            amount = Signal(bits, name="amount")
            far = Signal(name="far")
            m.d.comb += far.eq(below[bits:-1].any())
            m.d.comb += amount.eq((below[:bits] | far.replicate(bits)) & (~below[-1]).replicate(bits))
            significand = shift_right_jam(m, significand, amount, window, "denormal")
            top = Mux(below[-1], top, 1)
        special = special_pair(number.nan, number.infinite, number.negative)
        value = Cat(significand, Const(0, 1)).as_signed()
        self._round(m, spec, value, number.negative, top, (max(low, 1), max(high, 1)), special, normalised=low <= 1)

    def _round(
        self,
        m: Module,
        spec: FloatSpec,
        value: Any,
        negative: Any,
        top: Any,
        limits: tuple[int, int],
        special: Any,
        *,
        normalised: bool = False,
    ) -> None:
        rounder_spec = RounderSpec(
            format=spec,
            rounding=self.spec.rounding,
            overflow=self.spec.overflow,
            man_bits=spec.man_bits,
            nan_code=spec.nan_code,
            bits=len(value),
            top_min=limits[0],
            top_max=limits[1],
            special_bits=len(special),
            normalised=normalised,
        )
        m.submodules.rounder = rounder = Rounder(rounder_spec)
        m.d.comb += [
            rounder.value.eq(value),
            rounder.negative.eq(negative),
            rounder.top.eq(top),
            rounder.special.eq(special),
            self.d.eq(rounder.code),
        ]
