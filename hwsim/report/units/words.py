# SPDX-License-Identifier: Apache-2.0
"""Formats, roundings and registers of a unit in words."""

from hwsim.datapath import FixedAccumulator, FloatAccumulator, NanResult
from hwsim.datapath.unit import Accumulator, ScalarSpec
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding

__all__ = [
    "OVERFLOWS",
    "ROUNDINGS",
    "count",
    "layout",
    "nan_words",
    "power",
    "register_words",
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


def register_words(accumulator: Accumulator) -> list[str]:
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
        f"rounded {ROUNDINGS[accumulator.rounding]}{random} at each step{kept}",
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
