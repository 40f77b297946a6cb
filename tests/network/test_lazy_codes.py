# SPDX-License-Identifier: Apache-2.0
"""Tensors behind DequantizeLinear where somebody asks for more than their codes, bit for bit as ONNX Runtime."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwsim import network

SCALES = {"s": np.float32(0.1), "z": np.int8(3)}


def _node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name=output, **attributes)


@pytest.mark.parametrize("moved", [False, True])
def test_lazy_codes_tell_their_shape(models: Any, rng: np.random.Generator, *, moved: bool) -> None:
    """As an exporter with open axes writes attention, and onnxruntime's quantizer then quantizes it."""
    nodes = [
        _node("DequantizeLinear", "x s z", "f"),
        _node("Transpose", "f", "t", perm=[0, 2, 1]),
        _node("DequantizeLinear", "w s z", "wf"),
        _node("MatMul", "t wf", "p"),
        _node("Shape", "t" if moved else "f", "shape"),
        _node("Gather", "shape one", "size"),
        _node("Size", "f", "count"),
        _node("Mul", "p scaled", "y"),
        _node("Cast", "size", "size_float", to=1),
        _node("Cast", "count", "count_float", to=1),
        _node("Div", "size_float count_float", "scaled"),
    ]
    nodes = [*nodes[:7], *nodes[8:], nodes[7]]
    constants = SCALES | {
        "s": np.float32(0.5),  # a power of two, for sums that are exact in any order
        "w": rng.integers(-9, 9, (3, 5)).astype(np.int8),
        "one": np.array([1]),
    }
    path = models.save(nodes, {"x": ["N", 3, "length"]}, ["y"], constants, types={"x": TensorProto.INT8})
    x = rng.integers(-128, 128, (2, 3, 4)).astype(np.int8)
    net = network.read(path, batch=2, dimensions={"length": 4})
    found = network.run(net, {"x": x})["y"]
    np.testing.assert_array_equal(found, models.oracle(path, {"x": x})["y"])


DYNAMIC: dict[str, tuple[str, dict[str, Any]]] = {
    "Add": ("f f", {}),
    "Concat": ("f f", {"axis": 1}),
    "ConvTranspose": ("f wf", {}),
    "MaxPool": ("f", {"kernel_shape": [2, 2]}),
    "Pad": ("f widths", {}),
    "Sigmoid": ("f", {}),
    "Softmax": ("f", {}),
    "Transpose": ("f", {"perm": [0, 1, 3, 2]}),
}


@pytest.mark.parametrize("operator", DYNAMIC)
@pytest.mark.parametrize("clip", [False, True])
def test_lazy_codes_of_a_scale_that_varies(models: Any, rng: np.random.Generator, operator: str, *, clip: bool) -> None:
    """What is quantized as the network runs, then computed on, and quantized by a scale that is known."""
    inputs, attributes = DYNAMIC[operator]
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"], name="q"),
        _node("DequantizeLinear", "q q_scale q_zero", "f"),
        _node("DequantizeLinear", "w s", "wf"),
        _node(operator, inputs, "o", **attributes),
        *([_node("Clip", "o low high", "c")] if clip else []),
        _node("QuantizeLinear", "c s z" if clip else "o s z", "y"),
    ]
    constants = SCALES | {
        "w": rng.integers(-9, 9, (3, 2, 2, 2)).astype(np.int8),
        "widths": np.array([0, 0, 1, 1, 0, 0, 1, 0]),
        "low": np.float32(-0.5),
        "high": np.float32(0.7),
    }
    nodes = [node for node in nodes if operator == "ConvTranspose" or node.name != "wf"]
    read = {name for node in nodes for name in node.input}
    used = {name: value for name, value in constants.items() if name in read}
    path = models.save(nodes, {"x": [1, 3, 4, 4]}, ["y"], used, types={"y": TensorProto.INT8}, rank=4)
    models.assert_same(path, {"x": rng.normal(size=(1, 3, 4, 4)).astype(np.float32)})


def test_lazy_codes_beside_a_constant_of_floats(models: Any, rng: np.random.Generator) -> None:
    nodes = [
        _node("DequantizeLinear", "x s z", "f"),
        _node("Concat", "f k", "o", axis=1),
        _node("QuantizeLinear", "o s z", "y"),
    ]
    constants = SCALES | {"k": rng.normal(size=(1, 2)).astype(np.float32)}
    types = dict.fromkeys("xy", TensorProto.INT8)
    path = models.save(nodes, {"x": [1, 3]}, ["y"], constants, types=types, rank=2)
    models.assert_same(path, {"x": rng.integers(-128, 128, (1, 3)).astype(np.int8)})


