# SPDX-License-Identifier: Apache-2.0
"""Align-add stage: the addends of a step are brought to one exponent and added."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.multiply import multiply_exact, scale_of
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import Plan
from hwsim.datapath.round_pack import bit_length
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import CascadedAlignment, TruncatedAlignment
from hwsim.formats import Rounding
from hwsim.formats.codes import NEGATIVE_INFINITY, POSITIVE_INFINITY
from hwsim.formats.rounding import round_shift, round_shift_exact

__all__ = [
    "add_cascaded",
    "add_grid",
    "add_truncated",
    "add_two",
    "align_add_cascaded_exact",
    "align_add_exact",
    "align_add_truncated_exact",
    "cascaded_special",
    "group_exact",
    "jam",
]

_NONE = -(1 << 30)  # the exponent of a sum that has no addends

_ONE = Term(1, 0, 0)


def align_add_exact(products: list[Term], scale: Term = _ONE) -> Term:
    """Add products exactly and apply a block scale to their sum.

    Parameters
    ----------
    products : list of Term
    scale : Term
        The product of the step's block scales; 1 where there is none, or where it is in the products already.
    """
    return multiply_exact(add_terms(products), scale)


def align_add_truncated_exact(spec: TruncatedAlignment, addends: list[Term]) -> Term:
    """Add addends, each cut at `fraction_bits` below the largest exponent of those that are not zero.

    Parameters
    ----------
    spec : TruncatedAlignment
    addends : list of Term
        Products, or sums of a group of them, with their scale applied, and, in a fused step, the accumulator.
    """
    special = 0
    for term in addends:
        special |= term.special
    largest = max([spec.exp_floor, *(term.lead for term in addends if term.significand)])
    unit = largest - spec.fraction_bits
    total = 0
    for term in addends:
        if term.significand:  # a zero's exponent may be any
            magnitude = round_shift_exact(
                abs(term.significand), unit - term.exponent, term.significand < 0, spec.rounding
            )
            total += -magnitude if term.significand < 0 else magnitude
    return Term(0 if special else total, unit, largest, special)


def group_exact(products: list[Term], scales: list[Term], group: int) -> list[Term]:
    """Add every `group` products and apply their scale; a sum's exponent is that of its scale.

    Parameters
    ----------
    products, scales : list of Term
        One each a lane; the scale is the same throughout a group.
    group : int
    """
    sums = []
    for at in range(0, len(products), group):
        scale = scales[at]
        total = multiply_exact(add_terms(products[at : at + group]), scale)
        sums.append(total._replace(lead=scale.lead))
    return sums


def align_add_cascaded_exact(spec: CascadedAlignment, limit: int, products: list[Term], register: Term) -> Term:
    """Add products and the register as `CascadedAlignment` says.

    Parameters
    ----------
    spec : CascadedAlignment
    limit : int
        A product from ``2**limit`` on is an infinity.
    products : list of Term
    register : Term
    """
    special = register.special
    for term in products:
        beyond = not term.special and abs(term.significand) >= _power(limit - term.exponent)
        special |= term.special or (beyond and (NEGATIVE_INFINITY if term.significand < 0 else POSITIVE_INFINITY))
    if special:
        return Term(0, 0, 0, special)
    parts = [_cut_part(spec, products[at :: spec.parts]) for at in range(spec.parts)]
    held = [part for part in parts if part is not None]
    top = max((lead for _, lead in held), default=None)
    total = 0 if top is None else sum(value >> (top - lead) for value, lead in held)
    leads = [top] if top is not None else []
    leads += [register.lead] if register.significand else []
    if not leads:
        return Term(0, 0, 0)
    largest = max(leads)
    places = max(spec.sum_fraction_bits, spec.register_fraction_bits)
    exact = 0
    if top is not None:
        kept = _floor(total, top - spec.fraction_bits - (largest - spec.sum_fraction_bits))
        exact += kept << (places - spec.sum_fraction_bits)
    dropped = spec.register_reach and register.lead < largest - spec.register_reach
    if register.significand and not dropped:
        kept = _floor(register.significand, register.exponent - (largest - spec.register_fraction_bits))
        exact += kept << (places - spec.register_fraction_bits)
    return Term(exact, largest - places, largest)


def _cut_part(spec: CascadedAlignment, products: list[Term]) -> tuple[int, int] | None:
    """Return the sum of products cut toward zero, and their largest exponent; None where all are zero."""
    leads = [term.lead for term in products if term.significand]
    if not leads:
        return None
    unit = max(leads) - spec.fraction_bits
    total = 0
    for term in products:
        if term.significand:
            magnitude = round_shift_exact(abs(term.significand), unit - term.exponent, False, Rounding.TOWARD_ZERO)
            total += -magnitude if term.significand < 0 else magnitude
    return total, max(leads)


def _floor(value: int, places: int) -> int:
    return value << places if places >= 0 else value >> -places


def _power(exponent: int) -> int:
    return 1 << max(exponent, 0)


@numba.njit(cache=True)
def jam(magnitude: int, shift: int) -> int:
    """Shift right; the last place keeps whether a bit was lost, so that a later rounding is as of the exact number."""
    if shift > 62:
        return int(magnitude != 0)
    kept = magnitude >> shift
    return kept | int((kept << shift) != magnitude)


@numba.njit(cache=True)
def add_two(sig_a: int, exp_a: int, sig_b: int, exp_b: int) -> tuple[int, int]:
    """Add two numbers; unchecked: magnitudes below 2**60.

    The sum is below 2**62 and exact, or else has at least 59 bits, of which the last one is set if anything below it
    was lost: then the larger addend is the one with the larger exponent, at least 2**60 where the other is below 2**59,
    so that no more than one place cancels.
    """
    if sig_b == 0:
        return sig_a, exp_a
    if sig_a == 0:
        return sig_b, exp_b
    if exp_a < exp_b:
        sig_a, exp_a, sig_b, exp_b = sig_b, exp_b, sig_a, exp_a
    gap = exp_a - exp_b
    if gap < 61 and abs(sig_a) < 1 << (61 - gap):
        return (sig_a << gap) + sig_b, exp_b
    up = 61 - bit_length(abs(sig_a))
    lost = jam(abs(sig_b), gap - up)
    return (sig_a << up) + (lost if sig_b > 0 else -lost), exp_b + gap - up


@numba.njit(cache=True)
def add_grid(sig_a: NDArray[np.int64], i: int, sig_b: NDArray[np.int64], j: int, lanes: int) -> int:
    """Add the products of `lanes` significands from i and j on, all at one exponent; unchecked."""
    total = 0
    for lane in range(lanes):
        total += sig_a[i + lane] * sig_b[j + lane]
    return total


@numba.njit(cache=True)
def _cut(plan: Plan, significand: int, places: int) -> int:
    """Return an addend in units of the sum's last place; `places` is how far its exponent is below the largest."""
    negative = int(significand < 0)
    magnitude = round_shift(abs(significand) << plan.cut_left, places + plan.cut_right, negative, plan.rounding)
    return -magnitude if negative else magnitude


