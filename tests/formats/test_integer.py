# SPDX-License-Identifier: Apache-2.0
"""IntegerSpec against Python integers and fractions."""

import itertools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.formats import IntegerSpec, Overflow
from hwsim.formats.rounding import DETERMINISTIC


@cache
def rounded(number: float, fraction_bits: int, rounding: str) -> int:
    """Round to an integer as IEEE 754-2019, section 4.3, words it."""
    value = Fraction(number) * Fraction(2) ** fraction_bits
    low = math.floor(value)
    if value == low:
        return low
    twice = 2 * (value - low)
    return {
        "nearest_even": round(value),  # Python's own, for fractions
        "nearest_away": low + (twice > 1 or (twice == 1 and value > 0)),
        "toward_zero": math.trunc(value),
        "up": low + 1,
        "down": low,
        "to_odd": low + (low % 2 == 0),
    }[rounding]


def expected_code(value: float, spec: IntegerSpec, rounding: str, overflow: str) -> int:
    """Encode by Python integers: a range, a remainder."""
    low = -(1 << (spec.bits - 1)) if spec.signed else 0
    high = low + (1 << spec.bits) - 1
    if spec.narrow:
        low, high = (low + 1, high) if spec.signed else (low, high - 1)
    integer = (high if value > 0 else low) if math.isinf(value) else rounded(value, spec.fraction_bits, rounding)
    if overflow == "saturate":
        integer = min(max(integer, low), high)
    return integer % (1 << spec.bits)


def rules(spec: IntegerSpec) -> tuple[str, ...]:
    return ("saturate",) if spec.narrow else ("saturate", "wrap")


def compare(spec: IntegerSpec, values: Any) -> int:
    """Compare every rounding and overflow rule, from float64 and float32; return how many."""
    compared = 0
    with np.errstate(over="ignore", under="ignore"):
        arrays = (np.asarray(values, np.float64), np.asarray(values, np.float64).astype(np.float32))
    for array in arrays:
        for overflow in rules(spec):
            kept = array[np.isfinite(array)] if overflow == "wrap" else array
            for rounding in DETERMINISTIC:
                ours = spec.encode(kept, rounding, overflow)
                assert ours.dtype.itemsize * 8 >= spec.bits > ours.dtype.itemsize * 4 - 4 * (spec.bits <= 8)
                expected = [expected_code(value, spec, rounding.value, overflow) for value in kept.tolist()]
                assert ours.tolist() == expected, (spec.name, rounding, overflow)
                compared += len(expected)
    return compared


def test_integer_encode_small(counted: Callable[..., Any], thin: Callable[..., Any]) -> None:
    compared = 0
    for bits in range(1, 9):
        for signed in (True, False):
            for narrow in (False, True) if bits > 1 else (False,):
                spec = IntegerSpec(bits=bits, signed=signed, narrow=narrow)
                edge = 1 << bits
                quarters = np.arange(-4 * edge - 8, 4 * edge + 9) / 4
                near = quarters[1::2]
                values = np.concatenate(
                    [quarters, np.nextafter(near, -np.inf), np.nextafter(near, np.inf), [np.inf, -np.inf]]
                )
                compared += compare(spec, thin(values, 10))
    counted(compared, 605_688)


def test_integer_encode_edges(counted: Callable[..., Any], thin: Callable[..., Any]) -> None:
    compared = 0
    for bits in (9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 52, 53, 54, 62, 63, 64):
        for signed in (True, False):
            if bits == 64 and not signed:
                continue
            for narrow in (False, True):
                spec = IntegerSpec(bits=bits, signed=signed, narrow=narrow)
                edges = np.array([spec.min_int, 0, spec.max_int, 1 << (bits - 1), 1 << bits], np.float64)
                points = np.concatenate([edges + d for d in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)])
                ends = [
                    math.inf,
                    -math.inf,
                    5e-324,
                    -5e-324,
                    1e300,
                    -1e300,
                    3 * 2.0**bits,
                    -5 * 2.0**70,
                    2.0**-149,
                    -1e-40,
                ]
                values = np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf), ends])
                compared += compare(spec, thin(values, 3))
    counted(compared, 127_224)


