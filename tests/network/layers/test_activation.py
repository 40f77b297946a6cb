# SPDX-License-Identifier: Apache-2.0
"""Relu and Clip against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8}


def test_activation_float_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((3, 40)) * 5).astype(np.float32)
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["c"]),
        helper.make_node("Clip", ["c", "", "high"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    models.assert_same(
        models.save(nodes, {"x": x.shape}, ["y"], {"low": np.float32(-1.5), "high": np.float32(4)}), {"x": x}
    )


def test_activation_clip_of_opset_6_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((3, 40)) * 5).astype(np.float32)
    node = helper.make_node("Clip", ["x"], ["y"], min=0.0, max=6.0)
    models.assert_same(models.save([node], {"x": x.shape}, ["y"], {}, opset=10, ir_version=5), {"x": x})


@pytest.mark.parametrize("output", [(0.0173, -3, "int8"), (0.0231, 9, "int8")])
def test_activation_between_codes_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, output: Any
) -> None:
    x = rng.integers(-128, 128, (4, 300)).astype(np.int8)
    nodes, constants = qdq("Relu", [("x", None, 0.0173, -3, "int8")], output)
    net = models.assert_same(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8), {"x": x})
    assert len(net.layers) == 1


def test_activation_between_codes_by_the_tflite_rule(models: Any, qdq: Any) -> None:
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    nodes, constants = qdq("Relu", [("x", None, 0.5, -3, "int8")], (0.25, -128, "int8"))
    net = network.read(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8))
    expected = np.clip((np.arange(-128, 128) + 3) * 2 - 128, -128, 127)
    np.testing.assert_array_equal(network.run(net, {"x": x}, rule="tflite")["y"][0], expected)
