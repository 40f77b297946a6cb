# SPDX-License-Identifier: Apache-2.0
"""The float network of QLinear operators and of codes that are only moved: ONNX Runtime's of the float operators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import hwsim
from hwsim.network import ExactEngine, Rule, run
from hwsim.simulation import FloatNetwork
from hwsim.simulation.errors import ErrorMeter

Array = npt.NDArray[Any]

CONSTANTS: dict[str, Any] = {
    "xs": np.float32(0.0173),
    "xz": np.uint8(121),
    "ys": np.float32(0.013),
    "yz": np.uint8(119),
    "k": np.arange(12, dtype=np.uint8).reshape(1, 3, 4) * np.uint8(20),
    "ks": np.float32(0.019),
    "kz": np.uint8(100),
}


def _model(
    nodes: list[NodeProto],
    constants: dict[str, Any],
    given: Mapping[str, tuple[int, list[int]]],
    output: int,
    rank: int,
) -> ModelProto:
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *spec) for name, spec in given.items()],
        [helper.make_tensor_value_info("y", output, [f"d{axis}" for axis in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in read],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _floats(path: Path, model: ModelProto, inputs: dict[str, Array]) -> tuple[Array, FloatNetwork]:
    """Save and read a model; return its output in the float network."""
    path.write_bytes(model.SerializeToString())
    net = hwsim.network.read(path)
    floats = FloatNetwork(net)
    values = {name: floats.values(name, value) for name, value in inputs.items()}
    for layer in net.layers:
        values.update(zip(layer.outputs, floats.run(layer, tuple(values[name] for name in layer.inputs)), strict=True))
    return values["y"], floats


def _oracle(model: ModelProto, inputs: dict[str, Array]) -> Array:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], inputs)[0])


def _value(codes: Array, scale: np.float32, zero: int) -> Array:
    return (codes.astype(np.float32) - np.float32(zero)) * scale


@pytest.mark.parametrize(
    ("operator", "float_operator", "attributes"),
    [
        ("QLinearSigmoid", "Sigmoid", {}),
        ("QLinearLeakyRelu", "LeakyRelu", {"alpha": 0.13}),
        ("QLinearMul", "Mul", {}),
        ("QLinearAdd", "Add", {}),
    ],
)
def test_float_network_of_qlinear_operators(
    tmp_path: Path, operator: str, float_operator: str, attributes: dict[str, Any]
) -> None:
    """Bit for bit the float operator on the values of the codes, held in the range of the output's codes."""
    two = operator in ("QLinearMul", "QLinearAdd")
    second = ["k", "ks", "kz"] if two else []
    node = helper.make_node(
        operator, ["x", "xs", "xz", *second, "ys", "yz"], ["y"], domain="com.microsoft", **attributes
    )
    model = _model([node], CONSTANTS, {"x": (TensorProto.UINT8, [1, 3, 4])}, TensorProto.UINT8, 3)
    codes = np.random.default_rng(0).integers(0, 256, (1, 3, 4)).astype(np.uint8)
    found, floats = _floats(tmp_path / "m.onnx", model, {"x": codes})
    assert floats.on_codes == ()
    constant = {"k": _value(CONSTANTS["k"], CONSTANTS["ks"], 100)}
    other = _model(
        [helper.make_node(float_operator, ["x", "k"] if two else ["x"], ["y"], **attributes)],
        constant,
        {"x": (TensorProto.FLOAT, [1, 3, 4])},
        TensorProto.FLOAT,
        3,
    )
    real = _oracle(other, {"x": _value(codes, CONSTANTS["xs"], 121)})
    ends = [np.float32((code - 119) * np.float64(CONSTANTS["ys"])) for code in (0, 255)]
    np.testing.assert_array_equal(found, np.clip(real, ends[0], ends[1]))


def _dequantize(name: str, output: str, parameters: str = "x", **attributes: Any) -> NodeProto:
    return helper.make_node("DequantizeLinear", [name, f"{parameters}s", f"{parameters}z"], [output], **attributes)