def test_integer_encode_fixed(counted: Callable[..., Any], thin: Callable[..., Any]) -> None:
    compared = 0
    rng = np.random.default_rng(4)
    for fraction_bits in (-900, -100, -38, -3, 5, 8, 99, 100, 101, 149, 190, 1000):
        for bits in (2, 12, 31, 48, 63):
            spec = IntegerSpec(bits=bits, fraction_bits=fraction_bits)
            with np.errstate(over="ignore", under="ignore"):
                scaled = np.ldexp(rng.integers(-(1 << 53), 1 << 53, 40).astype(np.float64), bits - 54 - fraction_bits)
                ties = np.ldexp(np.arange(-9.0, 10) / 2, -fraction_bits)
            ends = [math.inf, -math.inf, 0.0, -0.0, 5e-324, 2.0**-149, -(2.0**-140), 2.0**127, -1.7e308]
            compared += compare(spec, thin(np.concatenate([scaled, ties, ends]), 3))
    counted(compared, 93_720)


def test_integer_zero_point(counted: Callable[..., Any], thin: Callable[..., Any]) -> None:
    # A zero point moves the codes and nothing else: the plain format of the moved range, moved.
    compared = 0
    for bits in (1, 2, 3, 4, 8):
        for signed in (True, False):
            low = -(1 << (bits - 1)) if signed else 0
            high = low + (1 << bits) - 1
            for zero_point in sorted({low, low + 1, -1, 1, 3, high // 2, high - 1, high} & set(range(low, high + 1))):
                for narrow, fraction_bits in itertools.product((False, True), (0, 3)):
                    least, most = low + (narrow and signed), high - (narrow and not signed)
                    if least <= zero_point <= most and (bits > 1 or not narrow):
                        spec = IntegerSpec(
                            bits=bits, signed=signed, narrow=narrow, fraction_bits=fraction_bits, zero_point=zero_point
                        )
                        assert formats.named(spec.name) == spec
                        compared += compare_offset(spec, thin, least, most)
    counted(compared, 3_220_992)


def compare_offset(spec: IntegerSpec, thin: Callable[..., Any], low: int, high: int) -> int:
    """Compare codes and values of a format with a zero point; return how many."""
    compared = 0
    codes = np.arange(1 << spec.bits)
    unit = Fraction(1, 1 << spec.fraction_bits)
    integers = [code - (1 << spec.bits) if spec.signed and code >> (spec.bits - 1) else code for code in codes.tolist()]
    values = [float((integer - spec.zero_point) * unit) for integer in integers]
    assert spec.decode(codes).tolist() == values
    assert max(abs(integer - spec.zero_point) for integer in integers) == spec.max_significand < 1 << spec.sig_bits
    assert (spec.min_value, spec.max_value) == tuple(float((end - spec.zero_point) * unit) for end in (low, high))
    points = np.arange(-(4 << spec.bits), 4 << spec.bits) * float(unit) / 4
    points = thin(np.concatenate([points, np.nextafter(points, -9e9), np.nextafter(points, 9e9)]), 12)
    for overflow in rules(spec):
        for rounding in DETERMINISTIC:
            ours = spec.encode(points, rounding, overflow)
            single = np.resize(points.astype(np.float32), max(points.size, 1100))  # enough for the quick ways
            exact = spec.encode(single.astype(np.float64), rounding, overflow)
            assert np.array_equal(spec.encode(single, rounding, overflow), exact), (spec.name, rounding, overflow)
            for value, code in zip(points.tolist(), ours.tolist(), strict=True):
                integer = rounded(value, spec.fraction_bits, rounding.value) + spec.zero_point
                if overflow == "saturate":
                    integer = min(max(integer, low), high)
                assert code == integer % (1 << spec.bits), (spec.name, value, rounding, overflow)
                compared += 1
    return compared


def test_integer_zero_point_onnx() -> None:
    # ONNX QuantizeLinear, its example: uint8, scale 2, zero point 128.
    spec = formats.named("uint8_z128")
    assert isinstance(spec, IntegerSpec)
    x = np.array([0, 2, 3, 1000, -254, -1000], np.float32)
    assert spec.encode(x / np.float32(2)).tolist() == [128, 129, 130, 255, 1, 0]
    assert (spec.min_value, spec.max_value, spec.nan_code) == (-128.0, 127.0, -1)
    assert formats.named("int8_narrow_zm5") == IntegerSpec(bits=8, narrow=True, zero_point=-5)
    assert formats.named("fixed12_m8_z3") == IntegerSpec(bits=12, fraction_bits=-8, zero_point=3)


def test_integer_stochastic(thin: Callable[..., Any]) -> None:
    rng = np.random.default_rng(9)
    compared = 0
    for spec in (
        IntegerSpec(bits=4),
        IntegerSpec(bits=8, fraction_bits=4),
        IntegerSpec(bits=6, signed=False, zero_point=20),
        IntegerSpec(bits=40, narrow=True),
        IntegerSpec(bits=64, fraction_bits=70),
    ):
        for overflow in rules(spec):
            for random_bits in (1, 8, 32):
                scale = 2.0 ** (spec.bits - 2 - spec.fraction_bits)
                values = thin(rng.standard_normal(3000) * scale, 40)
                words = rng.integers(0, 1 << random_bits, values.size)
                for array in (values, values.astype(np.float32)):
                    ours = spec.encode(array, "stochastic", overflow, random=words, random_bits=random_bits)
                    for value, word, code in zip(array.tolist(), words.tolist(), ours.tolist(), strict=True):
                        size = abs(Fraction(value)) * Fraction(2) ** spec.fraction_bits
                        part = math.floor((size - math.floor(size)) * 2**random_bits)
                        magnitude = math.floor(size) + int(part + word >= 2**random_bits)
                        integer = (-magnitude if value < 0 else magnitude) + spec.zero_point
                        if overflow == "saturate":
                            integer = min(max(integer, spec.min_int), spec.max_int)
                        assert code == integer % (1 << spec.bits), (spec.name, value, word)
                        compared += 1
    assert compared >= 27 * 2 * 40


def test_integer_decode() -> None:
    compared = 0
    for bits in range(1, 13):
        for signed in (True, False):
            for fraction_bits in (0, 3, -2):
                spec = IntegerSpec(bits=bits, signed=signed, fraction_bits=fraction_bits)
                codes = np.arange(1 << bits)
                integers = [code - (1 << bits) if signed and code >> (bits - 1) else code for code in range(1 << bits)]
                expected = [float(Fraction(integer) / Fraction(2) ** fraction_bits) for integer in integers]
                decoded = spec.decode(codes)
                assert decoded.dtype == np.float64
                assert decoded.tolist() == expected
                assert np.array_equal(spec.encode(decoded), codes)
                significand, exponent, special = spec.unpack(codes)
                assert significand.tolist() == integers
                assert (exponent == -fraction_bits).all()
                assert not special.any()
                assert max(map(abs, integers)) == spec.max_significand < 1 << spec.sig_bits
                compared += codes.size
    assert compared == 6 * (2**13 - 2)


def test_integer_decode_ml_dtypes() -> None:
    for name in ("int1", "int2", "int4", "uint1", "uint2", "uint4"):
        spec = formats.named(name)
        assert isinstance(spec, IntegerSpec)
        codes = np.arange(1 << spec.bits).astype(np.uint8)
        theirs = codes.astype(np.int8).astype(getattr(ml_dtypes, name)) if not spec.signed else None
        if theirs is None:
            signed = np.where(codes >> (spec.bits - 1), codes.astype(np.int8) - (1 << spec.bits), codes.astype(np.int8))
            theirs = signed.astype(getattr(ml_dtypes, name))
        assert np.array_equal(spec.decode(codes), theirs.astype(np.float64))
        assert np.array_equal(spec.encode(theirs), codes)
        iinfo: Any = ml_dtypes.iinfo
        info = iinfo(getattr(ml_dtypes, name))
        assert (spec.min_value, spec.max_value) == (info.min, info.max)


def test_integer_decode_wide() -> None:
    spec = IntegerSpec(bits=64)
    codes = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**63 + 2**53], np.uint64)
    assert spec.unpack(codes).significand.tolist() == [0, 1, 2**63 - 1, -(2**63), -1, -(2**63) + 2**53]
    assert spec.decode(codes).tolist() == [0, 1, 2.0**63, -(2.0**63), -1, -(2.0**63) + 2.0**53]
    # Modulo 2**64 only the lowest bit of such a significand is left.
    for array in (np.array([(2**53 - 1) * 2.0**63]), np.array([(2**24 - 1) * 2.0**63], np.float32)):
        assert [spec.encode(sign * array, overflow="wrap").tolist() for sign in (1, -1)] == [[2**63]] * 2
        assert spec.encode(2 * array, overflow="wrap").tolist() == [0]
    # int64 codes that are not negative are codes as well.
    assert IntegerSpec(bits=63, signed=False).decode(np.array([2**62], np.int64)).tolist() == [2.0**62]


