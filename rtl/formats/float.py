# SPDX-License-Identifier: Apache-2.0
"""Floats: codes to significands and exponents, and wider floats to codes."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed

from hwsim.formats import FloatSpec, Overflow, Rounding, Specials
from rtl.arithmetic.increment import cut, increment
from rtl.arithmetic.leading_zeros import normalise
from rtl.formats.conversion import Conversion, lead_exponent

__all__ = [
    "decode_float",
    "encode_float",
]


def decode_float(m: Module, spec: FloatSpec, code: Any, out: Any) -> None:
    """Drive the fields of an operand from a code."""
    mantissa = code[: spec.man_bits]
    field = code[spec.man_bits : spec.man_bits + spec.exp_bits]
    magnitude = code[: spec.man_bits + spec.exp_bits]
    hidden = field.any() if spec.subnormals else Const(1, 1)
    m.d.comb += out.significand.eq(Cat(mantissa, hidden))
    # A subnormal has the exponent of field 1.
    m.d.comb += out.exponent.eq(Cat(field[0] | ~hidden, field[1:]))
    if spec.signed:
        m.d.comb += out.negative.eq(code[-1])
    if spec.specials is Specials.IEEE:
        top = field.all()
        m.d.comb += [out.nan.eq(top & mantissa.any()), out.infinite.eq(top & ~mantissa.any())]
    elif spec.specials is Specials.FN:
        m.d.comb += out.nan.eq(magnitude.all())
    elif spec.specials is Specials.FNUZ:
        m.d.comb += out.nan.eq(code[-1] & ~magnitude.any())
    elif spec.specials is Specials.EXTENDED:
        nan = code[-1] & ~magnitude.any() if spec.signed else magnitude.all()
        m.d.comb += [out.nan.eq(nan), out.infinite.eq(magnitude == spec.inf_code)]


def encode_float(m: Module, spec: FloatSpec, conversion: Conversion, number: Any, random: Any) -> Any:
    """Return the code of a number: exponent field and significand are one word, which the increment carries through.

    NaN becomes the largest value where the format has no NaN, as in PTX.
    """
    lead, low, high = lead_exponent(m, conversion.source, number, -spec.exp_low)
    significand = number.significand
    if spec.exp_low < conversion.source.exp_low:  # a subnormal of the source may be a normal number
        significand, lead = normalise(m, significand, lead)
        low -= len(significand)
    amount: Any = Const(0, 1)
    # The field less the hidden bit, which is added with the significand.
    if spec.subnormals:
        field = Signal(max(high, 1).bit_length(), name="field")
        m.d.comb += field.eq(Mux((lead < 0) | ~significand[-1], 0, lead))
        if low < 0:
            amount = Signal(range(1 - low), name="amount")
            m.d.comb += amount.eq(Mux(lead < 0, -lead, 0))
    else:
        field = Signal(range(min(low - 1, 0), max(high, 2)), name="field")
        m.d.comb += field.eq(lead - 1)
    rounding = conversion.rounding
    kept, below = cut(m, significand, amount, spec.sig_bits, rounding, conversion.random_bits)
    # Even and odd are the code's; without a mantissa, the exponent field's.
    last = kept[0] if spec.man_bits or not spec.subnormals else kept[0] ^ field[0]
    one = Signal(name="increment")
    m.d.comb += one.eq(increment(rounding, last, below, number.negative, random))
    base = Cat(Const(0, spec.man_bits), field)
    shape = signed(len(base) + 2) if field.shape().signed else len(base) + 2
    wide = Signal(shape, name="wide")
    m.d.comb += wide.eq((base.as_signed() if field.shape().signed else base) + kept + one)
    return _limit(m, spec, conversion.overflow, number, wide, rounding)


def _limit(m: Module, spec: FloatSpec, overflow: Overflow, number: Any, wide: Any, rounding: Rounding) -> Any:
    """Return the code of a rounded magnitude, which may be beyond the range, and of the specials."""
    largest = spec.max_magnitude_code
    bits = spec.exp_bits + spec.man_bits
    beyond = Signal(name="beyond")
    stops = Signal(name="stops")
    m.d.comb += beyond.eq((wide > largest) | number.infinite)
    m.d.comb += stops.eq(_stops(spec, overflow, rounding, number))
    nan: Any = number.nan
    limit: Any = Const(largest, bits)
    if spec.has_inf:
        limit = Mux(stops, limit, Const(spec.inf_code, bits))
    elif spec.has_nan:
        nan = nan | (beyond & ~stops)
    finite = Mux(wide < 0, 0, wide)[:bits] if wide.shape().signed else wide[:bits]
    magnitude = Signal(bits, name="magnitude")
    m.d.comb += magnitude.eq(Mux(beyond, limit, finite))
    missing: Any = Const(0, 1)  # what the format has not: zero, or negative numbers
    if not spec.subnormals:
        missing = missing | ~number.significand.any()
    if not spec.signed:
        missing = missing | (number.negative & (magnitude.any() | (not spec.subnormals)))
    if spec.has_nan:
        nan = nan | (missing & ~stops)
    code: Any = magnitude & (~missing).replicate(bits)
    if spec.signed:
        has_sign = Const(1, 1) if spec.nan_code != 1 << bits else magnitude.any()
        code = Cat(code, number.negative & has_sign)
    return Mux(nan, Const(spec.nan_code if spec.has_nan else largest, spec.bits), code)


def _stops(spec: FloatSpec, overflow: Overflow, rounding: Rounding, number: Any) -> Any:
    """Return whether what is beyond the range becomes the nearest finite number, and not an infinity or NaN."""
    if overflow is Overflow.SATURATE:
        return Const(1, 1)
    if overflow is Overflow.PROPAGATE:
        return ~number.infinite
    if overflow is Overflow.INFINITY:
        return Const(0, 1)
    odd_end = spec.has_inf and spec.max_magnitude_code & 1 == 1
    toward_zero = {
        Rounding.TOWARD_ZERO: Const(1, 1),
        Rounding.UP: number.negative,
        Rounding.DOWN: ~number.negative,
        Rounding.TO_ODD: Const(odd_end, 1) & (Const(spec.signed, 1) | ~number.negative),
    }.get(rounding, Const(0, 1))
    # A zero that the format does not have is not beyond its range.
    return toward_zero & ~number.infinite & (Const(spec.subnormals, 1) | number.significand.any())
