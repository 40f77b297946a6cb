# SPDX-License-Identifier: Apache-2.0
"""One element of a product followed through one unit, or through two up to where they part."""

from fractions import Fraction
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from hwsim.datapath import TruncatedAlignment
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.trace import register_term, term_value
from hwsim.report.formats.text import code_text
from hwsim.report.units.parting import Followed, Number, Parting, common_steps, part
from hwsim.report.units.stages import order_words
from hwsim.report.units.steps import (
    decimal,
    fraction_text,
    lost_in_register,
    output_text,
    step_as_dict,
    step_lines,
    step_table,
)
from hwsim.report.units.words import count

__all__ = [
    "pair_as_dict",
    "pair_parts",
    "steps_parts",
    "trace_as_dict",
    "trace_parts",
]

Part = str | Table
_LISTED = 16  # steps at either end of a long list
_AROUND = 6  # steps that are listed before the one where two units part


def trace_parts(followed: Followed) -> list[Part]:
    """Return every step of one unit."""
    parts: list[Part] = [f"\n{followed.name}: {count(len(followed.steps), 'step')}"]
    for step in range(len(followed.steps)):
        parts += _step_parts(followed, step)
    return parts


def steps_parts(followed: Followed) -> list[Part]:
    """Return the register after each step of one unit, and what alignment and rounding took away."""
    table = Table(box=SIMPLE, pad_edge=False, header_style="")
    for heading in ("step", "e", "lost in align_add", "register after it", "lost in accumulate"):
        table.add_column(heading, justify="left" if heading.startswith("register") else "right", no_wrap=True)
    shown = len(followed.steps) if len(followed.steps) <= 2 * _LISTED else _LISTED
    for step, trace in enumerate(followed.steps):
        if shown <= step < len(followed.steps) - _LISTED:
            if step == shown:
                table.add_row("...", "", "", "", "")
            continue
        lead = str(trace.total.lead) if isinstance(followed.unit.alignment, TruncatedAlignment) else ""
        aligned = sum((addend.lost for addend in trace.addends), Fraction(0))
        rounded = lost_in_register(followed, step)
        cells = fraction_text(aligned), _held(followed, step), "" if rounded is None else fraction_text(rounded)
        table.add_row(str(step), "" if trace.total.special else lead, *cells)
    place = "--trace ROW,COLUMN shows every product of every step"
    return [f"\n{followed.name}: {output_text(followed)}; exact: {_exact(followed)}", table, place]


def _step_parts(followed: Followed, step: int) -> list[Part]:
    title = f"\n{followed.name}, step {step}: {_elements(followed, step)}"
    return [title, step_table(followed, step), *step_lines(followed, step)]


def _elements(followed: Followed, step: int) -> str:
    places = tuple(k for k in followed.elements(step) if k < followed.depth)
    if not places:
        return "zeros beyond the end of K"
    filled = len(followed.elements(step)) - len(places)
    return f"k = {order_words(places)}" + (f", and {filled} zeros" if filled else "")


def pair_parts(first: Followed, second: Followed, *, full: bool) -> list[Part]:
    """Return where two units part, and the steps that show it; with `full` every step of both."""
    parting = part(first, second)
    parts: list[Part] = []
    for number, each in enumerate((first, second), start=1):
        parts.append(f"  {number}: {output_text(each)}   {each.name}")
    exact = [_exact(first), _exact(second)]
    same = exact[0] == exact[1]
    parts.append(f"  exact: {exact[0]}" if same else f"  exact, each of its own operands: {exact[0]}; {exact[1]}")
    parts.append(_overview(first, second, parting))
    if parting.stage == "none":
        parts.append(parting.says)
    else:
        steps = " and ".join(
            f"step {span[0]}" if len(span) == 1 else f"steps {span[0]}..{span[-1]}"
            for span in (parting.steps if parting.steps[0] != parting.steps[1] else parting.steps[:1])
        )
        parts.append(f"they part in {steps}, stage {parting.stage}: {parting.says}")
    if full:
        return [*parts, *trace_parts(first), *trace_parts(second)]
    if parting.stage == "none":
        return parts
    return parts + _parting_parts(first, second, parting)


