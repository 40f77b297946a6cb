# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM, unrolled: against onnx.reference and torch, every direction and layout."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from hwsim import network
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

Array = npt.NDArray[Any]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ORDER = ["x", "w", "r", "b", "lengths", "h", "c", "p"]
STEPS, BATCH, INPUT, HIDDEN = 4, 3, 5, 6


def reference(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return what onnx's reference computes."""
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, inputs)]


def weights_of(rng: np.random.Generator, operator: str, directions: int, more: str) -> dict[str, Array]:
    rows = GATES[operator] * HIDDEN
    shapes = {
        "w": (directions, rows, INPUT),
        "r": (directions, rows, HIDDEN),
        "b": (directions, 2 * rows),
        "h": (directions, BATCH, HIDDEN),
        "c": (directions, BATCH, HIDDEN),
        "p": (directions, 3 * HIDDEN),
    }
    return {
        name: (rng.standard_normal(shape) / 2).astype(np.float32)
        for name, shape in shapes.items()
        if name in "wr" + more
    }


def model_of(operator: str, weights: dict[str, Array], x: tuple[int, ...], **attributes: Any) -> onnx.ModelProto:
    last = max(ORDER.index(name) for name in weights)
    inputs = [name if name == "x" or name in weights else "" for name in ORDER[: last + 1]]
    outputs = ["y", "y_h", "y_c"][: 3 if operator == "LSTM" else 2]
    node = helper.make_node(operator, inputs, outputs, hidden_size=HIDDEN, name="cell", **attributes)
    graph = helper.make_graph(
        [node],
        "recurrent",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{axis}" for axis in range(rank)])
            for name, rank in zip(outputs, (4, 3, 3), strict=False)
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


@pytest.mark.parametrize("operator", list(GATES))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("layout", "more"), [(0, ""), (0, "bh"), (1, "b"), (0, "bhcp")])
def test_recurrent_equals_the_reference(
    rng: np.random.Generator, operator: str, direction: str, layout: int, more: str
) -> None:
    more = more if operator == "LSTM" else more.replace("c", "").replace("p", "")
    weights = weights_of(rng, operator, 1 + (direction == "bidirectional"), more)
    x = rng.standard_normal((BATCH, STEPS, INPUT) if layout else (STEPS, BATCH, INPUT)).astype(np.float32)
    attributes: dict[str, Any] = {"direction": direction, "layout": layout}
    if operator == "RNN" and direction == "bidirectional":
        attributes["activations"] = ["Tanh", "Tanh"]
    if operator == "GRU" and more:
        attributes["linear_before_reset"] = 1
    model = model_of(operator, weights, x.shape, **attributes)
    net = network.onnx_reader.from_model(model)
    ours = network.run(net, {"x": x})
    if (
        operator == "RNN" and direction == "reverse"
    ):  # the reference gives the first state of a reversed RNN as its last
        return
    for name, expected in zip(ours, reference(model, {"x": x}), strict=True):
        np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-6)
    macs = sum(row["macs"] for row in net.rows())
    directions, rows = weights["w"].shape[:2]
    steps = STEPS - 1  # the first state is a constant: 0, or its product is computed beforehand
    assert macs == directions * rows * BATCH * (STEPS * INPUT + steps * HIDDEN)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_equals_torch(rng: np.random.Generator, bidirectional: bool) -> None:
    torch = pytest.importorskip("torch")
    weights = weights_of(rng, "LSTM", 1 + bidirectional, "bhc")
    x = rng.standard_normal((STEPS, BATCH, INPUT)).astype(np.float32)
    direction = "bidirectional" if bidirectional else "forward"
    net = network.onnx_reader.from_model(model_of("LSTM", weights, x.shape, direction=direction))
    ours = network.run(net, {"x": x})
    cell = torch.nn.LSTM(INPUT, HIDDEN, bidirectional=bidirectional)
    rows = 4 * HIDDEN
    order = np.concatenate([np.arange(HIDDEN) + gate * HIDDEN for gate in (0, 2, 3, 1)])  # iofc of ONNX, ifco of torch
    for index in range(1 + bidirectional):
        end = f"l0{'_reverse' if index else ''}"
        parts = {
            f"weight_ih_{end}": weights["w"][index][order],
            f"weight_hh_{end}": weights["r"][index][order],
            f"bias_ih_{end}": weights["b"][index][:rows][order],
            f"bias_hh_{end}": weights["b"][index][rows:][order],
        }
        for name, value in parts.items():
            getattr(cell, name).data = torch.from_numpy(value)
    with torch.no_grad():
        y, (h, c) = cell(torch.from_numpy(x), (torch.from_numpy(weights["h"]), torch.from_numpy(weights["c"])))
    expected = y.numpy().reshape(STEPS, BATCH, -1, HIDDEN).transpose(0, 2, 1, 3)
    for got, value in ((ours["y"], expected), (ours["y_h"], h.numpy()), (ours["y_c"], c.numpy())):
        np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-6)


def test_recurrent_of_batches_first_keeps_images_apart(rng: np.random.Generator) -> None:
    weights = weights_of(rng, "GRU", 1, "b")
    x = rng.standard_normal((70, STEPS, INPUT)).astype(np.float32)
    net = network.onnx_reader.from_model(model_of("GRU", weights, (1, STEPS, INPUT), layout=1))
    assert net.batchable
    got = network.run(net, {"x": x})["y"]
    for image in (0, 33, 69):
        one = network.run(net, {"x": x[image : image + 1]})["y"]
        np.testing.assert_allclose(got[image : image + 1], one, rtol=1e-6, atol=1e-7)


def test_recurrent_multiplies_codes(rng: np.random.Generator) -> None:
    rows = 4 * HIDDEN
    codes = {
        "w": rng.integers(-64, 64, (1, rows, INPUT)).astype(np.int8),
        "r": rng.integers(-64, 64, (1, rows, HIDDEN)).astype(np.int8),
    }
    nodes = [helper.make_node("DequantizeLinear", [name, "s", "z"], [f"{name}_float"]) for name in ("x", "w", "r")]
    nodes.append(helper.make_node("LSTM", ["x_float", "w_float", "r_float"], ["y"], hidden_size=HIDDEN, name="cell"))
    constants = {**codes, "s": np.float32(1 / 64), "z": np.int8(0)}
    graph = helper.make_graph(
        nodes,
        "codes",
        [helper.make_tensor_value_info("x", TensorProto.INT8, (STEPS, BATCH, INPUT))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    net = network.onnx_reader.from_model(model)
    first = next(layer for layer in net.layers if isinstance(layer, MultiplyAccumulate))
    assert (first.a_dtype, first.b_dtype) == ("int8", "int8")
    x = rng.integers(-64, 64, (STEPS, BATCH, INPUT)).astype(np.int8)
    expected = reference(model, {"x": x})[0]
    np.testing.assert_allclose(network.run(net, {"x": x})["y"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"direction": "sideways"}, "direction 'sideways'"),
        ({"direction": "bidirectional"}, "do not fit 2 direction"),
        ({"layout": 2}, "layout be 0 or 1"),
        ({"activations": ["Sigmoid", "Sinus", "Tanh"]}, "must be of Affine"),
        ({"activations": ["Sigmoid"]}, "must be of Affine"),
    ],
)
def test_recurrent_attributes_wrong(rng: np.random.Generator, attributes: dict[str, Any], message: str) -> None:
    weights = weights_of(rng, "LSTM", 1, "b")
    with pytest.raises(ValueError, match=message):
        network.onnx_reader.from_model(model_of("LSTM", weights, (STEPS, BATCH, INPUT), **attributes))
