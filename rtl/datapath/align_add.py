# SPDX-License-Identifier: Apache-2.0
"""Align-add stage: a step's products are brought to one exponent and added, exactly or cut as tensor cores do."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, TruncatedAlignment
from hwsim.formats import Rounding
from rtl.architecture import Architecture
from rtl.arithmetic.rounder import round_increment
from rtl.arithmetic.shift import shift_left_above, shift_right_split, shift_right_truncate
from rtl.arithmetic.tree import maximum
from rtl.datapath.lanes import sum_signed
from rtl.datapath.layouts import (
    addend_max,
    fused,
    operand_layout,
    product_point,
    product_raw,
    products_layout,
    scale_max,
    scale_raw,
    total_layout,
    total_raw,
    truncated_max,
)
from rtl.part import Part

__all__ = [
    "AlignAdd",
]


class AlignAdd(Part):
    """Align and add the products of a step; in a fused step the accumulator too.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture, optional

    Members
    -------
    products : In, `products_layout`
    accumulator : In, `operand_layout` of the accumulator
        In a fused step only.
    total : Out, `total_layout`
        Its `special` is that of the products.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture | None = None) -> None:
        self.spec = unit
        self._architecture = architecture or Architecture()
        ports = {"products": In(products_layout(unit)), "total": Out(total_layout(unit))}
        if fused(unit):
            ports["accumulator"] = In(operand_layout(unit.accumulator.format))
        super().__init__(ports)

    def _module_name(self) -> str:
        return "align_add"

    def _build(self) -> Module:
        m = Module()
        m.d.comb += self.total.special.eq(self.products.special)
        if isinstance(self.spec.alignment, TruncatedAlignment):
            self._truncated(m, self.spec.alignment)
        else:
            self._exact(m)
        return m

    def _exact(self, m: Module) -> None:
        unit, products = self.spec, self.products
        if unit.on_grid:
            grid = product_raw(unit)
            shifted = []
            for index, lane in enumerate(products.lanes):
                product = lane.significand
                if grid.bits:
                    # The low bits are zero, for no raw exponent is below grid.low.
                    product = shift_left_above(m, product, lane.exponent, grid.low, grid.high, f"aligned_{index}")
                shifted.append(product)
            bits = unit.sum_bits if scale_max(unit) > 1 else len(self.total.sum)
            total = Signal(signed(bits), name="total")
            negatives = [lane.negative for lane in products.lanes]
            m.d.comb += total.eq(sum_signed(m, shifted, negatives, bits, self._architecture, "sum"))
            m.d.comb += self.total.exponent.eq(products.scale_exponent)
            m.d.comb += self.total.negative.eq(products.scale_negative)
        else:
            total = products.lanes[0].significand
            m.d.comb += self.total.exponent.eq(products.lanes[0].exponent + products.scale_exponent)
            m.d.comb += self.total.negative.eq(products.lanes[0].negative ^ products.scale_negative)
        m.d.comb += self.total.sum.eq(total * products.scale_significand if scale_max(unit) > 1 else total)

    def _truncated(self, m: Module, alignment: TruncatedAlignment) -> None:
        unit = self.spec
        fraction, point, product = alignment.fraction_bits, product_point(unit), product_raw(unit)
        lanes = self.products.lanes
        magnitudes, negatives = self._sign_magnitude(m)
        # A product's exponent above the floor, less its raw exponent and that of the scale.
        base = product.offset + scale_raw(unit).offset + point - alignment.exp_floor
        scale_base = self.products.scale_exponent + base
        leads = [self._product_lead(m, magnitudes, scale_base)]
        if fused(unit):
            accumulator = self.accumulator
            assert isinstance(unit.accumulator, FloatAccumulator)
            spec = unit.accumulator.format
            accumulator_base = -spec.bias - alignment.exp_floor
            leads.append(
                _above_zero(
                    m, accumulator.exponent + accumulator_base, accumulator.significand.any(), "accumulator_lead"
                )
            )
        largest = Signal(total_raw(unit).bits, name="largest")
        m.d.comb += largest.eq(maximum(m, leads, "lead"))
        m.d.comb += self.total.exponent.eq(largest)
        window = truncated_max(unit)[0].bit_length() + (2 if self._rounds else 0)
        distance = _saturated(m, largest - scale_base, product.high + window, "distance")
        terms = []
        for index, lane in enumerate(lanes):
            amount = Signal(len(distance), name=f"shift_{index}")
            m.d.comb += amount.eq(distance - lane.exponent)
            terms.append(self._cut(m, magnitudes[index], fraction - point, amount, negatives[index], f"cut_{index}"))
        if fused(unit):
            own = accumulator.significand
            bits = max(len(own) + fraction - spec.man_bits, 0) + (2 if self._rounds else 0)
            away = _saturated(m, largest - (accumulator.exponent + accumulator_base), bits, "accumulator_shift")
            terms.append(self._cut(m, own, fraction - spec.man_bits, away, accumulator.negative, "cut_accumulator"))
            negatives.append(accumulator.negative)
        bits = len(self.total.sum)
        m.d.comb += self.total.sum.eq(sum_signed(m, terms, negatives, bits, self._architecture, "sum"))

    @property
    def _rounds(self) -> bool:
        """Whether addends are rounded to the last place that is kept."""
        alignment = self.spec.alignment
        return isinstance(alignment, TruncatedAlignment) and alignment.rounding is not Rounding.TOWARD_ZERO

    def _cut(self, m: Module, magnitude: Any, places: int, amount: Any, negative: Any, name: str) -> Any:
        """Return a magnitude in units of the last place that is kept, `places` below its own, and shifted by `amount`.

        What falls below is cut, or rounded by two more places, of which the last stands for all that is below.
        """
        if not self._rounds:
            return shift_right_truncate(m, _placed(magnitude, places), amount, name)
        assert isinstance(self.spec.alignment, TruncatedAlignment)
        kept = max(len(magnitude) + places, 0)
        whole = Cat(magnitude, Const(0, kept - places - len(magnitude)))
        word = shift_right_split(m, whole, amount, kept + 2, sticky=True, name=name)
        out = Signal(kept + 1, name=f"{name}_rounded")
        minus = negative.any() if len(negative) else Const(0, 1)
        last = word[2] if kept else Const(0, 1)
        one = round_increment(self.spec.alignment.rounding, last, word[1], word[0], minus)
        m.d.comb += out.eq(word[2:] + one)
        return out

    def _sign_magnitude(self, m: Module) -> tuple[list[Any], list[Any]]:
        """Return magnitudes and signs of the products, for each is cut toward zero."""
        magnitudes, negatives = [], []
        bits = addend_max(self.spec).bit_length()
        for index, lane in enumerate(self.products.lanes):
            if not lane.significand.shape().signed:
                magnitudes.append(lane.significand)
                negatives.append(lane.negative)
                continue
            minus = lane.significand[-1]
            magnitude = Signal(bits, name=f"magnitude_{index}")
            m.d.comb += magnitude.eq(Mux(minus, -lane.significand, lane.significand))
            magnitudes.append(magnitude)
            negatives.append(minus ^ lane.negative)
        return magnitudes, negatives

    def _product_lead(self, m: Module, magnitudes: list[Any], scale_base: Any) -> Any:
        """Return the largest exponent of the products above the floor, 0 where all are zero or below."""
        product = product_raw(self.spec)
        raws = []
        for index, lane in enumerate(self.products.lanes):
            # A zero has no exponent: 0, where that is below every raw exponent, else an exponent without the flag on
            # top.
            tagged = lane.exponent if product.low > 0 else Cat(lane.exponent, Const(1, 1))
            masked = Signal(len(tagged), name=f"nonzero_exponent_{index}")
            nonzero = Signal(name=f"nonzero_{index}")
            m.d.comb += [nonzero.eq(magnitudes[index].any()), masked.eq(tagged & nonzero.replicate(len(tagged)))]
            raws.append(masked)
        top = maximum(m, raws, "max_exponent")
        return _above_zero(
            m, top[: product.bits] + scale_base, top.any() if product.low > 0 else top[-1], "product_lead"
        )


def _above_zero(m: Module, value: Any, valid: Any, name: str) -> Any:
    """Return an exponent above the floor; 0 where it is below, or there is none."""
    wide = Signal(signed(len(value) + 1), name=f"{name}_wide")
    kept = Signal(name=f"{name}_kept")
    out = Signal(len(value), name=name)
    m.d.comb += [wide.eq(value), kept.eq(valid & ~wide[-1]), out.eq(wide[:-1] & kept.replicate(len(value)))]
    return out


def _saturated(m: Module, value: Any, least: int, name: str) -> Any:
    """Return a distance that is not negative where it matters; beyond `least` and the bits for it, all ones."""
    bits = least.bit_length()
    wide = Signal(signed(max(len(value), bits) + 1), name=f"{name}_wide")
    out = Signal(bits, name=name)
    far = Signal(name=f"{name}_far")
    m.d.comb += [wide.eq(value), far.eq(wide[bits:-1].any()), out.eq(wide[:bits] | far.replicate(bits))]
    return out


def _placed(magnitude: Any, shift: int) -> Any:
    """Shift by a constant to the last place that is kept; what falls below is cut."""
    return Cat(Const(0, shift), magnitude) if shift > 0 else magnitude[-shift:]
