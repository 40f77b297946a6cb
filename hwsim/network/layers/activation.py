# SPDX-License-Identifier: Apache-2.0
"""Relu and Clip that no layer before them could take in."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.expansion import Expansion
from hwsim.network.layers.pointwise import build_pointwise
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Clamp",
    "build_clamp",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clamp(Elementwise):
    """Values held between a least and a greatest one; the range is the layer's `activation`."""

    kind: ClassVar[str] = "activation"
    fuses_activation: ClassVar[bool] = False

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Hold values in the range."""
        return self.activated(values[0])

    def compute_tflite(self, operands: tuple[Array, ...]) -> Array:
        """Bring codes to the output's quantization, clamped (tflite/kernels/activations.cc, ReluImpl)."""
        return self.to_output(operands)[0]


def build_clamp(node: RawNode, pattern: Pattern) -> None:
    """Build a Relu or Clip; one with bounds that vary, or of other types than float32, as Max and Min."""
    operand = pattern.operand(node.inputs[0])
    activation = pattern.activation(node)
    if activation is not None and (operand.quantization is not None or operand.spec.dtype == "float32"):
        fields = Clamp.fields(node, pattern, 1)
        fields["activation"] = activation
        pattern.add(Clamp(**fields))
        return
    if node.operator == "Relu":
        build_pointwise(node, pattern)
        return
    e = Expansion(node, pattern)
    bounds = [e.present(index) for index in (1, 2)]
    for index, key in enumerate(("min", "max")):
        if key in node.attributes:
            bounds[index] = e("CastLike", e.constant(node.attributes[key], np.float32), node.inputs[0])
    given = [(operator, name) for operator, name in zip(("Max", "Min"), bounds, strict=True) if name]
    x = node.inputs[0]
    for index, (operator, name) in enumerate(given):
        x = e(operator, x, name, output=node.outputs[0] if index == len(given) - 1 else "")
    if not given:
        e("Identity", x, output=node.outputs[0])
