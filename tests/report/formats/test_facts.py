# SPDX-License-Identifier: Apache-2.0
"""Facts of formats beside what numpy, ml_dtypes and the published tables say."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hwsim.formats import BlockSpec, named
from hwsim.formats.catalog import entries
from hwsim.report.formats.facts import (
    Binade,
    all_values,
    element,
    ends,
    entry_of,
    facts,
    families,
    family,
    landmarks,
    never_made,
    runs,
)

# Maximum and smallest subnormal: ml_dtypes; the MX blocks': INT v.s. FP (arXiv:2510.25602), table 1, by E8M0's ends.
ML_DTYPES = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
)
BLOCKS = {
    "mxfp8_e4m3": (448.0, 2.0**-9),
    "mxfp6_e2m3": (7.5, 0.125),
    "mxfp4": (6.0, 0.5),
    "nvfp4": (6.0, 0.5),
    "nvint4": (7.0, 1.0),
}
FINFO: Any = ml_dtypes.finfo
E8M0 = (2.0**127, 2.0**-127)
E4M3 = (448.0, 2.0**-9)


@pytest.mark.parametrize("name", ML_DTYPES)
def test_facts_ends_are_those_of_ml_dtypes(name: str) -> None:
    info = FINFO(getattr(ml_dtypes, name))
    largest, lowest, smallest = ends(named(name))
    assert largest == float(info.max)
    assert lowest == float(info.min)
    assert smallest == float(info.smallest_subnormal)


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_facts_ends_are_those_of_numpy(name: str) -> None:
    info = np.finfo(name)
    assert ends(named(name)) == (float(info.max), float(info.min), float(info.smallest_subnormal))


@pytest.mark.parametrize("name", BLOCKS)
def test_facts_ends_of_blocks(name: str) -> None:
    high, low = E8M0 if name.startswith("mx") else E4M3
    largest, smallest = BLOCKS[name]
    assert ends(named(name)) == (largest * high, -largest * high, smallest * low)


COUNTED = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int8", "uint4")


@pytest.mark.parametrize(("name", "largest"), [("posit4_1", 16.0), ("posit8_0", 64.0), ("posit16_1", 2.0**28)])
def test_facts_ends_of_posits(name: str, largest: float) -> None:
    """XR-NPE (arXiv:2508.13049) uses these; a posit's smallest positive value is the reciprocal of its largest."""
    assert ends(named(name)) == (largest, -largest, 1 / largest)


def test_facts_ends_without_positive_values() -> None:
    assert ends(named("int1")) == (0.0, -1.0, None)
    assert facts("int1").binades == ()


def test_facts_ends_are_values() -> None:
    compared = 0
    for entry in entries():
        inner = element(entry.spec)
        if inner.bits > 16 or not hasattr(inner, "max_value"):
            continue
        values = all_values(inner)
        values = values[np.isfinite(values)]
        largest, _, smallest = ends(inner)
        assert largest == inner.max_value, entry.name
        assert smallest == values[values > 0].min(), entry.name
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("name", COUNTED)
def test_facts_binades_count_every_positive_value(name: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, name, name))
    bits = {1: np.uint8, 2: np.uint16}[kind.itemsize]
    codes = np.arange(1 << named(name).bits, dtype=bits)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = codes.view(kind).astype(np.float64)
    positive = values[np.isfinite(values) & (values > 0)]
    exponents = [int(f"{value.hex().split('p')[1]}") for value in positive.tolist()]
    found = {binade.exponent: binade.count for binade in facts(name).binades}
    assert found == {exponent: exponents.count(exponent) for exponent in set(exponents)}
    assert list(found) == sorted(found)
    assert len(positive) == sum(found.values())


@pytest.mark.parametrize("name", ["float32", "float64", "int32"])
def test_facts_binades_of_wide_formats(name: str) -> None:
    kind = np.dtype(name)
    largest = np.array(np.iinfo(kind).max if kind.kind == "i" else np.finfo(kind).max, kind)
    found = facts(name).binades
    assert sum(binade.count for binade in found) == int(largest.view(f"u{kind.itemsize}"))
    if kind.kind == "i":
        assert [(binade.exponent, binade.count) for binade in found] == [(e, 1 << e) for e in range(31)]
        return
    digits = np.finfo(kind).nmant
    low = np.finfo(kind).minexp
    for binade in found:
        assert binade.count == 1 << min(digits, digits + binade.exponent - low)
    assert found[0].exponent == low - digits
    assert found[-1].exponent == np.finfo(kind).maxexp - 1


def test_facts_binades_of_wide_integers() -> None:
    assert [(b.exponent, b.count) for b in facts("uint63").binades] == [(e, 1 << e) for e in range(63)]
    assert [b.count for b in facts("int64").binades] == [1 << e for e in range(63)]
    offset = facts("uint20_z1000").binades  # the largest is 2**20 - 1 - 1000
    assert sum(b.count for b in offset) == (1 << 20) - 1001
    assert [b.exponent for b in facts("fixed24_8").binades] == list(range(-8, 15))


