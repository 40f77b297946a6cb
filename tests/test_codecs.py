# SPDX-License-Identifier: Apache-2.0
"""The job that writes decoders and encoders: what it writes, what it compares, and what it refuses."""

from pathlib import Path

import pytest

from hwsim.codecs import EncoderRules, write_codec


def test_codecs_decoder(tmp_path: Path) -> None:
    report = write_codec("posit8_2", "decoder", tmp_path / "new" / "folder", simulator="icarus")
    assert report["module"] == "decode_posit8_2"
    assert report["verified_vectors"] == 256
    text = Path(report["files"][0]).read_text()
    assert "module decode_posit8_2(" in text
    assert report["simulator"] == "icarus"
    assert "PASS: decode_posit8_2: 256 rows compared" in report["checks"]["testbench in plain Verilog"]
    text = (tmp_path / "new" / "folder" / "README.md").read_text()
    assert "Decodes a code of posit8_2: significand \\* 2\\*\\*(exponent - 27), negated where negative is set." in text
    assert len((tmp_path / "new" / "folder" / "expected.mem").read_text().split()) == 256


def test_codecs_without_a_check_has_no_vectors(tmp_path: Path) -> None:
    report = write_codec("nf4", "decoder", tmp_path, clock_mhz=200)
    names = {Path(file).name for file in report["files"]}
    assert {"decode_nf4.v", "decode_nf4.sdc", "block_diagram.svg", "README.md", "lint.vlt"} <= names
    assert "decode_nf4_tb.v" not in names
    assert "-period 5.000" in (tmp_path / "decode_nf4.sdc").read_text()


def test_codecs_encoder(tmp_path: Path) -> None:
    rules = EncoderRules(source="bfloat16", rounding="stochastic", random_bits=6)
    report = write_codec("float4_e2m1fn", "encoder", tmp_path, rules=rules, simulator="icarus")
    assert report["module"] == "encode_float4_e2m1fn_from_bfloat16_stochastic_r6_saturate"
    assert report["verified_vectors"] >= 900
    assert "input  random        6" in Path(report["files"][0]).read_text()


def test_codecs_block_and_phase(tmp_path: Path) -> None:
    assert write_codec("mxfp4", "decoder", tmp_path, simulator="icarus")["verified_vectors"] == 1 << 12
    report = write_codec("ifairy", "encoder", tmp_path, simulator="icarus")
    assert report["module"] == "encode_phase4_from_float32"
    assert report["verified_vectors"] >= 10_000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nf4", "coder"), ValueError, "part must be 'unit', 'decoder' or 'encoder', not 'coder'"),
        (("mxfp4", "encoder"), ValueError, "mxfp4 has no encoder of its own: take that of its elements, float4_e2m1fn"),
        (("nf5", "decoder"), KeyError, "unknown format 'nf5': did you mean nf4"),
    ],
)
def test_codecs_argument_wrong(
    tmp_path: Path, arguments: tuple[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_codec(*arguments, tmp_path)
    assert not list(tmp_path.iterdir())


def test_codecs_rules_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="source must be a float format, not int8"):
        write_codec("nf4", "encoder", tmp_path, rules=EncoderRules(source="int8"))
    with pytest.raises(ValueError, match="random_bits"):
        write_codec("nf4", "encoder", tmp_path, rules=EncoderRules(rounding="stochastic"))
    with pytest.raises(ValueError, match="verify must be False for float32: only formats of up to 16 bits"):
        write_codec("float32", "decoder", tmp_path, verify=True)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="must be a folder, and is a file"):
        write_codec("nf4", "decoder", file)
