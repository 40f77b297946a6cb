# SPDX-License-Identifier: Apache-2.0
"""Operators on float16 and bfloat16: widened to float32, computed there, and rounded once at the end."""

import numpy as np

from hwsim.network.layers.expansion import Expansion
from hwsim.network.pattern import Builder, Pattern, RawNode

__all__ = [
    "build_double_softmax",
    "widened",
]


def widened(builder: Builder) -> Builder:
    """Return a builder for an operator of one output that also takes floats of half the width."""

    def build(node: RawNode, pattern: Pattern) -> None:
        e = Expansion(node, pattern)
        types = {e.dtype(name) for name in node.inputs if name}
        if not types & {"float16", "bfloat16"}:
            builder(node, pattern)
            return
        inputs = [e.float32(name) if name else "" for name in node.inputs]
        e.back(e(node.operator, *inputs, **node.attributes), node.inputs[0], node.outputs[0])

    return build


def build_double_softmax(builder: Builder) -> Builder:
    """Return a builder for a Softmax that also takes float64: written out, as no unit of hardware is meant."""

    def build(node: RawNode, pattern: Pattern) -> None:
        e = Expansion(node, pattern)
        if e.dtype(node.inputs[0]) != "float64":
            builder(node, pattern)
            return
        axes = e.constant([int(node.attributes.get("axis", -1))], np.int64)
        x = node.inputs[0]
        exponentials = e("Exp", e("Sub", x, e("ReduceMax", x, axes)))
        e("Div", exponentials, e("ReduceSum", exponentials, axes), output=node.outputs[0])

    return build
