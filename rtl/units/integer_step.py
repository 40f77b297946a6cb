# SPDX-License-Identifier: Apache-2.0
"""A row of integer products added to a register in one carry-save tree: what the mixed units are compared with."""

from typing import Any, Self

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from hwsim.formats import IntegerSpec
from hwsim.formats.codes import check_int
from rtl.architecture import Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import balanced
from rtl.part import Part

__all__ = [
    "IntegerStep",
    "add_products",
    "integers",
]

_TOOL = Architecture()


class IntegerStep(Part):
    """Add a row of products of integers to a register.

    Parameters
    ----------
    left, right : IntegerSpec
        Operand formats without a zero point. Booth digits are made of the right one.
    lanes : int
        1 to 1024.
    register_bits : int
        Of the sum, which wraps; 4 to 64.
    architecture : Architecture

    Members
    -------
    a, b : In, codes of the lanes
        Lane 0 at bit 0.
    base : In, following : Out, ``register_bits`` bits

    Latency: none, combinational.
    """

    def __new__(
        cls,
        left: IntegerSpec,
        right: IntegerSpec,
        lanes: int,
        register_bits: int = 32,
        architecture: Architecture = _TOOL,
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("lanes", lanes, 1, 1024)
        check_int("register_bits", register_bits, 4, 64)
        if left.zero_point or right.zero_point:
            raise ValueError(f"left and right must have no zero point, not {left.name} and {right.name}")
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self,
        left: IntegerSpec,
        right: IntegerSpec,
        lanes: int,
        register_bits: int = 32,
        architecture: Architecture = _TOOL,
    ) -> None:
        self._left, self._right, self._lanes, self._architecture = left, right, lanes, architecture
        super().__init__(
            {
                "a": In(lanes * left.bits),
                "b": In(lanes * right.bits),
                "base": In(register_bits),
                "following": Out(register_bits),
            }
        )

    def _module_name(self) -> str:
        return f"step_{self._left.name}_{self._right.name}_l{self._lanes}"

    def _build(self) -> Module:
        m = Module()
        left = integers(self.a, self._left)
        right = integers(self.b, self._right)
        pairs = list(zip(left, right, strict=True))
        m.d.comb += self.following.eq(add_products(m, self._architecture, pairs, self.base))
        return m


def integers(codes: Any, spec: IntegerSpec) -> list[Any]:
    """Return the values of codes that stand side by side."""
    words = [codes[place : place + spec.bits] for place in range(0, len(codes), spec.bits)]
    return [word.as_signed() for word in words] if spec.signed else words


def add_products(
    m: Module, architecture: Architecture, pairs: list[tuple[Any, Any]], base: Any, name: str = "total"
) -> Any:
    """Return ``base + sum(a * b)`` modulo base's width, in an architecture."""
    if architecture.reduction == "tool":
        return (base + balanced([a * b for a, b in pairs], lambda x, y: x + y))[: len(base)]
    heap = Heap(len(base))
    heap.add(base)
    for index, (a, b) in enumerate(pairs):
        heap.add_product(m, a, b, style=architecture.multiplier, name=f"{name}_{index}")
    first, second = heap.rows(m, name)
    return add(m, first, second, topology=architecture.adder, name=f"{name}_sum")
