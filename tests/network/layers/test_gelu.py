# SPDX-License-Identifier: Apache-2.0
"""GELU in all its spellings against ONNX Runtime and the real function."""

import math
from typing import Any

import numpy as np
import pytest
from onnx import helper

from hwsim import network


def _x() -> Any:
    x = np.linspace(-7, 7, 3001, dtype=np.float32)
    return np.concatenate([x, np.array([-0.0, 1e-30, 1e30, -1e30], np.float32)]).reshape(1, -1)


def _real(x: Any, *, tanh: bool) -> Any:
    wide = x.astype(np.float64).ravel()
    if tanh:
        with np.errstate(over="ignore"):
            curve = np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    else:
        curve = np.array([math.erf(value / math.sqrt(2)) for value in wide])
    return (0.5 * wide * (1 + curve)).reshape(x.shape)


@pytest.mark.parametrize("tanh", [False, True])
def test_gelu_float_is_near_onnxruntime_and_the_real_function(models: Any, tanh: bool) -> None:
    x = _x()
    node = helper.make_node("Gelu", ["x"], ["y"], approximate="tanh" if tanh else "none")
    path = models.save([node], {"x": x.shape}, ["y"], {}, opset=20, ir_version=9)
    ours = network.run(network.read(path), {"x": x})["y"]
    np.testing.assert_allclose(ours, models.oracle(path, {"x": x})["y"], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(ours, _real(x, tanh=tanh), rtol=2e-7, atol=6e-7)


@pytest.mark.parametrize(("operator", "inputs"), [("Gelu", 1), ("FastGelu", 1), ("FastGelu", 2), ("BiasGelu", 2)])
def test_gelu_of_microsoft(models: Any, operator: str, inputs: int) -> None:
    x = _x()[:, :3000]
    bias = np.random.default_rng(1).normal(size=3000).astype(np.float32)
    node = helper.make_node(operator, ["x", "bias"][:inputs], ["y"], domain="com.microsoft")
    path = models.save([node], {"x": x.shape}, ["y"], {"bias": bias} if inputs == 2 else {}, rank=2)
    net = network.read(path)
    assert [layer.kind for layer in net.layers][-1] == "gelu"
    ours = network.run(net, {"x": x})["y"]
    biased = x + bias if inputs == 2 else x
    np.testing.assert_allclose(ours, _real(biased, tanh=operator == "FastGelu"), rtol=2e-7, atol=6e-7)


def _erf_nodes(order: str) -> list[Any]:
    make = helper.make_node
    first = [make("Div", ["x", "root"], ["d"])] if order != "mul" else [make("Mul", ["halfroot", "x"], ["d"])]
    curve = [make("Erf", ["d"], ["e"]), make("Add", ["e", "one"], ["a"])]
    ends = {
        "last": [make("Mul", ["x", "a"], ["p"]), make("Mul", ["p", "half"], ["y"])],
        "inner": [make("Mul", ["a", "half"], ["p"]), make("Mul", ["x", "p"], ["y"])],
        "mul": [make("Mul", ["x", "half"], ["h"]), make("Mul", ["h", "a"], ["y"])],
    }
    return [*first, *curve, *ends[order]]


def _tanh_nodes(power: bool) -> list[Any]:
    make = helper.make_node
    cube = [make("Pow", ["x", "three"], ["c"])]
    if not power:
        cube = [make("Mul", ["x", "x"], ["s"]), make("Mul", ["s", "x"], ["c"])]
    return [
        *cube,
        make("Mul", ["c", "cubic"], ["w"]),
        make("Add", ["x", "w"], ["t"]),
        make("Mul", ["slope", "t"], ["u"]),
        make("Tanh", ["u"], ["e"]),
        make("Add", ["one", "e"], ["a"]),
        make("Mul", ["x", "half"], ["h"]),
        make("Mul", ["h", "a"], ["y"]),
    ]


_CONSTANTS = {
    "root": np.array(1.4142135, np.float32),
    "halfroot": np.array(0.70710677, np.float32),
    "one": np.array(1, np.float32),
    "half": np.array([0.5], np.float32),
    "three": np.array(3, np.float32),
    "cubic": np.array(0.044715, np.float32),
    "slope": np.array(0.7978846, np.float32),
}


def _used(nodes: list[Any]) -> dict[str, Any]:
    names = {name for node in nodes for name in node.input}
    return {name: value for name, value in _CONSTANTS.items() if name in names}


@pytest.mark.parametrize(
    "nodes",
    [*(_erf_nodes(order) for order in ("last", "inner", "mul")), *(_tanh_nodes(power) for power in (True, False))],
    ids=["last", "inner", "mul", "tanh", "tanh_mul"],
)
def test_gelu_written_out_is_one_layer(models: Any, nodes: list[Any]) -> None:
    x = _x()
    path = models.save(nodes, {"x": x.shape}, ["y"], _used(nodes))
    net = network.read(path)
    assert [layer.kind for layer in net.layers] == ["gelu"]
    ours = network.run(net, {"x": x})["y"]
    np.testing.assert_allclose(ours, models.oracle(path, {"x": x})["y"], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("change", ["one", "root", "output"])
def test_gelu_written_out_otherwise_stays(models: Any, change: str) -> None:
    nodes = _erf_nodes("last")
    constants = _used(nodes)
    if change in constants:
        constants[change] = np.array(1.7, np.float32)
    outputs = ["y", "e"] if change == "output" else ["y"]
    x = _x()[:, :3001]
    path = models.save(nodes, {"x": x.shape}, outputs, constants)
    net = network.read(path)
    assert [layer.operator for layer in net.layers] == ["Div", "Erf", "Add", "Mul", "Mul"]


def test_gelu_approximate_wrong(models: Any) -> None:
    path = models.save(
        [helper.make_node("Gelu", ["x"], ["y"], approximate="sigmoid")],
        {"x": [1, 2]},
        ["y"],
        {},
        opset=20,
        ir_version=9,
    )
    with pytest.raises(ValueError, match="approximate must be none or tanh, not 'sigmoid'"):
        network.read(path)
