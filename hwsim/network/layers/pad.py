# SPDX-License-Identifier: Apache-2.0
"""Layers that put a constant in places: Pad and Trilu."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization
from hwsim.network.graph import Engine, Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import integers, one_axis
from hwsim.network.pattern import Pattern, RawNode
from hwsim.network.requantize import Rule

__all__ = [
    "Filling",
    "Pad",
    "Triangle",
    "build_pad",
    "build_triangle",
]

Array = npt.NDArray[Any]

_MODES = ("constant", "reflect", "edge", "wrap")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filling(Elementwise):
    """Elements of the input in their places, a constant in others; codes pass, the constant becomes one.

    Parameters
    ----------
    value : float, int or bool
        The constant, as a value.
    """

    kind: ClassVar[str] = "move"
    moves_only: ClassVar[bool] = True

    value: Any = 0

    @abstractmethod
    def place(self, x: Array, value: Any) -> Array:
        """Return the output, given what to fill with."""

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Fill with the value."""
        return self.place(values[0], values[0].dtype.type(self.value))

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Fill codes with the value's code where both sides have one quantization; else by the rule."""
        output, source = self.output_quantization, self.quantizations[0]
        if output is None or source is None or source.axis is not None:
            return Elementwise.run(self, values, engine, rule)
        if rule is Rule.TFLITE:
            return (self.place(self.to_output(values)[0], _code(self.value, output)),)
        if self.activation is None and source.same_as(output):
            return (self.place(values[0], _code(self.value, output)),)
        return Elementwise.run(self, values, engine, rule)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pad(Filling):
    """The tensor with more (or, where negative, fewer) elements around it.

    Parameters
    ----------
    widths : tuple of pairs of int
        Before and after each axis.
    mode : str
        "constant", "reflect", "edge" or "wrap".
    """

    widths: tuple[tuple[int, int], ...]
    mode: str

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the padded shape."""
        kept = tuple(n + min(a, 0) + min(b, 0) for n, (a, b) in zip(shapes[0], self.widths, strict=True))
        grown = tuple(n + max(a, 0) + max(b, 0) for n, (a, b) in zip(kept, self.widths, strict=True))
        lost = [n for n, g in zip(kept, grown, strict=True) if n < 0 or (n == 0 < g and self.mode != "constant")]
        if lost:
            raise ValueError(f"layer {self.name!r}: pads {self.widths} leave nothing of {shapes[0]}")
        return grown

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is not padded."""
        return bool(self.widths) and self.widths[0] == (0, 0)

    def place(self, x: Array, value: Any) -> Array:
        """Crop, then pad."""
        keys = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, self.widths, strict=True))
        widths = [(max(a, 0), max(b, 0)) for a, b in self.widths]
        cropped = x[keys]
        more: dict[str, Any] = {"constant_values": value} if self.mode == "constant" else {"mode": self.mode}
        return np.asarray(np.pad(cropped, widths, **more))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Triangle(Filling):
    """The upper or lower triangle of each matrix, 0 elsewhere.

    Parameters
    ----------
    diagonal : int
        Where the triangle starts or ends: 0 for the main diagonal, positive above it.
    upper : bool
    """

    diagonal: int
    upper: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the input's shape."""
        if len(shapes[0]) < 2:
            raise ValueError(f"layer {self.name!r}: Trilu needs matrices, not {shapes[0]}")
        return shapes[0]

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 is not one of the matrix."""
        return len(specs[0].shape) > 2

    def place(self, x: Array, value: Any) -> Array:
        """Fill the other triangle."""
        rows, columns = x.shape[-2:]
        distance = np.arange(columns) - np.arange(rows)[:, np.newaxis]
        keep = distance >= self.diagonal if self.upper else distance <= self.diagonal
        return np.where(keep, x, value)


def build_pad(node: RawNode, pattern: Pattern) -> None:
    """Build a Pad: pads and value are attributes before opset 11, constant inputs from then on."""
    shape = pattern.shape(node.inputs[0])
    mode = str(node.attributes.get("mode", "constant"))
    if mode not in _MODES:
        raise ValueError(f"node {node.label}: mode must be one of {', '.join(_MODES)}, not {mode!r}")
    if "pads" in node.attributes:
        pads, value = integers(node.attributes["pads"]), node.attributes.get("value", 0.0)
    else:
        pads = integers(pattern.constant(node, 1))
        value = pattern.constant(node, 2).reshape(()).item() if node.present(2) else 0
    axes = integers(pattern.constant(node, 3)) if node.present(3) else list(range(len(shape)))
    places = [one_axis(node, axis, len(shape)) for axis in axes]
    if len(pads) != 2 * len(places) or len(set(places)) != len(places):
        raise ValueError(f"node {node.label}: {len(pads)} pads do not fit {len(places)} axes")
    widths = [(0, 0)] * len(shape)
    for index, axis in enumerate(places):
        widths[axis] = (pads[index], pads[len(places) + index])
    pattern.add(Pad(**Pad.fields(node, pattern, 1), widths=tuple(widths), mode=mode, value=value))


def build_triangle(node: RawNode, pattern: Pattern) -> None:
    """Build a Trilu."""
    diagonal = int(pattern.constant(node, 1).reshape(())) if node.present(1) else 0
    upper = bool(node.attributes.get("upper", 1))
    pattern.add(Triangle(**Triangle.fields(node, pattern, 1), diagonal=diagonal, upper=upper))


def _code(value: Any, quantization: AffineQuantization) -> Any:
    """Return the code of a value."""
    return quantization.quantize(np.asarray(value, np.float32))[()]
