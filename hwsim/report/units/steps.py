# SPDX-License-Identifier: Apache-2.0
"""Steps of a trace in words, tables and JSON."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from hwsim.datapath import FixedAccumulator, FloatAccumulator, PairwiseAlignment, TruncatedAlignment
from hwsim.datapath.accumulate import Register
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.terms import Term, add_terms
from hwsim.datapath.trace import Addend, StepTrace, register_term, term_value
from hwsim.datapath.unit import Accumulator
from hwsim.formats.codes import NAN, POSITIVE_INFINITY
from hwsim.report.formats.text import code_text
from hwsim.report.units.parting import Followed, number
from hwsim.report.units.stages import is_fused, order_words
from hwsim.report.units.words import power

__all__ = [
    "addend_name",
    "decimal",
    "fraction_text",
    "lost_in_register",
    "output_text",
    "register_text",
    "step_as_dict",
    "step_lines",
    "step_table",
    "term_text",
]

_SHORT = 20  # characters
_LINE = 126
_LONG = 1 << 34  # longer significands are written in hexadecimal


def _integer(value: int) -> str:
    return f"{value}" if abs(value) < _LONG else f"{'-' if value < 0 else ''}0x{abs(value):x}"


def term_text(term: Term) -> str:
    """Return a term as the stages hold it: ``-10·2^-5``; a zero is 0."""
    if term.special:
        return {NAN: "NaN", POSITIVE_INFINITY: "inf"}.get(term.special, "-inf")
    if term.significand == 0:
        return "-0" if term.minus else "0"
    if abs(term.significand) >= _LONG:  # a sum brought to the exponent of a far smaller addend
        return fraction_text(term_value(term))
    return f"{_integer(term.significand)}·{power(term.exponent)}" if term.exponent else _integer(term.significand)


def fraction_text(value: Fraction) -> str:
    """Return a dyadic fraction as an odd number and a power of two: ``9·2^-16``."""
    if value == 0:
        return "0"
    if value.denominator == 1:
        twos = (value.numerator & -value.numerator).bit_length() - 1
        odd = value.numerator >> twos
    else:
        twos, odd = 1 - value.denominator.bit_length(), value.numerator
    if not twos:
        return _integer(odd)
    return f"{'-' if odd < 0 else ''}{power(twos)}" if abs(odd) == 1 else f"{_integer(odd)}·{power(twos)}"


def decimal(value: Fraction) -> str:
    """Return a value in ten digits."""
    if abs(value) >= 1 << 1023:
        return f"{'-' if value < 0 else ''}2^{abs(value.numerator).bit_length() - 1}.."
    return f"{float(value):.10g}".replace("e+", "e")


def _amount(value: Fraction) -> str:
    """Return a value as a dyadic fraction where that is short, and in decimals."""
    exact = fraction_text(value)
    return f"{exact} = {decimal(value)}" if len(exact) <= _SHORT else decimal(value)


def _special_or_decimal(term: Term) -> str:
    return term_text(term) if term.special else decimal(term_value(term))


def register_text(accumulator: Accumulator, register: Register) -> str:
    """Return a register's bits, by its fields, and its value."""
    value, special = register
    term = register_term(accumulator, register)
    if isinstance(accumulator, FixedAccumulator):
        code = value & ((1 << accumulator.bits) - 1)
        seen = " (has seen a NaN)" if special == NAN else " (has seen an infinity)" if special else ""
        held = decimal(Fraction(value) / Fraction(2) ** accumulator.fraction_bits)
        return f"{code_text(code, accumulator.bits)} = {held}{seen}"
    assert isinstance(accumulator, FloatAccumulator)
    spec = accumulator.format
    bits = f"{value:0{spec.bits}b}"
    fields = f"{bits[0]} {bits[1 : 1 + spec.exp_bits]} {bits[1 + spec.exp_bits :]}"
    return f"{code_text(value, spec.bits)} = {fields} = {_special_or_decimal(term)}"


def output_text(followed: Followed) -> str:
    """Return d of the last step."""
    code = followed.steps[-1].output
    assert code is not None
    spec = followed.unit.output
    return f"{code_text(code, spec.bits)} = {float(spec.decode(code)):.10g}"


def lane_addends(followed: Followed, trace: StepTrace) -> list[tuple[Term, Addend | None]]:
    """Return the scaled product of each lane, and the addend that it is; None where a group is one."""
    exact = [multiply_exact(lane.product, lane.scale) for lane in trace.lanes]
    alone = {addend.of: addend for addend in trace.addends if addend.of.startswith("lane ")}
    return [(term, alone.get(f"lane {at}")) for at, term in enumerate(exact)]


