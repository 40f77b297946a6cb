# SPDX-License-Identifier: Apache-2.0
"""What a unit computes, in words: what is rounded where, in which order, and what becomes of special values."""

from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.report.units.stages import is_fused, order_words
from hwsim.report.units.words import OVERFLOWS, ROUNDINGS, count, nan_words

__all__ = [
    "numerics",
]


def numerics(unit: DotProductUnit) -> dict[str, str]:
    """Return what there is to say of a unit's arithmetic, by topic."""
    found = {
        "order": _order(unit),
        "products": _products(unit),
        "sum of a step": _sum(unit),
        "register": _register(unit),
    }
    if unit.promotion is not None:
        found["promotion"] = _promotion(unit)
    if unit.converts:
        found["result"] = f"the last register rounded to {unit.output.name}, {ROUNDINGS[unit.rounding]}, once"
    else:
        found["result"] = "the last register as it is"
    found |= {
        "overflow": _overflow(unit),
        "zero": _zero(unit),
        "subnormals": _subnormals(unit),
        "infinity and NaN": _specials(unit),
        "exact if": _exact_if(unit),
    }
    return {topic: words for topic, words in found.items() if words}


def _order(unit: DotProductUnit) -> str:
    step = "one product a step" if unit.width == 1 else f"steps of {count(unit.width, 'element')} of K"
    ascending = f"{step}, in ascending order; each step's register is the next one's addend"
    if unit.order:
        ascending += f"; of every {len(unit.order)} elements in the order {order_words(unit.order)}"
    if unit.sparsity is not None:
        ascending += f"; {unit.lanes} of them enter: those where a is not zero"
    return ascending


def _products(unit: DotProductUnit) -> str:
    alignment, register = unit.alignment, unit.accumulator
    if isinstance(alignment, CascadedAlignment) and isinstance(register, FloatAccumulator):
        limit = register.format.exp_max + register.format.sig_bits
        return f"exact, of any operands; one from 2^{limit} on counts as an infinity"
    return "exact, of any operands; they neither overflow nor underflow"


def _sum(unit: DotProductUnit) -> str:
    alignment = unit.alignment
    if isinstance(alignment, ExactAlignment):
        return "" if unit.lanes == 1 else "exact: the order of a step's products does not matter"
    if isinstance(alignment, TruncatedAlignment):
        of = "products" if alignment.group == 1 else f"sums of {alignment.group} products, each exact,"
        also = " and the register" if alignment.with_accumulator else ""
        lost = (
            "what lies below is dropped" if alignment.rounding is Rounding.TOWARD_ZERO else "what lies below is rounded"
        )
        how = "" if alignment.rounding is Rounding.TOWARD_ZERO else f" {ROUNDINGS[alignment.rounding]}"
        own = "a product's exponent is the sum of its operands', even if it is 2 or more"
        if alignment.group > 1:
            own = "the exponent of such a sum is that of its scales"
        return (
            f"{of}{also} keep {alignment.fraction_bits} bits below 2^e, e the largest exponent of any of them; "
            f"{lost}{how}, of each addend, before the sum; {own}"
        )
    if isinstance(alignment, CascadedAlignment):
        return (
            "products are cut toward zero at the largest exponent among them, their sum and the register downward "
            "(toward -infinity): results are a little too low on average"
        )
    return "every product and every sum of two neighbours is rounded as the register is"


def _register(unit: DotProductUnit) -> str:
    accumulator = unit.accumulator
    if isinstance(accumulator, FixedAccumulator):
        return "an integer: nothing is rounded"
    kept = accumulator.result_man_bits
    bits = f"to {kept} mantissa bits " if kept < accumulator.format.man_bits else ""
    often = "once a step" if is_fused(unit) else "once a step, the exact sum of register and products"
    if not isinstance(unit.alignment, ExactAlignment) and not is_fused(unit):
        often = "once a step, after the sum of the products is added"
    return f"rounded {bits}{ROUNDINGS[accumulator.rounding]}, {often}"


def _promotion(unit: DotProductUnit) -> str:
    assert unit.promotion is not None
    outer = unit.promotion.accumulator
    if isinstance(outer, FloatAccumulator):
        second = f"({outer.format.name}), rounded {ROUNDINGS[outer.rounding]},"
    else:
        second = f"({outer.name})"
    return (
        f"every {unit.promotion.length} products, and at the end, the register is added to a second one {second} "
        "and starts again at 0; c is loaded into the second"
    )


def _overflow(unit: DotProductUnit) -> str:
    register = unit.accumulator
    found = [f"of the register: {OVERFLOWS[register.overflow]}"]
    if isinstance(register, FloatAccumulator) and register.overflow is Overflow.INFINITY:
        away = register.rounding in (Rounding.TOWARD_ZERO, Rounding.DOWN)
        found[0] += ", whatever the rounding" if away else ""
    if unit.converts and isinstance(unit.output, IntegerSpec | FloatSpec):
        found.append(f"of the result: {OVERFLOWS[unit.overflow]}")
    return "; ".join(found)


def _zero(unit: DotProductUnit) -> str:
    register = unit.register
    if isinstance(register, FixedAccumulator):
        return ""
    sign = "a zero result has the sign that IEEE 754 gives it" if register.signed_zero else "a zero result is +0"
    if isinstance(unit.alignment, TruncatedAlignment):
        sign += "; zeros among the addends do not raise e"
    return sign


def _subnormals(unit: DotProductUnit) -> str:
    floats = [spec for spec in (unit.element_a, unit.element_b) if isinstance(spec, FloatSpec) and spec.subnormals]
    words = []
    if floats:
        words.append(
            "operands: count as zero" if unit.flush_operands else "operands: exact, with their format's least exponent"
        )
    registers = [unit.accumulator] + ([unit.promotion.accumulator] if unit.promotion else [])
    if any(isinstance(each, FloatAccumulator) for each in registers):
        flushed = any(isinstance(each, FloatAccumulator) and each.flush for each in registers)
        words.append("results: become zero" if flushed else "results: kept")
    return "; ".join(words)


def _specials(unit: DotProductUnit) -> str:
    if not unit.has_specials:
        return "none: neither operands nor registers have any"
    words = ["NaN of a NaN, of infinity times zero, of infinities of both signs; else an infinity stays one"]
    if unit.sparsity is not None:
        words.append("those of b beside a zero of a do not enter")
    if unit.scales:
        words.append("a NaN scale makes NaN")
    register = unit.register
    if isinstance(register, FixedAccumulator):
        words.append("remembered beside the register until the next c")
    else:
        words.append(f"NaN is {nan_words(register)}")
    return "; ".join(words)


def _exact_if(unit: DotProductUnit) -> str:
    """Say when nothing at all is lost."""
    if not isinstance(unit.accumulator, FixedAccumulator):
        return ""
    if unit.accumulator.overflow is Overflow.WRAP:
        return "always but for overflow; sums that leave the register's range and come back are right"
    return "no partial sum leaves the register's range"
