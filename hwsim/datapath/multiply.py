# SPDX-License-Identifier: Apache-2.0
"""Multiply stage: the exact product of two decoded operands, however hardware may build it."""

import numba

from hwsim.datapath.operands import Operand
from hwsim.datapath.terms import Term
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY

__all__ = [
    "multiply_exact",
    "multiply_special",
    "step_special",
]


def multiply_exact(a: Term, b: Term) -> Term:
    """Multiply two terms.

    Returns
    -------
    Term
        Exact. NaN where an operand is, and for infinity times zero.
    """
    if a.special or b.special:
        zero_a, zero_b = (not term.special and term.significand == 0 for term in (a, b))
        if NAN in (a.special, b.special) or zero_a or zero_b:
            return Term(0, 0, 0, NAN)
        return Term(0, 0, 0, NEGATIVE_INFINITY if a.negative != b.negative else POSITIVE_INFINITY)
    minus = a.negative != b.negative
    return Term(a.significand * b.significand, a.exponent + b.exponent, a.lead + b.lead, 0, minus)


@numba.njit(cache=True)
def multiply_special(special_a: int, sig_a: int, special_b: int, sig_b: int) -> int:
    """Return the special of a product; unchecked."""
    if special_a | special_b == 0:
        return 0
    if max(special_a, special_b) == NAN or (special_a == 0 and sig_a == 0) or (special_b == 0 and sig_b == 0):
        return NAN
    negative_a = special_a == NEGATIVE_INFINITY or sig_a < 0
    negative_b = special_b == NEGATIVE_INFINITY or sig_b < 0
    return NEGATIVE_INFINITY if negative_a != negative_b else POSITIVE_INFINITY


@numba.njit(cache=True)
def step_special(a: Operand, i: int, b: Operand, j: int, lanes: int, scaled: int) -> int:
    """Return the special of the sum of step i of a and step j of b, scales applied; unchecked."""
    special = 0
    for lane in range(lanes):
        at_a, at_b = i * lanes + lane, j * lanes + lane
        special_a = int(a.special[at_a]) if a.special.size else 0
        special_b = int(b.special[at_b]) if b.special.size else 0
        special |= multiply_special(special_a, a.significand[at_a], special_b, b.significand[at_b])
    if scaled:
        if a.scale_special[i] | b.scale_special[j]:
            return NAN
        scale = a.scale_significand[i] * b.scale_significand[j]
        if special != 0 and scale == 0:
            return NAN
        if scale < 0 and 0 < special < NAN:
            return NAN - special
    return special
