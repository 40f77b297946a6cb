# SPDX-License-Identifier: Apache-2.0
"""Relu and Clip that no layer before them could take in."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from hwsim.network.layers.elementwise import Elementwise
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
    """Build a Relu or Clip."""
    activation = pattern.activation(node)
    if activation is None:
        raise ValueError(f"node {node.label}: min and max must be constants")
    fields = Clamp.fields(node, pattern, 1)
    fields["activation"] = activation
    pattern.add(Clamp(**fields))
