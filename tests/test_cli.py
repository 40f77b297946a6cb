# SPDX-License-Identifier: Apache-2.0
"""The command line: what it prints, and what it says of wrong input: one line, status 2, no traceback."""

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.models import CommandInfo, TyperInfo

from hwsim import accelerator as accelerators
from hwsim import cli, datapath, jobs, network, study, terminal
from hwsim.cli import main
from hwsim.data import digits_model_path, digits_test
from testbenches.stimulus import stimulus

PRESET = (resources.files("hwsim.accelerator") / "presets" / "int8_16x16.toml").read_text()


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
    status, out, _ = _run(capsys, "simulate", "--accelerator", "mxfp4_4x4")
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


def test_cli_simulate_cycles_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = {what: tmp_path / f"{what}.{kind}" for what, kind in _DRAWN}
    options = [text for what, file in files.items() for text in (f"--{what}", str(file))]
    model = str(digits_model_path(quantized=True))
    status, out, _ = _run(capsys, "simulate", model, "--cycles-only", "--batch", "4", *options, "--json")
    assert status == 0
    report = json.loads(out)
    assert (report["values"], report["batch"], report["images"], report["outputs"]) == ("none", 4, 0, {})
    assert report["macs"] == 4 * 153344
    assert report["files"] == {what: str(file) for what, file in files.items()}
    for file in files.values():
        assert file.stat().st_size > 5000
    status, out, _ = _run(capsys, "simulate", model, "--cycles-only", "--explain")
    assert status == 0
    assert "no value was computed" in out
    assert "\nconv1:\n  " in out


def test_cli_simulate_errors(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "simulate", "--errors", "--accelerator", "mxfp4_4x4")
    assert status == 0
    assert "SQNR dB" in out
    assert "loses most by itself" in out


def test_cli_simulate_resume(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A finished run is kept: again, nothing is computed, and the answer is the same; another's folder is refused."""
    kept = str(tmp_path / "kept")
    arguments = ("simulate", "--accelerator", "mxfp4_4x4", "--random", "2", "--resume", kept)
    first, again = (_run(capsys, *arguments, "--json") for _ in range(2))
    assert first[0] == again[0] == 0
    assert first[1] == again[1]
    assert "belongs to another network" in _wrong(capsys, "simulate", "--random", "3", "--resume", kept)


def test_cli_simulate_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("simulate", "--accelerator", "mxfp4_4x4", "--random", "2", "--sampled", "2")
    status, out, _ = _run(capsys, *arguments, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["values"] == "sampled"
    assert [sample["layer"] for sample in report["samples"]] == ["conv1", "conv2", "conv3", "fc"]
    for sample in report["samples"]:
        assert sample["tiles"] == 2 or sample["of"] < 2
        estimate, low, high = sample["sqnr_db"]
        assert low <= estimate
        assert high is None or estimate <= high
    status, out, _ = _run(capsys, *arguments)
    assert status == 0
    assert "these are not the hardware's outputs" in out
    assert "confidence of 95%" in out


_DRAWN = (("roofline", "svg"), ("timeline", "svg"), ("trace", "json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--cycles-only", "--random", "1", "--errors"),
            "--cycles-only computes no value: leave out --random, --errors",
        ),
        (("--inputs", "a.npz", "--random", "1"), "--inputs and --random cannot both be given"),
        (("--errors", "--resume", "kept"), "--errors and --resume cannot both be given"),
        (("--operands-to", "here", "--resume", "kept"), "--operands-to and --resume cannot both be given"),
        (("--sampled", "4", "--errors"), "--sampled and --errors cannot both be given"),
        (("--dimension", "tokens"), "--dimension must be NAME=SIZE with a size of at least 1, not 'tokens'"),
        (("--roofline", "plot.txt"), "the plot's file must end in .png, .svg or .pdf, not 'plot.txt'"),
        (("--trace", "plot.svg"), "the trace's file must end in .json, not 'plot.svg'"),
        (("--timeline", "none/plot.svg"), "no folder 'none' to write 'plot.svg' to"),
        (
            ("--timeline", "plot.svg", "--roofline", "plot.svg"),
            "--roofline and --timeline must be two files, not both 'plot.svg'",
        ),
    ],
)
def test_cli_simulate_options_wrong(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _wrong(capsys, "simulate", *options) == message
    assert not list(tmp_path.iterdir())


def test_cli_model_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "missing.onnx" in _wrong(capsys, "simulate", str(tmp_path / "missing.onnx"), "--random", "1")
    text = tmp_path / "text.onnx"
    text.write_text("hello, this is no network\n")
    assert "text.onnx" in _wrong(capsys, "simulate", str(text), "--random", "1")
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("RandomUniformLike", ["x"], ["u"], name="first"),
        helper.make_node("Det", ["u"], ["v"], name="second"),
        helper.make_node("Relu", ["v"], ["y"], name="third"),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 2])], [value("y", TensorProto.FLOAT, [])])
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    message = _wrong(capsys, "simulate", str(model), "--random", "1")
    assert "first" in message
    assert "RandomUniformLike" in message
    assert "second" in message
    assert "third" not in message


