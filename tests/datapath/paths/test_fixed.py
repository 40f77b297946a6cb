# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, Row, choose, dot_exact, matmul
from hwsim.datapath.paths import bitplane, blas, fixed, integer, saturating
from hwsim.datapath.problem import Problem
from hwsim.datapath.round_pack import round_pack, round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.formats.rounding import DETERMINISTIC

_OUTPUTS = [
    *("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m3fnu"),
    *("float4_e2m1fn", "int8", "uint4", "fixed12_8"),
]


def _unit(output: Any, rounding: Rounding, overflow: Overflow, places: int) -> DotProductUnit:
    spec = IntegerSpec(bits=8, fraction_bits=4)
    return DotProductUnit(
        a=spec,
        b=spec,
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=FixedAccumulator(bits=54, fraction_bits=places, overflow=Overflow.WRAP),
        output=output,
        rounding=rounding,
        overflow=overflow,
    )


def _values() -> Any:
    """Return integers within 2**53 of every length: any, ties, and their neighbours."""
    source = np.random.default_rng(1)
    bits = source.integers(0, 54, 3000)
    any_of = source.integers(0, 1 << 53, 3000) >> (53 - bits)
    ends = (np.int64(1) << np.minimum(bits, 52)) + source.integers(-1, 2, 3000)
    ties = (source.integers(1, 64, 3000) * 2 + 1) << source.integers(0, 46, 3000)
    values = np.concatenate([any_of, ends, ties, ties + 1, ties - 1, np.zeros(3000, np.int64)])
    return (values * source.choice([-1, 1], values.size)).reshape(60, 300)


@pytest.mark.parametrize("name", _OUTPUTS)
@pytest.mark.parametrize("rounding", DETERMINISTIC)
def test_fixed_registers_are_rounded(name: str, rounding: Rounding, interpreted: bool) -> None:
    if interpreted:
        return
    output: Any = formats.named(name)
    assert isinstance(output, IntegerSpec | FloatSpec | PositSpec)
    compared = 0
    for overflow in (Overflow.SATURATE, Overflow.INFINITY, Overflow.WRAP):
        for places in (8, 30, 60, 150, 1000):
            try:
                unit = _unit(output, rounding, overflow, places)
            except ValueError:  # an overflow rule that the format has not
                continue
            values = _values()
            found = fixed.finish_registers(unit, values)
            assert np.array_equal(found, round_pack(output, values, -places, 0, rounding, overflow)), (overflow, places)
            compared += found.size
    assert compared >= 5 * 18_000


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("places", [8, 11])
def test_fixed_sums_meet_c(dtype: Any, places: int, interpreted: bool) -> None:
    if interpreted:
        return
    register = FixedAccumulator(bits=23, fraction_bits=places, overflow=Overflow.WRAP)
    spec = IntegerSpec(bits=8, fraction_bits=4)
    unit = DotProductUnit(
        a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=register, output=register.format
    )
    source = np.random.default_rng(2)
    total = source.integers(-(1 << 24), 1 << 24, (7, 9))
    c = source.integers(0, 1 << 23, (7, 9)).astype(np.uint32)
    operands = np.zeros((7, 1), np.uint8), np.zeros((9, 1), np.uint8)
    for start in (None, c):
        found = fixed.finish(Problem(unit, *operands, start, None, None), total.astype(dtype), 1 << 24)
        expected = ((total << (places - 8)) + (0 if start is None else start.astype(np.int64))) % (1 << 23)
        assert found.dtype == np.uint32
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["int8", "uint8", "float8_e4m3fn", "float4_e2m1fn", "int20", "float8_e5m2", "ternary"])
def test_fixed_grid_is_the_formats(name: str, interpreted: bool) -> None:
    spec: Any = formats.named(name)
    codes = (
        np.random.default_rng(3).integers(0, 1 << spec.bits, (70, 130)).astype(np.uint32 if spec.bits > 8 else np.uint8)
    )
    values = np.where(spec.unpack(codes).special != 0, 0.0, np.nan_to_num(spec.decode(codes), posinf=0.0, neginf=0.0))
    expected = values * 2.0**-spec.exp_min
    low, high = fixed.grid_range(spec)
    assert low <= expected.min()
    assert expected.max() <= high
    if interpreted:
        return
    pairs: list[tuple[Any, Any]] = [(codes, expected), (codes.T, expected.T)]
    for given, wanted in pairs:
        found = fixed.on_grid(spec, given, np.float64)
        assert np.array_equal(found, wanted)
        assert found.flags.c_contiguous == given.flags.c_contiguous
    if name in ("int8", "float4_e2m1fn", "ternary"):
        assert np.array_equal(fixed.on_grid(spec, pairs[0][0], np.uint8, 128), (expected + 128) % 256)


