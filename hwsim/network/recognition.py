# SPDX-License-Identifier: Apache-2.0
"""GELU and layer normalization written out in smaller operators, found and put back as one node each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape
from hwsim.network.pattern import RawNode

__all__ = [
    "recognized",
]

Array = npt.NDArray[Any]

_ROOT_2 = 2.0**0.5
_SLOPE = (2 / np.pi) ** 0.5
_CUBIC = 0.044715
_NEAR = 1e-3  # exporters write constants with few digits: 1.4142, 0.7979


class _Graph:
    """Nodes with who makes and who reads each tensor."""

    def __init__(self, nodes: tuple[RawNode, ...], constants: Mapping[str, Array], outputs: tuple[str, ...]) -> None:
        self.constants = constants
        self._makers = {name: node for node in nodes for name in node.outputs if name}
        self._readers: dict[str, list[RawNode]] = {}
        for node in nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        self._outputs = set(outputs)

    def made(self, name: str, operator: str) -> RawNode | None:
        """Return the node that makes a tensor, where it is of an operator."""
        node = self._makers.get(name)
        return node if node is not None and node.operator == operator and node.domain == "" else None

    def reader(self, name: str, operator: str) -> RawNode | None:
        """Return the node that alone reads a tensor, once, where it is of an operator."""
        readers = self._readers.get(name, [])
        if len(readers) != 1 or name in self._outputs:
            return None
        return readers[0] if readers[0].operator == operator and readers[0].domain == "" else None

    def inner(self, name: str, nodes: set[int]) -> bool:
        """Tell whether a tensor is read by given nodes alone."""
        return name not in self._outputs and all(id(node) in nodes for node in self._readers.get(name, []))

    def scalar(self, name: str, value: float) -> bool:
        """Tell whether a tensor is a constant of one float32 element near a value."""
        known = self._one(name)
        return known is not None and abs(known - value) <= _NEAR * abs(value)

    def number(self, name: str) -> float | None:
        """Return a constant of one float32 element."""
        return self._one(name)

    def _one(self, name: str) -> float | None:
        known = self.constants.get(name)
        if known is None or known.size != 1 or known.dtype != np.float32:
            return None
        return float(known.reshape(())[()])

    def other(self, node: RawNode, name: str) -> str | None:
        """Return the input of a node of two that is not the given one."""
        if len(node.inputs) != 2 or name not in node.inputs:
            return None
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def times(self, node: RawNode | None, value: float) -> str | None:
        """Return what a Mul multiplies with a constant near a value."""
        if node is None or node.operator != "Mul" or node.domain != "" or len(node.inputs) != 2:
            return None
        for index in (0, 1):
            if self.scalar(node.inputs[index], value):
                return node.inputs[1 - index]
        return None


Found = tuple[RawNode, list[RawNode]]
"""The node that takes the place of the last of some nodes, and these."""


def recognized(
    nodes: tuple[RawNode, ...], constants: Mapping[str, Array], outputs: tuple[str, ...], shapes: Mapping[str, Shape]
) -> tuple[RawNode, ...]:
    """Return a graph's nodes with each GELU and layer normalization that is written out as one node.

    Parameters
    ----------
    nodes : tuple of RawNode
        In topological order.
    constants : mapping of str to ndarray
    outputs : tuple of str
        Tensors that must stay.
    shapes : mapping of str to shape
        Those known, for the rank of what is normalized.

    Returns
    -------
    tuple of RawNode
        In topological order. A pattern is left as it is where a tensor inside it is read by others too.
    """
    graph = _Graph(nodes, constants, outputs)
    placed: dict[int, RawNode] = {}
    gone: set[int] = set()
    for node in nodes:
        found = None
        if node.operator in ("Erf", "Tanh") and node.domain == "":
            found = _gelu(graph, node)
        elif node.operator == "Div" and node.domain == "":
            found = _layer_norm(graph, node, shapes)
        if found is None:
            continue
        one, parts = found
        ids = {id(part) for part in parts}
        last = parts[-1]
        inside = [name for part in parts[:-1] for name in part.outputs]
        if ids & gone or not all(graph.inner(name, ids) for name in inside):
            continue
        gone |= ids
        placed[id(last)] = one
    kept = (placed.get(id(node), node) for node in nodes if id(node) in placed or id(node) not in gone)
    return tuple(kept)


def _gelu(graph: _Graph, curve: RawNode) -> Found | None:
    """Find x * 0.5 * (1 + erf(x / sqrt(2))), or the form with tanh, its factors in any order."""
    inner = _erf_argument(graph, curve) if curve.operator == "Erf" else _tanh_argument(graph, curve)
    plus = graph.reader(curve.outputs[0], "Add")
    if inner is None or plus is None:
        return None
    x, parts = inner
    one = graph.other(plus, curve.outputs[0])
    product = graph.reader(plus.outputs[0], "Mul")
    if one is None or not graph.scalar(one, 1.0) or product is None:
        return None
    factor = graph.other(product, plus.outputs[0])
    assert factor is not None
    parts += [curve, plus]
    if factor == x or graph.scalar(factor, 0.5):  # the other factor comes after
        last = graph.reader(product.outputs[0], "Mul")
        rest = None if last is None else graph.other(last, product.outputs[0])
        if last is None or rest is None or not (graph.scalar(rest, 0.5) if factor == x else rest == x):
            return None
        parts += [product, last]
    else:
        half = graph.made(factor, "Mul")
        if half is None or graph.times(half, 0.5) != x:
            return None
        parts += [half, product]
    form = "none" if curve.operator == "Erf" else "tanh"
    return _node(parts[-1], "Gelu", 20, (x,), {"approximate": form}), parts


def _erf_argument(graph: _Graph, curve: RawNode) -> tuple[str, list[RawNode]] | None:
    """Find x / sqrt(2) or x * sqrt(1/2)."""
    name = curve.inputs[0]
    divided = graph.made(name, "Div")
    if divided is not None and len(divided.inputs) == 2 and graph.scalar(divided.inputs[1], _ROOT_2):
        return divided.inputs[0], [divided]
    scaled = graph.made(name, "Mul")
    x = graph.times(scaled, 1 / _ROOT_2)
    return None if x is None or scaled is None else (x, [scaled])


def _tanh_argument(graph: _Graph, curve: RawNode) -> tuple[str, list[RawNode]] | None:
    """Find sqrt(2/pi) * (x + 0.044715 * x**3)."""
    scaled = graph.made(curve.inputs[0], "Mul")
    total = graph.times(scaled, _SLOPE)
    plus = None if total is None else graph.made(total, "Add")
    if scaled is None or plus is None or len(plus.inputs) != 2:
        return None
    for index in (0, 1):
        x = plus.inputs[index]
        weighted = graph.made(plus.inputs[1 - index], "Mul")
        cubed = graph.times(weighted, _CUBIC)
        cube = None if cubed is None else _cube(graph, cubed, x)
        if weighted is not None and cube is not None:
            return x, [*cube, weighted, plus, scaled]
    return None


def _cube(graph: _Graph, name: str, x: str) -> list[RawNode] | None:
    """Find x**3, as a Pow or as two Mul."""
    power = graph.made(name, "Pow")
    if power is not None:
        return [power] if power.inputs[0] == x and graph.scalar(power.inputs[1], 3.0) else None
    product = graph.made(name, "Mul")
    rest = None if product is None else graph.other(product, x)
    square = None if rest is None else graph.made(rest, "Mul")
    if product is None or square is None or square.inputs != (x, x):
        return None
    return [square, product]


def _layer_norm(graph: _Graph, divide: RawNode, shapes: Mapping[str, Shape]) -> Found | None:
    """Find (x - mean) / sqrt(mean of the squares + epsilon) * gamma + beta."""
    if len(divide.inputs) != 2:
        return None
    subtract = graph.made(divide.inputs[0], "Sub")
    root = graph.made(divide.inputs[1], "Sqrt")
    plus = None if root is None else graph.made(root.inputs[0], "Add")
    if subtract is None or root is None or plus is None or len(plus.inputs) != 2 or len(subtract.inputs) != 2:
        return None
    x = subtract.inputs[0]
    mean = graph.made(subtract.inputs[1], "ReduceMean")
    at = next((index for index in (0, 1) if graph.number(plus.inputs[index]) is not None), None)
    if mean is None or at is None or mean.inputs[0] != x:
        return None
    variance = graph.made(plus.inputs[1 - at], "ReduceMean")
    squares = None if variance is None else _square(graph, variance.inputs[0], x, mean.outputs[0])
    axis = _first_axis(graph, mean, shapes.get(x))
    if variance is None or squares is None or axis is None or axis != _first_axis(graph, variance, shapes.get(x)):
        return None
    parts = list(dict.fromkeys([mean, subtract, *squares, variance, plus, root, divide]))
    scaled = graph.reader(divide.outputs[0], "Mul")
    gamma = None if scaled is None else graph.other(scaled, divide.outputs[0])
    if scaled is None or gamma is None or not _fits(graph, gamma, shapes.get(x), axis):
        return None
    parts.append(scaled)
    inputs = [x, gamma]
    moved = graph.reader(scaled.outputs[0], "Add")
    beta = None if moved is None else graph.other(moved, scaled.outputs[0])
    if moved is not None and beta is not None and _fits(graph, beta, shapes.get(x), axis):
        parts.append(moved)
        inputs.append(beta)
    epsilon = graph.number(plus.inputs[at])
    return _node(parts[-1], "LayerNormalization", 17, tuple(inputs), {"axis": axis, "epsilon": epsilon}), parts


def _square(graph: _Graph, name: str, x: str, mean: str) -> list[RawNode] | None:
    """Find (x - mean)**2, as a Pow or a Mul, with its own subtraction if it has one."""
    power = graph.made(name, "Pow")
    if power is not None and graph.scalar(power.inputs[1], 2.0):
        base = power.inputs[0]
    else:
        power = graph.made(name, "Mul")
        if power is None or len(power.inputs) != 2 or power.inputs[0] != power.inputs[1]:
            return None
        base = power.inputs[0]
    subtract = graph.made(base, "Sub")
    if subtract is None or subtract.inputs != (x, mean):
        return None
    return [subtract, power]


def _first_axis(graph: _Graph, mean: RawNode, shape: Shape | None) -> int | None:
    """Return the first of the axes of a mean, from the end, where these are the last ones and are kept."""
    if shape is None or not mean.attributes.get("keepdims", 1):
        return None
    axes = mean.attributes.get("axes")
    if axes is None and mean.present(1) and mean.inputs[1] in graph.constants:
        axes = graph.constants[mean.inputs[1]].reshape(-1).tolist()
    if not axes:
        return None
    places = sorted({int(axis) % len(shape) for axis in axes if -len(shape) <= axis < len(shape)})
    if len(places) != len(axes) or places != list(range(len(shape) - len(places), len(shape))):
        return None
    return -len(places)


def _fits(graph: _Graph, name: str, shape: Shape | None, axis: int) -> bool:
    """Tell whether a tensor is a constant of float32 with an element for each of a vector, or one for all."""
    known = graph.constants.get(name)
    if known is None or known.dtype != np.float32 or shape is None or known.ndim > -axis:
        return False
    wanted = shape[axis:]
    return all(size in (1, want) for size, want in zip(known.shape[::-1], wanted[::-1], strict=False))


def _node(last: RawNode, operator: str, opset: int, inputs: tuple[str, ...], attributes: Mapping[str, Any]) -> RawNode:
    """Return the node that takes the place of the last of a pattern."""
    return RawNode(
        name=last.name,
        operator=operator,
        domain="",
        opset=opset,
        inputs=inputs,
        outputs=last.outputs,
        attributes=attributes,
    )
