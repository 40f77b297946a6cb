# SPDX-License-Identifier: Apache-2.0
"""Multiply stage: the exact product of two decoded operands, however hardware may build it."""

import numba

from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import Plan
from hwsim.datapath.terms import Term
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY

__all__ = [
    "multiply_exact",
    "multiply_special",
    "product_minus",
    "product_special",
    "scale_of",
    "step_minus",
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
def scale_of(a: Operand, i: int, b: Operand, j: int, at: int) -> tuple[int, int]:
    """Return significand and exponent of the product of the scales of element `at` of row i of a and j of b."""
    x, y = i * a.blocks + at // a.block, j * b.blocks + at // b.block
    return a.scale_significand[x] * b.scale_significand[y], a.scale_exponent[x] + b.scale_exponent[y]


@numba.njit(cache=True)
def product_special(plan: Plan, a: Operand, x: int, b: Operand, y: int) -> int:
    """Return the special of the product of element x of a and y of b, without scales; unchecked."""
    special_a = int(a.special[x]) if a.special.size else 0
    special_b = int(b.special[y]) if b.special.size else 0
    if plan.sparse and special_a == 0 and a.significand[x] == 0:
        return 0
    return multiply_special(special_a, a.significand[x], special_b, b.significand[y])


@numba.njit(cache=True)
def product_minus(plan: Plan, a: Operand, x: int, b: Operand, y: int) -> int:
    """Return whether the product of element x of a and y of b, without scales, has a negative sign; unchecked."""
    if plan.sparse and a.significand[x] == 0:
        return 0
    return int(a.minus[x] != b.minus[y])


@numba.njit(cache=True)
def step_special(plan: Plan, a: Operand, i: int, b: Operand, j: int, at: int) -> int:
    """Return the special of the sum of step `at` of row i of a and row j of b, scales applied; unchecked."""
    special = 0
    for begin in range(at * plan.lanes, (at + 1) * plan.lanes, plan.chunk):
        seen = 0
        for lane in range(begin, begin + plan.chunk):
            seen |= product_special(plan, a, i * a.depth + lane, b, j * b.depth + lane)
        if plan.scaled:
            if a.scale_special[i * a.blocks + begin // a.block] | b.scale_special[j * b.blocks + begin // b.block]:
                return NAN
            scale = scale_of(a, i, b, j, begin)[0]
            if seen != 0 and scale == 0:
                return NAN
            if scale < 0 and 0 < seen < NAN:
                seen = NAN - seen
        special |= seen
    return special


@numba.njit(cache=True)
def step_minus(plan: Plan, a: Operand, i: int, b: Operand, j: int, at: int) -> int:
    """Return whether all products of a step, scales applied, are -0; unchecked: there is no special."""
    for lane in range(at * plan.lanes, (at + 1) * plan.lanes):
        x, y = i * a.depth + lane, j * b.depth + lane
        minus = product_minus(plan, a, x, b, y)
        zero = a.significand[x] == 0 or b.significand[y] == 0
        if plan.scaled:
            scale_x, scale_y = i * a.blocks + lane // a.block, j * b.blocks + lane // b.block
            minus ^= int(a.scale_minus[scale_x] != b.scale_minus[scale_y])
            zero |= a.scale_significand[scale_x] == 0 or b.scale_significand[scale_y] == 0
        if not zero or not minus:
            return 0
    return 1
