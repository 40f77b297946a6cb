# SPDX-License-Identifier: Apache-2.0
"""Operators between DequantizeLinear and QuantizeLinear: one layer, codes in and out, equal to ONNX Runtime's."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

Array = npt.NDArray[Any]

X = ("x", None, 0.05, 3, "int8")
EXACT = ("x", None, 0.0625, 3, "int8")  # a power of two: ONNX Runtime's float32 sums of such values are exact too
SAME = (0.05, 3, "int8")
OTHER = (0.07, -5, "int8")
# operator, attributes, constants after x, output quantization, kind of the one layer
UNARY: list[tuple[str, dict[str, Any], list[Array], tuple[float, int, str], str]] = [
    ("Abs", {}, [], OTHER, "activation"),
    ("Neg", {}, [], OTHER, "activation"),
    ("LeakyRelu", {"alpha": 0.1}, [], OTHER, "activation"),
    ("HardSigmoid", {}, [], (1 / 256, -128, "int8"), "activation"),
    ("HardSwish", {}, [], OTHER, "activation"),
    ("Elu", {}, [], OTHER, "transcendental"),
    ("Exp", {}, [], (0.5, 0, "int8"), "transcendental"),
    ("Sigmoid", {}, [], (1 / 256, -128, "int8"), "transcendental"),
    ("Tanh", {}, [], (1 / 128, 0, "int8"), "transcendental"),
    ("Softplus", {}, [], OTHER, "transcendental"),
    ("Erf", {}, [], (1 / 128, 0, "int8"), "transcendental"),
    ("Sqrt", {}, [], OTHER, "arithmetic"),
    ("Slice", {}, [np.array([1, 4]), np.array([3, -1]), np.array([1, 3]), np.array([1, 1])], SAME, "move"),
    ("Slice", {}, [np.array([7]), np.array([0]), np.array([2]), np.array([-3])], OTHER, "move"),
    ("Pad", {}, [np.array([0, 0, 1, 2, 0, 0, 2, 1])], SAME, "move"),
    ("Pad", {}, [np.array([0, 0, 1, 2, 0, 0, 2, 1]), np.array(1.3, np.float32)], SAME, "move"),
    ("Pad", {}, [np.array([0, 0, 1, 2, 0, 0, 2, 1]), np.array(1.3, np.float32)], OTHER, "move"),
    ("Pad", {"mode": "reflect"}, [np.array([0, 0, 1, 2, 0, 0, 2, 1])], OTHER, "move"),
    ("Gather", {"axis": 2}, [np.array([0, -1, 3])], SAME, "gather"),
    ("Tile", {}, [np.array([1, 2, 1, 3])], SAME, "move"),
    ("Expand", {}, [np.array([2, 1, 1, 1, 1])], SAME, "move"),
    ("DepthToSpace", {"blocksize": 2}, [], SAME, "move"),
    ("SpaceToDepth", {"blocksize": 2}, [], OTHER, "move"),
    ("Trilu", {}, [], OTHER, "move"),
    (
        "InstanceNormalization",
        {},
        [np.full(4, 0.5, np.float32), np.arange(4, dtype=np.float32)],
        OTHER,
        "normalization",
    ),
    ("LRN", {"size": 3}, [], OTHER, "normalization"),
    ("LpNormalization", {"axis": 1}, [], (1 / 128, 0, "int8"), "normalization"),
    ("CumSum", {}, [np.array(3)], (0.2, 1, "int8"), "reduce"),
    ("GatherElements", {"axis": 2}, [np.arange(2 * 4 * 3 * 8).reshape(2, 4, 3, 8) % 8], SAME, "gather"),
    ("ReduceMax", {"keepdims": 0}, [np.array([2, 3])], OTHER, "reduce"),
    ("ReduceMean", {"keepdims": 1}, [np.array([2, 3])], OTHER, "reduce"),
    ("ReduceSum", {"keepdims": 1}, [np.array([1])], (0.2, 1, "int8"), "reduce"),
]


def names(cases: list[Any]) -> list[str]:
    return [f"{index}_{case[0]}" for index, case in enumerate(cases)]


def model_of(
    models: Any,
    qdq: Any,
    operator: str,
    operands: list[Any],
    plain: list[Array],
    output: Any,
    attributes: dict[str, Any],
) -> tuple[Any, dict[str, Array]]:
    """Save a QDQ graph whose operator has further operands that are constants as they are."""
    nodes, constants = qdq(operator, operands, output, **attributes)
    (node,) = [each for each in nodes if each.op_type == operator]
    for index, value in enumerate(plain):
        node.input.append(f"p{index}")
        constants[f"p{index}"] = value
    inputs = {name: (2, 4, 8, 8) for name, codes, *_ in operands if codes is None}
    types = dict.fromkeys(inputs, onnx.TensorProto.INT8) | {"y": onnx.TensorProto.INT8}
    path = models.save(nodes, inputs, ["y"], constants, opset=20, types=types, rank=4, ir_version=9)
    return path, {name: codes_like(name) for name in inputs}


def codes_like(name: str) -> Array:
    return np.random.default_rng(len(name)).integers(-128, 128, (2, 4, 8, 8)).astype(np.int8)


@pytest.mark.parametrize(("operator", "attributes", "plain", "output", "kind"), UNARY, ids=names(UNARY))
def test_quantized_operators_are_one_layer_of_codes(
    models: Any, qdq: Any, operator: str, attributes: dict[str, Any], plain: list[Array], output: Any, kind: str
) -> None:
    x = EXACT if operator in ("CumSum", "ReduceSum") else ("x", None, 0.05, -100, "int8") if operator == "Sqrt" else X
    path, inputs = model_of(models, qdq, operator, [x], plain, output, attributes)
    if operator == "Sqrt":
        inputs = {"x": np.maximum(inputs["x"], -100)}
    net = models.assert_same(path, inputs)
    assert [layer.kind for layer in net.layers] == [kind]
    assert {net.tensors[name].dtype for name in (*net.layers[0].inputs, *net.layers[0].outputs)} == {"int8"}


BINARY = ["Sub", "Mul", "Div", "Min", "Max", "PRelu"]


@pytest.mark.parametrize("operator", BINARY)
@pytest.mark.parametrize("constant", [None, 0, 1])
def test_quantized_operators_of_two_operands(
    models: Any, qdq: Any, rng: np.random.Generator, operator: str, constant: int | None
) -> None:
    second = ("other", None, 0.03, -2, "int8")
    operands: list[Any] = [X, second]
    if constant is not None:
        codes = rng.integers(1, 100, (4, 1, 1)).astype(np.int8)
        operands[constant] = (operands[constant][0], codes, *operands[constant][2:])
    path, inputs = model_of(models, qdq, operator, operands, [], OTHER, {})
    if operator == "Div":
        zeros = dict(zip(("x", "other"), (3, -2), strict=True))
        inputs = {name: np.where(codes == zeros[name], np.int8(9), codes) for name, codes in inputs.items()}
    if operator == "PRelu" and constant == 0:
        pytest.skip("a slope is not broadcast to by what it is multiplied with")
    net = models.assert_same(path, inputs)
    (layer,) = net.layers
    assert layer.kind == ("activation" if operator == "PRelu" else "arithmetic")
    assert len(layer.inputs) == (2 if constant is None else 1)


def test_quantized_operators_split_into_slices_of_codes(models: Any, qdq: Any) -> None:
    nodes, constants = qdq("Identity", [X], SAME)
    nodes = [nodes[0], helper.make_node("Split", ["x_float"], ["a_float", "b_float"], axis=1)]
    constants["sizes"] = np.array([1, 3])
    nodes[1].input.append("sizes")
    for name in ("a", "b"):
        nodes.append(helper.make_node("QuantizeLinear", [f"{name}_float", "x_scale", "x_zero"], [name]))
    types = dict.fromkeys(("x", "a", "b"), onnx.TensorProto.INT8)
    path = models.save(nodes, {"x": (2, 4, 8, 8)}, ["a", "b"], constants, opset=20, types=types, ir_version=9)
    net = models.assert_same(path, {"x": codes_like("x")})
    assert [layer.kind for layer in net.layers] == ["move", "move"]
    assert net.batchable
    assert net.tensors["b"].shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("mode", "coordinates"), [("nearest", "asymmetric"), ("nearest", "half_pixel"), ("linear", "half_pixel")]
)
def test_quantized_operators_resize(models: Any, qdq: Any, mode: str, coordinates: str) -> None:
    nodes, constants = qdq(
        "Resize", [EXACT], (0.0625, 3, "int8"), mode=mode, coordinate_transformation_mode=coordinates
    )
    constants["scales"] = np.array([1, 1, 2, 1.5 if mode == "nearest" else 4], np.float32)
    nodes[1].input.extend(["", "scales"])
    types = dict.fromkeys(("x", "y"), onnx.TensorProto.INT8)
    path = models.save(nodes, {"x": (2, 4, 8, 8)}, ["y"], constants, opset=20, types=types, rank=4, ir_version=9)
    net = models.assert_same(path, {"x": codes_like("x")})
    assert [layer.kind for layer in net.layers] == ["resize"]
    assert net.batchable


def test_quantized_operators_gather_rows_of_a_coded_table(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    table = rng.integers(-128, 128, (50, 16)).astype(np.int8)
    nodes, constants = qdq("Gather", [("table", table, 0.05, 3, "int8")], SAME)
    nodes[1].input.append("ids")
    types = {"ids": onnx.TensorProto.INT64, "y": onnx.TensorProto.INT8}
    path = models.save(nodes, {"ids": (3, 7)}, ["y"], constants, opset=20, types=types, rank=3, ir_version=9)
    net = models.assert_same(path, {"ids": rng.integers(-50, 50, (3, 7))})
    (layer,) = net.layers
    assert (layer.kind, layer.parameters, net.batchable) == ("gather", table.size, True)
    assert net.tensors["y"].dtype == "int8"


def test_quantized_operators_argmax_compares_codes(models: Any, qdq: Any) -> None:
    nodes, constants = qdq("ArgMax", [X], None, axis=1)
    types = {"x": onnx.TensorProto.INT8, "y": onnx.TensorProto.INT64}
    path = models.save(nodes, {"x": (2, 4, 8, 8)}, ["y"], constants, opset=20, types=types, rank=4, ir_version=9)
    net = models.assert_same(path, {"x": codes_like("x")})
    assert [layer.kind for layer in net.layers] == ["reduce"]


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 2]}, {"strides": [2, 3], "pads": [1, 0, 2, 1], "group": 2}])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantized_operators_conv_transpose(
    models: Any, qdq: Any, rng: np.random.Generator, attributes: dict[str, Any], per_channel: bool
) -> None:
    filters = 6 // attributes.get("group", 1)
    weight = rng.integers(-20, 20, (4, filters, 3, 3)).astype(np.int8)
    scale = np.exp2(rng.integers(-8, -5, filters)).astype(np.float32) if per_channel else 1 / 64
    operands = [EXACT, ("w", weight, scale, 0, "int8")]
    nodes, constants = qdq("ConvTranspose", operands, (0.25, 4, "int8"), scale_axis=1, **attributes)
    types = dict.fromkeys(("x", "y"), onnx.TensorProto.INT8)
    path = models.save(nodes, {"x": (2, 4, 8, 8)}, ["y"], constants, opset=20, types=types, rank=4, ir_version=9)
    net = models.assert_same(path, {"x": codes_like("x")})
    assert [layer.kind for layer in net.layers] == ["move", "conv"]
    assert {net.tensors[name].dtype for layer in net.layers for name in layer.outputs} == {"int8"}
