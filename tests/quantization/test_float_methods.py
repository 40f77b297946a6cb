# SPDX-License-Identifier: Apache-2.0
"""What changes the float network leaves what it computes: to the bit where it says so, else to float32 rounding."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from scipy.linalg import hadamard

from hwsim.network import run
from hwsim.network.onnx_reader import from_model
from hwsim.quantization.float_graph import FloatGraph
from hwsim.quantization.products import products, simplify
from hwsim.quantization.rescaling import equalize, smooth, smoothable
from hwsim.quantization.rotation import rotate

Array = npt.NDArray[Any]


def _graph(model: onnx.ModelProto) -> tuple[FloatGraph, dict[str, tuple[int, ...]]]:
    graph = FloatGraph(model)
    simplify(graph)
    return graph, _shapes(graph)


def _shapes(graph: FloatGraph) -> dict[str, tuple[int, ...]]:
    return {name: spec.shape for name, spec in from_model(graph.to_model()).tensors.items()}


def _output(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    return run(from_model(model), inputs)["output"]


def _rows(graph: FloatGraph) -> dict[str, Array]:
    return {each.name: each.rows.copy() for each in products(graph) if each.has_weights}


def _close(found: Array, wanted: Array) -> None:
    """As near as float32 sums of so few terms are, relative to the largest output."""
    assert np.abs(found - wanted).max() <= 2e-5 * np.abs(wanted).max()
    assert found.size > 100


def test_simplify_folds_normalization_and_alpha(convolutional: Any) -> None:
    graph = FloatGraph(convolutional.model)
    assert simplify(graph) == ["n2 (BatchNormalization) into c2"]
    assert [node.op_type for node in graph.nodes] == ["Conv", "Relu", "Conv", "Relu", "MaxPool", "Flatten", "Gemm"]
    constants = {
        t.name: onnx.numpy_helper.to_array(t).astype(np.float64) for t in convolutional.model.graph.initializer
    }
    factor = constants["g"] / np.sqrt(constants["v"] + 1e-5)
    depthwise = next(each for each in products(graph) if each.name == "c2")
    assert np.array_equal(depthwise.weight, (constants["w2"] * factor[:, None, None, None]).astype(np.float32))
    assert np.array_equal(depthwise.bias, (constants["h"] - constants["m"] * factor).astype(np.float32))
    _close(_output(graph.to_model(), convolutional.inputs), _output(convolutional.model, convolutional.inputs))


def test_equalize_power_of_two_keeps_every_bit(convolutional: Any) -> None:
    graph, shapes = _graph(convolutional.model)
    before = _output(graph.to_model(), convolutional.inputs)
    old = _rows(graph)
    places = equalize(graph, shapes, power_of_two=True)
    assert [place.split(":")[0] for place in places] == ["c2 and output"]  # c1 is read by a depthwise layer
    assert np.array_equal(_output(graph.to_model(), convolutional.inputs), before)
    assert not np.array_equal(_rows(graph)["c2"], old["c2"])


def test_equalize_gives_channels_one_range(convolutional: Any) -> None:
    graph, shapes = _graph(convolutional.model)
    before = _output(graph.to_model(), convolutional.inputs)
    equalize(graph, shapes, power_of_two=False)
    rows = _rows(graph)
    first = np.abs(rows["c2"]).max(axis=1)
    second = np.abs(rows["output"]).reshape(5, 8, 4).max(axis=(0, 2))
    assert np.allclose(first, second, rtol=1e-5)  # r1 = r2 = sqrt(r1 r2): arXiv:1906.04721, equation 11
    _close(_output(graph.to_model(), convolutional.inputs), before)


@pytest.mark.parametrize("power_of_two", [False, True])
def test_smooth_against_equation(attention: Any, power_of_two: bool) -> None:
    graph, shapes = _graph(attention.model)
    network = from_model(graph.to_model())
    seen: dict[str, Array] = {}
    before = run(network, attention.inputs, hook=seen.__setitem__)["output"]
    assert list(smoothable(graph)) == ["n", "mr"]
    largest = {name: np.abs(seen[name]).reshape(-1, 32).max(axis=0).astype(np.float64) for name in ("n", "mr")}
    old = _rows(graph)
    places = smooth(graph, shapes, largest, 0.5, power_of_two=power_of_two)
    assert places == ["n: folded into n", "mr: a Mul before o, not folded"]
    sizes = np.max([np.abs(old[name]).max(axis=0) for name in ("q", "k", "v0")], axis=0).astype(np.float64)
    scales = np.sqrt(largest["n"] / sizes)
    if power_of_two:
        scales = 2 ** np.rint(np.log2(scales))
    new = _rows(graph)
    assert np.array_equal(new["q"], (old["q"] * scales).astype(np.float32))
    assert np.array_equal(graph.constants["scale"], (_constant(attention.model, "scale") / scales).astype(np.float32))
    _close(_output(graph.to_model(), attention.inputs), before)


def _constant(model: onnx.ModelProto, name: str) -> Array:
    return next(onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == name)


def test_rotate_folds_values_and_keeps_the_rest_online(attention: Any) -> None:
    graph, shapes = _graph(attention.model)
    before, old = _output(graph.to_model(), attention.inputs), _rows(graph)
    places = rotate(graph, shapes, 16)
    assert places == [
        "q, k, v0: blocks of 16, computed as the network runs",
        "o: blocks of 16, folded into v0",
    ]
    turn = np.kron(np.eye(2), hadamard(16) / 4)
    new = _rows(graph)
    assert np.allclose(new["o"], old["o"] @ turn, atol=1e-6)
    assert np.allclose(new["v0"], turn.T @ old["v0"] @ turn, atol=1e-6)
    assert np.allclose(new["q"], old["q"] @ turn, atol=1e-6)
    assert [node.op_type for node in graph.nodes if node.name in graph.kept] == ["MatMul"]
    _close(_output(graph.to_model(), attention.inputs), before)


def test_rotate_convolution_online(convolutional: Any) -> None:
    graph, shapes = _graph(convolutional.model)
    before = _output(graph.to_model(), convolutional.inputs)
    places = rotate(graph, shapes, 0)
    assert places == [
        "c1: not rotated, 3 channels are no multiple of 2",
        "output: blocks of 32, computed as the network runs",
    ]
    _close(_output(graph.to_model(), convolutional.inputs), before)
