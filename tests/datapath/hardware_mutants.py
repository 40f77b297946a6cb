# SPDX-License-Identifier: Apache-2.0
"""Units that differ from a catalogued one in one parameter by one, and why no output can tell some from it."""

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
        if spec.format.exp_bits == 11:  # the widest that there is, and as wide a mantissa
            continue
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
    if isinstance(unit.element_a, FloatSpec):
        yield "flush_operands", {"flush_operands": not unit.flush_operands}
    if unit.order:
        yield "order", {"order": ()}
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


def same(unit: DotProductUnit, mutant: str, length: int) -> str:
    """Return why no operands at all can tell a mutant from its unit; nothing where some can."""
    if isinstance(unit.accumulator, FixedAccumulator):
        if not mutant.startswith("lanes"):
            return ""
        if unit.accumulator.overflow is Overflow.WRAP:
            return "a sum that wraps does not depend on its steps"
        signs = [isinstance(spec, IntegerSpec) and spec.signed for spec in (unit.a, unit.b)]
        return "" if any(signs) else "a sum that only grows is clamped alike on its way and at its end"
    if unit.promotion is not None:
        reason = _promoted(unit, mutant, length)
        if reason:
            return reason
    if mutant == "overflow" and unit.lanes > 1:
        return _overflow(unit)
    if mutant.startswith("exp_floor"):
        return _floor(unit, int(mutant.split()[1]))
    return _unpacked(unit) if mutant == "unpacked" else ""


def _limits(unit: DotProductUnit) -> tuple[int, int]:
    """Return n so that a step's products, and their sum, are below 2**n, and the exponent of their last bit."""
    (_, last_a), (_, last_b), _ = _spans(unit)
    assert isinstance(unit.element_a, FloatSpec)
    assert isinstance(unit.element_b, FloatSpec)
    reach = sum(spec.exp_max + spec.sig_bits for spec in (unit.element_a, unit.element_b))
    return reach + unit.lanes.bit_length(), last_a + last_b


def _promoted(unit: DotProductUnit, mutant: str, length: int) -> str:
    """Tell what of the first register the second one hides, and what the second one never meets."""
    promotion, inner = unit.promotion, unit.accumulator
    assert promotion is not None
    if mutant in ("nan quiet", "signed_zero"):
        return "the second register makes its own NaN and zero"
    if mutant == f"promotion length {unit.width:+d}" and length <= promotion.length:
        return "the first register is promoted at the end in any case"
    if mutant == "promotion signed_zero":
        return "a zero of the first register is +0, and no sum with that is -0"
    outer = promotion.accumulator
    if not isinstance(inner.format, FloatSpec) or not isinstance(outer.format, FloatSpec):
        return ""
    reach, last = _limits(unit)
    reach += (promotion.length // unit.lanes).bit_length()
    half = (1 << (inner.format.exp_bits - 2)) - 1  # the bias of a format with one exponent bit less
    if mutant in ("overflow", "flush", "format man_bits +1") and reach <= half and last >= 1 - half:
        return f"the first register is within 2**{last} and 2**{reach}, which half the exponents hold"
    if mutant == "promotion overflow" and reach < outer.format.exp_max - 1:
        return f"the first register is below 2**{reach}, which is less than half the last place of a C near overflow"
    return ""


def _overflow(unit: DotProductUnit) -> str:
    """Tell whether a finite C and finite products can overflow at all."""
    spec, register = unit.alignment, unit.accumulator
    assert isinstance(register, FloatAccumulator)
    if not isinstance(spec, TruncatedAlignment):
        return ""
    top = register.format.exp_max + register.format.man_bits
    reach, _ = _limits(unit)
    if reach <= top - spec.fraction_bits:
        return f"beside a C of 2**{top} products below 2**{reach} are cut away, and smaller ones do not reach it"
    return ""


def _spans(unit: DotProductUnit) -> list[tuple[int, int]]:
    """Return of both operands and the register the exponents of the least value: as it is aligned, and its last bit."""
    sides = [spec for spec in (unit.element_a, unit.element_b) if isinstance(spec, FloatSpec)]
    assert len(sides) == 2
    least = [(1 - spec.bias, spec.exp_min) for spec in sides]
    register = unit.accumulator.format
    assert isinstance(register, FloatSpec)
    return [*least, (1 - register.bias, register.exp_min)]


def _floor(unit: DotProductUnit, step: int) -> str:
    """Compare the higher of two floors with the exponents that there are, and the bits that it could cut."""
    spec = unit.alignment
    assert isinstance(spec, TruncatedAlignment)
    floor = max(spec.exp_floor, spec.exp_floor + step)
    (lead_a, last_a), (lead_b, last_b), (lead_c, last_c) = _spans(unit)
    if floor <= min(lead_a + lead_b, lead_c):
        return f"no product is aligned below {lead_a + lead_b}, no register below {lead_c}, and the floor is {floor}"
    if floor - spec.fraction_bits <= min(last_a + last_b, last_c):
        return f"nothing has a bit below {min(last_a + last_b, last_c)}, and the floor cuts at {floor} - F"
    return ""


def _unpacked(unit: DotProductUnit) -> str:
    """Tell whether it matters that a subnormal operand has a lower exponent in the wider format."""
    assert isinstance(unit.alignment, TruncatedAlignment)
    wide = unit.unpacked
    assert wide is not None
    (lead_a, last_a), (lead_b, last_b), _ = _spans(unit)
    top = None
    for spec, lead, other in ((unit.element_a, lead_a, unit.element_b), (unit.element_b, lead_b, unit.element_a)):
        assert isinstance(spec, FloatSpec)
        assert isinstance(other, FloatSpec)
        if lead > 1 - wide.bias:  # its subnormals are normal there
            reach = lead + other.exp_max + other.man_bits
            top = reach if top is None else max(top, reach)
    if top is None:
        return "the subnormals of both are subnormal in the wider format, with the same exponent"
    if top - unit.alignment.fraction_bits <= last_a + last_b:
        return f"a product of a subnormal is aligned at {top} at most, which cuts nothing above {last_a + last_b}"
    return ""