@pytest.mark.parametrize("axis", [0, 1])
def test_lazy_codes_of_weights_whose_scales_do_not_move_along(models: Any, rng: np.random.Generator, axis: int) -> None:
    """A Reshape of weights by channels: of axis 0 they stay codes, of axis 1 they become floats."""
    shape = (4, 9) if axis == 0 else (9, 4)
    nodes = [
        _node("DequantizeLinear", "x s z", "f"),
        _node("DequantizeLinear", "w ws", "wf", axis=axis),
        _node("Reshape", "wf shape", "wr"),
        _node("Conv", "f wr", "y"),
    ]
    constants = SCALES | {
        "w": rng.integers(-8, 8, shape).astype(np.int8),
        "ws": np.array([0.5, 0.25, 1, 2], np.float32),  # powers of two, for sums that are exact in any order
        "s": np.float32(0.5),
        "shape": np.array([4, 1, 3, 3]),
    }
    path = models.save(nodes, {"x": [1, 1, 5, 5]}, ["y"], constants, types={"x": TensorProto.INT8})
    net = models.assert_same(path, {"x": rng.integers(-128, 128, (1, 1, 5, 5)).astype(np.int8)})
    assert [layer.kind for layer in net.layers] == (["conv"] if axis == 0 else ["dequantize", "conv"])


def test_lazy_codes_scale_wrong(models: Any) -> None:
    """A mask of -inf, of which a quantizer makes an infinite scale."""
    nodes = [
        _node("QuantizeLinear", "mask scale zero", "mask_codes"),
        _node("DequantizeLinear", "mask_codes scale zero", "mask_values"),
        _node("Add", "x mask_values", "y"),
    ]
    constants = {
        "mask": np.array([[0, -np.inf]], np.float32),
        "scale": np.float32(np.inf),
        "zero": np.int8(127),
    }
    path = models.save(nodes, {"x": [1, 2]}, ["y"], constants)
    with pytest.raises(
        ValueError,
        match=r"constant node 'mask_codes' \(QuantizeLinear\) cannot be computed: the scale must be finite and not 0, "
        "not inf$",
    ):
        network.read(path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.nan, r"layer 'q' \(QuantizeLinear\): a NaN has no integer code: input 'x' holds NaN$"),
        (-1.0, r"layer 'q' \(QuantizeLinear\): a NaN has no integer code: the float network produced one$"),
    ],
)
def test_lazy_codes_nan_wrong(models: Any, given: float, message: str) -> None:
    nodes = [_node("Sqrt", "x", "r"), _node("QuantizeLinear", "r s z", "q")]
    path = models.save(nodes, {"x": [1, 2]}, ["q"], SCALES, types={"q": TensorProto.INT8}, rank=2)
    net = network.read(path)
    with pytest.raises(ValueError, match=message):
        network.run(net, {"x": np.array([[1, given]], np.float32)})


def test_lazy_codes_with_constant_scales_of_blocks_keep_one_number_of_images(
    models: Any, rng: np.random.Generator
) -> None:
    """Scales of blocks of the first operand that are constants have the file's images, and no other number."""
    nodes = [
        _node("DequantizeLinear", "x xs", "xf", axis=1, block_size=4),
        _node("DequantizeLinear", "w ws", "wf", axis=0, block_size=4),
        _node("MatMul", "xf wf", "y"),
    ]
    constants = {
        "xs": 2.0 ** rng.integers(-2, 2, (3, 2)).astype(np.float32),
        "w": rng.integers(-8, 8, (8, 5)).astype(np.int8),
        "ws": 2.0 ** rng.integers(-2, 2, (2, 5)).astype(np.float32),
    }
    types = {"x": TensorProto.INT8}
    path = models.save(nodes, {"x": [3, 8]}, ["y"], constants, types=types, opset=21, rank=2, ir_version=10)
    x = rng.integers(-128, 128, (3, 8)).astype(np.int8)
    net = models.assert_same(path, {"x": x})
    assert not net.batchable
    twice = network.run(net, {"x": np.concatenate([x, x])})["y"]
    np.testing.assert_array_equal(twice[:3], twice[3:])
    with pytest.raises(ValueError, match="axis 0 must be a positive multiple of the batch 3, not 4"):
        network.run(net, {"x": np.zeros((4, 8), np.int8)})
