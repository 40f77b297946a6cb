# SPDX-License-Identifier: Apache-2.0
"""Additions against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

INT8 = {"a": TensorProto.INT8, "b": TensorProto.INT8, "y": TensorProto.INT8}


@pytest.mark.parametrize(("a", "b"), [((3, 4, 5), (3, 4, 5)), ((3, 4, 5), (5,)), ((1, 4, 1), (3, 1, 5))])
@pytest.mark.parametrize("activation", [None, "Relu", "Clip"])
def test_add_qdq_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, a: Any, b: Any, activation: str | None
) -> None:
    values = {"a": rng.integers(-128, 128, a).astype(np.int8), "b": rng.integers(-128, 128, b).astype(np.int8)}
    operands = [("a", None, 0.0131, 5, "int8"), ("b", None, 0.0377, -9, "int8")]
    nodes, constants = qdq("Add", operands, (0.0451, 3, "int8"), activation=activation)
    path = models.save(nodes, {"a": a, "b": b}, ["y"], constants, types=INT8)
    net = network.read(path)
    assert len(net.layers) == 1
    np.testing.assert_array_equal(network.run(net, values)["y"], models.oracle(path, values)["y"])


def test_add_qdq_with_a_constant_equals_onnxruntime(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    a = rng.integers(-128, 128, (3, 4, 5)).astype(np.int8)
    b = rng.integers(-128, 128, (4, 1)).astype(np.int8)
    operands = [("a", None, 0.0131, 5, "int8"), ("b", b, 0.0377, -9, "int8")]
    nodes, constants = qdq("Add", operands, (0.0451, 3, "int8"))
    net = models.assert_same(models.save(nodes, {"a": a.shape}, ["y"], constants, types=INT8), {"a": a})
    assert net.layers[0].parameters == 4


def test_add_twice_the_same_tensor(models: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4)).astype(np.float32)
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Add", ["r", "r"], ["y"])]
    net = models.assert_same(models.save(nodes, {"x": [3, 4]}, ["y"], {}), {"x": x})
    assert [spec.name for spec in net.graph.edges["r", "y"]["tensors"]] == ["r"]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_add_qlinear_equals_onnxruntime(models: Any, rng: np.random.Generator, dtype: str) -> None:
    info = np.iinfo(dtype)
    values = {name: rng.integers(info.min, info.max + 1, (3, 40, 11)).astype(dtype) for name in "ab"}
    constants = {"as": np.float32(0.0131), "az": np.asarray(5, dtype), "bs": np.float32(0.0377)}
    constants |= {"bz": np.asarray(9, dtype), "ys": np.float32(0.0451), "yz": np.asarray(30, dtype)}
    names = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    node = helper.make_node("QLinearAdd", names, ["y"], domain="com.microsoft")
    proto = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[dtype]
    types = dict.fromkeys(("a", "b", "y"), proto)
    shapes = {name: value.shape for name, value in values.items()}
    path = models.save([node], shapes, ["y"], constants, types=types, rank=3)
    net = network.read(path)
    np.testing.assert_array_equal(network.run(net, values)["y"], models.oracle(path, values)["y"])


def test_add_shapes_wrong(models: Any) -> None:
    path = models.save([helper.make_node("Add", ["a", "b"], ["y"])], {"a": [2, 3], "b": [2, 3]}, ["y"], {})
    import onnx

    model = onnx.load(path)
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"do not broadcast|shapes do not fit"):
        network.read(path)
