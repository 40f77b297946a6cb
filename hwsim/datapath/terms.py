# SPDX-License-Identifier: Apache-2.0
"""The exact number that the oracles of all stages pass on, in plain Python integers."""

from typing import NamedTuple

from hwsim.formats.codes import NEGATIVE_INFINITY

__all__ = [
    "Term",
    "add_terms",
]


class Term(NamedTuple):
    """``significand * 2**exponent``, or a special (`hwsim.formats.codes`) with significand 0.

    `lead` is the exponent by which truncating alignment goes: of the place of the hidden bits' product, so that
    a product of two floats is in [0, 4) * 2**lead. `minus` tells a zero that is -0.
    """

    significand: int
    exponent: int
    lead: int
    special: int = 0
    minus: bool = False

    @property
    def negative(self) -> bool:
        """The sign: of a finite number, a zero or an infinity."""
        if self.special:
            return self.special == NEGATIVE_INFINITY
        return self.significand < 0 or (self.significand == 0 and self.minus)


def add_terms(terms: list[Term]) -> Term:
    """Return the exact sum; specials are OR-ed, so that infinities of both signs, or a NaN, make a NaN.

    A sum of zeros is -0 if all are; one that cancels is +0 (IEEE 754, 6.3, but for rounding downward).
    """
    special = 0
    for term in terms:
        special |= term.special
    low = min(term.exponent for term in terms)
    total = sum(term.significand << (term.exponent - low) for term in terms)
    minus = all(term.negative and term.significand == 0 for term in terms)
    return Term(0 if special else total, low, max(term.lead for term in terms), special, minus)
