# SPDX-License-Identifier: Apache-2.0
"""The networks with random weights have the sizes of those they are named after, and run as ONNX Runtime runs them."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from hwsim import network


@pytest.fixture
def zoo(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root))
    return import_module("benchmarks.network_zoo")


def _inputs(net: network.Network) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    (spec,) = net.inputs
    return {
        spec.name: rng.integers(0, 100, spec.shape)
        if spec.dtype == "int64"
        else rng.standard_normal(spec.shape, np.float32)
    }


def _reference(path: Path, inputs: dict[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["output"], inputs)[0]


@pytest.mark.parametrize(
    ("name", "form"),
    [("gpt2_tiny", None), ("vit_block_tiny", None), ("resnet18_tiny", "float"), ("mobilenet_v2_tiny", "float")],
)
def test_zoo_float_networks_run(zoo: Any, tmp_path: Path, name: str, form: str | None) -> None:
    zoo.write(name, tmp_path / "n.onnx", **({} if form is None else {"form": form}))
    net = network.read(tmp_path / "n.onnx")
    inputs = _inputs(net)
    found, expected = network.run(net, inputs)["output"], _reference(tmp_path / "n.onnx", inputs)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["resnet18_tiny", "mobilenet_v2_tiny"])
def test_zoo_int8_networks_run(zoo: Any, tmp_path: Path, name: str) -> None:
    """Every code but a few, which ONNX Runtime's float convolutions round the other way."""
    zoo.write(name, tmp_path / "n.onnx", form="int8")
    net = network.read(tmp_path / "n.onnx")
    assert {layer.name for layer in net.layers if getattr(layer, "quantized", True) is False} == set()
    inputs = _inputs(net)
    found, expected = network.run(net, inputs)["output"], _reference(tmp_path / "n.onnx", inputs)
    step = 4.0 / 127
    assert np.abs(found - expected).max() <= 2.01 * step
    assert (found == expected).mean() > 0.5
    assert np.unique(found).size > 5


@pytest.mark.parametrize(
    ("name", "macs"),
    # G MAC of an image of 224 x 224: torchvision's tables of ResNet18_Weights and MobileNet_V2_Weights
    [("resnet18", 1.81), ("mobilenet_v2", 0.30)],
)
def test_zoo_sizes(zoo: Any, tmp_path: Path, name: str, macs: float) -> None:
    zoo.write(name, tmp_path / "n.onnx", form="int8")
    rows = network.read(tmp_path / "n.onnx").rows()
    assert round(sum(row["macs"] for row in rows) / 1e9, 2) == macs


def test_zoo_gpt2_takes_any_length(zoo: Any, tmp_path: Path) -> None:
    zoo.write("gpt2_tiny", tmp_path / "n.onnx", tokens="tokens", batch="batch")
    onnx.checker.check_model(tmp_path / "n.onnx", full_check=True)
    for batch, tokens in ((1, 1), (2, 5), (1, 40)):
        net = network.read(tmp_path / "n.onnx", batch=batch, dimensions={"tokens": tokens})
        inputs = _inputs(net)
        found, expected = network.run(net, inputs)["output"], _reference(tmp_path / "n.onnx", inputs)
        assert found.shape == expected.shape == (batch, tokens, 100)
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_zoo_gpt2_looks_at_no_later_token(zoo: Any, tmp_path: Path) -> None:
    zoo.write("gpt2_tiny", tmp_path / "n.onnx")
    net = network.read(tmp_path / "n.onnx")
    ids = _inputs(net)["ids"]
    other = ids.copy()
    other[0, 5:] = 7
    found, changed = (network.run(net, {"ids": each})["output"] for each in (ids, other))
    assert np.array_equal(found[0, :5], changed[0, :5])
    assert not np.array_equal(found[0, 5:], changed[0, 5:])


def test_speed_without_quantization_is_the_float_network(zoo: Any, tmp_path: Path) -> None:
    """Its outputs go with those of the QDQ network, whose scales cut off what is beyond four deviations."""
    speed = import_module("benchmarks.network_speed")
    zoo.write("resnet18_tiny", tmp_path / "q.onnx", form="int8")
    onnx.save(speed.without_quantization(onnx.load(tmp_path / "q.onnx")), tmp_path / "f.onnx")
    onnx.checker.check_model(tmp_path / "f.onnx", full_check=True)
    net = network.read(tmp_path / "f.onnx")
    assert {row["kind"] for row in net.rows()} >= {"conv"}
    assert not any(getattr(layer, "quantized", False) or getattr(layer, "coded", False) for layer in net.layers)
    inputs = _inputs(net)
    found, expected = network.run(net, inputs)["output"], _reference(tmp_path / "q.onnx", inputs)
    assert np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1] > 0.95
