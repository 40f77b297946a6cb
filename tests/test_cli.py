# SPDX-License-Identifier: Apache-2.0
"""The command line: what it prints, and what it says of wrong input: one line, status 2, no traceback."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwsim.cli import main
from hwsim.data import digits_model_path, digits_test

PRESET = (resources.files("hwsim.accelerator") / "presets" / "int8_16x16.toml").read_text()


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, captured.out, captured.err


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = _run(capsys, *arguments)
    lines = [line for line in err.splitlines() if not line.startswith("hwsim: making")]
    assert status == 2
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("hwsim: error: ")
    assert "Traceback" not in err
    return lines[0].removeprefix("hwsim: error: ")


def test_cli_simulate_default(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "simulate", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["images"] == 360
    assert report["accuracy"] > 0.97
    assert abs(report["accuracy"] - report["float_accuracy"]) < 0.02
    assert report["cycles"] == sum(layer["cycles"] for layer in report["layers"])
    assert report["energy_pj"] > 0
    assert 0 < report["utilisation"] < 1


def test_cli_simulate_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "simulate", "--accelerator", "mxfp4_8x8")
    assert status == 0
    assert "simulated hardware" in out
    assert "mxfp4" in out


def test_cli_simulate_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    images, labels = digits_test()
    inputs, outputs = tmp_path / "in.npz", tmp_path / "out.npz"
    name = onnx.load(digits_model_path(quantized=True)).graph.input[0].name
    arrays: dict[str, Any] = {name: images[:32], "labels": labels[:32]}
    np.savez(inputs, **arrays)
    arguments = (
        "simulate",
        str(digits_model_path(quantized=True)),
        "--inputs",
        str(inputs),
        "--outputs",
        str(outputs),
        "--json",
    )
    status, out, _ = _run(capsys, *arguments)
    assert status == 0
    report = json.loads(out)
    with np.load(outputs) as written:
        logits = written[written.files[0]]
    assert report["accuracy"] == float(np.mean(logits.argmax(axis=1) == labels[:32]))


def test_cli_model_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "missing.onnx" in _wrong(capsys, "simulate", str(tmp_path / "missing.onnx"), "--random", "1")
    text = tmp_path / "text.onnx"
    text.write_text("hello, this is no network\n")
    assert "text.onnx" in _wrong(capsys, "simulate", str(text), "--random", "1")
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Erf", ["x"], ["u"], name="first"),
        helper.make_node("Det", ["u"], ["v"], name="second"),
        helper.make_node("Relu", ["v"], ["y"], name="third"),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 2])], [value("y", TensorProto.FLOAT, [])])
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    message = _wrong(capsys, "simulate", str(model), "--random", "1")
    assert "first" in message
    assert "Erf" in message
    assert "second" in message
    assert "third" not in message


def test_cli_inputs_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = str(digits_model_path(quantized=True))
    assert "--inputs FILE.npz, or --random COUNT" in _wrong(capsys, "simulate", model)
    assert "no file" in _wrong(capsys, "simulate", model, "--inputs", str(tmp_path / "none.npz"))
    broken = tmp_path / "broken.npz"
    broken.write_text("x")
    assert "broken.npz: not a .npz file" in _wrong(capsys, "simulate", model, "--inputs", str(broken))
    np.savez(tmp_path / "bad.npz", nonsense=np.zeros(3))
    assert "nonsense" in _wrong(capsys, "simulate", model, "--inputs", str(tmp_path / "bad.npz"))


def test_cli_accelerator_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PRESET.replace("rows = 16", "rowz = 16"))
    assert _wrong(capsys, "simulate", "--accelerator", str(file)).endswith(
        "mine.toml: unknown key 'array.rowz'; did you mean 'rows'?"
    )
    assert "no accelerator file 'nope'" in _wrong(capsys, "simulate", "--accelerator", "nope")
    file.write_text(PRESET.replace('technology = "asap7"', 'technology = "asap77"'))
    assert "asap7" in _wrong(capsys, "simulate", "--accelerator", str(file))


def test_cli_unit_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "out")
    message = _wrong(capsys, "verilog", "float8_e4m3fm", "-o", folder)
    assert "unknown format 'float8_e4m3fm': did you mean float8_e4m3fn" in message
    assert "bits must be in 1..64, not 65" in _wrong(capsys, "verilog", "int65", "-o", folder)
    assert "pipeline" in _wrong(capsys, "verilog", "int8", "-o", folder, "--pipeline", "9")
    file = tmp_path / "file"
    file.write_text("")
    assert "must be a folder" in _wrong(capsys, "verilog", "int8", "-o", str(file))
    assert not (tmp_path / "out").exists()


def test_cli_format_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = ("--plot", str(tmp_path / "p.png"))
    assert "did you mean mxfp4" in _wrong(capsys, "compare", "mxpf4", *plot)
    assert "block of 32" in _wrong(capsys, "compare", "mxfp4", "--lanes", "5", *plot)
    assert "must end in .png" in _wrong(capsys, "compare", "int8", "--plot", str(tmp_path / "p.xyz"))


def test_cli_simulator_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = _wrong(capsys, "verilog", "int4", "-o", str(tmp_path / "a"), "--verify", "--simulator", "modelsim")
    assert "icarus" in message
    assert "verilator" in message
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    message = _wrong(capsys, "verilog", "int4", "-o", str(tmp_path / "b"), "--verify", "--simulator", "icarus")
    assert "apt-get install iverilog" in message


def test_cli_usage_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such command" in _wrong(capsys, "simulat")
    assert "No such option" in _wrong(capsys, "simulate", "--bogus")


@pytest.mark.parametrize("command", ["simulate", "verilog", "compare", "cost"])
def test_cli_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    status, out, _ = _run(capsys, command, "--help")
    assert status == 0
    assert "Examples" in out
    assert f"hwsim {command}" in out
    assert "--json" in out


def test_cli_verilog(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = _run(capsys, "verilog", "int4", "-o", str(tmp_path / "int4"), "--verify", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["unit"] == "int4_l1_int32"
    assert report["verified_vectors"] >= 256
    assert all(Path(file).is_file() for file in report["files"])
    assert any(file.endswith(".v") for file in report["files"])


def test_cli_compare(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    status, out, _ = _run(capsys, "compare", "--no-measure", "--json", "--plot", str(plot))
    assert status == 0
    rows = json.loads(out)["rows"]
    formats = ["int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4"]
    assert [row["format"] for row in rows] == formats
    for row in rows:
        assert 0.5 < row["accuracy"] <= 1
        for key in ("lut", "fmax_mhz", "area_um2", "delay_ps"):
            assert row[key] > 0, (row["format"], key)
    by_name = {row["format"]: row for row in rows}
    assert by_name["int4"]["area_um2"] < by_name["int8"]["area_um2"]
    assert by_name["mxfp8_e4m3"]["area_um2"] > by_name["mxfp4"]["area_um2"]
    assert plot.stat().st_size > 10_000
