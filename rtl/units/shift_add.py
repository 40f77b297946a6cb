# SPDX-License-Identifier: Apache-2.0
"""Weights that are few powers of two: a product is an activation shifted, or a sum of such, and never multiplied.

A code's level is written in canonical signed digits; the unit has as many shifted addends a lane as the level with the
most needs: one for powers of two (log2, DenseShift) and for ternary weights, which are added, subtracted or skipped;
two for APoT. Source: arXiv:2306.06446 (shift units); Reitwiesner 1960 (the digits).
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats import CodebookSpec, IntegerSpec, named
from hwsim.formats.codes import check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import add_signed
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "ShiftAdd",
    "blocks",
    "signed_digits",
    "weight_integers",
]

_TOOL = Architecture()
_MOST_BITS = 64


def signed_digits(number: int) -> list[tuple[int, bool]]:
    """Return the places of the nonzero canonical signed digits of an integer, the lowest first, and their signs."""
    digits, place = [], 0
    while number:
        if number & 1:
            digit = 2 - number % 4  # 1 where the next bit is 0, else -1
            digits.append((place, digit < 0))
            number -= digit
        number >>= 1
        place += 1
    return digits


def weight_integers(spec: CodebookSpec | IntegerSpec) -> tuple[list[int], int]:
    """Return the level of each code as an integer, and how many fraction bits these have."""
    values = [Fraction(float(value)) for value in spec.decode(np.arange(1 << spec.bits))]
    fraction_bits = max(value.denominator.bit_length() - 1 for value in values)
    return [int(value * (1 << fraction_bits)) for value in values], fraction_bits


class ShiftAdd(Part):
    """Add a row of products to a register, each of shifted activations.

    Parameters
    ----------
    weight : CodebookSpec or IntegerSpec
        Of at most 8 bits.
    activation : IntegerSpec
        Without a zero point.
    lanes : int
        1 to 256.
    register_bits : int
        Of the sum, which wraps; up to 64.
    architecture : Architecture
        Of the sums.

    Members
    -------
    a : In, codes of the weights; b : In, codes of the activations
        Lane 0 at bit 0.
    base : In, following : Out, ``register_bits`` bits
        In units of ``2**-fraction_bits`` of the weights (`weight_integers`).

    Latency: none, combinational.

    Raises
    ------
    ValueError
        If a level, shifted up to an integer, does not leave the register a place above a product.
    """

    def __new__(
        cls,
        weight: CodebookSpec | IntegerSpec,
        activation: IntegerSpec,
        lanes: int,
        register_bits: int = 32,
        architecture: Architecture = _TOOL,
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("weight's bits", weight.bits, 1, 8)
        check_int("lanes", lanes, 1, 256)
        check_int("register_bits", register_bits, 2, _MOST_BITS)
        if activation.zero_point:
            raise ValueError(f"activation must have no zero point, and {activation.name} has")
        largest = max(map(abs, weight_integers(weight)[0])) * activation.max_significand
        needed = largest.bit_length() + 1
        if needed > register_bits:
            raise ValueError(f"register_bits must hold a product of {needed} bits, not {register_bits}")
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self,
        weight: CodebookSpec | IntegerSpec,
        activation: IntegerSpec,
        lanes: int,
        register_bits: int = 32,
        architecture: Architecture = _TOOL,
    ) -> None:
        self._weight, self._activation, self._lanes = weight, activation, lanes
        self._architecture = architecture
        super().__init__(
            {
                "a": In(lanes * weight.bits),
                "b": In(lanes * activation.bits),
                "base": In(register_bits),
                "following": Out(register_bits),
            }
        )

    def _module_name(self) -> str:
        return f"shift_add_{self._weight.name}_{self._activation.name}_l{self._lanes}"

    def _build(self) -> Module:
        m = Module()
        digits = [signed_digits(integer) for integer in weight_integers(self._weight)[0]]
        count = max(map(len, digits))
        addends, negatives = [], []
        for lane in range(self._lanes):
            code = self.a[self._weight.bits * lane : self._weight.bits * (lane + 1)]
            value = self.b[self._activation.bits * lane : self._activation.bits * (lane + 1)]
            for place in range(count):
                # The k-th digit from the top, so that a level with fewer has its first ones.
                table = [each[len(each) - 1 - place] if len(each) > place else None for each in digits]
                addend, negative = self._shifted(m, table, code, value, f"{place}_{lane}")
                addends.append(addend)
                negatives.append(negative)
        if self._architecture.reduction == "tool":
            total = self.base + add_signed(addends, negatives, len(self.base)).as_signed()
            m.d.comb += self.following.eq(total)
            return m
        heap = Heap(len(self.base))
        heap.add(self.base)
        for addend, negative in zip(addends, negatives, strict=True):
            heap.add_signed_if(addend, negative)
        first, second = heap.rows(m, "total")
        m.d.comb += self.following.eq(add(m, first, second, topology=self._architecture.adder, name="sum"))
        return m

    def _shifted(
        self, m: Module, table: list[tuple[int, bool] | None], code: Any, value: Any, name: str
    ) -> tuple[Any, Any]:
        """Return an activation shifted by a digit's place, 0 where there is no digit, and the digit's sign."""
        known = [digit for digit in table if digit is not None]
        low = min(place for place, _ in known)
        span = max(place for place, _ in known) - low
        # Where there is no digit, place and sign are of no matter: those of a neighbour make smaller logic.
        filled = _filled(table)
        is_signed = self._activation.signed
        word = value.as_signed() if is_signed else value
        if span:
            amount = Signal(range(span + 1), name=f"amount_{name}")
            m.d.comb += amount.eq(_lookup([place - low for place, _ in filled], code))
            word = word << amount
        width = self._activation.bits + span
        shifted = Signal(signed(width) if is_signed else unsigned(width), name=f"shifted_{name}")
        moved = Signal(shifted.shape(), name=f"moved_{name}")
        m.d.comb += moved.eq(word)
        present = _lookup([int(digit is not None) for digit in table], code)
        m.d.comb += shifted.eq(moved & present.replicate(width))
        negative = _lookup([int(minus) for _, minus in filled], code)
        if isinstance(negative, Const) and negative.value == 0:
            negative = Const(0, 0)
        placed = Signal(signed(width + low) if is_signed else unsigned(width + low), name=f"placed_{name}")
        m.d.comb += placed.eq(shifted << low)
        return placed, negative


def _filled(table: list[tuple[int, bool] | None]) -> list[tuple[int, bool]]:
    """Return a table with its empty places taken from the other half, or from a neighbour."""
    known = [digit for digit in table if digit is not None]
    out, half = [], len(table) // 2
    for index, digit in enumerate(table):
        if digit is None:
            others = (table[index ^ 1], table[(index + half) % len(table)])
            out.append(next((other for other in others if other is not None), known[0]))
        else:
            out.append(digit)
    return out


def _lookup(table: list[int], code: Any) -> Any:
    """Return the entry of a code: a tree of multiplexers, without those of equal inputs."""
    if len(set(table)) == 1:
        return Const(table[0], max(table[0].bit_length(), 1))
    half = len(table) // 2
    low, high = table[:half], table[half:]
    if low == high:
        return _lookup(low, code[:-1])
    if set(table) <= {0, 1} and len(table) == 2:
        return code[-1] if table[1] else ~code[-1]
    return Mux(code[-1], _lookup(high, code[:-1]), _lookup(low, code[:-1]))


def _oracle(weight: CodebookSpec | IntegerSpec, activation: IntegerSpec, lanes: int, register_bits: int) -> Any:
    levels = np.array(weight_integers(weight)[0], dtype=object)

    def oracle(a: Any, b: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply levels and activations."""
        total = base.astype(object)
        for lane in range(lanes):
            code = ((a >> (weight.bits * lane)) & ((1 << weight.bits) - 1)).astype(np.int64)
            value = ((b >> (activation.bits * lane)) & ((1 << activation.bits) - 1)).astype(object)
            if activation.signed:
                half = 1 << (activation.bits - 1)
                value = (value ^ half) - half
            total = total + levels[code] * value
        return {"following": total % (1 << register_bits)}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: eight lanes of int8 by each kind of weight."""
    return tuple(
        _block(name, kind)
        for name in ("ternary", "log2_4", "denseshift4", "shiftadd4", "apot4")
        for kind in ("tool", "booth_heap")
    )


def _block(name: str, kind: str) -> Block:
    weight, activation = named(name), IntegerSpec(bits=8)
    assert isinstance(weight, CodebookSpec)
    return Block(
        name=f"shift_add_{name}_int8_l8_{kind}",
        summary=f"8 products of {name} by int8 as shifts, added to a register of 32 bits ({kind})",
        part=lambda: ShiftAdd(weight, activation, 8, 32, ARCHITECTURES[kind]),
        oracle=_oracle(weight, activation, 8, 32),
        source="arXiv:2306.06446",
        directed={"b": (0x8080808080808080, 0x7F7F7F7F7F7F7F7F)},
    )
