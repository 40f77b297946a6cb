# SPDX-License-Identifier: Apache-2.0
"""The steps of one dot product, one after the other: of any unit that fits 64-bit integers."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_cascaded, add_grid, add_truncated, add_two, cascaded_special
from hwsim.datapath.decode import decode_register
from hwsim.datapath.fused import operand_nan, run_fused
from hwsim.datapath.multiply import product_minus, product_special, scale_of, step_minus, step_special
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import (
    CASCADED,
    FIXED,
    FUSED,
    GRID,
    PAIRWISE,
    SINGLE,
    TRUNCATED,
    WIDE,
    Plan,
)
from hwsim.datapath.round_pack import Packing, pack_register
from hwsim.datapath.wide import add_limbs, add_wide, merge_wide
from hwsim.formats.codes import NAN

__all__ = [
    "Place",
    "run",
    "step_one",
]

Place = tuple[int, int, int]  # a's row, b's row, and a step or how many


@numba.njit(cache=True)
def _run_fixed(how: Plan, register: int, a: Operand, b: Operand, place: Place) -> tuple[int, int]:
    """Unchecked: a step's sum below 2**62, the register within 2**62."""
    i, j, steps = place
    lanes, shift, low, high = how.lanes, how.sum_shift, how.low, how.high
    seen = 0
    for at in range(steps):
        if a.flag[i * (a.depth // lanes) + at] | b.flag[j * (b.depth // lanes) + at]:
            seen |= step_special(how, a, i, b, j, at)
        total = add_grid(a.significand, i * a.depth + at * lanes, b.significand, j * b.depth + at * lanes, lanes)
        value = register + (total << shift if shift >= 0 else total >> -shift)
        register = ((value & (high - low)) ^ -low) + low if how.wrap else min(max(value, low), high)
    return register, seen


@numba.njit(cache=True)
def _add_pairs(how: Plan, pack: Packing, a: Operand, x: int, b: Operand, y: int, held: NDArray[np.int64]) -> int:
    """Return the register's code of the sum of products from x and y on, rounded pair by pair; unchecked."""
    count = 0
    for lane in range(how.lanes):
        product = a.significand[x + lane] * b.significand[y + lane]
        special = product_special(how, a, x + lane, b, y + lane)
        minus = product_minus(how, a, x + lane, b, y + lane) if how.signed_zero else 0
        exponent = a.exponent[x + lane] + b.exponent[y + lane]
        held[count] = pack_register(pack, product, exponent, special, minus, 0)
        count += 1
        pairs = lane + 1
        while pairs & 1 == 0:
            held[count - 2] = _add_codes(how, pack, held[count - 2], held[count - 1])
            count -= 1
            pairs >>= 1
    return int(held[0])


@numba.njit(cache=True)
def _add_codes(how: Plan, pack: Packing, first: int, second: int) -> int:
    """Add two of the register's codes; unchecked."""
    exp_bits, man_bits, bias = how.register_exp_bits, how.register_man_bits, how.register_bias
    sig_a, exp_a, special_a = decode_register(first, exp_bits, man_bits, bias)
    sig_b, exp_b, special_b = decode_register(second, exp_bits, man_bits, bias)
    total, unit = add_two(sig_a, exp_a, sig_b, exp_b)
    return pack_register(pack, total, unit, special_a | special_b, int(first == pack.sign and second == pack.sign), 0)


@numba.njit(cache=True)
def _sum(
    how: Plan, a: Operand, b: Operand, place: Place, register: tuple[int, int], scratch: NDArray[np.int64]
) -> tuple[int, int]:
    """Return the sum of a step and the register, its significand and exponent; unchecked: `plan` has the proof."""
    i, j, at = place
    x, y = i * a.depth + at * how.lanes, j * b.depth + at * how.lanes
    sig, exponent = register
    if how.kind == TRUNCATED:
        addend = (sig if how.fused else 0, exponent + how.register_man_bits)
        total, unit = add_truncated(how, a, b, place, addend)
        return (total, unit) if how.fused else add_two(total, unit, sig, exponent)
    if how.kind == CASCADED:
        return add_cascaded(how, a, x, b, y, (sig, exponent + how.register_man_bits))
    scale_sig, scale_exponent = 1, 0
    if how.scaled:
        scale_sig, scale_exponent = scale_of(a, i, b, j, at * how.lanes)
    if how.kind == SINGLE:
        product = a.significand[x] * b.significand[y] * scale_sig
        return add_two(product, a.exponent[x] + b.exponent[y] + scale_exponent, sig, exponent)
    if how.kind == GRID:
        total = add_grid(a.significand, x, b.significand, y, how.lanes) * scale_sig
        return add_two(total, how.exponent + scale_exponent, sig, exponent)
    if how.kind == WIDE:
        high, low = add_wide(a, x, b, y, how.lanes)
        return merge_wide(high * scale_sig, low * scale_sig, how.exponent + scale_exponent, sig, exponent)
    return add_limbs(how, a, b, place, register, scratch)


@numba.njit(cache=True)
def step_one(
    how: Plan,
    pack: Packing,
    register: int,
    a: Operand,
    b: Operand,
    place: Place,
    random: int,
    scratch: NDArray[np.int64],
) -> int:
    """Run one step of a float register; unchecked."""
    i, j, at = place
    lanes = how.lanes
    x, y = i * a.depth + at * lanes, j * b.depth + at * lanes
    sig, exponent, special = decode_register(register, how.register_exp_bits, how.register_man_bits, how.register_bias)
    flagged = a.flag[i * (a.depth // lanes) + at] | b.flag[j * (b.depth // lanes) + at]
    if how.nan_operand and (special == NAN or flagged != 0):
        named = operand_nan(how, a.code[x], b.code[y], register)
        if named != 0:
            return named
    if how.kind == PAIRWISE:
        return _add_codes(how, pack, _add_pairs(how, pack, a, x, b, y, scratch), register)
    if flagged:
        special |= step_special(how, a, i, b, j, at)
    if how.kind == CASCADED:
        special |= cascaded_special(how, a, x, b, y)
    if special:
        return pack_register(pack, 0, 0, special, 0, random)
    total, unit = _sum(how, a, b, place, (sig, exponent), scratch)
    minus = 0
    if total == 0 and register == pack.sign and how.signed_zero and how.kind not in (TRUNCATED, CASCADED):
        minus = step_minus(how, a, i, b, j, at)
    return pack_register(pack, total, unit, 0, minus, random)


@numba.njit(cache=True)
def run(
    how: Plan,
    pack: Packing,
    register: int,
    a: Operand,
    b: Operand,
    place: Place,
    words: NDArray[np.int64],
    scratch: NDArray[np.int64],
) -> tuple[int, int]:
    """Run the steps of a row of a against those of a row of b, `step_exact` for kernels; unchecked.

    `place` is a's row, b's row and how many steps. `words` are of stochastic rounding, one a step, or empty; `scratch`
    has `how.scratch` zeros. A fixed register is its value, and the specials it saw are the second result. A float
    register is its code.
    """
    i, j, steps = place
    if how.kind == FIXED:
        return _run_fixed(how, register, a, b, place)
    if how.kind == FUSED:
        return run_fused(how, pack, register, a, b, place), 0
    for at in range(steps):
        random = words[at] if words.size else 0
        register = step_one(how, pack, register, a, b, (i, j, at), random, scratch)
    return register, 0
