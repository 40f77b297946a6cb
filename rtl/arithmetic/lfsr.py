# SPDX-License-Identifier: Apache-2.0
"""Linear feedback shift registers of the longest period: random bits for stochastic rounding."""

from typing import Any, Self

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "TAPS",
    "Lfsr",
    "lfsr_next",
]

# Xilinx XAPP 052 (P. Alfke, 1996), table 3: exponents of polynomials of maximal period, XNOR form there; its XOR form,
# used here, has the same period, and zero for its forbidden state.
TAPS = {
    8: (8, 6, 5, 4),
    12: (12, 6, 4, 1),
    16: (16, 15, 13, 4),
    20: (20, 17),
    24: (24, 23, 22, 17),
    32: (32, 22, 2, 1),
}


def lfsr_next(state: int, bits: int) -> int:
    """Return the state after one step; the model of `Lfsr`.

    Parameters
    ----------
    state : int
        In [1, 2**bits).
    bits : int
        One of `TAPS`.
    """
    feedback = 0
    for tap in TAPS[bits]:
        feedback ^= state >> (tap - 1)
    return (state << 1 | feedback & 1) & ((1 << bits) - 1)


class Lfsr(wiring.Component):
    """A Fibonacci register that shifts by one bit a cycle while enabled.

    Neighbouring words overlap in all but one bit: what needs words that are independent takes one in `bits` cycles.

    Members
    -------
    en : In, 1 bit
    state : Out, `bits` bits
        Never zero.

    Latency: the seed stands from reset on, and the next state one cycle after each one with `en`.

    Raises
    ------
    ValueError
        If there are no taps for the width, or the seed is not in [1, 2**bits).
    """

    latency = 1

    def __new__(cls, bits: int, seed: int = 1) -> Self:
        """Check the arguments before there is a component: Amaranth warns of one that is not used."""
        if bits not in TAPS:
            raise ValueError(f"bits must be one of {', '.join(map(str, TAPS))}, not {bits!r}")
        if not 1 <= seed < 1 << bits:
            raise ValueError(f"seed must be in 1..2**{bits} - 1, not {seed!r}")
        made: Self = super().__new__(cls)
        return made

    def __init__(self, bits: int, seed: int = 1) -> None:
        self._bits = bits
        self._seed = seed
        super().__init__({"en": In(1), "state": Out(bits)})

    def elaborate(self, platform: Any) -> Module:
        """Return what the register is made of."""
        m = Module()
        register = Signal(self._bits, init=self._seed, name="register")
        feedback = register[TAPS[self._bits][0] - 1]
        for tap in TAPS[self._bits][1:]:
            feedback = feedback ^ register[tap - 1]
        with m.If(self.en):
            m.d.sync += register.eq(Cat(feedback, register))
        m.d.comb += self.state.eq(register)
        return m
