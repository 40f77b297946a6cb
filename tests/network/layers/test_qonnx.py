# SPDX-License-Identifier: Apache-2.0
"""QONNX quantizers against values that qonnx's executor gave, and the published networks where they are at hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import datapath, network
from hwsim.accelerator import UnitEngine, check_network
from hwsim.network.layers.qonnx_nodes import DOMAINS
from hwsim.network.onnx_reader import from_model

_MODELS = Path(__file__).parents[4] / "shared" / "models"
_VALUES = np.load(Path(__file__).parent / "qonnx_vectors.npz")


def _model(
    nodes: list[onnx.NodeProto], inputs: dict[str, tuple[int, ...]], outputs: dict[str, int], constants: dict[str, Any]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "qonnx",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{i}" for i in range(rank)])
            for name, rank in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


# What qonnx 1.0.0's `execute_node` gave: name/operator/attributes, the inputs and the output.
_CASES = {name: (inputs, output) for name, inputs, output in json.loads(bytes(_VALUES["cases"]))}


def _case(name: str) -> tuple[str, dict[str, Any], list[np.ndarray], np.ndarray]:
    """Return operator, attributes, inputs and qonnx's output of a stored case."""
    operator = name.split("/")[1]
    attributes = dict(pair.split("=") for pair in name.split("/")[2].split(",") if pair)
    given = {k: int(v) if v.lstrip("-").isdigit() else v for k, v in attributes.items()}
    inputs, output = _CASES[name]
    return operator, given, [_VALUES[key] for key in inputs], _VALUES[output]


@pytest.mark.parametrize("name", _CASES)
def test_qonnx_quantizer_equals_its_executor(name: str) -> None:
    operator, attributes, (x, *parameters), expected = _case(name)
    domain = DOMAINS[len(name) % 3]
    constants = {f"p{index}": value for index, value in enumerate(parameters)}
    node = helper.make_node(operator, ["x", *constants], ["y"], name="quant", domain=domain, **attributes)
    net = from_model(_model([node], {"x": x.shape}, {"y": x.ndim}, constants))
    found = network.run(net, {"x": x})["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_qonnx_cases_are_many() -> None:
    assert len(_CASES) > 100
    modes = {name.split("rounding_mode=")[1].split(",")[0].split("/")[0] for name in _CASES if "rounding" in name}
    assert {"ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"} <= modes


def _product(domain: str, weight: list[Any], weight_operator: str, unit_a: tuple[int, int, int]) -> onnx.ModelProto:
    """Return Quant of x, a quantizer of constant weights, Transpose, MatMul."""
    rng = np.random.default_rng(4)
    bits, signed, narrow = unit_a
    constants = {
        "s": np.float32(0.25),
        "z": np.float32(0),
        "n": np.float32(bits),
        "w": rng.normal(size=(9, 12)).astype(np.float32),
    }
    names = []
    for index, value in enumerate(weight):
        constants[f"w{index}"] = np.asarray(value, np.float32)
        names.append(f"w{index}")
    signs: dict[str, Any] = (
        {} if weight_operator == "BipolarQuant" else {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    )
    return _model(
        [
            helper.make_node("Quant", ["x", "s", "z", "n"], ["q"], domain=domain, signed=signed, narrow=narrow),
            helper.make_node(weight_operator, ["w", *names], ["wq"], domain=domain, **signs),
            helper.make_node("Transpose", ["wq"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["q", "t"], ["y"], name="product"),
        ],
        {"x": (5, 12)},
        {"y": 2},
        constants,
    )


@pytest.mark.parametrize(
    ("weight", "operator", "a", "unit"),
    [
        ([0.5], "BipolarQuant", (2, 0, 0), "uint2_by_int2"),
        ([0.5, 0, 2], "Quant", (2, 0, 0), "uint2_by_ternary"),
        ([0.5, 0, 3], "IntQuant", (2, 0, 0), "uint2_by_int3_narrow_l4"),
        ([0.5, 0, 2], "Quant", (3, 1, 1), "int3_narrow_by_int2_l4"),
        ([np.linspace(0.1, 1, 9)[:, np.newaxis], 0, 3], "Quant", (2, 0, 0), "uint2_by_int3"),
    ],
)
def test_qonnx_product_of_codes_runs_on_a_unit(weight: list[Any], operator: str, a: Any, unit: str) -> None:
    net = from_model(_product(DOMAINS[0], weight, operator, a))
    assert [layer.kind for layer in net.layers] == ["quantize", "gemm"]
    spec = datapath.named(unit)
    check_network(net, spec, {})
    x = {"x": np.random.default_rng(5).normal(size=(5, 12)).astype(np.float32)}
    exact = network.run(net, x)["y"]
    np.testing.assert_array_equal(network.run(net, x, engine=UnitEngine(spec, {}))["y"], exact)
    assert len(np.unique(exact)) > 9


def test_qonnx_misfits_are_listed_at_once() -> None:
    net = from_model(_product(DOMAINS[1], [0.5, 0, 3], "Quant", (4, 1, 0)))
    with pytest.raises(
        ValueError, match=r"cannot run on unit .*: product \(int4 by int3\); the unit takes int3 by int2"
    ):
        check_network(net, datapath.named("int3_by_int2"), {})


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, 0.0, "a scale must not be 0"),
        (0, np.nan, "must be finite numbers"),
        (0, np.ones((2, 2), np.float32), "does not broadcast"),
        (2, 2.5, "the bit width must be a whole number in 1..32, not 2.5"),
        (2, 0.0, "the bit width must be a whole number in 1..32, not 0"),
        (2, np.ones(2, np.float32), "must be one number"),
    ],
)
def test_qonnx_parameter_wrong(index: int, value: Any, message: str) -> None:
    parameters = [1.0, 0.0, 4.0]
    parameters[index] = value
    constants = {f"p{i}": np.asarray(v, np.float32) for i, v in enumerate(parameters)}
    node = helper.make_node("Quant", ["x", *constants], ["y"], name="quant", domain=DOMAINS[0], signed=1, narrow=0)
    with pytest.raises(ValueError, match=f"(node|layer) 'quant'.*{message}"):
        from_model(_model([node], {"x": (3, 5)}, {"y": 2}, constants))


