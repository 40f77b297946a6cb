# SPDX-License-Identifier: Apache-2.0
"""Leading zeros of a word, counted by a tree."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from rtl.part import Part

__all__ = [
    "LeadingZeros",
    "first_one",
    "normalise",
]


class LeadingZeros(Part):
    """Count the zeros above the highest one of a word.

    Members
    -------
    value : In, `bits` bits
    count : Out, enough bits for `bits`
        `bits` where no bit is set.

    Latency: none, combinational.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        super().__init__({"value": In(bits), "count": Out(bits.bit_length())})

    def _module_name(self) -> str:
        return f"leading_zeros_w{self._bits}"

    def _build(self) -> Module:
        m = Module()
        levels = max(self._bits - 1, 0).bit_length()
        missing = (1 << levels) - self._bits
        # Padded below with ones up to a power of two: the count is then right, and at most `bits`.
        padded = Cat(Const((1 << missing) - 1, missing), self.value)
        zero, count = _tree(m, padded, levels, "node")
        if self._bits == 1 << levels:
            m.d.comb += self.count.eq(Mux(zero, self._bits, count))
        else:
            m.d.comb += self.count.eq(count)
        return m


def _tree(m: Module, word: Any, levels: int, name: str) -> tuple[Any, Any]:
    """Return whether a word of 2**levels bits is zero, and if not its leading zeros."""
    if levels == 0:
        return ~word[0], Const(0, 0)
    half = 1 << (levels - 1)
    zero_high, count_high = _tree(m, word[half:], levels - 1, f"{name}h")
    zero_low, count_low = _tree(m, word[:half], levels - 1, f"{name}l")
    count = Signal(levels, name=f"{name}_count")
    m.d.comb += count.eq(Cat(Mux(zero_high, count_low, count_high), zero_high))
    return zero_high & zero_low, count


def first_one(m: Module, bits: Sequence[Any], name: str) -> Any:
    """Return how many bits stand before the first one that is set, the highest bit first; all of them where none is."""
    levels = len(bits).bit_length()
    word = [*bits, *(Const(1, 1) for _ in range((1 << levels) - len(bits)))]
    _, count = _first(word)
    out = Signal(levels, name=name)
    m.d.comb += out.eq(Cat(*count))
    return out


def _first(word: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Return whether one of 2**levels bits is set, and the count before the first, its lowest bit first."""
    if len(word) == 1:
        return word[0], []
    half = len(word) // 2
    (high, before), (low, count) = _first(word[:half]), _first(word[half:])
    return high | low, [*(Mux(high, x, y) for x, y in zip(before, count, strict=True)), ~high]


def normalise(m: Module, significand: Any, exponent: Any) -> tuple[Any, Any]:
    """Shift a significand left until its highest bit is set, unless it is zero; return it and what is its exponent."""
    width = len(significand)
    m.submodules.leading_zeros = leading = LeadingZeros(width)
    normal = Signal(width, name="normal")
    lowered = Signal(signed(max(len(exponent), len(leading.count)) + 2), name="normal_exponent")
    m.d.comb += [leading.value.eq(significand), normal.eq(significand << leading.count)]
    m.d.comb += lowered.eq(exponent - leading.count)
    return normal, lowered
