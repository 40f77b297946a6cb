# SPDX-License-Identifier: Apache-2.0
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from hwsim import data
from hwsim.cli import main


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def test_cli_quantize_writes_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, images = tmp_path / "out.onnx", tmp_path / "images.npz"
    np.savez(images, input=data.digits_calibration()[:32], labels=np.zeros(32))
    model = str(data.digits_model_path(quantized=False))
    assert _run(
        "quantize", model, "-o", str(output), "--weights", "int4", "--calibration", str(images), "--layer",
        "fc=int8:int8", "--json",
    ) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert [layer["weights"] for layer in found["layers"]] == ["int4", "int4", "int4", "int8"]
    assert found["opset"] == 21
    onnx.checker.check_model(onnx.load(output))


def test_cli_quantize_digits_says_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("quantize", "-o", str(tmp_path / "digits.onnx"), "--no-effects") == 0
    text = capsys.readouterr().out
    assert "held-out digits: float 98.33 %, quantized 98.33 %" in text


def test_cli_allocate_writes_the_assignment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, images = tmp_path / "mixed.onnx", tmp_path / "images.npz"
    np.savez(images, input=data.digits_calibration()[:16])
    model = str(data.digits_model_path(quantized=False))
    assert _run(
        "allocate", model, "--calibration", str(images), "--formats", "int8,int4", "--budget", "bits=70%", "--pool",
        "2", "-o", str(output), "--json",
    ) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["costs"]["bits"] <= found["budget"]["bits"]
    assert found["optimum"]["gap"] == 0
    assert "not measured" in found["notes"][0]  # int8 of 8 lanes is fitted, int4 of 16 is in the package's catalog
    assert "measured with" in found["notes"][1]
    assert found["held_out"] is None  # the digits that were held out belong to the package's own calibration set
    formats = {layer["name"]: layer["format"] for layer in found["layers"]}
    types = {each.name: each.data_type for each in onnx.load(output).graph.initializer}
    for name, chosen in formats.items():
        kind = onnx.TensorProto.INT8 if chosen == "int8" else onnx.TensorProto.INT4
        assert types[f"{name}.weight.q"] == kind


def test_cli_allocate_digits_says_losses_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("allocate", "--formats", "int4,mxfp4", "--budget", "bits=30500", "--pool", "1") == 0
    text = " ".join(capsys.readouterr().out.split())
    # int4 everywhere takes 4 x 7112 + 32 x 66 = 30560 bits, mxfp4 4 x 7112 + 8 x (8 + 48 + 160 + 40) = 30496
    assert "int4 everywhere: over the budget" in text
    assert re.search(r"held-out digits: loss [\d.]+, mxfp4 everywhere 0\.\d+ int4: ", text)
    assert text.count("(measured with ") == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("quantize",), "give either -o OUT.onnx or --evaluate-only"),
        (("quantize", "-o", "x.txt"), "the output must end in .onnx, not 'x.txt'"),
        (("quantize", "-o", "nowhere/x.onnx"), "no folder 'nowhere' to write 'x.onnx' to"),
        (("quantize", "-o", "x.onnx", "--layer", "fc=int8"), "--layer must be NAME=WEIGHTS:ACTIVATIONS, not 'fc=int8'"),
        (("quantize", "-o", "x.onnx", "--scope", "some"), "scope must be one of products, all, not 'some'"),
        (("allocate",), "give at least one --budget QUANTITY=LIMIT"),
        (("allocate", "--budget", "power=3"), "--budget must be QUANTITY=LIMIT of one of bits, area, energy, latency"),
        (
            ("allocate", "--budget", "bits=fp3", "--formats", "int8,int4"),
            "--budget bits must be a number, N% or one of",
        ),
        (("allocate", "--budget", "bits=3", "--formats", "int8,int4"), "budget of bits must be at least 30560"),
        (
            ("allocate", "--budget", "bits=3", "--formats", "int8,nf4", "-o", "x.onnx"),
            "ONNX cannot carry weights in nf4",
        ),
    ],
)
def test_cli_networks_wrong(
    arguments: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert _run(*arguments) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_cli_networks_calibration_missing(capsys: pytest.CaptureFixture[str]) -> None:
    model = data.digits_model_path(quantized=False)
    assert _run("quantize", str(model), "--evaluate-only") == 2
    assert "give the images that ranges are chosen on with --calibration FILE.npz" in capsys.readouterr().err
