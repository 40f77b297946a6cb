# SPDX-License-Identifier: Apache-2.0
"""Execution: batches, engines, hooks, and the errors of inputs."""

from math import fsum
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwsim import network
from hwsim.network import execution
from hwsim.network.execution import ExactEngine, SteadyEngine

INT8 = {"x": TensorProto.INT8, "y": TensorProto.INT8}


def depthwise(models: Any, qdq: Any, rng: np.random.Generator) -> network.Network:
    w = rng.integers(-128, 128, (8, 2, 3, 3)).astype(np.int8)
    operands = [("x", None, 0.0173, 11, "int8"), ("w", w, rng.uniform(0.01, 0.02, 8), 0, "int8")]
    nodes, constants = qdq("Conv", operands, (0.37, 3, "int8"), group=2, pads=[1, 1, 1, 1])
    nodes.append(helper.make_node("Reshape", ["y", "shape"], ["z"]))
    constants["shape"] = np.array([1, -1], np.int64)
    types = {**INT8, "z": TensorProto.INT8}
    return network.read(models.save(nodes, {"x": [1, 4, 6, 7]}, ["z", "y"], constants, types=types))


def test_execution_of_a_batch_equals_image_by_image(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    net = depthwise(models, qdq, rng)
    assert net.batchable
    x = rng.integers(-128, 128, (70, 4, 6, 7)).astype(np.int8)
    together = network.run(net, {"x": x})
    apart = [network.run(net, {"x": x[i : i + 1]}) for i in range(70)]
    for name in ("y", "z"):
        np.testing.assert_array_equal(together[name], np.concatenate([one[name] for one in apart]))
    assert together["z"].shape == (70, 8 * 42)


def test_execution_loops_where_axis_0_is_not_the_batch(models: Any, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("Transpose", ["t"], ["y"], perm=[1, 0, 2]),
    ]
    net = network.read(models.save(nodes, {"x": [1, 3, 4]}, ["y"], {}))
    assert not net.batchable
    x = rng.standard_normal((5, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(network.run(net, {"x": x})["y"], x)


class Watcher(ExactEngine):
    """Remembers what it is asked, and wants its channels last."""

    def __init__(self, k_order: str) -> None:
        self.k_order = k_order
        self.seen: list[tuple[str, Any, Any]] = []

    def matmul(self, layer: network.Layer, a: Any, b: Any) -> Any:
        self.seen.append((layer.name, a, b))
        return super().matmul(layer, a, b)


def test_execution_gives_every_product_to_the_engine(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    net = depthwise(models, qdq, rng)
    x = rng.integers(-128, 128, (2, 4, 6, 7)).astype(np.int8)
    first, last = Watcher("channel_first"), Watcher("channel_last")
    results = [network.run(net, {"x": x}, engine=engine)["y"] for engine in (first, last)]
    np.testing.assert_array_equal(results[0], results[1])
    ((name, a, b),) = first.seen
    assert (name, a.shape, b.shape, a.dtype) == ("operator", (2, 84, 18), (2, 18, 4), np.int8)
    # The first window of the first image hangs over the corner: zero points there.
    rows = a[0, 0].reshape(2, 3, 3)
    assert (rows[:, 0] == 11).all()
    assert (rows[:, :, 0] == 11).all()
    np.testing.assert_array_equal(rows[:, 1:, 1:], x[0, :2, :2, :2])
    ((_, a_last, b_last),) = last.seen
    np.testing.assert_array_equal(a_last[0, 0].reshape(3, 3, 2), rows.transpose(1, 2, 0))
    np.testing.assert_array_equal(b_last[1].reshape(3, 3, 2, 4), b[1].reshape(2, 3, 3, 4).transpose(1, 2, 0, 3))


def test_execution_traces_every_tensor(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    net = depthwise(models, qdq, rng)
    x = rng.integers(-128, 128, (40, 4, 6, 7)).astype(np.int8)
    tensors = network.trace(net, {"x": x})
    assert {name: value.shape for name, value in tensors.items()} == {
        "x": (40, 4, 6, 7),
        "y": (40, 8, 6, 7),
        "z": (40, 336),
    }


@pytest.mark.parametrize(
    ("a_type", "b_type", "k", "low", "high"),
    [
        (np.int8, np.int8, 1024, -128, 128),
        (np.int8, np.int8, 1025, -128, 128),
        (np.uint8, np.int8, 3000, -128, 256),
        (np.int16, np.int16, 5000, -(2**15), 2**15),
        (np.int32, np.int32, 1, -(2**31), 2**31),
    ],
)
def test_execution_exact_engine_is_exact(a_type: Any, b_type: Any, k: int, low: int, high: int) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(low, high, (2, 5, k)).astype(a_type)
    b = rng.integers(low, high, (2, k, 4)).astype(b_type)
    a[0, 0], b[0, :, 0] = np.iinfo(a_type).min, np.iinfo(b_type).min  # the greatest sum
    expected = a.astype(object) @ b.astype(object)
    got = ExactEngine().matmul(None, a, b)  # type: ignore[arg-type]
    assert got.dtype == np.int64
    assert (got == expected).all()


def test_execution_exact_engine_overflow() -> None:
    a = np.zeros((1, 1, 4), np.int32)
    with pytest.raises(ValueError, match="a sum of 4 products of int32 and int32 does not fit 64 bits"):
        ExactEngine().matmul(None, a, a.transpose(0, 2, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], TypeError, "inputs must be a mapping of names to arrays, not list"),
        ({}, ValueError, r"network 'small' takes the inputs \['x'\]: missing \['x'\]"),
        ({"z": 0}, ValueError, r"takes the inputs \['x'\]: unknown \['z'\], missing \['x'\]"),
        ({"x": np.zeros((1, 4, 6, 7))}, TypeError, "input 'x' must be int8, not float64"),
        ({"x": np.zeros((1, 4, 6), np.int8)}, ValueError, r"'x' must have shape \(images, 4, 6, 7\), not \(1, 4, 6\)"),
        (
            {"x": np.zeros((0, 4, 6, 7), np.int8)},
            ValueError,
            "axis 0 must be a positive multiple of the batch 1, not 0",
        ),
    ],
)
def test_execution_inputs_wrong(
    models: Any, qdq: Any, rng: np.random.Generator, inputs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        network.run(depthwise(models, qdq, rng), inputs)


@pytest.mark.parametrize("transposed", [False, True])
def test_execution_multiplies_large_weights_by_parts(
    models: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, transposed: bool
) -> None:
    """Small integers as floats: sums in any order are exact, so that the parts can be compared with the whole."""
    w = rng.integers(-8, 8, (30, 50)).astype(np.float32)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=int(transposed))
    net = network.read(models.save([node], {"x": ["n", 30]}, ["y"], {"w": w.T.copy() if transposed else w}))
    x = rng.integers(-8, 8, (7, 30)).astype(np.float32)
    for weights in (1, 29, 30, 31, 400, 1499, 1500):
        monkeypatch.setattr(execution, "_WEIGHTS", weights)
        assert np.array_equal(network.run(net, {"x": x})["y"], x @ w)


@pytest.mark.parametrize(("elements", "portions"), [(1, [1] * 5), (2 * 42 * 18 * 2, [2, 2, 1]), (1 << 25, [5])])
def test_execution_takes_fewer_large_images_at_once(
    models: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, elements: int, portions: list[int]
) -> None:
    """An image's unrolled convolution has 2 groups of 42 rows of 18 elements."""
    node = helper.make_node("ConvInteger", ["x", "w"], ["y"], group=2, pads=[1, 1, 1, 1])
    w = rng.integers(-128, 128, (8, 2, 3, 3)).astype(np.int8)
    types = {"x": TensorProto.INT8, "y": TensorProto.INT32}
    conv = network.read(models.save([node], {"x": ["n", 4, 6, 7]}, ["y"], {"w": w}, types=types))
    x = {"x": rng.integers(-128, 128, (5, 4, 6, 7)).astype(np.int8)}
    expected = network.run(conv, x)["y"]
    monkeypatch.setattr(execution, "_ELEMENTS", elements)
    seen: list[int] = []
    found = network.run(conv, x, hook=lambda name, value: seen.append(len(value)) if name == "y" else None)["y"]
    assert seen == portions
    assert np.array_equal(found, expected)


def test_execution_rule_wrong(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="'half_up' is not a valid Rule"):
        network.run(depthwise(models, qdq, rng), {"x": np.zeros((1, 4, 6, 7), np.int8)}, rule="half_up")


def test_execution_engine_wrong(models: Any, qdq: Any, rng: np.random.Generator) -> None:
    class Short(ExactEngine):
        def matmul(self, layer: network.Layer, a: Any, b: Any) -> Any:
            return super().matmul(layer, a, b)[:, 1:]

    message = r"layer 'operator': the engine must return shape \(2, 42, 4\), not \(2, 41, 4\)"
    with pytest.raises(ValueError, match=message):
        network.run(depthwise(models, qdq, rng), {"x": np.zeros((1, 4, 6, 7), np.int8)}, engine=Short())


def test_execution_of_a_steady_engine_rounds_the_sum_once(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 30, 100), (2, 100, 40)))
    exact = np.array(
        [[[fsum(x * y for x, y in zip(row, column, strict=True)) for column in m.T] for row in n] for n, m in zip(
            a.astype(float), b.astype(float), strict=True
        )]
    ).astype(np.float32)  # fmt: skip
    found = SteadyEngine().float_product(a, b)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, exact)
    assert (ExactEngine().float_product(a, b) != exact).any()  # which adds up in float32
    monkeypatch.setattr(execution, "_WEIGHTS", 500)  # columns by parts
    np.testing.assert_array_equal(SteadyEngine().float_product(a, b), exact)
