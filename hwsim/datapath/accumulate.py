# SPDX-License-Identifier: Apache-2.0
"""Accumulate stage: the register takes the sum of a step; and the whole unit as an oracle, step after step."""

from collections.abc import Sequence

from hwsim.datapath.align_add import align_add_exact, align_add_truncated_exact
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.round_pack import round_pack_exact
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, TruncatedAlignment
from hwsim.formats import Overflow

__all__ = [
    "Register",
    "accumulate_exact",
    "load_exact",
    "output_exact",
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
        multiply_exact(decode_exact(unit.element_a, x), decode_exact(unit.element_b, y)) for x, y in zip(a, b, strict=True)
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
