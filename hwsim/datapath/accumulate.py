# SPDX-License-Identifier: Apache-2.0
"""Accumulate stage: the register takes the sum of a step; and the whole unit as an oracle, step after step."""

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import (
    add_grid,
    add_truncated,
    add_two,
    add_wide,
    align_add_exact,
    align_add_truncated_exact,
    merge_wide,
)
from hwsim.datapath.decode import decode_exact, decode_register
from hwsim.datapath.multiply import multiply_exact, step_special
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import FIXED, GRID, SINGLE, TRUNCATED, Plan
from hwsim.datapath.round_pack import Packing, pack_float, round_pack, round_pack_exact
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, TruncatedAlignment
from hwsim.formats import Overflow
from hwsim.formats.codes import code_dtype

__all__ = [
    "Register",
    "accumulate_exact",
    "load",
    "load_exact",
    "output",
    "output_exact",
    "run",
    "step_exact",
]

Register = tuple[int, int]
"""A fixed accumulator: its integer value and the specials it has seen. A float accumulator: its code, and 0."""


def load_exact(unit: DotProductUnit, c: int) -> Register:
    """Return the register after loading c, a code of the accumulator's format (``c < 2**accumulator.bits``)."""
    if isinstance(unit.accumulator, FixedAccumulator):
        bits = unit.accumulator.bits
        return (c - (1 << bits) if c >> (bits - 1) else c), 0
    return c, 0


def accumulate_exact(unit: DotProductUnit, register: Register, total: Term) -> Register:
    """Add a step's sum to the register; a fused step's sum holds the register already."""
    value, special = register
    accumulator = unit.accumulator
    if isinstance(accumulator, FixedAccumulator):
        if total.significand:  # a zero's exponent may be any
            value += total.significand << (total.exponent + accumulator.fraction_bits)
        half = 1 << (accumulator.bits - 1)
        if accumulator.overflow is Overflow.SATURATE:
            value = min(max(value, -half), half - 1)
        else:
            value = (value + half) % (2 * half) - half
        return value, special | total.special
    fused = isinstance(unit.alignment, TruncatedAlignment) and unit.alignment.with_accumulator
    exact = total if fused else add_terms([total, decode_exact(accumulator.format, value)])
    if exact.special == 3:
        return accumulator.nan_code, 0
    code = round_pack_exact(
        accumulator.format, exact, accumulator.rounding, accumulator.overflow, man_bits=accumulator.result_man_bits
    )
    return code, 0


def step_exact(
    unit: DotProductUnit, register: Register, a: Sequence[int], b: Sequence[int], scales: Sequence[int] = ()
) -> Register:
    """Run one step: the oracle of the unit, in plain Python integers, for any specification.

    Parameters
    ----------
    unit : DotProductUnit
    register : Register
        From `load_exact`, or the step before.
    a, b : sequence of int, `unit.lanes` long
        Codes of `element_a` and `element_b`.
    scales : sequence of int
        Codes of `unit.scales`.

    Raises
    ------
    ValueError
        If there are not `lanes` operands, or not one scale for each of `unit.scales`.
    """
    if len(a) != unit.lanes or len(b) != unit.lanes:
        raise ValueError(f"a and b must have {unit.lanes} codes each, not {len(a)} and {len(b)}")
    if len(scales) != len(unit.scales):
        raise ValueError(f"scales must have {len(unit.scales)} codes, not {len(scales)}")
    products = [
        multiply_exact(decode_exact(unit.element_a, x), decode_exact(unit.element_b, y))
        for x, y in zip(a, b, strict=True)
    ]
    scale = Term(1, 0, 0)
    for spec, code in zip(unit.scales, scales, strict=True):
        scale = multiply_exact(scale, decode_exact(spec, code))
    if not isinstance(unit.alignment, TruncatedAlignment):
        return accumulate_exact(unit, register, align_add_exact(products, scale))
    addends = [multiply_exact(product, scale) for product in products]
    if unit.alignment.with_accumulator:
        addends.append(decode_exact(unit.accumulator.format, register[0]))
    return accumulate_exact(unit, register, align_add_truncated_exact(unit.alignment, addends))


def output_exact(unit: DotProductUnit, register: Register) -> int:
    """Return d, a code of `unit.output`, of a register."""
    value, special = register
    if isinstance(unit.accumulator, FixedAccumulator):
        term = Term(0 if special else value, -unit.accumulator.fraction_bits, 0, special)
        if not unit.converts:
            return value & ((1 << unit.accumulator.bits) - 1)
    else:
        term = decode_exact(unit.accumulator.format, value)
        if not unit.converts:
            return value
    return round_pack_exact(unit.output, term, unit.rounding, unit.overflow)


@numba.njit(cache=True)
def _run_fixed(plan: Plan, register: int, a: Operand, i: int, b: Operand, j: int, steps: int) -> tuple[int, int]:
    """Unchecked: a step's sum below 2**62, the register within 2**62."""
    sig_a, sig_b, flag_a, flag_b = a.significand, b.significand, a.flag, b.flag
    lanes, shift, low, high, wrap = plan.lanes, plan.sum_shift, plan.low, plan.high, plan.wrap
    seen = 0
    for at in range(steps):
        if flag_a[i + at] | flag_b[j + at]:
            seen |= step_special(a, i + at, b, j + at, lanes, 0)
        value = register + (add_grid(sig_a, (i + at) * lanes, sig_b, (j + at) * lanes, lanes) << shift)
        register = ((value & (high - low)) ^ -low) + low if wrap else min(max(value, low), high)
    return register, seen