@pytest.mark.parametrize("attributes", [{"rounding_mode": "SIDEWAYS", "signed": 1, "narrow": 0}, {"narrow": 0}])
def test_qonnx_attribute_wrong(attributes: dict[str, Any]) -> None:
    constants = {"s": np.float32(1), "z": np.float32(0), "b": np.float32(4)}
    node = helper.make_node("Quant", ["x", "s", "z", "b"], ["y"], name="quant", domain=DOMAINS[0], **attributes)
    with pytest.raises(
        ValueError, match=r"node 'quant' .onnx.brevitas::Quant. ?(is malformed|: rounding_mode must be)"
    ):
        from_model(_model([node], {"x": (3, 5)}, {"y": 2}, constants))


@pytest.mark.skipif(not _MODELS.exists(), reason="the published models are not here")
def test_qonnx_float_quant_graph_equals_every_tensor() -> None:
    net = network.read(_MODELS / "fp8_floatquant" / "qonnx_act_weight_fp8.onnx")
    x = np.load(_MODELS / "fp8_floatquant" / "input.npy")
    tensors = np.load(_MODELS / "fp8_floatquant" / "activation.npz")
    found = network.trace(net, {"x.1": x})
    quantize, product = net.layers
    codes = quantize.quantization.dequantize(found[quantize.outputs[0]])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(codes, tensors["input_quant"])
    weight = product.b_quantization.dequantize(product.weight)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(weight.T, tensors["weight_quant"])
    output = np.load(_MODELS / "fp8_floatquant" / "output.npy")
    bias = product.bias_values  # type: ignore[attr-defined]
    exact = codes.astype(np.float64) @ weight.astype(np.float64) + bias
    assert np.abs(found["11"] - exact).max() <= np.spacing(np.abs(output).max())
    partial = codes[0, 0] * weight[0]
    for k in (1, 2):  # the order of ONNX Runtime: three float32 products added one after another, then the bias
        partial = partial + codes[0, k] * weight[k]
    np.testing.assert_array_equal(partial + bias, output[0])
    unit = datapath.named("float8_e4m3fn_l4_float32")
    check_network(net, unit, {})
    ours = network.run(net, {"x.1": x}, engine=UnitEngine(unit, {}))["11"]
    assert np.abs(ours - output).max() <= 4 * np.spacing(np.abs(output).max())


