# SPDX-License-Identifier: Apache-2.0
"""What softmax, GELU and layer normalization share: vectors along an axis, computed as the engine's machine does."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization, storage_type
from hwsim.network.graph import Engine, Shape
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearKernels, NonlinearSpec, SoftmaxKind
from hwsim.network.requantize import Rule

__all__ = [
    "Kind",
    "Nonlinear",
    "from_rows",
    "to_rows",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Kind = SoftmaxKind | GeluKind | LayerNormKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nonlinear(Elementwise):
    """A layer of vectors along an axis, of which an engine says how its machine computes it.

    Parameters
    ----------
    axis : int
        The vectors' axis, within the rank either way.
    flatten : bool
        Whether all axes from `axis` on count as one.
    """

    fuses_activation: ClassVar[bool] = False

    axis: int = -1
    flatten: bool = False

    @abstractmethod
    def chosen(self, spec: NonlinearSpec) -> Kind:
        """Return the kind that a specification has for this layer."""

    @abstractmethod
    def float_rows(self, kind: Kind, rows: FloatArray, tile: int) -> FloatArray:
        """Return float32 results of rows of float32 values, by a kind that is not integer."""

    @abstractmethod
    def code_rows(
        self,
        kernels: NonlinearKernels,
        kind: Kind,
        rows: Array,
        source: AffineQuantization,
        output: AffineQuantization,
    ) -> Array:
        """Return the output's codes of rows of codes, by an integer kind."""

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the input's shape, where it has the axis."""
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(f"layer {self.name!r}: axis must be in {-rank}..{rank - 1}, not {self.axis}")
        return shapes[0]

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Compute in float32."""
        return self._computed(self.chosen(NonlinearSpec()), values[0], 1)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute as the engine's machine does; in float32, as the rule says."""
        kind = self.chosen(engine.nonlinear)
        if kind.value == "float":
            return Elementwise.run(self, values, engine, rule)
        operands = self._operands(values)
        problem = self.nonlinear_problem(operands[0].shape, engine.nonlinear, engine.nonlinear_kernels, rule)
        if problem is None and kind.integer and engine.nonlinear_kernels is None:
            problem = f"{kind.value} is computed by integer kernels, and the engine brings none"
        if problem is not None:
            raise ValueError(f"layer {self.name!r} ({self.operator}): {problem}")
        source, output = self.quantizations[0], self.output_quantization
        if kind.integer:
            assert source is not None
            assert output is not None
            assert engine.nonlinear_kernels is not None
            rows, shape, back = to_rows(operands[0], self.axis, self.flatten)
            codes = self.code_rows(engine.nonlinear_kernels, kind, rows, source, output)
            return (from_rows(codes, shape, back),)
        result = self._computed(kind, self.dequantized(operands)[0], engine.nonlinear.tile)
        return (result if output is None else output.quantize(result),)

    def nonlinear_problem(
        self, shape: Shape, spec: NonlinearSpec, kernels: NonlinearKernels | None, rule: Rule
    ) -> str | None:
        """Tell why the layer cannot be computed so (see `hwsim.network.nonlinear.NonlinearLayer`)."""
        kind = self.chosen(spec)
        source, output = self.quantizations[0], self.output_quantization
        if kind.value == "float":
            return None
        if not kind.integer:
            taken = rule is Rule.TFLITE and output is not None
            return f"{kind.value} is in float32, and the TFLite rule has its own" if taken else None
        if source is None or output is None:
            return f"{kind.value} needs a quantized input and output: QuantizeLinear and DequantizeLinear around it"
        if source.axis is not None or output.axis is not None:
            return f"{kind.value} needs one scale for the whole tensor"
        if kernels is None:
            return None
        length = math.prod(shape[self.axis % len(shape) :]) if self.flatten else shape[self.axis]
        zeros = np.full((1, length), int(source.zero_point), storage_type(source.dtype))
        try:
            self.code_rows(kernels, kind, zeros, source, output)
        except ValueError as error:
            return f"{kind.value}: {error}"
        return None

    def _computed(self, kind: Kind, values: Array, tile: int) -> Array:
        """Return float32 results of a tensor of values."""
        rows, shape, back = to_rows(values.astype(np.float32, copy=False), self.axis, self.flatten)
        return from_rows(self.float_rows(kind, rows, tile), shape, back)


def to_rows(x: Array, axis: int, flatten: bool) -> tuple[Array, Shape, int]:
    """Bring an axis last and everything else to one axis of rows; with what `from_rows` needs."""
    place = axis % x.ndim
    if flatten:
        return x.reshape(math.prod(x.shape[:place]), math.prod(x.shape[place:])), x.shape, -1
    moved = np.moveaxis(x, place, -1)
    return np.ascontiguousarray(moved).reshape(-1, x.shape[place]), moved.shape, place


def from_rows(rows: Array, shape: Shape, axis: int) -> Array:
    """Undo `to_rows`."""
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), -1, axis))
