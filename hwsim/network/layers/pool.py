# SPDX-License-Identifier: Apache-2.0
"""Pooling: MaxPool, AveragePool, their global forms, com.microsoft QLinearAveragePool and QLinearGlobalAveragePool."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import storage_type
from hwsim.network.graph import Engine, Shape
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.multiply_accumulate import Form
from hwsim.network.layers.selection import MaxPoolIndices
from hwsim.network.layers.window import Window, read_window, windows
from hwsim.network.pattern import Pattern, RawNode, input_and_output
from hwsim.network.requantize import Rule, code_bounds, requantize_codes

__all__ = [
    "AveragePool",
    "LpPool",
    "MaxPool",
    "build_average_pool",
    "build_lp_pool",
    "build_max_pool",
    "build_qlinear_average_pool",
]

Array = npt.NDArray[Any]

_MAX_READS = 2**28  # of an image: more is a damaged file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxPool(Elementwise):
    """The greatest element of each window; padding never wins.

    Parameters
    ----------
    window : Window
    """

    kind: ClassVar[str] = "max_pool"
    moves_only: ClassVar[bool] = True

    window: Window

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, channel, out...)."""
        return (*shapes[0][:2], *self.window.output(shapes[0][2:]))

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Take the maxima."""
        x = values[0]
        least = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
        view = windows(x, self.window, least)
        return np.asarray(view.max(axis=tuple(range(2 + len(self.window.kernel), view.ndim))))

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Take maxima of codes, then requantize them: the order is that of values where the scale is above 0."""
        output = self.output_quantization
        if output is None:
            return Elementwise.run(self, values, engine, rule)
        (source,) = self.quantizations
        backwards = source is not None and bool(np.any(source.scale < 0))
        if backwards and rule is Rule.TFLITE:
            raise ValueError(f"layer {self.name!r}: the TFLite rule needs a positive scale")
        if rule is not Rule.TFLITE and (source is None or backwards):
            return (output.quantize(self.activated(self.compute(self.dequantized(self._operands(values))))),)
        best = self.compute(self._operands(values))
        if rule is Rule.TFLITE:
            return (requantize_codes(best, self.tflite_quantization(source), output, self.activation),)
        assert source is not None
        return (output.quantize(self.activated(source.dequantize(best))),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AveragePool(Elementwise):
    """The mean of each window.

    Parameters
    ----------
    window : Window
    count_padding : bool
        Whether padding counts as zeros in the mean.
    whole : bool
        Whether the operator is global: it sums in another order of float32 additions.
    form : Form
        QOPERATOR follows ONNX Runtime's QLinear kernels.
    """

    kind: ClassVar[str] = "average_pool"

    window: Window
    count_padding: bool = False
    whole: bool = False
    form: Form = Form.QDQ

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, channel, out...)."""
        return (*shapes[0][:2], *self.window.output(shapes[0][2:]))

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Average in float32, in the order of additions of ONNX Runtime on x86.

        Source: onnxruntime mlas/lib/pooling.cpp, and measured: a window that covers an unpadded input with strides 1
        is summed in four interleaved lanes; else rows first where the last stride is at most 2 and there are at least
        two axes; else element after element.
        """
        x = values[0].astype(np.float32, copy=False)
        view = windows(x, self.window, np.float32(0))
        count = len(self.window.kernel)
        flat = view.reshape(*view.shape[: 2 + count], prod(self.window.kernel))
        covers = self.window.kernel == x.shape[2:] and not any(self.window.pads)
        if self.whole or (covers and set(self.window.strides) == {1}):
            total = _sum_lanes(flat)
        elif count >= 2 and self.window.strides[-1] <= 2:
            rows = view.reshape(*view.shape[: 2 + count], prod(self.window.kernel[:-1]), view.shape[-1])
            total = _sum_in_order(np.moveaxis(_sum_in_order(np.moveaxis(rows, -2, 0)), -1, 0))
        else:
            total = _sum_in_order(np.moveaxis(flat, -1, 0))
        return np.asarray(total / self._counts(x.shape[2:]).astype(np.float32))

    def run(self, values: tuple[Array, ...], engine: Engine, rule: Rule) -> tuple[Array, ...]:
        """Average codes or values, as the rule says."""
        if self.form is Form.QOPERATOR and self.whole and rule is Rule.ONNX:
            return (self._run_qlinear_global(values[0]),)
        return Elementwise.run(self, values, engine, rule)

    def compute_tflite(self, operands: tuple[Array, ...]) -> Array:
        """Average codes, rounded half away from zero; a change of scale is a QUANTIZE operator after it.

        Source: tflite/kernels/internal/reference/integer_ops/pooling.h, AveragePool.
        """
        output = self.output_quantization
        assert output is not None
        source = self.tflite_quantization(self.quantizations[0])
        total = self._sum_codes(operands[0], 0)
        counts = self._counts(operands[0].shape[2:]).astype(np.int64)
        if self.count_padding:
            total = self._sum_codes(operands[0], int(source.zero_point))
        magnitude = (np.abs(total) + counts // 2) // counts
        mean = np.clip(np.where(total < 0, -magnitude, magnitude), source.low, source.high)
        mean = mean.astype(storage_type(source.dtype))
        if not source.same_as(output):
            return requantize_codes(mean, source, output, self.activation)
        low, high = code_bounds(self.activation, output)
        return np.asarray(np.clip(mean, low, high).astype(storage_type(output.dtype)))

    def _run_qlinear_global(self, codes: Array) -> Array:
        """Average codes as ONNX Runtime on x86 does: one float32 product of the integer sum.

        Source: onnxruntime mlas/lib/qlgavgpool.cpp, MlasQLinearGlobalAveragePool (SSE2).
        """
        source, output = self.quantizations[0], self.output_quantization
        assert source is not None
        assert output is not None
        size = prod(codes.shape[2:])
        total = self._sum_codes(codes, 0) - size * int(source.zero_point)
        scale = np.float32(source.scale / np.float32(output.scale * np.float32(size)))
        rounded = np.rint(total.astype(np.float32) * scale).astype(np.int64) + output.zero_point
        return np.asarray(np.clip(rounded, output.low, output.high).astype(storage_type(output.dtype)))

    def _sum_codes(self, codes: Array, fill: int) -> npt.NDArray[np.int64]:
        """Sum each window exactly."""
        view = windows(codes, self.window, fill)
        axes = tuple(range(2 + len(self.window.kernel), view.ndim))
        return np.asarray(view.sum(axis=axes, dtype=np.int64))

    def _counts(self, spatial: Shape) -> Array:
        """Return the number of elements that count in each window."""
        counts = np.ones((1,) * len(spatial), np.int64)
        for axis, (size, windows_here) in enumerate(zip(spatial, self.window.output(spatial), strict=True)):
            begin, end = self.window.pads[axis], self.window.pads[len(spatial) + axis]
            starts = np.arange(windows_here) * self.window.strides[axis] - begin
            taps = starts[:, np.newaxis] + np.arange(self.window.kernel[axis]) * self.window.dilations[axis]
            low, high = (-begin, size + end) if self.count_padding else (0, size)
            inside = np.count_nonzero((taps >= low) & (taps < high), axis=1)
            counts = counts * inside.reshape([-1 if i == axis else 1 for i in range(len(spatial))])
        return counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LpPool(Elementwise):
    """The p-norm of each window, in float64, rounded once.

    Parameters
    ----------
    window : Window
    order : int
        The p.
    """

    kind: ClassVar[str] = "average_pool"

    window: Window
    order: int

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, channel, out...)."""
        return (*shapes[0][:2], *self.window.output(shapes[0][2:]))

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Take the norms."""
        powers = np.abs(values[0].astype(np.float64)) ** self.order
        view = windows(powers, self.window, 0.0)
        total = view.sum(axis=tuple(range(2 + len(self.window.kernel), view.ndim)))
        return np.asarray((total ** (1 / self.order)).astype(values[0].dtype))


