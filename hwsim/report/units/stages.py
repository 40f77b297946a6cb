# SPDX-License-Identifier: Apache-2.0
"""A unit as stages: what each does, and how wide what it hands on is."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    TruncatedAlignment,
)
from hwsim.datapath.decode import point_bits
from hwsim.datapath.unit import Accumulator, ScalarSpec
from hwsim.formats import BlockSpec, IntegerSpec, Overflow, Rounding
from hwsim.report.units.words import OVERFLOWS, ROUNDINGS, count, layout, power, register_words

__all__ = [
    "Stage",
    "headroom_bits",
    "inputs",
    "is_fused",
    "order_words",
    "product_bits",
    "signed_bits",
    "stages",
    "widths",
]

_NO_FLOOR = -4096  # the least that a spec takes stands for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: its name, what it does, a line each, and the signal that leaves it; `register` tells a state.

    `loss` is how a value can come out of it other than exact: ``cuts``, ``rounds``, ``wraps``; empty where none can.
    """

    name: str
    does: tuple[str, ...]
    out: str
    register: bool = False
    loss: str = ""


def is_fused(unit: DotProductUnit) -> bool:
    """Tell whether the register is one of the addends that are aligned together."""
    alignment = unit.alignment
    return isinstance(alignment, CascadedAlignment) or (
        isinstance(alignment, TruncatedAlignment) and alignment.with_accumulator
    )


def inputs(unit: DotProductUnit) -> list[str]:
    """Return what enters a step, a line each."""
    lines = []
    for letter, spec, element in (("a", unit.a, unit.element_a), ("b", unit.b, unit.element_b)):
        bits = element.bits + unit.ignored_bits
        block = ""
        if isinstance(spec, BlockSpec):
            block = f", a {spec.scale.name} scale for {spec.block_size} ({spec.name})"
        lines.append(f"{letter}: {unit.width} x {element.name}, {count(bits, 'bit')} each{block}")
    lines.append(
        f"c: {unit.register.format.name if _has_format(unit) else unit.register.name}, the first step's addend"
    )
    return lines


def _has_format(unit: DotProductUnit) -> bool:
    return isinstance(unit.register, FloatAccumulator) or unit.register.bits <= 64


def stages(unit: DotProductUnit) -> list[Stage]:
    """Return the stages in the order in which a step passes through them."""
    found = [_decode(unit), _multiply(unit), _align_add(unit)]
    accumulator = unit.accumulator
    found.append(
        Stage(
            name="accumulate",
            does=tuple(register_words(accumulator)),
            out=f"register, {accumulator.bits} bits",
            register=True,
            loss=_register_loss(accumulator),
        )
    )
    if unit.promotion is not None:
        words = register_words(unit.promotion.accumulator, "at each addition")
        every = f"every {unit.promotion.length} products, and at the end: the register is added to a second one"
        found.append(
            Stage(
                name="promote",
                does=(every, *words, "then the first register restarts at 0"),
                out=f"second register, {unit.promotion.accumulator.bits} bits",
                register=True,
                loss=_register_loss(unit.promotion.accumulator),
            )
        )
    found.append(
        Stage(
            name="round_pack",
            does=(_round_pack(unit),),
            out=f"d: {unit.output.name}, {unit.output.bits} bits",
            loss="rounds" if unit.converts else "",
        )
    )
    return found


def _register_loss(accumulator: Accumulator) -> str:
    if isinstance(accumulator, FloatAccumulator):
        return "rounds"
    return "wraps" if accumulator.overflow is Overflow.WRAP else "saturates"


def _cut(rounding: Rounding) -> str:
    return "cuts" if rounding in (Rounding.TOWARD_ZERO, Rounding.DOWN) else "rounds"


def _range(spec: ScalarSpec) -> str:
    if spec.exp_min == spec.exp_max:
        return f"x {power(spec.exp_min)}" if spec.exp_min else ""
    return f"x 2^({spec.exp_min}..{spec.exp_max})"


def _decode(unit: DotProductUnit) -> Stage:
    does = []
    operands = [("a", unit.element_a), ("b", unit.element_b)]
    if unit.element_a == unit.element_b:
        operands = [("a and b", unit.element_a)]
    for letter, spec in operands:
        fields = layout(spec, unit.ignored_bits)
        does.append(f"{letter}: {fields} -> {_significand(spec)} {_range(spec)}".rstrip())
    if unit.sparsity is not None:
        does.append(
            f"{unit.sparsity.kept} of {unit.sparsity.of} neighbours of a, and the b beside them: "
            f"{unit.lanes} of {unit.width} elements of K"
        )
    if unit.order:
        does.append(f"elements of K enter in this order of every {len(unit.order)}: {order_words(unit.order)}")
    if unit.ignored_bits:
        rounded = unit.operand_rounding is Rounding.NEAREST_EVEN
        how = "rounded to nearest, ties to even" if rounded else "ignored"
        does.append(f"the {unit.ignored_bits} low bits (x) are {how}")
    if unit.flush_operands:
        does.append("subnormal operands count as zero")
    signals = [f"{unit.lanes} x ({signed_bits(spec)} bits" for _, spec in operands]
    exponents = [f" + exponent {_exponent_bits(spec.exp_min, spec.exp_max)})" for _, spec in operands]
    ends = [end if spec.exp_min != spec.exp_max else ")" for end, (_, spec) in zip(exponents, operands, strict=True)]
    out = ", ".join(f"{letter}: {head}{end}" for (letter, _), head, end in zip(operands, signals, ends, strict=True))
    losses = [_cut(unit.operand_rounding)] if unit.ignored_bits else []
    losses += ["flushes"] if unit.flush_operands else []
    return Stage(name="decode", does=tuple(does), out=out, loss=" and ".join(losses))


