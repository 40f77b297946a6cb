# SPDX-License-Identifier: Apache-2.0
"""The weights of float, QDQ, QOperator and QONNX networks as matrices, in files with any operators."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import network


def test_weight_tensors_of_a_float_network(models: Any, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "conv", "bias"], ["c"], group=2),
        helper.make_node("Det", ["c"], ["s"]),  # not run, and no matter
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("Gemm", ["f", "gemm"], ["g"], transB=1),
        helper.make_node("MatMul", ["g", "matmul"], ["m"]),
        helper.make_node("Reshape", ["flat", "shape"], ["square"]),
        helper.make_node("MatMul", ["m", "square"], ["n"]),
        helper.make_node("MatMul", ["left", "n"], ["y"]),
    ]
    constants = {
        "conv": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "bias": np.ones(4, np.float32),
        "gemm": rng.standard_normal((7, 144)).astype(np.float32),
        "matmul": rng.standard_normal((7, 6)).astype(np.float32),
        "flat": rng.standard_normal(30).astype(np.float32),
        "shape": np.array([6, -1]),
        "left": rng.standard_normal((2, 3)).astype(np.float32),
    }
    path = models.save(nodes, {"x": (3, 6, 8, 8)}, ["y"], constants)
    found = network.weights(path)
    assert list(found) == ["conv", "gemm", "matmul", "flat", "left"]
    assert {(weight.values.dtype.name, weight.axis) for weight in found.values()} == {("float32", 1)}
    np.testing.assert_array_equal(found["conv"].values, constants["conv"].reshape(4, 27))
    np.testing.assert_array_equal(found["gemm"].values, constants["gemm"])
    np.testing.assert_array_equal(found["matmul"].values, constants["matmul"].T)
    np.testing.assert_array_equal(found["flat"].values, constants["flat"].reshape(6, 5).T)
    np.testing.assert_array_equal(found["left"].values, constants["left"])


def test_weight_tensors_of_a_qdq_network(models: Any, rng: np.random.Generator) -> None:
    codes = rng.integers(-128, 128, (20, 8)).astype(np.int8)
    scale = np.exp(rng.standard_normal(8)).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wf"], axis=1),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
        helper.make_node("QuantizeLinear", ["v", "one"], ["vq"]),
        helper.make_node("DequantizeLinear", ["vq", "one"], ["vf"]),
        helper.make_node("MatMul", ["y", "vf"], ["z"]),
    ]
    v = rng.uniform(0, 255, (8, 3)).astype(np.float32)
    constants = {"w": codes, "scale": scale, "v": v, "one": np.float32(1)}
    found = network.weights(models.save(nodes, {"x": (2, 20)}, ["z"], constants))
    np.testing.assert_array_equal(found["w"].values, (codes.astype(np.float32) * scale).T)
    np.testing.assert_array_equal(found["v"].values, np.rint(v).T)


def test_weight_tensors_of_an_mxfp4_network(tmp_path: Path, rng: np.random.Generator) -> None:
    # Blocks of 32 along K with E8M0 scales, as ONNX writes MXFP4: two types that ONNX Runtime does not read.
    codes = rng.integers(0, 16, (64, 4)).astype(np.uint8)
    powers = rng.integers(120, 130, (2, 4)).astype(np.uint8)
    w = codes.view(helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT4E2M1))
    scale = powers.view(helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT8E8M0))
    dequantize = helper.make_node(
        "DequantizeLinear", ["w", "s"], ["wf"], axis=0, block_size=32, output_dtype=TensorProto.FLOAT
    )
    graph = helper.make_graph(
        [dequantize, helper.make_node("MatMul", ["x", "wf"], ["y"])],
        "mx",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(scale, "s")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)]), tmp_path / "mx.onnx")
    found = network.weights(tmp_path / "mx.onnx")
    e2m1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])  # OCP Microscaling Formats 1.0, table 6
    values = np.where(codes & 8, -1, 1) * e2m1[codes & 7] * 2.0 ** (np.repeat(powers, 32, 0).astype(float) - 127)
    np.testing.assert_array_equal(found["w"].values, values.T)


def test_weight_tensors_of_integer_operators(models: Any, rng: np.random.Generator) -> None:
    w = rng.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    m = rng.integers(-128, 128, (4, 5)).astype(np.int8)
    nodes = [
        helper.make_node("QLinearConv", ["x", "one", "zero", "w", "ws", "wz", "one", "zero"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["r"]),
        helper.make_node("MatMulInteger", ["r", "m", "", "mz"], ["y"]),
    ]
    constants: dict[str, Any] = {
        "one": np.float32(1), "zero": np.uint8(0), "w": w, "shape": np.array([-1, 4]), "m": m, "mz": np.int8(3),
        "ws": np.array([0.5, 1, 2, 4], np.float32), "wz": np.array([1, 2, 3, 4], np.uint8),
    }  # fmt: skip
    types = {"x": TensorProto.UINT8, "y": TensorProto.INT32}
    found = network.weights(models.save(nodes, {"x": (1, 3, 8, 8)}, ["y"], constants, types=types))
    shifted = w.astype(np.float32) - constants["wz"].reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(found["w"].values, (shifted * constants["ws"].reshape(-1, 1, 1, 1)).reshape(4, 27))
    np.testing.assert_array_equal(found["m"].values, m.T.astype(np.float32) - 3)


def test_weight_tensors_leave_out_what_varies(models: Any) -> None:
    nodes = [
        helper.make_node("Sin", ["w"], ["computed"]),
        helper.make_node("MatMul", ["x", "computed"], ["a"]),
        helper.make_node("MatMul", ["a", "a"], ["y"]),
    ]
    path = models.save(nodes, {"x": (4, 4)}, ["y"], {"w": np.ones((4, 4), np.float32)})
    assert network.weights(path) == {}


def test_weight_tensors_file_wrong(models: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such model: .*absent\.onnx"):
        network.weights(tmp_path / "absent.onnx")
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wf"], axis=1),
        helper.make_node("MatMul", ["x", "wf"], ["y"], name="product"),
    ]
    constants = {"w": np.ones((4, 5), np.int8), "s": np.ones(3, np.float32)}
    path = models.save(nodes, {"x": (2, 4)}, ["y"], constants)
    message = r"the weights of node 'product' \(MatMul\) cannot be read: scale must have shape \(5,\)"
    with pytest.raises(ValueError, match=message):
        network.weights(path)


# Of each network: matrices, and their elements, counted from its initializers with onnx alone.
SAMPLES = {
    "dscnn_kws_int8_qdq.onnx": (10, 22016),
    "mobilenetv1_vww_int8_qdq.onnx": (28, 208112),
    "resnet8_cifar10_int8_qdq.onnx": (10, 77360),
    "tfc_mnist_w1a2_qonnx.onnx": (4, 784 * 64 + 64 * 64 * 2 + 64 * 10),
    "kwsmlp_w3a3_qonnx.onnx": (4, 490 * 256 + 256 * 256 * 2 + 256 * 12),
    "fp8_floatquant/qonnx_act_weight_fp8.onnx": (1, 48),
    "mnist_float/mnist-12-float.onnx": (3, 8 * 25 + 16 * 8 * 25 + 256 * 10),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_weight_tensors_of_trained_networks(shared: Path, name: str) -> None:
    path = shared / "models" / name
    found = network.weights(path)
    assert (len(found), sum(weight.values.size for weight in found.values())) == SAMPLES[name]
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    for key, weight in found.items():
        assert weight.values.size == held[key].size
        assert weight.values.ndim == 2
        assert np.isfinite(weight.values).all()
        assert weight.values.any()
