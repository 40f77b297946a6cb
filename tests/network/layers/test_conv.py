# SPDX-License-Identifier: Apache-2.0
"""Convolutions against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network
from hwsim.network.layers.conv import Conv

GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"pads": [1, 2, 2, 1], "dilations": [2, 1]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
    {"auto_pad": "SAME_LOWER"},
    {"group": 2, "pads": [1, 1, 1, 1]},
    {"group": 4, "strides": [2, 2]},
]
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


@pytest.mark.parametrize("attributes", GEOMETRIES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", [None, "Relu", "Clip"])
def test_conv_qdq_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, attributes: dict[str, Any], dtype: str, activation: str | None
) -> None:
    # Scales that are powers of two make every float32 sum of ONNX Runtime exact, and ties frequent.
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = rng.integers(low, high + 1, (3, 4, 9, 8)).astype(dtype)
    groups = attributes.get("group", 1)
    w = rng.integers(-128, 128, (8, 4 // groups, 3, 3)).astype(np.int8)
    b = rng.integers(-2000, 2000, 8).astype(np.int32)
    w_scale = 2.0 ** rng.integers(-9, -6, 8)
    zero = int(rng.integers(low, high + 1))
    nodes, constants = qdq(
        "Conv",
        [("x", None, 0.25, zero, dtype), ("w", w, w_scale, 0, "int8"), ("b", b, 0.25 * w_scale, 0, "int32")],
        (0.5, zero // 2, dtype),
        activation=activation,
        **attributes,
    )
    path = models.save(nodes, {"x": [3, 4, 9, 8]}, ["y"], constants, types={"x": TYPES[dtype], "y": TYPES[dtype]})
    net = models.assert_same(path, {"x": x})
    (layer,) = net.layers
    assert isinstance(layer, Conv)
    assert layer.bias is not None
    assert layer.quantized


def test_conv_qdq_differs_from_onnxruntime_only_at_ties(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    x = rng.integers(-128, 128, (4, 16, 12, 12)).astype(np.int8)
    w = rng.integers(-128, 128, (16, 16, 3, 3)).astype(np.int8)
    w_scale = rng.uniform(0.001, 0.01, 16).astype(np.float32)
    operands = [("x", None, 0.031, -7, "int8"), ("w", w, w_scale, 0, "int8")]
    nodes, constants = qdq("Conv", operands, (0.37, 3, "int8"))
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    path = models.save(nodes, {"x": [4, 16, 12, 12]}, ["y"], constants, types=types)
    theirs = models.oracle(path, {"x": x}, ["y_float"])
    ours = network.run(network.read(path), {"x": x})["y"]
    different = ours != theirs["y"]
    quotient = theirs["y_float"][different] / np.float32(0.37)
    assert ours.size == 4 * 16 * 100
    assert np.all(np.abs(quotient - np.floor(quotient) - 0.5) < 1e-3)
    assert different.sum() < 10


@pytest.mark.parametrize("attributes", GEOMETRIES)
@pytest.mark.parametrize(("x_type", "w_type"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_conv_qlinear_equals_onnxruntime(
    models: Any, rng: np.random.Generator, attributes: dict[str, Any], x_type: str, w_type: str
) -> None:
    groups = attributes.get("group", 1)
    x = rng.integers(np.iinfo(x_type).min, np.iinfo(x_type).max + 1, (2, 4, 9, 8)).astype(x_type)
    # 7-bit weights: processors without VNNI saturate ONNX Runtime's sums of pairs at 16 bits.
    w = (rng.integers(-64, 64, (8, 4 // groups, 3, 3)) + (128 if w_type == "uint8" else 0)).astype(w_type)
    per_channel = w_type == "int8"
    constants = {
        "w": w,
        "xs": np.float32(0.0173),
        "xz": np.asarray(5, x_type),
        "ws": rng.uniform(0.001, 0.02, 8).astype(np.float32) if per_channel else np.float32(0.013),
        "wz": np.zeros(8, w_type) if per_channel else np.asarray(131, w_type),
        "ys": np.float32(0.0671),
        "yz": np.asarray(-3 if x_type == "int8" else 120, x_type),
        "b": rng.integers(-2000, 2000, 8).astype(np.int32),
    }
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], **attributes)
    types = {"x": TYPES[x_type], "y": TYPES[x_type]}
    models.assert_same(models.save([node], {"x": [2, 4, 9, 8]}, ["y"], constants, types=types), {"x": x})


def test_conv_integer_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (2, 3, 7, 7)).astype(np.uint8)
    constants = {
        "w": rng.integers(0, 256, (5, 3, 3, 3)).astype(np.uint8),
        "xz": np.uint8(17),
        "wz": np.uint8(99),
    }
    node = helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], pads=[1, 1, 1, 1])
    types = {"x": TensorProto.UINT8, "y": TensorProto.INT32}
    models.assert_same(models.save([node], {"x": [2, 3, 7, 7]}, ["y"], constants, types=types), {"x": x})


@pytest.mark.parametrize("shape", [(2, 4, 30), (2, 4, 5, 6, 7)])
def test_conv_runs_in_one_and_three_dimensions(models: Any, qdq: Any, rng: np.random.Generator, shape: Any) -> None:
    x = rng.integers(-128, 128, shape).astype(np.int8)
    w = rng.integers(-128, 128, (6, 4, *[3] * (len(shape) - 2))).astype(np.int8)
    nodes, constants = qdq("Conv", [("x", None, 0.5, 9, "int8"), ("w", w, 0.0078125, 0, "int8")], (4.0, 0, "int8"))
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    models.assert_same(models.save(nodes, {"x": shape}, ["y"], constants, types=types), {"x": x})


@pytest.mark.parametrize("float_bias", [False, True])
def test_conv_folds_batch_normalization(models: Any, rng: np.random.Generator, float_bias: bool) -> None:
    x = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
    constants = {
        "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "b": rng.standard_normal(4).astype(np.float32),
        "scale": rng.uniform(0.5, 2, 4).astype(np.float32),
        "shift": rng.standard_normal(4).astype(np.float32),
        "mean": rng.standard_normal(4).astype(np.float32),
        "variance": rng.uniform(0.5, 2, 4).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"] if float_bias else ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    path = models.save(nodes, {"x": [2, 3, 8, 8]}, ["y"], constants)
    net = network.read(path)
    assert [layer.kind for layer in net.layers] == ["conv", "activation"]
    ours = network.run(net, {"x": x})["y"]
    np.testing.assert_allclose(ours, models.oracle(path, {"x": x})["y"], rtol=0, atol=2e-5)


def test_conv_folds_batch_normalization_between_codes(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    x = rng.integers(-128, 128, (2, 3, 8, 8)).astype(np.int8)
    w = rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
    b = rng.integers(-500, 500, 4).astype(np.int32)
    operands = [("x", None, 0.25, 3, "int8"), ("w", w, 0.0078125, 0, "int8"), ("b", b, 0.001953125, 0, "int32")]
    nodes, constants = qdq("Conv", operands, (0.5, 1, "int8"), activation="Relu")
    # Powers of two again: variance + epsilon = 1/4, so every step is exact.
    constants |= {
        "scale": np.array([0.5, 1, -1, 2], np.float32),
        "shift": np.array([0.25, -1, 0.5, 3], np.float32),
        "mean": np.array([0, 1, -2, 0.5], np.float32),
        "variance": np.full(4, 0.25, np.float32),
    }
    inputs = ["y_float", "scale", "shift", "mean", "variance"]
    nodes.insert(4, helper.make_node("BatchNormalization", inputs, ["normal"], epsilon=0.0))
    nodes[5].input[0] = "normal"
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    net = models.assert_same(models.save(nodes, {"x": [2, 3, 8, 8]}, ["y"], constants, types=types), {"x": x})
    assert [layer.kind for layer in net.layers] == ["conv"]


@pytest.mark.parametrize(
    ("weight_shape", "attributes", "message"),
    [
        ((8, 5, 3, 3), {}, r"does not fit weights \(8, 5, 3, 3\)|shapes do not fit"),
        ((8, 4, 3, 3), {"kernel_shape": [5, 5]}, "kernel_shape|shapes do not fit"),
        ((8, 4, 11, 3), {}, "a window of 11 does not fit a padded axis of 9|shapes do not fit"),
        ((8, 4, 3, 3), {"strides": [0, 1]}, "must be positive|shapes do not fit|not a valid"),
    ],
)
def test_conv_geometry_wrong(
    models: Any, weight_shape: tuple[int, ...], attributes: dict[str, Any], message: str
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    path = models.save([node], {"x": [1, 4, 9, 8]}, ["y"], {"w": np.zeros(weight_shape, np.float32)})
    with pytest.raises(ValueError, match=message):
        network.read(path)