TABLE = np.random.default_rng(1).integers(0, 256, (10, 4)).astype(np.uint8)
INDICES = {"i": np.array([[3, 0, 9]])}
X = {"x": np.random.default_rng(2).integers(0, 256, (1, 3, 4)).astype(np.uint8)}
BY_CHANNEL = {"cs": np.array([0.1, 0.2, 0.3, 0.4], np.float32), "cz": np.array([1, 2, 3, 4], np.uint8)}
MOVED: dict[str, tuple[list[NodeProto], dict[str, Any], dict[str, Array]]] = {
    # as onnxruntime's quantize_dynamic writes an embedding
    "gather": ([helper.make_node("Gather", ["t", "i"], ["g"]), _dequantize("g", "y")], {"t": TABLE}, INDICES),
    "gather by channel": (
        [helper.make_node("Gather", ["t", "i"], ["g"]), _dequantize("g", "y", "c", axis=2)],
        {"t": TABLE} | BY_CHANNEL,
        INDICES,
    ),
    "concat": ([helper.make_node("Concat", ["x", "k"], ["g"], axis=1), _dequantize("g", "y")], {}, X),
    "pad": (
        [helper.make_node("Pad", ["x", "p", "fill"], ["g"]), _dequantize("g", "y")],
        {"p": np.array([0, 1, 0, 0, 0, 2]), "fill": np.uint8(121)},
        X,
    ),
    "transpose by channel": (
        [helper.make_node("Transpose", ["x"], ["g"], perm=[0, 2, 1]), _dequantize("g", "y", "c", axis=1)],
        BY_CHANNEL,
        X,
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_float_network_of_moved_codes(tmp_path: Path, name: str) -> None:
    """What only moves codes rounds nothing: the float network gives what ONNX Runtime does, bit for bit."""
    nodes, constants, inputs = MOVED[name]
    kind = TensorProto.INT64 if "i" in inputs else TensorProto.UINT8
    given = {key: (kind, list(value.shape)) for key, value in inputs.items()}
    model = _model(nodes, CONSTANTS | constants, given, TensorProto.FLOAT, 3)
    found, floats = _floats(tmp_path / "m.onnx", model, inputs)
    assert floats.on_codes == ()
    np.testing.assert_array_equal(found, _oracle(model, inputs))


def test_float_network_of_codes_that_are_computed_on(tmp_path: Path) -> None:
    """A Max of codes, taken as integers, is no Max of values that have another zero: it is computed on the codes."""
    nodes = [helper.make_node("Max", ["x", "k"], ["g"], name="max"), _dequantize("g", "y")]
    model = _model(nodes, CONSTANTS, {"x": (TensorProto.UINT8, [1, 3, 4])}, TensorProto.FLOAT, 3)
    found, floats = _floats(tmp_path / "m.onnx", model, X)
    assert floats.on_codes == ("max",)
    np.testing.assert_array_equal(found, _oracle(model, X))


def test_errors_of_a_quantized_embedding(tmp_path: Path) -> None:
    """The table is codes in the file: no layer but the product can lose anything, and on exact sums it does not."""
    nodes = [
        helper.make_node("Gather", ["t", "i"], ["g"], name="gather"),
        _dequantize("g", "f"),
        helper.make_node("MatMul", ["f", "w"], ["y"], name="product"),
    ]
    weights = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    model = _model(
        nodes, CONSTANTS | {"t": TABLE, "w": weights}, {"i": (TensorProto.INT64, [1, 3])}, TensorProto.FLOAT, 3
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    net = hwsim.network.read(path)
    meter = ErrorMeter(net, ExactEngine(), Rule.ONNX)
    run(net, INDICES, hook=meter)
    assert meter.on_codes == ()
    errors = meter.errors()
    assert len(errors) == 3
    assert all(error.accumulated.is_equal and error.own.is_equal for error in errors.values())
