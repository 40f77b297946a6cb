# SPDX-License-Identifier: Apache-2.0
"""Accumulate stage: the register takes the sum of a step."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.formats import Overflow
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.rounder import Rounder, RounderSpec
from rtl.arithmetic.shift import shift_right_jam
from rtl.datapath.layouts import fused, operand_layout, operand_raw, register_layout, total_layout, total_raw
from rtl.datapath.specials import joined_specials
from rtl.part import Part

__all__ = [
    "Accumulate",
    "saturated",
]


class Accumulate(Part):
    """Compute the register's next value; the register itself stands in the core.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture, optional
        Of a fixed accumulator's adder.

    Members
    -------
    register : In, `register_layout`
    decoded : In, `operand_layout`
        What decode makes of the register; with a float accumulator only.
    total : In, `total_layout`
        In a fused step it holds the register already.
    following : Out, `register_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture | None = None) -> None:
        self.spec = unit
        self._architecture = architecture or Architecture()
        ports = {
            "register": In(register_layout(unit)),
            "total": In(total_layout(unit)),
            "following": Out(register_layout(unit)),
        }
        if not isinstance(unit.accumulator, FixedAccumulator):
            ports["decoded"] = In(operand_layout(unit.accumulator.format))
        super().__init__(ports)

    def _module_name(self) -> str:
        return "accumulate"

    def _build(self) -> Module:
        m = Module()
        accumulator = self.spec.accumulator
        if isinstance(accumulator, FixedAccumulator):
            self._fixed(m, accumulator)
        elif fused(self.spec):
            total = self.total
            raw = total_raw(self.spec)
            # Exponent field of the sum's highest bit.
            offset = raw.offset + len(total.sum) - 2 + accumulator.format.bias
            self._round(
                m, accumulator, total.sum, Const(0, 1), total.exponent + offset, (raw.low + offset, raw.high + offset)
            )
        else:
            self._add_float(m, accumulator)
        return m

    def _fixed(self, m: Module, accumulator: FixedAccumulator) -> None:
        unit = self.spec
        places = unit.sum_shift  # negative for a quire: then there are zeros to cut off
        total = self.total.sum << places if places >= 0 else self.total.sum[-places:].as_signed()
        m.d.comb += self.following.special.eq(self.register.special | self.total.special)
        if accumulator.overflow is Overflow.WRAP:
            m.d.comb += self.following.value.eq(self._sum(m, total, accumulator.bits))
            return
        wide = Signal(signed(max(len(total), accumulator.bits) + 1), name="wide")
        m.d.comb += wide.eq(self._sum(m, total, len(wide)))
        m.d.comb += self.following.value.eq(saturated(m, wide, accumulator.bits))

    def _sum(self, m: Module, total: Any, bits: int) -> Any:
        """Return the sum of the register and a step, right in its low bits."""
        if self._architecture.adder == "tool":
            return self.register.value + total
        wide = [Signal(signed(bits), name=name) for name in ("register_wide", "step_wide")]
        m.d.comb += [wide[0].eq(self.register.value), wide[1].eq(total)]
        out = add(m, wide[0], wide[1], topology=self._architecture.adder, name="register_total")
        return out.as_signed()

    def _add_float(self, m: Module, accumulator: FloatAccumulator) -> None:
        """Add in a window that starts at the exponent of the larger, and round.

        Larger is meant by the exponents of their highest bits. The accumulator's is set unless it is subnormal, and
        then nothing below the window counts. The sum's may not be, so that the window goes on below its last place by
        what a result can keep, a bit that a subtraction can cost, and one to round by. Below that, one bit stands for
        all.
        """
        total, raw = self.total, total_raw(self.spec)
        spec = accumulator.format
        own = operand_raw(spec)
        sum_signed = total.sum.shape().signed
        sum_bits = len(total.sum) - sum_signed
        window = max(sum_bits + accumulator.result_man_bits + 4, spec.man_bits + 3)
        difference = own.offset + spec.man_bits - (raw.offset + sum_bits - 1)
        gap = Signal(signed(max(len(self.decoded.exponent), raw.bits, abs(difference).bit_length()) + 3), name="gap")
        m.d.comb += gap.eq(self.decoded.exponent - total.exponent + difference)
        sum_is_larger = Signal(name="sum_is_larger")
        m.d.comb += sum_is_larger.eq(gap[-1] & total.sum.any())
        distance = Signal(len(gap) - 1, name="distance")
        m.d.comb += distance.eq(Mux(gap[-1], -gap, gap))
        amount_bits = window.bit_length()
        amount = Signal(amount_bits, name="amount")
        far = Signal(name="far")
        m.d.comb += far.eq(distance[amount_bits:].any())
        m.d.comb += amount.eq(distance[:amount_bits] | far.replicate(amount_bits))

        larger_bits = max(sum_bits, spec.sig_bits)
        high = Signal(signed(larger_bits + 1), name="larger")
        low = Signal(signed(larger_bits + 1), name="smaller")
        of_sum = Cat(Const(0, larger_bits - sum_bits), total.sum, Const(0, int(not sum_signed))).as_signed()
        of_accumulator = Cat(Const(0, larger_bits - spec.sig_bits), self.decoded.significand, Const(0, 1)).as_signed()
        m.d.comb += [
            high.eq(Mux(sum_is_larger, of_sum, of_accumulator)),
            low.eq(Mux(sum_is_larger, of_accumulator, of_sum)),
        ]
        aligned = Signal(signed(window + 1), name="aligned")
        m.d.comb += aligned.eq(shift_right_jam(m, low, amount, window, "align"))
        # The larger keeps its sign, whatever that is, and the smaller is negated where the signs differ.
        subtract = Signal(name="subtract")
        m.d.comb += subtract.eq(self.decoded.negative ^ total.negative)
        added = Signal(signed(window + 2), name="added")
        placed = Cat(Const(0, window - larger_bits), high).as_signed()
        flipped = (aligned.as_unsigned() ^ subtract.replicate(window + 1)).as_signed()
        m.d.comb += added.eq(placed + flipped + subtract)
        negative = Mux(sum_is_larger, total.negative, self.decoded.negative)
        sum_top = total.exponent + raw.offset + sum_bits + spec.bias  # one above the highest bit's, for the carry
        top = Mux(sum_is_larger, sum_top, self.decoded.exponent + 1)
        # The sum is the larger only where its exponent is above one of the accumulator's, of which the least field is
        # 1.
        limits = (2, max(raw.high + raw.offset + sum_bits + spec.bias, own.high + 1))
        self._round(m, accumulator, added, negative, top, limits)

    def _round(
        self, m: Module, accumulator: FloatAccumulator, value: Any, negative: Any, top: Any, limits: tuple[int, int]
    ) -> None:
        spec = RounderSpec(
            format=accumulator.format,
            rounding=accumulator.rounding,
            overflow=accumulator.overflow,
            man_bits=accumulator.result_man_bits,
            nan_code=accumulator.nan_code,
            bits=len(value),
            top_min=limits[0],
            top_max=limits[1],
            special_bits=2,
            normalised=False,
        )
        m.submodules.rounder = rounder = Rounder(spec)
        m.d.comb += [rounder.value.eq(value), rounder.negative.eq(negative), rounder.top.eq(top)]
        m.d.comb += rounder.special.eq(joined_specials(self.decoded, self.total.special))
        m.d.comb += self.following.value.eq(rounder.code)


def saturated(m: Module, wide: Any, bits: int) -> Any:
    """Return a signed number, at least one bit wider than that, limited to what a signed one of some bits can be."""
    half = 1 << (bits - 1)
    excess = wide[bits - 1 : -1]
    beyond = Signal(name="beyond")
    m.d.comb += beyond.eq(excess != wide[-1].replicate(len(excess)))
    limit = Mux(wide[-1], Const(-half, signed(bits)), Const(half - 1, signed(bits)))
    return Mux(beyond, limit, wide)