def _wide_unit(operand: str, output: Any, places: int, wrap_or_not: Overflow, **rules: Any) -> DotProductUnit:
    spec: Any = formats.named(operand)
    return DotProductUnit(
        a=spec,
        b=spec,
        lanes=1,
        alignment=ExactAlignment(),
        accumulator=FixedAccumulator(bits=64, fraction_bits=places, overflow=wrap_or_not),
        output=output,
        **rules,
    )


def _edges() -> list[int]:
    """Return integers of 64 bits and a sign near 2**61 and up, near ties of 24 and 53 bits, and small ones."""
    near = [
        *((1 << bits) + place for bits in (61, 62) for place in (-2, -1, 0, 1, 2, 3)),
        *((1 << 63) - place for place in (1, 2, 3, 4)),
        *((3 << 61) + (1 << 38) + place for place in (-1, 0, 1)),
        *((3 << 61) + (1 << 39) + (1 << 38) + place for place in (-1, 0, 1)),
        *((3 << 61) + (1 << 9) + place for place in (-1, 0, 1)),
        *(1, 2, 3, 5, 7, (1 << 53) + 1),
    ]
    return [*near, *(-value for value in near), 0, -(1 << 63)]


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16", "float8_e4m3fn", "float8_e5m3fnu"])
def test_fixed_registers_of_64_bits_are_rounded(name: str, rounding: Rounding, interpreted: bool) -> None:
    if interpreted:
        return
    output: Any = formats.named(name)
    values = _edges()
    compared = 0
    for overflow in (Overflow.SATURATE, Overflow.INFINITY):
        for places in (0, 33, 62, 200):
            unit = _wide_unit("int16", output, places, Overflow.WRAP, rounding=rounding, overflow=overflow)
            found = fixed.finish_registers(unit, np.array([values], np.int64))[0]
            for code, value in zip(found.tolist(), values, strict=True):
                assert code == round_pack_exact(output, Term(value, -places, 0), rounding, overflow), (places, value)
                compared += 1
    assert compared == 8 * len(values) == 8 * 64


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE])
@pytest.mark.parametrize(
    ("operand", "path"), [("int16", "integer"), ("int20", "blas"), ("binary", "bitplane"), ("int4", "integer")]
)
def test_fixed_64_bits_to_float32(operand: str, path: str, overflow: Overflow, interpreted: bool) -> None:
    if interpreted:
        return
    output: Any = formats.named("float32")
    unit = _wide_unit(operand, output, 0, overflow)
    assert choose(unit, 1).name == path
    spec: Any = formats.named(operand)
    a = np.array([[0], [1], [(1 << spec.bits) - 1], [1 << (spec.bits - 1)]], np.uint32)
    b = np.array([[1, 1 << (spec.bits - 1)] * 32], np.uint32)
    c = np.array([[value % (1 << 64) for value in _edges()]] * 4, np.uint64)
    found = matmul(unit, a, b, c)
    for i, j in np.ndindex(*found.shape):
        row = Row(first=True, last=True, a=(int(a[i, 0]),), b=(int(b[0, j]),), scales=(), c=int(c[i, j]))
        assert [int(found[i, j])] == dot_exact(unit, [row]), (i, j)
    assert found.shape == (4, 64)


def test_fixed_64_bits_without_c(interpreted: bool) -> None:
    if interpreted:
        return
    unit = _wide_unit("int16", formats.named("float32"), 33, Overflow.WRAP)
    assert choose(unit, 1).name == "integer"
    # 2**30 * 2**33 is 2**63, which wraps to -2**63: -2**30 with 33 fraction bits.
    assert matmul(unit, [[0x8000]], [[0x8000]]).tolist() == [[int(np.float32(-(2.0**30)).view(np.uint32))]]


def test_fixed_64_bits_to_integer_is_not_offered(interpreted: bool) -> None:
    output: Any = formats.named("int32")
    unit = _wide_unit("int16", output, 0, Overflow.WRAP, overflow=Overflow.WRAP)
    assert not fixed.takes(unit)
    assert [module.offer(unit, 1) for module in (bitplane, integer, saturating, blas)] == [None] * 4
    narrower = FixedAccumulator(bits=63, fraction_bits=0, overflow=Overflow.WRAP)
    assert fixed.takes(replace(unit, accumulator=narrower)) != interpreted
    own = FixedAccumulator(bits=64, fraction_bits=0, overflow=Overflow.WRAP).format
    assert fixed.takes(replace(unit, output=own)) != interpreted
