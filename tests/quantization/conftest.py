# SPDX-License-Identifier: Apache-2.0
"""Small float networks with seeded weights, and images for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]


class Float(NamedTuple):
    """A model, and arrays for its input."""

    model: onnx.ModelProto
    inputs: dict[str, Array]


def make_model(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, Array], shapes: Sequence[Sequence[int | str]]
) -> onnx.ModelProto:
    """Return a checked model from `input` to `output`, of these shapes."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shapes[0])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shapes[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node named as its output."""
    return helper.make_node(operator, list(inputs), [output], output, **attributes)


@pytest.fixture
def convolutional() -> Float:
    """Two convolutions (the second depthwise, behind a batch normalization), pooling, and a Gemm."""
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    constants = {
        "w1": draw(8, 3, 3, 3), "b1": draw(8), "w2": draw(8, 1, 3, 3), "w3": draw(5, 32) * 0.3, "b3": draw(5),
        "g": 1 + 0.2 * draw(8), "h": draw(8), "m": draw(8), "v": np.abs(draw(8)) + 0.5,
    }  # fmt: skip
    constants["w1"] *= np.float32(2.0) ** rng.integers(-3, 4, (8, 1, 1, 1)).astype(np.float32)
    nodes = [
        node("Conv", ["input", "w1", "b1"], "c1", pads=[1] * 4),
        node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", "w2"], "c2", pads=[1] * 4, group=8),
        node("BatchNormalization", ["c2", "g", "h", "m", "v"], "n2"),
        node("Relu", ["n2"], "r2"),
        node("MaxPool", ["r2"], "p2", kernel_shape=[4, 4], strides=[4, 4]),
        node("Flatten", ["p2"], "f"),
        node("Gemm", ["f", "w3", "b3"], "output", transB=1, alpha=0.5),
    ]
    return Float(make_model(nodes, constants, (["batch", 3, 8, 8], ["batch", 5])), {"input": draw(40, 3, 8, 8)})


@pytest.fixture
def attention() -> Float:
    """One head of attention with a normalization before, values behind a Reshape and Transpose, two heads."""
    rng = np.random.default_rng(4)

    def draw(*shape: int) -> Array:
        return np.asarray(rng.standard_normal(shape) / np.sqrt(shape[0]), np.float32)

    scale = np.ones(32, np.float32)
    scale[[2, 17]] = 25
    constants = {
        "scale": scale, "shift": draw(32), "wq": draw(32, 32), "wk": draw(32, 32), "wv": draw(32, 32), "bv": draw(32),
        "wo": draw(32, 32), "heads": np.array([0, 0, 2, 16], np.int64), "flat": np.array([0, 0, 32], np.int64),
    }  # fmt: skip
    nodes = [node("LayerNormalization", ["input", "scale", "shift"], "n")]
    nodes += [node("MatMul", ["n", f"w{name}"], f"{name}0" if name == "v" else name) for name in "qkv"]
    nodes.append(node("Add", ["v0", "bv"], "v"))
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [node("Reshape", [name, "heads"], f"{name}r"), node("Transpose", [f"{name}r"], f"{name}t", perm=perm)]
    nodes += [
        node("MatMul", ["qt", "kt"], "scores"),
        node("Softmax", ["scores"], "chances"),
        node("MatMul", ["chances", "vt"], "mixed"),
        node("Transpose", ["mixed"], "mt", perm=[0, 2, 1, 3]),
        node("Reshape", ["mt", "flat"], "mr"),
        node("MatMul", ["mr", "wo"], "o"),
        node("Add", ["o", "input"], "output"),
    ]
    model = make_model(nodes, constants, (["batch", 6, 32], ["batch", 6, 32]))
    return Float(model, {"input": rng.standard_normal((8, 6, 32)).astype(np.float32)})
