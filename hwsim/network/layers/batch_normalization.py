# SPDX-License-Identifier: Apache-2.0
"""Batch normalization: folded into the convolution or Gemm before it, else a layer of its own."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.multiply_accumulate import Form, SplitBias, split_bias
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "BatchNormalization",
    "Folded",
    "build_batch_normalization",
    "fold_after",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchNormalization(Elementwise):
    """y = x * factor + offset, one of each a channel (axis 1).

    Parameters
    ----------
    factor, offset : ndarray of float32, shape (channels,)
    """

    kind: ClassVar[str] = "batch_normalization"

    factor: FloatArray
    offset: FloatArray

    @property
    def parameters(self) -> int:
        """Number of factors and offsets."""
        return self.factor.size + self.offset.size

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the input's shape, where it has the channels."""
        if len(shapes[0]) < 2 or {self.factor.size, self.offset.size} - {1, shapes[0][1]}:
            sizes = f"{self.factor.size} factors and {self.offset.size} offsets"
            raise ValueError(f"layer {self.name!r}: {sizes} do not fit the channels (axis 1) of {shapes[0]}")
        return shapes[0]

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Scale and shift each channel in float32."""
        shape = (1, -1) + (1,) * (values[0].ndim - 2)
        return np.asarray(values[0] * self.factor.reshape(shape) + self.offset.reshape(shape))


class Folded(NamedTuple):
    """A layer's constants with what follows it taken in."""

    output: str
    weight: Array
    bias: SplitBias
    channel_scale: FloatArray | None


def fold_after(
    node: RawNode,
    pattern: Pattern,
    weight: Array,
    bias: SplitBias,
    form: Form,
    unit: npt.NDArray[np.float64] | None,
) -> Folded:
    """Take a constant Add and a BatchNormalization after a convolution or Gemm into its weights and bias.

    Parameters
    ----------
    node : RawNode
        The convolution or Gemm; axis 0 of its weights are the output channels, or the last where it has two axes.
    pattern : Pattern
    weight : ndarray
    bias : SplitBias
    form : Form
    unit : ndarray of float64 or None
        Value of an accumulator unit, for a quantized layer.

    Returns
    -------
    Folded
        In a float layer the weights are multiplied; in a quantized one they stay, and each channel's factor is kept.
    """
    output = node.outputs[0]
    channels = weight.shape[0] if weight.ndim > 2 else weight.shape[-1]
    spatial = max(weight.ndim - 2, 0)
    values = bias
    adder = pattern.follower(output, "Add") if bias.units is None and bias.values is None else None
    if adder is not None:
        addend = pattern.known(adder.inputs[1] if adder.inputs[0] == output else adder.inputs[0])
        if addend is not None and _is_per_channel(addend.spec.shape, channels, spatial):
            pattern.take(adder)
            values = split_bias(addend.constant, addend.quantization, unit)
            output = adder.outputs[0]
    normalization = pattern.follower(output, "BatchNormalization") if weight.ndim > 2 else None
    if normalization is None or normalization.inputs[0] != output:
        return Folded(output, weight, values, None)
    factor, offset = _coefficients(normalization, pattern)
    pattern.take(normalization)
    output = normalization.outputs[0]
    start = np.zeros(channels, np.float32) if values.values is None else values.values
    if form is Form.FLOAT:
        scaled = weight * factor.reshape(-1, *([1] * (weight.ndim - 1)))
        return Folded(output, scaled, SplitBias(None, start * factor + offset), None)
    if values.units is not None:
        # Integer units stay in the accumulator, whose scale each channel's factor multiplies.
        return Folded(output, weight, SplitBias(values.units, offset), factor)
    return Folded(output, weight, SplitBias(None, start * factor + offset), factor)


def build_batch_normalization(node: RawNode, pattern: Pattern) -> None:
    """Build a normalization that nothing before it could take in."""
    factor, offset = _coefficients(node, pattern)
    fields = Elementwise.fields(node, pattern, 1)
    pattern.add(BatchNormalization(**fields, factor=factor, offset=offset))


def _coefficients(node: RawNode, pattern: Pattern) -> tuple[FloatArray, FloatArray]:
    if node.attributes.get("training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        raise ValueError(f"node {node.label}: training mode is not inference; export the network in evaluation mode")
    scale, shift, mean, variance = (pattern.plain(node.inputs[i]) for i in range(1, 5))
    if any(operand.constant is None for operand in (scale, shift, mean, variance)):
        raise ValueError(f"node {node.label}: scale, bias, mean and variance must be constants")
    epsilon = np.float32(node.attributes.get("epsilon", 1e-5))
    # In ONNX Runtime's order: core/providers/cpu/nn/batch_norm.cc.
    factor = np.float32(1) / np.sqrt(variance.values + epsilon) * scale.values
    return factor.astype(np.float32), (shift.values - mean.values * factor).astype(np.float32)


def _is_per_channel(shape: tuple[int, ...], channels: int, spatial: int) -> bool:
    """Whether a constant of this shape adds one number to each channel."""
    trimmed = shape
    while len(trimmed) > 1 + spatial and trimmed[0] == 1:
        trimmed = trimmed[1:]
    return trimmed == (channels, *([1] * spatial))
