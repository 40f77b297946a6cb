# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath.decode import decode, decode_exact, decode_register, point_bits
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, code_dtype

_SMALL = [name for name in formats.names() if formats.named(name).bits <= 8]

_P3109 = ["binary8p4se", "binary8p3se", "binary8p4ue", "binary6p1ue", "binary8p1uf", "binary12p5se"]
_OFFSET = ["uint8_z128", "int6_zm5", "ufixed5_2_narrow_z30"]


def _scalar(name: str) -> ScalarSpec:
    spec = formats.named(name)
    return spec.element if isinstance(spec, BlockSpec) else spec


@pytest.mark.parametrize("name", [*_SMALL, "float16", "bfloat16", "int12", "uint9", "fixed12_8", *_P3109, *_OFFSET])
def test_decode_every_code(name: str, interpreted: bool) -> None:
    spec = _scalar(name)
    codes = np.arange(0, 1 << spec.bits, 97 if interpreted and spec.bits > 8 else 1, dtype=code_dtype(spec.bits))
    found = decode(spec, codes)
    expected = [decode_exact(spec, int(code)) for code in codes]
    assert found.special.tolist() == [term.special for term in expected]
    numbers = [i for i, term in enumerate(expected) if not term.special]
    assert found.significand.tolist() == [term.significand for term in expected]
    assert found.exponent[numbers].tolist() == [expected[i].exponent for i in numbers]
    leads = {expected[i].lead - expected[i].exponent for i in numbers}
    assert leads == {point_bits(spec)}


@pytest.mark.parametrize("name", ["float32", "tfloat32", "float64", "int32", "int64"])
def test_decode_wide_codes(name: str) -> None:
    spec = _scalar(name)
    source = random.Random(name)
    codes = [source.getrandbits(spec.bits) for _ in range(2_000)]
    codes += [0, 1, (1 << spec.bits) - 1, 1 << (spec.bits - 1), (1 << (spec.bits - 1)) - 1]
    found = decode(spec, np.array(codes, np.uint64))
    for at, code in enumerate(codes):
        term = decode_exact(spec, code)
        assert (found.significand[at], found.special[at]) == (term.significand, term.special)
        assert term.special or found.exponent[at] == term.exponent


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float8_e4m3fn", ml_dtypes.float8_e4m3fn),
        ("float8_e5m2", ml_dtypes.float8_e5m2),
        ("float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
        ("float8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
        ("float8_e3m4", ml_dtypes.float8_e3m4),
        ("float8_e8m0fnu", ml_dtypes.float8_e8m0fnu),
        ("int8", np.int8),
    ],
)
def test_decode_values_are_ml_dtypes(name: str, dtype: type) -> None:
    spec = _scalar(name)
    values = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float64)
    for code, value in enumerate(values):
        term = decode_exact(spec, code)
        if np.isnan(value):
            assert term.special == NAN
        elif np.isinf(value):
            assert term.special == (POSITIVE_INFINITY if value > 0 else NEGATIVE_INFINITY)
        else:
            assert term.special == 0
            assert Fraction(term.significand) * Fraction(2) ** term.exponent == Fraction(value)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e5m2", "float8_e3m4", "float32", "float64"])
def test_decode_register_equals_oracle(name: str) -> None:
    spec = _scalar(name)
    assert isinstance(spec, FloatSpec)
    source = random.Random(name)
    codes = range(1 << spec.bits) if spec.bits <= 8 else [source.getrandbits(spec.bits) for _ in range(3_000)]
    edges = [0, spec.inf_code, spec.nan_code, spec.max_magnitude_code, 1, 1 << spec.man_bits]
    edges += [code | 1 << (spec.bits - 1) for code in edges]
    for code in [*codes, *edges]:
        signed = int(np.uint64(code).astype(np.int64))
        significand, exponent, special = decode_register(signed, spec.exp_bits, spec.man_bits, spec.bias)
        term = decode_exact(spec, code)
        assert (significand, special) == (term.significand, term.special)
        assert special or exponent == term.exponent


def test_decode_lead_is_the_place_before_the_point() -> None:
    # 1.5 and the smallest subnormal of E5M2; 1 as int8, and as uint4 with two fraction bits.
    assert decode_exact(_scalar("float8_e5m2"), 0x3E).lead == 0
    assert decode_exact(_scalar("float8_e5m2"), 0x01).lead == -14
    assert decode_exact(_scalar("int8"), 1).lead == 7
    assert decode_exact(_scalar("ufixed4_2"), 4).lead == 1


def test_decode_codes_wrong() -> None:
    with pytest.raises(TypeError, match=r"^codes of int4 must be integers, not float64$"):
        decode(_scalar("int4"), [1.0])
    with pytest.raises(ValueError, match=r"^codes of int4 must be in 0\.\.2\*\*4 - 1, not 16$"):
        decode(_scalar("int4"), [16])
