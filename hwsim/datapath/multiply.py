# SPDX-License-Identifier: Apache-2.0
"""Multiply stage: the exact product of two decoded operands, however hardware may build it."""

import numba

from hwsim.datapath.terms import Term
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY

__all__ = [
    "multiply_exact",
    "multiply_special",
]


def multiply_exact(a: Term, b: Term) -> Term:
    """Multiply two terms.

    Returns
    -------
    Term
        Exact. NaN where an operand is, and for infinity times zero.
    """
    if a.special or b.special:
        if NAN in (a.special, b.special) or (not a.special and a.significand == 0) or (not b.special and b.significand == 0):
            return Term(0, 0, 0, NAN)
        negative = _negative(a) != _negative(b)
        return Term(0, 0, 0, NEGATIVE_INFINITY if negative else POSITIVE_INFINITY)
    return Term(a.significand * b.significand, a.exponent + b.exponent, a.lead + b.lead)


def _negative(term: Term) -> bool:
    return term.special == NEGATIVE_INFINITY or term.significand < 0


@numba.njit(cache=True, inline="always")
def multiply_special(special_a: int, sig_a: int, special_b: int, sig_b: int) -> int:
    """Return the special of a product; unchecked."""
    if special_a | special_b == 0:
        return 0
    if special_a == NAN or special_b == NAN or (special_a == 0 and sig_a == 0) or (special_b == 0 and sig_b == 0):
        return NAN
    negative_a = special_a == NEGATIVE_INFINITY or sig_a < 0
    negative_b = special_b == NEGATIVE_INFINITY or sig_b < 0
    return NEGATIVE_INFINITY if negative_a != negative_b else POSITIVE_INFINITY
