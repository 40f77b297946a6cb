# SPDX-License-Identifier: Apache-2.0
"""BitMoD's processing element: a term of each weight a cycle, and the group's scale bit by bit behind it.

Source: BitMoD, arXiv:2411.11745, section IV. What the paper leaves open is chosen so: the third extra bit of an aligned
addend is the OR of all that is cut; a cycle's sum is added to the group's register exactly and rounded once, to nearest
even; the scale multiplies the register's significand exactly, in a cycle a bit, and the product is added to the result
through the same adder, rounded once. For that cycle, one a group, no row is taken.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FloatAccumulator, TruncatedAlignment
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, Overflow, Rounding, ScaleRule, Specials
from rtl.arithmetic.shift import shift_right_jam
from rtl.arithmetic.tree import add_signed, maximum
from rtl.blocks import Block
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import total_raw
from rtl.part import Part

__all__ = [
    "BitModCore",
    "TermSum",
    "blocks",
    "dequantize_unit",
    "dot_unit",
]

LANES = 4
SCALE_BITS = 8
_EXTRA = 3
_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)
_FLOAT16 = FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)
_SIGNIFICANCE = FloatSpec(exp_bits=4, man_bits=0, bias=1, specials=Specials.FN, signed=False, subnormals=False)
_TERM = CodebookSpec(
    name="bitmod_term",
    levels=tuple((-1.0 if code >> 3 else 1.0) * 2.0 ** (code >> 1 & 3) if code & 1 else 0.0 for code in range(16)),
)


def _register(spec: FloatSpec) -> FloatAccumulator:
    return FloatAccumulator(
        format=spec,
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
        result_man_bits=spec.man_bits,
    )


def dot_unit(register: FloatSpec = _FLOAT32) -> DotProductUnit:
    """Return what a cycle computes: four terms by four float16 activations, and the group's register.

    The terms' format is a codebook of the powers of two 1 to 8 with signs, the row's bit significance its scale.
    """
    return DotProductUnit(
        a=BlockSpec(element=_TERM, scale=_SIGNIFICANCE, block_size=LANES, tensor_scale=False, rule=ScaleRule.OCP_FLOOR),
        b=_FLOAT16,
        lanes=LANES,
        alignment=TruncatedAlignment(
            fraction_bits=_FLOAT16.man_bits + _EXTRA,
            exp_floor=-64,
            with_accumulator=False,
            rounding=Rounding.TO_ODD,
        ),
        accumulator=_register(register),
        output=register,
    )


def dequantize_unit(register: FloatSpec = _FLOAT32) -> DotProductUnit:
    """Return what is computed behind a group: its sum times the scale, added to the result."""
    return DotProductUnit(
        a=register,
        b=IntegerSpec(bits=SCALE_BITS, signed=False),
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=_register(register),
        output=register,
    )


def _adder_unit(register: FloatSpec) -> DotProductUnit:
    """Return a unit whose addend holds a cycle's sum as well as a scaled group: a word times a power of two."""
    # The exponent of the unit of a cycle's sum at its smallest, and at its largest.
    low = min(_FLOAT16.exp_min - _EXTRA - 1, register.exp_min)
    high = max(_FLOAT16.exp_max - _EXTRA + 3 + 13, register.exp_max)
    bits = (high - low + 2).bit_length()
    # The word has one bit less, for the power of two brings a mantissa bit with it.
    return DotProductUnit(
        a=IntegerSpec(bits=register.sig_bits + SCALE_BITS),
        b=FloatSpec(exp_bits=bits, man_bits=1, bias=-low, specials=Specials.IEEE),
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=_register(register),
        output=register,
    )


