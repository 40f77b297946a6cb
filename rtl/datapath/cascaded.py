# SPDX-License-Identifier: Apache-2.0
"""Align-add stage of cascaded alignment: products are cut and added, then their sum and the register are cut again."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import CascadedAlignment, DotProductUnit, FloatAccumulator
from rtl.architecture import Architecture
from rtl.arithmetic.shift import limited_amount, shift_right_jam, shift_right_truncate
from rtl.arithmetic.tree import maximum
from rtl.datapath.lanes import sum_signed
from rtl.datapath.layouts import (
    cascade_of,
    operand_layout,
    product_point,
    product_raw,
    products_layout,
    special_bits,
    total_layout,
)
from rtl.part import Part

__all__ = [
    "CascadedAdd",
]


class CascadedAdd(Part):
    """Align and add the products of a step, and then their sum and the register.

    Parameters
    ----------
    unit : DotProductUnit
        With cascaded alignment.
    architecture : Architecture

    Members
    -------
    products : In, `products_layout`
    accumulator : In, `operand_layout` of the accumulator
    total : Out, `total_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        assert isinstance(unit.alignment, CascadedAlignment)
        assert isinstance(unit.accumulator, FloatAccumulator)  # by the unit's check
        self.spec = unit
        self._alignment, self._format = unit.alignment, unit.accumulator.format
        self._architecture = architecture
        super().__init__(
            {
                "products": In(products_layout(unit)),
                "accumulator": In(operand_layout(unit.accumulator.format)),
                "total": Out(total_layout(unit)),
            }
        )

    def _module_name(self) -> str:
        return "cascaded_add"

    def _build(self) -> Module:
        m = Module()
        alignment, spec, held = self._alignment, self._format, cascade_of(self.spec)
        raw, point = product_raw(self.spec), product_point(self.spec)
        magnitudes, negatives = self._sign_magnitude(m)
        m.d.comb += self.total.special.eq(self._special(m, magnitudes, negatives))
        total, top, there = self._parts(m, magnitudes, negatives)
        own = self.accumulator
        # Exponents above the lowest one; none where a number is zero.
        above = Signal(held.total.high.bit_length(), name="above")
        own_above = Signal(held.total.high.bit_length(), name="own_above")
        own_there = own.significand.any()
        m.d.comb += [
            above.eq(Mux(there, top + (raw.offset + point - held.low), 0)),
            own_above.eq(Mux(own_there, own.exponent + (spec.exp_min - 1 + spec.man_bits - held.low), 0)),
        ]
        largest = maximum(m, [above, own_above], "largest")
        places = max(alignment.sum_fraction_bits, alignment.register_fraction_bits)
        value = Signal(signed(spec.sig_bits + 1), name="register")
        m.d.comb += value.eq(Mux(own.negative, -own.significand, own.significand))
        terms = []
        for name, number, lead, from_bits, to_bits in (
            ("sum", total, above, alignment.fraction_bits, alignment.sum_fraction_bits),
            ("register", value, own_above, spec.man_bits, alignment.register_fraction_bits),
        ):
            away = Signal(len(largest), name=f"{name}_away")
            m.d.comb += away.eq(largest - lead)
            kept = _floored(m, number, to_bits - from_bits, away, f"{name}_kept")
            if name == "register" and alignment.register_reach:
                kept = Mux(away > alignment.register_reach, 0, kept)
            terms.append(kept << (places - to_bits))
        exact = Signal(signed(held.bits - held.below), name="exact")
        m.d.comb += exact.eq(terms[0] + terms[1])
        self._drive(m, exact, largest)
        return m

    def _drive(self, m: Module, exact: Value, largest: Value) -> None:
        """Drive sum and exponent; what is below the register's exponents is brought to the lowest of them."""
        held = cascade_of(self.spec)
        if not held.floor:
            m.d.comb += [self.total.sum.eq(exact), self.total.exponent.eq(largest)]
            return
        lower = Signal(name="lower")
        missing = Signal(range(held.floor + 1), name="missing")
        m.d.comb += [
            lower.eq(largest < held.floor),
            missing.eq(Mux(lower, held.floor - largest, 0)),
            self.total.exponent.eq(Mux(lower, held.floor, largest)),
        ]
        amount = limited_amount(m, missing, held.bits, "amount")
        wide = Signal(signed(held.bits), name="wide")
        m.d.comb += wide.eq(Cat(Const(0, held.below), exact).as_signed())
        m.d.comb += self.total.sum.eq(shift_right_jam(m, wide, amount, held.bits - 1, "lowered"))

    def _parts(self, m: Module, magnitudes: list[Any], negatives: list[Any]) -> tuple[Any, Any, Any]:
        """Return the sum of the cut products, their largest raw exponent, and whether any is not zero."""
        count = self._alignment.parts
        found = []
        for part in range(min(count, len(magnitudes))):
            lanes = range(part, len(magnitudes), count)
            found.append(self._part(m, [(i, magnitudes[i], negatives[i]) for i in lanes], part))
        if len(found) == 1:
            return found[0]
        top, there = maximum(m, [top for _, top, _ in found], "part_top"), found[0][2] | found[1][2]
        total = Signal(signed(cascade_of(self.spec).part.bit_length() + 1), name="total")
        moved = []
        for part, (value, own, _) in enumerate(found):
            away = Signal(max(len(top), 1), name=f"part_{part}_away")
            m.d.comb += away.eq(top - own)
            moved.append(_floored(m, value, 0, away, f"part_{part}_moved"))
        m.d.comb += total.eq(moved[0] + moved[1])
        return total, top, there

    def _part(self, m: Module, lanes: list[tuple[int, Any, Any]], part: int) -> tuple[Any, Any, Any]:
        """Return the same of the lanes of a part; its exponent is 0 where all are zero."""
        raw = product_raw(self.spec)
        there = {index: Signal(name=f"nonzero_{index}") for index, _, _ in lanes}
        exponents = []
        for index, magnitude, _ in lanes:
            exponent = self.products.lanes[index].exponent
            masked = Signal(raw.bits, name=f"nonzero_exponent_{index}")
            m.d.comb += there[index].eq(magnitude.any())
            m.d.comb += masked.eq(exponent & there[index].replicate(raw.bits))
            exponents.append(masked)
        top = maximum(m, exponents, f"top_{part}")
        places = self._alignment.fraction_bits - product_point(self.spec)
        terms, signs = [], []
        for index, magnitude, negative in lanes:
            placed = Cat(Const(0, places), magnitude) if places > 0 else magnitude[-places:]
            amount = Signal(raw.bits, name=f"shift_{index}")
            m.d.comb += amount.eq(top - self.products.lanes[index].exponent)
            limited = limited_amount(m, amount, len(placed), f"shift_{index}_limited")
            terms.append(shift_right_truncate(m, placed, limited, f"cut_{index}"))
            signs.append(negative)
        bits = cascade_of(self.spec).part.bit_length() + 1
        total = Signal(signed(bits), name=f"part_{part}")
        m.d.comb += total.eq(sum_signed(m, terms, signs, bits, self._architecture, f"part_{part}_sum"))
        return total, top, Cat(*there.values()).any()

    def _sign_magnitude(self, m: Module) -> tuple[list[Any], list[Any]]:
        """Return magnitudes and signs of the products."""
        magnitudes, negatives = [], []
        for index, lane in enumerate(self.products.lanes):
            magnitude, negative = lane.significand, lane.negative
            if magnitude.shape().signed:
                negative = magnitude[-1] ^ negative.any()
                magnitude = Signal(self.spec.product_max.bit_length(), name=f"magnitude_{index}")
                m.d.comb += magnitude.eq(Mux(lane.significand[-1], -lane.significand, lane.significand))
            magnitudes.append(magnitude)
            negatives.append(negative)
        return magnitudes, negatives

    def _special(self, m: Module, magnitudes: list[Any], negatives: list[Any]) -> Any:
        """Return the specials of the products, and infinities for those beyond the register's largest number."""
        seen: Any = self.products.special
        if special_bits(self.spec) != 2:
            seen = seen.any().replicate(2)
        raw = product_raw(self.spec)
        limit = self._format.exp_max + self._format.sig_bits - raw.offset
        beyond = []
        for index, (magnitude, negative) in enumerate(zip(magnitudes, negatives, strict=True)):
            exponent = self.products.lanes[index].exponent
            # A leading bit at a place reaches the limit from some exponent on.
            reaching = [
                bit & (exponent >= limit - place if raw.bits else Const(raw.high >= limit - place, 1))
                for place, bit in enumerate(magnitude)
                if raw.high >= limit - place
            ]
            if reaching:
                over = Signal(name=f"beyond_{index}")
                m.d.comb += over.eq(Cat(*reaching).any())
                beyond.append(Cat(over & ~negative.any(), over & negative.any()))
        for pair in beyond:
            seen = seen | pair
        return seen


def _floored(m: Module, value: Any, places: int, away: Any, name: str) -> Any:
    """Shift a signed number left by a constant, then right by an amount, cut downward."""
    bits = max(len(value) + places, 2)
    stage: Any = Signal(signed(bits), name=name)
    m.d.comb += stage.eq(value << places if places >= 0 else value >> -places)
    amount = limited_amount(m, away, bits, f"{name}_limited")
    for index in range(len(amount)):
        moved = Signal(signed(bits), name=f"{name}_{1 << index}")
        m.d.comb += moved.eq(Mux(amount[index], stage >> min(1 << index, bits), stage))
        stage = moved
    return stage
