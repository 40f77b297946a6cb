# SPDX-License-Identifier: Apache-2.0
"""Constant subgraphs of an ONNX graph computed once, dead nodes removed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from hwsim.network.affine import CODE_RANGES, FLOAT_FORMATS
from hwsim.network.constant_operators import tensor_value
from hwsim.network.fuse import can_evaluate, evaluate
from hwsim.network.pattern import RawNode
from hwsim.network.raw_nodes import STANDARD, raw_nodes

__all__ = [
    "alive",
    "fold",
]

Array = npt.NDArray[Any]


def alive(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that some output needs, in order."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output if name):
            needed.update(name for name in node.input if name)
            kept.append(node)
    return kept[::-1]


def fold(
    model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], mapped: Mapping[str, Array] | None = None
) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Compute what does not depend on the network's inputs.

    Parameters
    ----------
    model : onnx.ModelProto
    shapes : dict of str to tuple of int
        Static shapes of tensors, as far as known: a Shape operator gives them.
    mapped : mapping of str to ndarray, optional
        Initializers that are not in the model (`hwsim.network.tensor_files`).

    Returns
    -------
    nodes : list of onnx.NodeProto
        What is left, in order. A DequantizeLinear of codes stays, as it says how its constant is quantized.
    constants : dict of str to ndarray

    Raises
    ------
    ValueError
        Where a constant node cannot be computed.
    """
    constants = dict(mapped or {}) | {tensor.name: tensor_value(tensor) for tensor in model.graph.initializer}
    opsets = {"" if entry.domain in STANDARD else entry.domain: entry.version for entry in model.opset_import}
    nodes = []
    for node in alive(model.graph):
        if node.domain in STANDARD:
            (raw,) = raw_nodes([node], opsets)
            values = _folded(raw, constants, shapes)
            if values is not None:
                constants.update(values)
                continue
        nodes.append(node)
    return nodes, constants


def _folded(
    node: RawNode, constants: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array] | None:
    """Return a node's outputs, or None where they are not constant, or the node says what a constant means."""
    names = [name for name in node.inputs if name]
    if node.operator in ("Shape", "Size") and names and names[0] in shapes:
        return evaluate(node, {names[0]: np.broadcast_to(np.float32(0), shapes[names[0]])})
    if not can_evaluate(node) or any(name not in constants for name in names):
        return None
    if node.operator == "Transpose":
        return {node.outputs[0]: _transposed(node, constants[names[0]])}
    if node.operator == "DequantizeLinear":
        if constants[names[0]].dtype.name in (*CODE_RANGES, *FLOAT_FORMATS.values()):
            return None
    elif not names and node.operator != "Constant":
        return None
    return evaluate(node, {name: constants[name] for name in names})


def _transposed(node: RawNode, x: Array) -> Array:
    """Return the value of a Transpose node: a view, as weights are large."""
    axes = list(node.attributes.get("perm", range(x.ndim)[::-1]))
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(
            f"constant node {node.label} cannot be computed: perm must be an order of {x.ndim} axes, not {axes}"
        )
    return x.transpose(axes)
