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
    align_add_cascaded_exact,
    align_add_exact,
    align_add_truncated_exact,
    group_exact,
    merge_wide,
)
from hwsim.datapath.decode import decode_exact, decode_register
from hwsim.datapath.multiply import multiply_exact, step_special
from hwsim.datapath.operands import Operand
from hwsim.datapath.plan import FIXED, GRID, SINGLE, TRUNCATED, Plan
from hwsim.datapath.round_pack import Packing, pack_float, round_pack, round_pack_exact
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import (
    Accumulator,
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    ScalarSpec,
    Sparsity,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, Overflow, Rounding
from hwsim.formats.codes import NAN, code_dtype
from hwsim.formats.rounding import round_shift_exact

__all__ = [
    "Register",
    "accumulate_exact",
    "drop_bits_exact",
    "load",
    "load_exact",
    "output",
    "output_exact",
    "promote_exact",
    "run",
    "step_exact",
]

Register = tuple[int, int]
"""A fixed accumulator: its integer value and the specials it has seen. A float accumulator: its code, and 0."""


def load_exact(unit: DotProductUnit, c: int) -> Register:
    """Return the (second, where there are two) register after loading c, a code of its format."""
    if isinstance(unit.register, FixedAccumulator):
        bits = unit.register.bits
        return (c - (1 << bits) if c >> (bits - 1) else c), 0
    spec = unit.register.format
    if unit.flush_operands and c & spec.inf_code == 0:
        return c & (1 << (spec.bits - 1)), 0
    return c, 0


def operand_exact(unit: DotProductUnit, spec: ScalarSpec, code: int) -> Term:
    """Decode an operand's code as it enters a unit: without its ignored bits, and flushed where the unit does so."""
    if unit.ignored_bits:
        assert isinstance(spec, FloatSpec)
        code = drop_bits_exact(spec, code, unit.ignored_bits, unit.operand_rounding)
    term = decode_exact(spec, code)
    if unit.flush_operands and isinstance(spec, FloatSpec) and abs(term.significand) < 1 << spec.man_bits:
        return term._replace(significand=0, minus=term.negative)
    return term


def drop_bits_exact(spec: FloatSpec, code: int, ignored_bits: int, rounding: Rounding) -> int:
    """Return a code of `spec` from one with `ignored_bits` more below; rounded, an infinity and a NaN stay such."""
    narrow = code >> ignored_bits
    if rounding is Rounding.TOWARD_ZERO:
        return narrow
    sign = 1 << (spec.bits - 1) if spec.signed else 0
    magnitude = code & ((sign << ignored_bits) - 1 if sign else -1)
    if magnitude >= spec.inf_code << ignored_bits:
        return narrow if magnitude == spec.inf_code << ignored_bits else spec.nan_code
    return narrow & sign | round_shift_exact(magnitude, ignored_bits, False, rounding)


def accumulate_exact(unit: DotProductUnit, register: Register, total: Term, word: int = 0) -> Register:
    """Add a step's sum to the (first) register, where a fused step's sum does not hold it already.

    `word` is of stochastic rounding.
    """
    alignment = unit.alignment
    fused = isinstance(alignment, CascadedAlignment) or (
        isinstance(alignment, TruncatedAlignment) and alignment.with_accumulator
    )
    return _add(unit.accumulator, register, total, fused=fused, word=word)


def _add(accumulator: Accumulator, register: Register, total: Term, *, fused: bool = False, word: int = 0) -> Register:
    """Add a sum to a register."""
    value, special = register
    if isinstance(accumulator, FixedAccumulator):
        if total.significand:  # a zero's exponent may be any
            places = total.exponent + accumulator.fraction_bits
            addend = total.significand << places if places >= 0 else total.significand >> -places
            assert places >= 0 or addend << -places == total.significand  # zeros, by the unit's check
            value += addend
        half = 1 << (accumulator.bits - 1)
        if accumulator.overflow is Overflow.SATURATE:
            value = min(max(value, -half), half - 1)
        else:
            value = (value + half) % (2 * half) - half
        return value, special | total.special
    exact = total if fused else add_terms([total, decode_exact(accumulator.format, value)])
    return round_register_exact(accumulator, exact, word), 0


def round_register_exact(accumulator: FloatAccumulator, term: Term, word: int = 0) -> int:
    """Round a term to a code of a float register, by all of the register's rules."""
    if term.special == NAN:
        return accumulator.nan_code
    spec = accumulator.format
    code = round_pack_exact(
        spec,
        term,
        accumulator.rounding,
        accumulator.overflow,
        man_bits=accumulator.result_man_bits,
        random=word,
        random_bits=accumulator.random_bits,
    )
    sign = 1 << (spec.bits - 1)
    if accumulator.flush and code & spec.inf_code == 0:
        code = 0
    if code & (sign - 1) == 0:
        return sign if accumulator.signed_zero and term.negative else 0
    return code


def step_exact(
    unit: DotProductUnit,
    register: Register,
    a: Sequence[int],
    b: Sequence[int],
    scales: Sequence[int] = (),
    word: int = 0,
) -> Register:
    """Run one step of the (first) register: the oracle of the unit, in plain Python integers, for any specification.

    Parameters
    ----------
    unit : DotProductUnit
    register : Register
        From `load_exact`, or the step before; (0, 0) is one that starts at zero.
    a, b : sequence of int, `unit.width` long
        Codes of `element_a` and `element_b`, with the unit's ignored bits; zeros of a where it is sparse.
    scales : sequence of int
        Codes of `unit.scales`.
    word : int
        In [0, 2**random_bits), for stochastic rounding.

    Raises
    ------
    ValueError
        If there are not `width` operands, or not one scale for each of `unit.scales`; if a is not as sparse as it must.
    """
    if len(a) != unit.width or len(b) != unit.width:
        raise ValueError(f"a and b must have {unit.width} codes each, not {len(a)} and {len(b)}")
    if len(scales) != len(unit.scales):
        raise ValueError(f"scales must have {len(unit.scales)} codes, not {len(scales)}")
    left = [operand_exact(unit, unit.element_a, code) for code in a]
    right = [operand_exact(unit, unit.element_b, code) for code in b]
    accumulator, alignment = unit.accumulator, unit.alignment
    if isinstance(accumulator, FloatAccumulator) and accumulator.nan is NanResult.OPERAND:
        payload = _operand_nan(accumulator.format, (b[0], register[0], a[0]))
        if payload is not None:
            return payload, 0
    products = [multiply_exact(x, y) for x, y in zip(left, right, strict=True)]
    if unit.sparsity is not None:
        products = _kept(unit.sparsity, left, products)
    factors = _lane_scales(unit, scales)
    if isinstance(alignment, TruncatedAlignment) and alignment.group > 1:
        addends = group_exact(products, factors, alignment.group)
    else:
        addends = [multiply_exact(product, scale) for product, scale in zip(products, factors, strict=True)]
    if isinstance(alignment, ExactAlignment):
        return accumulate_exact(unit, register, align_add_exact(addends), word)
    assert isinstance(accumulator, FloatAccumulator)
    held = decode_exact(accumulator.format, register[0])
    if isinstance(alignment, TruncatedAlignment):
        total = align_add_truncated_exact(alignment, [*addends, held] if alignment.with_accumulator else addends)
    elif isinstance(alignment, CascadedAlignment):
        limit = accumulator.format.exp_max + accumulator.format.sig_bits
        total = align_add_cascaded_exact(alignment, limit, addends, held)
    else:
        total = _tree(accumulator, addends)
    return accumulate_exact(unit, register, total, word)


def _operand_nan(spec: FloatSpec, codes: Sequence[int]) -> int | None:
    """Return the first NaN, made quiet; None where there is none."""
    for code in codes:
        if code & ((1 << (spec.bits - 1)) - 1) > spec.inf_code:
            return code | (1 << (spec.man_bits - 1))
    return None


def _kept(sparsity: Sparsity, left: list[Term], products: list[Term]) -> list[Term]:
    """Return the products, zero where a is, for those do not enter."""
    for at in range(0, len(left), sparsity.of):
        held = sum(bool(term.significand or term.special) for term in left[at : at + sparsity.of])
        if held > sparsity.kept:
            raise ValueError(f"a must have at most {sparsity.kept} non-zeros in {sparsity.of} neighbours, not {held}")
    nothing = Term(0, 0, 0)
    return [y if x.significand or x.special else nothing for x, y in zip(left, products, strict=True)]


def _lane_scales(unit: DotProductUnit, scales: Sequence[int]) -> list[Term]:
    """Return the product of the scales that go with each lane; 1 where there are none."""
    terms = [decode_exact(spec, code) for spec, code in zip(unit.scales, scales, strict=True)]
    factors = [Term(1, 0, 0)] * unit.width
    begin = 0
    for count in unit.scale_counts:
        if count:
            size = unit.width // count
            factors = [multiply_exact(factor, terms[begin + at // size]) for at, factor in enumerate(factors)]
        begin += count
    return factors


def _tree(accumulator: FloatAccumulator, addends: list[Term]) -> Term:
    """Add neighbours pair by pair, each sum and each addend rounded as the register is."""

    def rounded(term: Term) -> Term:
        return decode_exact(accumulator.format, round_register_exact(accumulator, term))

    level = [rounded(term) for term in addends]
    while len(level) > 1:
        level = [rounded(add_terms(level[at : at + 2])) for at in range(0, len(level), 2)]
    return level[0]


def promote_exact(unit: DotProductUnit, outer: Register, inner: Register) -> Register:
    """Add the first register's value to the second one."""
    assert unit.promotion is not None
    value, special = inner
    if isinstance(unit.accumulator, FixedAccumulator):
        term = Term(0 if special else value, -unit.accumulator.fraction_bits, 0, special)
    else:
        term = decode_exact(unit.accumulator.format, value)
    return _add(unit.promotion.accumulator, outer, term)


def output_exact(unit: DotProductUnit, register: Register) -> int:
    """Return d, a code of `unit.output`, of a register (the second, where there are two)."""
    value, special = register
    if isinstance(unit.register, FixedAccumulator):
        term = Term(0 if special else value, -unit.register.fraction_bits, 0, special)
        if not unit.converts:
            return value & ((1 << unit.register.bits) - 1)
    else:
        term = decode_exact(unit.register.format, value)
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
