# SPDX-License-Identifier: Apache-2.0
"""FloatSpec's constants as printed in the sources, properties over random specs, and what it refuses."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.formats import FloatSpec, Overflow, Specials
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY
from hwsim.formats.rounding import DETERMINISTIC

# name: largest normal, smallest subnormal (smallest value of E8M0), bias, largest exponent of a power of two.
# OFP8 1.0, table 1, and OCP Microscaling Formats 1.0, tables 2 to 5; float16 and float32: IEEE 754-2019, table 3.5.
PRINTED = {
    "float8_e4m3fn": (448.0, 2.0**-9, 7, 8),
    "float8_e5m2": (57344.0, 2.0**-16, 15, 15),
    "float6_e3m2fn": (28.0, 2.0**-4, 3, 4),
    "float6_e2m3fn": (7.5, 2.0**-3, 1, 2),
    "float4_e2m1fn": (6.0, 0.5, 1, 2),
    "float8_e8m0fnu": (2.0**127, 2.0**-127, 127, 127),
    "float16": (65504.0, 2.0**-24, 15, 15),
    "float32": (2.0**127 * (2 - 2.0**-23), 2.0**-149, 127, 127),
    "float8_e4m3fnuz": (240.0, 2.0**-10, 8, 7),
    "float8_e5m2fnuz": (57344.0, 2.0**-17, 16, 15),
}
# Codes printed in OFP8 1.0, table 1 and 2: E4M3 NaN S.1111.111; E5M2 infinity S.11111.00, NaN S.11111.{01, 10, 11}.
PRINTED_SPECIALS = {
    "float8_e4m3fn": ([], [0x7F, 0xFF]),
    "float8_e5m2": ([0x7C, 0xFC], [0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]),
    "float6_e3m2fn": ([], []),
    "float6_e2m3fn": ([], []),
    "float4_e2m1fn": ([], []),
    "float8_e8m0fnu": ([], [0xFF]),
    "float8_e4m3fnuz": ([], [0x80]),
    "float8_e5m2fnuz": ([], [0x80]),
}


def float_spec(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


E4M3 = float_spec("float8_e4m3fn")
E2M1 = float_spec("float4_e2m1fn")
E8M0 = float_spec("float8_e8m0fnu")
FIELDS: dict[str, Any] = {"exp_bits": 4, "man_bits": 3, "bias": 7, "specials": Specials.FN}


@pytest.mark.parametrize("name", PRINTED)
def test_float_constants_printed(name: str) -> None:
    spec = float_spec(name)
    largest, smallest, bias, top = PRINTED[name]
    assert spec.name == name
    assert spec.max_value == largest
    assert spec.min_value == (-largest if spec.signed else smallest)
    assert spec.decode(np.array([int(spec.subnormals)]))[0] == smallest
    assert (spec.bias, spec.exp_max + spec.man_bits) == (bias, top)
    assert 2.0**spec.exp_min == smallest


@pytest.mark.parametrize("name", PRINTED_SPECIALS)
def test_float_specials_printed(name: str) -> None:
    spec = float_spec(name)
    infinities, nans = PRINTED_SPECIALS[name]
    values = spec.decode(np.arange(1 << spec.bits))
    assert np.flatnonzero(np.isinf(values)).tolist() == infinities
    assert np.flatnonzero(np.isnan(values)).tolist() == nans
    assert (spec.has_inf, spec.has_nan) == (bool(infinities), bool(nans))
    assert (spec.nan_code in nans) == spec.has_nan
    assert (spec.inf_code in infinities) == spec.has_inf


def test_float_ue5m3_maxima() -> None:
    # Bias 15 and no sign; the published readings differ in what the top codes are. PTX ISA 9.4: NaN 0xFF, 0xFE is
    # 1.75 * 2**16. arXiv:2609.02846: at most 61440. A third: every code a number.
    for name, largest in (("float8_e5m3fnu", 114688.0), ("float8_e5m3u", 61440.0), ("minifloat_e5m3u", 122880.0)):
        spec = float_spec(name)
        assert (spec.bits, spec.bias, spec.signed, spec.max_value) == (8, 15, False, largest)
        assert (spec.decode([0])[0], spec.decode([1])[0]) == (0, 2.0**-17)
        assert (spec.name, spec.min_value) == (name, 0)
    assert np.isnan(float_spec("float8_e5m3fnu").decode([0xFF])[0])
    assert float_spec("float8_e5m3fnu").decode([0xFE])[0] == 1.75 * 2**16


def test_float_qualcomm() -> None:
    # arXiv:2303.17951, section 2: bias 2**(e - 1), no infinity, only the code of negative zero is NaN.
    for exp_bits in range(2, 7):
        spec = float_spec(f"float8_e{exp_bits}m{7 - exp_bits}fnuz")
        assert (spec.bias, spec.nan_code, spec.has_inf) == (2 ** (exp_bits - 1), 0x80, False)
        assert np.flatnonzero(np.isnan(spec.decode(np.arange(256)))).tolist() == [0x80]


def test_float_constants_finfo() -> None:
    compared = 0
    for name in formats.names():
        spec = formats.named(name)
        kind = getattr(ml_dtypes, name, getattr(np, name, None))
        if not isinstance(spec, FloatSpec) or kind is None:
            continue
        finfo: Any = np.finfo if name in ("float16", "float32", "float64") else ml_dtypes.finfo
        info = finfo(kind)
        assert (spec.bits, spec.man_bits, spec.exp_bits) == (
            info.bits,
            info.nmant,
            info.bits - info.nmant - spec.signed,
        )
        assert spec.max_value == float(info.max)
        assert spec.min_value == float(info.min)
        assert 2.0**spec.exp_low == float(info.smallest_normal)
        assert spec.decode(np.array([int(spec.subnormals)]))[0] == float(info.smallest_subnormal)
        compared += 1
    assert compared == 15


def test_float_overflow_printed() -> None:
    # OFP8 1.0, table 3: both modes, for infinities and for what lies beyond the largest value.
    values = np.array([np.inf, -np.inf, 1e6, -1e6, np.nan])
    e5m2 = float_spec("float8_e5m2")
    assert E4M3.encode(values, overflow="saturate").tolist() == [0x7E, 0xFE, 0x7E, 0xFE, 0x7F]
    assert E4M3.encode(values, overflow="infinity").tolist() == [0x7F, 0x7F, 0x7F, 0x7F, 0x7F]
    assert e5m2.encode(values, overflow="saturate").tolist() == [0x7B, 0xFB, 0x7B, 0xFB, 0x7E]
    assert e5m2.encode(values, overflow="infinity").tolist() == [0x7C, 0xFC, 0x7C, 0xFC, 0x7E]


def test_float_encode_signs() -> None:
    values = np.array([0.0, -0.0, -1e-30, -1.0])
    assert E4M3.encode(values).tolist() == [0, 0x80, 0x80, 0xB8]
    assert float_spec("float8_e4m3fnuz").encode(values).tolist() == [0, 0, 0, 0xC0]
    ue5m3 = float_spec("float8_e5m3fnu")
    assert ue5m3.encode(values).tolist() == [0, 0, 0, 0]
    assert ue5m3.encode(values, overflow="infinity").tolist() == [0, 0, 0, 0xFF]
    assert ue5m3.encode(values, "down", "infinity").tolist() == [0, 0, 0xFF, 0xFF]
    assert E8M0.encode(values).tolist() == [0, 0, 0, 0]
    assert E8M0.encode(values, overflow="infinity").tolist() == [0xFF] * 4
    flat = FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FINITE, subnormals=False)
    assert flat.encode(values).tolist() == [0, 8, 8, 8 | 2]
    assert flat.decode(np.arange(4)).tolist() == [0.5, 0.75, 1, 1.5]


def test_float_encode_shapes() -> None:
    assert E4M3.encode(1.0).shape == ()
    assert E4M3.encode(1.0).dtype == np.uint8
    assert E4M3.encode([]).shape == (0,)
    strided = np.arange(24.0).reshape(4, 6)[::2, ::3].T
    assert E4M3.decode(E4M3.encode(strided)).tolist() == [[0, 12], [3, 15]]
    assert E4M3.decode(np.uint8(0x38)).shape == ()
    assert [column.shape for column in E4M3.unpack(np.uint8(0x38))] == [()] * 3
    assert E4M3.decode(np.zeros((2, 0), np.uint8)).shape == (2, 0)
    for bits, dtype in ((8, np.uint8), (9, np.uint16), (17, np.uint32), (33, np.uint64)):
        spec = FloatSpec(exp_bits=5, man_bits=bits - 6, bias=15, specials=Specials.IEEE)
        assert spec.encode(np.ones(3)).dtype == dtype
    kinds = [np.float16, np.float32, np.int8, np.uint64, np.int64, np.bool_]
    for kind in [*kinds, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.int4]:
        assert E4M3.encode(np.ones(2).astype(kind)).tolist() == [0x38, 0x38]
    assert E4M3.encode(np.ones(2, ">f4")).tolist() == [0x38, 0x38]


def test_float_unpack() -> None:
    compared = 0
    for name in formats.names():
        spec = formats.named(name)
        if not isinstance(spec, FloatSpec) or spec.bits > 16:
            codes = np.random.default_rng(3).integers(0, 1 << 32, 5000).astype(np.uint32)
            spec = float_spec("float32")
        else:
            codes = np.arange(1 << spec.bits).astype(np.uint32)
        significand, exponent, special = spec.unpack(codes)
        assert [column.dtype.name for column in (significand, exponent, special)] == ["int64", "int64", "uint8"]
        values = spec.decode(codes)
        assert np.array_equal(special == NAN, np.isnan(values))
        assert np.array_equal(special == POSITIVE_INFINITY, values == np.inf)
        assert np.array_equal(special == NEGATIVE_INFINITY, values == -np.inf)
        assert np.array_equal(np.ldexp(significand.astype(np.float64), exponent)[special == 0], values[special == 0])
        assert (significand[special != 0] == 0).all()
        assert np.abs(significand).max() <= spec.max_significand < 1 << spec.sig_bits
        finite = special == 0
        assert (exponent[finite].min(), exponent[finite].max()) == (spec.exp_min, spec.exp_max)
        compared += codes.size
    assert compared > 2 * 65536 + 12 * 256


@st.composite
def specs(draw: st.DrawFn, most_bits: int = 10) -> FloatSpec:
    """Draw a valid spec of a few bits."""
    specials = draw(st.sampled_from(Specials))
    exp_bits = draw(st.integers(1, min(10, most_bits)))
    man_bits = draw(st.integers(0, min(52, most_bits - exp_bits)))
    signed, subnormals = draw(st.booleans()), draw(st.booleans())
    bias = draw(st.one_of(st.just((1 << (exp_bits - 1)) - 1), st.integers(max((1 << exp_bits) - 1023, -40), 1022)))
    if specials is Specials.IEEE:
        man_bits = max(man_bits, 1)
    if specials is Specials.FNUZ:
        signed = True
    if specials in (Specials.FNUZ, Specials.EXTENDED):
        subnormals = True
    if exp_bits + man_bits < 3:
        exp_bits = 3 - man_bits
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=man_bits,
        bias=min(bias, 1022),
        specials=specials,
        signed=signed,
        subnormals=subnormals,
    )


@given(specs(), st.lists(st.floats(allow_nan=False), min_size=1, max_size=20), st.data())
def test_float_properties(
    oracle: Callable[..., Any], spec: FloatSpec, given_values: list[float], data: st.DataObject
) -> None:
    reference = oracle(spec)
    inside = (
        st.floats(-2 * spec.max_value, 2 * spec.max_value) if spec.max_value < 1e300 else st.floats(allow_nan=False)
    )
    given_values = given_values + data.draw(st.lists(inside, max_size=20))
    # -0 before +0: a signed format without zero gives them its two smallest values.
    values = np.array(sorted(given_values, key=lambda value: (value, math.copysign(1.0, value))))
    rounding = data.draw(st.sampled_from(DETERMINISTIC))
    rules = [rule for rule in Overflow if rule is not Overflow.WRAP] if spec.has_nan else [Overflow.SATURATE]
    rule = data.draw(st.sampled_from(rules))
    codes = spec.encode(values, rounding, rule)
    assert np.array_equal(codes, reference.encode(values, rounding.value, rule.value))
    saturated = spec.encode(values, rounding)
    decoded = spec.decode(saturated)
    assert (np.diff(decoded) >= 0).all()
    assert np.array_equal(spec.encode(decoded, rounding), saturated)
    assert formats.named(spec.name) == spec


@given(specs(most_bits=62), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_float_nearest_wide(spec: FloatSpec, given_values: list[float]) -> None:
    values = np.array(given_values)
    if not spec.signed:
        values = np.abs(values)
    codes = spec.encode(values)
    size = spec.encode(np.abs(values))
    decoded = spec.decode(codes)
    assert np.array_equal(spec.encode(decoded), codes)
    for value, code, near in zip(values.tolist(), size.tolist(), decoded.tolist(), strict=True):
        error = abs(Fraction(value) - Fraction(near))
        for other in (int(code) - 1, int(code) + 1):
            if 0 <= other <= spec.max_magnitude_code:
                neighbour = Fraction(float(spec.decode(np.array(other))))
                assert error <= abs(abs(Fraction(value)) - neighbour)
    assert formats.named(spec.name) == spec


def test_float_name_distinct() -> None:
    seen: dict[str, FloatSpec] = {}
    for specials in Specials:
        for exp_bits in range(1, 6):
            for man_bits in range(5):
                for bias in (-3, 1, 3, 4, 7, 8):
                    for signed, subnormals in ((True, True), (True, False), (False, True), (False, False)):
                        try:
                            spec = FloatSpec(
                                exp_bits=exp_bits,
                                man_bits=man_bits,
                                bias=bias,
                                specials=specials,
                                signed=signed,
                                subnormals=subnormals,
                            )
                        except ValueError:
                            continue
                        assert seen.setdefault(spec.name, spec) == spec
                        assert formats.named(spec.name) == spec
    assert len(seen) == 2082


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"exp_bits": 0}, ValueError, "exp_bits must be in 1..11, not 0"),
        ({"exp_bits": True}, TypeError, "exp_bits must be an int, not True"),
        ({"man_bits": 53}, ValueError, "man_bits must be in 0..52, not 53"),
        ({"man_bits": 3.0}, TypeError, "man_bits must be an int, not 3.0"),
        ({"bias": 1075}, ValueError, "bias must be in -1000..1074, not 1075"),
        ({"bias": None}, TypeError, "bias must be an int, not None"),
        ({"specials": "fn"}, TypeError, "specials must be a Specials, not 'fn'"),
        ({"signed": 1}, TypeError, "signed must be a bool, not 1"),
        ({"subnormals": None}, TypeError, "subnormals must be a bool, not None"),
        (
            {"man_bits": 0, "specials": Specials.IEEE},
            ValueError,
            "man_bits must be at least 1 for IEEE specials, which tell NaN from infinity by it, not 0",
        ),
        (
            {"specials": Specials.FNUZ, "signed": False},
            ValueError,
            "specials FNUZ need a signed format with a zero: its NaN is the code of negative zero",
        ),
        ({"exp_bits": 1, "man_bits": 0}, ValueError, "exp_bits 1 and man_bits 0 leave no finite value but zero"),
        (
            {"exp_bits": 11, "bias": 1000},
            ValueError,
            "bias must keep every value a float64, not 1000 with 11 exponent bits and 3 mantissa bits",
        ),
        (
            {"bias": 1073},
            ValueError,
            "bias must keep every value a float64, not 1073 with 4 exponent bits and 3 mantissa bits",
        ),
        (
            {"specials": Specials.EXTENDED, "subnormals": False},
            ValueError,
            "specials EXTENDED need a format of at least 3 bits with a zero, not one of 8 bits with subnormals False",
        ),
        (
            {"specials": Specials.EXTENDED, "exp_bits": 1, "man_bits": 0},
            ValueError,
            "specials EXTENDED need a format of at least 3 bits with a zero, not one of 2 bits with subnormals True",
        ),
    ],
)
def test_float_fields_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        FloatSpec(**{**FIELDS, **change})


@pytest.mark.parametrize(
    ("codes", "error", "text"),
    [
        ([0, 256], ValueError, "codes of float8_e4m3fn must be in 0..2**8 - 1, not 256"),
        ([-1, 3], ValueError, "codes of float8_e4m3fn must be in 0..2**8 - 1, not -1"),
        (
            np.array([2**64 - 1], np.uint64),
            ValueError,
            f"codes of float8_e4m3fn must be in 0..2**8 - 1, not {2**64 - 1}",
        ),
        ([0.0], TypeError, "codes of float8_e4m3fn must be integers, not float64"),
        ([True], TypeError, "codes of float8_e4m3fn must be integers, not bool"),
    ],
)
def test_float_codes_wrong(codes: Any, error: type[Exception], text: str) -> None:
    for method in (E4M3.decode, E4M3.unpack):
        with pytest.raises(error, match=f"^{re.escape(text)}$"):
            method(codes)


def test_float_codes_narrow_wrong() -> None:
    with pytest.raises(ValueError, match=r"^codes of float4_e2m1fn must be in 0\.\.2\*\*4 - 1, not 16$"):
        E2M1.decode(np.array([16], np.uint8))


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ([1j], TypeError, "values to encode as float4_e2m1fn must be real numbers that fit float64, not complex128"),
        (["1"], TypeError, "values to encode as float4_e2m1fn must be real numbers that fit float64, not <U1"),
        ([2**70], TypeError, "values to encode as float4_e2m1fn must be real numbers that fit float64, not object"),
        (
            np.ones(1, np.longdouble),
            TypeError,
            f"values to encode as float4_e2m1fn must be real numbers that fit float64, not {np.dtype(np.longdouble)}",
        ),
        ([2**53 + 1], ValueError, f"integer values to encode as float4_e2m1fn must be within 2**53, not {2**53 + 1}"),
        ([1, -(2**63)], ValueError, f"integer values to encode as float4_e2m1fn must be within 2**53, not {-(2**63)}"),
        (
            np.array([2**64 - 1], np.uint64),
            ValueError,
            f"integer values to encode as float4_e2m1fn must be within 2**53, not {2**64 - 1}",
        ),
        (
            [[1.0, 2.0], [math.nan, 0.0]],
            ValueError,
            "values to encode as float4_e2m1fn, which has no NaN, must not be NaN, as that at (1, 0) is",
        ),
    ],
)
def test_float_values_wrong(values: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        E2M1.encode(values)


def test_float_overflow_wrong() -> None:
    with pytest.raises(ValueError, match=r"^overflow must be anything but 'wrap' for float8_e4m3fn$"):
        E4M3.encode([1.0], overflow="wrap")
    with pytest.raises(
        ValueError, match=r"^overflow must be 'saturate' for float4_e2m1fn, which has no NaN, not 'infinity'$"
    ):
        E2M1.encode([1.0], overflow=Overflow.INFINITY)
