# SPDX-License-Identifier: Apache-2.0
"""Whether a magnitude that was cut is incremented, in every rounding mode, from the bits below its last one."""

from typing import Any

from amaranth.hdl import Module

from hwsim.formats import Rounding
from rtl.arithmetic.rounder import round_increment
from rtl.arithmetic.shift import shift_right_split

__all__ = [
    "below_bits",
    "cut",
    "increment",
]


def below_bits(rounding: Rounding, random_bits: int) -> int:
    """Return how many bits below the last kept one a mode reads: a guard and a sticky bit, or those it adds to."""
    return random_bits if rounding is Rounding.STOCHASTIC else 2


def cut(
    m: Module, value: Any, amount: Any, kept: int, rounding: Rounding, random_bits: int, name: str = "aligned"
) -> tuple[Any, Any]:
    """Shift an unsigned value right, and return its highest `kept` bits and those below that a mode reads."""
    below = below_bits(rounding, random_bits)
    sticky = rounding is not Rounding.STOCHASTIC
    word = shift_right_split(m, value, amount, kept + below, sticky=sticky, name=name)
    return word[below:], word[:below]


def increment(rounding: Rounding, last: Any, below: Any, negative: Any, random: Any) -> Any:
    """Return whether a magnitude is incremented, by its last bit, those below, its sign and the random bits.

    Stochastic rounding is the carry of an adder: of as many bits below the last one as there are random bits, and these
    (the last bit of `below` is cut, not sticky).
    """
    if rounding is Rounding.STOCHASTIC:
        return (below + random)[len(below)]
    return round_increment(rounding, last, below[-1], below[:-1].any(), negative)
