# SPDX-License-Identifier: Apache-2.0
"""FINN's and QuantLab's operators against what qonnx 1.0.0's `execute_node` gave, and by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsim import datapath, network
from hwsim.accelerator import UnitEngine, check_network
from hwsim.network.onnx_reader import from_model

_VALUES = np.load(Path(__file__).parent / "finn_vectors.npz")
_CASES = json.loads(bytes(_VALUES["cases"]))
_DOMAIN = "qonnx.custom_op.general"


def _model(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...], rank: int, constants: dict[str, Any]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "finn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("PACTOps", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.mark.parametrize("index", range(len(_CASES)))
def test_finn_operator_equals_qonnx(index: int) -> None:
    operator, attributes, inputs, output = _CASES[index]
    x, *others = (_VALUES[key] for key in inputs)
    expected = _VALUES[output]
    constants = {f"p{i}": value for i, value in enumerate(others)}
    node = helper.make_node(operator, ["x", *constants], ["y"], domain=_DOMAIN, **attributes)
    net = from_model(_model([node], x.shape, expected.ndim, constants))
    found = network.run(net, {"x": x})["y"]
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def _requant(x: np.ndarray, attributes: dict[str, int], mul: np.ndarray, add: np.ndarray) -> np.ndarray:
    """Return the formula in Python integers."""
    levels, div = attributes["n_levels_out"], attributes["div"]
    low = -(levels // 2) if attributes["signed"] else 0
    flat = [
        min(max((int(v) * int(m) + int(a) + div // 2) // div, low), low + levels - 1)
        for v, m, a in np.broadcast(x, mul, add)
    ]
    return np.array(flat, np.float32).reshape(x.shape)


def test_finn_requant_shift_without_a_domain(rng: np.random.Generator) -> None:
    numbers = {"div": 8, "n_levels_out": 256, "signed": 1}
    attributes: dict[str, Any] = {name: numpy_helper.from_array(np.asarray(value)) for name, value in numbers.items()}
    node = helper.make_node("RequantShift", ["x", "m", "a"], ["y"], **attributes)
    model = _model([node], (3, 5), 2, {"m": np.float32(3), "a": np.float32(-7)})
    model.opset_import.pop()
    x = rng.integers(-2000, 2000, (3, 5)).astype(np.float32)
    expected = _requant(x, numbers, np.asarray(3.0), np.asarray(-7.0))
    np.testing.assert_array_equal(network.run(from_model(model), {"x": x})["y"], expected)


@pytest.mark.parametrize("signed", [0, 1])
def test_finn_requant_shift_then_convolution_on_a_unit(rng: np.random.Generator, signed: int) -> None:
    attributes: dict[str, Any] = {"div": 1 << 9, "n_levels_out": 16, "signed": signed}
    mul = rng.integers(1, 200, (1, 4, 1, 1)).astype(np.float32)
    add = rng.integers(-900, 900, (1, 4, 1, 1)).astype(np.float32)
    weight = rng.integers(-8, 8, (5, 4, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("RequantShift", ["x", "mul", "add"], ["q"], domain="PACTOps", **attributes),
        helper.make_node("Conv", ["q", "w"], ["y"], pads=[1, 1, 1, 1], name="conv"),
    ]
    net = from_model(_model(nodes, (2, 4, 6, 6), 4, {"mul": mul, "add": add, "w": weight}))
    x = rng.integers(-200, 200, (2, 4, 6, 6)).astype(np.float32)
    codes = _requant(x, attributes, mul, add)
    found = network.trace(net, {"x": x})
    np.testing.assert_array_equal(found["q_codes"], codes)
    unit = datapath.named(f"{'' if signed else 'u'}int4_by_int4_l8")
    check_network(net, unit, {})
    ours = network.run(net, {"x": x}, engine=UnitEngine(unit, {}))["y"]
    np.testing.assert_array_equal(ours, found["y"])
    padded = np.pad(codes, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    np.testing.assert_array_equal(ours, np.einsum("bchwij,fcij->bfhw", windows, weight))


def test_finn_multi_threshold_im2col_matmul_runs_on_a_unit(rng: np.random.Generator) -> None:
    thresholds = np.sort(rng.normal(size=(3, 3)).astype(np.float32), axis=1)
    nodes = [
        helper.make_node("MultiThreshold", ["x", "t"], ["q"], domain=_DOMAIN, out_dtype="UINT2", data_layout="NHWC"),
        helper.make_node(
            "Im2Col", ["q"], ["c"], domain=_DOMAIN, kernel_size=[3, 3], stride=[1, 1], pad_amount=[1, 1, 1, 1]
        ),
        helper.make_node("MatMul", ["c", "w"], ["y"]),
    ]
    weight = np.where(rng.normal(size=(27, 5)) > 0, 1, -1).astype(np.float32)
    net = from_model(_model(nodes, (1, 6, 5, 3), 4, {"t": thresholds, "w": weight}))
    assert [layer.kind for layer in net.layers] == ["multi_threshold", "im2col", "gemm"]
    x = {"x": rng.normal(size=(1, 6, 5, 3)).astype(np.float32)}
    exact = network.run(net, x)["y"]
    for name in ("uint2_by_int2", "uint2_by_ternary_l9"):
        unit = datapath.named(name)
        check_network(net, unit, {})
        np.testing.assert_array_equal(network.run(net, x, engine=UnitEngine(unit, {}))["y"], exact)
    codes = (x["x"][..., np.newaxis] >= thresholds).sum(axis=-1)
    padded = np.pad(codes, [(0, 0), (1, 1), (1, 1), (0, 0)])
    rows = np.stack([padded[:, i : i + 6, j : j + 5] for i in range(3) for j in range(3)], axis=3)
    np.testing.assert_array_equal(exact, rows.reshape(1, 6, 5, 27) @ weight)


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        ("MultiThreshold", {"out_dtype": "UINT2"}, "do not fit"),
        ("Im2Col", {"kernel_size": [3], "stride": [1, 1]}, "kernel_size, stride and dilations must have 2 numbers"),
        ("Im2Col", {"stride": [1, 1]}, "is malformed"),
        ("QuantAvgPool2d", {"kernel": 0, "stride": 1, "ibits": 4, "obits": 4, "signed": 0}, "out of range"),
        ("XnorPopcountMatMul", {}, "must be a matrix of bits"),
    ],
)
def test_finn_node_wrong(operator: str, attributes: dict[str, Any], message: str) -> None:
    constants = {"p": np.full((9, 4), 0.5, np.float32)}
    inputs = ["x", "p"] if operator in ("MultiThreshold", "XnorPopcountMatMul") else ["x"]
    node = helper.make_node(operator, inputs, ["y"], name="finn", domain=_DOMAIN, **attributes)
    with pytest.raises(ValueError, match=f"node 'finn'.*{message}"):
        from_model(_model([node], (1, 5, 5, 3), 4, constants))
