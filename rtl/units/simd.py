# SPDX-License-Identifier: Apache-2.0
"""SIMD over two integer precisions: lanes of int8, or twice as many of int4 in the same multipliers.

Source: arXiv:2510.25602, table 7, INT reuse scheme 2: an int8 lane is two half lanes, each of an int8 and half of the
other operand. In Booth digits the halves cost nothing more than the four digits of an int8: the lower half read as a
signed nibble has the same two digits, and what it is then short of is the digit 1 that the upper half takes in.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats.codes import check_bool, check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import balanced
from rtl.blocks import Block
from rtl.part import Part
from rtl.units.booth import add_digits

__all__ = [
    "SimdInteger",
    "blocks",
]

_TOOL = Architecture()


class SimdInteger(Part):
    """Add a row of products to a register: ``lanes`` of int8 by int8, or ``2 * lanes`` of int4 by int4.

    Parameters
    ----------
    lanes : int
        Of int8, 1 to 256.
    register_bits : int
        Of the sum, which wraps; 16 to 64.
    architecture : Architecture
    shift_sums : bool
        Whether, in a heap, the upper halves are added apart and their sum is shifted, in place of each operand:
        smaller, and slower by a second tree.

    Members
    -------
    narrow : In, 1 bit
        The precision of this row: 0 int8, 1 int4.
    a, b : In, ``8 * lanes`` bits
        Lane 0 at bit 0; of a byte that holds two int4, the low one is the first.
    base : In, following : Out, ``register_bits`` bits
        Two's complement.

    Latency: none, combinational.
    """

    def __new__(
        cls, lanes: int, register_bits: int = 32, architecture: Architecture = _TOOL, shift_sums: bool = False
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("lanes", lanes, 1, 256)
        check_int("register_bits", register_bits, 16, 64)
        check_bool("shift_sums", shift_sums)
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self, lanes: int, register_bits: int = 32, architecture: Architecture = _TOOL, shift_sums: bool = False
    ) -> None:
        self._lanes, self._bits, self._architecture = lanes, register_bits, architecture
        self._shift_sums = shift_sums
        bits = 8 * lanes
        super().__init__(
            {"narrow": In(1), "a": In(bits), "b": In(bits), "base": In(register_bits), "following": Out(register_bits)}
        )

    def _module_name(self) -> str:
        return f"simd_integer_l{self._lanes}"

    def _build(self) -> Module:
        m = Module()
        highs, lows = [], []
        for lane in range(self._lanes):
            a, b = self.a[8 * lane : 8 * lane + 8], self.b[8 * lane : 8 * lane + 8]
            a_high = Signal(8, name=f"a_high_{lane}")
            a_low = Signal(8, name=f"a_low_{lane}")
            m.d.comb += [
                a_high.eq(Mux(self.narrow, Cat(a[4:], a[7].replicate(4)), a)),
                a_low.eq(Mux(self.narrow, Cat(a[:4], a[3].replicate(4)), a)),
            ]
            highs.append((a_high.as_signed(), b[4:].as_signed()))
            lows.append((a_low.as_signed(), b[:4]))
        if self._architecture.reduction == "heap":
            self._heap(m, highs, lows)
        else:
            self._tool(m, highs, lows)
        return m

    def _tool(self, m: Module, highs: list[Any], lows: list[Any]) -> None:
        high = balanced([a * b for a, b in highs], lambda x, y: x + y)
        low = balanced([a * Cat(b, b[3] & self.narrow).as_signed() for a, b in lows], lambda x, y: x + y)
        m.d.comb += self.following.eq(self.base + Mux(self.narrow, high, high << 4) + low)

    def _heap(self, m: Module, highs: list[Any], lows: list[Any]) -> None:
        """Add both halves in one tree; or reduce the upper ones to two rows first, and shift these."""
        booth = self._architecture.multiplier == "booth"
        whole = Heap(self._bits)
        upper = Heap(self._bits) if self._shift_sums else whole
        whole.add(self.base)
        for lane, ((a_high, b_high), (a_low, b_low)) in enumerate(zip(highs, lows, strict=True)):
            operand = a_high
            if not self._shift_sums:
                shifted = Signal(signed(12), name=f"a_shifted_{lane}")
                m.d.comb += shifted.eq(Mux(self.narrow, a_high, a_high << 4))
                operand = shifted
            if booth:
                carried = Signal(name=f"carried_{lane}")
                m.d.comb += carried.eq(b_low[3] & ~self.narrow)
                add_digits(upper, m, operand, Cat(carried, b_high), name=f"high_{lane}")
                add_digits(whole, m, a_low, Cat(Const(0, 1), b_low), name=f"low_{lane}")
                continue
            style = self._architecture.multiplier
            low = Cat(b_low, b_low[3] & self.narrow).as_signed()
            upper.add_product(m, operand, b_high, style=style, name=f"high_{lane}")
            whole.add_product(m, a_low, low, style=style, name=f"low_{lane}")
        if self._shift_sums:
            for index, row in enumerate(upper.rows(m, "upper")):
                moved = Signal(self._bits, name=f"moved_{index}")
                m.d.comb += moved.eq(Mux(self.narrow, row, row << 4))
                whole.add(moved, time=8.0)
        first, second = whole.rows(m, "whole")
        m.d.comb += self.following.eq(add(m, first, second, topology=self._architecture.adder, name="total"))


def _oracle(lanes: int, register_bits: int) -> Any:
    def oracle(narrow: Any, a: Any, b: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Add products of Python integers."""
        total = base.astype(object)
        for lane in range(lanes):
            x, y = ((word.astype(object) >> (8 * lane)) & 255 for word in (a, b))
            wide = _signed(x, 8) * _signed(y, 8)
            pair = _signed(x & 15, 4) * _signed(y & 15, 4) + _signed(x >> 4, 4) * _signed(y >> 4, 4)
            total = total + np.where(narrow.astype(bool), pair, wide)
        return {"following": total % (1 << register_bits)}

    return oracle


def _signed(codes: Any, bits: int) -> Any:
    """Return the integers of two's complement codes."""
    return (codes ^ (1 << (bits - 1))) - (1 << (bits - 1))


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: four int8 lanes, in each architecture."""
    kinds = {"tool": False, "booth_heap": False, "dadda_heap": False, "booth_heap_shift_sums": True}
    return tuple(
        Block(
            name=f"simd_integer_l4_{kind}",
            summary=f"4 lanes of int8 or 8 of int4, added to a register of 32 bits ({kind})",
            part=partial(SimdInteger, 4, 32, ARCHITECTURES[kind.removesuffix("_shift_sums")], shift_sums),
            oracle=_oracle(4, 32),
            source="arXiv:2510.25602, table 7, INT scheme 2",
            directed=dict.fromkeys(("a", "b"), (0x80808080, 0x7F7F7F7F, 0x88888888, 0x77777777)),
        )
        for kind, shift_sums in kinds.items()
    )
