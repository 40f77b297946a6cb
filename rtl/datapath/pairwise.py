# SPDX-License-Identifier: Apache-2.0
"""Trees of float adders: products, and sums of neighbours pair by pair, are each rounded as the register is."""

from dataclasses import replace

from amaranth.hdl import Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator
from rtl.architecture import Architecture
from rtl.arithmetic.tree import balanced
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.align_add import AlignAdd
from rtl.datapath.decode import Decode
from rtl.datapath.float_sum import FloatSum
from rtl.datapath.layouts import operand_layout, products_layout, total_layout
from rtl.datapath.multiply import Multiply
from rtl.datapath.specials import special_pair
from rtl.part import Part

__all__ = [
    "MultiplyRounded",
    "PairTree",
    "RoundedProduct",
]


class RoundedProduct(Part):
    """Round one product to the register's format, by its rules.

    Parameters
    ----------
    unit : DotProductUnit
        With pairwise alignment.
    architecture : Architecture

    Members
    -------
    a, b : In, `operand_layout`
    code : Out, a code of the register's format

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        assert isinstance(unit.accumulator, FloatAccumulator)  # by the unit's check
        self.spec = replace(unit, lanes=1, alignment=ExactAlignment())
        self._architecture = architecture
        self._accumulator = unit.accumulator
        ports = {name: In(operand_layout(spec)) for name, spec in (("a", unit.element_a), ("b", unit.element_b))}
        super().__init__(ports | {"code": Out(unit.accumulator.bits)})

    def _module_name(self) -> str:
        return "rounded_product"

    def _build(self) -> Module:
        m = Module()
        accumulator = self._accumulator
        m.submodules.multiply = multiply = Multiply(self.spec, self._architecture)
        m.submodules.align_add = align_add = AlignAdd(self.spec, self._architecture)
        m.submodules.decode = decode = Decode(accumulator.format)
        m.submodules.accumulate = accumulate = Accumulate(self.spec, self._architecture)
        # The zero to which a number is added without a change: -0 where zeros have signs.
        zero = Signal(accumulator.bits, name="zero")
        m.d.comb += [
            zero.eq(1 << (accumulator.bits - 1) if accumulator.signed_zero else 0),
            multiply.a[0].eq(self.a),
            multiply.b[0].eq(self.b),
            align_add.products.eq(multiply.products),
            decode.codes.eq(zero),
            accumulate.register.value.eq(zero),
            accumulate.decoded.eq(decode.operands[0]),
            accumulate.total.eq(align_add.total),
            self.code.eq(accumulate.following.value),
        ]
        return m


class MultiplyRounded(Part):
    """Multiply lane by lane, and round each product to the register's format.

    Parameters
    ----------
    unit : DotProductUnit
        With pairwise alignment.
    architecture : Architecture

    Members
    -------
    a, b : In, arrays of `operand_layout`
    products : Out, `products_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        super().__init__(
            {
                "a": In(data.ArrayLayout(operand_layout(unit.element_a), unit.lanes)),
                "b": In(data.ArrayLayout(operand_layout(unit.element_b), unit.lanes)),
                "products": Out(products_layout(unit)),
            }
        )

    def _module_name(self) -> str:
        return "multiply"

    def _build(self) -> Module:
        m = Module()
        for lane in range(self.spec.lanes):
            m.submodules[f"lane_{lane}"] = product = RoundedProduct(self.spec, self._architecture)
            m.d.comb += [product.a.eq(self.a[lane]), product.b.eq(self.b[lane])]
            m.d.comb += self.products.codes[lane].eq(product.code)
        return m


class PairTree(Part):
    """Add rounded products pair by pair.

    Parameters
    ----------
    unit : DotProductUnit
        With pairwise alignment.
    architecture : Architecture

    Members
    -------
    products : In, `products_layout`
    total : Out, `total_layout`
        The last sum, decoded.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        assert isinstance(unit.accumulator, FloatAccumulator)  # by the unit's check
        self.spec = unit
        self._architecture = architecture
        self._accumulator = unit.accumulator
        super().__init__({"products": In(products_layout(unit)), "total": Out(total_layout(unit))})

    def _module_name(self) -> str:
        return "pair_tree"

    def _build(self) -> Module:
        m = Module()
        accumulator = self._accumulator
        made: list[FloatSum] = []

        def added(x: Signal, y: Signal) -> Signal:
            node = FloatSum(accumulator, accumulator)
            m.submodules[f"add_{len(made)}"] = node
            made.append(node)
            m.d.comb += [node.code.eq(x), node.addend.eq(y)]
            return node.total

        last = balanced([self.products.codes[lane] for lane in range(self.spec.lanes)], added)
        m.submodules.decode = decode = Decode(accumulator.format)
        own = decode.operands[0]
        m.d.comb += [
            decode.codes.eq(last),
            self.total.sum.eq(own.significand),
            self.total.exponent.eq(own.exponent),
            self.total.negative.eq(own.negative),
            self.total.special.eq(special_pair(own.nan, own.infinite, own.negative)),
        ]
        return m
