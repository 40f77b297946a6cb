# SPDX-License-Identifier: Apache-2.0
"""Layer normalization in all its spellings against ONNX Runtime and the real function."""

from typing import Any

import numpy as np
import pytest
from onnx import helper

from hwsim import network

GAIN = np.random.default_rng(1).uniform(-1.5, 1.5, 24).astype(np.float32)
SHIFT = np.random.default_rng(2).normal(size=24).astype(np.float32)


def _x(*shape: int) -> Any:
    return (np.random.default_rng(3).standard_normal(shape) * 3 + 0.7).astype(np.float32)


def _real(x: Any, gain: Any, shift: Any, axes: tuple[int, ...], epsilon: float, *, centred: bool = True) -> Any:
    wide = x.astype(np.float64)
    difference = wide - wide.mean(axis=axes, keepdims=True) if centred else wide
    deviation = np.sqrt(np.square(difference).mean(axis=axes, keepdims=True) + epsilon)
    return difference / deviation * gain + shift


@pytest.mark.parametrize(("axis", "gain"), [(-1, GAIN), (2, GAIN), (1, GAIN.reshape(4, 6)), (-2, GAIN[:6])])
def test_layer_norm_float(models: Any, axis: int, gain: Any) -> None:
    x = _x(3, 5, 24) if gain.shape == (24,) else _x(3, 4, 6)
    nodes = [helper.make_node("LayerNormalization", ["x", "gain"], ["y"], axis=axis, epsilon=1e-3)]
    path = models.save(nodes, {"x": x.shape}, ["y"], {"gain": gain}, opset=17)
    ours = network.run(network.read(path), {"x": x})["y"]
    axes = tuple(range(axis % 3, 3))
    np.testing.assert_allclose(ours, _real(x, gain, 0, axes, 1e-3), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(ours, models.oracle(path, {"x": x})["y"], rtol=1e-5, atol=1e-5)


def test_layer_norm_order_of_operations(models: Any) -> None:
    x = _x(7, 24)
    nodes = [helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["y"])]
    path = models.save(nodes, {"x": x.shape}, ["y"], {"gain": GAIN, "shift": SHIFT}, opset=17)
    one = np.float32

    def total(values: Any) -> Any:
        lanes = [values[i] + values[i + 16] if i + 16 < 24 else values[i] for i in range(16)]
        lanes = [lanes[i] + lanes[i + 8] for i in range(8)]
        while len(lanes) > 1:
            lanes = [lanes[i] + lanes[i + 1] for i in range(0, len(lanes), 2)]
        return lanes[0]

    for row, got in zip(x, network.run(network.read(path), {"x": x})["y"], strict=True):
        mean = total(row) / one(24)
        centred = [value - mean for value in row]
        deviation = np.sqrt(total([d * d for d in centred]) / one(24) + one(1e-5))
        expected = [d / deviation * g + s for d, g, s in zip(centred, GAIN, SHIFT, strict=True)]
        assert got.tolist() == [float(value) for value in expected]


