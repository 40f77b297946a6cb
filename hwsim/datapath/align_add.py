# SPDX-License-Identifier: Apache-2.0
"""Align-add stage: the addends of a step are brought to one exponent and added."""

from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import TruncatedAlignment

__all__ = [
    "align_add_exact",
    "align_add_truncated_exact",
]


def align_add_exact(products: list[Term], scale: Term) -> Term:
    """Add products exactly and apply the step's block scale to the sum.

    Parameters
    ----------
    products : list of Term
    scale : Term
        The product of the step's block scales; 1 where there is none.
    """
    total = add_terms(products)
    special = total.special | scale.special
    if not special:
        return Term(total.significand * scale.significand, total.exponent + scale.exponent, total.lead + scale.lead)
    if not scale.special and scale.significand == 0:
        return Term(0, 0, 0, 3)  # infinity, or NaN, times zero
    return Term(0, 0, 0, special)


def align_add_truncated_exact(spec: TruncatedAlignment, addends: list[Term]) -> Term:
    """Add addends, each cut toward zero at `fraction_bits` below the largest exponent of those that are not zero.

    Parameters
    ----------
    spec : TruncatedAlignment
    addends : list of Term
        Products with their scale applied and, in a fused step, the accumulator.
    """
    special = 0
    for term in addends:
        special |= term.special
    largest = max([spec.exp_floor, *(term.lead for term in addends if term.significand)])
    unit = largest - spec.fraction_bits
    total = 0
    for term in addends:
        shift = unit - term.exponent
        magnitude = abs(term.significand) >> shift if shift > 0 else abs(term.significand) << -shift
        total += -magnitude if term.significand < 0 else magnitude
    return Term(0 if special else total, unit, largest, special)
