# SPDX-License-Identifier: Apache-2.0
"""BitMoD's bit-serial terms of weights of mixed datatypes, and what its processing element computes with them.

Source: BitMoD, arXiv:2411.11745, section IV: a term is ``(-1)**sign * 2**exp * man * 2**bsig``. INT8 is four radix-4
Booth terms, INT6 three; the 3- and 4-bit floats with a special value are two, one for each leading one of a fixed-point
number of four integer bits and a fraction bit.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hwsim.datapath.accumulate import step_exact
from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "BitModRow",
    "bit_mod_exact",
    "booth_terms",
    "float_terms",
    "term_value",
]

TERM_ZERO = 0


class BitModRow(NamedTuple):
    """A cycle of a processing element, as plain integers.

    `terms` are codes of a term each (bit 0 man, then two bits of exp, then the sign), `bsig` the code of the row's bit
    significance, ``2**(bsig - 1)``, `x` codes of the activations. A row with `close` or `last` ends a group, which is
    scaled by `scale`; one with `last` ends the dot product.
    """

    last: bool
    close: bool
    terms: tuple[int, ...]
    bsig: int
    x: tuple[int, ...]
    scale: int = 0


def booth_terms(code: int, bits: int) -> list[tuple[int, int]]:
    """Return the radix-4 Booth terms of an integer weight, from the lowest, as codes of term and bsig.

    Parameters
    ----------
    code : int
        Two's complement, in [0, 2**bits).
    bits : int
        Even.
    """
    below = code << 1  # with the bit below the lowest, 0
    terms = []
    for place in range(bits // 2):
        low, middle, high = (below >> (2 * place + bit) & 1 for bit in range(3))
        digit = low + middle - 2 * high
        terms.append((_term(digit < 0, abs(digit) >> 1, digit != 0), 2 * place + 1))
    return terms


def float_terms(level: float) -> list[tuple[int, int]]:
    """Return the two terms of a level of BitMoD's 3- and 4-bit floats, as codes of term and bsig.

    Raises
    ------
    ValueError
        If the level is not of four integer bits and a fraction bit, with at most two ones.
    """
    halves = abs(level) * 2
    if halves != int(halves) or halves >= 32 or int(halves).bit_count() > 2:
        raise ValueError(f"level must be a number of 4 integer bits and a fraction bit, two ones, not {level!r}")
    ones = [place for place in range(5) if int(halves) >> place & 1]
    negative = level < 0
    # The first term is of the integer bits, the second of the bits below them, the fraction bit among these.
    first = next((place for place in reversed(ones) if place > 0), None)
    second = next((place for place in ones if place != first), None)
    return [
        (TERM_ZERO, 1) if first is None else (_term(negative, first - 1, True), 1),
        (TERM_ZERO, 0) if second is None else (_term(negative, second, True), 0),
    ]


def _term(negative: bool, exp: int, man: bool) -> int:
    return (negative << 3 | exp << 1 | 1) if man else TERM_ZERO


def term_value(term: int, bsig: int) -> float:
    """Return the value of a term of a bit significance."""
    magnitude = (term & 1) * 2.0 ** ((term >> 1 & 3) + bsig - 1)
    return -magnitude if term >> 3 else magnitude


def bit_mod_exact(dot: DotProductUnit, dequantize: DotProductUnit, rows: Iterable[BitModRow]) -> list[int]:
    """Return a code for each row with `last`: sums of groups, from zero, each times its scale, added from zero.

    Parameters
    ----------
    dot : DotProductUnit
        Of terms by activations: a block format whose scale is the bit significance.
    dequantize : DotProductUnit
        One lane: the group's sum in dot's register format, by the scale.
    rows : iterable of BitModRow

    Returns
    -------
    list of int
        Codes of dequantize's register.
    """
    outputs = []
    group: tuple[int, int] = (0, 0)
    total: tuple[int, int] = (0, 0)
    for row in rows:
        group = step_exact(dot, group, row.terms, row.x, (row.bsig,))
        if row.close or row.last:
            total, group = step_exact(dequantize, total, (group[0],), (row.scale,)), (0, 0)
        if row.last:
            outputs.append(total[0])
            total = (0, 0)
    return outputs
