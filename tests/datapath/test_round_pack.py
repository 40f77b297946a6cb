# SPDX-License-Identifier: Apache-2.0
import itertools
import random
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath.round_pack import round_pack, round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY
from hwsim.formats.rounding import DETERMINISTIC

_FORMATS = [
    *("float32", "float16", "bfloat16", "float64", "tfloat32"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m3fnu"),
    *("binary8p4se", "binary8p3ue"),
    *("float6_e2m3fn", "float4_e2m1fn", "minifloat_e3m0", "minifloat_e2m1u"),
    *("int8", "uint4", "int8_narrow", "fixed12_8", "fixed10_m6", "int1", "int64", "uint63"),
]


@pytest.mark.parametrize("name", ["posit8_0", "posit8_2", "posit16_1", "posit32_2"])
def test_round_pack_posits_equal_oracle(name: str) -> None:
    spec = formats.named(name)
    assert isinstance(spec, PositSpec)
    source = random.Random(name)
    terms = [Term(0, 5, 5), Term(1 << 62, -80, 0), Term(-(1 << 62), -63, 0), Term(3, 900, 0), Term(-3, -3000, 0)]
    terms += [Term(0, 0, 0, special) for special in (POSITIVE_INFINITY, NEGATIVE_INFINITY, NAN)]
    for _ in range(500):
        significand = source.getrandbits(source.randint(1, 62)) * source.choice([-1, 1])
        if source.random() < 0.4:  # just below a power of two, or far below a tie
            significand = (1 << source.randint(1, 62)) - source.choice([0, 1, 1 << 20])
        lead = source.randint(-spec.scale_max - 3, spec.scale_max + 3)
        terms.append(Term(significand, lead - significand.bit_length(), 0))
    for overflow in (Overflow.SATURATE, Overflow.INFINITY):
        found = round_pack(
            spec,
            [term.significand for term in terms],
            [term.exponent for term in terms],
            [term.special for term in terms],
            Rounding.NEAREST_EVEN,
            overflow,
        )
        assert found.tolist() == [round_pack_exact(spec, term, Rounding.NEAREST_EVEN, overflow) for term in terms]


def _scalar(name: str) -> IntegerSpec | FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, IntegerSpec | FloatSpec)
    return spec


def _rules(spec: IntegerSpec | FloatSpec) -> list[Overflow]:
    if isinstance(spec, IntegerSpec):
        return [Overflow.SATURATE] if spec.narrow else [Overflow.SATURATE, Overflow.WRAP]
    return [Overflow.SATURATE, Overflow.INFINITY] if spec.has_nan else [Overflow.SATURATE]


def _terms(spec: IntegerSpec | FloatSpec, source: random.Random, count: int) -> list[Term]:
    """Return ties, their neighbours and random numbers about the format's range, and its specials."""
    lowest = spec.exp_min
    highest = spec.exp_max + spec.sig_bits
    terms = [Term(0, 5, 5), Term(1 << 62, -80, 0), Term(-(1 << 62), -63, 0), Term(-(1 << 62), 1, 0), Term(3, 900, 0)]
    terms += [Term(sign * 5, exponent, 0) for exponent in (-1200, -64, 64, 1200) for sign in (-1, 1)]
    for _ in range(count):
        bits = source.choice([spec.sig_bits, spec.sig_bits + 1, spec.sig_bits + 2, 40, 61])
        significand = source.getrandbits(min(bits, 61)) - source.getrandbits(1)
        if source.random() < 0.4:  # far below a tie, or just beside it
            significand = ((significand << 20) + source.choice([-1, 0, 1])) % (1 << 61)
        exponent = source.randint(lowest - significand.bit_length() - 3, highest - significand.bit_length() + 2)
        terms.append(Term(significand if source.random() < 0.5 else -significand, exponent, 0))
    if spec.has_nan:
        terms += [Term(0, 0, 0, special) for special in (POSITIVE_INFINITY, NEGATIVE_INFINITY, NAN)]
    return terms


