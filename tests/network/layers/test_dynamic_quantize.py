# SPDX-License-Identifier: Apache-2.0
"""Dynamic quantization against ONNX Runtime: the scale and zero point of a product's operand come of the data."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import datapath, network
from hwsim.accelerator import UnitEngine, check_network


def _graph(models: Any, generator: np.random.Generator) -> Any:
    """Return DynamicQuantizeLinear, MatMulInteger, Cast, Mul: what ONNX Runtime's dynamic quantization writes."""
    weight = generator.integers(-128, 128, (24, 10)).astype(np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dynamic"),
        helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["acc"], name="product"),
        helper.make_node("Cast", ["acc"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "ws"], ["scale"]),
        helper.make_node("Mul", ["real", "scale"], ["y"]),
    ]
    constants = {"w": weight, "wz": np.int8(3), "ws": np.float32(0.031)}
    return models.save(nodes, {"x": [7, 24]}, ["y", "q", "s", "z"], constants, types={"q": 2, "z": 2})


@pytest.mark.parametrize("kind", ["both signs", "positive", "negative", "tiny"])
def test_dynamic_quantize_graph_equals_runtime(models: Any, rng: np.random.Generator, kind: str) -> None:
    path = _graph(models, rng)
    x = rng.normal(size=(7, 24)).astype(np.float32)
    x = {"both signs": x, "positive": np.abs(x), "negative": -np.abs(x), "tiny": x * np.float32(1e-30)}[kind]
    models.assert_same(path, {"x": x})


def test_dynamic_quantize_product_runs_on_a_unit(models: Any, rng: np.random.Generator) -> None:
    net = network.read(_graph(models, rng))
    unit = datapath.named("uint8_by_int8_l8")
    check_network(net, unit, {})
    inputs = {"x": rng.normal(size=(7, 24)).astype(np.float32)}
    ours = network.run(net, inputs, engine=UnitEngine(unit, {}))
    for name, value in network.run(net, inputs).items():
        np.testing.assert_array_equal(ours[name], value)


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_quantize_matmul_equals_runtime(
    models: Any, rng: np.random.Generator, channels: bool, bias: bool
) -> None:
    columns = 12
    shape = (columns,) if channels else ()
    constants = {
        "w": rng.integers(-128, 128, (20, columns)).astype(np.int8),
        "ws": rng.uniform(0.001, 0.1, shape).astype(np.float32),
        "wz": rng.integers(-5, 5, shape).astype(np.int8),
        "b": rng.normal(size=columns).astype(np.float32),
    }
    names = ["x", "w", "ws", "wz"] + (["b"] if bias else [])
    node = helper.make_node("DynamicQuantizeMatMul", names, ["y"], domain="com.microsoft")
    path = models.save([node], {"x": [6, 20]}, ["y"], constants, rank=2)
    models.assert_same(path, {"x": rng.normal(size=(6, 20)).astype(np.float32)})


@pytest.mark.parametrize("varying", [False, True])
def test_matmul_integer_to_float_equals_runtime(models: Any, rng: np.random.Generator, varying: bool) -> None:
    constants = {
        "b": rng.integers(0, 256, (16, 9)).astype(np.uint8),
        "bs": rng.uniform(0.001, 0.1, 9).astype(np.float32),
        "bz": np.full(9, 117, np.uint8),
        "bias": rng.normal(size=9).astype(np.float32),
    }
    own = {"as": np.asarray(0.07, np.float32), "az": np.asarray(121, np.uint8)}
    node = helper.make_node(
        "MatMulIntegerToFloat", ["a", "b", "as", "bs", "az", "bz", "bias"], ["y"], domain="com.microsoft"
    )
    inputs: dict[str, Any] = {"a": [5, 16]}
    types = {"a": TensorProto.UINT8, "az": TensorProto.UINT8}
    if varying:
        inputs |= {"as": [], "az": []}
    else:
        constants |= own
    path = models.save([node], inputs, ["y"], constants, types=types, rank=2)
    codes = rng.integers(0, 256, (5, 16)).astype(np.uint8)
    models.assert_same(path, {"a": codes} | (own if varying else {}))


def test_dynamic_quantize_nan_wrong(models: Any, rng: np.random.Generator) -> None:
    net = network.read(_graph(models, rng))
    with pytest.raises(ValueError, match="layer 'dynamic': x must be finite float32 numbers"):
        network.run(net, {"x": np.full((7, 24), np.nan, np.float32)})


def test_dynamic_quantize_convolution_equals_runtime(models: Any, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("ConvInteger", ["q", "w", "z"], ["y"], pads=[1, 1, 1, 1]),
    ]
    weight = rng.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    path = models.save(nodes, {"x": [2, 3, 6, 6]}, ["y"], {"w": weight}, types={"y": TensorProto.INT32})
    models.assert_same(path, {"x": rng.normal(size=(2, 3, 6, 6)).astype(np.float32)})


@pytest.mark.parametrize("operator", ["MatMul", "Conv"])
def test_dynamic_quantize_dequantize_product_is_one_of_codes(
    models: Any, rng: np.random.Generator, operator: str
) -> None:
    pads: dict[str, Any] = {} if operator == "MatMul" else {"pads": [1] * 4}
    shape, weight = ((6, 24), (24, 5)) if operator == "MatMul" else ((2, 3, 6, 6), (4, 3, 3, 3))
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
        helper.make_node(operator, ["f", "wf"], ["y"], **pads),
    ]
    codes = rng.integers(-128, 128, weight).astype(np.int8)
    constants = {"w": codes, "ws": np.float32(0.03), "wz": np.int8(2)}
    path = models.save(nodes, {"x": shape}, ["y"], constants)
    net = network.read(path)
    assert [layer.kind for layer in net.layers] == ["quantize", "gemm" if operator == "MatMul" else "conv"]
    x = {"x": (rng.normal(size=shape) + 0.7).astype(np.float32)}
    exact = network.run(net, x)["y"]
    expected = models.oracle(path, x, ["q", "s", "z"])
    bound = 32 * np.spacing(np.abs(expected["y"]).max())  # ONNX Runtime rounds each of its float32 additions
    assert np.abs(exact - expected["y"]).max() <= bound
    if operator == "MatMul":
        total = (expected["q"].astype(np.int64) - int(expected["z"])) @ (codes.astype(np.int64) - 2)
        scale = np.float64(expected["s"]) * np.float64(np.float32(0.03))
        np.testing.assert_array_equal(exact, (total * scale).astype(np.float32))
    unit = datapath.named("uint8_by_int8_l8")
    check_network(net, unit, {})
    np.testing.assert_array_equal(network.run(net, x, engine=UnitEngine(unit, {}))["y"], exact)