def test_cli_inputs_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = str(digits_model_path(quantized=True))
    assert "--inputs FILE.npz, or --random COUNT" in _wrong(capsys, "simulate", model)
    assert "no file" in _wrong(capsys, "simulate", model, "--inputs", str(tmp_path / "none.npz"))
    assert _wrong(capsys, "simulate", model, "--inputs", model) == f"{model}: not a .npz file, or a damaged one"
    broken = tmp_path / "broken.npz"
    broken.write_text("x")
    assert "broken.npz: not a .npz file" in _wrong(capsys, "simulate", model, "--inputs", str(broken))
    broken.write_bytes(b"PK\x03\x04 no more")
    assert "broken.npz: not a .npz file" in _wrong(capsys, "simulate", model, "--inputs", str(broken))
    broken.write_bytes(b"")
    assert "broken.npz: not a .npz file" in _wrong(capsys, "simulate", model, "--inputs", str(broken))
    np.save(tmp_path / "one.npy", np.zeros(3))
    single = _wrong(capsys, "simulate", model, "--inputs", str(tmp_path / "one.npy"))
    assert single.endswith("one.npy: must be a .npz with an array for each input, not a single array")
    message = _wrong(capsys, "simulate", model, "--inputs", str(tmp_path))
    assert message == f"{tmp_path}: is a directory, not a .npz file"
    np.savez(tmp_path / "bad.npz", nonsense=np.zeros(3))
    assert "nonsense" in _wrong(capsys, "simulate", model, "--inputs", str(tmp_path / "bad.npz"))


def test_cli_accelerator_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PRESET.replace("rows = 16", "rowz = 16"))
    assert _wrong(capsys, "simulate", "--accelerator", str(file)).endswith(
        "mine.toml: unknown key 'array.rowz'; did you mean 'rows'?"
    )
    assert _wrong(capsys, "simulate", "--accelerator", str(tmp_path)) == f"{tmp_path}: is a directory, not a TOML file"
    assert "no accelerator file 'nope'" in _wrong(capsys, "simulate", "--accelerator", "nope")
    file.write_text(PRESET.replace('technology = "asap7"', 'technology = "asap77"'))
    message = _wrong(capsys, "simulate", "--accelerator", str(file))
    assert message.startswith(f"{file}: technology: must be one of ")
    assert message.endswith("not 'asap77'")
    file.write_text(re.sub(r"(?m)^pipeline = \d+", "pipeline = 33", PRESET))
    assert "pipeline = 33" in file.read_text()
    message = _wrong(capsys, "simulate", "--accelerator", str(file))
    assert message == f"{file}: pipeline must be in 1..32, not 33"
    file.write_text(re.sub('kind = "[^"]*"', 'kind = "ddr9"', PRESET))
    message = _wrong(capsys, "simulate", "--accelerator", str(file))
    assert message.startswith(f"{file}: memory.dram.kind: ")


def test_cli_labels_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = digits_model_path(quantized=True)
    images, labels = digits_test()
    name = network.read(model).inputs[0].name
    file = tmp_path / "in.npz"
    arguments = ("simulate", str(model), "--inputs", str(file))
    arrays: dict[str, Any] = {name: images[:4], "labels": labels[:4].astype(np.float32)}
    np.savez(file, **arrays)
    assert _wrong(capsys, *arguments) == f"{file}: labels must be integers, not float32"
    arrays["labels"] = labels[:3]
    np.savez(file, **arrays)
    assert _wrong(capsys, *arguments) == f"{file}: labels must have shape (4,), one an image, not (3,)"


def test_cli_outputs_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = _wrong(capsys, "simulate", "--outputs", str(tmp_path / "out.txt"))
    assert message == "the outputs' file must end in .npz, not 'out.txt'"
    (tmp_path / "folder.npz").mkdir()
    assert _wrong(capsys, "simulate", "--outputs", str(tmp_path / "folder.npz")).endswith("folder.npz' is a directory")
    message = _wrong(capsys, "simulate", "--outputs", str(tmp_path / "none" / "out.npz"))
    assert message == f"no folder {str(tmp_path / 'none')!r} to write 'out.npz' to"


def test_cli_layers_wrong() -> None:
    net = network.read(digits_model_path(quantized=True))
    unit = datapath.named("float8_e4m3fn")
    with pytest.raises(ValueError, match="cannot run on unit") as caught:
        accelerators.check_network(net, unit, {})
    layers, taken = str(caught.value).rsplit("; ", 1)
    assert taken == "the unit takes float8_e4m3fn by float8_e4m3fn"
    assert re.search(r": conv1 \(u?int8 by int8\); conv2 \(u?int8 by int8\)", layers)
    products = [layer for layer in net.layers if hasattr(layer, "a_dtype")]
    assert layers.count(" by ") == len(products)
    many: Any = SimpleNamespace(name="many", layers=[products[0]] * 11, specs=net.specs)
    with pytest.raises(ValueError, match="; and 3 more; the unit takes float8_e4m3fn") as caught:
        accelerators.check_network(many, unit, {})
    assert str(caught.value).count(products[0].name) == 8