def step_table(followed: Followed, step: int, other: Followed | None = None, other_step: int = 0) -> Table:
    """Return the lanes of a step; with another unit of the same products, what both keep of each.

    Lanes beyond the depth are left out.
    """
    trace = followed.steps[step]
    unit = followed.unit
    both = [(followed, trace)] + ([] if other is None else [(other, other.steps[other_step])])
    table = Table(box=SIMPLE, pad_edge=False, header_style="")
    scaled = bool(unit.scales)
    for heading in ("k", "a", "", "b", "", "product", *(["scaled"] if scaled else []), "e"):
        table.add_column(heading, justify="right", overflow="fold")
    for at, (each, held) in enumerate(both, start=1):
        of = f" {at}" if other is not None else ""
        unit_of_kept = _kept_exponent(each, held)
        within = "" if unit_of_kept is None else f", x {power(unit_of_kept)}"
        table.add_column(f"kept{of}{within}", justify="right", overflow="fold")
        table.add_column(f"lost{of}", justify="right", overflow="fold")
    if other is not None:
        table.add_column("", no_wrap=True)
    lanes = [
        {k: addend for k, (_, addend) in zip(each.elements(at), lane_addends(each, held), strict=True)}
        for (each, held), at in zip(both, (step, other_step), strict=False)
    ]
    products = lane_addends(followed, trace)
    for at, k in enumerate(followed.elements(step)):
        if k >= followed.depth:
            continue
        lane = trace.lanes[at]
        exact = products[at][0]
        cells = [str(k)]
        for spec, code, term in ((unit.element_a, lane.code_a, lane.a), (unit.element_b, lane.code_b, lane.b)):
            cells += [code_text(code, spec.bits + unit.ignored_bits), term_text(term)]
        cells += [term_text(lane.product), *([term_text(exact)] if scaled else [])]
        cells.append(str(exact.lead) if exact.significand else "")
        kept = [_kept_cells(each, held, by_place[k]) for (each, held), by_place in zip(both, lanes, strict=True)]
        table.add_row(*cells, *(cell for pair in kept for cell in pair), *_differ([held[k] for held in lanes]))
    return table


def _differ(pair: list[Addend | None]) -> list[str]:
    """Return the mark of what two units do not keep alike."""
    if len(pair) == 1:
        return []
    kept = [None if addend is None else number(addend.kept) for addend in pair]
    return ["<" if None not in kept and kept[0] != kept[1] else ""]


def _kept_exponent(followed: Followed, trace: StepTrace) -> int | None:
    """Return the exponent of the place at which all addends are cut; None where there is no such place."""
    if isinstance(followed.unit.alignment, TruncatedAlignment) and not trace.total.special:
        return trace.total.exponent
    return None


def _kept_cells(followed: Followed, trace: StepTrace, addend: Addend | None) -> tuple[str, str]:
    if addend is None:
        return "in a sum", ""
    if addend.kept.special or addend.exact.special:
        return term_text(addend.kept), ""
    lost = fraction_text(addend.lost) if addend.lost else ""
    exponent = _kept_exponent(followed, trace)
    if exponent is None:
        return term_text(addend.kept) if lost else "all", lost
    kept = term_value(addend.kept) / Fraction(2) ** exponent
    assert kept.denominator == 1
    return _integer(kept.numerator), lost


def step_lines(followed: Followed, step: int) -> list[str]:
    """Return what comes after the products: alignment, sums, the register before and after."""
    trace, unit = followed.steps[step], followed.unit
    accumulator = unit.accumulator
    lines = []
    alignment = unit.alignment
    if isinstance(alignment, TruncatedAlignment) and not trace.total.special:
        lead = trace.total.lead
        cut = power(lead - alignment.fraction_bits)
        lines.append(f"align_add   e = {lead}: cut at {cut}{_lead_note(followed, step, alignment)}")
    lines += [
        _addend_line(addend_name(followed, step, addend.of), addend)
        for addend in trace.addends
        if not addend.of.startswith("lane ")
    ]
    shown: Iterable[Addend] = trace.sums
    if isinstance(alignment, PairwiseAlignment) and len(trace.sums) > 15:
        shown = trace.sums[-15:]
    lines += [_addend_line(addend_name(followed, step, addend.of), addend) for addend in shown]
    lost = sum((addend.lost for addend in trace.addends), Fraction(0))
    away = f"; lost: {_amount(lost)}" if lost else ""
    lines.append(f"sum         {term_text(trace.total)} = {_special_or_decimal(trace.total)}{away}")
    lines.append(f"register    {register_text(accumulator, trace.before)}")
    gone = lost_in_register(followed, step)
    rounded = f"; lost: {_amount(gone)}" if gone else ""
    random = f" (random word {trace.word})" if getattr(accumulator, "random_bits", 0) else ""
    line = f"         -> {register_text(accumulator, trace.after)}{random}"
    lines += [line + rounded] if len(line + rounded) <= _LINE else [line, f"            {rounded.removeprefix('; ')}"]
    if trace.promoted is not None:
        assert unit.promotion is not None
        lines.append(f"promoted -> {register_text(unit.promotion.accumulator, trace.promoted)}")
    if trace.output is not None:
        spec = unit.output
        lines.append(f"d           {code_text(trace.output, spec.bits)} = {float(spec.decode(trace.output)):.10g}")
    return lines


