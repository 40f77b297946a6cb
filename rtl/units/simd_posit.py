# SPDX-License-Identifier: Apache-2.0
"""SIMD over FP4, posit(8,0) and posit(16,1): four, two or one product in one significand multiplier of four blocks.

After XR-NPE, arXiv:2508.13049, of which only the abstract describes the circuit (a reconfigurable significand
multiplier, SIMD over these formats); the split is ours. A posit(16,1)'s significand of 13 bits is
a high part of 7 and a low one of 6. Its product takes all four blocks, two products of posit(8,0) take those on the
diagonal, four of E2M1 one each. Sums are exact, in one register.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats import FloatSpec, PositSpec, Specials
from hwsim.formats.codes import check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import add_signed
from rtl.blocks import Block
from rtl.datapath.decode import Decode
from rtl.part import Part

__all__ = [
    "FORMATS",
    "SimdPosit",
    "blocks",
]

FORMATS: tuple[PositSpec | FloatSpec, ...] = (
    PositSpec(bits=16, es=1),
    PositSpec(bits=8, es=0),
    FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FINITE),
)
"""The format of each precision: codes 0, 1 and 2 of `precision`."""

_TOOL = Architecture()
_WORD = 16
_LOW = 6
_LEAST_BITS = 115
_PLACES = ((0, 0), (1, 1), (0, 1), (1, 0))  # the block of lane 0, 1, 2, 3: low or high part of a, of b


class SimdPosit(Part):
    """Add a word's products to a fixed-point register: one of posit(16,1), two of posit(8,0) or four of E2M1.

    Parameters
    ----------
    precisions : tuple of int
        Which of `FORMATS` the unit has, in ascending order; one alone makes a unit of that format only.
    register_bits : int
        Of the sum, which wraps; 115 to 256 with posit(16,1), else from 32.
    architecture : Architecture
        Of the sum.

    Members
    -------
    precision : In, 2 bits
        The place in `FORMATS` of this word's format; of one that the unit has not, nothing is added.
    a, b : In, 16 bits
        Lane 0 at bit 0.
    base : In, following : Out, ``register_bits + 1`` bits
        Two's complement, in units of the format's smallest product: ``2**-56``, ``2**-12`` or ``2**-2``; above it,
        whether a NaR has been seen.

    Latency: none, combinational.
    """

    def __new__(
        cls, precisions: tuple[int, ...] = (0, 1, 2), register_bits: int = 128, architecture: Architecture = _TOOL
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        if not precisions or list(precisions) != sorted(set(precisions) & {0, 1, 2}):
            raise ValueError(f"precisions must be some of 0, 1, 2 in ascending order, not {precisions!r}")
        check_int("register_bits", register_bits, _LEAST_BITS if 0 in precisions else 32, 256)
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self, precisions: tuple[int, ...] = (0, 1, 2), register_bits: int = 128, architecture: Architecture = _TOOL
    ) -> None:
        self._precisions, self._bits, self._architecture = precisions, register_bits, architecture
        width = register_bits + 1
        super().__init__(
            {"precision": In(2), "a": In(_WORD), "b": In(_WORD), "base": In(width), "following": Out(width)}
        )

    def _module_name(self) -> str:
        return "simd_posit_" + "".join(map(str, self._precisions))

    def _build(self) -> Module:
        m = Module()
        operands, chosen = {}, {}
        for index in self._precisions:
            lanes = _WORD // FORMATS[index].bits
            chosen[index] = (self.precision == index) if len(self._precisions) > 1 else Const(1, 1)
            bits = FORMATS[index].bits
            for name, codes in (("a", self.a), ("b", self.b)):
                found = []
                for lane in range(lanes):
                    m.submodules[f"decode_{name}_{index}_{lane}"] = decode = Decode(FORMATS[index])
                    m.d.comb += decode.codes.eq(codes[bits * lane : bits * (lane + 1)])
                    found.append(decode.operands[0])
                operands[name, index] = found
        products = self._blocks(m, operands, chosen)
        addends, negatives = [], []
        for lane in range(4):
            having = [index for index in self._precisions if lane < _WORD // FORMATS[index].bits]
            if having:
                addend, negative = self._addend(m, lane, {index: chosen[index] for index in having}, operands, products)
                addends.append(addend)
                negatives.append(negative)
        nars = [
            operand.nan & chosen[index]
            for (_, index), lanes_of in operands.items()
            for operand in lanes_of
            if FORMATS[index].has_nan
        ]
        total = self._sum(m, addends, negatives)
        m.d.comb += self.following.eq(Cat(total, self.base[-1] | Cat(*nars).any()))
        return m

    def _blocks(self, m: Module, operands: Any, chosen: Any) -> dict[tuple[int, int], Any]:
        """Return the four products of the multiplier's blocks."""
        products = {}
        for lane, place in enumerate(_PLACES):
            sides = []
            for name, part in zip("ab", place, strict=True):
                value: Any = Const(0, 1)
                for index in self._precisions:
                    found = operands[name, index]
                    if index == 0:
                        significand = found[0].significand[_LOW:] if part else found[0].significand[:_LOW]
                    elif lane < len(found):
                        significand = found[lane].significand
                    else:
                        continue
                    value = value | (significand & chosen[index].replicate(len(significand)))
                side = Signal(len(value), name=f"{name}_{lane}")
                m.d.comb += side.eq(value)
                sides.append(side)
            product = Signal(len(sides[0]) + len(sides[1]), name=f"product_{lane}")
            m.d.comb += product.eq(sides[0] * sides[1])
            products[place] = product
        return products

    def _placed_bits(self, index: int) -> int:
        """Return the bits of a product on the register's grid."""
        spec = FORMATS[index]
        if isinstance(spec, PositSpec):
            return 4 * spec.scale_max + 2
        return 2 * spec.sig_bits + 2 * ((1 << spec.exp_bits) - 2)

    def _addend(self, m: Module, lane: int, chosen: Any, operands: Any, products: Any) -> tuple[Any, Any]:
        """Return a lane's product on the register's grid, from one shifter for all its formats, and its sign."""
        below = max(_below(index) for index in chosen)
        bits = max(self._placed_bits(index) for index in chosen)
        sums: list[Any] = [Const(0, 1)] * 3
        for index, here in chosen.items():
            a, b = operands["a", index][lane], operands["b", index][lane]
            product = _whole(m, products) if index == 0 else products[_PLACES[lane]]
            exponent = Signal(range(below + 2 * (1 << len(a.exponent))), name=f"exponent_{index}_{lane}")
            m.d.comb += exponent.eq(a.exponent + b.exponent + (below - _below(index)))
            for place, value in enumerate((product, exponent, a.negative ^ b.negative)):
                sums[place] = sums[place] | (value & here.replicate(len(value)))
        product = Signal(len(sums[0]), name=f"lane_product_{lane}")
        exponent = Signal(len(sums[1]), name=f"lane_exponent_{lane}")
        negative = Signal(name=f"lane_negative_{lane}")
        m.d.comb += [product.eq(sums[0]), exponent.eq(sums[1]), negative.eq(sums[2])]
        placed = Signal(bits, name=f"placed_{lane}")
        m.d.comb += placed.eq((product << exponent)[below : below + bits])
        return placed, negative

    def _sum(self, m: Module, addends: list[Any], negatives: list[Any]) -> Any:
        base = self.base[:-1]
        if self._architecture.reduction == "tool":
            return (base + add_signed(addends, negatives, self._bits))[: self._bits]
        heap = Heap(self._bits)
        heap.add(base)
        for addend, negative in zip(addends, negatives, strict=True):
            heap.add_signed_if(addend, negative)
        first, second = heap.rows(m, "total")
        return add(m, first, second, topology=self._architecture.adder, name="sum")


