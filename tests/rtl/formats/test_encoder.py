# SPDX-License-Identifier: Apache-2.0
import re
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from rtl.formats import Encoder
from testbenches.codecs import check, encoder_work, round_trip_work, rules, scalars

_ALL_MODES = ("float8_e4m3fn", "float8_e8m0fnu", "binary8p4se", "int8", "posit8_1", "nf4")
_TWO_MODES = ("float8_e5m2", "float8_e4m3fnuz", "float4_e2m1fn", "uint8_z128", "posit8_2", "bnb_fp4", "ternary")


def _scalar(name: str) -> Any:
    [spec] = [spec for spec in scalars() if spec.name == name]
    return spec


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def test_encoder_steps_of_all_modes_and_rules(simulator: str) -> None:
    two = (Rounding.NEAREST_EVEN, Rounding.STOCHASTIC)
    works = [work for name in _ALL_MODES for work in encoder_work(_scalar(name), most=60)]
    works += [work for name in _TWO_MODES for work in encoder_work(_scalar(name), most=60, modes=two)]
    report = check(works, simulator)
    rule_counts = [sum(len(rules(_scalar(name))) for name in names) for names in (_ALL_MODES, _TWO_MODES)]
    assert report.modules == 7 * rule_counts[0] + 2 * rule_counts[1]
    assert report.compared >= 150 * report.modules > 20_000


def test_encoder_of_decoded_code_is_that_code(simulator: str) -> None:
    found = [spec for spec in scalars(8) if spec.bits <= 3 or spec.name in formats.names()]
    report = check([round_trip_work(spec) for spec in found], simulator)
    assert report.modules == len(found) >= 60
    assert report.compared > 3_000


@pytest.mark.parametrize(("name", "source"), [("float8_e4m3fn", "bfloat16"), ("posit16_1", "float16")])
def test_encoder_every_value_of_16_bits(simulator: str, name: str, source: str) -> None:
    works = encoder_work(_scalar(name), _float(source), codes=np.arange(1 << 16), modes=[Rounding.NEAREST_EVEN])
    report = check(list(works), simulator)
    assert report.compared == len(rules(_scalar(name))) << 16


@pytest.mark.parametrize("random_bits", [1, 4, 24, 32])
def test_encoder_stochastic_word_widths(simulator: str, random_bits: int) -> None:
    works = [
        work
        for name in ("float8_e4m3fn", "int8", "posit8_2", "nf4")
        for work in encoder_work(_scalar(name), modes=[Rounding.STOCHASTIC], random_bits=random_bits, most=150)
    ]
    assert check(works, simulator).compared > 2_000


@pytest.mark.slow
@pytest.mark.parametrize("bits", range(1, 9))
def test_encoder_every_step(simulator: str, bits: int) -> None:
    found = [spec for spec in scalars(8) if spec.bits == bits]
    for spec in found:
        works = [*encoder_work(spec), round_trip_work(spec)]
        report = check(works[:-1])
        assert report.modules == 7 * len(rules(spec))
        assert report.compared >= 500 * report.modules
        check(works[-1:], simulator)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float16", "bfloat16", "int16", "posit16_1", "posit16_2"])
def test_encoder_every_step_of_wide_formats(simulator: str, name: str) -> None:
    spec = _scalar(name)
    report = check([*encoder_work(spec)])
    assert report.compared > 150_000 * report.modules
    assert check([round_trip_work(spec)], simulator).compared > 60_000


@pytest.mark.slow
@pytest.mark.parametrize("source", ["float16", "bfloat16"])
def test_encoder_every_value_of_16_bits_in_all_modes(source: str) -> None:
    for name in (*_ALL_MODES, *_TWO_MODES):
        codes = np.arange(1 << 16)
        spec = _scalar(name)
        if not spec.has_nan:
            codes = codes[~np.isnan(_float(source).decode(codes))]
        report = check([*encoder_work(spec, _float(source), codes=codes)])
        assert report.compared >= report.modules * 60_000


@pytest.mark.parametrize(
    ("name", "expected"), [("int8", 0), ("uint8_z128", 128), ("float4_e2m1fn", 7), ("nf4", 15), ("ternary", 1)]
)
def test_encoder_nan_of_formats_without(evaluate: Any, name: str, expected: int) -> None:
    rows = [{"value": code} for code in (0x7FC00000, 0xFFC00000, 0x7F800001)]
    assert evaluate(Encoder(_scalar(name)), rows, "code") == [expected] * 3


def test_encoder_infinity_of_integers_that_wrap(evaluate: Any) -> None:
    encoder = Encoder(IntegerSpec(bits=8), overflow="wrap")
    assert evaluate(encoder, [{"value": 0x7F800000}, {"value": 0xFF800000}], "code") == [0, 0]


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (TypeError, {"source": 32}, "source must be a FloatSpec, not 32"),
        (
            ValueError,
            {"source": "float8_e4m3fn"},
            "source must have a sign, subnormals and IEEE specials, not float8_e4m3fn",
        ),
        (ValueError, {"random_bits": 4}, "random_bits must be 0 for nearest_even, not 4"),
        (ValueError, {"rounding": "stochastic"}, "random_bits must be 1..32 for stochastic, not 0"),
        (ValueError, {"overflow": Overflow.WRAP}, "overflow must be anything but 'wrap' for float8_e5m2"),
    ],
)
def test_encoder_arguments_wrong(error: type[Exception], arguments: dict[str, Any], message: str) -> None:
    if isinstance(arguments.get("source"), str):
        arguments = {"source": _float(arguments["source"])}
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        Encoder(_float("float8_e5m2"), **arguments)


def test_encoder_format_wrong() -> None:
    block: Any = formats.named("mxfp4")
    with pytest.raises(
        TypeError, match=r"^format must be a IntegerSpec or FloatSpec or PositSpec or CodebookSpec, not "
    ):
        Encoder(block)
