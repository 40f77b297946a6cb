# SPDX-License-Identifier: Apache-2.0
"""Accumulate stage: the register takes the sum of a step; and the whole unit as an oracle, step after step."""

from collections.abc import Sequence

from hwsim.datapath.align_add import (
    align_add_cascaded_exact,
    align_add_exact,
    align_add_truncated_exact,
    group_exact,
)
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.round_pack import round_pack_exact
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
from hwsim.formats.codes import NAN
from hwsim.formats.rounding import round_shift_exact

__all__ = [
    "Register",
    "accumulate_exact",
    "drop_bits_exact",
    "load_exact",
    "output_exact",
    "promote_exact",
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
    code = _entering(unit, spec, code)
    if unit.unpacked is not None:
        spec, code = unit.unpacked, int(unit.unpacked.encode(spec.decode(code), overflow="infinity"))
    term = decode_exact(spec, code)
    if unit.flush_operands and isinstance(spec, FloatSpec) and abs(term.significand) < 1 << spec.man_bits:
        return term._replace(significand=0, minus=term.negative)
    return term


def _entering(unit: DotProductUnit, spec: ScalarSpec, code: int) -> int:
    if not unit.ignored_bits:
        return code
    assert isinstance(spec, FloatSpec)
    return drop_bits_exact(spec, code, unit.ignored_bits, unit.operand_rounding)


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
        entering = [_entering(unit, accumulator.format, side[0]) for side in (a, b)]
        payload = _operand_nan(accumulator.format, (entering[1], register[0], entering[0]))
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