def test_cli_random_counts_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph(
        [node], "g", [value("x", TensorProto.FLOAT, [4, 2])], [value("y", TensorProto.FLOAT, [4, 2])]
    )
    model, outputs = tmp_path / "four.onnx", tmp_path / "out.npz"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    for count, text in ((1, "1 random image "), (6, "6 random images ")):
        status, out, _ = _run(
            capsys, "simulate", str(model), "--random", str(count), "--outputs", str(outputs), "--json"
        )
        assert status == 0
        assert json.loads(out)["inputs"].startswith(text)
        with np.load(outputs) as written:
            assert written["y"].shape == (count, 2)


def test_cli_usage_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such command" in _wrong(capsys, "simulat")
    assert "No such option" in _wrong(capsys, "simulate", "--bogus")
    assert "--random" in _wrong(capsys, "simulate", "--random", "0")
    assert "--lanes" in _wrong(capsys, "compare", "--lanes", "0")
    assert "--lanes" in _wrong(capsys, "compare", "--lanes", "abc")
    assert "requires an argument" in _wrong(capsys, "simulate", "--inputs")
    assert "unit" in _wrong(capsys, "verilog").lower()
    assert "output" in _wrong(capsys, "verilog", "int8").lower()


@pytest.mark.skipif(cli._UsageError.__module__.startswith("click"), reason="this typer itself needs click")
def test_cli_needs_no_click() -> None:
    code = "import sys; sys.modules['click'] = None; from hwsim.cli import main; main(['simulat'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("hwsim: error: No such command")


def test_cli_alone_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys)
    assert (status, err) == (0, "")
    assert "simulate" in out
    assert "verilog" in out


def test_cli_interrupted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "simulate_files", interrupt)
    status, out, err = _run(capsys, "simulate")
    assert (status, out) == (130, "")
    assert err == "hwsim: interrupted; nothing is kept without --resume DIR\n"
    for option in (("--resume", "kept"), ("--resume=kept",)):
        assert _run(capsys, "simulate", *option) == (
            130, "", "hwsim: interrupted; finished layers are kept, run it again to go on\n"
        )  # fmt: skip


@pytest.mark.parametrize("arguments", [("compare",), ("cost", "int8")])
def test_cli_interrupted_synthesis(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "compare", interrupt)
    monkeypatch.setattr(study, "price", interrupt)
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (130, "")
    assert err == "hwsim: interrupted; finished syntheses are kept, run it again to go on\n"


def test_cli_out_of_memory(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(jobs, "simulate_files", exhaust)
    assert _run(capsys, "simulate") == (2, "", "hwsim: error: not enough memory\n")


def test_cli_names_a_layer_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 1.0, 5.5, 6.0, 7.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with terminal.progress(quiet=False) as step:
        for text in ("layer a", "layer b", "layer c", "int8: energy", "layer d"):
            step(text)
    assert capsys.readouterr().err.splitlines() == ["hwsim: layer b", "hwsim: int8: energy", "hwsim: layer d"]


@pytest.mark.parametrize("unit", ["int32", "int32_l16", "uint32_l4", "int48", "float32_l16"])
def test_cli_wide_codes_have_stimulus(unit: str) -> None:
    spec = datapath.named(unit)
    rows = stimulus(spec, count=300, corner_rows=300)
    assert len(rows) >= 600
    operands = [code for row in rows for code in row.a]
    assert 0 <= min(operands) <= max(operands) < 1 << spec.element_a.bits
    small = sum(0 < code <= 1 << 12 for code in operands)
    assert small > 50


@pytest.mark.parametrize("command", ["simulate", "verilog", "compare", "cost", "formats", "doctor"])
def test_cli_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    status, out, _ = _run(capsys, command, "--help")
    assert status == 0
    assert "Examples" in out
    assert f"hwsim {command}" in out
    assert "--json" in out


def test_cli_help_shows_an_example_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for group, prefix in (((), "hwsim"), (("store",), "hwsim store"), (("catalog",), "hwsim catalog")):
        out = _run(capsys, *group, "--help")[1]
        assert re.search(rf"Examples:\s+{prefix} ", out), group
    for command in [
        *cli.app.registered_commands,
        *(each for group in cli.app.registered_groups for each in _commands(group)),
    ]:
        assert command.epilog is not None
        assert command.epilog.startswith("Examples:\n\n  hwsim "), command.epilog


def _commands(group: TyperInfo) -> list[CommandInfo]:
    assert group.typer_instance is not None
    return group.typer_instance.registered_commands
