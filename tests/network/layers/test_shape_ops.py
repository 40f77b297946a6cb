# SPDX-License-Identifier: Apache-2.0
"""Layers that only move values, against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8, "a": TensorProto.INT8, "b": TensorProto.INT8}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Reshape", {"shape": np.array([2, -1], np.int64)}, {}),
    ("Reshape", {"shape": np.array([0, 5, 12], np.int64)}, {}),
    ("Flatten", {}, {}),
    ("Flatten", {}, {"axis": 2}),
    ("Transpose", {}, {"perm": [0, 2, 3, 1]}),
    ("Transpose", {}, {}),
    ("Squeeze", {"axes": np.array([2], np.int64)}, {}),
    ("Unsqueeze", {"axes": np.array([1, -1], np.int64)}, {}),
    ("Identity", {}, {}),
]


@pytest.mark.parametrize(("operator", "constants", "attributes"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_shape_ops_equal_onnxruntime(
    models: Any, rng: np.random.Generator, operator: str, constants: Any, attributes: Any, dtype: str
) -> None:
    x = rng.integers(-128, 128, (2, 5, 1, 12)).astype(dtype)
    node = helper.make_node(operator, ["x", *constants], ["y"], **attributes)
    path = models.save([node], {"x": x.shape}, ["y"], constants, types=INT8 if dtype == "int8" else {})
    models.assert_same(path, {"x": x})


@pytest.mark.parametrize(("operator", "constants", "attributes"), CASES[:6])
@pytest.mark.parametrize("output", [(0.0173, -3, "int8"), (0.0231, 9, "int8")])
def test_shape_ops_between_codes_equal_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, operator: str, constants: Any, attributes: Any, output: Any
) -> None:
    x = rng.integers(-128, 128, (2, 5, 1, 12)).astype(np.int8)
    nodes, held = qdq(operator, [("x", None, 0.0173, -3, "int8")], output, **attributes)
    nodes[1].input.extend(constants)
    path = models.save(nodes, {"x": x.shape}, ["y"], {**held, **constants}, types=INT8)
    assert len(models.assert_same(path, {"x": x}).layers) == 1


@pytest.mark.parametrize("axis", [1, -1])
def test_shape_ops_concat_equals_onnxruntime(models: Any, qdq: Any, rng: np.random.Generator, axis: int) -> None:
    values = {name: rng.integers(-128, 128, (2, 3, 3)).astype(np.int8) for name in "ab"}
    operands = [("a", None, 0.0173, -3, "int8"), ("b", None, 0.0231, 9, "int8")]
    nodes, constants = qdq("Concat", operands, (0.0231, 9, "int8"), axis=axis)
    path = models.save(nodes, {"a": [2, 3, 3], "b": [2, 3, 3]}, ["y"], constants, types=INT8)
    net = network.read(path)
    assert len(net.layers) == 1
    np.testing.assert_array_equal(network.run(net, values)["y"], models.oracle(path, values)["y"])


def test_shape_ops_qlinear_concat_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    values = {name: rng.integers(0, 256, (2, 3, 30)).astype(np.uint8) for name in "ab"}
    constants = {"ys": np.float32(0.0231), "yz": np.uint8(9), "as": np.float32(0.0173), "az": np.uint8(3)}
    constants |= {"bs": np.float32(0.0231), "bz": np.uint8(9)}
    names = ["ys", "yz", "a", "as", "az", "b", "bs", "bz"]
    node = helper.make_node("QLinearConcat", names, ["y"], domain="com.microsoft", axis=1)
    types = dict.fromkeys(("a", "b", "y"), TensorProto.UINT8)
    path = models.save([node], {"a": [2, 3, 30], "b": [2, 3, 30]}, ["y"], constants, types=types, rank=3)
    ours = network.run(network.read(path), values)["y"]
    np.testing.assert_array_equal(ours, models.oracle(path, values)["y"])


@pytest.mark.parametrize("shape", [[7, -1], [-1, -1], [-2, 5]])
def test_shape_ops_reshape_wrong(models: Any, shape: list[int]) -> None:
    path = models.save(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": [2, 5]}, ["y"], {"shape": np.array(shape, np.int64)}
    )
    import onnx

    model = onnx.load(path)
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["x", "shape"], ["y"]))
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"cannot take shape|at most one -1|shapes do not fit|not a valid"):
        network.read(path)