def signed_bits(spec: ScalarSpec) -> int:
    """Bits of a decoded operand's significand, sign included."""
    return spec.bits if isinstance(spec, IntegerSpec) else 1 + spec.max_significand.bit_length()


def _significand(spec: ScalarSpec) -> str:
    if isinstance(spec, IntegerSpec):
        return f"{count(spec.bits, 'bit')}"
    return f"sign, {count(spec.max_significand.bit_length(), 'bit')} of significand"


def _exponent_bits(low: int, high: int) -> int:
    return (high - low).bit_length()


def order_words(order: tuple[int, ...]) -> str:
    """Return an order, its runs as such: ``0..1, 4..5, 2..3``; long ones shortened."""
    runs: list[list[int]] = []
    for at in order:
        if runs and runs[-1][-1] + 1 == at:
            runs[-1].append(at)
        else:
            runs.append([at])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs]
    if len(words) > 12:
        words = [*words[:9], "...", *words[-2:]]
    return ", ".join(words)


def product_bits(unit: DotProductUnit) -> int:
    """Bits of a product's magnitude."""
    return unit.product_max.bit_length()


def _multiply(unit: DotProductUnit) -> Stage:
    low, high = unit.product_exp_min, unit.product_exp_max
    exponents = f"x 2^({low}..{high})" if low != high else f"x {power(low)}" if low else ""
    does = [f"{count(unit.lanes, 'exact product')}: sign, {count(product_bits(unit), 'bit')} {exponents}".rstrip()]
    if unit.scales:
        names = " and ".join(dict.fromkeys(spec.name for spec in unit.scales))
        of = [f"{number} of {letter}" for letter, number in zip("ab", unit.scale_counts, strict=True) if number]
        does.append(
            f"scales ({names}): {' and '.join(of)} a step; each product is multiplied by those of its blocks, exactly"
        )
    tail = f" + exponent {_exponent_bits(low, high)}" if low != high else ""
    return Stage(name="multiply", does=tuple(does), out=f"{unit.lanes} x ({1 + product_bits(unit)} bits{tail})")


def _align_add(unit: DotProductUnit) -> Stage:
    alignment = unit.alignment
    if isinstance(alignment, ExactAlignment):
        if unit.lanes == 1:
            return _exact("one product, nothing to add", "the product, exact")
        if unit.on_grid:
            return _exact(f"products shifted to {power(unit.product_exp_min)}, added", f"sum, {unit.sum_bits} bits")
        return _exact("products added", "sum, exact")
    if isinstance(alignment, TruncatedAlignment):
        return _truncated(unit, alignment)
    if isinstance(alignment, CascadedAlignment):
        return _cascaded(unit, alignment)
    register = unit.accumulator
    assert isinstance(register, FloatAccumulator)
    does = [f"each product rounded to {register.format.name}, {ROUNDINGS[register.rounding]}"]
    if unit.lanes > 1:
        levels = unit.width.bit_length() - 1
        does.append(f"neighbours added pair by pair in {count(levels, 'level')}, each sum rounded likewise")
    if register.flush:
        does.append("a subnormal result on the way becomes zero")
    return Stage(name="align_add", does=tuple(does), out=f"sum, {register.bits} bits", loss="rounds")


def _exact(does: str, out: str) -> Stage:
    return Stage(name="align_add", does=(f"{does}: no bit is lost",), out=out)


