# SPDX-License-Identifier: Apache-2.0
"""Conversion of the element type: Cast, CastLike."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.conversion import ROUND_MODES, cast
from hwsim.network.element_types import ElementType, element_type, element_type_of, held, layer_type, typed
from hwsim.network.graph import Engine, Layer, TensorSpec
from hwsim.network.pattern import Pattern, RawNode
from hwsim.network.requantize import Rule

__all__ = [
    "Cast",
    "build_cast",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cast(Layer):
    """Every element in another type, by the tables of ONNX's Cast.

    Parameters
    ----------
    source, target : ElementType
    saturate : bool
    round_mode : str
    opset : int
        As `conversion.cast` takes them.
    """

    kind: ClassVar[str] = "cast"

    source: ElementType
    target: ElementType
    saturate: bool
    round_mode: str
    opset: int

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the spec in the target's type."""
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=self.target.layer_name),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Convert."""
        del engine, rule
        x = typed(values[0], self.source.layer_name)
        try:
            with np.errstate(all="ignore"):
                converted = cast(x, self.target, saturate=self.saturate, round_mode=self.round_mode, opset=self.opset)
        except ValueError as error:
            raise ValueError(f"layer {self.name!r}: {error}") from None
        return (held(converted),)


def build_cast(node: RawNode, pattern: Pattern) -> None:
    """Build a Cast or CastLike."""
    x = pattern.plain(node.inputs[0])
    if node.operator == "CastLike":
        target = layer_type(pattern.operand(node.inputs[1]).spec.dtype)
    else:
        target = element_type(int(node.attributes["to"]))
    source = layer_type(x.spec.dtype) if x.constant is None else element_type_of(x.constant)
    if "STRING" in (source.name, target.name):
        raise ValueError(f"node {node.label}: strings are not run")
    round_mode = str(node.attributes.get("round_mode", "up"))
    saturate = bool(node.attributes.get("saturate", 1))
    if round_mode not in ROUND_MODES:
        raise ValueError(f"node {node.label}: round_mode must be one of {', '.join(ROUND_MODES)}, not {round_mode!r}")
    if x.constant is not None:  # only the type of what a CastLike is like varies
        value = cast(x.constant, target, saturate=saturate, round_mode=round_mode, opset=node.opset)
        pattern.constants[node.outputs[0]] = value
        return
    pattern.add(
        Cast(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=node.outputs,
            source=source,
            target=target,
            saturate=saturate,
            round_mode=round_mode,
            opset=node.opset,
        )
    )