@pytest.mark.parametrize("name", _FORMATS)
def test_round_pack_kernel_equals_oracle(name: str, interpreted: bool) -> None:
    spec = _scalar(name)
    terms = _terms(spec, random.Random(name), 30 if interpreted else 400)
    significand, exponent, special = ([term[field] for term in terms] for field in (0, 1, 3))
    compared = 0
    for rounding, overflow in itertools.product(DETERMINISTIC, _rules(spec)):
        kept: list[int | None] = [None]
        if isinstance(spec, FloatSpec) and spec.man_bits > 2:
            kept = [None, 1, spec.man_bits - 1]
        for man_bits in kept:
            found = round_pack(spec, significand, exponent, special, rounding, overflow, man_bits=man_bits)
            expected = [round_pack_exact(spec, term, rounding, overflow, man_bits=man_bits) for term in terms]
            assert found.tolist() == expected, (rounding, overflow, man_bits)
            compared += len(expected)
    assert compared >= 6 * len(terms)


@pytest.mark.parametrize(
    ("name", "dtype", "bits"),
    [
        ("float16", np.float16, np.uint16),
        ("bfloat16", ml_dtypes.bfloat16, np.uint16),
        ("float8_e5m2", ml_dtypes.float8_e5m2, np.uint8),
        ("float8_e4m3fn", ml_dtypes.float8_e4m3fn, np.uint8),
        ("float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz, np.uint8),
    ],
)
def test_round_pack_nearest_even_is_ml_dtypes(name: str, dtype: Any, bits: Any, interpreted: bool) -> None:
    source = np.random.default_rng(1)
    raw = source.integers(0, 1 << 32, 300 if interpreted else 30_000, dtype=np.uint32)
    near = (127 << 23) + source.integers(-(20 << 23), 20 << 23, raw.size).astype(np.int32)  # about 1
    values = np.concatenate([raw, near.astype(np.uint32), near.astype(np.uint32) & ~np.uint32(0xFFFF)]).view(np.float32)
    values = values[np.isfinite(values)]
    fraction, exponent = np.frexp(values.astype(np.float64))
    with np.errstate(over="ignore"):
        expected = values.astype(dtype)
    found = round_pack(
        _scalar(name),
        np.ldexp(fraction, 24).astype(np.int64),
        exponent - 24,
        0,
        Rounding.NEAREST_EVEN,
        Overflow.INFINITY,
    )
    same = found == expected.view(bits)
    zero = (expected.astype(np.float32) == 0) & (found == 0)  # a unit's zero is positive
    nan = np.isnan(expected.astype(np.float32)) & (found == _scalar(name).encode([np.nan])[0])
    assert (same | zero | nan).all()
    assert same.sum() > len(values) // 2


def test_round_pack_directed_modes_by_hand() -> None:
    int8 = _scalar("int8")
    halves = [-5, -3, -1, 1, 3, 5]  # -2.5, -1.5, ..., 2.5
    expected = {
        Rounding.NEAREST_EVEN: [-2, -2, 0, 0, 2, 2],
        Rounding.NEAREST_AWAY: [-3, -2, -1, 1, 2, 3],
        Rounding.TOWARD_ZERO: [-2, -1, 0, 0, 1, 2],
        Rounding.UP: [-2, -1, 0, 1, 2, 3],
        Rounding.DOWN: [-3, -2, -1, 0, 1, 2],
        Rounding.TO_ODD: [-3, -1, -1, 1, 1, 3],
    }
    for rounding, values in expected.items():
        found = round_pack(int8, halves, -1, 0, rounding, Overflow.SATURATE)
        assert found.astype(np.uint8).view(np.int8).tolist() == values


def test_round_pack_overflow_by_hand() -> None:
    # 448 is E4M3's largest, 464 the tie above it; 57344 and 61440 E5M2's; 6 and 7 E2M1's.
    cases = [
        ("float8_e4m3fn", 464, Overflow.INFINITY, 0x7E),
        ("float8_e4m3fn", 465, Overflow.INFINITY, 0x7F),
        ("float8_e4m3fn", -465, Overflow.INFINITY, 0x7F),
        ("float8_e4m3fn", -465, Overflow.SATURATE, 0xFE),
        ("float8_e5m2", 61439, Overflow.INFINITY, 0x7B),
        ("float8_e5m2", -61440, Overflow.INFINITY, 0xFC),
        ("float8_e5m2", -61440, Overflow.SATURATE, 0xFB),
        ("float4_e2m1fn", -100, Overflow.SATURATE, 0xF),
        ("float4_e2m1fn", 100, Overflow.SATURATE, 0x7),
        ("float8_e5m3fnu", -3, Overflow.SATURATE, 0),
        ("int8", 128, Overflow.WRAP, 0x80),
        ("int8", 128, Overflow.SATURATE, 0x7F),
        ("int8_narrow", -500, Overflow.SATURATE, 0x81),
        ("uint4", -1, Overflow.SATURATE, 0),
        ("uint4", 17, Overflow.WRAP, 1),
    ]
    for name, value, overflow, code in cases:
        spec = _scalar(name)
        assert round_pack_exact(spec, Term(value, 0, 0), Rounding.NEAREST_EVEN, overflow) == code, (name, value)
        assert round_pack(spec, value, 0, 0, Rounding.NEAREST_EVEN, overflow) == code, (name, value)


@pytest.mark.parametrize(
    ("significand", "special", "name", "text"),
    [
        (1 << 62 | 1, 0, "float32", "significand must be within 2**62, not 4611686018427387905"),
        (-(1 << 63), 0, "float32", "significand must be within 2**62, not -9223372036854775808"),
        (0, 3, "int8", "special must be 0 for int8, which has no NaN, not 3"),
    ],
)
def test_round_pack_arguments_wrong(significand: int, special: int, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        round_pack(_scalar(name), significand, 0, special, Rounding.NEAREST_EVEN, Overflow.SATURATE)


@pytest.mark.parametrize(
    ("name", "rounding", "overflow", "text"),
    [
        (
            "float8_e4m3fn",
            Rounding.STOCHASTIC,
            Overflow.SATURATE,
            "rounding must be deterministic, for there are no random words, not <Rounding.STOCHASTIC: 'stochastic'>",
        ),
        (
            "float8_e4m3fn",
            Rounding.UP,
            Overflow.IEEE,
            "overflow must be WRAP, SATURATE or INFINITY, not <Overflow.IEEE: 'ieee'>",
        ),
        (
            "uint8_z128",
            Rounding.UP,
            Overflow.SATURATE,
            "an integer must have its zero point at 0 to be rounded to, and uint8_z128 has not",
        ),
    ],
)
def test_round_pack_rules_wrong(name: str, rounding: Rounding, overflow: Overflow, text: str) -> None:
    for call in (
        lambda: round_pack_exact(_scalar(name), Term(1, 0, 0), rounding, overflow),
        lambda: round_pack(_scalar(name), 1, 0, 0, rounding, overflow),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            call()


@pytest.mark.parametrize("name", ["binary8p4se", "binary6p3ue", "float8_e4m3fn", "float8_e5m2", "minifloat_e3m4"])
def test_round_pack_equals_encode(name: str) -> None:
    # The format's own rounding, of dyadic numbers about all of its values.
    spec = _scalar(name)
    assert isinstance(spec, FloatSpec)
    numbers = np.unique(spec.decode(np.arange(1 << spec.bits)))
    numbers = numbers[np.isfinite(numbers) & (numbers != 0)]
    values = np.unique(np.concatenate([numbers * factor for factor in (1, 1.0625, 1.25, 0.9375, 2)]))
    mantissa, exponent = np.frexp(values)
    significand = (mantissa * 2**20).astype(np.int64)
    compared = 0
    for rounding, overflow in itertools.product(DETERMINISTIC, _rules(spec)):
        packed = round_pack(spec, significand, exponent - 20, 0, rounding, overflow)
        encoded = spec.encode(values, rounding, overflow)
        if not spec.has_nan or spec.nan_code != 1 << (spec.bits - 1):
            encoded = np.where(encoded == 1 << (spec.bits - 1), 0, encoded) if spec.signed else encoded  # no -0
        assert np.array_equal(packed, encoded), (rounding, overflow)
        compared += values.size
    assert compared > 1_000
