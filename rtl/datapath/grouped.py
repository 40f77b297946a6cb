# SPDX-License-Identifier: Apache-2.0
"""Multiply stage of truncating units with several block scales a step, or with groups of products as addends."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit
from rtl.architecture import Architecture
from rtl.arithmetic.shift import shift_left_above
from rtl.datapath.lanes import multiplied, sum_signed
from rtl.datapath.layouts import (
    group_of,
    group_raw,
    operand_layout,
    products_layout,
    special_bits,
)
from rtl.datapath.multiply import join_specials, parity, scale_product
from rtl.part import Part

__all__ = [
    "MultiplyGroups",
]


class MultiplyGroups(Part):
    """Multiply lane by lane, add each group's products exactly, and multiply each with its own scales.

    Parameters
    ----------
    unit : DotProductUnit
        With truncating alignment, and several scales or groups of products.
    architecture : Architecture

    Members
    -------
    a, b : In, arrays of `operand_layout`
    scale_a, scale_b : In, arrays of `operand_layout`
        As many as ``unit.scale_counts``, where the operand is of a block format.
    products : Out, `products_layout`
        An addend a group, with the exponents of its scales and, of a group of one, of its product.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        ports = {
            "a": In(data.ArrayLayout(operand_layout(unit.element_a), unit.lanes)),
            "b": In(data.ArrayLayout(operand_layout(unit.element_b), unit.lanes)),
            "products": Out(products_layout(unit)),
        }
        for name, spec, count in (
            ("scale_a", unit.scale_a, unit.scale_counts[0]),
            ("scale_b", unit.scale_b, unit.scale_counts[1]),
        ):
            if spec is not None:
                ports[name] = In(data.ArrayLayout(operand_layout(spec), count))
        super().__init__(ports)

    def _module_name(self) -> str:
        return "multiply_groups"

    def _build(self) -> Module:
        m = Module()
        unit, group = self.spec, group_of(self.spec)
        seen: list[Any] = []
        for index, out in enumerate(self.products.lanes):
            lanes = range(index * group, (index + 1) * group)
            scales = [self._scale(name, lanes[0]) for name in ("scale_a", "scale_b") if hasattr(self, name)]
            total, negative, exponent = self._product(m, lanes[0]) if group == 1 else self._group(m, lanes)
            for scale in scales:
                exponent = exponent + scale.exponent
            name = f"scale_{index}" if index else "scale"
            product = total * scale_product(m, unit, scales, self._architecture, name)
            m.d.comb += [
                out.significand.eq(product),
                out.negative.eq(negative ^ parity([scale.negative for scale in scales])),
                out.exponent.eq(exponent),
            ]
            if special_bits(unit):
                special = Signal(special_bits(unit), name=f"special_{index}")
                left, right = ([operands[lane] for lane in lanes] for operands in (self.a, self.b))
                join_specials(m, unit, left, right, scales, special)
                seen.append(special)
        if seen:
            m.d.comb += self.products.special.eq(
                Cat(Cat(*(special[place] for special in seen)).any() for place in range(special_bits(unit)))
            )
        return m

    def _scale(self, name: str, lane: int) -> Any:
        """Return the scale of a lane."""
        scales = getattr(self, name)
        return scales[lane * scales.shape().length // self.spec.lanes]

    def _product(self, m: Module, lane: int) -> tuple[Any, Any, Any]:
        """Return significand, sign and raw exponent of a product."""
        a, b = self.a[lane], self.b[lane]
        product = multiplied(m, a.significand, b.significand, self._architecture, f"lane_{lane}")
        return product, a.negative ^ b.negative, a.exponent + b.exponent

    def _group(self, m: Module, lanes: range) -> tuple[Any, Any, Any]:
        """Return the sum of a group of products, in units of the smallest one's last place."""
        grid = group_raw(self.spec)
        values, negatives = [], []
        for lane in lanes:
            product, negative, exponent = self._product(m, lane)
            if grid.bits:
                product = shift_left_above(m, product, exponent, grid.low, grid.high, f"aligned_{lane}")
            values.append(product)
            negatives.append(negative)
        bits = (len(lanes) * (self.spec.product_max << (grid.high - grid.low))).bit_length() + 1
        total = Signal(signed(bits), name=f"group_{lanes[0] // len(lanes)}")
        m.d.comb += total.eq(sum_signed(m, values, negatives, bits, self._architecture, f"group_{lanes[0]}"))
        return total, Const(0, 0), Const(0, 0)
