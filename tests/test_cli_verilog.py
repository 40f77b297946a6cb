# SPDX-License-Identifier: Apache-2.0
"""`hwsim verilog`, through the command line."""

import json
import re
from pathlib import Path

import pytest

from hwsim import delivery
from hwsim.cli import main


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, captured.out, captured.err


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = _run(capsys, *arguments)
    lines = err.splitlines()
    assert status == 2
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("hwsim: error: ")
    assert "Traceback" not in err
    return lines[0].removeprefix("hwsim: error: ")


def test_cli_verilog(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = _run(capsys, "verilog", "int4", "-o", str(tmp_path / "int4"), "--verify", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["unit"] == "int4_l1_int32"
    assert report["verified_vectors"] >= 256
    assert all(Path(file).is_file() for file in report["files"])
    assert any(file.endswith(".v") for file in report["files"])
    assert len(report["checks"]) == 4
    text = (tmp_path / "int4" / "README.md").read_text()
    for result in report["checks"].values():
        assert "not run when" not in result
        assert result in text


def test_cli_verilog_block(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "new")
    status, out, _ = _run(capsys, "verilog", "add16_sklansky", "-o", folder, "--clock-mhz", "400", "--json")
    assert status == 0
    report = json.loads(out)
    assert (report["block"], report["latency_cycles"]) == ("add16_sklansky", 0)
    assert "-period 2.500" in (tmp_path / "new" / "add16_sklansky.sdc").read_text()
    message = _wrong(capsys, "verilog", "add16_sklanski", "-o", folder)
    assert message.startswith("unknown 'add16_sklanski': did you mean the block add16_sklansky")
    message = _wrong(capsys, "verilog", "add16_sklansky", "-o", folder, "--pipeline", "2")
    assert message == "pipeline must not be given for the block add16_sklansky: it is what its name says"
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--architecture", "wallace")
    assert message.startswith("unknown architecture 'wallace'; there are tool, booth_heap")
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--array", "systolic")
    assert message.startswith("array must be one of output_stationary, weight_stationary, input_stationary, broadcast,")
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--array", "broadcast", "--rows", "0")
    assert message == "rows must be in 1..4096, not 0"
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--array", "broadcast", "--pipeline", "33")
    assert message.startswith("pipeline must be in 1..32 for int4_l1_int32 (multiply, accumulate; beyond 2")
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--array", "broadcast", "--name", "module")
    assert message.startswith("name must be an identifier of Verilog")
    message = _wrong(capsys, "verilog", "int4", "-o", folder, "--clock-mhz", "0")
    assert message == "clock_mhz must be above 0 and at most 100000, not 0.0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("int4", "--rows", "4"), "rows must not be given without array"),
        (("int4", "--depth", "2"), "depth must not be given without array"),
        (("int4", "--name", "4x"), "name must be an identifier of Verilog"),
        (("int4", "--rounding", "down"), "must not be given for a unit: they are an encoder's"),
        (("posit8_2", "--part", "decoder", "--rounding", "down"), "must not be given for a decoder"),
        (("posit8_2", "--part", "decoder", "--pipeline", "2"), "pipeline must not be given for a decoder"),
        (("posit8_2", "--part", "decoder", "--name", "d"), "name must not be given for a decoder"),
        (("posit8_2", "--part", "foo"), "part must be 'unit', 'decoder' or 'encoder', not 'foo'"),
        (("add16_sklansky", "--name", "adder"), "name must not be given for the block"),
    ],
)
def test_cli_verilog_options_of_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in _wrong(capsys, "verilog", *options, "-o", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_cli_array_default_depth() -> None:
    cube, flat = (delivery.geometry(kind, None, None, None) for kind in ("cube", "broadcast"))
    assert cube is not None
    assert flat is not None
    assert (cube.rows, cube.columns, cube.depth, flat.depth) == (4, 4, 2, 1)


def test_cli_fault_of_the_program_is_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hwsim.delivery.write_verilog", lambda: None)
    with pytest.raises(TypeError, match="positional argument"):
        main(["verilog", "int4", "-o", str(tmp_path / "new")])


def test_cli_verilog_under_a_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = _run(capsys, "verilog", "int4", "-o", str(tmp_path), "--name", "mac", "--pipeline", "1", "--json")
    assert status == 0
    assert json.loads(out)["unit"] == "mac"
    modules = re.findall(r"^module (\w+)", (tmp_path / "mac.v").read_text(), re.MULTILINE)
    assert modules[0] == "mac"
    assert all(module.startswith("mac_") for module in modules[1:])
    assert "int4_l1_int32_" not in (tmp_path / "mac.v").read_text()


def test_cli_unit_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "out")
    message = _wrong(capsys, "verilog", "float8_e4m3fm", "-o", folder)
    assert "unknown format 'float8_e4m3fm': did you mean float8_e4m3fn" in message
    assert "bits must be in 1..64, not 65" in _wrong(capsys, "verilog", "int65", "-o", folder)
    assert "pipeline" in _wrong(capsys, "verilog", "int8", "-o", folder, "--pipeline", "0")
    file = tmp_path / "file"
    file.write_text("")
    assert "must be a folder" in _wrong(capsys, "verilog", "int8", "-o", str(file))
    assert not (tmp_path / "out").exists()


def test_cli_simulator_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = _wrong(capsys, "verilog", "int4", "-o", str(tmp_path / "a"), "--verify", "--simulator", "modelsim")
    assert "icarus" in message
    assert "verilator" in message
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    message = _wrong(capsys, "verilog", "int4", "-o", str(tmp_path / "b"), "--verify", "--simulator", "icarus")
    assert "apt-get install iverilog" in message