def _exact(followed: Followed) -> str:
    """Return the exact value of the products, and of c."""
    terms = [multiply_exact(lane.product, lane.scale) for step in followed.steps for lane in step.lanes]
    start = register_term(followed.unit.register, followed.start)
    if any(term.special for term in (*terms, start)):
        return "not finite"
    return decimal(sum(map(term_value, terms), term_value(start)))


def _overview(first: Followed, second: Followed, parting: Parting) -> Table:
    """Return the registers of both after the steps that lead up to the parting, and the one behind."""
    ends = common_steps((first, second))
    at = next((i for i, pair in enumerate(ends) if pair[0] >= parting.steps[0][-1]), len(ends) - 1)
    table = Table(box=SIMPLE, pad_edge=False, header_style="")
    table.add_column("elements", justify="right", no_wrap=True)
    for number in (1, 2):
        table.add_column(f"registers of {number}", justify="left", no_wrap=True)
    table.add_column("", no_wrap=True)
    begin = max(0, at - _AROUND)
    if begin:
        table.add_row("...", "equal", "equal", "")
    for pair in ends[begin : at + 2]:
        cells = [_held(each, step) for each, step in zip((first, second), pair, strict=True)]
        taken = sum(k < first.depth for k in first.order[: (pair[0] + 1) * first.unit.width])
        same = first.running(pair[0]) == second.running(pair[1])
        table.add_row(str(taken), *cells, "" if same else "differ")
    if at + 2 < len(ends):
        table.add_row("...", "", "", "")
    return table


def _held(followed: Followed, step: int) -> str:
    trace, unit = followed.steps[step], followed.unit
    register, accumulator = trace.after, unit.accumulator
    if trace.promoted is not None:
        register, accumulator = trace.promoted, unit.register
    code = code_text(register[0] & ((1 << accumulator.bits) - 1), accumulator.bits)
    value = _value(followed.running(step))
    return f"{code} = {value}" if unit.promotion is None or trace.promoted is not None else f"{value}, first + second"


def _value(number: Number) -> str:
    return ("", "inf", "-inf", "NaN")[number[1]] or decimal(number[0])


def _parting_parts(first: Followed, second: Followed, parting: Parting) -> list[Part]:
    """Return the steps in which two units part, in one table where they take the same elements."""
    spans = parting.steps
    alike = (
        len(spans[0]) == len(spans[1]) == 1
        and first.elements(spans[0][0]) == second.elements(spans[1][0])
        and parting.stage not in ("decode", "multiply")
    )
    if not alike:
        return [
            piece
            for each, span in zip((first, second), spans, strict=True)
            for step in span
            for piece in _step_parts(each, step)
        ]
    parts: list[Part] = [
        f"\nstep {spans[0][0]}: {_elements(first, spans[0][0])}",
        step_table(first, spans[0][0], second, spans[1][0]),
    ]
    for number, (each, span) in enumerate(zip((first, second), spans, strict=True), start=1):
        parts += [f"{number}: {each.name}", *(f"   {line}" for line in step_lines(each, span[0])), ""]
    return parts


def trace_as_dict(followed: Followed) -> dict[str, Any]:
    """Return every step of one unit, JSON-ready."""
    output = followed.steps[-1].output
    return {
        "unit": followed.name,
        "output": output,
        "value": output_text(followed).partition(" = ")[2],
        "exact": _exact(followed),
        "steps": [step_as_dict(followed, step) for step in range(len(followed.steps))],
    }


def pair_as_dict(first: Followed, second: Followed) -> dict[str, Any]:
    """Return both traces and where they part, JSON-ready."""
    parting = part(first, second)
    return {
        "stage": parting.stage,
        "says": parting.says,
        "steps": [list(span) for span in parting.steps],
        "traces": [trace_as_dict(first), trace_as_dict(second)],
    }
