# SPDX-License-Identifier: Apache-2.0
"""The float network that a QDQ network stands for: weights dequantized, quantizers of activations taken out."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from hwsim.network.element_types import element_type_of
from hwsim.network.quantize_linear import dequantize_linear
from hwsim.quantization.float_graph import attribute, opened
from hwsim.quantization.qdq import PASSING

__all__ = [
    "float_form",
]


Array = npt.NDArray[Any]


def float_form(model: str | os.PathLike[str] | onnx.ModelProto) -> onnx.ModelProto:
    """Take the quantizers out of a QDQ network.

    Parameters
    ----------
    model : path or onnx.ModelProto
        With QuantizeLinear and DequantizeLinear around float operators; constants' scales known.

    Returns
    -------
    onnx.ModelProto
        Constants are their dequantized values; a quantizer of an activation becomes a Relu where its codes begin at
        its zero point (a Relu that a converter left to the saturation), and else nothing. Inputs and outputs of codes
        become float32 of the same name.

    Raises
    ------
    ValueError
        For other quantized operators, and codes that do not come from a constant, an input or a QuantizeLinear.
    """
    own = opened(model)
    constants: dict[str, Array] = {tensor.name: numpy_helper.to_array(tensor) for tensor in own.graph.initializer}
    codes = {info.name for info in own.graph.input}
    relus = {node.output[0] for node in own.graph.node if node.op_type == "Relu"}
    nodes: list[onnx.NodeProto] = []
    for node in own.graph.node:
        if node.op_type == "DequantizeLinear":
            if node.input[0] in constants:
                constants[node.output[0]] = _values(node, constants)
            elif node.input[0] in codes:
                nodes.append(helper.make_node("Identity", node.input[:1], node.output, node.name or node.output[0]))
            else:
                raise ValueError(f"node {node.name!r}: {node.input[0]!r} is neither a constant nor a quantized tensor")
        elif node.op_type == "QuantizeLinear":
            codes.update(node.output)
            zero = constants.get(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
            rectified = node.input[0] in relus
            whole = (
                not rectified
                and zero is not None
                and zero.dtype.kind in "iu"
                and bool(np.all(zero == np.iinfo(zero.dtype).min))
            )
            operator = "Relu" if whole else "Identity"
            nodes.append(helper.make_node(operator, node.input[:1], node.output, node.name or node.output[0]))
        else:
            if node.op_type in PASSING and node.input[0] in codes:
                codes.update(node.output)
            nodes.append(node)
    read = {name for node in nodes for name in node.input} | {info.name for info in own.graph.output}
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in read]
    graph = own.graph
    del graph.node[:]
    del graph.initializer[:]
    del graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    for info in (*graph.input, *graph.output):
        if info.name in codes:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    onnx.checker.check_model(own)
    return own


def _values(node: onnx.NodeProto, constants: dict[str, Array]) -> Array:
    """Return the dequantized constant."""
    zero = constants[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    single = element_type_of(np.empty(0, np.float32))
    axis = int(attribute(node, "axis", 1))
    block = int(attribute(node, "block_size", 0))
    return dequantize_linear(
        constants[node.input[0]], constants[node.input[1]], zero, target=single, axis=axis, block_size=block
    )