@numba.njit(cache=True)
def _addend(plan: Plan, a: Operand, x: int, b: Operand, y: int, scale: tuple[int, int]) -> tuple[int, int]:
    """Return significand and exponent, that by which truncation goes, of a product or a group of them."""
    if plan.group > 1:
        return add_grid(a.significand, x, b.significand, y, plan.group) * scale[0], scale[1]
    return a.significand[x] * b.significand[y] * scale[0], a.exponent[x] + b.exponent[y] + scale[1]


@numba.njit(cache=True)
def add_truncated(
    plan: Plan, a: Operand, b: Operand, place: tuple[int, int, int], register: tuple[int, int]
) -> tuple[int, int]:
    """Add the addends of a step and the register, each rounded to the sum's last place; unchecked.

    `place` is a's row, b's row and the step. `register` is its significand, 0 where it is no addend, and the exponent
    by which truncation goes.
    """
    i, j, at = place
    scale = (1, 0)
    largest = plan.exp_floor
    for begin in range(at * plan.lanes, (at + 1) * plan.lanes, plan.chunk):
        if plan.scaled:
            scale = scale_of(a, i, b, j, begin)
        for lane in range(begin, begin + plan.chunk, plan.group):
            significand, lead = _addend(plan, a, i * a.depth + lane, b, j * b.depth + lane, scale)
            if significand != 0:
                largest = max(largest, lead)
    register_sig, register_lead = register
    if register_sig != 0:
        largest = max(largest, register_lead)
    total = 0
    for begin in range(at * plan.lanes, (at + 1) * plan.lanes, plan.chunk):
        if plan.scaled:
            scale = scale_of(a, i, b, j, begin)
        for lane in range(begin, begin + plan.chunk, plan.group):
            significand, lead = _addend(plan, a, i * a.depth + lane, b, j * b.depth + lane, scale)
            if significand != 0:
                total += _cut(plan, significand, largest - lead)
    if register_sig != 0:
        negative, places = int(register_sig < 0), largest - register_lead + plan.register_right
        magnitude = round_shift(abs(register_sig) << plan.register_left, places, negative, plan.rounding)
        total += -magnitude if negative else magnitude
    return total, largest - plan.fraction_bits


