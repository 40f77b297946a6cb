# SPDX-License-Identifier: Apache-2.0
"""Networks whose number of images the file leaves open: those that keep images apart, and those that mix them."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from hwsim import network

AXIS = np.array([0])
MIXING: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "softmax": ([helper.make_node("Softmax", ["x"], ["y"], axis=0)], {}),
    "mean": (
        [
            helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "m"], ["y"]),
        ],
        {},
    ),
    "first two": (
        [helper.make_node("Slice", ["x", "begin", "end", "axis"], ["y"])],
        {"begin": np.array([0]), "end": np.array([2]), "axis": AXIS},
    ),
    "gram": (
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "t"], ["s"]),
            helper.make_node("MatMul", ["s", "x"], ["y"]),
        ],
        {},
    ),
    "running sum": ([helper.make_node("CumSum", ["x", "axis"], ["y"])], {"axis": np.array(0)}),
    "shape": ([helper.make_node("Shape", ["x"], ["y"])], {}),
}


@pytest.mark.parametrize("name", MIXING)
def test_open_batch_that_is_mixed_is_refused_and_right_where_it_is_said(
    models: Any, rng: np.random.Generator, name: str
) -> None:
    nodes, constants = MIXING[name]
    types = {"y": 7} if name == "shape" else {}
    path = models.save(nodes, {"x": ["N", 4]}, ["y"], constants, types=types, rank=2)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    open_one = network.read(path)
    assert not open_one.batchable
    with pytest.raises(
        ValueError, match=r"does not keep the 3 images of axis 0 apart.*read it with batch=3 .* or batch=1"
    ):
        network.run(open_one, {"x": x})
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    found = network.run(network.read(path, batch=3), {"x": x})["y"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # float32 sums in another order
    if name == "shape":  # a constant, which is that of a pass
        return
    alone = network.run(network.read(path, batch=1), {"x": x})["y"]
    parts = [onnxruntime.InferenceSession(path).run(None, {"x": x[i : i + 1]})[0] for i in range(3)]
    np.testing.assert_allclose(alone, np.concatenate(parts), rtol=1e-5, atol=1e-6)


def test_open_batch_of_an_lstm_over_axis_0(models: Any, rng: np.random.Generator) -> None:
    shapes = {"w": (1, 12, 4), "r": (1, 12, 3)}
    weights = {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=3)]
    path = models.save(nodes, {"x": ["N", 1, 4]}, ["y"], weights, rank=4)
    x = rng.normal(size=(5, 1, 4)).astype(np.float32)
    with pytest.raises(ValueError, match="does not keep the 5 images"):
        network.run(network.read(path), {"x": x})
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    found = network.run(network.read(path, batch=5), {"x": x})["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_open_batch_that_is_kept_apart(models: Any, rng: np.random.Generator) -> None:
    path = models.save([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, ["y"], {})
    x = rng.normal(size=(70, 4)).astype(np.float32)
    net = network.read(path)
    assert net.batchable
    assert np.array_equal(network.run(net, {"x": x})["y"], np.maximum(x, 0))


def test_fixed_batch_of_a_number_gives_one_a_pass(models: Any, rng: np.random.Generator) -> None:
    path = models.save([helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0)], {"x": [1, 4]}, ["y"], {})
    x = rng.normal(size=(3, 4)).astype(np.float32)
    assert np.array_equal(network.run(network.read(path), {"x": x})["y"], x.max(axis=1))


def test_constant_outputs_are_those_of_one_pass(models: Any) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["k"], ["z"])]
    path = models.save(nodes, {"x": ["N", 4]}, ["y", "z"], {"k": np.array([1, 2], np.float32)})
    found = network.run(network.read(path), {"x": np.ones((70, 4), np.float32)})
    assert found["y"].shape == (70, 4)
    assert np.array_equal(found["z"], np.array([1, 2], np.float32))
