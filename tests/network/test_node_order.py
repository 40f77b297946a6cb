# SPDX-License-Identifier: Apache-2.0
"""Nodes that a file holds in another order than they run in."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from hwsim import network
from hwsim.network.node_order import sort_nodes

NODES = [
    helper.make_node("Relu", ["x"], ["a"], name="first"),
    helper.make_node("Neg", ["x"], ["b"], name="second"),
    helper.make_node("Add", ["a", "b"], ["c"], name="third"),
    helper.make_node("Sigmoid", ["c"], ["d"], name="fourth"),
    helper.make_node("Mul", ["d", "a"], ["y"], name="fifth"),
]


def test_node_order_any_gives_the_same_network(models: Any, rng: np.random.Generator) -> None:
    """Every rotation and the reverse, as onnxruntime's converter to float16 leaves its files out of order."""
    path = models.save(NODES, {"x": [2, 3]}, ["y"], {})
    sorted_model = onnx.load(path)
    x = rng.normal(size=(2, 3)).astype(np.float32)
    expected = models.oracle(path, {"x": x})["y"]
    orders = [NODES[::-1], *(NODES[start:] + NODES[:start] for start in range(5))]
    for order in orders:
        model = onnx.ModelProto()
        model.CopyFrom(sorted_model)
        del model.graph.node[:]
        model.graph.node.extend(order)
        onnx.save(model, path)
        net = network.read(path)
        names = [layer.name for layer in net.layers]
        assert names.index("third") > max(names.index("first"), names.index("second"))
        np.testing.assert_array_equal(network.run(net, {"x": x})["y"], expected)


def test_node_order_is_stable() -> None:
    graph = helper.make_graph(NODES, "graph", [], [])
    sort_nodes(graph)
    assert list(graph.node) == NODES
    late = helper.make_graph([NODES[2], NODES[1], NODES[0], NODES[3]], "graph", [], [])
    sort_nodes(late)
    assert [node.name for node in late.node] == ["second", "first", "third", "fourth"]


def test_node_order_counts_what_a_subgraph_reads() -> None:
    inner = helper.make_graph([helper.make_node("Neg", ["a"], ["n"])], "inner", [], [])
    branch = helper.make_node("If", ["flag"], ["y"], name="branch", then_branch=inner, else_branch=inner)
    graph = helper.make_graph([branch, NODES[0]], "graph", [], [])
    sort_nodes(graph)
    assert [node.name for node in graph.node] == ["first", "branch"]


@pytest.mark.parametrize(
    ("nodes", "circle"),
    [
        ([helper.make_node("Add", ["x", "y"], ["y"], name="own")], "'own' -> 'own'"),
        (
            [
                helper.make_node("Neg", ["b"], ["y"], name="last"),
                helper.make_node("Relu", ["a"], ["b"], name="one"),
                helper.make_node("Neg", ["b"], ["a"]),
            ],
            "'one' -> 'a' -> 'one'",
        ),
    ],
)
def test_node_order_wrong(models: Any, nodes: list[onnx.NodeProto], circle: str) -> None:
    path = models.save([helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 3]}, ["y"], {})
    model = onnx.load(path)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    with pytest.raises(ValueError, match=f"is not a valid ONNX model: its nodes wait for each other: {circle}$"):
        network.read(path)