def build_max_pool(node: RawNode, pattern: Pattern) -> None:
    """Build a MaxPool or GlobalMaxPool."""
    window = _window(node, pattern)
    if len(node.outputs) > 1 and node.outputs[1]:
        pattern.add(
            MaxPoolIndices(
                name=pattern.fresh(f"{node.name}_indices"),
                operator=node.operator,
                inputs=(pattern.plain(node.inputs[0]).spec.name,),
                outputs=node.outputs[1:],
                window=window,
                column_major=bool(node.attributes.get("storage_order", 0)),
            )
        )
    pattern.add(MaxPool(**MaxPool.fields(node, pattern, 1), window=window))


def build_lp_pool(node: RawNode, pattern: Pattern) -> None:
    """Build an LpPool or GlobalLpPool."""
    order = int(node.attributes.get("p", 2))
    if order < 1:
        raise ValueError(f"node {node.label}: p must be at least 1, not {order}")
    pattern.add(LpPool(**LpPool.fields(node, pattern, 1), window=_window(node, pattern), order=order))


def build_average_pool(node: RawNode, pattern: Pattern) -> None:
    """Build an AveragePool or GlobalAveragePool."""
    window = _window(node, pattern)
    pattern.add(
        AveragePool(
            **AveragePool.fields(node, pattern, 1),
            window=window,
            count_padding=bool(node.attributes.get("count_include_pad", 0)),
            whole=node.operator == "GlobalAveragePool",
        )
    )


