# SPDX-License-Identifier: Apache-2.0
"""Align-add stage: the addends of a step are brought to one exponent and added."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import Plan
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import CascadedAlignment, TruncatedAlignment
from hwsim.formats import Rounding
from hwsim.formats.codes import NEGATIVE_INFINITY, POSITIVE_INFINITY
from hwsim.formats.rounding import round_shift_exact

__all__ = [
    "add_grid",
    "add_truncated",
    "add_two",
    "add_wide",
    "align_add_cascaded_exact",
    "align_add_exact",
    "align_add_truncated_exact",
    "group_exact",
    "merge_wide",
]


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
def _jam(magnitude: int, shift: int) -> int:
    """Shift right; the last place keeps whether a bit was lost, so that a later rounding is as of the exact number."""
    if shift > 62:
        return int(magnitude != 0)
    kept = magnitude >> shift
    return kept | int((kept << shift) != magnitude)


@numba.njit(cache=True)
def _bit_length(magnitude: int) -> int:
    """Unchecked: magnitude in [0, 2**62)."""
    width = 0
    for step in (32, 16, 8, 4, 2, 1):
        if magnitude >> step:
            magnitude >>= step
            width += step
    return width + magnitude


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
    up = 61 - _bit_length(abs(sig_a))
    lost = _jam(abs(sig_b), gap - up)
    return (sig_a << up) + (lost if sig_b > 0 else -lost), exp_b + gap - up


@numba.njit(cache=True)
def add_grid(sig_a: NDArray[np.int64], i: int, sig_b: NDArray[np.int64], j: int, lanes: int) -> int:
    """Add the products of `lanes` significands from i and j on, all at one exponent; unchecked."""
    total = 0
    for lane in range(lanes):
        total += sig_a[i + lane] * sig_b[j + lane]
    return total


@numba.njit(cache=True)
def add_wide(a: Operand, i: int, b: Operand, j: int, lanes: int) -> tuple[int, int]:
    """Add the products of a step into ``high * 2**32 + low``, the unit the smallest product's last place; unchecked."""
    high = 0
    low = 0
    for lane in range(lanes):
        product = a.significand[i * lanes + lane] * b.significand[j * lanes + lane]
        shift = a.exponent[i * lanes + lane] + b.exponent[j * lanes + lane]
        if shift < 32:
            low += product << shift
        else:
            high += product << (shift - 32)
    return high, low


@numba.njit(cache=True)
def merge_wide(high: int, low: int, exponent: int, sig: int, sig_exp: int) -> tuple[int, int]:
    """Add ``(high * 2**32 + low) * 2**exponent`` and ``sig * 2**sig_exp``, jammed as `add_two` does.

    Unchecked: high within 2**56, low within 2**60, sig within 2**53.
    """
    gap = sig_exp - exponent
    lost = 0
    apart = sig != 0  # whether sig is still to be added
    if apart and gap >= 0 and _bit_length(abs(sig)) + gap <= 90:
        if gap < 32:
            part = sig >> (32 - gap)
            high += part
            low += (sig - (part << (32 - gap))) << gap
        else:
            high += sig << (gap - 32)
        apart = False
    high += low >> 32
    low &= 0xFFFFFFFF
    small = -(1 << 27) <= high < 1 << 27
    if small:
        total = (high << 32) + low
        return add_two(total, exponent, sig, sig_exp) if apart else (total, exponent)
    if apart and gap < 0:  # the sum is at least 2**59 and sig below 2**53: its fraction only tells where the sum lies
        part = sig >> min(-gap, 63)
        lost = 1 if gap < -62 else int((part << -gap) != sig)
        low += part
        high += low >> 32
        low &= 0xFFFFFFFF
        apart = False
    negative = high < 0
    if negative:  # minus a number with a fraction: one less, and a fraction again
        low = -low - lost
        high = -high + (low >> 32)
        low &= 0xFFFFFFFF
    shift = max(_bit_length(high) - 27, 1)
    total = (high << (32 - shift)) | (low >> shift) | int((low & ((1 << shift) - 1)) | lost != 0)
    if negative:
        total = -total
    if apart:  # sig is at least 2**90, and the sum below 2**89
        return add_two(total, exponent + shift, sig, sig_exp)
    return total, exponent + shift


@numba.njit(cache=True)
def add_truncated(
    plan: Plan, a: Operand, i: int, b: Operand, j: int, scale: tuple[int, int], register: tuple[int, int]
) -> tuple[int, int]:
    """Add the products of a step and the register, cut toward zero; unchecked.

    `scale` is its significand and, as `Operand.exponent` is, the exponent by which truncation goes; so is `register`,
    with a significand of 0 where it is no addend. The smallest exponent marks a zero, so that zeros lift none.
    """
    largest = plan.exp_floor
    scale_sig, scale_lead = scale
    lanes = plan.lanes
    if scale_sig != 0:
        for lane in range(lanes):
            largest = max(largest, a.exponent[i * lanes + lane] + b.exponent[j * lanes + lane] + scale_lead)
    register_sig, register_lead = register
    if register_sig != 0:
        largest = max(largest, register_lead)
    total = 0
    if scale_sig != 0:
        base = largest - scale_lead + plan.cut_right
        for lane in range(lanes):
            product = a.significand[i * lanes + lane] * b.significand[j * lanes + lane] * scale_sig
            shift = min(base - a.exponent[i * lanes + lane] - b.exponent[j * lanes + lane], 63)
            cut = (abs(product) << plan.cut_left) >> shift
            total += cut if product >= 0 else -cut
    if register_sig != 0:
        cut = (abs(register_sig) << plan.register_left) >> min(largest - register_lead + plan.register_right, 63)
        total += cut if register_sig >= 0 else -cut
    return total, largest - plan.fraction_bits