@numba.njit(cache=True)
def cascaded_special(plan: Plan, a: Operand, x: int, b: Operand, y: int) -> int:
    """Return the infinities, of either sign, that products beyond the largest float are; unchecked."""
    special = 0
    for lane in range(plan.lanes):
        product = a.significand[x + lane] * b.significand[y + lane]
        exponent = a.exponent[x + lane] + b.exponent[y + lane] - (plan.fraction_bits + plan.cut_right - plan.cut_left)
        places = plan.limit - exponent
        if product != 0 and places < 63 and abs(product) >> max(places, 0) != 0:
            special |= NEGATIVE_INFINITY if product < 0 else POSITIVE_INFINITY
    return special


@numba.njit(cache=True)
def _part(plan: Plan, a: Operand, x: int, b: Operand, y: int, begin: int) -> tuple[int, int]:
    """Return the sum of every `parts`-th product cut toward zero, and their largest exponent, `_NONE` of zeros."""
    largest = _NONE
    for lane in range(begin, plan.lanes, plan.parts):
        if a.significand[x + lane] != 0 and b.significand[y + lane] != 0:
            largest = max(largest, a.exponent[x + lane] + b.exponent[y + lane])
    total = 0
    for lane in range(begin, plan.lanes, plan.parts):
        product = a.significand[x + lane] * b.significand[y + lane]
        if product != 0:
            places = largest - a.exponent[x + lane] - b.exponent[y + lane] + plan.cut_right
            magnitude = (abs(product) << plan.cut_left) >> min(places, 63)
            total += magnitude if product > 0 else -magnitude
    return total, largest


@numba.njit(cache=True)
def _floor_shift(value: int, places: int) -> int:
    return value << places if places >= 0 else value >> min(-places, 63)


@numba.njit(cache=True)
def add_cascaded(plan: Plan, a: Operand, x: int, b: Operand, y: int, register: tuple[int, int]) -> tuple[int, int]:
    """Add the products from element x of a and y of b on, and the register, as `add_truncated` takes it; unchecked."""
    total, top = _part(plan, a, x, b, y, 0)
    if plan.parts > 1:
        odd, odd_top = _part(plan, a, x, b, y, 1)
        larger = max(top, odd_top)
        total = (total >> min(larger - top, 63)) + (odd >> min(larger - odd_top, 63))
        top = larger
    register_sig, register_lead = register
    largest = max(top, register_lead) if register_sig != 0 else top
    if largest == _NONE:
        return 0, 0
    places = max(plan.sum_fraction_bits, plan.register_fraction_bits)
    exact = 0
    if top != _NONE:
        kept = _floor_shift(total, top - plan.fraction_bits - (largest - plan.sum_fraction_bits))
        exact += kept << (places - plan.sum_fraction_bits)
    dropped = plan.register_reach != 0 and register_lead < largest - plan.register_reach
    if register_sig != 0 and not dropped:
        shift = register_lead - plan.register_man_bits - (largest - plan.register_fraction_bits)
        exact += _floor_shift(register_sig, shift) << (places - plan.register_fraction_bits)
    return exact, largest - places
