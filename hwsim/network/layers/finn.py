# SPDX-License-Identifier: Apache-2.0
"""Operators of FINN (MultiThreshold, Im2Col, XnorPopcountMatMul, QuantAvgPool2d) and QuantLab (RequantShift).

Source: github.com/fastmachinelearning/qonnx, src/qonnx/custom_op/general, version 1.0.0; RequantShift as Deeploy
(github.com/pulp-platform/Deeploy) computes it.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import AffineQuantization, storage_type
from hwsim.network.graph import Engine, Layer, TensorSpec
from hwsim.network.layers.gemm import Gemm
from hwsim.network.layers.window import Window, windows
from hwsim.network.requantize import Rule

__all__ = [
    "Im2Col",
    "MultiThreshold",
    "QuantAveragePool",
    "RequantShift",
    "WholeNumbers",
    "XnorPopcount",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeNumbers(Layer):
    """What gives whole numbers: as codes of scale 1 where they are asked for, else as float32 values.

    Parameters
    ----------
    quantization : AffineQuantization or None
    """

    kind: ClassVar[str] = "quantize"

    quantization: AffineQuantization | None

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the spec of the codes or values."""
        dtype = "float32" if self.quantization is None else self.quantization.dtype
        return (TensorSpec(name=self.outputs[0], shape=specs[0].shape, dtype=dtype),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Compute the values, and hold them as codes."""
        del engine, rule
        y = self.compute(values[0])
        if self.quantization is None:
            return (y.astype(np.float32),)
        if np.isnan(y).any() or y.min(initial=0) < self.quantization.low or y.max(initial=0) > self.quantization.high:
            raise ValueError(
                f"layer {self.name!r}: a result is no {self.quantization.dtype}, which the file says it is"
            )
        return (y.astype(storage_type(self.quantization.dtype)),)

    def compute(self, x: Array) -> Array:
        """Return the values."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MultiThreshold(WholeNumbers):
    """The number of a channel's thresholds that a value reaches, times a factor, and an offset.

    Parameters
    ----------
    thresholds : ndarray of float32, shape (channels, steps)
        Channels: those of the input, or 1.
    factor, offset : float
    axis : int
        Of the channels.
    """

    kind: ClassVar[str] = "multi_threshold"

    thresholds: Array
    factor: float
    offset: float
    axis: int

    @property
    def parameters(self) -> int:
        """Number of thresholds."""
        return int(self.thresholds.size)

    def compute(self, x: Array) -> Array:
        """Count thresholds."""
        moved = np.moveaxis(x, self.axis, -1)
        count = np.zeros(moved.shape, x.dtype)
        for step in range(self.thresholds.shape[1]):
            count += moved >= self.thresholds[:, step]
        return np.asarray(self.factor * np.moveaxis(count, -1, self.axis) + self.offset)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether the channels are not the batch."""
        return self.axis != 0 or self.thresholds.shape[0] == 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequantShift(WholeNumbers):
    """clip(floor((x * mul + add + div / 2) / div)), in integers; div / 2 rounded down.

    Parameters
    ----------
    mul, add : ndarray of int64
        Broadcast against the input.
    div : int
    low, high : int
        The range of the result.
    """

    kind: ClassVar[str] = "requant_shift"

    mul: Array
    add: Array
    div: int
    low: int
    high: int

    def compute(self, x: Array) -> Array:
        """Scale and shift."""
        whole = x.astype(np.int64)
        if x.dtype.kind == "f" and (whole != x).any():
            raise ValueError(f"layer {self.name!r}: {self.operator} needs whole numbers")
        return np.clip((whole * self.mul + self.add + self.div // 2) // self.div, self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Im2Col(Layer):
    """The windows of an image (batch, height, width, channel) as rows: (batch, out, out, kernel * kernel * channel).

    Parameters
    ----------
    window : Window
    pad_value : int
        Of a value, or code, outside of the image.
    """

    kind: ClassVar[str] = "im2col"

    window: Window
    pad_value: int

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the rows' spec."""
        shape = specs[0].shape
        if len(shape) != 4:
            raise ValueError(f"layer {self.name!r}: the input must have 4 axes, not {shape}")
        out = self.window.output(shape[1:3])
        sizes = (shape[0], *out, prod(self.window.kernel) * shape[3])
        return (TensorSpec(name=self.outputs[0], shape=sizes, dtype=specs[0].dtype),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Take the windows: kernel rows, kernel columns, channels, from the slowest to the fastest."""
        del engine, rule
        view = windows(values[0].transpose(0, 3, 1, 2), self.window, self.pad_value)
        rows = view.transpose(0, 2, 3, 4, 5, 1)
        return (np.ascontiguousarray(rows.reshape(*rows.shape[:3], -1)),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantAveragePool(Layer):
    """Sums of square windows of integers, shifted right to so many bits.

    Parameters
    ----------
    window : Window
    shift : int
    channels_last : bool
    """

    kind: ClassVar[str] = "average_pool"

    window: Window
    shift: int
    channels_last: bool

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the sums' spec."""
        shape = specs[0].shape
        if len(shape) != 4 or specs[0].dtype != "float32":
            raise ValueError(f"layer {self.name!r}: the input must be float32 with 4 axes, not {specs[0]}")
        at = 1 if self.channels_last else 2
        out = self.window.output(tuple(shape[at : at + 2]))
        sizes = (*shape[:at], *out, *shape[at + 2 :])
        return (TensorSpec(name=self.outputs[0], shape=sizes, dtype="float32"),)

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Add and shift."""
        del engine, rule
        x = values[0].transpose(0, 3, 1, 2) if self.channels_last else values[0]
        total = windows(x, self.window, 0).astype(np.float64).sum(axis=(-2, -1))
        if np.isnan(total).any() or (total != np.rint(total)).any() or np.abs(total).max(initial=0) > 2**53:
            raise ValueError(f"layer {self.name!r}: {self.operator} needs whole numbers")
        result = (total.astype(np.int64) >> self.shift).astype(np.float32)
        return (np.ascontiguousarray(result.transpose(0, 2, 3, 1) if self.channels_last else result),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XnorPopcount(Gemm):
    """The number of equal bits of rows and columns: half of K more than the product of -1 and 1."""

    kind: ClassVar[str] = "xnor_popcount"

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Multiply bits as -1 and 1 on the engine."""
        bits = values[0]
        if not np.isin(bits, (0, 1)).all():
            raise ValueError(f"layer {self.name!r}: {self.operator} needs bits, 0 or 1")
        (product,) = Gemm.run(self, ((2 * bits.astype(np.int8) - 1).astype(np.int8),), engine, rule)
        return (((product.astype(np.int64) + bits.shape[-1]) // 2).astype(np.float32),)

    def output_specs(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Return the counts' spec."""
        (spec,) = Gemm.output_specs(self, specs)
        return (TensorSpec(name=spec.name, shape=spec.shape, dtype="float32"),)