def test_layer_norm_statistics(models: Any) -> None:
    x = _x(2, 5, 24)
    nodes = [helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["y", "mean", "inverse"])]
    constants = {"gain": GAIN, "shift": SHIFT}
    path = models.save(nodes, {"x": x.shape}, ["y", "mean", "inverse"], constants, opset=17)
    ours, theirs = network.run(network.read(path), {"x": x}), models.oracle(path, {"x": x})
    for name in ("y", "mean", "inverse"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours["mean"], x.mean(axis=-1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_layer_norm_root_mean_square(models: Any) -> None:
    x = _x(3, 24)
    nodes = [helper.make_node("RMSNormalization", ["x", "gain"], ["y"], epsilon=1e-4)]
    path = models.save(nodes, {"x": x.shape}, ["y"], {"gain": GAIN}, opset=23, ir_version=10)
    ours = network.run(network.read(path), {"x": x})["y"]
    np.testing.assert_allclose(ours, _real(x, GAIN, 0, (1,), 1e-4, centred=False), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_layer_norm_skip_of_microsoft(models: Any, simple: bool, biased: bool) -> None:
    x, skip = _x(1, 5, 24), _x(1, 5, 24)[:, ::-1].copy()
    operator = "SkipSimplifiedLayerNormalization" if simple else "SkipLayerNormalization"
    inputs = ["x", "skip", "gain", *([] if simple else ["shift"]), *(["bias"] if biased else [])]
    known = {"gain": GAIN, "shift": SHIFT, "bias": SHIFT[::-1].copy()}
    constants = {name: value for name, value in known.items() if name in inputs}
    outputs = ["y", "", "", "total"]
    node = helper.make_node(operator, inputs, outputs, domain="com.microsoft", epsilon=1e-5)
    path = models.save([node], {"x": x.shape, "skip": skip.shape}, ["y", "total"], constants, rank=3)
    ours, theirs = (
        run(path)
        for run in (
            lambda p: network.run(network.read(p), {"x": x, "skip": skip}),
            lambda p: models.oracle(p, {"x": x, "skip": skip}),
        )
    )
    for name in ("y", "total"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def _written_out(axes: Any, *, twice: bool, product: bool) -> list[Any]:
    make = helper.make_node
    base = "d2" if twice else "d"
    return [
        make("ReduceMean", ["x"], ["m"], axes=axes),
        make("Sub", ["x", "m"], ["d"]),
        *([make("Sub", ["x", "m"], ["d2"])] if twice else []),
        make("Mul", [base, base], ["s"]) if product else make("Pow", [base, "two"], ["s"]),
        make("ReduceMean", ["s"], ["v"], axes=axes),
        make("Add", ["v", "epsilon"], ["w"]),
        make("Sqrt", ["w"], ["r"]),
        make("Div", ["d", "r"], ["n"]),
        make("Mul", ["n", "gain"], ["g"]),
        make("Add", ["g", "shift"], ["y"]),
    ]


_CONSTANTS = {
    "two": np.array(2, np.float32),
    "epsilon": np.array(1e-5, np.float32),
    "gain": GAIN,
    "shift": SHIFT,
}


def _save(models: Any, nodes: list[Any], x: Any, outputs: list[str]) -> Any:
    names = {name for node in nodes for name in node.input}
    constants = {name: value for name, value in _CONSTANTS.items() if name in names}
    return models.save(nodes, {"x": x.shape}, outputs, constants, opset=13)


@pytest.mark.parametrize("axes", [[-1], [2]])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("product", [False, True])
def test_layer_norm_written_out_is_one_layer(models: Any, axes: list[int], twice: bool, product: bool) -> None:
    x = _x(2, 5, 24)
    path = _save(models, _written_out(axes, twice=twice, product=product), x, ["y"])
    net = network.read(path)
    assert [layer.kind for layer in net.layers] == ["layer_norm"]
    ours = network.run(net, {"x": x})["y"]
    np.testing.assert_allclose(ours, models.oracle(path, {"x": x})["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("axes", "outputs"), [([1], ["y"]), ([-1], ["y", "v"])])
def test_layer_norm_written_out_otherwise_stays(models: Any, axes: list[int], outputs: list[str]) -> None:
    nodes = _written_out(axes, twice=False, product=False)
    net = network.read(_save(models, nodes, _x(2, 24, 24), outputs))
    assert [layer.operator for layer in net.layers] == [node.op_type for node in nodes]


@pytest.mark.parametrize(
    ("attributes", "gain", "message"),
    [
        ({"stash_type": 10}, GAIN, r"stash_type must be 1 \(float32\), not 10"),
        ({}, GAIN[:5], r"input 1 must broadcast to the normalized axes \(24,\), not \(5,\)"),
    ],
)
def test_layer_norm_wrong(models: Any, attributes: dict[str, Any], gain: Any, message: str) -> None:
    nodes = [helper.make_node("LayerNormalization", ["x", "gain"], ["y"], **attributes)]
    with pytest.raises(ValueError, match=message):
        network.read(models.save(nodes, {"x": [2, 24]}, ["y"], {"gain": gain}, opset=17))
