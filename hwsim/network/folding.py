# SPDX-License-Identifier: Apache-2.0
"""Constant subgraphs of an ONNX graph computed once, dead nodes removed."""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from hwsim.network.affine import CODE_RANGES

__all__ = [
    "alive",
    "fold",
]

Array = npt.NDArray[Any]

_MAX_ELEMENTS = 2**28  # a constant of a GiB of float32: more is a damaged file, or a model too big to fold
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def alive(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that some output needs, in order."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output if name):
            needed.update(name for name in node.input if name)
            kept.append(node)
    return kept[::-1]


def fold(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Compute what does not depend on the network's inputs.

    Parameters
    ----------
    model : onnx.ModelProto
    shapes : dict of str to tuple of int
        Static shapes of tensors, as far as known: a Shape operator gives them.

    Returns
    -------
    nodes : list of onnx.NodeProto
        What is left, in order. A DequantizeLinear of integer codes stays, as it says how its constant is quantized.
    constants : dict of str to ndarray

    Raises
    ------
    ValueError
        Where a constant node cannot be computed.
    """
    constants = {tensor.name: _array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in alive(model.graph):
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            constants[node.output[0]] = _constant(node)
        elif node.op_type == "Shape" and node.input[0] in shapes and node.domain in ("", "ai.onnx"):
            constants[node.output[0]] = _shape_of(node, shapes[node.input[0]])
        elif _is_foldable(node, constants, shapes):
            constants.update(_evaluated(model, node, constants))
        else:
            nodes.append(node)
    return nodes, constants


def _is_foldable(node: onnx.NodeProto, constants: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> bool:
    """Tell whether a node is a pure function of constants that is small enough and not kept for its meaning."""
    names = [name for name in node.input if name]
    if not names or node.domain not in ("", "ai.onnx") or any(name not in constants for name in names):
        return False
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    if node.op_type in _RANDOM or any(attribute.type in graphs for attribute in node.attribute):
        return False
    if node.op_type == "DequantizeLinear":
        blocked = any(a.name == "block_size" and a.i for a in node.attribute)
        return blocked or constants[node.input[0]].dtype.name not in CODE_RANGES
    return all(prod(shapes.get(name, (_MAX_ELEMENTS + 1,))) <= _MAX_ELEMENTS for name in node.output if name)


def _evaluated(model: onnx.ModelProto, node: onnx.NodeProto, constants: dict[str, Array]) -> dict[str, Array]:
    """Evaluate one node on constants by onnx's own reference."""
    from onnx.reference import ReferenceEvaluator  # slow to import, and seldom needed

    names = list(dict.fromkeys(name for name in node.input if name))
    values = {name: constants[name] for name in names}
    inputs = [onnx.helper.make_empty_tensor_value_info(name) for name in names]
    for info, name in zip(inputs, names, strict=True):
        info.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(values[name].dtype)
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
    small = onnx.helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    try:
        results = ReferenceEvaluator(small).run(None, values)
    except Exception as error:
        raise ValueError(f"constant node {node.name!r} ({node.op_type}) cannot be computed: {error}") from error
    return {name: np.asarray(value) for name, value in zip([n for n in node.output if n], results, strict=True)}


def _constant(node: onnx.NodeProto) -> Array:
    """Return the value of a Constant node."""
    attribute = node.attribute[0]
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return _array(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise ValueError(f"node {node.name!r} (Constant): attribute {attribute.name!r} is not a number or a dense tensor")


def _shape_of(node: onnx.NodeProto, shape: tuple[int, ...]) -> Array:
    """Return the value of a Shape node."""
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    return np.asarray(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)


def _array(tensor: onnx.TensorProto) -> Array:
    """Return a tensor's value."""
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"constant {tensor.name!r} is damaged: {type(error).__name__}: {error}") from None
