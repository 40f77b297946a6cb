# SPDX-License-Identifier: Apache-2.0
"""Multiply stage: exact products of decoded operands, the product of the scales, and what special they make."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, TruncatedAlignment
from rtl.architecture import Architecture
from rtl.arithmetic.tree import balanced
from rtl.datapath.lanes import multiplied
from rtl.datapath.layouts import operand_layout, product_raw, products_layout, scale_max, scale_raw, special_bits
from rtl.part import Part

__all__ = [
    "Multiply",
    "join_specials",
    "parity",
    "scale_product",
]


class Multiply(Part):
    """Multiply lane by lane.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture, optional

    Members
    -------
    a, b : In, arrays of `operand_layout`
    scale_a, scale_b : In, arrays of one `operand_layout`
        Where the operand is of a block format.
    products : Out, `products_layout`
        Magnitudes with a sign beside them for floats, signed products for signed integers. For truncating alignment,
        the significands of the scales are multiplied onto each product.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture | None = None) -> None:
        self.spec = unit
        self._architecture = architecture or Architecture()
        ports = {
            "a": In(data.ArrayLayout(operand_layout(unit.element_a), unit.lanes)),
            "b": In(data.ArrayLayout(operand_layout(unit.element_b), unit.lanes)),
            "products": Out(products_layout(unit)),
        }
        for name, spec in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)):
            if spec is not None:
                ports[name] = In(data.ArrayLayout(operand_layout(spec), 1))
        super().__init__(ports)

    def _module_name(self) -> str:
        return "multiply"

    def _build(self) -> Module:
        m = Module()
        unit = self.spec
        truncated = isinstance(unit.alignment, TruncatedAlignment)
        scales = [getattr(self, name)[0] for name in ("scale_a", "scale_b") if hasattr(self, name)]
        scale_negative = parity([scale.negative for scale in scales])
        scale_significand = scale_product(m, unit, scales, self._architecture)
        for lane in range(unit.lanes):
            a, b, out = self.a[lane], self.b[lane], self.products.lanes[lane]
            product = multiplied(m, a.significand, b.significand, self._architecture, f"lane_{lane}")
            negative = a.negative ^ b.negative
            if truncated and scales:
                product = product * scale_significand
                negative = negative ^ scale_negative
            m.d.comb += [out.significand.eq(product), out.negative.eq(negative)]
            if product_raw(unit).bits:
                m.d.comb += out.exponent.eq(a.exponent + b.exponent)
        if not truncated:
            m.d.comb += [
                self.products.scale_negative.eq(scale_negative),
                self.products.scale_significand.eq(scale_significand),
            ]
        if scale_raw(unit).bits:
            m.d.comb += self.products.scale_exponent.eq(sum((scale.exponent for scale in scales), start=Const(0, 0)))
        if special_bits(unit):
            join_specials(m, unit, self.a, self.b, scales, self.products.special)
        return m


def scale_product(
    m: Module, unit: DotProductUnit, scales: Sequence[Any], architecture: Architecture, name: str = "scale"
) -> Any:
    """Return the product of the scales' significands; where it is 1, without a multiplier."""
    if scale_max(unit) == 1:
        return Const(1, 1)
    out = Signal(scale_max(unit).bit_length(), name="scale_product")
    m.d.comb += out.eq(
        balanced([scale.significand for scale in scales], lambda x, y: multiplied(m, x, y, architecture, name))
    )
    return out


def join_specials(
    m: Module, unit: DotProductUnit, a: Sequence[Any], b: Sequence[Any], scales: Sequence[Any], out: Any
) -> None:
    """Join the specials of products and scales: a bit for NaN, or one for each infinity, both for NaN."""
    nans = [operand.nan for lanes in (a, b) for operand in lanes] + [scale.nan for scale in scales]
    nan = Signal(name="nan")
    m.d.comb += nan.eq(Cat(*nans).any())
    if special_bits(unit) == 1:
        m.d.comb += out.eq(nan)
        return
    positive, negative, invalid = [], [], []
    for x, y in zip(a, b, strict=True):
        infinite = x.infinite.any() | y.infinite.any()
        minus = _minus(x) ^ _minus(y) ^ parity([scale.negative for scale in scales])
        positive.append(infinite & ~minus)
        negative.append(infinite & minus)
        invalid.append(x.infinite.any() & ~y.significand.any() | y.infinite.any() & ~x.significand.any())
        invalid += [infinite & ~scale.significand.any() for scale in scales]
    every = nan | Cat(*invalid).any()
    m.d.comb += out.eq(Cat(Cat(*positive).any() | every, Cat(*negative).any() | every))


def parity(bits: Sequence[Any]) -> Any:
    """Return the parity of some bits, of which some may have no width."""
    return balanced(bits, lambda x, y: x ^ y) if bits else Const(0, 0)


def _minus(operand: Any) -> Any:
    """Return whether an operand is negative."""
    if operand.significand.shape().signed:
        return operand.significand[-1]
    return operand.negative.any()
