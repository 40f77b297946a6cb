# SPDX-License-Identifier: Apache-2.0
"""Formats, roundings and registers of a unit in words."""

from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    TruncatedAlignment,
)
from hwsim.datapath.unit import Accumulator, ScalarSpec
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding

__all__ = [
    "OVERFLOWS",
    "ROUNDINGS",
    "alignment_text",
    "count",
    "layout",
    "nan_words",
    "operands_text",
    "power",
    "register_text",
    "register_words",
    "short_register",
    "step_text",
]

ROUNDINGS = {
    Rounding.NEAREST_EVEN: "to nearest, ties to even",
    Rounding.NEAREST_AWAY: "to nearest, ties away from zero",
    Rounding.TOWARD_ZERO: "toward zero",
    Rounding.UP: "upward",
    Rounding.DOWN: "downward",
    Rounding.TO_ODD: "to odd",
    Rounding.STOCHASTIC: "stochastically",
}
OVERFLOWS = {
    Overflow.WRAP: "wraps around",
    Overflow.SATURATE: "stops at the largest value",
    Overflow.INFINITY: "becomes an infinity",
}


def count(number: int, what: str) -> str:
    """Return a number of things: ``1 lane``, ``32 lanes``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def power(exponent: int) -> str:
    """Return a power of two: ``2^-13``."""
    return f"2^{exponent}"


def layout(spec: ScalarSpec | FloatSpec, ignored_bits: int = 0) -> str:
    """Return the fields of a code: ``s eeee mmm``."""
    if isinstance(spec, FloatSpec):
        fields = [("s", int(spec.signed)), ("e", spec.exp_bits), ("m", spec.man_bits), ("x", ignored_bits)]
        return " ".join(letter * bits if bits <= 8 else f"{letter}[{bits}]" for letter, bits in fields if bits)
    if isinstance(spec, IntegerSpec):
        point = f", {spec.fraction_bits} behind the point" if spec.fraction_bits else ""
        return ("two's complement" if spec.signed else "unsigned") + point
    if isinstance(spec, PositSpec):
        return f"s regime e[{spec.es}] fraction"
    assert isinstance(spec, CodebookSpec)
    return f"{len(spec.levels)} levels"


def register_words(accumulator: Accumulator, often: str = "at each step") -> list[str]:
    """Return what a register holds, and how a sum comes to it."""
    if isinstance(accumulator, FixedAccumulator):
        point = f", the last place {power(-accumulator.fraction_bits)}" if accumulator.fraction_bits else ""
        return [f"{accumulator.bits} bits, two's complement{point}; a sum beyond {OVERFLOWS[accumulator.overflow]}"]
    assert isinstance(accumulator, FloatAccumulator)
    spec = accumulator.format
    kept = ""
    if accumulator.result_man_bits < spec.man_bits:
        kept = f", {accumulator.result_man_bits} of {spec.man_bits} mantissa bits kept"
    random = f" with {accumulator.random_bits} random bits" if accumulator.random_bits else ""
    words = [
        f"{spec.name} ({layout(spec)}), {spec.bits} bits",
        f"rounded {ROUNDINGS[accumulator.rounding]}{random} {often}{kept}",
        f"beyond the largest value: {OVERFLOWS[accumulator.overflow]}",
    ]
    if accumulator.flush:
        words.append("a subnormal result becomes zero")
    return words


def nan_words(accumulator: FloatAccumulator) -> str:
    """Return the code of a NaN result."""
    if accumulator.nan is NanResult.OPERAND:
        return f"the first NaN of b, c and a, made quiet; of no NaN operand 0x{accumulator.nan_code:x}"
    return f"0x{accumulator.nan_code:x}"


def operands_text(unit: DotProductUnit) -> str:
    """Return the operands in a few words: ``float8_e4m3fn x float8_e5m2``."""
    ignored = f" (+{unit.ignored_bits} bits)" if unit.ignored_bits else ""
    sparse = f", {unit.sparsity.kept} of {unit.sparsity.of}" if unit.sparsity else ""
    return f"{unit.a.name}{ignored} x {unit.b.name}{sparse}" if unit.a != unit.b else f"{unit.a.name}{ignored}{sparse}"


def step_text(unit: DotProductUnit) -> str:
    """Return the products of a step."""
    return f"{unit.lanes}"


def alignment_text(unit: DotProductUnit) -> str:
    """Return how products are added, in a few words."""
    return _alignment(unit) + (", K reordered" if unit.order else "")


def _alignment(unit: DotProductUnit) -> str:
    alignment = unit.alignment
    if isinstance(alignment, ExactAlignment):
        return "exact" if unit.lanes > 1 else "fused multiply-add"
    if isinstance(alignment, TruncatedAlignment):
        how = "cut" if alignment.rounding is Rounding.TOWARD_ZERO else alignment.rounding.value
        group = f", groups of {alignment.group}" if alignment.group > 1 else ""
        return f"{how} at {alignment.fraction_bits} bits{group}" + ("" if alignment.with_accumulator else ", C apart")
    if isinstance(alignment, CascadedAlignment):
        parts = ", even and odd" if alignment.parts == 2 else ""
        return f"cut at {alignment.fraction_bits}{parts}, then {alignment.sum_fraction_bits} bits"
    return "pairwise, each rounded"


def register_text(unit: DotProductUnit, *, brief: bool = False) -> str:
    """Return the registers in a few words; briefly without the length of a promotion."""
    found = short_register(unit.accumulator)
    if unit.promotion is not None:
        every = "then" if brief else f"every {unit.promotion.length} into"
        found += f", {every} {short_register(unit.promotion.accumulator)}"
    return found


def short_register(accumulator: Accumulator) -> str:
    """Return a register in a few words: ``float32 RZ to 13 bits``."""
    if isinstance(accumulator, FixedAccumulator):
        name = accumulator.name.removesuffix("_sat")
        return f"{name} {'wraps' if accumulator.overflow is Overflow.WRAP else 'saturates'}"
    kept = accumulator.result_man_bits
    bits = f" to {kept} bits" if kept < accumulator.format.man_bits else ""
    rounding = {Rounding.NEAREST_EVEN: "RNE", Rounding.TOWARD_ZERO: "RZ", Rounding.DOWN: "RD"}
    mode = rounding.get(accumulator.rounding, accumulator.rounding.value)
    return f"{accumulator.format.name} {mode}{bits}" + (" FTZ" if accumulator.flush else "")
