# SPDX-License-Identifier: Apache-2.0
"""SIMD over two float precisions: lanes of E4M3, each with a lane of E2M1 beside it; exact sums.

Source: arXiv:2510.25602, table 7, the FP reuse scheme: of two E2M1 in a byte one has a small multiplier of its own, the
other goes through the E4M3 lane as the code S_00XX_X00. That code is worth ``2**-6`` of the E2M1, its subnormal
included, and a product so ``2**-12``.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats import FloatSpec, Specials
from hwsim.formats.codes import check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import add_signed
from rtl.blocks import Block
from rtl.datapath.decode import Decode
from rtl.part import Part

__all__ = [
    "SimdFloat",
    "blocks",
]

_TOOL = Architecture()
_E4M3 = FloatSpec(exp_bits=4, man_bits=3, bias=7, specials=Specials.FN)
_E2M1 = FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FINITE)
# A product of E4M3 is a multiple of 2**-18 below 2**18; one of E2M1, a multiple of 2**-2, stands 4 places higher.
_NARROW_PLACES = 4
_LEAST_BITS = 38


class SimdFloat(Part):
    """Add a row of products to a fixed-point register: of ``lanes`` E4M3 pairs, or of ``2 * lanes`` E2M1 pairs.

    Parameters
    ----------
    lanes : int
        Bytes, 1 to 256.
    register_bits : int
        Of the sum, which wraps; 38 to 63.
    architecture : Architecture

    Members
    -------
    narrow : In, 1 bit
        The precision of this row: 0 E4M3, 1 E2M1.
    a, b : In, ``8 * lanes`` bits
        Lane 0 at bit 0; of a byte that holds two E2M1 the low one is the first.
    base : In, following : Out, ``register_bits + 1`` bits
        Two's complement in units of ``2**-18`` (E4M3) or ``2**-6`` (E2M1), and above it whether a NaN has been seen:
        then the sum, which takes it for 480, is of no meaning.

    Latency: none, combinational.
    """

    def __new__(cls, lanes: int, register_bits: int = 48, architecture: Architecture = _TOOL) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("lanes", lanes, 1, 256)
        check_int("register_bits", register_bits, _LEAST_BITS, 63)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, lanes: int, register_bits: int = 48, architecture: Architecture = _TOOL) -> None:
        self._lanes, self._bits, self._architecture = lanes, register_bits, architecture
        bits = 8 * lanes
        super().__init__(
            {
                "narrow": In(1),
                "a": In(bits),
                "b": In(bits),
                "base": In(register_bits + 1),
                "following": Out(register_bits + 1),
            }
        )

    def _module_name(self) -> str:
        return f"simd_float_l{self._lanes}"

    def _build(self) -> Module:
        m = Module()
        wide, small = {}, {}
        for name, word in (("a", self.a), ("b", self.b)):
            m.submodules[f"wide_{name}"] = wide[name] = Decode(_E4M3, self._lanes)
            m.submodules[f"small_{name}"] = small[name] = Decode(_E2M1, self._lanes)
            for lane in range(self._lanes):
                code = word[8 * lane : 8 * lane + 8]
                mapped = Cat(Const(0, 2), code[0], code[1:3], Const(0, 2), code[3])
                m.d.comb += [
                    wide[name].codes[8 * lane : 8 * lane + 8].eq(Mux(self.narrow, mapped, code)),
                    small[name].codes[4 * lane : 4 * lane + 4].eq(code[4:] & self.narrow.replicate(4)),
                ]
        magnitudes, negatives, nans = [], [], []
        for lane in range(self._lanes):
            for which, low, places in ((wide, 2, 0), (small, 2, _NARROW_PLACES)):
                a, b = which["a"].operands[lane], which["b"].operands[lane]
                product = Signal(len(a.significand) + len(b.significand), name=f"product_{places}_{lane}")
                exponent = Signal(len(a.exponent) + 1, name=f"exponent_{places}_{lane}")
                m.d.comb += [product.eq(a.significand * b.significand), exponent.eq(a.exponent + b.exponent)]
                # Exponent fields are at least 1 each.
                span = 2 * ((1 << len(a.exponent)) - 1) - low
                moved = (product << exponent)[low : low + len(product) + span]
                placed = Signal(places + len(moved), name=f"placed_{places}_{lane}")
                m.d.comb += placed.eq(Cat(Const(0, places), moved))
                magnitudes.append(placed)
                negatives.append(a.negative ^ b.negative)
            nans.append(wide["a"].operands[lane].nan | wide["b"].operands[lane].nan)
        total = self._sum(m, magnitudes, negatives)
        m.d.comb += self.following.eq(Cat(total, self.base[-1] | Cat(*nans).any()))
        return m

    def _sum(self, m: Module, magnitudes: list[Any], negatives: list[Any]) -> Any:
        base = self.base[:-1]
        if self._architecture.reduction == "tool":
            return (base + add_signed(magnitudes, negatives, self._bits))[: self._bits]
        heap = Heap(self._bits)
        heap.add(base)
        for magnitude, negative in zip(magnitudes, negatives, strict=True):
            heap.add_signed_if(magnitude, negative)
        first, second = heap.rows(m, "total")
        return add(m, first, second, topology=self._architecture.adder, name="sum")


def _integers(spec: FloatSpec, fraction_bits: int) -> NDArray[Any]:
    """Return the value of each code in units of ``2**-fraction_bits``; of a NaN, what its fields would be worth.

    With a NaN the sum has no meaning: that pins it to what this circuit makes of it, and no source does.
    """
    values = np.array(spec.decode(np.arange(1 << spec.bits)))
    top = 2.0 ** ((1 << spec.exp_bits) - 1 - spec.bias) * (2 - 2.0**-spec.man_bits)
    values = np.where(np.isnan(values), np.where(np.arange(values.size) < values.size // 2, top, -top), values)
    return np.array([int(Fraction(float(value)) * (1 << fraction_bits)) for value in values], object)


def _oracle(lanes: int, register_bits: int) -> Any:
    wide, small = _integers(_E4M3, 9), _integers(_E2M1, 1)

    def oracle(narrow: Any, a: Any, b: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply the values that the formats give the codes."""
        ones = (1 << register_bits) - 1
        total, nan = (base & ones).astype(object), (base >> register_bits).astype(object)
        for lane in range(lanes):
            x, y = (((word >> (8 * lane)) & 255).astype(np.int64) for word in (a, b))
            pair = small[x & 15] * small[y & 15] + small[x >> 4] * small[y >> 4]
            total = total + np.where(narrow.astype(bool), pair << _NARROW_PLACES, wide[x] * wide[y])
            special = ((x & 127) == 127) | ((y & 127) == 127)
            nan = nan | np.where(narrow.astype(bool), False, special).astype(object)
        return {"following": (total & ones) | ((nan != 0).astype(object) << register_bits)}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: four lanes."""
    return tuple(
        Block(
            name=f"simd_float_l4_{name}",
            summary=f"4 products of E4M3 or 8 of E2M1, exact, added to a register of 48 bits ({name})",
            part=partial(SimdFloat, 4, 48, ARCHITECTURES[name]),
            oracle=_oracle(4, 48),
            source="arXiv:2510.25602, table 7, FP scheme",
            directed=dict.fromkeys(("a", "b"), (2122219134, 4278124286, 16843009, 2004318071)),
        )
        for name in ("tool", "booth_heap")
    )
