# SPDX-License-Identifier: Apache-2.0
import re
from typing import Any

import pytest

import rtl
from hwsim import formats
from hwsim.formats import PhaseSpec

_NAMES = ("int8", "float8_e4m3fn", "float8_e8m0fnu", "posit16_1", "nf4", "ternary", "phase4", "mxfp4", "nvfp4")


def _spec(name: str) -> Any:
    return PhaseSpec() if name == "phase4" else formats.named(name)


def _check(text: str, top: str) -> None:
    """Check that a text is plain, whole and as its header says."""
    modules = re.findall(r"^module (\w+)\(", text, re.MULTILINE)
    assert modules[0] == top
    assert len(set(modules)) == len(modules) == text.count("endmodule")
    body = text[text.index("module ") :]
    assert set(re.findall(r"^  (\w+) \w+ \($", body, re.MULTILINE)) == set(modules[1:])
    assert not re.search(r"[\\$](?!signed|unsigned)|\binitial\b|\[-1:0\]", text)
    described = re.findall(r"^//   (input|output) +(\w+) +(\d+)$", text, re.MULTILINE)
    declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", body[: body.index("endmodule")], re.MULTILINE)
    assert described
    assert sorted(described) == sorted((way, port, str(int(high or 0) + 1)) for way, high, port in declared)


@pytest.mark.parametrize("name", _NAMES)
def test_verilog_of_decoder(name: str) -> None:
    spec: Any = _spec(name)
    text = rtl.decoder_verilog(spec)
    _check(text, f"decode_{name}")
    assert text == rtl.decoder_verilog(spec)


@pytest.mark.parametrize("name", _NAMES[:-2])
def test_verilog_of_encoder(name: str) -> None:
    spec: Any = _spec(name)
    rules = "" if name == "phase4" else "_nearest_even_saturate"
    _check(rtl.encoder_verilog(spec), f"encode_{name}_from_float32{rules}")


def test_verilog_header_of_codecs() -> None:
    fp8: Any = formats.named("float8_e4m3fn")
    text = rtl.decoder_verilog(fp8)
    assert "// Decodes a code of float8_e4m3fn:\n// significand * 2**(exponent - 10), negated where negative" in text
    text = rtl.encoder_verilog(fp8, rounding="stochastic", overflow="infinity", random_bits=12)
    _check(text, "encode_float8_e4m3fn_from_float32_stochastic_r12_infinity")
    assert "// Encodes a float32 as float8_e4m3fn; rounded stochastic, overflow: infinity.\n" in text
    assert "//   input  random       12\n" in text