class TermSum(Part):
    """Align four terms by four float16 activations to the largest exponent among them, and add them.

    Members
    -------
    terms : In, four codes of 4 bits
        Lane 0 at bit 0: man, two bits of exp, sign.
    x : In, four float16
    total : Out, 17 bits, signed
        In units of ``2**(exponent - 28)``.
    exponent : Out, 6 bits
        The largest sum of an exponent field and an exp; 0 where all products are zero.
    special : Out, 2 bits
        There is an infinity, a negative one; both: a NaN.

    Latency: none, combinational.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "terms": In(4 * LANES),
                "x": In(16 * LANES),
                "total": Out(signed(_FLOAT16.sig_bits + _EXTRA + 3)),
                "exponent": Out(6),
                "special": Out(2),
            }
        )

    def _module_name(self) -> str:
        return "term_sum"

    def _build(self) -> Module:
        m = Module()
        m.submodules.decode = decode = Decode(_FLOAT16, LANES)
        m.d.comb += decode.codes.eq(self.x)
        significands, negatives, exponents, plus, minus, nans = [], [], [], [], [], []
        for lane in range(LANES):
            term, x = self.terms[4 * lane : 4 * lane + 4], decode.operands[lane]
            man, exp = term[0], term[1:3]
            negative = (term[3] & man) ^ x.negative
            significand = Signal(_FLOAT16.sig_bits, name=f"significand_{lane}")
            exponent = Signal(6, name=f"exponent_{lane}")
            m.d.comb += [
                significand.eq(x.significand & man.replicate(len(significand))),
                exponent.eq((x.exponent + exp) & significand.any().replicate(6)),
            ]
            significands.append(significand)
            negatives.append(negative)
            exponents.append(exponent)
            plus.append(x.infinite & man & ~negative)
            minus.append(x.infinite & man & negative)
            nans.append(x.nan | (x.infinite & ~man))
        largest = Signal(6, name="largest")
        m.d.comb += largest.eq(maximum(m, exponents, "max_exponent"))
        width = _FLOAT16.sig_bits + _EXTRA
        aligned = []
        for lane, (significand, exponent) in enumerate(zip(significands, exponents, strict=True)):
            distance = Signal(6, name=f"distance_{lane}")
            amount = Signal(4, name=f"amount_{lane}")
            m.d.comb += [
                distance.eq(largest - exponent),
                amount.eq(distance[:4] | distance[4:].any().replicate(4)),
            ]
            aligned.append(shift_right_jam(m, significand, amount, width, f"aligned_{lane}"))
        nan = Cat(*nans).any()
        m.d.comb += [
            self.total.eq(add_signed(aligned, negatives, len(self.total))),
            self.exponent.eq(largest),
            self.special.eq(Cat(Cat(*plus).any() | nan, Cat(*minus).any() | nan)),
        ]
        return m


class BitModCore(wiring.Component):
    """BitMoD's processing element, without flow control.

    Parameters
    ----------
    register : FloatSpec
        Of the group's sum and the result; float32 if not given.

    Members
    -------
    en : In, 1 bit
        Clock enable of everything.
    valid, last, close : In, 1 bit
        There is a row; it ends a dot product; it ends a group, as a row with `last` does.
    terms, bsig, x : In
        As `TermSum`; the row's bit significance is ``2**(bsig - 1)``, of 0 to 14.
    scale : In, 8 bits
        Unsigned; of the group that the row ends.
    ready : Out, 1 bit
        Whether a row is taken: not while a scaled group is added, nor one that ends a group while the one before is
        being scaled.
    d : Out, a code of the register
    d_valid : Out, 1 bit

    Latency: 11 enabled cycles from a row with `last` to its `d`. Throughput: one row an enabled cycle, but for one
    cycle a group.
    """

    latency = 11

    def __init__(self, register: FloatSpec = _FLOAT32) -> None:
        self.spec = register
        self.row_fields: Mapping[str, int] = {
            "last": 1, "close": 1, "terms": 4 * LANES, "bsig": 4, "x": 16 * LANES, "scale": SCALE_BITS,
        }  # fmt: skip
        ports = {name: In(bits) for name, bits in ({"en": 1, "valid": 1} | dict(self.row_fields)).items()}
        super().__init__(ports | {"ready": Out(1), "d": Out(register.bits), "d_valid": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Connect the terms' sum, the shared adder and the serial multiplier."""
        m = Module()
        spec, adder_unit = self.spec, _adder_unit(self.spec)
        m.submodules.term_sum = terms = TermSum()
        m.submodules.adder = adder = Accumulate(adder_unit)
        m.submodules.decode = decode = Decode(spec)
        m.submodules.decode_group = decode_group = Decode(spec)
        group, result = (Signal(spec.bits, name=name) for name in ("group", "result"))
        fresh, closed = Signal(init=1, name="fresh"), Signal(name="closed")
        serial = Signal(
            data.StructLayout(
                {
                    "multiplicand": spec.sig_bits, "product": spec.sig_bits + SCALE_BITS, "bits": SCALE_BITS,
                    "exponent": len(decode_group.operands[0].exponent), "negative": 1, "special": 2, "last": 1,
                }
            ),
            name="serial",
        )  # fmt: skip
        held_scale, held_last = Signal(SCALE_BITS), Signal(name="held_last")
        count = Signal(range(SCALE_BITS + 2), name="count")
        adding, taken, ends = (Signal(name=name) for name in ("adding", "taken", "ends"))
        m.d.comb += [
            adding.eq(count == 1),
            ends.eq(self.close | self.last),
            self.ready.eq(~adding & ~(ends & (closed | count.any()))),
            taken.eq(self.valid & self.ready),
            terms.terms.eq(self.terms),
            terms.x.eq(self.x),
            decode.codes.eq(Mux(adding, result, Mux(fresh, 0, group))),
            decode_group.codes.eq(group),
            adder.decoded.eq(decode.operands[0]),
            adder.register.value.eq(decode.codes),
            self.d.eq(result),
        ]
        raw = total_raw(adder_unit)
        own = decode_group.operands[0]
        cycle = terms.exponent + self.bsig - (_FLOAT16.bias + _FLOAT16.man_bits + _EXTRA + 1) - raw.offset
        scaled = serial.exponent + (spec.exp_min - 1) - raw.offset
        negated = Mux(serial.negative, -serial.product, serial.product)
        m.d.comb += [
            adder.total.sum.eq(Mux(adding, negated, terms.total)),
            adder.total.exponent.eq(Mux(adding, scaled, cycle)),
            adder.total.special.eq(Mux(adding, serial.special, terms.special)),
        ]
        done = Signal(name="done")
        m.d.comb += self.d_valid.eq(done)
        special = Cat(own.nan | (own.infinite & (~own.negative | ~held_scale.any())),
                      own.nan | (own.infinite & (own.negative | ~held_scale.any())))  # fmt: skip
        with m.If(self.en):
            m.d.sync += [closed.eq(taken & ends), done.eq(adding & serial.last)]
            with m.If(taken):
                m.d.sync += [group.eq(adder.following.value), fresh.eq(ends)]
                m.d.sync += [held_scale.eq(self.scale), held_last.eq(self.last)]
            with m.If(closed):
                m.d.sync += [
                    serial.multiplicand.eq(Mux(special.any(), 0, own.significand)),
                    serial.product.eq(0),
                    serial.bits.eq(held_scale),
                    serial.exponent.eq(own.exponent),
                    serial.negative.eq(own.negative),
                    serial.special.eq(special),
                    serial.last.eq(held_last),
                    count.eq(SCALE_BITS + 1),
                ]
            with m.Elif(count.any()):
                m.d.sync += count.eq(count - 1)
                with m.If(~adding):
                    addend = Mux(serial.bits[-1], serial.multiplicand, Const(0, 1))
                    m.d.sync += [serial.product.eq((serial.product << 1) + addend), serial.bits.eq(serial.bits << 1)]
                with m.Else():
                    m.d.sync += result.eq(adder.following.value)
            with m.If(done):
                m.d.sync += result.eq(0)
        return m


