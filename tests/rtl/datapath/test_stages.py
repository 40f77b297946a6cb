# SPDX-License-Identifier: Apache-2.0
"""Multiply, align_add, accumulate and round_pack, each against the oracle of its stage."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwsim import datapath, formats
from hwsim.datapath.accumulate import accumulate_exact, output_exact
from hwsim.datapath.align_add import align_add_exact, align_add_truncated_exact
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.terms import Term
from hwsim.datapath.unit import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.rounding import DETERMINISTIC
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.align_add import AlignAdd
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import fused, product_raw, register_layout, scale_raw, special_bits, total_layout, total_raw
from rtl.datapath.multiply import Multiply
from rtl.datapath.round_pack import RoundPack


class _Front(wiring.Component):
    """The stages from the codes of a step to the products or, with `add`, to their sum."""

    def __init__(self, unit: DotProductUnit, *, add: bool) -> None:
        self._unit, self._add = unit, add
        self._multiply, self._align_add = Multiply(unit), AlignAdd(unit)
        ports = {"a": In(unit.lanes * unit.element_a.bits), "b": In(unit.lanes * unit.element_b.bits)}
        ports |= {name: In(spec.bits) for name, spec in _scales(unit)}
        if add and fused(unit):
            ports["c"] = In(unit.accumulator.format.bits)
        out = self._align_add.total if add else self._multiply.products
        super().__init__(ports | {"out": Out(out.shape())})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        unit = self._unit
        m.submodules.multiply = self._multiply
        m.submodules.align_add = self._align_add
        operands = [("a", unit.element_a, unit.lanes), ("b", unit.element_b, unit.lanes)]
        for name, spec, lanes in operands + [(name, spec, 1) for name, spec in _scales(unit)]:
            m.submodules[name] = decode = Decode(spec, lanes)
            m.d.comb += [decode.codes.eq(getattr(self, name)), getattr(self._multiply, name).eq(decode.operands)]
        m.d.comb += self._align_add.products.eq(self._multiply.products)
        if self._add and fused(unit):
            m.submodules.c = decode = Decode(unit.accumulator.format)
            m.d.comb += [decode.codes.eq(self.c), self._align_add.accumulator.eq(decode.operands[0])]
        m.d.comb += self.out.eq(self._align_add.total if self._add else self._multiply.products)
        return m


def _scales(unit: DotProductUnit) -> list[tuple[str, FloatSpec]]:
    return [(n, s) for n, s in (("scale_a", unit.scale_a), ("scale_b", unit.scale_b)) if s is not None]


def _steps(unit: DotProductUnit, count: int) -> tuple[list[dict[str, int]], list[tuple[list[Term], Term]]]:
    """Return operands of random steps, and their products and scale by the oracle."""
    source = random.Random(unit.name)
    inputs, terms = [], []
    for _ in range(count):
        likely_zero = source.random() < 0.3
        a, b = (
            [source.getrandbits(spec.bits) * (not likely_zero or source.random() < 0.3) for _ in range(unit.lanes)]
            for spec in (unit.element_a, unit.element_b)
        )
        row = {
            "a": sum(code << (lane * unit.element_a.bits) for lane, code in enumerate(a)),
            "b": sum(code << (lane * unit.element_b.bits) for lane, code in enumerate(b)),
        }
        scale = Term(1, 0, 0)
        for name, spec in _scales(unit):
            row[name] = source.choice([0, source.getrandbits(spec.bits), source.getrandbits(spec.bits)])
            scale = multiply_exact(scale, decode_exact(spec, row[name]))
        inputs.append(row)
        pairs = zip(a, b, strict=True)
        products = [multiply_exact(decode_exact(unit.element_a, x), decode_exact(unit.element_b, y)) for x, y in pairs]
        terms.append((products, scale))
    return inputs, terms


def _special(bits: int, width: int) -> int:
    return 3 * bits if width == 1 else bits


_MULTIPLIED = [
    *("int4", "int8", "uint4_by_int4", "int4_by_float8_e4m3fn", "float8_e4m3fn", "float8_e5m2_l2_float32"),
    *(
        "float8_e4m3fnuz_l2",
        "float8_e5m2_by_int4_l2_float32",
        "mxfp8_e5m2_l2",
        "nvfp4_l2",
        "mxint8_l2",
        "float16_float32",
    ),
]


@pytest.mark.parametrize("name", _MULTIPLIED)
def test_multiply_products(evaluate: Any, name: str) -> None:
    unit = datapath.named(name)
    inputs, terms = _steps(unit, 300)
    offset = product_raw(unit).offset
    compared = 0
    for fields, (products, scale) in zip(evaluate(_Front(unit, add=False), inputs, "out"), terms, strict=True):
        special = align_add_exact(products, scale).special
        assert _special(fields["special"], special_bits(unit)) == special
        if special:
            continue
        for lane, product in zip(fields["lanes"], products, strict=True):
            significand = -lane["significand"] if lane["negative"] else lane["significand"]
            assert significand == product.significand
            assert lane["exponent"] + offset == product.exponent or not significand
            compared += 1
        if scale.significand and unit.scales:
            significand = (fields["scale_significand"] or 1) * (-1 if fields["scale_negative"] else 1)
            assert (significand, fields["scale_exponent"] + scale_raw(unit).offset) == (
                scale.significand,
                scale.exponent,
            )
    assert compared > 50


def test_multiply_every_pair_of_4_bits(evaluate: Any) -> None:
    unit = datapath.named("float4_e2m1fn")
    inputs = [{"a": a, "b": b} for a in range(16) for b in range(16)]
    seen = evaluate(_Front(unit, add=False), inputs, "out")
    for row, fields in zip(inputs, seen, strict=True):
        product = multiply_exact(decode_exact(unit.element_a, row["a"]), decode_exact(unit.element_b, row["b"]))
        lane = fields["lanes"][0]
        assert (-lane["significand"] if lane["negative"] else lane["significand"]) == product.significand
        assert lane["exponent"] + product_raw(unit).offset == product.exponent
    assert len(seen) == 256


@pytest.mark.parametrize(
    "name",
    [
        *("int8_l3", "uint4_l4", "float4_e2m1fn_l3", "float8_e4m3fn", "float8_e4m3fn_l4", "float8_e5m2_l2_float32"),
        *("int4_by_float8_e4m3fn_l2", "mxint8_l4", "mxfp8_e4m3_l4", "nvfp4_l4", "nvfp4_l1", "mxfp4_l1"),
    ],
)
def test_align_add_is_exact(evaluate: Any, name: str) -> None:
    unit = datapath.named(name)
    inputs, terms = _steps(unit, 200)
    compared = 0
    for fields, (products, scale) in zip(evaluate(_Front(unit, add=True), inputs, "out"), terms, strict=True):
        total = align_add_exact(products, scale)
        assert _special(fields["special"], special_bits(unit)) == total.special
        if total.special:
            continue
        seen = -fields["sum"] if fields["negative"] else fields["sum"]
        place = fields["exponent"] + total_raw(unit).offset
        low = min(place, total.exponent)
        assert seen << (place - low) == total.significand << (total.exponent - low)
        compared += 1
    assert compared > 50


def _crossed(*axes: Sequence[Any]) -> list[Any]:
    """Cross axes: every value of one with every value of another, and half of all combinations; the others are slow."""
    places = itertools.product(*(range(len(axis)) for axis in axes))
    return [
        pytest.param(*(axis[at] for axis, at in zip(axes, place, strict=True)), marks=_SLOW if sum(place) % 2 else ())
        for place in places
    ]


_SLOW = pytest.mark.slow
_ENDS = [(-133, True), (-8, True), (2, False), (-133, False)]


@pytest.mark.parametrize(
    ("operand", "fraction_bits", "end"),
    _crossed(["float8_e4m3fn", "float8_e5m2", "int4", "nvfp4", "mxfp4"], [0, 3, 13, 25], _ENDS),
)
def test_align_add_truncates(evaluate: Any, operand: str, fraction_bits: int, end: tuple[int, bool]) -> None:
    floor, joined = end
    float32 = formats.named("float32")
    assert isinstance(float32, FloatSpec)
    unit = DotProductUnit(
        a=formats.named(operand),
        b=formats.named(operand),
        lanes=4,
        alignment=TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=floor, with_accumulator=joined),
        accumulator=_float_accumulator("float32"),
        output=float32,
    )
    source = random.Random(fraction_bits)
    inputs, terms = _steps(unit, 100)
    compared = 0
    for row in inputs:
        if joined:
            row["c"] = source.choice(
                [0, 1, source.getrandbits(32), (100 + source.randint(0, 50)) << 23 | source.getrandbits(23)]
            )
    for row, fields, (products, scale) in zip(
        inputs, evaluate(_Front(unit, add=True), inputs, "out"), terms, strict=True
    ):
        addends = [multiply_exact(product, scale) for product in products]
        special = align_add_truncated_exact(unit.alignment, addends).special  # type: ignore[arg-type]
        assert _special(fields["special"], special_bits(unit)) == special
        if joined:
            addends.append(decode_exact(float32, row["c"]))
        total = align_add_truncated_exact(unit.alignment, addends)  # type: ignore[arg-type]
        if total.special:
            continue
        place = fields["exponent"] + total_raw(unit).offset
        assert fields["sum"] == total.significand
        assert place == total.exponent
        compared += 1
    assert compared > 50


def _float_accumulator(name: str, **more: Any) -> FloatAccumulator:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    fields: dict[str, Any] = {
        "rounding": Rounding.NEAREST_EVEN,
        "overflow": Overflow.INFINITY,
        "result_man_bits": spec.man_bits,
    } | more
    return FloatAccumulator(format=spec, **fields)


def _accumulating(operand: str, lanes: int, accumulator: FixedAccumulator | FloatAccumulator) -> DotProductUnit:
    spec = formats.named(operand)
    return DotProductUnit(
        a=spec, b=spec, lanes=lanes, alignment=ExactAlignment(), accumulator=accumulator, output=accumulator.format
    )


def _fixed(bits: int, overflow: Overflow, fraction_bits: int = 0) -> FixedAccumulator:
    return FixedAccumulator(bits=bits, fraction_bits=fraction_bits, overflow=overflow)


_ACCUMULATED = [
    *(
        _accumulating("int8", 1, _fixed(bits, overflow))
        for bits in (9, 16, 24)
        for overflow in (Overflow.WRAP, Overflow.SATURATE)
    ),
    *(_accumulating("int4", 4, _fixed(16, overflow, 3)) for overflow in (Overflow.WRAP, Overflow.SATURATE)),
    *(
        _accumulating("float8_e4m3fn", 1, _float_accumulator("float16", rounding=rounding))
        for rounding in DETERMINISTIC
    ),
    *(
        _accumulating("float4_e2m1fn", 4, _float_accumulator("bfloat16", rounding=rounding))
        for rounding in DETERMINISTIC
    ),
    _accumulating("float8_e5m2", 1, _float_accumulator("float32", overflow=Overflow.SATURATE)),
    _accumulating("nvfp4", 4, _float_accumulator("float32")),
    _accumulating("mxfp8_e4m3", 4, _float_accumulator("float32", result_man_bits=13, nan=NanResult.ALL_ONES)),
    _accumulating("mxint8", 2, _float_accumulator("float16", result_man_bits=3)),
    _accumulating("float16", 1, _float_accumulator("float8_e5m2", overflow=Overflow.SATURATE, result_man_bits=1)),
]


@pytest.mark.parametrize("unit", _ACCUMULATED, ids=lambda unit: unit.name)
def test_accumulate_takes_a_sum(evaluate: Any, unit: DotProductUnit) -> None:
    source = random.Random(unit.name)
    layout, raw = total_layout(unit, narrow=True), total_raw(unit)
    shape = layout["sum"].shape
    assignments, expected = [], []
    for _ in range(300):
        largest = (1 << (shape.width - shape.signed)) - 1
        magnitude = min(source.getrandbits(source.randint(0, largest.bit_length())), largest)
        fields = {
            "sum": -magnitude if shape.signed and source.getrandbits(1) else magnitude,
            "exponent": source.randint(raw.low, raw.high) if raw.bits else 0,
            "negative": source.getrandbits(layout["negative"].shape),
            "special": source.getrandbits(special_bits(unit)) * (source.random() < 0.1),
        }
        if isinstance(unit.accumulator, FixedAccumulator):
            half = 1 << (unit.accumulator.bits - 1)
            register = source.choice([0, -half, half - 1, source.randrange(-half, half)])
        else:
            register = source.choice([0, 1, source.getrandbits(unit.accumulator.format.bits)])
            if source.random() < 0.5:  # about as large as the sum
                spec = unit.accumulator.format
                top = magnitude.bit_length() + fields["exponent"] + raw.offset + spec.bias + source.randint(-4, 3)
                field = min(max(top, 0), (1 << spec.exp_bits) - 2)
                register = (
                    source.getrandbits(1) << (spec.bits - 1)
                    | field << spec.man_bits
                    | source.getrandbits(spec.man_bits)
                )
        value = -fields["sum"] if fields["negative"] else fields["sum"]
        special = _special(fields["special"], special_bits(unit))
        total = Term(0 if special else value, fields["exponent"] + raw.offset, 0, special)
        assignments.append({"total": fields, "register": {"value": register, "special": 0}})
        expected.append(accumulate_exact(unit, (register, 0), total))
    if isinstance(unit.accumulator, FloatAccumulator):
        codes = [{"codes": assignment["register"]["value"]} for assignment in assignments]
        for assignment, decoded in zip(
            assignments, evaluate(Decode(unit.accumulator.format), codes, "operands"), strict=True
        ):
            assignment["decoded"] = decoded[0]
    seen = evaluate(Accumulate(unit), assignments, "following")
    assert [fields["value"] for fields in seen] == [value for value, _ in expected]
    assert len(seen) == 300


def _converting(accumulator: FixedAccumulator | FloatAccumulator, output: str, **more: Any) -> DotProductUnit:
    spec = formats.named(output)
    assert isinstance(spec, FloatSpec | IntegerSpec)
    operand = formats.named("float4_e2m1fn" if isinstance(accumulator, FloatAccumulator) else "int2")
    return DotProductUnit(
        a=operand, b=operand, lanes=1, alignment=ExactAlignment(), accumulator=accumulator, output=spec, **more
    )


_SATURATE = {"overflow": Overflow.SATURATE}
_CONVERTED = [
    *(_converting(_fixed(12, Overflow.WRAP, 5), "int5", rounding=rounding, **_SATURATE) for rounding in DETERMINISTIC),
    _converting(_fixed(12, Overflow.WRAP, 2), "fixed8_4", overflow=Overflow.WRAP),
    _converting(_fixed(8, Overflow.WRAP, 12), "uint3_narrow", **_SATURATE),
    *(_converting(_fixed(12, Overflow.WRAP, 14), "float8_e4m3fn", rounding=rounding) for rounding in DETERMINISTIC),
    _converting(_fixed(12, Overflow.WRAP, 0), "float8_e4m3fnuz", **_SATURATE),
    _converting(_fixed(12, Overflow.WRAP, 3), "float32"),
    _converting(_fixed(12, Overflow.WRAP, 3), "float8_e5m3fnu"),
    *(_converting(_float_accumulator("float16"), "float8_e4m3fn", rounding=rounding) for rounding in DETERMINISTIC),
    _converting(_float_accumulator("float16"), "float8_e5m2"),
    _converting(_float_accumulator("float16"), "float32"),
    _converting(_float_accumulator("float16"), "float8_e4m3fnuz", **_SATURATE),
    _converting(_float_accumulator("bfloat16"), "float16"),
    _converting(_float_accumulator("bfloat16"), "float8_e5m3fnu", **_SATURATE),
]


@pytest.mark.parametrize("unit", _CONVERTED, ids=lambda unit: unit.name)
def test_round_pack_converts(evaluate: Any, unit: DotProductUnit) -> None:
    source = random.Random(unit.name)
    bits = register_layout(unit)["value"].width
    registers = [source.getrandbits(bits) for _ in range(1500)] if bits > 12 else list(range(1 << bits))
    if isinstance(unit.accumulator, FixedAccumulator):
        registers = [register - (register >> (bits - 1) << bits) for register in registers]
    inputs = [{"register": {"value": register, "special": 0}} for register in registers]
    seen = evaluate(RoundPack(unit), inputs, "d")
    expected = [output_exact(unit, (register, 0)) for register in registers]
    assert [code & ((1 << unit.output.bits) - 1) for code in seen] == expected
    assert len(seen) >= 256


@pytest.mark.parametrize("output", ["float32", "float8_e4m3fn", "float8_e5m3fnu"])
def test_round_pack_specials_beside_a_fixed_register(evaluate: Any, output: str) -> None:
    spec, operand = formats.named(output), formats.named("float8_e5m2")
    assert isinstance(spec, FloatSpec)
    unit = DotProductUnit(
        a=operand,
        b=operand,
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=_fixed(80, Overflow.WRAP, 40),
        output=spec,
    )
    registers = [(value, special) for value in (-5, 0, 9) for special in range(4)]
    inputs = [{"register": {"value": value, "special": special}} for value, special in registers]
    assert evaluate(RoundPack(unit), inputs, "d") == [output_exact(unit, register) for register in registers]
