# SPDX-License-Identifier: Apache-2.0
"""What makes BitMoD's terms of weights: Booth digits of integers, and leading ones of small floats.

Source: BitMoD, arXiv:2411.11745, section IV. A term's code has man at bit 0, two bits of exp, and the sign.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats.codebook import bitmod_options
from hwsim.formats.codes import check_int
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "BoothTerms",
    "FloatTerms",
    "blocks",
]


class BoothTerms(Part):
    """Make the radix-4 Booth terms of an integer weight; their bit significance is 0, 2, 4 and 6.

    Parameters
    ----------
    bits : int
        Even, 2 to 8: 8 makes four terms, 6 three.

    Members
    -------
    weight : In, `bits` bits
        Two's complement.
    terms : Out, 4 bits a term
        The lowest at bit 0.

    Latency: none, combinational.
    """

    def __new__(cls, bits: int = 8) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("bits", bits, 2, 8)
        if bits % 2:
            raise ValueError(f"bits must be even, not {bits!r}")
        made: Self = super().__new__(cls)
        return made

    def __init__(self, bits: int = 8) -> None:
        super().__init__({"weight": In(bits), "terms": Out(2 * bits)})

    def _module_name(self) -> str:
        return f"booth_terms_w{len(self.weight)}"

    def _build(self) -> Module:
        m = Module()
        below = Cat(Const(0, 1), self.weight)
        for k in range(len(self.weight) // 2):
            low, middle, high = below[2 * k], below[2 * k + 1], below[2 * k + 2]
            one, two = middle ^ low, (high ^ middle) & ~(middle ^ low)
            m.d.comb += self.terms[4 * k : 4 * k + 4].eq(Cat(one | two, two, Const(0, 1), high & (one | two)))
        return m


class FloatTerms(Part):
    """Make the two terms of a 3- or 4-bit float with a special value; their bit significance is 0 and -1.

    The magnitude becomes a number of four integer bits and a fraction bit. The first term is the highest one of the
    integer bits, the second the highest of what then remains, in the three low integer bits and the fraction bit.

    Parameters
    ----------
    bits : int
        3 or 4.

    Members
    -------
    weight : In, `bits` bits
        A code of the codebook that `special` chooses.
    special : In, 2 bits
        Its place in `bitmod_options`: what the code of the negative zero stands for.
    terms : Out, 8 bits
        The first at bit 0.

    Latency: none, combinational.
    """

    def __new__(cls, bits: int = 4) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        bitmod_options(bits)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, bits: int = 4) -> None:
        super().__init__({"weight": In(bits), "special": In(2), "terms": Out(8)})

    def _module_name(self) -> str:
        return f"float_terms_w{len(self.weight)}"

    def _build(self) -> Module:
        m = Module()
        options = bitmod_options(len(self.weight))
        half = 1 << (len(self.weight) - 1)
        is_special = Signal(name="is_special")
        m.d.comb += is_special.eq(self.weight == half)
        halves, negative = Signal(5, name="halves"), Signal(name="negative")
        with m.Switch(self.weight[:-1]):
            for code in range(1, half):
                with m.Case(code):
                    m.d.comb += halves.eq(int(2 * options[0].levels[code]))
        with m.If(is_special), m.Switch(self.special):
            for place, option in enumerate(options):
                with m.Case(place):
                    m.d.comb += halves.eq(int(2 * abs(option.levels[half])))
        signs = Cat(*(Const(option.levels[half] < 0, 1) for option in options))
        m.d.comb += negative.eq(Mux(is_special, signs.bit_select(self.special, 1), self.weight[-1]))
        first, exp_first, rest = self._leading(m, halves[1:], "first")
        second, exp_second, _ = self._leading(m, Cat(halves[0], rest)[:4], "second")
        m.d.comb += self.terms.eq(Cat(first, exp_first, negative & first, second, exp_second, negative & second))
        return m

    def _leading(self, m: Module, word: Any, name: str) -> tuple[Any, Any, Any]:
        """Return whether four bits have a one, the place of the highest, and the bits without it."""
        place, rest = Signal(2, name=f"{name}_place"), Signal(4, name=f"{name}_rest")
        for bit in range(4):
            with m.If(word[bit] & ~word[bit + 1 :].any()):
                m.d.comb += [place.eq(bit), rest.eq(word[:bit])]
        return word.any(), place, rest


def _booth_oracle(bits: int) -> Any:
    def oracle(weight: Any) -> Mapping[str, NDArray[Any]]:
        """Take as each digit what rounding the value to the next power of four, ties up, changes."""
        value = weight.astype(np.int64)
        value = (value ^ (1 << (bits - 1))) - (1 << (bits - 1))
        out = np.zeros(len(weight), dtype=np.int64)
        for k in range(bits // 2):
            rounded = (value + 2) >> 2 if k == 0 else (value + (2 << (2 * k))) >> (2 * k + 2)
            digit = (value if k == 0 else (value + (1 << (2 * k - 1))) >> (2 * k)) - 4 * rounded
            term = (digit != 0) | (np.abs(digit) == 2) << 1 | (digit < 0) << 3
            out |= term << (4 * k)
        return {"terms": out.astype(np.uint64)}

    return oracle


def _float_oracle(bits: int) -> Any:
    table = np.array([option.levels for option in bitmod_options(bits)])

    def oracle(weight: Any, special: Any) -> Mapping[str, NDArray[Any]]:
        """Split the level that the codebook gives the code into powers of two."""
        level = table[special.astype(np.int64), weight.astype(np.int64)]
        magnitude, minus = np.abs(level), level < 0
        out = np.zeros(len(weight), dtype=np.int64)
        for k, lowest in enumerate((1.0, 0.5)):
            present = magnitude >= lowest
            exponent = np.floor(np.log2(np.where(present, magnitude, 1.0))).astype(np.int64)
            magnitude = magnitude - np.where(present, 2.0**exponent, 0)
            place = np.where(present, exponent + k, 0)
            out |= (present | place << 1 | (minus & present) << 3) << (4 * k)
        return {"terms": out.astype(np.uint64)}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: INT8, INT6, FP4 and FP3."""
    integers = tuple(
        Block(
            name=f"booth_terms_int{bits}",
            summary=f"the {bits // 2} radix-4 Booth terms of an int{bits}",
            part=partial(BoothTerms, bits),
            oracle=_booth_oracle(bits),
            source="BitMoD, arXiv:2411.11745, section IV",
        )
        for bits in (8, 6)
    )
    return integers + tuple(
        Block(
            name=f"float_terms_fp{bits}",
            summary=f"the two terms of a {bits}-bit float with a special value",
            part=partial(FloatTerms, bits),
            oracle=_float_oracle(bits),
            source="BitMoD, arXiv:2411.11745, section IV",
        )
        for bits in (4, 3)
    )
