# SPDX-License-Identifier: Apache-2.0
"""A node that a builder writes as several others, each built at once: Attention as products, a Softmax and so on."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import CODE_RANGES, AffineQuantization, storage_type
from hwsim.network.element_types import typed
from hwsim.network.graph import Shape
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Expansion",
]

Array = npt.NDArray[Any]

_OPSET = 25  # the inner nodes are written for this one
_FLOAT = 1  # TensorProto.FLOAT
_WIDENED = ("float16", "bfloat16")


class Expansion:
    """Writes nodes in place of one.

    Parameters
    ----------
    node : RawNode
        What is replaced: its name begins the names of all that replaces it.
    pattern : Pattern
    """

    def __init__(self, node: RawNode, pattern: Pattern) -> None:
        self.node = node
        self.pattern = pattern

    def __call__(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Build a node of the standard, and return the name of its first output; `output` gives it one."""
        base = f"{self.node.name}/{operator}"
        name = self.pattern.fresh(base)
        result = output or self.pattern.fresh(f"{name}:0")
        raw = RawNode(
            name=name,
            operator=operator,
            domain="",
            opset=_OPSET,
            inputs=inputs,
            outputs=(result,),
            attributes=attributes,
        )
        self.pattern.insert(raw)
        self.pattern.build(raw)
        return result

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Make a constant, and return its name."""
        name = self.pattern.fresh(f"{self.node.name}/constant")
        self.pattern.constants[name] = np.asarray(value, dtype)
        return name

    def number(self, value: float, like: str) -> str:
        """Make a constant of the type of a tensor's values."""
        return self("CastLike", self.constant(value, np.float32), like)

    def value(self, name: str) -> Array | None:
        """Return a constant, or None for what varies."""
        known = self.pattern.known(name)
        if known is None:
            return None
        return known.constant if known.quantization is None else known.values

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape."""
        return self.pattern.shape(name)

    def dtype(self, name: str) -> str:
        """Return the element type of a tensor's values."""
        operand = self.pattern.coded(name)
        return "float32" if operand.quantization is not None else operand.spec.dtype

    def present(self, index: int) -> str:
        """Return an optional input of the node, or nothing."""
        return self.node.inputs[index] if self.node.present(index) else ""

    def output(self, index: int) -> str:
        """Return an optional output of the node, or nothing."""
        return self.node.outputs[index] if index < len(self.node.outputs) else ""

    def float32(self, name: str) -> str:
        """Widen a tensor of half the width to float32."""
        return self("Cast", name, to=_FLOAT) if self.dtype(name) in _WIDENED else name

    def back(self, name: str, like: str, output: str) -> None:
        """Give a result its name, and the type of an input that was widened."""
        if self.dtype(like) in _WIDENED:
            self("CastLike", name, like, output=output)
        else:
            self("Identity", name, output=output)

    def reshape(self, name: str, *shape: int) -> str:
        """Reshape; codes behind a dequantization by one scale."""
        return self._moved("Reshape", name, self.constant(shape, np.int64))

    def transpose(self, name: str, *permutation: int) -> str:
        """Permute the axes; of codes behind a dequantization."""
        return self._moved("Transpose", name, perm=list(permutation))

    def slice(self, name: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        """Keep a range of an axis; of codes behind a dequantization by one scale."""
        bounds = [self.constant([value], np.int64) for value in (start, stop, axis, step)]
        return self._moved("Slice", name, *bounds)

    def _moved(self, operator: str, name: str, *rest: str, **attributes: Any) -> str:
        """Build a node that only moves elements, of the codes where there are such."""
        coded = self.coded(name)
        if coded is None or (coded[1].axis is not None and operator != "Transpose"):
            return self(operator, name, *rest, **attributes)
        codes, scale = coded
        if scale.axis is not None:
            scale = replace(scale, axis=attributes["perm"].index(scale.axis % len(attributes["perm"])))
        return self.dequantized(self(operator, codes, *rest, **attributes), scale)

    def dequantized(self, codes: str, scale: AffineQuantization) -> str:
        """Put a dequantization by one scale (or one along an axis) behind a tensor of codes."""
        zero = typed(scale.zero_point.astype(storage_type(scale.dtype)), scale.dtype)
        axis: dict[str, Any] = {} if scale.axis is None else {"axis": scale.axis}
        return self("DequantizeLinear", codes, self.constant(scale.scale), self.constant(zero), **axis)

    def coded(self, name: str) -> tuple[str, AffineQuantization] | None:
        """Return the tensor of codes behind another, and their scale; None where there is none of ONNX's integers.

        None too where the scale varies.
        """
        behind = self.pattern.coded(name)
        scale = behind.quantization
        if (
            any(behind.varying)
            or not isinstance(scale, AffineQuantization)
            or scale.dtype not in CODE_RANGES
            or scale.narrow
        ):
            return None
        if behind.constant is None:
            return behind.spec.name, scale
        return self.constant(typed(behind.constant, scale.dtype)), scale