def _oracle(terms: Any, x: Any) -> Mapping[str, NDArray[Any]]:
    """Cut each product at the place of the largest exponent, with one bit for what is cut, and add."""
    products = []
    nan = plus = minus = np.zeros(len(terms), dtype=bool)
    for lane in range(LANES):
        term = ((terms >> (4 * lane)) & 15).astype(np.int64)
        code = ((x >> (16 * lane)) & 0xFFFF).astype(np.int64)
        field, mantissa, sign = (code >> 10) & 31, code & 1023, np.where((code >> 15) ^ (term >> 3), -1, 1)
        sign = np.where(term & 1, sign, np.where(code >> 15, -1, 1))
        infinite = (field == 31) & (mantissa == 0)
        nan = nan | ((field == 31) & (mantissa != 0)) | (infinite & (term & 1 == 0))
        plus = plus | (infinite & (term & 1 == 1) & (sign > 0))
        minus = minus | (infinite & (term & 1 == 1) & (sign < 0))
        significand = np.where(term & 1, np.where(field > 0, mantissa + 1024, mantissa), 0)
        exponent = np.where(significand > 0, np.maximum(field, 1) + ((term >> 1) & 3), 0)
        products.append((sign, significand << _EXTRA, exponent))
    largest = np.maximum.reduce([exponent for _, _, exponent in products])
    total = np.zeros(len(terms), dtype=np.int64)
    for sign, significand, exponent in products:
        distance = largest - exponent
        cut = significand >> distance
        total += sign * (cut | ((cut << distance) != significand))
    width = _FLOAT16.sig_bits + _EXTRA + 3
    return {
        "total": (total % (1 << width)).astype(np.uint64),
        "exponent": largest.astype(np.uint64),
        "special": ((plus | nan) | (minus | nan).astype(np.int64) << 1).astype(np.uint64),
    }


def blocks() -> tuple[Block, ...]:
    """Return the catalog's entry: the sum of a cycle's terms."""
    return (
        Block(
            name="bit_mod_term_sum",
            summary="4 bit-serial terms by float16, aligned with three extra bits and added",
            part=TermSum,
            oracle=_oracle,
            source="BitMoD, arXiv:2411.11745, section IV",
            directed={
                "terms": (0x1111, 0x7531, 0xF9F9),
                "x": (0x7C00FC0000017BFF, 0x3C003C0080010001, 0x7BFF7BFF7BFF7BFF, 0x7E01_0400_03FF_8400),
            },
        ),
    )
