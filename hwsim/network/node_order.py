# SPDX-License-Identifier: Apache-2.0
"""The nodes of an ONNX graph in an order in which each comes after those whose outputs it reads."""

import heapq
from collections.abc import Iterator

import onnx

__all__ = [
    "sort_nodes",
]


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes of a graph in topological order, and leave them as they are where they are in one.

    Of the nodes that could come next, the first of the file does. Inputs that no node makes count as known.

    Raises
    ------
    ValueError
        Where nodes wait for each other in a circle: the message names them.
    """
    nodes = list(graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    before = [{makers[name] for name in _read(node) if name in makers} for node in nodes]
    if all(maker < index for index, needed in enumerate(before) for maker in needed):
        return
    after: list[list[int]] = [[] for _ in nodes]
    for index, needed in enumerate(before):
        for maker in needed:
            after[maker].append(index)
    waiting = [len(needed) for needed in before]
    ready = [index for index, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for index in after[order[-1]]:
            waiting[index] -= 1
            if not waiting[index]:
                heapq.heappush(ready, index)
    if len(order) < len(nodes):
        circle = _circle(before, next(index for index, count in enumerate(waiting) if count), set(order))
        shown = " -> ".join(repr(nodes[index].name or nodes[index].output[0]) for index in circle)
        raise ValueError(f"its nodes wait for each other: {shown}")
    del graph.node[:]
    graph.node.extend(nodes[index] for index in order)


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """Give the tensors that a node reads, those that its subgraphs read included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        for graph in graphs:
            inner = {name for each in graph.node for name in each.output} | {info.name for info in graph.input}
            yield from (name for each in graph.node for name in _read(each) if name not in inner)
            yield from (output.name for output in graph.output if output.name not in inner)


def _circle(before: list[set[int]], start: int, done: set[int]) -> list[int]:
    """Return nodes of a circle, the first one twice, each before one that reads it."""
    path = [start]
    while path.count(path[-1]) < 2:
        path.append(min(before[path[-1]] - done))
    return path[path.index(path[-1]) :][::-1]
