# SPDX-License-Identifier: Apache-2.0
"""com.microsoft QAttention, as a product of integer codes and the attention of floats that follows it.

Source: onnxruntime docs/ContribOperators.md, com.microsoft.QAttention; contrib_ops/cpu/quantization/attention_quant.cc.
"""

from dataclasses import replace
from math import sqrt

import numpy as np

from hwsim.network.layers.dynamic_quantize import build_matmul_integer_to_float
from hwsim.network.layers.expansion import Expansion
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "build_qattention",
]


def build_qattention(node: RawNode, pattern: Pattern) -> None:
    """Build a QAttention: input, weight, bias, input and weight scale, mask_index, input and weight zero point, past.

    Raises
    ------
    ValueError
        Where it has a mask, a past or rotary embeddings, or its sizes do not fit.
    """
    heads = int(node.attributes["num_heads"])
    shape = pattern.plain(node.inputs[0]).spec.shape
    width = pattern.plain(node.inputs[1]).spec.shape[-1]
    if len(shape) != 3 or heads < 1 or width % (3 * heads):
        raise ValueError(f"node {node.label}: {heads} heads do not fit an input {shape} and weights of {width} columns")
    if node.present(5) or node.present(8) or node.attributes.get("do_rotary", 0) or len(node.outputs) > 1:
        raise ValueError(f"node {node.label}: mask_index, past, present and do_rotary are not run")
    e = Expansion(node, pattern)
    product = pattern.fresh(f"{node.name}/product")
    zeros = [node.inputs[index] if node.present(index) else "" for index in (6, 7)]
    inputs = (*node.inputs[:2], *node.inputs[3:5], *zeros, node.inputs[2])
    build_matmul_integer_to_float(replace(node, name=product, inputs=inputs, outputs=(product,)), pattern)
    batch, length, _ = shape
    size = width // 3 // heads
    cut = e("Reshape", product, e.constant([batch, length, 3, heads, size], np.int64))
    turned = e("Transpose", cut, perm=[2, 0, 3, 1, 4])
    query, key, value = (e("Gather", turned, e.constant(index, np.int64), axis=0) for index in range(3))
    scores = e("MatMul", query, e("Transpose", key, perm=[0, 1, 3, 2]))
    scaled = e("Mul", scores, e.constant(node.attributes.get("scale", 0.0) or 1 / sqrt(size), np.float32))
    if node.attributes.get("unidirectional", 0):
        low = float(node.attributes.get("mask_filter_value", -10000.0))
        later = np.triu(np.ones((length, length), bool), 1)
        scaled = e("Add", scaled, e.constant(np.where(later, low, 0.0), np.float32))
    mixed = e("MatMul", e("Softmax", scaled, axis=-1), value)
    joined = e("Transpose", mixed, perm=[0, 2, 1, 3])
    e("Reshape", joined, e.constant([batch, length, heads * size], np.int64), output=node.outputs[0])