def lost_in_register(followed: Followed, step: int) -> Fraction | None:
    """Return what the rounding of a step's register takes away; None where a special is involved."""
    trace, unit = followed.steps[step], followed.unit
    after = register_term(unit.accumulator, trace.after)
    whole = trace.total
    if not is_fused(unit):
        whole = add_terms([whole, register_term(unit.accumulator, trace.before)])
    return None if whole.special or after.special else term_value(whole) - term_value(after)


def _lead_note(followed: Followed, step: int, alignment: TruncatedAlignment) -> str:
    """Return which addend has the largest exponent."""
    addends = [addend for addend in followed.steps[step].addends if addend.exact.significand]
    lead = max((addend.exact.lead for addend in addends), default=alignment.exp_floor - 1)
    if lead < alignment.exp_floor:
        return " (the least e)"
    largest = [addend_name(followed, step, addend.of) for addend in addends if addend.exact.lead == lead]
    return f" (that of {', '.join(largest[:3])}{' and others' if len(largest) > 3 else ''})"


def addend_name(followed: Followed, step: int, of: str) -> str:
    """Return what an addend is, its lanes by their places along K."""
    words = of.split()
    if words[0] == "lane":
        return f"product {followed.elements(step)[int(words[1])]}"
    if words[0] == "lanes":
        first, last = (int(lane) for lane in words[1].split(".."))
        return f"products {order_words(followed.elements(step)[first : last + 1])}"
    return of


def _addend_line(of: str, addend: Addend) -> str:
    lost = (
        ""
        if addend.exact.special or addend.kept.special or not addend.lost
        else f"; lost: {fraction_text(addend.lost)}"
    )
    kept = term_text(addend.kept)
    exact = term_text(addend.exact)
    return f"            {of}: {exact}" + (f" -> {kept}" if kept != exact else "") + lost


def _term_dict(term: Term) -> dict[str, Any]:
    value = term_text(term) if term.special else decimal(term_value(term))
    return {"significand": term.significand, "exponent": term.exponent, "value": value}


def _addend_dict(addend: Addend) -> dict[str, Any]:
    lost = Fraction(0) if addend.exact.special or addend.kept.special else addend.lost
    found: dict[str, Any] = {"of": addend.of, "exact": _term_dict(addend.exact), "kept": _term_dict(addend.kept)}
    return {**found, "lead": addend.exact.lead, "lost": fraction_text(lost)}


def step_as_dict(followed: Followed, step: int) -> dict[str, Any]:
    """Return a step, JSON-ready: numbers as significand, exponent and value."""
    trace, unit = followed.steps[step], followed.unit
    accumulator = unit.accumulator

    def register(held: Register, of: Accumulator) -> dict[str, Any]:
        code = held[0] & ((1 << of.bits) - 1)
        return {"code": code, "special": held[1], "value": _special_or_decimal(register_term(of, held))}

    return {
        "step": step,
        "elements": list(followed.elements(step)),
        "lanes": [
            {
                "a": {"code": lane.code_a, **_term_dict(lane.a)},
                "b": {"code": lane.code_b, **_term_dict(lane.b)},
                "product": _term_dict(lane.product),
                "scale": _term_dict(lane.scale),
            }
            for lane in trace.lanes
        ],
        "addends": [_addend_dict(addend) for addend in trace.addends],
        "sums": [_addend_dict(addend) for addend in trace.sums],
        "total": {**_term_dict(trace.total), "lead": trace.total.lead},
        "before": register(trace.before, accumulator),
        "after": register(trace.after, accumulator),
        "word": trace.word,
        "promoted": None if trace.promoted is None else register(trace.promoted, unit.register),
        "output": trace.output,
    }
