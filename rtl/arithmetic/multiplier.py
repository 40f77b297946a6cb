# SPDX-License-Identifier: Apache-2.0
"""Multipliers: the synthesizer's own, a carry-save array, AND rows in Dadda's stages, and radix-4 Booth digits.

Source: Booth 1951 in MacSorley's radix-4 form (1961); Dadda 1965; Baugh and Wooley 1973; Braun 1963 (the array).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Shape, Value
from amaranth.lib.wiring import In, Out

from rtl.architecture import Adder, Multiplier
from rtl.arithmetic.adder import add
from rtl.arithmetic.cells import FullAdder, HalfAdder
from rtl.arithmetic.heap import Heap
from rtl.part import Part

__all__ = [
    "Multiply",
    "array_product",
]


class Multiply(Part):
    """
    Multiply two integers exactly.

    Parameters
    ----------
    a, b : Shape
        Of the operands, signed or unsigned.
    style : str
        Of `rtl.architecture.Multiplier`.
    adder : str
        Of `rtl.architecture.Adder`: the carry-propagate adder at the end. Of ``"tool"`` multipliers it is the tool's.

    Members
    -------
    a, b : In
    product : Out, ``a.width + b.width`` bits
        Two's complement if either operand is signed.

    Latency: none, combinational.
    """

    def __init__(self, a: Shape, b: Shape, style: Multiplier = "booth", adder: Adder = "tool") -> None:
        self._style: Multiplier = style
        self._adder: Adder = adder
        super().__init__({"a": In(a), "b": In(b), "product": Out(a.width + b.width)})

    def _module_name(self) -> str:
        return f"multiply_{self._style}_{len(Value.cast(self.a))}x{len(Value.cast(self.b))}"

    def _build(self) -> Module:
        m = Module()
        a, b = Value.cast(self.a), Value.cast(self.b)
        product: Any
        if self._style == "tool":
            product = a * b
        elif self._style == "array":
            product = array_product(m, a, b, self._adder, "array")
        else:
            heap = Heap(len(a) + len(b))
            heap.add_product(m, a, b, style=self._style, name="product")
            product = heap.total(m, "tree", self._adder, dadda=self._style == "dadda")
        m.d.comb += self.product.eq(product)
        return m


def array_product(m: Module, a: Any, b: Any, adder: Adder, name: str) -> Any:
    """
    Return a product, a row of ANDs at a time: each row of carry-save adders gives one bit of it, an adder the rest.

    Parameters
    ----------
    m : Module
    a, b : Value
        Signed or unsigned by their shapes.
    adder : str
        Of the upper half.
    name : str
        Of the cells.

    Returns
    -------
    Value of ``len(a) + len(b)`` bits
    """
    width = len(a) + len(b)
    a_sign, b_sign = (len(x) - 1 if x.shape().signed else -1 for x in (a, b))
    constant = 0
    sums: list[Any] = [None] * width
    carries: list[Any] = [None] * width
    for j in range(len(b)):
        following: list[Any] = [None] * width
        for i in range(len(a)):
            term, at = a[i] & b[j], i + j
            if (i == a_sign) != (j == b_sign):
                term = ~term
                constant -= 1 << at
            bits = [bit for bit in (term, sums[at], carries[at]) if bit is not None]
            if len(bits) == 1:
                sums[at] = bits[0]
                continue
            m.submodules[f"{name}_{j}_{i}"] = cell = FullAdder() if len(bits) == 3 else HalfAdder()
            for port, bit in zip("abc", bits, strict=False):
                m.d.comb += getattr(cell, port).eq(bit)
            sums[at] = cell.total
            following[at + 1] = cell.carry
        carries = following
    heap = Heap(width)
    for at in range(width):
        for bit in (sums[at], carries[at]):
            if bit is not None:
                heap.add_bit(bit, at)
    heap.add_constant(constant)
    if heap.height > 2:
        return heap.total(m, f"{name}_end", adder)
    low = next((at for at in range(width) if carries[at] is not None), width)
    first = Cat(*(Const(0, 1) if bit is None else bit for bit in sums))
    second = Cat(*(Const(0, 1) if bit is None else bit for bit in carries))
    if low == width:
        return first
    return Cat(first[:low], add(m, first[low:], second[low:], topology=adder, name=f"{name}_end"))