def test_integer_range() -> None:
    compared = 0
    for bits in range(1, 65):
        plain = IntegerSpec(bits=bits)
        assert (plain.min_int, plain.max_int) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if bits < 64:
            unsigned = IntegerSpec(bits=bits, signed=False)
            assert (unsigned.min_int, unsigned.max_int) == (0, 2**bits - 1)
        if bits > 1:
            narrow = IntegerSpec(bits=bits, narrow=True)
            assert (narrow.min_int, narrow.max_int) == (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1)
            assert (narrow.has_nan, narrow.has_inf) == (False, False)
        compared += 1
    fixed = IntegerSpec(bits=12, fraction_bits=8)
    assert (fixed.min_value, fixed.max_value, fixed.exp_min, fixed.exp_max) == (-8.0, 7.99609375, -8, -8)
    # QONNX, general/quant.py, min_int and max_int: narrow and unsigned leaves out the largest.
    assert IntegerSpec(bits=8, signed=False, narrow=True).max_int == 254
    assert compared == 64


@given(
    st.integers(1, 63),
    st.booleans(),
    st.booleans(),
    st.integers(-900, 1000),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10),
    st.lists(st.integers(-(2**53), 2**53), max_size=10),
)
def test_integer_properties(
    bits: int, signed: bool, narrow: bool, fraction_bits: int, floats: list[float], integers: list[int]
) -> None:
    spec = IntegerSpec(bits=bits, signed=signed, narrow=narrow and bits > 1, fraction_bits=fraction_bits)
    inside = [math.ldexp(integer, min(bits, 53) - 54 - fraction_bits) for integer in integers]
    values = np.sort(np.array(floats + inside))
    compare(spec, values)
    decoded = spec.decode(spec.encode(values))
    assert (np.diff(decoded) >= 0).all()
    if bits <= 53:
        assert np.array_equal(spec.decode(spec.encode(decoded)), decoded)
    assert formats.named(spec.name) == spec


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"bits": 0}, ValueError, "bits must be in 1..64, not 0"),
        ({"bits": 65}, ValueError, "bits must be in 1..64, not 65"),
        ({"bits": 64, "signed": False}, ValueError, "bits must be in 1..63, not 64"),
        ({"bits": "8"}, TypeError, "bits must be an int, not '8'"),
        ({"bits": 8, "signed": 0}, TypeError, "signed must be a bool, not 0"),
        ({"bits": 8, "narrow": 1}, TypeError, "narrow must be a bool, not 1"),
        ({"bits": 1, "narrow": True}, ValueError, "bits must be at least 2 for a narrow range, not 1"),
        ({"bits": 8, "fraction_bits": 1001}, ValueError, "fraction_bits must be in -900..1000, not 1001"),
        (
            {"bits": 8, "narrow": True, "zero_point": -128},
            ValueError,
            "zero_point must be in -127..127, not -128",
        ),
        ({"bits": 8, "zero_point": 128}, ValueError, "zero_point must be in -128..127, not 128"),
        ({"bits": 8, "signed": False, "zero_point": -1}, ValueError, "zero_point must be in 0..255, not -1"),
        ({"bits": 63, "zero_point": 1}, ValueError, "zero_point must be in 0..0, not 1"),
        ({"bits": 8, "zero_point": 1.0}, TypeError, "zero_point must be an int, not 1.0"),
        ({"bits": 8, "fraction_bits": 0.5}, TypeError, "fraction_bits must be an int, not 0.5"),
    ],
)
def test_integer_fields_wrong(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        IntegerSpec(**fields)


def test_integer_codes_wrong() -> None:
    with pytest.raises(ValueError, match=r"^codes of int4 must be in 0\.\.2\*\*4 - 1, not 16$"):
        IntegerSpec(bits=4).decode([3, 16])
    with pytest.raises(TypeError, match=r"^codes of int4 must be integers, not float64$"):
        IntegerSpec(bits=4).unpack([1.0])


def test_integer_values_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"^values to encode as int4, which has no NaN, must not be NaN, as that at \(1,\) is$"
    ):
        IntegerSpec(bits=4).encode([1.0, math.nan])
    with pytest.raises(ValueError, match=r"^values to wrap into int4 must be finite, not infinite$"):
        IntegerSpec(bits=4).encode([1.0, math.inf], overflow=Overflow.WRAP)


def test_integer_overflow_wrong() -> None:
    with pytest.raises(ValueError, match=r"^overflow must be 'saturate' or 'wrap' for int4, not 'infinity'$"):
        IntegerSpec(bits=4).encode([1.0], overflow="infinity")
    with pytest.raises(ValueError, match=r"^overflow must be 'saturate' or 'wrap' for int4, not 'propagate'$"):
        IntegerSpec(bits=4).encode([1.0], overflow="propagate")
    with pytest.raises(
        ValueError, match=r"^overflow must be 'saturate' for the narrow range of int4_narrow, not 'wrap'$"
    ):
        IntegerSpec(bits=4, narrow=True).encode([1.0], overflow="wrap")