@numba.njit(cache=True)
def _run_single(plan: Plan, pack: Packing, register: int, a: Operand, i: int, b: Operand, j: int, steps: int) -> int:
    """Unchecked: one lane, one product a step."""
    sig_a, sig_b, exp_a, exp_b, flag_a, flag_b = a.significand, b.significand, a.exponent, b.exponent, a.flag, b.flag
    scaled, exp_bits, man_bits, bias = plan.scaled, plan.register_exp_bits, plan.register_man_bits, plan.register_bias
    for at in range(steps):
        sig, exponent, special = decode_register(register, exp_bits, man_bits, bias)
        if flag_a[i + at] | flag_b[j + at]:
            special |= step_special(a, i + at, b, j + at, 1, scaled)
        product = sig_a[i + at] * sig_b[j + at]
        unit = exp_a[i + at] + exp_b[j + at]
        if scaled:
            product *= a.scale_significand[i + at] * b.scale_significand[j + at]
            unit += a.scale_exponent[i + at] + b.scale_exponent[j + at]
        total, unit = add_two(product, unit, sig, exponent)
        register = pack_float(pack, total, unit, special)
    return register


@numba.njit(cache=True)
def _run_many(plan: Plan, pack: Packing, register: int, a: Operand, i: int, b: Operand, j: int, steps: int) -> int:
    """Unchecked: `plan` has the proof."""
    kind, lanes = plan.kind, plan.lanes
    scale_sig, scale_exponent = 1, 0
    for at in range(steps):
        step_a, step_b = i + at, j + at
        sig, exponent, special = decode_register(
            register, plan.register_exp_bits, plan.register_man_bits, plan.register_bias
        )
        if a.flag[step_a] | b.flag[step_b]:
            special |= step_special(a, step_a, b, step_b, lanes, plan.scaled)
        if special:
            register = pack_float(pack, 0, 0, special)
            continue
        if plan.scaled:
            scale_sig = a.scale_significand[step_a] * b.scale_significand[step_b]
            scale_exponent = a.scale_exponent[step_a] + b.scale_exponent[step_b]
        if kind == GRID:
            total = add_grid(a.significand, step_a * lanes, b.significand, step_b * lanes, lanes) * scale_sig
            total, unit = add_two(total, plan.exponent + scale_exponent, sig, exponent)
        elif kind == TRUNCATED:
            addend = (sig if plan.fused else 0, exponent + plan.register_man_bits)
            total, unit = add_truncated(plan, a, step_a, b, step_b, (scale_sig, scale_exponent), addend)
            if not plan.fused:
                total, unit = add_two(total, unit, sig, exponent)
        else:
            high, low = add_wide(a, step_a, b, step_b, lanes)
            total, unit = merge_wide(high * scale_sig, low * scale_sig, plan.exponent + scale_exponent, sig, exponent)
        register = pack_float(pack, total, unit, 0)
    return register


@numba.njit(cache=True)
def run(
    plan: Plan, pack: Packing, register: int, a: Operand, i: int, b: Operand, j: int, steps: int
) -> tuple[int, int]:
    """Run steps i, i + 1, ... of a against j, j + 1, ... of b: `step_exact` for kernels; unchecked.

    A fixed register is its value, and the specials it saw are the second result. A float register is its code.
    """
    if plan.kind == FIXED:
        return _run_fixed(plan, register, a, i, b, j, steps)
    if plan.kind == SINGLE:
        return _run_single(plan, pack, register, a, i, b, j, steps), 0
    return _run_many(plan, pack, register, a, i, b, j, steps), 0


def load(unit: DotProductUnit, codes: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Return registers as the kernels have them, of checked codes of the accumulator's format."""
    if isinstance(unit.accumulator, FixedAccumulator):
        return unit.accumulator.format.unpack(codes).significand
    return codes.astype(np.uint64).view(np.int64)


def output(
    unit: DotProductUnit, registers: NDArray[np.int64], specials: NDArray[np.uint8]
) -> NDArray[np.unsignedinteger]:
    """Return d, codes of `unit.output`, of the kernels' registers and the specials that fixed ones have seen."""
    accumulator = unit.accumulator
    if not unit.converts:
        codes = registers.view(np.uint64)
        if isinstance(accumulator, FixedAccumulator):
            codes = codes & np.uint64((1 << accumulator.bits) - 1)
        return codes.astype(code_dtype(unit.output.bits))
    if isinstance(accumulator, FixedAccumulator):
        value = np.where(specials == 0, registers, 0)
        return round_pack(unit.output, value, -accumulator.fraction_bits, specials, unit.rounding, unit.overflow)
    significand, exponent, special = accumulator.format.unpack(registers.view(np.uint64))
    return round_pack(unit.output, significand, exponent, special, unit.rounding, unit.overflow)
