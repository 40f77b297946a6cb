# SPDX-License-Identifier: Apache-2.0
"""Matrix products against ONNX Runtime, bit for bit."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network
from hwsim.network.layers.gemm import Gemm

INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("output", [(0.5, -4, "int8"), None])
def test_gemm_qdq_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, per_channel: bool, transpose: bool, output: Any
) -> None:
    x = rng.integers(-128, 128, (5, 40)).astype(np.int8)
    w = rng.integers(-128, 128, (12, 40) if transpose else (40, 12)).astype(np.int8)
    b = rng.integers(-3000, 3000, 12).astype(np.int32)
    w_scale: Any = 2.0 ** rng.integers(-9, -6, 12) if per_channel else 2.0**-8
    w_zero = 0 if per_channel else 3
    nodes, constants = qdq(
        "Gemm",
        [("x", None, 0.25, 11, "int8"), ("w", w, w_scale, w_zero, "int8"), ("b", b, 0.25 * w_scale, 0, "int32")],
        output,
        transB=int(transpose),
    )
    if per_channel:
        nodes[1].attribute[0].i = 0 if transpose else 1
    types = INT8 if output else {"x": TensorProto.INT8}
    net = models.assert_same(models.save(nodes, {"x": [5, 40]}, ["y"], constants, types=types), {"x": x})
    (layer,) = net.layers
    assert isinstance(layer, Gemm)
    assert layer.matmul_shape(net.specs(layer)) == (1, 5, 40, 12)


@pytest.mark.parametrize(
    "attributes", [{}, {"alpha": 0.5, "beta": 2.0}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1}]
)
def test_gemm_float_equals_onnxruntime(models: Any, rng: np.random.Generator, attributes: dict[str, Any]) -> None:
    # Small whole numbers: every float32 sum is exact, in any order.
    shape = (17, 6) if attributes.get("transA") else (6, 17)
    x = rng.integers(-50, 50, shape).astype(np.float32)
    constants = {
        "w": rng.integers(-50, 50, (9, 17) if attributes.get("transB") else (17, 9)).astype(np.float32),
        "c": rng.integers(-50, 50, (1, 9)).astype(np.float32),
    }
    node = helper.make_node("Gemm", ["x", "w", "c"], ["y"], **attributes)
    models.assert_same(models.save([node], {"x": shape}, ["y"], constants), {"x": x})


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3, 8, 16), (16, 5)), ((4, 16), (16, 5)), ((16,), (16, 5)), ((2, 4, 16), (16,))]
)
def test_gemm_matmul_with_constant_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, a: Any, b: Any
) -> None:
    x = rng.integers(-128, 128, a).astype(np.int8)
    w = rng.integers(-128, 128, b).astype(np.int8)
    operands = [("x", None, 0.5, 1, "int8"), ("w", w, 0.03125, -2, "int8")]
    nodes, constants = qdq("MatMul", operands, (2.0, 0, "int8"), activation="Relu")
    models.assert_same(models.save(nodes, {"x": a}, ["y"], constants, types=INT8), {"x": x})


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3, 8, 16), (2, 3, 16, 5)), ((3, 8, 16), (2, 3, 16, 5)), ((1, 8, 16), (4, 16, 5))]
)
def test_gemm_matmul_of_two_activations_equals_onnxruntime(
    models: Any, qdq: Any, rng: np.random.Generator, a: Any, b: Any
) -> None:
    x = rng.integers(-128, 128, a).astype(np.int8)
    w = rng.integers(0, 256, b).astype(np.uint8)
    operands = [("x", None, 0.5, 1, "int8"), ("w", None, 0.03125, 130, "uint8")]
    nodes, constants = qdq("MatMul", operands, (2.0, 0, "int8"))
    path = models.save(nodes, {"x": a, "w": b}, ["y"], constants, types={**INT8, "w": TensorProto.UINT8})
    net = network.read(path)
    assert len(net.layers) == 1
    np.testing.assert_array_equal(network.run(net, {"x": x, "w": w})["y"], models.oracle(path, {"x": x, "w": w})["y"])


@pytest.mark.parametrize("addend", ["float", "codes"])
def test_gemm_takes_in_the_addition_after_a_matmul(
    models: Any, qdq: Any, rng: np.random.Generator, addend: str
) -> None:
    x = rng.integers(-128, 128, (7, 16)).astype(np.int8)
    w = rng.integers(-128, 128, (16, 5)).astype(np.int8)
    nodes, constants = qdq("MatMul", [("x", None, 0.5, 1, "int8"), ("w", w, 0.03125, 0, "int8")], (2.0, 0, "int8"))
    codes = rng.integers(-900, 900, 5).astype(np.int32)
    if addend == "float":
        constants["b"] = (codes / 64).astype(np.float32)
        name = "b"
    else:
        constants |= {"b": codes, "b_scale": np.float32(0.015625)}
        nodes.insert(0, helper.make_node("DequantizeLinear", ["b", "b_scale"], ["b_float"]))
        name = "b_float"
    nodes.insert(-1, helper.make_node("Add", [name, "y_float"], ["sum"]))
    nodes[-1].input[0] = "sum"
    net = models.assert_same(models.save(nodes, {"x": [7, 16]}, ["y"], constants, types=INT8), {"x": x})
    (layer,) = net.layers
    assert isinstance(layer, Gemm)
    assert (layer.bias is None) == (addend == "float")


@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize(("x_type", "w_type"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_gemm_qlinear_matmul_equals_onnxruntime(
    models: Any, rng: np.random.Generator, x_type: str, w_type: str, per_column: bool
) -> None:
    x = rng.integers(np.iinfo(x_type).min, np.iinfo(x_type).max + 1, (6, 33)).astype(x_type)
    constants = {
        "w": (rng.integers(-64, 64, (33, 7)) + (128 if w_type == "uint8" else 0)).astype(w_type),
        "xs": np.float32(0.0173),
        "xz": np.asarray(5, x_type),
        "ws": rng.uniform(0.001, 0.02, 7).astype(np.float32) if per_column else np.float32(0.011),
        "wz": np.full(7, 3, w_type) if per_column else np.asarray(3, w_type),
        "ys": np.float32(0.171),
        "yz": np.asarray(11, x_type),
    }
    node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    proto = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[x_type]
    path = models.save([node], {"x": [6, 33]}, ["y"], constants, types={"x": proto, "y": proto})
    models.assert_same(path, {"x": x})


def test_gemm_matmul_integer_equals_onnxruntime(models: Any, rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (2, 6, 33)).astype(np.uint8)
    constants = {
        "w": rng.integers(-64, 64, (33, 7)).astype(np.int8),
        "xz": np.uint8(200),
        "wz": rng.integers(-10, 10, 7).astype(np.int8),
    }
    node = helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"])
    types = {"x": TensorProto.UINT8, "y": TensorProto.INT32}
    models.assert_same(models.save([node], {"x": [2, 6, 33]}, ["y"], constants, types=types), {"x": x})


@pytest.mark.parametrize("quantized_output", [False, True])
@pytest.mark.parametrize("per_column", [False, True])
def test_gemm_qgemm_equals_onnxruntime(
    models: Any, rng: np.random.Generator, quantized_output: bool, per_column: bool
) -> None:
    x = rng.integers(0, 256, (6, 33)).astype(np.uint8)
    constants = {
        "w": rng.integers(-64, 64, (7, 33)).astype(np.int8),
        "xs": np.float32(0.0173),
        "xz": np.uint8(100),
        "ws": rng.uniform(0.001, 0.02, 7).astype(np.float32) if per_column else np.float32(0.011),
        "wz": np.zeros(7, np.int8) if per_column else np.int8(0),
        "c": rng.integers(-5000, 5000, 7).astype(np.int32),
        "ys": np.float32(0.171),
        "yz": np.uint8(90),
    }
    names = ["x", "xs", "xz", "w", "ws", "wz", "c", *(["ys", "yz"] if quantized_output else [])]
    node = helper.make_node("QGemm", names, ["y"], domain="com.microsoft", transB=1, alpha=1.5)
    types = {"x": TensorProto.UINT8, "y": TensorProto.UINT8 if quantized_output else TensorProto.FLOAT}
    path = models.save([node], {"x": [6, 33]}, ["y"], constants, types=types, rank=2)
    models.assert_same(path, {"x": x})


def test_gemm_operands_wrong(models: Any) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = models.save([node], {"x": [4, 4]}, ["y"], {"w": np.ones((5, 9), np.float32)})
    with pytest.raises(ValueError, match=r"operands .* do not share their inner axis|shapes do not fit"):
        network.read(path)


@pytest.mark.parametrize("rank", [2, 3])
def test_gemm_constant_first_operand_equals_runtime(models: Any, rng: np.random.Generator, rank: int) -> None:
    node = helper.make_node("MatMul", ["w", "x"], ["y"])
    weight = rng.integers(-9, 10, (5, 4)).astype(np.float32)  # whole numbers: any order of additions is exact
    shape = (3, 4, 6)[-rank:]
    path = models.save([node], {"x": shape}, ["y"], {"w": weight})
    models.assert_same(path, {"x": rng.integers(-9, 10, shape).astype(np.float32)})


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_all_operands_vary_equals_runtime(
    models: Any, rng: np.random.Generator, transposed: int, beta: float
) -> None:
    node = helper.make_node("Gemm", ["a", "b", "c"], ["y"], transB=transposed, alpha=2.0, beta=beta)
    shapes = {"a": (4, 3), "b": (5, 3) if transposed else (3, 5), "c": (4, 1)}
    path = models.save([node], shapes, ["y"], {})
    models.assert_same(path, {k: rng.integers(-9, 10, v).astype(np.float32) for k, v in shapes.items()})
