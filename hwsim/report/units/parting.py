# SPDX-License-Identifier: Apache-2.0
"""Where two units part on one dot product: the first stage of the first step in which they do not agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hwsim.datapath import DotProductUnit, load_exact
from hwsim.datapath.accumulate import Register
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.stream import Row
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.trace import Lane, StepTrace, element_order, register_term, term_value, trace_exact
from hwsim.report.units.stages import is_fused

__all__ = [
    "Followed",
    "Number",
    "Parting",
    "common_steps",
    "follow",
    "number",
    "part",
]

Number = tuple[Fraction, int]
"""A value and a special, one of them 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A unit and the trace of one dot product through it.

    `order` is the place along K of each element that enters, `start` the register that c is loaded into.
    """

    unit: DotProductUnit
    name: str
    steps: tuple[StepTrace, ...]
    order: tuple[int, ...]
    depth: int
    start: Register

    def elements(self, step: int) -> tuple[int, ...]:
        """Return the places along K of a step's elements."""
        width = self.unit.width
        return self.order[step * width : (step + 1) * width]

    def running(self, step: int) -> Number:
        """Return what the registers hold together after a step."""
        trace = self.steps[step]
        if trace.promoted is not None:
            return number(register_term(self.unit.register, trace.promoted))
        held = register_term(self.unit.accumulator, trace.after)
        if self.unit.promotion is None:
            return number(held)
        outer = next((each.promoted for each in self.steps[:step][::-1] if each.promoted is not None), self.start)
        return number(add_terms([held, register_term(self.unit.register, outer)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Where two traces part: the stage, the steps of each that are to be looked at, and a sentence."""

    stage: str
    steps: tuple[range, range]
    says: str


def follow(unit: DotProductUnit, name: str, rows: Sequence[Row], depth: int) -> Followed:
    """Trace one dot product."""
    return Followed(
        unit=unit,
        name=name,
        steps=tuple(trace_exact(unit, rows)),
        order=tuple(element_order(unit, depth)),
        depth=depth,
        start=load_exact(unit, rows[0].c),
    )


def number(term: Term) -> Number:
    """Return a term's value and special."""
    return term_value(term), term.special


def part(first: Followed, second: Followed) -> Parting:
    """Find where two traces of the same operands part."""
    pair = first, second
    found = _operands(pair)
    if found is not None:
        return found
    begin = (0, 0)
    for ends in common_steps(pair):
        if first.running(ends[0]) != second.running(ends[1]):
            spans = range(begin[0], ends[0] + 1), range(begin[1], ends[1] + 1)
            return _within(pair, spans)
        begin = ends[0] + 1, ends[1] + 1
    last = tuple(range(len(each.steps) - 1, len(each.steps)) for each in pair)
    names = [each.unit.output.name for each in pair]
    says = f"the registers agree to the end; d is then rounded to {names[0]} and to {names[1]}"
    if first.steps[-1].output == second.steps[-1].output and names[0] == names[1]:
        return Parting(stage="none", steps=(last[0], last[1]), says="they agree in every step and in d")
    return Parting(stage="round_pack", steps=(last[0], last[1]), says=says)


def _lanes(each: Followed) -> dict[int, tuple[int, Lane]]:
    """Return step and lane of each element along K."""
    width = each.unit.width
    return {
        k: (at // width, each.steps[at // width].lanes[at % width]) for at, k in enumerate(each.order) if k < each.depth
    }


def _operands(pair: tuple[Followed, Followed]) -> Parting | None:
    """Return the first element whose operands or product differ."""
    left, right = _lanes(pair[0]), _lanes(pair[1])
    for k, (step, lane) in left.items():
        other_step, other = right[k]
        spans = range(step, step + 1), range(other_step, other_step + 1)
        for name in ("a", "b"):
            x, y = getattr(lane, name), getattr(other, name)
            if number(x) != number(y):
                says = f"{name}[{k}] is not the same number: the formats, or what they drop of it, are not"
                return Parting(stage="decode", steps=spans, says=says)
        if number(multiply_exact(lane.product, lane.scale)) != number(multiply_exact(other.product, other.scale)):
            return Parting(stage="multiply", steps=spans, says=f"product {k} is not the same: their scales are not")
    return None


def common_steps(pair: tuple[Followed, Followed]) -> list[tuple[int, int]]:
    """Return the steps after which both have taken the same elements; zeros beyond the depth do not count."""
    seen: list[dict[frozenset[int], int]] = []
    for each in pair:
        taken: set[int] = set()
        ends: dict[frozenset[int], int] = {}
        for step in range(len(each.steps)):
            taken |= {k for k in each.elements(step) if k < each.depth}
            ends[frozenset(taken)] = step
        seen.append(ends)
    return [(step, seen[1][taken]) for taken, step in seen[0].items() if taken in seen[1]]


def _within(pair: tuple[Followed, Followed], spans: tuple[range, range]) -> Parting:
    """Return the stage in which steps that take the same elements part."""
    lengths = len(spans[0]), len(spans[1])
    if lengths != (1, 1):
        counts = [
            f"{length} step{'s' if length > 1 else ''} of {each.unit.width}"
            for length, each in zip(lengths, pair, strict=True)
        ]
        says = f"the same elements are added in {counts[0]} by the one and in {counts[1]} by the other"
        return Parting(stage="align_add", steps=spans, says=says)
    steps = pair[0].steps[spans[0][0]], pair[1].steps[spans[1][0]]
    before = [number(register_term(each.unit.accumulator, step.before)) for each, step in zip(pair, steps, strict=True)]
    if before[0] != before[1]:
        says = "together the registers held the same before; the first ones, which meet the products, did not"
        return Parting(stage="align_add", steps=spans, says=says)
    kept = [_kept(each, step, span[0]) for each, step, span in zip(pair, steps, spans, strict=True)]
    if kept[0].keys() == kept[1].keys():
        for of, held in kept[0].items():
            if held != kept[1][of]:
                return Parting(stage="align_add", steps=spans, says=f"{of} is not cut alike: see `kept` and `lost`")
    if _sum(pair[0], steps[0]) != _sum(pair[1], steps[1]):
        fused = [is_fused(each.unit) for each in pair]
        says = "the addends are not added alike"
        if fused[0] != fused[1]:
            says = "the register is aligned and cut with the products in the one, and added to their sum in the other"
        return Parting(stage="align_add", steps=spans, says=says)
    stage = "accumulate"
    says = "the sums are equal; the registers round them, or overflow, in another way"
    after = [number(register_term(each.unit.accumulator, step.after)) for each, step in zip(pair, steps, strict=True)]
    if after[0] == after[1]:
        stage, says = "promote", "the first registers are equal; the second ones are not"
    return Parting(stage=stage, steps=spans, says=says)


def _kept(each: Followed, trace: StepTrace, step: int) -> dict[str, Number]:
    """Return what is left of each addend by its name, lanes named by their place along K."""
    places = each.elements(step)
    found = {}
    for addend in trace.addends:
        words = addend.of.split()
        of = f"product {places[int(words[1])]}" if words[0] == "lane" else addend.of
        found[of] = number(addend.kept)
    if "register" not in found:
        found["register"] = number(register_term(each.unit.accumulator, trace.before))
    return found


def _sum(each: Followed, trace: StepTrace) -> Number:
    """Return the sum of a step with the register in it."""
    if is_fused(each.unit):
        return number(trace.total)
    return number(add_terms([trace.total, register_term(each.unit.accumulator, trace.before)]))