def _below(index: int) -> int:
    """Return the places below the grid that a product has at its least exponent.

    They hold zeros only: a posit has the fewer fraction bits the smaller it is.
    """
    spec = FORMATS[index]
    return 2 * spec.fraction_bits if isinstance(spec, PositSpec) else 2


def _whole(m: Module, products: dict[tuple[int, int], Any]) -> Any:
    """Return the product of the whole significands."""
    out = Signal(26, name="product_whole")
    outer = Cat(products[0, 0], products[1, 1])
    m.d.comb += out.eq(outer + ((products[0, 1] + products[1, 0]) << _LOW))
    return out


@lru_cache(maxsize=4)
def _values(index: int) -> NDArray[Any]:
    """Return each code's value in units of the format's smallest, 0 of a NaR."""
    spec = FORMATS[index]
    unit = Fraction(2) ** (spec.scale_max if isinstance(spec, PositSpec) else 1)
    values = spec.decode(np.arange(1 << spec.bits))
    # A posit has bits below that unit, but where two meet their product has none below the unit's square.
    scaled = [Fraction(0) if np.isnan(value) else Fraction(float(value)) * unit for value in values]
    return np.array(scaled, dtype=object)


def _oracle(register_bits: int) -> Any:
    def oracle(precision: Any, a: Any, b: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply the values that the formats give the codes."""
        ones = (1 << register_bits) - 1
        out = []
        for which, x, y, word in zip(*(map(int, column) for column in (precision, a, b, base)), strict=True):
            if which == len(FORMATS):
                out.append(word)
                continue
            spec, total, nan = FORMATS[which], Fraction(word & ones), word >> register_bits
            for lane in range(_WORD // spec.bits):
                codes = [code >> (spec.bits * lane) & ((1 << spec.bits) - 1) for code in (x, y)]
                total += _values(which)[codes[0]] * _values(which)[codes[1]]
                nan |= spec.has_nan and spec.nan_code in codes
            out.append(int(total) & ones | int(nan) << register_bits)
        return {"following": np.array(out, dtype=object)}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: all precisions."""
    return tuple(
        Block(
            name=f"simd_posit_{name}",
            summary=f"1 product of posit(16,1), 2 of posit(8,0) or 4 of E2M1, added to a register of 128 bits ({name})",
            part=partial(SimdPosit, (0, 1, 2), 128, ARCHITECTURES[name]),
            oracle=_oracle(128),
            source="after XR-NPE, arXiv:2508.13049",
            directed=dict.fromkeys(("a", "b"), (32768, 128, 32767, 32769, 32639)),
        )
        for name in ("tool", "booth_heap")
    )
