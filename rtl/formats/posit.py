# SPDX-License-Identifier: Apache-2.0
"""Posits: codes to significands and exponents, and floats to codes."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed

from hwsim.formats import Overflow, PositSpec, Rounding
from rtl.arithmetic.increment import increment
from rtl.arithmetic.leading_zeros import LeadingZeros, first_one, normalise
from rtl.arithmetic.shift import shift_right_split
from rtl.formats.conversion import Conversion, lead_exponent

__all__ = [
    "decode_posit",
    "decode_posit_signed",
    "encode_posit",
]


def decode_posit(m: Module, spec: PositSpec, code: Any, out: Any, name: str = "regime") -> None:
    """Drive the fields of an operand from a code; the exponent of zero is of no meaning."""
    bits, es = spec.bits, spec.es
    magnitude = Signal(bits - 1, name=f"{name}_magnitude")
    m.d.comb += magnitude.eq(Mux(code[-1], -code, code))
    first = magnitude[-1]
    m.submodules[f"{name}_run"] = run = LeadingZeros(bits - 1)
    m.d.comb += run.value.eq(magnitude ^ first.replicate(bits - 1))
    # Behind the run and the bit that ends it stand exponent and fraction; where bits are cut off they are zero.
    tail = Signal(max(bits - 2, es), name=f"{name}_tail")
    m.d.comb += tail.eq((Cat(Const(0, len(tail) - bits + 2), magnitude[:-1]) << run.count)[: len(tail)])
    regime = Signal(signed(len(run.count) + 1), name=name)
    m.d.comb += regime.eq(Mux(first, run.count - 1, -run.count))
    exponent = Cat(tail[len(tail) - es :], regime).as_signed()
    fraction = tail[: len(tail) - es][len(tail) - es - spec.fraction_bits :] if spec.fraction_bits else Const(0, 0)
    m.d.comb += [
        out.significand.eq(Cat(fraction, magnitude.any())),
        out.exponent.eq(exponent + spec.scale_max),
        out.negative.eq(code[-1]),
        out.nan.eq(code[-1] & ~magnitude.any()),
    ]


def decode_posit_signed(m: Module, spec: PositSpec, code: Any, name: str) -> tuple[Any, Any, Any]:
    """
    Return what a code stands for without negating it.

    Returns
    -------
    significand : Value, signed, ``fraction_bits + 2`` bits
        In units of ``2**-fraction_bits``: in [1, 2) or [-2, -1), or 0. In two's complement, as the code is.
    exponent : Value, signed
        Of no meaning for 0: the value is ``significand * 2**(exponent - fraction_bits)``.
    nan : Value, 1 bit

    Source
    ------
    Standard for Posit Arithmetic (2022), section 3.3: ``((1 - 3 s) + f) * 2**((1 - 2 s) * (2**es * r + e + s))``. What
    the sign makes of the exponent is its complement.
    """
    bits, es = spec.bits, spec.es
    sign, first, rest = code[-1], code[bits - 2], code[: bits - 2]
    run = first_one(m, [bit ^ first for bit in rest[::-1]], f"{name}_run")
    # Behind the run and the bit that ends it stand exponent and fraction; where bits are cut off they are zero.
    width = max(bits - 3, es + spec.fraction_bits)
    tail = Signal(width, name=f"{name}_tail")
    m.d.comb += tail.eq(Cat(Const(0, width - bits + 3), (rest << run)[: bits - 3]))
    down, nonzero = Signal(name=f"{name}_down"), Signal(name=f"{name}_nonzero")
    exponent = Signal(signed(len(run) + 1 + es), name=f"{name}_exponent")
    significand = Signal(signed(spec.fraction_bits + 2), name=f"{name}_significand")
    fraction = tail[: width - es][width - es - spec.fraction_bits :]
    m.d.comb += [
        down.eq(~first ^ sign),
        nonzero.eq(code[:-1].any()),
        exponent.eq(Cat(tail[width - es :] ^ sign.replicate(es), run ^ down.replicate(len(run)), down).as_signed()),
        significand.eq(Cat(fraction, ~sign & nonzero, sign).as_signed()),
    ]
    return significand, exponent, sign & ~nonzero


def encode_posit(m: Module, spec: PositSpec, conversion: Conversion, number: Any, random: Any) -> Any:
    """Return the code of a number: the string of regime, exponent and fraction is shifted into place and rounded."""
    rounding, bits, es, limit = conversion.rounding, spec.bits, spec.es, spec.scale_max
    lead, _, _ = lead_exponent(m, conversion.source, number, 0)
    significand = number.significand
    nonzero = significand.any()
    if -limit <= conversion.source.exp_low:  # a subnormal of the source may be above the smallest posit
        significand, lead = normalise(m, significand, lead)
    tiny = Signal(name="tiny")
    top = Signal(name="top")
    m.d.comb += [tiny.eq(lead < -limit), top.eq((lead >= limit) | number.infinite)]
    # Before the shift the regime has two bits, 10 or 01. Of the first, which stands above the word, come the others.
    string = Cat(significand[:-1], lead[:es], lead[-1], ~lead[-1]).as_signed()
    regime = lead[es:]
    run = Signal(len(regime), name="run")
    m.d.comb += run.eq(regime ^ regime[-1].replicate(len(regime)))
    lost = max(conversion.random_bits + 1, 2)
    word = Signal(bits - 1 + lost, name="word")
    m.d.comb += word.eq(shift_right_split(m, string, run, bits - 2 + lost, sticky=True, name="string"))
    kept = word[lost:]
    one = Signal(name="increment")
    if rounding is Rounding.STOCHASTIC:
        carry = _carry(spec, conversion, (lead, run, significand), word[1:lost], random)
        below = shift_right_split(m, significand, ~(lead + limit), len(random), sticky=False, name="tiny")
        m.d.comb += one.eq(Mux(tiny, (below + random)[len(random)], carry))
    else:
        inexact = Mux(tiny, 1, word[:lost])
        last = kept[0] & ~tiny
        nearest = rounding in (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY)  # they never round to zero
        m.d.comb += one.eq(increment(rounding, last, inexact, number.negative, random) | (tiny & nearest))
    magnitude = Signal(bits - 1, name="magnitude")
    rounded = (kept & (~tiny).replicate(bits - 1)) + one
    m.d.comb += magnitude.eq(Mux(top, (1 << (bits - 1)) - 1, rounded) & nonzero.replicate(bits - 1))
    nan = number.nan
    if conversion.overflow is not Overflow.SATURATE:
        nan = nan | number.infinite
    if conversion.overflow is Overflow.INFINITY:
        nan = nan | (nonzero & top & ((lead > limit) | significand[:-1].any()))
    code = Mux(number.negative, -magnitude, magnitude)[:bits]
    return Mux(nan, Const(spec.nan_code, bits), code)


def _carry(spec: PositSpec, conversion: Conversion, parts: tuple[Any, Any, Any], below: Any, random: Any) -> Any:
    """Return whether stochastic rounding takes the neighbour of the larger magnitude, which goes by its distance.

    Where the regime leaves no room for `cut` bits of the exponent, the neighbours are ``2**(2**cut)`` apart as factors.
    """
    lead, run, significand = parts
    bits, man_bits = conversion.random_bits, conversion.source.man_bits
    carry = (below + random)[bits]
    pad = max(bits - man_bits, 0)
    rest = Const(1 << bits, bits + 1) - random
    for cut in range(max(1, spec.es + 3 - spec.bits), spec.es + 1):
        exact = Cat(Const(0, pad), significand) << lead[:cut]
        place = exact[man_bits + pad - bits :]  # of the value between them: 2**bits at the smaller one
        far = place >= (rest << (1 << cut)) - rest + (1 << bits)
        carry = Mux(run == spec.bits - 3 - spec.es + cut, far, carry)
    return carry
