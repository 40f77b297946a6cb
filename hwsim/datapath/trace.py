# SPDX-License-Identifier: Apache-2.0
"""A dot product step by step: what every stage of the oracle makes of each operand, and what is lost where."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from hwsim.datapath.accumulate import (
    Register,
    load_exact,
    operand_exact,
    output_exact,
    promote_exact,
    round_register_exact,
    step_exact,
)
from hwsim.datapath.align_add import (
    align_add_cascaded_exact,
    align_add_exact,
    align_add_truncated_exact,
    group_exact,
)
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.stream import Row
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.unit import (
    Accumulator,
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    TruncatedAlignment,
)
from hwsim.datapath.words import word_exact
from hwsim.formats import BlockSpec, FloatSpec

__all__ = [
    "Addend",
    "Lane",
    "StepTrace",
    "element_order",
    "element_rows",
    "register_term",
    "term_value",
    "trace_exact",
]


class Lane(NamedTuple):
    """One product of a step: codes, what they decode to, their product and the scale that it is then multiplied by."""

    code_a: int
    code_b: int
    a: Term
    b: Term
    product: Term
    scale: Term


class Addend(NamedTuple):
    """What enters a sum: the exact number, and what is left of it after alignment and cut or rounding.

    `of` says what it is: a lane, lanes (of a group, a part or a sum of neighbours), the sum of all, or the register.
    """

    of: str
    exact: Term
    kept: Term

    @property
    def lost(self) -> Fraction:
        """What alignment took away; 0 for specials."""
        return term_value(self.exact) - term_value(self.kept)


class StepTrace(NamedTuple):
    """One step: registers as `step_exact` has them.

    `addends` are the lanes' (a group's) and, in a fused step, the register; `sums` what lies between them and `total`:
    those of a tree's neighbours or of a cascade's parts. `total` is what `accumulate_exact` takes. `promoted` is the
    second register after an addition to it, else None, and `output` d after a step with `last`.
    """

    row: int
    lanes: tuple[Lane, ...]
    addends: tuple[Addend, ...]
    sums: tuple[Addend, ...]
    total: Term
    before: Register
    after: Register
    word: int = 0
    promoted: Register | None = None
    output: int | None = None


def term_value(term: Term) -> Fraction:
    """Return the exact value of a term; 0 for a special."""
    if term.exponent >= 0:
        return Fraction(term.significand << term.exponent)
    return Fraction(term.significand, 1 << -term.exponent)


def register_term(accumulator: Accumulator, register: Register) -> Term:
    """Return what a register holds."""
    value, special = register
    if isinstance(accumulator, FixedAccumulator):
        return Term(0 if special else value, -accumulator.fraction_bits, -accumulator.fraction_bits, special)
    return decode_exact(accumulator.format, value)


def trace_exact(unit: DotProductUnit, rows: Iterable[Row]) -> list[StepTrace]:
    """Run a stream as `dot_exact` does, and keep what every stage made.

    The registers are those of `step_exact`; everything between is what the oracles of the stages give on the way.

    Parameters
    ----------
    unit : DotProductUnit
    rows : iterable of Row

    Returns
    -------
    list of StepTrace
        One a row.

    Raises
    ------
    ValueError
        As `dot_exact`.
    """
    outer = inner = None
    traces = []
    products = 0
    for at, row in enumerate(rows):
        if row.first:
            outer, inner, products = load_exact(unit, row.c), (0, 0), 0
        if outer is None or inner is None:
            raise ValueError("rows must start with a row that has `first`, for a register has no value before")
        before = outer if unit.promotion is None else inner
        after = step_exact(unit, before, row.a, row.b, row.scales, row.word)
        step = _step(unit, at, row, before, after)
        if unit.promotion is None:
            outer = after
        else:
            inner = after
            products += unit.width
            if products == unit.promotion.length or row.last:
                outer, inner, products = promote_exact(unit, outer, inner), (0, 0), 0
                step = step._replace(promoted=outer)
        if row.last:
            step = step._replace(output=output_exact(unit, outer))
        traces.append(step)
    return traces


def _step(unit: DotProductUnit, at: int, row: Row, before: Register, after: Register) -> StepTrace:
    """Take a step apart."""
    lanes = _lanes(unit, row)
    alignment, accumulator = unit.alignment, unit.accumulator
    held = register_term(accumulator, before)
    if isinstance(alignment, TruncatedAlignment) and alignment.group > 1:
        grouped = group_exact([lane.product for lane in lanes], [lane.scale for lane in lanes], alignment.group)
        names = [_lanes_name(begin, alignment.group) for begin in range(0, unit.width, alignment.group)]
        exact = list(zip(names, grouped, strict=True))
    else:
        exact = [(f"lane {i}", multiply_exact(lane.product, lane.scale)) for i, lane in enumerate(lanes)]
    terms = [term for _, term in exact]
    sums: list[Addend] = []
    kept = terms
    if isinstance(alignment, ExactAlignment):
        total = align_add_exact(terms)
    elif isinstance(alignment, TruncatedAlignment):
        if alignment.with_accumulator:
            exact.append(("register", held))
            terms = [*terms, held]
        total = align_add_truncated_exact(alignment, terms)
        kept = [_cut(alignment, term, total.lead) for term in terms]
    elif isinstance(alignment, CascadedAlignment):
        assert isinstance(accumulator, FloatAccumulator)
        limit = accumulator.format.exp_max + accumulator.format.sig_bits
        total = align_add_cascaded_exact(alignment, limit, terms, held)
        kept, sums = _cascade(alignment, terms, held, total)
    else:
        assert isinstance(accumulator, FloatAccumulator)
        kept, sums = _tree(accumulator, terms)
        total = sums[-1].kept if sums else kept[0]
    addends = tuple(Addend(name, term, left) for (name, term), left in zip(exact, kept, strict=True))
    return StepTrace(at, tuple(lanes), addends, tuple(sums), total, before, after, row.word)


def _lanes_name(begin: int, count: int) -> str:
    return f"lanes {begin}..{begin + count - 1}"


def _lanes(unit: DotProductUnit, row: Row) -> list[Lane]:
    """Decode and multiply; beside a zero of a sparse operand nothing enters."""
    scales = [decode_exact(spec, code) for spec, code in zip(unit.scales, row.scales, strict=True)]
    lanes = []
    for at, (code_a, code_b) in enumerate(zip(row.a, row.b, strict=True)):
        a, b = operand_exact(unit, unit.element_a, code_a), operand_exact(unit, unit.element_b, code_b)
        left_out = unit.sparsity is not None and not (a.significand or a.special)
        product = Term(0, 0, 0) if left_out else multiply_exact(a, b)
        scale = Term(1, 0, 0)
        begin = 0
        for count in unit.scale_counts:
            if count:
                scale = multiply_exact(scale, scales[begin + at * count // unit.width])
            begin += count
        lanes.append(Lane(code_a, code_b, a, b, product, scale))
    return lanes


def _cut(spec: TruncatedAlignment, term: Term, lead: int) -> Term:
    """Return what is left of an addend where `lead` is the largest exponent."""
    return align_add_truncated_exact(replace(spec, exp_floor=lead), [term])


def _tree(accumulator: FloatAccumulator, terms: list[Term]) -> tuple[list[Term], list[Addend]]:
    """Return the addends as rounded, and the sums of neighbours, level after level."""

    def rounded(term: Term) -> Term:
        return decode_exact(accumulator.format, round_register_exact(accumulator, term))

    first = [rounded(term) for term in terms]
    level, width = first, 2
    sums = []
    while len(level) > 1:
        exact = [add_terms(level[at : at + 2]) for at in range(0, len(level), 2)]
        level = [rounded(term) for term in exact]
        sums += [
            Addend(_lanes_name(i * width, width), term, kept)
            for i, (term, kept) in enumerate(zip(exact, level, strict=True))
        ]
        width *= 2
    return first, sums


def _cascade(spec: CascadedAlignment, terms: list[Term], held: Term, total: Term) -> tuple[list[Term], list[Addend]]:
    """Return the products as cut in their parts; and the parts, their sum and the register as they enter sums."""
    if total.special:
        return terms, []
    kept = list(terms)
    parts = []
    for part in range(spec.parts):
        of = "all lanes" if spec.parts == 1 else ("even lanes", "odd lanes")[part]
        leads = [term.lead for term in terms[part :: spec.parts] if term.significand]
        if not leads:
            continue
        cut = TruncatedAlignment(fraction_bits=spec.fraction_bits, exp_floor=max(leads))
        kept[part :: spec.parts] = [align_add_truncated_exact(cut, [term]) for term in terms[part :: spec.parts]]
        parts.append((of, add_terms(kept[part :: spec.parts])))
    left = Term(0, 0, total.lead)
    if held.significand and not (spec.register_reach and held.lead < total.lead - spec.register_reach):
        left = _floor(held, total.lead - spec.register_fraction_bits)
    sums = []
    if parts:
        top = max(part.lead for _, part in parts)
        sums += [Addend(of, term, _floor(term, top - spec.fraction_bits)) for of, term in parts]
        together = add_terms([each.kept for each in sums])
        sums.append(Addend("sum of the products", together, add_terms([total, _minus(left)])))
    sums.append(Addend("register", held, left))
    return kept, sums


def _floor(term: Term, exponent: int) -> Term:
    """Return a term cut downward to a place."""
    return Term(math.floor(term_value(term) / Fraction(2) ** exponent), exponent, term.lead)


def _minus(term: Term) -> Term:
    return term._replace(significand=-term.significand)


def element_order(unit: DotProductUnit, depth: int) -> list[int]:
    """Return the place along K of each element in the order in which they enter; `depth` and above are filled up."""
    period = math.lcm(unit.width, len(unit.order) or 1)
    length = -(-depth // period) * period
    order = unit.order or (0,)
    return [at - at % len(order) + order[at % len(order)] for at in range(length)]


def element_rows(
    unit: DotProductUnit,
    a: Sequence[int],
    b: Sequence[int],
    c: int = 0,
    *,
    a_scales: Sequence[int] = (),
    b_scales: Sequence[int] = (),
    place: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> list[Row]:
    """Return the stream of one dot product: one element of a matrix product.

    Parameters
    ----------
    unit : DotProductUnit
    a, b : sequence of int
        Codes along K, as many of each; a last step is filled up with zeros.
    c : int
        Code of the register's format.
    a_scales, b_scales : sequence of int
        A code a block along K, where the format has blocks.
    place : tuple of int
        Row and column of the element, for the words of stochastic rounding.
    seed : int
        Of those words.

    Raises
    ------
    ValueError
        If a and b are not as long as each other, or empty.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"a and b must be as long as each other, and not empty, not {len(a)} and {len(b)}")
    order = element_order(unit, len(a))
    zeros = int(unit.element_a.encode(0.0)), int(unit.element_b.encode(0.0))
    x, y = ([*codes, *([zero] * (len(order) - len(a)))] for codes, zero in zip((a, b), zeros, strict=True))
    random_bits = unit.accumulator.random_bits if isinstance(unit.accumulator, FloatAccumulator) else 0
    rows = []
    steps = len(order) // unit.width
    for step in range(steps):
        places = order[step * unit.width : (step + 1) * unit.width]
        scales = [*_scales(unit, unit.a, a_scales, step), *_scales(unit, unit.b, b_scales, step)]
        rows.append(
            Row(
                first=step == 0,
                last=step == steps - 1,
                a=tuple(x[at] for at in places),
                b=tuple(y[at] for at in places),
                scales=tuple(scales),
                c=c,
                word=word_exact(seed, *place, step, random_bits) if random_bits else 0,
            )
        )
    return rows


def _scales(unit: DotProductUnit, spec: object, codes: Sequence[int], step: int) -> list[int]:
    """Return the scales of a step, one for zeros beyond the last block."""
    if not isinstance(spec, BlockSpec):
        return []
    assert isinstance(spec.scale, FloatSpec)
    first = step * unit.width // spec.block_size
    blocks = range(first, first + max(1, unit.width // spec.block_size))
    one = int(spec.scale.encode(1.0))
    return [int(codes[block]) if block < len(codes) else one for block in blocks]