def test_facts_significant_bits() -> None:
    assert [b.significant_bits for b in facts("int4").binades] == [1, 2, 3]
    assert facts("float32").binades[-1].significant_bits == 24
    assert facts("float8_e4m3fn").binades[-1].significant_bits == 1 + np.log2(7)


def test_facts_specials() -> None:
    assert facts("float8_e5m2").specials == {
        "NaN": "0x7d to 0x7f, 0xfd to 0xff",
        "infinity": "0x7c",
        "negative infinity": "0xfc",
        "zero": "0x00",
        "negative zero": "0x80",
    }
    assert facts("float8_e4m3fnuz").specials == {"NaN": "0x80", "zero": "0x00"}
    assert facts("float32").specials["infinity"] == "0x7f800000"
    assert facts("int8").specials == {"zero": "0x00"}
    assert facts("float8_e8m0fnu").specials == {"NaN": "0xff"}


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("int8_narrow", [128]),
        ("int32_narrow", [1 << 31]),
        ("uint4_narrow", [15]),
        ("uint20_narrow", [(1 << 20) - 1]),
        ("mxint8", [128]),
        ("nvint4", [8]),
        ("ternary", [2]),
        ("int8", []),
        ("float8_e5m2", []),
        ("phase4", []),
    ],
)
def test_facts_never_made(name: str, codes: list[int]) -> None:
    about = facts(name)
    assert never_made(about.entry.spec) == codes
    digits = -(-element(about.entry.spec).bits // 4)
    assert about.specials.get("decoded, never made", "") == ", ".join(f"0x{code:0{digits}x}" for code in codes)


def test_facts_lowest_is_that_of_the_codes_that_are_made() -> None:
    compared = 0
    for entry in entries():
        inner = element(entry.spec)
        if inner.bits > 16 or not hasattr(inner, "max_value"):
            continue
        values = np.delete(all_values(inner), never_made(inner))
        assert ends(inner)[1] == values[np.isfinite(values)].min(), entry.name
        compared += 1
    assert compared > 80


def test_facts_element_values() -> None:
    found = facts("bitmod_fp3_g128").as_dict()["element_values"]
    assert [values[4] for values in found.values()] == [3, -3, 6, -6]
    assert "element_values" not in facts("mxfp4").as_dict()


def test_facts_rules_are_those_that_encode_takes() -> None:
    about = facts("int8")
    assert "wrap" in about.overflow
    assert "infinity" not in about.overflow
    assert "wrap" not in facts("float8_e4m3fn").overflow
    assert "infinity" not in facts("float4_e2m1fn").overflow
    assert {"nearest_even", "to_odd"} <= set(about.rounding)
    assert facts("mxfp4").rounding == ()


def test_facts_landmarks() -> None:
    found = {what: (code, value) for what, code, value in landmarks(named("bfloat16"))}
    assert found["one"] == (0x3F80, 1.0)
    assert found["largest"] == (0x7F7F, float(FINFO(ml_dtypes.bfloat16).max))
    assert found["smallest positive"] == (0x0001, 2.0**-133)
    assert "one" not in {what for what, *_ in landmarks(named("fixed8_m4"))}


def test_facts_of_every_format_are_json() -> None:
    compared = 0
    for entry in entries():
        about = facts(entry.spec)
        found = json.loads(json.dumps(about.as_dict(), allow_nan=False))
        assert found["name"] == entry.name
        assert found["source"]
        assert found["summary"]
        if about.largest is not None:
            assert about.smallest is not None
            assert 0 < about.smallest <= about.largest
        if element(entry.spec).bits <= 8:
            assert len(found["values"]) == 1 << element(entry.spec).bits
        compared += 1
    assert compared == len(entries()) >= 41


def test_facts_values_asked_for() -> None:
    assert "values" not in facts("float16").as_dict()
    assert len(facts("float16").as_dict(codes=True)["values"]) == 1 << 16
    with pytest.raises(ValueError, match=r"^codes are listed for formats of up to 16 bits, not float32 of 32$"):
        facts("float32").as_dict(codes=True)


def test_facts_of_a_pattern() -> None:
    entry = entry_of("minifloat_e3m3")
    assert (entry.name, entry.family, entry.source) == ("minifloat_e3m3", "float", "")
    assert entry_of("fp8_e4m3").name == "float8_e4m3fn"
    assert isinstance(entry_of("mxfp4_b16").spec, BlockSpec)
    assert entry_of("mxfp4_b16").family == "block"


def test_facts_families() -> None:
    assert set(families()) >= {"integer", "float", "block"}
    assert sum(len(family(name)) for name in families()) == len(family(None)) == len(entries())
    assert {entry.name for entry in family("integer")} >= {"int8", "uint4"}


def test_facts_family_wrong() -> None:
    with pytest.raises(KeyError, match="unknown family 'flat': the catalog has integer, float"):
        family("flat")


def test_facts_runs() -> None:
    binades = [Binade(exponent=e, count=n) for e, n in ((0, 1), (1, 2), (2, 2), (4, 2), (5, 3))]
    assert [(a.exponent, b.exponent) for a, b in runs(binades)] == [(0, 0), (1, 2), (4, 4), (5, 5)]