def _truncated(unit: DotProductUnit, alignment: TruncatedAlignment) -> Stage:
    addends = count(unit.lanes // alignment.group, "product" if alignment.group == 1 else "sum")
    does = []
    if alignment.group > 1:
        does.append(
            f"every {alignment.group} neighbours added exactly, then scaled; e is then the scales' exponent alone"
        )
    with_register = " and the register" if alignment.with_accumulator else ""
    floor = f" (e >= {alignment.exp_floor})" if alignment.exp_floor > _NO_FLOOR else ""
    window = headroom_bits(unit)
    cut = (
        "cut toward zero" if alignment.rounding is Rounding.TOWARD_ZERO else f"rounded {ROUNDINGS[alignment.rounding]}"
    )
    does += [
        f"{addends}{with_register} to the largest exponent e of those not zero{floor}",
        f"each {cut} at 2^(e - {alignment.fraction_bits}), then added exactly",
        f"window: {window} bits before the point of 2^e, {alignment.fraction_bits} behind it, and a sign",
    ]
    bits = window + alignment.fraction_bits + 1
    loss = _cut(alignment.rounding)
    return Stage(name="align_add", does=tuple(does), out=f"sum, {bits} bits, and e", loss=loss)


def headroom_bits(unit: DotProductUnit) -> int:
    """Bits before the binary point of 2**e that the sum of a truncating step takes."""
    alignment = unit.alignment
    assert isinstance(alignment, TruncatedAlignment)
    largest = Fraction(1)
    for spec in (unit.element_a, unit.element_b):
        if alignment.group == 1:
            largest *= Fraction(spec.max_significand, 1 << point_bits(spec))
        else:
            largest *= spec.max_significand * Fraction(2) ** spec.exp_max
    for scale in (unit.scale_a, unit.scale_b):
        if scale is not None:
            largest *= Fraction(scale.max_significand, 1 << scale.man_bits)
    total = largest * unit.lanes + (2 if alignment.with_accumulator else 0)
    return max(math.ceil(total) - 1, 1).bit_length()


def _cascaded(unit: DotProductUnit, alignment: CascadedAlignment) -> Stage:
    of = "all products" if alignment.parts == 1 else "those of even and of odd lanes apart"
    does = [
        f"products, {of}: to the largest exponent, cut toward zero {alignment.fraction_bits} bits below it, added",
    ]
    if alignment.parts == 2:
        does.append("both sums to the larger exponent, cut downward, added")
    does.append(
        f"sum and register to the larger exponent, cut downward {alignment.sum_fraction_bits} and "
        f"{alignment.register_fraction_bits} bits below it, added"
    )
    if alignment.register_reach:
        does.append(f"a register more than {alignment.register_reach} binades below is dropped")
    return Stage(name="align_add", does=tuple(does), out="sum and register in one number", loss="cuts")


def _round_pack(unit: DotProductUnit) -> str:
    register = unit.register
    if not unit.converts:
        return "the register as it is"
    beyond = ""
    if isinstance(register, FixedAccumulator) or unit.output != register.format:
        beyond = f"; beyond the largest value: {OVERFLOWS[unit.overflow]}"
    return f"rounded to {unit.output.name} ({layout(unit.output)}), {ROUNDINGS[unit.rounding]}{beyond}"


def widths(unit: DotProductUnit) -> dict[str, Any]:
    """Return the widths of a unit's signals, JSON-ready."""
    alignment = unit.alignment
    found: dict[str, Any] = {
        "lanes": unit.lanes,
        "elements_a_step": unit.width,
        **{
            f"operand_{letter}": {
                "format": spec.name,
                "code_bits": spec.bits + unit.ignored_bits,
                "ignored_bits": unit.ignored_bits,
                "significand_bits": spec.max_significand.bit_length(),
                "exponents": [spec.exp_min, spec.exp_max],
            }
            for letter, spec in (("a", unit.element_a), ("b", unit.element_b))
        },
        "product_bits": product_bits(unit),
        "product_exponents": [unit.product_exp_min, unit.product_exp_max],
        "scales": [spec.name for spec in unit.scales],
        "alignment": {"kind": type(alignment).__name__.removesuffix("Alignment").lower()},
        "register": _register_widths(unit.accumulator),
        "promotion": None,
        "output": {"format": unit.output.name, "bits": unit.output.bits},
        "order": list(unit.order),
        "sparsity": None if unit.sparsity is None else [unit.sparsity.kept, unit.sparsity.of],
    }
    if isinstance(alignment, ExactAlignment):
        found["alignment"]["sum_bits"] = unit.sum_bits
    elif isinstance(alignment, TruncatedAlignment):
        found["alignment"] |= {
            "fraction_bits": alignment.fraction_bits,
            "exponent_floor": alignment.exp_floor,
            "headroom_bits": headroom_bits(unit),
            "with_register": alignment.with_accumulator,
            "rounding": alignment.rounding.value,
            "group": alignment.group,
        }
    elif isinstance(alignment, CascadedAlignment):
        found["alignment"] |= {
            "fraction_bits": alignment.fraction_bits,
            "sum_fraction_bits": alignment.sum_fraction_bits,
            "register_fraction_bits": alignment.register_fraction_bits,
            "parts": alignment.parts,
            "register_reach": alignment.register_reach,
        }
    if unit.promotion is not None:
        found["promotion"] = {"length": unit.promotion.length, "register": _register_widths(unit.promotion.accumulator)}
    return found


def _register_widths(accumulator: FixedAccumulator | FloatAccumulator) -> dict[str, Any]:
    if isinstance(accumulator, FixedAccumulator):
        held = {"fraction_bits": accumulator.fraction_bits}
    else:
        held = {"mantissa_bits": accumulator.result_man_bits, "exponent_bits": accumulator.format.exp_bits}
    return {"name": accumulator.name, "bits": accumulator.bits, **held}
