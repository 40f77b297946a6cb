# SPDX-License-Identifier: Apache-2.0
"""Pooling against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 2], "strides": [1, 3], "pads": [0, 1, 1, 0]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [12, 11], "strides": [1, 1]},
    {"kernel_shape": [12, 11], "strides": [12, 11]},
    {"kernel_shape": [3, 3], "strides": [3, 3], "auto_pad": "SAME_UPPER"},
]
INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8}


@pytest.mark.parametrize("attributes", GEOMETRIES)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_pool_float_equals_onnxruntime(
    models: Any, rng: np.random.Generator, operator: str, attributes: dict[str, Any]
) -> None:
    x = rng.standard_normal((2, 5, 12, 11)).astype(np.float32)
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    models.assert_same(models.save([node], {"x": x.shape}, ["y"], {}), {"x": x})


@pytest.mark.parametrize("attributes", GEOMETRIES[1:3])
def test_pool_counts_padding(models: Any, rng: np.random.Generator, attributes: dict[str, Any]) -> None:
    x = rng.standard_normal((2, 5, 12, 11)).astype(np.float32)
    node = helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=1, **attributes)
    models.assert_same(models.save([node], {"x": x.shape}, ["y"], {}), {"x": x})


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_pool_global_equals_onnxruntime(models: Any, rng: np.random.Generator, operator: str) -> None:
    for shape in ((2, 5, 12, 11), (1, 3, 7, 7), (2, 4, 1, 3)):
        x = rng.standard_normal(shape).astype(np.float32)
        models.assert_same(models.save([helper.make_node(operator, ["x"], ["y"])], {"x": shape}, ["y"], {}), {"x": x})


@pytest.mark.parametrize("attributes", GEOMETRIES)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "GlobalAveragePool"])
@pytest.mark.parametrize("output", [(0.0173, -3, "int8"), (0.0231, 9, "int8")])
def test_pool_qdq_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, operator: str, attributes: dict[str, Any], output: Any
) -> None:
    x = rng.integers(-128, 128, (2, 5, 12, 11)).astype(np.int8)
    settings = {} if "Global" in operator else attributes
    nodes, constants = qdq(operator, [("x", None, 0.0173, -3, "int8")], output, activation="Relu", **settings)
    net = models.assert_same(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8), {"x": x})
    assert len(net.layers) == 1


def test_pool_max_of_codes_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (2, 5, 12, 11)).astype(np.uint8)
    node = helper.make_node("MaxPool", ["x"], ["y"], **GEOMETRIES[1])
    types = {"x": TensorProto.UINT8, "y": TensorProto.UINT8}
    models.assert_same(models.save([node], {"x": x.shape}, ["y"], {}, types=types), {"x": x})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("whole", [False, True])
def test_pool_qlinear_equals_onnxruntime(models: Any, rng: np.random.Generator, dtype: str, whole: bool) -> None:
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max + 1, (2, 5, 12, 11)).astype(dtype)
    constants = {
        "xs": np.float32(0.0173),
        "xz": np.asarray(7, dtype),
        "ys": np.float32(0.0091),
        "yz": np.asarray(20, dtype),
    }
    operator = "QLinearGlobalAveragePool" if whole else "QLinearAveragePool"
    settings: dict[str, Any] = {} if whole else GEOMETRIES[1]
    node = helper.make_node(operator, ["x", "xs", "xz", "ys", "yz"], ["y"], domain="com.microsoft", **settings)
    proto = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[dtype]
    path = models.save([node], {"x": x.shape}, ["y"], constants, types={"x": proto, "y": proto}, rank=4)
    models.assert_same(path, {"x": x})


def test_pool_average_rounds_half_away_by_the_tflite_rule(models: Any, qdq: Any) -> None:
    # TFLite's reference divides with truncation after adding half the count to the magnitude.
    x = np.array([1, 2, 0, 0, -1, -2, 0, 0, 127, 127, 127, 126], np.int8).reshape(1, 3, 2, 2)
    nodes, constants = qdq("GlobalAveragePool", [("x", None, 0.5, 0, "int8")], (0.5, 0, "int8"))
    net = network.read(models.save(nodes, {"x": x.shape}, ["y"], constants, types=INT8))
    y = network.run(net, {"x": x}, rule="tflite")["y"]
    assert y.ravel().tolist() == [1, -1, 127]


@pytest.mark.parametrize(
    "attributes", [{"kernel_shape": [2, 2]}, {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 0]}]
)
@pytest.mark.parametrize("storage_order", [0, 1])
def test_pool_finds_indices(
    models: Any, rng: np.random.Generator, attributes: dict[str, Any], storage_order: int
) -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "indices"], storage_order=storage_order, **attributes)
    path = models.save([node], {"x": [2, 3, 6, 5]}, ["y", "indices"], {}, types={"indices": TensorProto.INT64})
    net = models.assert_same(path, {"x": rng.integers(-9, 9, (2, 3, 6, 5)).astype(np.float32)})
    assert not net.batchable  # indices count over the whole batch


@pytest.mark.parametrize(("size", "pads", "include"), [(2, 1, 1), (2, 1, 0), (5, 0, 0), (7, 1, 1)])
def test_pool_averages_windows_over_the_edge(
    models: Any, rng: np.random.Generator, size: int, pads: int, include: int
) -> None:
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[3, 3], pads=[pads] * 4, ceil_mode=1,
        count_include_pad=include,
    )  # fmt: skip
    path = models.save([node], {"x": [1, 2, size, size]}, ["y"], {}, opset=22, ir_version=10)
    x = rng.integers(-9, 9, (1, 2, size, size)).astype(np.float32)
    torch = pytest.importorskip("torch")
    pool = torch.nn.AvgPool2d(3, 3, pads, ceil_mode=True, count_include_pad=bool(include))
    np.testing.assert_array_equal(network.run(network.read(path), {"x": x})["y"], pool(torch.from_numpy(x)).numpy())
