# SPDX-License-Identifier: Apache-2.0
"""Files and sizes on the command line: nothing that is read is overwritten, and what is open is said or asked for."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from hwsim import data, jobs, network, terminal
from hwsim.cli import main
from hwsim.jobs.files import check_files, check_folder


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status, out, err = _run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    return err.strip().removeprefix("hwsim: error: ")


def _saved(
    file: Path, shape: Sequence[str | int | None], nodes: Sequence[onnx.NodeProto], *held: onnx.TensorProto
) -> Path:
    """Write a float network from x, of that shape, to y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(shape))
    graph = helper.make_graph(nodes, "small", [x], [y], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return file


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Return a product of rows of 3 numbers, the numbers of images and rows open."""
    weights = numpy_helper.from_array(np.eye(3, 5, dtype=np.float32), "w")
    return _saved(tmp_path / "p.onnx", ["n", "rows", 3], [helper.make_node("MatMul", ["x", "w"], ["y"], "m")], weights)


@pytest.fixture
def mixing(tmp_path: Path) -> Path:
    """Return a network that adds its images up, their number open."""
    return _saved(tmp_path / "mix.onnx", ["n", 3], [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)])


def test_cli_files_read_are_not_overwritten(
    capsys: pytest.CaptureFixture[str], product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the path is written like: relative, through a link, a hard link."""
    arrays, soft, hard = (tmp_path / name for name in ("a.npz", "soft.npz", "hard.npz"))
    np.savez(arrays, x=np.ones((2, 4, 3), np.float32))
    soft.symlink_to(arrays)
    os.link(arrays, hard)
    monkeypatch.chdir(tmp_path)
    before = {file: file.read_bytes() for file in (arrays, product)}
    for output in ("a.npz", soft, hard):
        message = _wrong(capsys, "simulate", product, "--inputs", arrays, "--outputs", output)
        assert message == f"--outputs would overwrite what --inputs reads: {str(output)!r}"
        message = _wrong(capsys, "simulate", product, "--random", 1, "--calibration", arrays, "--outputs", output)
        assert message == f"--outputs would overwrite what --calibration reads: {str(output)!r}"
    for command in (("quantize",), ("allocate", "--budget", "bits=9")):
        message = _wrong(capsys, *command, product, "-o", "p.onnx", "--calibration", arrays)
        assert message == "--output would overwrite what MODEL reads: 'p.onnx'"
    assert before == {file: file.read_bytes() for file in (arrays, product)}
    named = tmp_path / "layers" / "000_a.npz"
    named.parent.mkdir()
    named.write_bytes(arrays.read_bytes())
    message = _wrong(capsys, "simulate", product, "--inputs", named, "--operands-to", "layers")
    assert message == f"--operands-to writes files named like that of --inputs, {str(named)!r}: another folder"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
@pytest.mark.parametrize(
    ("option", "path"), [("--trace", "/proc/x.json"), ("--outputs", "/proc/o.npz"), ("--timeline", "/proc/t.svg")]
)
def test_cli_files_unwritable_wrong(
    capsys: pytest.CaptureFixture[str], option: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.simulation, "simulate", None)
    assert _wrong(capsys, "simulate", option, path).startswith(f"{option} {path!r} cannot be written: ")


def test_cli_files_folder_wrong(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("kept")
    with pytest.raises(ValueError, match=r"^--operands-to must be a folder, not the file '.*notes.txt'$"):
        check_files({}, {}, layers=file)
    with pytest.raises(ValueError, match=r"^--resume must be in a folder, and '.*notes.txt' is a file$"):
        check_folder("--resume", file / "deeper" / "still")
    check_folder("--resume", tmp_path / "deeper" / "still")
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    check_files({}, {"--trace": file})
    assert file.read_text() == "kept"


def test_cli_sizes_come_from_arrays(capsys: pytest.CaptureFixture[str], product: Path, tmp_path: Path) -> None:
    arrays, outputs = tmp_path / "a.npz", tmp_path / "o.npz"
    np.savez(arrays, x=np.ones((2, 4, 3), np.float32))
    options = ("--accelerator", "mxfp4_4x4", "--json")
    status, out, _ = _run(capsys, "simulate", product, "--inputs", arrays, "--outputs", outputs, *options)
    assert status == 0
    assert json.loads(out)["macs"] == 4 * 3 * 5
    with np.load(outputs) as written:
        assert written["y"].shape == (2, 4, 5)
    status, out, _ = _run(capsys, "simulate", product, "--random", 2, "--calibration", arrays, *options)
    assert (status, json.loads(out)["macs"]) == (0, 4 * 3 * 5)
    quantized = ("--weights", "int8", "-o", tmp_path / "q.onnx", "--calibration", arrays, "--json")
    assert _run(capsys, "quantize", product, *quantized)[0] == 0
    chosen = ("--formats", "int8,int4", "--budget", "bits=100%", "--pool", 1, "--calibration", arrays, "--json")
    assert _run(capsys, "allocate", product, *chosen)[0] == 0


def test_cli_sizes_wrong(capsys: pytest.CaptureFixture[str], product: Path, tmp_path: Path) -> None:
    message = _wrong(capsys, "simulate", product, "--cycles-only")
    assert message == f"{product}: sizes are open: axis 1 (rows) of input 'x'; give --dimension rows=SIZE"
    message = _wrong(capsys, "simulate", product, "--cycles-only", "--batch", 3, "--dimension", "n=2")
    assert message == "--batch 3 and --dimension n=2 give axis 0 of input 'x' two sizes"
    unnamed = _saved(tmp_path / "u.onnx", [1, None], [helper.make_node("Relu", ["x"], ["y"])])
    message = _wrong(capsys, "simulate", unnamed, "--cycles-only")
    assert message == f"{unnamed}: sizes are open: axis 1 (unnamed) of input 'x'; give it a size in the file"


def test_cli_random_of_mixed_images(capsys: pytest.CaptureFixture[str], mixing: Path, tmp_path: Path) -> None:
    """So many images are run, or none: never another number."""
    tail = "network 'small' does not keep the 2 images of axis 0 apart, whose number the file leaves open: "
    assert _wrong(capsys, "simulate", mixing, "--random", 2) == f"--random: {tail}add --batch 2 for all at once"
    arrays = tmp_path / "a.npz"
    np.savez(arrays, x=np.ones((2, 3), np.float32))
    message = _wrong(capsys, "simulate", mixing, "--inputs", arrays)
    assert message == f"the images of {arrays}: {tail}add --batch 2 for all at once"
    status, out, _ = _run(capsys, "simulate", mixing, "--random", 4, "--batch", 2, "--json")
    report = json.loads(out)
    assert (status, report["inputs"][:15], report["images"]) == (0, "4 random images", 4)
    message = _wrong(capsys, "simulate", mixing, "--random", 3, "--batch", 2)
    assert message == "--random must be a multiple of the 2 images that go through at once, not 3"


def test_cli_unused_calibration_and_labels_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, arrays = data.digits_model_path(quantized=True), tmp_path / "a.npz"
    images, labels = data.digits_test()
    held: dict[str, Any] = {network.read(model).inputs[0].name: images[:3]}
    np.savez(arrays, **held)
    message = _wrong(capsys, "simulate", model, "--inputs", arrays, "--calibration", arrays)
    assert message == "--calibration is not used: network 'digits' is quantized, its scales are its own"
    for label in (10, -1):
        np.savez(arrays, **held, labels=np.append(labels[:2], label))
        message = _wrong(capsys, "simulate", model, "--inputs", arrays)
        assert message == f"{arrays}: labels must be in 0..9, the outputs of an image, not {label}"


def test_cli_empty_arrays_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty.npz"
    np.savez(empty)
    commands = (("simulate", "--inputs", empty), ("quantize", "--evaluate-only", "--calibration", empty))
    for command in commands:
        assert _wrong(capsys, *command) == f"{empty}: has no array"
    np.savez(empty, labels=np.zeros(3, np.int64))
    assert _wrong(capsys, *commands[1]) == f"{empty}: has no array but labels"


@pytest.mark.parametrize("option", ["--weights", "--activations", "--kv-cache"])
def test_cli_format_wrong_names_its_option(capsys: pytest.CaptureFixture[str], option: str) -> None:
    message = _wrong(capsys, "quantize", "--evaluate-only", option, "int99")
    assert message == f"{option} int99: bits must be in 1..64, not 99"
    assert _wrong(capsys, "allocate", "--budget", "bits=9", "--formats", "int8,int99").startswith("--formats int99: ")


def test_cli_sources(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _run(capsys, "simulate", "--cycles-only")
    assert "\nconstants and their sources: --sources\n" in out
    assert "CACTI" not in out
    _, out, _ = _run(capsys, "simulate", "--cycles-only", "--sources")
    assert "\nenergy of the units: measured with " in out
    assert out.count("CACTI 7, 1R1W") == 2
    assert max(map(len, out.splitlines())) > 200  # nothing is wrapped where no terminal is


@pytest.mark.parametrize("is_terminal", [True, False])
def test_cli_lines_wrap_on_a_terminal(is_terminal: bool) -> None:
    shown = Console(file=io.StringIO(), width=30, force_terminal=is_terminal)
    terminal.print_lines(shown, ["a sentence that has many more letters than the terminal", "and [one] more"])
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert len(lines) == (3 if is_terminal else 2)
    assert lines[-1] == "and [one] more"
    assert (max(map(len, lines)) <= 30) is is_terminal