@pytest.mark.skipif(not _MODELS.exists(), reason="the published models are not here")
@pytest.mark.parametrize(
    ("name", "scale", "exact_output"), [("tfc_mnist_w1a2_qonnx", 0.5, True), ("kwsmlp_w3a3_qonnx", 40.0, False)]
)
def test_qonnx_network_equals_its_executor(name: str, scale: float, exact_output: bool) -> None:
    net = network.read(_MODELS / f"{name}.onnx")
    (spec,) = net.inputs
    x = np.random.default_rng(5).normal(scale=scale, size=(2, *spec.shape[1:])).astype(np.float32)
    found = network.trace(net, {spec.name: x})
    theirs = np.load(Path(__file__).parent / "qonnx_networks.npz")
    quantizers = {layer.outputs[0]: layer for layer in net.layers if layer.kind == "quantize"}
    compared = 0
    for key in theirs.files:
        tensor = key.removeprefix(f"{name}/")
        if tensor == key or f"{tensor}_codes" not in quantizers:
            continue
        layer = quantizers[f"{tensor}_codes"]
        values = layer.quantization.dequantize(found[f"{tensor}_codes"])  # type: ignore[attr-defined]
        np.testing.assert_array_equal(values, theirs[key])
        compared += values.size
    assert compared > 1700
    output = net.outputs[0].name
    expected = theirs[f"{name}/{output}"]
    if exact_output:  # scales of 1: every sum is a whole number
        np.testing.assert_array_equal(found[output], expected)
    else:  # their float32 sums round at every step, ours once
        assert np.abs(found[output] - expected).max() <= 256 * np.spacing(np.abs(expected).max())


@pytest.mark.parametrize(
    ("a", "b", "unit"),
    [
        ((3, 2, 3, 28), (2, 2, 1, 7), "float6_e3m2fn_by_minifloat_e2m2_l4_float32"),
        ((4, 3, 7, 448), (3, 1, 3, 24), "float8_e4m3fn_by_minifloat_e3m1_l4_float32"),
        ((2, 1, 1, 6), (4, 3, 9, 120), "float4_e2m1fn_by_minifloat_e4m3b9_l4_float32"),
    ],
)
def test_qonnx_float_quant_product_runs_on_a_unit(a: tuple[int, ...], b: tuple[int, ...], unit: str) -> None:
    rng = np.random.default_rng(6)
    constants: dict[str, Any] = {"s": np.float32(0.25), "w": rng.normal(size=(12, 7)).astype(np.float32)}
    for name, numbers in (("a", a), ("b", b)):
        constants |= {f"{name}{index}": np.float32(value) for index, value in enumerate(numbers)}
    flags: dict[str, Any] = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1}
    nodes = [
        helper.make_node("FloatQuant", ["x", "s", "a0", "a1", "a2", "a3"], ["f"], domain=DOMAINS[2], **flags),
        helper.make_node("FloatQuant", ["w", "s", "b0", "b1", "b2", "b3"], ["g"], domain=DOMAINS[2], **flags),
        helper.make_node("MatMul", ["f", "g"], ["y"], name="product"),
    ]
    net = from_model(_model(nodes, {"x": (5, 12)}, {"y": 2}, constants))
    _, product = net.layers
    spec = datapath.named(unit)
    assert product.a_quantization.format == spec.a  # type: ignore[attr-defined]
    assert product.b_quantization.format == spec.b  # type: ignore[attr-defined]
    check_network(net, spec, {})
    x = {"x": rng.normal(size=(5, 12)).astype(np.float32)}
    codes = network.trace(net, x)["f_codes"]
    d = spec.output.decode(datapath.matmul(spec, codes, product.weight))  # type: ignore[attr-defined]
    ours = network.run(net, x, engine=UnitEngine(spec, {}))["y"]
    np.testing.assert_array_equal(ours, (d * 0.0625).astype(np.float32))
    left = spec.element_a.decode(codes)
    right = spec.element_b.decode(product.weight)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(network.run(net, x)["y"], (left @ right * 0.0625).astype(np.float32))
