# SPDX-License-Identifier: Apache-2.0
"""Several small products in one wide multiplier of an FPGA, and what corrects them.

Operands stand in fields of two words, far enough apart that each product has a field of the words' product. A signed
product below zero borrows one from the field above it, which is given back by the bit on its top. Source: Xilinx WP486
and WP521 (two INT8, four INT4 products in a DSP48E2); the fields of the other multipliers follow from their widths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats.codes import check_int
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "PackedProducts",
    "Packing",
    "blocks",
    "packings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How products share a signed multiplier.

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of the operands, 2 to 16.
    a_count, b_count : int
        How many of each: every a is multiplied by every b.
    wide_bits, short_bits : int
        The multiplier's signed ports, those of the a's and of the b's words.
    signed : bool
        Whether operands are two's complement, or unsigned: the significands of floats, whose signs and exponents are
        beside the multiplier.

    Raises
    ------
    ValueError
        If the fields do not fit the ports.
    """

    a_bits: int
    b_bits: int
    a_count: int
    b_count: int
    wide_bits: int
    short_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        for name in ("a_bits", "b_bits"):
            check_int(name, getattr(self, name), 2, 16)
        for name in ("a_count", "b_count"):
            check_int(name, getattr(self, name), 1, 4)
        for port, needed, there in (
            ("a", self.a_word_bits, self.wide_bits),
            ("b", self.b_word_bits, self.short_bits),
        ):
            if needed > there:
                raise ValueError(f"the word of {port} must fit a port of {there} bits, not need {needed}")

    @property
    def name(self) -> str:
        """A name that spells the fields."""
        kind = "" if self.signed else "u"
        operands = f"{self.a_count}x{kind}{self.a_bits}_by_{self.b_count}x{kind}{self.b_bits}"
        return f"packed_{operands}_in_{self.wide_bits}x{self.short_bits}"

    @property
    def field_bits(self) -> int:
        """Bits of a product: the two operands' together, for ``-2**(a - 1) * -2**(b - 1)`` needs the top one."""
        return self.a_bits + self.b_bits

    @property
    def products(self) -> int:
        """Products of the multiplier."""
        return self.a_count * self.b_count

    @property
    def b_word_bits(self) -> int:
        """Bits of the b's word: its fields, and one more, for the last takes a borrow or a sign of 0."""
        return (self.b_count - 1) * self.field_bits + self.b_bits + (self.b_count > 1 or not self.signed)

    @property
    def a_word_bits(self) -> int:
        """Bits of the a's word, whose fields are as far apart as all products with one a take."""
        return (self.a_count - 1) * self.b_count * self.field_bits + self.a_bits + (self.a_count > 1 or not self.signed)


class PackedProducts(Part):
    """Multiply every a by every b in one multiplier.

    Parameters
    ----------
    packing : Packing

    Members
    -------
    a, b : In, ``count * bits`` bits
        The first at bit 0.
    products : Out, ``products * field_bits`` bits
        That of a[i] and b[j] is number ``i * b_count + j``.

    Latency: none, combinational.
    """

    def __init__(self, packing: Packing) -> None:
        self.spec = packing
        super().__init__(
            {
                "a": In(packing.a_count * packing.a_bits),
                "b": In(packing.b_count * packing.b_bits),
                "products": Out(packing.products * packing.field_bits),
            }
        )

    def _module_name(self) -> str:
        return self.spec.name

    def _build(self) -> Module:
        m = Module()
        spec = self.spec
        words = []
        for name, codes, bits, count, apart, width in (
            ("a", self.a, spec.a_bits, spec.a_count, spec.b_count * spec.field_bits, spec.a_word_bits),
            ("b", self.b, spec.b_bits, spec.b_count, spec.field_bits, spec.b_word_bits),
        ):
            word = Signal(signed(width), name=f"word_{name}")
            fields = [codes[bits * i : bits * (i + 1)] for i in range(count)]
            fields = [field.as_signed() for field in fields] if spec.signed else fields
            m.d.comb += word.eq(_joined(fields, apart))
            words.append(word)
        product = Signal(signed(spec.a_word_bits + spec.b_word_bits), name="product")
        m.d.comb += product.eq(words[0] * words[1])
        size = spec.field_bits
        if not spec.signed:
            m.d.comb += self.products.eq(product[: spec.products * size])
            return m
        out: list[Any] = [product[:size]]
        for place in range(1, spec.products):
            field = Signal(size, name=f"field_{place}")
            # All fields below are together worth less than zero where the top one of them is, its own borrow included.
            m.d.comb += field.eq(product[size * place : size * (place + 1)] + product[size * place - 1])
            out.append(field)
        m.d.comb += self.products.eq(Cat(*out))
        return m


def _joined(fields: list[Any], apart: int) -> Any:
    """Return the sum of signed fields: sign bits are carried up by one subtraction a field."""
    total: Any = Const(0, 1)
    for place, field in enumerate(fields):
        total = field if place == 0 else total + (field << (place * apart))
    return total


def packings() -> tuple[Packing, ...]:
    """Return what fits the multipliers of DSP48E2 (27 x 18), DSP48E1 (25 x 18) and ECP5's MULT18X18D.

    Two INT8 products that share an operand need a word of 25 bits: both of Xilinx's have that, ECP5's 18 do not. There
    two products of INT4 by INT8 fit 17 bits. Four of INT4 by INT4, two by two, fit words of 21 and 13 bits. Unsigned
    are the significands of E4M3 (4 bits) and of E2M1 (2 bits).
    """
    fits: list[tuple[Any, ...]] = []
    for wide in (27, 25):
        fits += [(8, 8, 2, 1, wide, 18), (4, 8, 2, 1, wide, 18), (4, 4, 2, 2, wide, 18)]
        fits += [(4, 4, 2, 2, wide, 18, False), (2, 2, 2, 4, wide, 18, False)]
    fits += [(4, 8, 2, 1, 18, 18), (4, 4, 2, 1, 18, 18), (4, 4, 2, 1, 18, 18, False), (2, 2, 2, 3, 18, 18, False)]
    names = ("a_bits", "b_bits", "a_count", "b_count", "wide_bits", "short_bits", "signed")
    return tuple(Packing(**dict(zip(names, each, strict=False))) for each in fits)


def _oracle(packing: Packing) -> Any:
    def operand(codes: Any, bits: int, place: int) -> Any:
        value = ((codes >> (bits * place)) & ((1 << bits) - 1)).astype(object)
        half = 1 << (bits - 1) if packing.signed else 0
        return (value ^ half) - half

    def oracle(a: Any, b: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply each by each."""
        total, size = np.zeros(len(a), dtype=object), packing.field_bits
        for i in range(packing.a_count):
            for j in range(packing.b_count):
                product = operand(a, packing.a_bits, i) * operand(b, packing.b_bits, j)
                total = total | (product % (1 << size)) << (size * (i * packing.b_count + j))
        return {"products": total}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: every packing."""
    return tuple(
        Block(
            name=packing.name,
            summary=f"{packing.products} products in one multiplier of {packing.wide_bits} x {packing.short_bits} bits",
            part=partial(PackedProducts, packing),
            oracle=_oracle(packing),
            source="Xilinx WP486, WP521",
            directed={"a": (0x8080, 0x8000, 0x88), "b": (0x80, 0x88)},
        )
        for packing in packings()
    )
