# SPDX-License-Identifier: Apache-2.0
"""Normalise a number, round it and pack it to a float's code."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.wiring import In, Out

from hwsim.formats import FloatSpec, Overflow, Rounding
from rtl.arithmetic.leading_zeros import LeadingZeros, first_one
from rtl.arithmetic.shift import shift_left_sticky
from rtl.part import Part

__all__ = [
    "Rounder",
    "RounderSpec",
    "round_increment",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RounderSpec:
    """What a rounder is given, and what it makes.

    Parameters
    ----------
    format : FloatSpec
        With subnormals.
    rounding, overflow : Rounding, Overflow
    man_bits : int
        Mantissa bits to keep; the rest are zero. Fewer than the format's only with IEEE specials.
    nan_code : int
    bits : int
        Width of the value, sign included.
    top_min, top_max : int
        Range of `top`.
    special_bits : int
        0, 1 or 2.
    normalised : bool
        Whether the value's highest bit is set wherever `top` is above 1: then nothing is shifted.
    columns : int
        Below the sign, those of which one holds the leading bit of each number but zero, unless field 1 ends the shift
        before: the only ones that are searched. 0: any may; the count is then compared with field 1 behind the search,
        and not within it.
    random_bits : int
        Of `random`, for stochastic rounding; 0 in the other modes.
    signed_zero : bool
        Whether a result of zero keeps its sign.
    flush : bool
        Whether a result that is subnormal becomes zero.
    """

    format: FloatSpec
    rounding: Rounding
    overflow: Overflow
    man_bits: int
    nan_code: int
    bits: int
    top_min: int
    top_max: int
    special_bits: int
    normalised: bool
    columns: int = 0
    random_bits: int = 0
    signed_zero: bool = False
    flush: bool = False

    @property
    def top_shape(self) -> Any:
        """The narrowest shape for `top`."""
        if self.top_min < 0:
            return signed(max(self.top_max.bit_length(), (-self.top_min - 1).bit_length()) + 1)
        return unsigned(max(self.top_max, 1).bit_length())

    @property
    def padding(self) -> int:
        """Copies of the sign that the value gets on top, so that no exponent field is below 1."""
        return max(0, 1 - self.top_min)


class Rounder(Part):
    """Round ``(-1)**negative * value``, a number whose last bit may stand for anything that was cut off below it.

    A negative value is inverted and not negated: what the missing one in the last place changes is known from the bits
    below the kept ones, so that it and the rounding are one increment.

    Members
    -------
    value : In, signed, ``spec.bits`` bits
    negative : In, 1 bit
    top : In, ``spec.top_shape``
        Exponent field of a result that has its leading bit just below the sign of `value`.
    special : In, ``spec.special_bits`` bits
        One bit: NaN. Two: +infinity and -infinity; both, NaN.
    random : In, ``spec.random_bits`` bits
        A number in [0, 2**random_bits), new for each value; in stochastic rounding only.
    zero_negative : In, 1 bit
        Whether a value of zero is -0; with signed zeros only.
    code : Out, ``spec.format.bits`` bits
        A zero is +0 unless zeros have signs.

    Latency: none, combinational.
    """

    def __init__(self, spec: RounderSpec) -> None:
        self.spec = spec
        ports = {
            "value": In(signed(spec.bits)),
            "negative": In(1),
            "top": In(spec.top_shape),
            "special": In(spec.special_bits),
            "code": Out(spec.format.bits),
        }
        if spec.random_bits:
            ports["random"] = In(spec.random_bits)
        if spec.signed_zero:
            ports["zero_negative"] = In(1)
        super().__init__(ports)

    def _module_name(self) -> str:
        return f"round_{self.spec.format.name}_w{self.spec.bits}"

    def _build(self) -> Module:
        m = Module()
        sign = self.value[-1]
        kept_bits = self.spec.man_bits + 1
        lost_bits = max(self.spec.random_bits, 1)
        width = max(len(self.value) - 1 + self.spec.padding, kept_bits + lost_bits)
        raw = Signal(width, name="raw")
        below = width - (len(self.value) - 1 + self.spec.padding)
        m.d.comb += raw.eq(Cat(Const(0, below), self.value[:-1], sign.replicate(self.spec.padding)))
        top = Signal((self.spec.top_max + self.spec.padding).bit_length(), name="top_field")
        m.d.comb += top.eq(self.top + self.spec.padding)
        shift = self._shift(m, raw, sign, top, width - below)
        kept, sticky = shift_left_sticky(m, raw, shift, kept_bits + lost_bits, "normal")
        significand = Signal(kept_bits, name="significand")
        m.d.comb += significand.eq(kept[lost_bits:] ^ sign.replicate(kept_bits))
        if self.spec.random_bits:
            self._random(m, kept, sticky, (sign, significand, top, shift))
            return m
        # Of an inverted number the bits below are all ones where those of the value are zero: the missing one ripples
        # up.
        exact_below = Signal(name="exact_below")
        guard = Signal(name="guard")
        carry = Signal(name="carry")
        m.d.comb += exact_below.eq(~sticky)
        m.d.comb += guard.eq(Mux(sign & exact_below, kept[0], kept[0] ^ sign))
        m.d.comb += carry.eq(sign & exact_below & ~kept[0])
        negative = Signal(name="is_negative")
        m.d.comb += negative.eq(self.negative ^ sign)
        increment = Signal(name="increment")
        rounding = round_increment(self.spec.rounding, significand[0], guard, sticky, negative)
        m.d.comb += increment.eq(carry | rounding)
        field = Signal(len(top), name="field")
        m.d.comb += field.eq((top - shift) & significand[-1].replicate(len(top)))
        magnitude = Signal(len(field) + self.spec.man_bits + 1, name="magnitude")
        m.d.comb += magnitude.eq(Cat(significand[:-1], field) + increment)
        nonzero = Signal(name="nonzero")
        m.d.comb += nonzero.eq(significand.any() | increment)
        self._pack(m, magnitude, negative, nonzero, kept.any() | sticky | sign)
        return m

    def _random(self, m: Module, kept: Any, sticky: Any, normal: tuple[Any, Any, Any, Any]) -> None:
        """Round by the carry of an adder of the bits below the last kept one and the random bits."""
        sign, significand, top, shift = normal
        below = Signal(self.spec.random_bits, name="below")
        field = Signal(len(top), name="field")
        total = Signal(self.spec.random_bits + self.spec.man_bits + len(top) + 1, name="random_total")
        negative = Signal(name="is_negative")
        m.d.comb += [
            below.eq(kept[: len(below)] ^ sign.replicate(len(below))),
            field.eq((top - shift) & significand[-1].replicate(len(top))),
            total.eq(Cat(below, significand[:-1], field) + self.random + (sign & ~sticky)),
            negative.eq(self.negative ^ sign),
        ]
        magnitude = total[self.spec.random_bits :]
        self._pack(m, magnitude, negative, magnitude.any(), kept.any() | sticky | sign)

    def _shift(self, m: Module, raw: Any, sign: Any, top: Any, width: int) -> Any:
        """Return how far to shift left: to the leading bit, but no further than to field 1."""
        if self.spec.normalised:
            return Const(0, 0)
        if self.spec.columns:
            searched = min(self.spec.columns + self.spec.padding, width) - 1
            word = raw[::-1] ^ sign.replicate(len(raw))
            ends = [top == i + 1 for i in range(searched)]
            return first_one(m, [word[i] | ends[i] for i in range(searched)], "shift")
        m.submodules.leading_zeros = leading = LeadingZeros(width)
        m.d.comb += leading.value.eq(raw[len(raw) - width :] ^ sign.replicate(width))
        if self.spec.top_min + self.spec.padding > width:
            return leading.count
        limit = Signal(len(top), name="limit")
        shift = Signal(len(leading.count), name="shift")
        m.d.comb += limit.eq(top - 1)
        m.d.comb += shift.eq(Mux(leading.count < limit, leading.count, limit))
        return shift

    def _pack(self, m: Module, magnitude: Any, negative: Any, nonzero: Any, value_nonzero: Any) -> None:
        spec = self.spec.format
        dropped = spec.man_bits - self.spec.man_bits
        magnitude_bits = spec.exp_bits + spec.man_bits
        code = Signal(magnitude_bits, name="finite")
        m.d.comb += code.eq(Cat(Const(0, dropped), magnitude))
        is_nan = Const(0, 1)
        threshold = (spec.max_magnitude_code + (1 << dropped)) >> dropped
        infinite_code = spec.inf_code if spec.has_inf else self.spec.nan_code
        if (self.spec.top_max + self.spec.padding + 1) << self.spec.man_bits >= threshold:
            overflow = Signal(name="overflow")
            m.d.comb += overflow.eq(magnitude >= threshold)
            saturated = spec.max_magnitude_code >> dropped << dropped
            if self.spec.overflow is Overflow.SATURATE:
                code = Mux(overflow, saturated, code)
            elif spec.has_inf:
                code = Mux(overflow, infinite_code, code)
            else:
                is_nan = overflow
        special = self.special
        if len(special) == 1:
            is_nan = is_nan | special[0]
        elif len(special) == 2:
            is_nan = is_nan | special.all()
            if spec.has_inf or self.spec.overflow is Overflow.SATURATE:
                beyond = spec.inf_code if spec.has_inf else spec.max_magnitude_code
                code = Mux(special.any(), beyond, code)
            else:
                is_nan = is_nan | special.any()
            negative = Mux(special.any(), special[1], negative)
            nonzero = nonzero | special.any()
        if self.spec.flush:
            normal = Signal(name="normal")
            m.d.comb += normal.eq(magnitude[self.spec.man_bits :].any() | special.any())
            code = code[:magnitude_bits] & normal.replicate(magnitude_bits)
            nonzero = nonzero & normal
        minus = Signal(name="minus")
        if self.spec.signed_zero:
            zero = ~(value_nonzero | special.any())
            m.d.comb += minus.eq(Mux(zero, self.zero_negative, negative))
        else:
            m.d.comb += minus.eq(negative & nonzero)
        code = code[:magnitude_bits]
        signed_code = Cat(code, minus) if spec.signed else code & (~minus).replicate(magnitude_bits)
        if isinstance(is_nan, Const):
            m.d.comb += self.code.eq(signed_code)
        else:
            m.d.comb += self.code.eq(Mux(is_nan, self.spec.nan_code, signed_code))


def round_increment(rounding: Rounding, last: Any, guard: Any, sticky: Any, negative: Any) -> Any:
    """Return whether a magnitude is incremented, by its last bit, the one below, and whether any below that is set."""
    inexact = guard | sticky
    return {
        Rounding.NEAREST_EVEN: guard & (sticky | last),
        Rounding.NEAREST_AWAY: guard,
        Rounding.TOWARD_ZERO: Const(0, 1),
        Rounding.UP: inexact & ~negative,
        Rounding.DOWN: inexact & negative,
        Rounding.TO_ODD: inexact & ~last,
    }[rounding]
