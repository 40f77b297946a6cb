# SPDX-License-Identifier: Apache-2.0
"""Attention and RotaryEmbedding, written as products: against onnx.reference, the function body, and in codes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from hwsim import network
from hwsim.network.execution import ExactEngine
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

Array = npt.NDArray[Any]
NAMES = ["q", "k", "v", "mask", "past_k", "past_v", "lengths"]


def reference(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return what onnx's reference computes."""
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, inputs)]


def model_of(
    inputs: dict[str, Array],
    outputs: list[str],
    operator: str = "Attention",
    order: list[str] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    order = NAMES if order is None else order
    last = max(order.index(name) for name in inputs)
    node = helper.make_node(
        operator,
        [name if name in inputs else "" for name in order[: last + 1]],
        outputs,
        name="attention",
        **attributes,
    )
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()
    ]
    ranks = {"y": next(iter(inputs.values())).ndim}
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}{axis}" for axis in range(ranks.get(name, 4))])
        for name in outputs
        if name
    ]
    graph = helper.make_graph([node], "attention", infos, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12)


def floats(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


CASES: list[tuple[dict[str, tuple[int, ...]], list[str], dict[str, Any]]] = [
    ({"q": (2, 4, 5, 8), "k": (2, 4, 6, 8), "v": (2, 4, 6, 3)}, ["y"], {}),
    ({"q": (2, 8, 5, 8), "k": (2, 2, 6, 8), "v": (2, 2, 6, 8)}, ["y"], {"is_causal": 1, "scale": 0.3}),
    ({"q": (2, 5, 32), "k": (2, 6, 16), "v": (2, 6, 16)}, ["y"], {"q_num_heads": 4, "kv_num_heads": 2, "softcap": 2.0}),
    (
        {"q": (2, 4, 1, 8), "k": (2, 2, 1, 8), "v": (2, 2, 1, 8), "past_k": (2, 2, 7, 8), "past_v": (2, 2, 7, 8)},
        ["y", "present_k", "present_v"],
        {"is_causal": 1},
    ),
    (
        {"q": (2, 4, 5, 8), "k": (2, 4, 6, 8), "v": (2, 4, 6, 8), "mask": (2, 1, 5, 6)},
        ["y", "", "", "qk"],
        {"qk_matmul_output_mode": 2, "left_window_size": 2, "right_window_size": 1},
    ),
]


@pytest.mark.parametrize(("shapes", "outputs", "attributes"), CASES)
def test_attention_equals_the_reference(
    rng: np.random.Generator, shapes: dict[str, tuple[int, ...]], outputs: list[str], attributes: dict[str, Any]
) -> None:
    inputs = {name: floats(rng, *shape) for name, shape in shapes.items()}
    model = model_of(inputs, outputs, **attributes)
    net = network.onnx_reader.from_model(model)
    ours = network.run(net, inputs)
    expected = reference(model, inputs)
    for name, value in zip([name for name in outputs if name], expected, strict=True):
        np.testing.assert_allclose(ours[name], value, rtol=1e-4, atol=1e-6)
    products = [layer for layer in net.layers if isinstance(layer, MultiplyAccumulate)]
    assert len(products) == 2  # every multiply-accumulate goes through the engine
    batch, heads = 2, shapes["q"][1] if len(shapes["q"]) == 4 else attributes["q_num_heads"]
    rows, columns = shapes["q"][-2], shapes["k"][-2] + shapes.get("past_k", (0, 0, 0, 0))[2]
    size, depth = (8, 8) if len(shapes["q"]) == 3 else (shapes["q"][-1], shapes["v"][-1])
    macs = [row["macs"] for row in net.rows() if row["macs"]]
    assert macs == [batch * heads * rows * columns * width for width in (size, depth)]


def test_attention_of_masked_rows_is_zero(rng: np.random.Generator) -> None:
    inputs: dict[str, Array] = {name: floats(rng, 2, 3, 4, 8) for name in ("q", "k", "v")}
    inputs["mask"] = rng.random((2, 1, 4, 4)) < 0.4
    inputs["mask"][:, :, 1] = False
    model = model_of(inputs, ["y"])
    got = network.run(network.onnx_reader.from_model(model), inputs)["y"]
    expected = reference(model, inputs)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert not got[:, :, 1].any()


def test_attention_of_a_padded_cache_keeps_images_apart(rng: np.random.Generator) -> None:
    inputs: dict[str, Array] = {name: floats(rng, 4, 3, 5, 8) for name in ("q", "k", "v")}
    inputs["lengths"] = np.array([5, 3, 2, 4])
    net = network.onnx_reader.from_model(model_of({n: x[:1] for n, x in inputs.items()}, ["y"], is_causal=1))
    assert net.batchable
    got = network.run(net, inputs)["y"]
    for image in range(4):
        one = {name: value[image : image + 1] for name, value in inputs.items()}
        np.testing.assert_array_equal(network.run(net, one)["y"], got[image : image + 1])
    expected = reference(model_of(inputs, ["y"], is_causal=1), inputs)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_attention_multiplies_codes(rng: np.random.Generator) -> None:
    nodes = [helper.make_node("DequantizeLinear", [name, "s", "z"], [f"{name}_float"]) for name in ("q", "k", "v")]
    nodes.append(
        helper.make_node(
            "Attention", ["q_float", "k_float", "v_float"], ["y"], q_num_heads=4, kv_num_heads=2, name="attention"
        )
    )
    shapes = {"q": (2, 5, 32), "k": (2, 6, 16), "v": (2, 6, 16)}
    graph = helper.make_graph(
        nodes,
        "codes",
        [helper.make_tensor_value_info(name, TensorProto.INT8, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c"])],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [0.0625]), helper.make_tensor("z", TensorProto.INT8, [], [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=12)
    net = network.onnx_reader.from_model(model)
    seen: list[tuple[str, str]] = []

    class Watch(ExactEngine):
        def matmul(self, layer: Any, a: Array, b: Array) -> Array:
            seen.append((a.dtype.name, b.dtype.name))
            return ExactEngine.matmul(self, layer, a, b)

    codes = {name: rng.integers(-128, 128, shape).astype(np.int8) for name, shape in shapes.items()}
    got = network.run(net, codes, engine=Watch())["y"]
    assert seen == [("int8", "int8"), ("float32", "float32")]
    expected = reference(model, codes)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"q_num_heads": 3, "kv_num_heads": 2}, "does not fall into 3 heads"),
        ({"q_num_heads": 4, "kv_num_heads": 0}, "does not fall into 0 heads"),
        ({"q_num_heads": 4, "kv_num_heads": 2, "softmax_precision": 7}, "softmax_precision must be one of"),
        ({"q_num_heads": 4, "kv_num_heads": 2, "qk_matmul_output_mode": 9}, "qk_matmul_output_mode must be 0 to 3"),
        ({"q_num_heads": 2, "kv_num_heads": 4}, "do not fit"),
    ],
)
def test_attention_attributes_wrong(rng: np.random.Generator, attributes: dict[str, Any], message: str) -> None:
    inputs = {"q": floats(rng, 2, 5, 32), "k": floats(rng, 2, 6, 16), "v": floats(rng, 2, 6, 16)}
    with pytest.raises(ValueError, match=message):
        network.onnx_reader.from_model(model_of(inputs, ["y"], **attributes))


@pytest.mark.parametrize("attributes", [{}, {"interleaved": 1}, {"rotary_embedding_dim": 4}])
@pytest.mark.parametrize("positions", [False, True])
def test_attention_rotary_embedding_equals_the_reference(
    rng: np.random.Generator, attributes: dict[str, Any], positions: bool
) -> None:
    half = attributes.get("rotary_embedding_dim", 8) // 2
    table = (20, half) if positions else (2, 5, half)
    inputs: dict[str, Array] = {"x": floats(rng, 2, 3, 5, 8), "cos": floats(rng, *table), "sin": floats(rng, *table)}
    if positions:
        inputs["ids"] = rng.integers(0, 20, (2, 5))
    model = model_of(inputs, ["y"], "RotaryEmbedding", ["x", "cos", "sin", "ids"], **attributes)
    got = network.run(network.onnx_reader.from_model(model), inputs)["y"]
    expected = reference(model, inputs)[0]
    np.testing.assert_array_equal(got, expected)
