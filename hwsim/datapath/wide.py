# SPDX-License-Identifier: Apache-2.0
"""Exact sums that no 64-bit integer holds: in two of them, or in as many as it takes."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_two
from hwsim.datapath.multiply import scale_of
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import Plan
from hwsim.datapath.round_pack import bit_length

__all__ = [
    "add_limbs",
    "add_wide",
    "merge_wide",
]

_LIMB = (1 << 32) - 1
_READ_BITS = 61  # below the 62 that `pack_float` takes, above any register's bits and random ones
_PART = 27  # bits of the lower half of a float64's significand


@numba.njit(cache=True)
def add_wide(a: Operand, x: int, b: Operand, y: int, lanes: int) -> tuple[int, int]:
    """Add products, from elements x and y on, into ``high * 2**32 + low`` of the smallest one's unit; unchecked."""
    high = 0
    low = 0
    for lane in range(lanes):
        product = a.significand[x + lane] * b.significand[y + lane]
        shift = a.exponent[x + lane] + b.exponent[y + lane]
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
    if apart and gap >= 0 and bit_length(abs(sig)) + gap <= 90:
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
    shift = max(bit_length(high) - 27, 1)
    total = (high << (32 - shift)) | (low >> shift) | int((low & ((1 << shift) - 1)) | lost != 0)
    if negative:
        total = -total
    if apart:  # sig is at least 2**90, and the sum below 2**89
        return add_two(total, exponent + shift, sig, sig_exp)
    return total, exponent + shift


@numba.njit(cache=True)
def _add_limb(limbs: NDArray[np.int64], value: int, offset: int) -> int:
    """Add ``value * 2**offset`` and return the highest limb touched; unchecked: value within 2**62."""
    magnitude = abs(value)
    negative = value < 0
    for half in range(2):
        part = (magnitude >> 31 if half else magnitude & 0x7FFFFFFF) << ((offset + 31 * half) & 31)
        at = (offset + 31 * half) >> 5
        limbs[at] += -(part & _LIMB) if negative else part & _LIMB
        limbs[at + 1] += -(part >> 32) if negative else part >> 32
    return ((offset + 31) >> 5) + 1


@numba.njit(cache=True)
def _carry(limbs: NDArray[np.int64], first: int, last: int) -> int:
    """Bring limbs into 0..2**32 - 1, and return the carry out of the last one."""
    carry = 0
    for at in range(first, last + 1):
        carry += limbs[at]
        limbs[at] = carry & _LIMB
        carry >>= 32
    return carry


@numba.njit(cache=True)
def _read(limbs: NDArray[np.int64], first: int, last: int, exponent: int) -> tuple[int, int]:
    """Return the sum as a significand of up to 61 bits, its last one set if a lower one was, and an exponent."""
    carry = _carry(limbs, first, last)
    negative = carry < 0
    if negative:
        for at in range(first, last + 1):
            limbs[at] = -limbs[at]
        carry = -carry + _carry(limbs, first, last)
    at = last
    while carry == 0 and at >= first:
        carry, at = limbs[at], at - 1
    total, unit, lost = carry, 32 * (at + 1), 0
    wanted = _READ_BITS - bit_length(carry)
    while at >= first:
        take = min(32, wanted)
        total = (total << take) | (limbs[at] >> (32 - take))
        lost |= limbs[at] & ((1 << (32 - take)) - 1)
        unit, wanted, at = unit - take, wanted - take, at - 1
    total |= int(lost != 0)
    return -total if negative else total, unit + exponent


@numba.njit(cache=True)
def add_limbs(
    plan: Plan, a: Operand, b: Operand, place: tuple[int, int, int], register: tuple[int, int], limbs: NDArray[np.int64]
) -> tuple[int, int]:
    """Add the products of a step, scales applied, and the register, jammed as `add_two` does; unchecked.

    `place` is a's row, b's row and the step, `register` its significand and exponent. `limbs` are zeros and stay so.
    """
    i, j, at = place
    scale_sig, scale_exponent = 1, 0
    first, last = limbs.size, 0
    for lane in range(at * plan.lanes, (at + 1) * plan.lanes):
        x, y = i * a.depth + lane, j * b.depth + lane
        sig_a, sig_b = a.significand[x], b.significand[y]
        if sig_a == 0 or sig_b == 0:
            continue
        if plan.scaled:
            scale_sig, scale_exponent = scale_of(a, i, b, j, lane)
            if scale_sig == 0:
                continue
        offset = a.exponent[x] + b.exponent[y] + scale_exponent - plan.limb_exponent
        first = min(first, offset >> 5)
        if plan.split:
            high_a, high_b = sig_a >> _PART, sig_b >> _PART
            low_a, low_b = sig_a - (high_a << _PART), sig_b - (high_b << _PART)
            _add_limb(limbs, low_a * low_b, offset)
            _add_limb(limbs, high_a * low_b, offset + _PART)
            _add_limb(limbs, low_a * high_b, offset + _PART)
            last = max(last, _add_limb(limbs, high_a * high_b, offset + 2 * _PART))
        else:
            last = max(last, _add_limb(limbs, sig_a * sig_b * scale_sig, offset))
    if register[0] != 0:
        offset = register[1] - plan.limb_exponent
        first = min(first, offset >> 5)
        last = max(last, _add_limb(limbs, register[0], offset))
    if first > last:
        return 0, 0
    total, unit = _read(limbs, first, last, plan.limb_exponent)
    limbs[first : last + 1] = 0
    return total, unit
