# SPDX-License-Identifier: Apache-2.0
"""Softmax against ONNX Runtime and the meaning of the operator."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8}


@pytest.mark.parametrize(("opset", "axis"), [(13, -1), (13, 1), (11, 1), (11, 2)])
def test_softmax_float_is_within_three_units_of_onnxruntime(
    models: Any, rng: np.random.Generator, opset: int, axis: int
) -> None:
    # Bit-equal where ONNX Runtime sums in 16 lanes (AVX-512); elsewhere its sum may round otherwise.
    x = (rng.standard_normal((3, 7, 21)) * 4).astype(np.float32)
    path = models.save([helper.make_node("Softmax", ["x"], ["y"], axis=axis)], {"x": x.shape}, ["y"], {}, opset=opset)
    ours, theirs = network.run(network.read(path), {"x": x})["y"], models.oracle(path, {"x": x})["y"]
    np.testing.assert_array_max_ulp(ours, theirs, maxulp=3)


@pytest.mark.parametrize("width", [2, 10, 12, 33])
def test_softmax_qdq_equals_onnxruntime(models: Any, qdq: Any, rng: np.random.Generator, width: int) -> None:
    x = rng.integers(-128, 128, (2000, width)).astype(np.int8)
    nodes, constants = qdq("Softmax", [("x", None, 0.0673, 13, "int8")], (1 / 256, -128, "int8"), axis=-1)
    net = models.assert_same(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8), {"x": x})
    assert len(net.layers) == 1


@pytest.mark.parametrize("width", [2, 10, 128])
def test_softmax_tflite_is_within_one_code_of_the_real_function(
    models: Any, qdq: Any, rng: np.random.Generator, width: int
) -> None:
    x = rng.integers(-128, 128, (2000, width)).astype(np.int8)
    nodes, constants = qdq("Softmax", [("x", None, 0.0673, 13, "int8")], (1 / 256, -128, "int8"), axis=-1)
    net = network.read(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8))
    exps = np.exp(x.astype(np.float64) * np.float64(np.float32(0.0673)))
    real = exps / exps.sum(axis=1, keepdims=True) * 256 - 128
    ours = network.run(net, {"x": x}, rule="tflite")["y"]
    assert np.abs(ours - np.minimum(real, 127)).max() < 1


def test_softmax_tflite_output_wrong(models: Any, qdq: Any) -> None:
    nodes, constants = qdq("Softmax", [("x", None, 0.0673, 13, "int8")], (1 / 128, -128, "int8"), axis=-1)
    net = network.read(models.save(nodes, {"x": [1, 4]}, ["y"], constants, types=INT8))
    message = "the TFLite rule needs a Softmax output of 8 bits with scale 1/256 and zero point -128, not 0.0078125"
    with pytest.raises(ValueError, match=message):
        network.run(net, {"x": np.zeros((1, 4), np.int8)}, rule="tflite")


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(("width", "scale"), [(5, 1 / 256), (20, 0.0051), (1000, 1 / 256)])
def test_softmax_qlinear_equals_onnxruntime(
    models: Any, rng: np.random.Generator, dtype: str, width: int, scale: float
) -> None:
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max + 1, (500, width)).astype(dtype)
    constants = {"xs": np.float32(0.0673), "xz": np.asarray(5, dtype), "ys": np.float32(scale)}
    constants["yz"] = np.asarray(info.min, dtype)
    names = ["x", "xs", "xz", "ys", "yz"]
    node = helper.make_node("QLinearSoftmax", names, ["y"], domain="com.microsoft", axis=-1, opset=13)
    proto = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[dtype]
    path = models.save([node], {"x": x.shape}, ["y"], constants, types={"x": proto, "y": proto}, rank=2)
    models.assert_same(path, {"x": x})
