# SPDX-License-Identifier: Apache-2.0
"""Values and definitions in words."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from hwsim.formats import CodebookSpec, named
from hwsim.formats.catalog import entries
from hwsim.report.formats.facts import all_values, element
from hwsim.report.formats.text import code_text, definition, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (448.0, "448"),
        (0.0625, "0.0625"),
        (2.0**-9, "2^-9"),
        (-13 * 2.0**-14, "-13·2^-14"),
        (2.0**127, "2^127"),
        (-3 * 2.0**128, "-3·2^128"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "NaN"),
        (float(np.float32(0.6961928)), "0.6961928"),
        (1j, "i"),
        (-1j, "-i"),
        (-1 + 0j, "-1"),
        (0j, "0"),
        (1.5 - 2j, "1.5-2i"),
        (None, ""),
    ],
)
def test_text_of_a_value(value: complex | None, text: str) -> None:
    assert value_text(value) == text


def test_text_is_the_value() -> None:
    compared = 0
    for entry in entries():
        inner = element(entry.spec)
        if inner.bits > 8:
            continue
        for value in all_values(inner).tolist():
            if isinstance(value, complex) or not math.isfinite(value):
                continue
            text = value_text(value)
            match = re.fullmatch(r"(-?)(?:(\d+)·)?2\^(-?\d+)", text)
            if match is None:
                assert value in (float(text), float(np.float32(text))), (entry.name, value, text)
            else:
                size = int(match[2] or 1) * Fraction(2) ** int(match[3])
                assert Fraction(value) == (-size if match[1] else size), (entry.name, value, text)
            compared += 1
    assert compared > 3000


def test_text_of_a_code() -> None:
    assert (code_text(5, 3), code_text(5, 8), code_text(5, 9)) == ("0x5", "0x05", "0x005")


def test_text_defines_every_family() -> None:
    assert definition(named("float8_e4m3fn")) == [
        "code = s eeee mmm",
        "value = (-1)^s * 2^(e - 7) * (1 + m / 8)",
        "where e = 0: value = (-1)^s * 2^-6 * m / 8",
    ]
    assert definition(named("float8_e8m0fnu")) == ["code = eeeeeeee", "value = 2^(e - 127)"]
    assert definition(named("fixed12_8")) == ["value = integer * 2^-8, two's complement"]
    assert definition(named("nvfp4")) == [
        "value = element (float4_e2m1fn) * scale (float8_e4m3fn) * scale of the tensor (float32)",
        "16 elements along one axis share a scale; rule of the scale: amax",
    ]


@pytest.mark.parametrize(("name", "factor"), [("log2_4", 1), ("log2_3", 1), ("logsqrt2_4", 2), ("logsqrt2_5", 2)])
def test_text_definition_of_logarithms_is_what_encode_does(name: str, factor: int) -> None:
    """FQ-ViT's and RepQ-ViT's rounding, as the definition says it, on a million values, the last code being zero."""
    spec = named(name)
    assert isinstance(spec, CodebookSpec)
    value, encode, *_ = definition(spec)
    last = (1 << spec.bits) - 1
    assert f"value = 2^{'-q' if factor == 1 else '(-q / 2)'} for code q < {last}" in value
    assert f"code {last}, the last, stands for zero (ours)" in value
    assert f"q = round(-{'' if factor == 1 else '2 '}log2 v), at least 0; where q >= {last}" in encode
    values = np.random.default_rng(1).random(1_000_000) ** 3 * 2
    wanted = np.clip(np.rint(-factor * np.log2(values)), 0, last)
    assert np.array_equal(spec.encode(values), wanted)
    assert len(np.unique(wanted)) == last + 1
    assert spec.encode([0.0, -1.0]).tolist() == [last, last]
    assert spec.decode([last]) == 0


def test_text_definition_of_shifts_is_what_encode_does() -> None:
    shifts, spec = named("shiftadd4"), named("sulq4_0p01_m6p64_0p0")
    assert isinstance(shifts, CodebookSpec)
    assert isinstance(spec, CodebookSpec)
    text = definition(shifts)
    assert "encode to nearest: m = round(-log2 |v|), clipped to 0..7; zero goes to m = 7 (s = 0)" in text
    values = np.random.default_rng(2).normal(size=100_000)
    wanted = np.clip(np.rint(-np.log2(np.abs(values))), 0, 7) + 8 * (values < 0)
    assert np.array_equal(shifts.encode(values), wanted)
    assert shifts.encode([0.0]).tolist() == [7]
    assert "q = round((log2(v + 0.01) + 6.64) / d), clipped to 0..15; ties to the even q" in definition(spec)[2]
    positive = np.abs(values)
    codes = np.clip(np.rint((np.log2(positive + 0.01) + 6.64) / (6.64 / 15)), 0, 15)
    levels = 2.0 ** np.rint(-6.64 + codes * (6.64 / 15)) - 0.01
    assert spec.decode(spec.encode(positive)) == pytest.approx(levels, rel=1e-6)


def test_text_definition_of_another_codebook() -> None:
    other = CodebookSpec(name="log2_1", levels=(0.0, 1.0))
    assert definition(other) == ["value = levels[code], ties: even"]
    with pytest.raises(TypeError, match=r"^spec must be a format, not 3$"):
        definition(3)


def test_text_definition_of_a_float_gives_its_values() -> None:
    """Evaluate the printed formula at every code."""
    compared = 0
    for name in ("float8_e4m3fn", "float8_e5m2fnuz", "float8_e3m4", "float6_e3m2fn", "float4_e2m1fn", "float8_e5m3fnu"):
        spec = named(name)
        layout, normal, *small = definition(spec)
        fields = layout.removeprefix("code = ").replace(" ", "")
        formulas = [line.split("value = ")[1].replace("^", "**") for line in (normal, *small)]
        for code, value in enumerate(all_values(spec).tolist()):
            if not math.isfinite(value):
                continue
            bits = f"{code:0{len(fields)}b}"
            split = {key: [bit for bit, field in zip(bits, fields, strict=True) if field == key] for key in "sem"}
            held = {key: int("".join(part) or "0", 2) for key, part in split.items()}
            formula = formulas[held["e"] == 0 and len(formulas) > 1]
            assert eval(formula, {}, held) == value, (name, code)
            compared += 1
    assert compared > 900
