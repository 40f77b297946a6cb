# SPDX-License-Identifier: Apache-2.0
"""Integers and fixed-point numbers: codes to significands, and floats to codes."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed

from hwsim.formats import IntegerSpec, Overflow
from rtl.arithmetic.increment import cut, increment
from rtl.formats.conversion import Conversion, lead_exponent

__all__ = [
    "decode_integer",
    "encode_integer",
]


def decode_integer(m: Module, spec: IntegerSpec, code: Any, out: Any) -> None:
    """Drive the fields of an operand from a code."""
    signed_code = code.as_signed() if spec.signed else code
    m.d.comb += out.significand.eq(signed_code - spec.zero_point if spec.zero_point else code)


def encode_integer(m: Module, spec: IntegerSpec, conversion: Conversion, number: Any, random: Any) -> Any:
    """Return the code of a number: a magnitude in units of the last place, rounded, signed and limited.

    NaN becomes 0, and where the rule is to wrap, so does an infinity.
    """
    wraps = conversion.overflow is Overflow.WRAP
    zero_point = spec.zero_point
    # Bits of the magnitudes that are within the limits, or of those whose low bits are not all zero.
    largest = max(spec.max_int - zero_point, zero_point - spec.min_int, 1)
    kept_bits = spec.bits + conversion.source.man_bits if wraps else largest.bit_length()
    lead, low, high = lead_exponent(m, conversion.source, number, spec.fraction_bits)
    # How far the significand stands below the highest of these bits.
    places = Signal(range(min(kept_bits - 1 - high, -1), max(kept_bits - 1 - low, 0) + 1), name="places")
    m.d.comb += places.eq(kept_bits - 1 - lead)
    beyond = Signal(name="beyond")
    m.d.comb += beyond.eq(((places < 0) & number.significand.any()) | number.infinite)
    amount = places[:-1]
    kept, below = cut(m, number.significand, amount, kept_bits, conversion.rounding, conversion.random_bits)
    one = Signal(name="increment")
    m.d.comb += one.eq(increment(conversion.rounding, kept[0], below, number.negative, random))
    magnitude = Signal(kept_bits + 1, name="magnitude")
    m.d.comb += magnitude.eq(kept + one)
    rounded = Signal(signed(kept_bits + 2), name="rounded")
    m.d.comb += rounded.eq(Mux(number.negative, -magnitude, magnitude))
    if wraps:
        nothing = beyond | number.nan
        return (Mux(nothing, 0, rounded) + zero_point)[: spec.bits]
    is_low = Signal(name="is_low")
    is_high = Signal(name="is_high")
    m.d.comb += is_low.eq(Mux(beyond, number.negative, rounded < spec.min_int - zero_point))
    m.d.comb += is_high.eq(Mux(beyond, ~number.negative, rounded > spec.max_int - zero_point))
    lowest, highest, zero = (Const(each, spec.bits) for each in (spec.min_int, spec.max_int, zero_point))
    code = Mux(is_low, lowest, Mux(is_high, highest, (rounded + zero_point)[: spec.bits]))
    return Mux(number.nan, zero, code)
