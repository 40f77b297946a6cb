# SPDX-License-Identifier: Apache-2.0
"""The exact number that the oracles of all stages pass on, in plain Python integers."""

from typing import NamedTuple

__all__ = [
    "Term",
    "add_terms",
]


class Term(NamedTuple):
    """``significand * 2**exponent``, or a special (`hwsim.formats.codes`) with significand 0.

    `lead` is the exponent by which truncating alignment goes: of the place of the hidden bits' product, so that
    a product of two floats is in [0, 4) * 2**lead.
    """

    significand: int
    exponent: int
    lead: int
    special: int = 0


def add_terms(terms: list[Term]) -> Term:
    """Return the exact sum; specials are OR-ed, so that infinities of both signs, or a NaN, make a NaN."""
    special = 0
    for term in terms:
        special |= term.special
    low = min(term.exponent for term in terms)
    total = sum(term.significand << (term.exponent - low) for term in terms)
    return Term(0 if special else total, low, max(term.lead for term in terms), special)
