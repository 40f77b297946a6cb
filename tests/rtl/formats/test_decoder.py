# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

import rtl
from hwsim import formats
from testbenches.codecs import check, decoder_work, scalars

_WIDE = ("float16", "bfloat16", "int16", "posit16_1", "posit16_2")


def test_decoder_every_code_of_small_formats(simulator: str) -> None:
    found = [spec for spec in scalars(8) if spec.bits <= 5 or spec.name in formats.names()]
    report = check([decoder_work(spec) for spec in found], simulator)
    assert report.modules == len(found) >= 120
    assert report.compared == sum(1 << spec.bits for spec in found)


def test_decoder_every_code_of_wide_formats(simulator: str) -> None:
    found = [spec for spec in scalars() if spec.name in _WIDE]
    report = check([decoder_work(spec) for spec in found], simulator)
    assert report.compared == len(_WIDE) << 16


@pytest.mark.slow
def test_decoder_every_code(simulator: str) -> None:
    found = scalars()
    report = check([decoder_work(spec) for spec in found], simulator)
    assert report.modules == len(found) >= 300
    assert report.compared == sum(1 << spec.bits for spec in found) > 900_000


@pytest.mark.parametrize("name", ["int8", "float8_e5m2", "posit8_1", "nf4"])
def test_decoder_has_flags_of_its_format_only(name: str) -> None:
    spec: Any = formats.named(name)
    text = rtl.decoder_verilog(spec)
    assert ("output nan" in text) == spec.has_nan
    assert ("output infinite" in text) == spec.has_inf
    assert ("output negative" in text) == (name != "int8")
