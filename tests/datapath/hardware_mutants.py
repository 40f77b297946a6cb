# SPDX-License-Identifier: Apache-2.0
"""Units that differ from a catalogued one in one parameter by one, and those that no output can tell from it."""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hwsim.datapath import (
    DotProductUnit,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding

__all__ = [
    "mutants",
    "same",
]

_NEIGHBOURS = {
    Rounding.TOWARD_ZERO: (Rounding.NEAREST_EVEN, Rounding.DOWN, Rounding.UP),
    Rounding.NEAREST_EVEN: (Rounding.TOWARD_ZERO, Rounding.NEAREST_AWAY, Rounding.TO_ODD),
}


def mutants(unit: DotProductUnit, length: int) -> dict[str, DotProductUnit]:
    """Return every neighbour of a unit by the parameter that is shifted; `length` is the K of the outputs."""
    found: dict[str, DotProductUnit] = {}
    changes = [*_alignment(unit), *_register(unit, ""), *_entry(unit, length), *_steps(unit, length)]
    if unit.promotion is not None:
        changes += _promotion(unit)
    if unit.output != unit.register.format:
        changes += [(f"output rounding {mode.value}", {"rounding": mode}) for mode in _NEIGHBOURS[unit.rounding]]
        changes += [("output overflow", {"overflow": Overflow.SATURATE})]
    for name, change in changes:
        try:
            found[name] = replace(unit, **change)
        except ValueError:  # parts that do not go together: no such unit
            continue
    return found


_Change = tuple[str, dict[str, Any]]


def _alignment(unit: DotProductUnit) -> Iterator[_Change]:
    spec = unit.alignment
    if not isinstance(spec, TruncatedAlignment):
        return
    for step in (-1, 1):
        yield f"fraction_bits {step:+d}", {"alignment": replace(spec, fraction_bits=spec.fraction_bits + step)}
        yield f"exp_floor {step:+d}", {"alignment": replace(spec, exp_floor=spec.exp_floor + step)}
    yield "with_accumulator", {"alignment": replace(spec, with_accumulator=not spec.with_accumulator)}
    for mode in _NEIGHBOURS[spec.rounding]:
        yield f"alignment rounding {mode.value}", {"alignment": replace(spec, rounding=mode)}


def _registers(spec: FixedAccumulator | FloatAccumulator) -> Iterator[tuple[str, Any, FloatSpec | IntegerSpec]]:
    """Return the neighbours of a register, and the formats of their codes."""
    if isinstance(spec, FixedAccumulator):
        other = Overflow.SATURATE if spec.overflow is Overflow.WRAP else Overflow.WRAP
        yield "overflow", replace(spec, overflow=other), spec.format
        wider = replace(spec, bits=spec.bits + 1)
        yield "bits +1", wider, wider.format
        return
    for mode in _NEIGHBOURS[spec.rounding]:
        yield f"rounding {mode.value}", replace(spec, rounding=mode), spec.format
    yield "overflow", replace(spec, overflow=Overflow.SATURATE), spec.format
    for step in (-1, 1):
        if spec.result_man_bits + step <= spec.format.man_bits:
            narrow = replace(spec, result_man_bits=spec.result_man_bits + step)
            yield f"result_man_bits {step:+d}", narrow, spec.format
        form = replace(
            spec.format,
            man_bits=spec.format.man_bits + step,
            exp_bits=spec.format.exp_bits - step,
            bias=(1 << (spec.format.exp_bits - step - 1)) - 1,
        )
        kept = min(spec.result_man_bits, form.man_bits)
        yield f"format man_bits {step:+d}", replace(spec, format=form, result_man_bits=kept), form
    for nan in NanResult:
        if nan is not spec.nan:
            yield f"nan {nan.value}", replace(spec, nan=nan), spec.format
    yield "signed_zero", replace(spec, signed_zero=not spec.signed_zero), spec.format
    yield "flush", replace(spec, flush=not spec.flush), spec.format


def _register(unit: DotProductUnit, begin: str) -> Iterator[_Change]:
    for name, register, form in _registers(unit.accumulator):
        change: dict[str, Any] = {"accumulator": register}
        if unit.output == unit.accumulator.format and unit.promotion is None:
            change["output"] = form
        yield f"{begin}{name}", change


def _promotion(unit: DotProductUnit) -> Iterator[_Change]:
    spec = unit.promotion
    assert spec is not None
    yield "promotion", {"promotion": None}
    for step in (-unit.width, unit.width):
        yield f"promotion length {step:+d}", {"promotion": replace(spec, length=max(spec.length + step, unit.width))}
    for name, register, form in _registers(spec.accumulator):
        change: dict[str, Any] = {"promotion": replace(spec, accumulator=register)}
        if unit.output == spec.accumulator.format:
            change["output"] = form
        yield f"promotion {name}", change


def _entry(unit: DotProductUnit, length: int) -> Iterator[_Change]:
    yield "flush_operands", {"flush_operands": not unit.flush_operands}
    if unit.order:
        yield "order", {"order": ()}
        swapped = (unit.order[1], unit.order[0], *unit.order[2:])
        yield "order of a step's own", {"order": swapped}
        crossed = list(unit.order)
        at = unit.lanes
        crossed[at - 1], crossed[at] = crossed[at], crossed[at - 1]
        yield "order across steps", {"order": tuple(crossed)}
    elif unit.width < length:
        yield "order", {"order": tuple(reversed(range(length)))}
    if unit.ignored_bits:
        for step in (-1, 1):
            spec = unit.element_a
            assert isinstance(spec, FloatSpec)
            form = replace(spec, man_bits=spec.man_bits - step)
            yield f"ignored_bits {step:+d}", {"ignored_bits": unit.ignored_bits + step, "a": form, "b": form}
        nearest = unit.operand_rounding is Rounding.TOWARD_ZERO
        mode = Rounding.NEAREST_EVEN if nearest else Rounding.TOWARD_ZERO
        yield "operand_rounding", {"operand_rounding": mode}
    if getattr(unit, "unpacked", None) is not None:
        yield "unpacked", {"unpacked": None}
    for side in ("a", "b"):
        spec = getattr(unit, side)
        if isinstance(spec, IntegerSpec):
            yield f"{side}.signed", {side: replace(spec, signed=not spec.signed)}
        elif not unit.ignored_bits and spec != unit.accumulator.format:
            yield f"{side}.bias", {side: replace(spec, bias=spec.bias + 1)}


def _steps(unit: DotProductUnit, length: int) -> Iterator[_Change]:
    """Shift the products of a step, where K is long enough to tell."""
    if unit.order and unit.lanes > 1:
        yield "lanes halved", {"lanes": unit.lanes // 2}
        return
    for name, lanes in (
        ("lanes halved", unit.lanes // 2),
        ("lanes -1", unit.lanes - 1),
        ("lanes +1", unit.lanes + 1),
        ("lanes doubled", unit.lanes * 2),
    ):
        if lanes >= 1 and (lanes < unit.lanes or length > unit.lanes):
            yield name, {"lanes": lanes}


def same(unit: DotProductUnit, mutant: str) -> str:
    """Return why no output can tell a mutant from its unit, or nothing where one can."""
    if isinstance(unit.accumulator, FixedAccumulator):
        wraps = unit.accumulator.overflow is Overflow.WRAP
        return "a sum that wraps does not depend on its steps" if wraps and mutant.startswith("lanes") else ""
    return ""


def fields() -> tuple[str, ...]:
    """Return the fields of a unit, so that a test sees one that no mutant touches."""
    return tuple(field.name for field in dataclasses.fields(DotProductUnit))
