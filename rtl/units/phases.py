# SPDX-License-Identifier: Apache-2.0
"""Complex dot products with weights of phases 1, i, -1 and -i: parts are swapped and signs flipped, nothing multiplied.

Source: Fairy±i, arXiv:2508.05571 (weights in {1, i, -1, -i}); the arithmetic follows from the definition.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.formats.codes import check_bool, check_int
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arithmetic.adder import add
from rtl.arithmetic.heap import Heap
from rtl.arithmetic.tree import add_signed
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "PhaseStep",
    "blocks",
]

_TOOL = Architecture()


class PhaseStep(Part):
    """Add a row of complex products, phase by integer, to a complex register.

    Parameters
    ----------
    lanes : int
        Complex ones, 1 to 256.
    bits : int
        Of an activation's part, two's complement; 2 to 16.
    register_bits : int
        Of each part of the sum, which wraps; `bits` + 2 to 64.
    conjugate : bool
        Whether a product is that of the phase and the activation's conjugate, as the paper's code has it.
    architecture : Architecture
        Of the sums.

    Members
    -------
    w : In, ``2 * lanes`` bits
        Codes of `PhaseSpec`: 1, i, -1, -i. Lane 0 at bit 0, here and below.
    re, im : In, ``bits * lanes`` bits
    base : In, following : Out, ``2 * register_bits`` bits
        The real part at bit 0.

    Latency: none, combinational.
    """

    def __new__(
        cls,
        lanes: int,
        bits: int = 8,
        register_bits: int = 32,
        conjugate: bool = False,
        architecture: Architecture = _TOOL,
    ) -> Self:
        """Check before there is a component: Amaranth warns of one that is not used."""
        check_int("lanes", lanes, 1, 256)
        check_int("bits", bits, 2, 16)
        check_int("register_bits", register_bits, bits + 2, 64)
        check_bool("conjugate", conjugate)
        made: Self = super().__new__(cls)
        return made

    def __init__(
        self,
        lanes: int,
        bits: int = 8,
        register_bits: int = 32,
        conjugate: bool = False,
        architecture: Architecture = _TOOL,
    ) -> None:
        self._lanes, self._bits, self._register_bits = lanes, bits, register_bits
        self._conjugate, self._architecture = conjugate, architecture
        super().__init__(
            {
                "w": In(2 * lanes),
                "re": In(bits * lanes),
                "im": In(bits * lanes),
                "base": In(2 * register_bits),
                "following": Out(2 * register_bits),
            }
        )

    def _module_name(self) -> str:
        return f"phases_l{self._lanes}"

    def _build(self) -> Module:
        m = Module()
        bits, width = self._bits, self._register_bits
        for part, base in enumerate((self.base[:width], self.base[width:])):
            addends, negatives = [], []
            for lane in range(self._lanes):
                turned, minus = self.w[2 * lane], self.w[2 * lane + 1]
                re, im = (word[bits * lane : bits * (lane + 1)] for word in (self.re, self.im))
                chosen = Signal(bits, name=f"chosen_{part}_{lane}")
                m.d.comb += chosen.eq(Mux(turned, re, im) if part else Mux(turned, im, re))
                # i * (re + i im) = -im + i re; and of the conjugate, im + i re.
                flip: Any = minus
                if part == 0 and not self._conjugate:
                    flip = minus ^ turned
                elif part and self._conjugate:
                    flip = minus ^ ~turned
                addends.append(chosen.as_signed())
                negatives.append(flip)
            total = self._sum(m, base, addends, negatives, f"part_{part}")
            m.d.comb += self.following[part * width : (part + 1) * width].eq(total)
        return m

    def _sum(self, m: Module, base: Any, addends: list[Any], negatives: list[Any], name: str) -> Any:
        if self._architecture.reduction == "tool":
            return base + add_signed(addends, negatives, len(base)).as_signed()
        heap = Heap(len(base))
        heap.add(base)
        for addend, negative in zip(addends, negatives, strict=True):
            heap.add_signed_if(addend, negative)
        first, second = heap.rows(m, name)
        return add(m, first, second, topology=self._architecture.adder, name=f"{name}_sum")


def _oracle(lanes: int, bits: int, register_bits: int, conjugate: bool) -> Any:
    def oracle(w: Any, re: Any, im: Any, base: Any) -> Mapping[str, NDArray[Any]]:
        """Multiply by real and imaginary parts of the phases, as for any complex numbers."""
        cosine, sine = (np.array(table, dtype=object) for table in ((1, 0, -1, 0), (0, 1, 0, -1)))
        ones = (1 << register_bits) - 1
        real, imag = base & ones, base >> register_bits
        for lane in range(lanes):
            code = ((w >> (2 * lane)) & 3).astype(np.int64)
            c, s = cosine[code], sine[code]
            x, y = (((word >> (bits * lane)) & ((1 << bits) - 1)).astype(object) for word in (re, im))
            x, y = ((value ^ (1 << (bits - 1))) - (1 << (bits - 1)) for value in (x, y))
            y = -y if conjugate else y
            real, imag = real + c * x - s * y, imag + c * y + s * x
        return {"following": (real & ones) | ((imag & ones) << register_bits)}

    return oracle


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entries: eight lanes of int8, plain and with the conjugate."""
    return tuple(
        Block(
            name=f"phases_l8_{'conjugate_' if conjugate else ''}{name}",
            summary=f"8 complex products of a phase and an int8 pair, added to two registers of 32 bits ({name})",
            part=partial(PhaseStep, 8, 8, 32, conjugate, ARCHITECTURES[name]),
            oracle=_oracle(8, 8, 32, conjugate),
            source="Fairy±i, arXiv:2508.05571",
            directed=dict.fromkeys(("re", "im"), (128 * 72340172838076673,)),
        )
        for conjugate in (False, True)
        for name in ("tool", "booth_heap")
    )
