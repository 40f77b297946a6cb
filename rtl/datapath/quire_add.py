# SPDX-License-Identifier: Apache-2.0
"""One product placed in a wide fixed register and added: the quire of a posit, the Kulisch accumulator of a float.

The product stands in one of many windows of the register. What is outside takes its sign, so that one adder is enough;
a column chooses among the two windows that reach it and that sign, and no column has an exclusive-or of its own.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from hwsim.formats import FloatSpec, Overflow, PositSpec
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import product_raw, register_layout, special_bits
from rtl.datapath.multiply import join_specials
from rtl.formats.posit import decode_posit_signed
from rtl.part import Part

__all__ = [
    "QuireAdd",
    "quire_step",
]


def quire_step(unit: DotProductUnit, architecture: Architecture) -> "QuireAdd | None":
    """Return the step of a unit of one lane and a fixed register that wraps; None where there is no such structure."""
    accumulator, elements = unit.accumulator, (unit.element_a, unit.element_b)
    if architecture.reduction != "heap" or architecture.accumulation != "binary" or unit.lanes > 1:
        return None
    if not isinstance(accumulator, FixedAccumulator) or accumulator.overflow is not Overflow.WRAP:
        return None
    floats = all(isinstance(spec, FloatSpec) and spec.signed for spec in elements)
    if not (floats or all(isinstance(spec, PositSpec) for spec in elements)) or not product_raw(unit).bits:
        return None
    return QuireAdd(unit, architecture)


class QuireAdd(Part):
    """Compute a fixed register's next value from the codes of one product.

    Parameters
    ----------
    unit : DotProductUnit
        One for which `quire_step` has a structure.
    architecture : Architecture

    Members
    -------
    a, b : In, a code
    register, following : In and Out, `register_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        register = register_layout(unit)
        ports = {"a": In(unit.element_a.bits), "b": In(unit.element_b.bits)}
        super().__init__(ports | {"register": In(register), "following": Out(register)})

    def _module_name(self) -> str:
        return "quire_add"

    def _build(self) -> Module:
        m = Module()
        assert isinstance(self.spec.accumulator, FixedAccumulator)
        bits = self.spec.accumulator.bits
        posits = isinstance(self.spec.element_a, PositSpec)
        special = Signal(max(special_bits(self.spec), 1), name="special")
        product, sign, exponent, point = self._posits(m, special) if posits else self._floats(m, special)
        placed = Signal(bits, name="placed")
        m.d.comb += placed.eq(Cat(*self._placed(m, product, sign, exponent, point, inverted=not posits)))
        # A magnitude is inverted, to all columns: the one that is missing is the adder's carry.
        carry = None if posits else sign
        total = add(
            m, self.register.value.as_unsigned(), placed, carry, topology=self._architecture.adder, name="added"
        )
        m.d.comb += [
            self.following.value.eq(total),
            self.following.special.eq(self.register.special | special[: special_bits(self.spec)]),
        ]
        return m

    def _posits(self, m: Module, special: Any) -> tuple[Any, Any, Any, int]:
        """Return signed product, sign, exponent, and the column of the product's last place where that is 0."""
        assert isinstance(self.spec.accumulator, FixedAccumulator)
        a, b = (
            decode_posit_signed(m, spec, getattr(self, name), name)
            for name, spec in (("a", self.spec.element_a), ("b", self.spec.element_b))
            if isinstance(spec, PositSpec)
        )
        product = self._product(m, a[0], b[0])
        exponent = Signal(signed(max(len(a[1]), len(b[1])) + 1), name="exponent")
        m.d.comb += [exponent.eq(a[1] + b[1]), special.eq(a[2] | b[2])]
        fraction = sum(spec.sig_bits - 1 for spec in (self.spec.element_a, self.spec.element_b))
        return product, product[-1], exponent, self.spec.accumulator.fraction_bits - fraction

    def _floats(self, m: Module, special: Any) -> tuple[Any, Any, Any, int]:
        """Return the same with the product's magnitude."""
        unit, raw = self.spec, product_raw(self.spec)
        assert isinstance(unit.accumulator, FixedAccumulator)
        operands = []
        for name, spec in (("a", unit.element_a), ("b", unit.element_b)):
            m.submodules[f"decode_{name}"] = decode = Decode(spec)
            m.d.comb += decode.codes.eq(getattr(self, name))
            operands.append(decode.operands)
        a, b = operands[0][0], operands[1][0]
        if special_bits(unit):
            join_specials(m, unit, operands[0], operands[1], [], special)
        negative, exponent = Signal(name="negative"), Signal(raw.bits, name="exponent")
        m.d.comb += [negative.eq(a.negative ^ b.negative), exponent.eq(a.exponent + b.exponent)]
        product = self._product(m, a.significand, b.significand)
        return product, negative, exponent, raw.offset + unit.accumulator.fraction_bits

    def _product(self, m: Module, a: Any, b: Any) -> Any:
        """Return the product of significands, signed as they are."""
        shape = (a * b).shape()
        if self._architecture.multiplier == "tool":
            value: Any = a * b
        else:
            heap = Heap(shape.width)
            heap.add_product(m, a, b, style=self._architecture.multiplier, name="product")
            adder = self._architecture.adder
            value = heap.total(m, "product", "tool" if adder == "ripple" else adder)
        product = Signal(shape, name="product")
        m.d.comb += product.eq(value)
        return product

    def _placed(
        self, m: Module, product: Any, sign: Any, exponent: Any, point: int, *, inverted: bool
    ) -> Sequence[Any]:
        """Return the register's columns of a product, and its sign above it; below it too where that is inverted."""
        unit, raw = self.spec, product_raw(self.spec)
        assert isinstance(unit.accumulator, FixedAccumulator)
        fine = min((len(product) - 1).bit_length(), len(exponent) - 1)
        low, high = raw.low, raw.high
        if not inverted:  # a posit's exponents are signed, with 0 in the middle
            high = sum(spec.scale_max for spec in (unit.element_a, unit.element_b) if isinstance(spec, PositSpec))
            low = -high
        reach = len(product) + (1 << fine) - 1
        moved = Signal(signed(reach) if product.shape().signed else reach, name="moved")
        m.d.comb += moved.eq(product << exponent[:fine])
        bits_of: Any = moved ^ sign.replicate(reach) if inverted else moved
        window = Signal(reach, name="window")
        m.d.comb += window.eq(bits_of)
        selects, starts = [], []
        coarse = exponent[fine:]
        for index in range(low >> fine, (high >> fine) + 1):
            select = Signal(name=f"select_{index - (low >> fine)}")
            m.d.comb += select.eq(coarse == index % (1 << len(coarse)))
            selects.append(select)
            starts.append((index << fine) + point)
        fills: dict[tuple[int, ...], Any] = {}
        columns = []
        for column in range(unit.accumulator.bits):
            inside = [i for i, start in enumerate(starts) if start <= column < start + reach]
            outside = tuple(
                i for i, start in enumerate(starts) if start + reach <= column or (inverted and column < start)
            )
            if outside and outside not in fills:
                fills[outside] = Signal(name=f"fill_{len(fills)}")
                everywhere = len(outside) == len(starts)
                there = Const(1, 1) if everywhere else Cat(*(selects[i] for i in outside)).any()
                m.d.comb += fills[outside].eq(sign & there)
            terms = [selects[i] & window[column - starts[i]] for i in inside]
            columns.append(Cat(*terms, *([fills[outside]] if outside else [])).any())
        return columns
