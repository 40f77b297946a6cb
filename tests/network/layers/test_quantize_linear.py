# SPDX-License-Identifier: Apache-2.0
"""QuantizeLinear and DequantizeLinear that stand alone, against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

PROTO = {
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "uint16": TensorProto.UINT16,
}


@pytest.mark.parametrize("dtype", PROTO)
@pytest.mark.parametrize("per_axis", [False, True])
def test_quantize_linear_equals_onnxruntime(models: Any, rng: np.random.Generator, dtype: str, per_axis: bool) -> None:
    info = np.iinfo(dtype)
    scale = rng.uniform(0.001, 0.1, 5).astype(np.float32) if per_axis else np.float32(0.0173)
    zero = np.full(np.shape(scale), (info.max + info.min) // 2 + 3, dtype)
    x = (rng.standard_normal((3, 5, 400)) * (info.max - info.min) / 8).astype(np.float32) * np.float32(0.02)
    x[0, 0, :200] = (np.arange(200, dtype=np.float32) + 0.5) * np.float32(0.0173)  # close to ties
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1),
    ]
    types = {"q": PROTO[dtype]}
    path = models.save(nodes, {"x": x.shape}, ["q", "y"], {"s": scale, "z": zero}, opset=21, types=types, ir_version=10)
    net = models.assert_same(path, {"x": x})
    assert [layer.kind for layer in net.layers] == ["quantize", "dequantize"]


def test_quantize_linear_of_codes_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = rng.integers(-128, 128, (4, 100)).astype(np.int8)
    constants = {"s": np.float32(0.0173), "z": np.int8(3), "t": np.float32(0.0231), "u": np.uint8(90)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["f"]),
        helper.make_node("QuantizeLinear", ["f", "t", "u"], ["y"]),
    ]
    types = {"x": TensorProto.INT8, "y": TensorProto.UINT8}
    net = models.assert_same(models.save(nodes, {"x": x.shape}, ["y"], constants, types=types), {"x": x})
    assert [layer.kind for layer in net.layers] == ["quantize"]


def test_quantize_linear_rounds_half_away_by_the_tflite_rule(models: Any) -> None:
    x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, 1000]], np.float32)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    constants = {"s": np.float32(1), "z": np.int8(0)}
    net = network.read(models.save([node], {"x": x.shape}, ["y"], constants, types={"y": TensorProto.INT8}))
    assert network.run(net, {"x": x}, rule="tflite")["y"].tolist() == [[1, 2, 3, -1, -2, -3, 0, 127]]
    assert network.run(net, {"x": x}, rule="onnx")["y"].tolist() == [[0, 2, 2, 0, -2, -2, 0, 127]]


def test_quantize_linear_nan_wrong(models: Any) -> None:
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    constants = {"s": np.float32(1), "z": np.int8(0)}
    net = network.read(models.save([node], {"x": [1, 2]}, ["y"], constants, types={"y": TensorProto.INT8}))
    with pytest.raises(ValueError, match="a NaN has no integer code"):
        network.run(net, {"x": np.array([[1, np.nan]], np.float32)})


def test_quantize_linear_scale_wrong(models: Any) -> None:
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], name="q")
    constants = {"s": np.float32(0), "z": np.int8(0)}
    path = models.save([node], {"x": [1, 2]}, ["y"], constants, types={"y": TensorProto.INT8})
    with pytest.raises(ValueError, match=r"node 'q' \(QuantizeLinear\): scale must be finite and not 0, not"):
        network.read(path)