def build_qlinear_average_pool(node: RawNode, pattern: Pattern) -> None:
    """Build a com.microsoft QLinearAveragePool or QLinearGlobalAveragePool: X, its scale and zero point, Y's."""
    if node.attributes.get("channels_last", 0):
        raise ValueError(f"node {node.label}: channels_last must be 0")
    x = pattern.plain(node.inputs[0])
    scales = input_and_output(node, pattern, x.spec.dtype)
    pattern.add(
        AveragePool(
            name=node.name,
            operator=node.operator,
            inputs=(x.spec.name,),
            outputs=node.outputs,
            quantizations=(scales[0],),
            output_quantization=scales[1],
            window=_window(node, pattern),
            count_padding=bool(node.attributes.get("count_include_pad", 0)),
            whole="Global" in node.operator,
            form=Form.QOPERATOR,
        )
    )


def _window(node: RawNode, pattern: Pattern) -> Window:
    """Return the window of a pooling node."""
    shape = pattern.shape(node.inputs[0])
    if len(shape) < 3:
        raise ValueError(f"node {node.label}: input {shape} has no spatial axes")
    if "Global" in node.operator:
        return read_window(node, shape[2:], shape[2:])
    window = read_window(node, shape[2:], tuple(node.attributes["kernel_shape"]))
    if shape[1] * prod(window.output(shape[2:])) * prod(window.kernel) > _MAX_READS:
        raise ValueError(f"node {node.label}: windows of {window.kernel} on an image {shape[1:]} are too large")
    return window


def _sum_in_order(parts: Array) -> Array:
    """Add float32 arrays along axis 0, one after another."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return np.asarray(total)


def _sum_lanes(flat: Array) -> Array:
    """Add float32 numbers along the last axis in four lanes, fold (0+2) + (1+3), then what is left over."""
    size = flat.shape[-1] // 4 * 4
    if size:
        lanes = _sum_in_order(np.moveaxis(flat[..., :size].reshape(*flat.shape[:-1], -1, 4), -2, 0))
        total = (lanes[..., 0] + lanes[..., 2]) + (lanes[..., 1] + lanes[..., 3])
    else:
        total = np.zeros(flat.shape[:-1], np.float32)
    for index in range(size, flat.shape[-1]):
        total = total + flat[..., index]
    return np.asarray(total)
