# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose: zeros put between the input's elements, then a Conv by the filters turned around.

Each output is then one dot product: quantized operands stay codes (a zero is the zero point's code), and every unit and
order of accumulation that runs a Conv runs it. Products with the zeros count as work, as on hardware without a special
path for them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape
from hwsim.network.layers.expansion import Expansion
from hwsim.network.layers.moves import integers
from hwsim.network.layers.pad import Filling
from hwsim.network.pattern import NeedsConstantError, Pattern, RawNode

__all__ = [
    "Spread",
    "build_conv_transpose",
]

Array = npt.NDArray[Any]

_MAX_SIZE = 2**20  # of strides and pads: more is a damaged file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread(Filling):
    """Zeros between the elements of the spatial axes, and more or fewer elements around.

    Parameters
    ----------
    strides : tuple of int
        Distance of two elements, one a spatial axis.
    widths : tuple of pairs of int
        Zeros before and after each spatial axis; negative to cut off.
    """

    strides: tuple[int, ...]
    widths: tuple[tuple[int, int], ...]

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, channel, spread...)."""
        x = shapes[0]
        sizes = [
            (size - 1) * stride + 1 + before + after
            for size, stride, (before, after) in zip(x[2:], self.strides, self.widths, strict=True)
        ]
        if min(sizes, default=1) < 1:
            raise ValueError(f"layer {self.name!r}: pads leave nothing of {x}")
        return (*x[:2], *sizes)

    def place(self, x: Array, value: Any) -> Array:
        """Spread."""
        result = np.full(self.shape((x.shape,)), value, x.dtype)
        target, source = [slice(None)] * 2, [slice(None)] * 2
        for size, stride, (before, _), new in zip(
            x.shape[2:], self.strides, self.widths, result.shape[2:], strict=True
        ):
            first = max(0, -(before // stride))  # the first element that is not cut off
            last = min(size, (new - 1 - before) // stride + 1)
            source.append(slice(first, max(last, first)))
            target.append(slice(before + first * stride, before + (max(last, first) - 1) * stride + 1, stride))
            if last <= first:
                return result
        result[tuple(target)] = x[tuple(source)]
        return result


def build_conv_transpose(node: RawNode, pattern: Pattern) -> None:
    """Build a float, QDQ or coded ConvTranspose with constant weights."""
    e = Expansion(node, pattern)
    groups = int(node.attributes.get("group", 1))
    weight_shape, x_shape = e.shape(node.inputs[1]), e.shape(node.inputs[0])
    spatial = len(weight_shape) - 2
    if len(x_shape) != len(weight_shape) or spatial < 1 or groups < 1 or weight_shape[0] % groups:
        raise ValueError(f"node {node.label}: input {x_shape} does not fit weights {weight_shape} in {groups} groups")
    kernel = weight_shape[2:]
    strides, dilations, pads, extra = _geometry(node, x_shape[2:], kernel)
    widths = tuple(
        ((k - 1) * d - pads[i], (k - 1) * d - pads[spatial + i] + extra[i])
        for i, (k, d) in enumerate(zip(kernel, dilations, strict=True))
    )
    spread = _spread(e, node.inputs[0], strides, widths)
    inputs = [spread, _turned(e, node, groups)]
    if node.present(2):
        inputs.append(node.inputs[2])
    attributes = {"group": groups, "dilations": list(dilations)}
    e("Conv", *inputs, output=node.outputs[0], **attributes)


def _geometry(
    node: RawNode, size: Shape, kernel: Shape
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return strides, dilations, pads and output padding."""
    count = len(kernel)
    strides = tuple(integers(node.attributes.get("strides", [1] * count)))
    dilations = tuple(integers(node.attributes.get("dilations", [1] * count)))
    extra = tuple(integers(node.attributes.get("output_padding", [0] * count)))
    pads = tuple(integers(node.attributes.get("pads", [0] * 2 * count)))
    auto = str(node.attributes.get("auto_pad", "NOTSET"))
    if not len(strides) == len(dilations) == len(extra) == count or len(pads) != 2 * count:
        raise ValueError(f"node {node.label}: strides, dilations, pads and output_padding must be of {count} axes")
    if min((*strides, *dilations, *kernel)) < 1 or min((*pads, *extra)) < 0:
        raise ValueError(f"node {node.label}: kernel, strides and dilations must be positive, pads not negative")
    if max((*strides, *dilations, *pads, *extra)) > _MAX_SIZE:
        raise ValueError(f"node {node.label}: strides, dilations and pads must be at most {_MAX_SIZE}")
    if tuple(node.attributes.get("kernel_shape", kernel)) != tuple(kernel):
        raise ValueError(f"node {node.label}: kernel_shape is not that of weights with kernels {kernel}")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"node {node.label}: auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {auto!r}")
    wanted = integers(node.attributes.get("output_shape", []))[-count:]
    if not wanted and auto.startswith("SAME"):
        wanted = [n * s for n, s in zip(size, strides, strict=True)]
    if wanted:
        if len(wanted) != count:
            raise ValueError(f"node {node.label}: output_shape must be of {count} axes, not {wanted}")
        whole = [
            (n - 1) * s + (k - 1) * d + 1 + more
            for n, s, k, d, more in zip(size, strides, kernel, dilations, extra, strict=True)
        ]
        total = [w - out for w, out in zip(whole, wanted, strict=True)]
        extra = tuple(more + max(-t, 0) for more, t in zip(extra, total, strict=True))
        total = [max(t, 0) for t in total]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = (*small, *large) if auto == "SAME_UPPER" else (*large, *small)
    elif auto == "VALID":
        pads = (0,) * (2 * count)
    return strides, dilations, pads, extra


def _spread(e: Expansion, name: str, strides: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> str:
    """Append the Spread of a tensor, of its codes where one scale dequantizes them."""
    if set(strides) == {1} and not any(any(pair) for pair in widths):
        return name
    pattern = e.pattern
    if pattern.is_known(name):
        raise ValueError(f"node {e.node.label}: the input must not be a constant")
    coded = e.coded(name)
    if coded is not None and coded[1].axis is not None:
        coded = None
    source = pattern.plain(name).spec.name if coded is None else coded[0]
    label = pattern.fresh(f"{e.node.name}/Spread")
    result = pattern.fresh(f"{label}:0")
    pattern.add(
        Spread(
            name=label,
            operator=e.node.operator,
            inputs=(source,),
            outputs=(result,),
            value=0 if coded is None else int(coded[1].zero_point),
            strides=strides,
            widths=widths,
        )
    )
    return result if coded is None else e.dequantized(result, coded[1])


def _turned(e: Expansion, node: RawNode, groups: int) -> str:
    """Return weights (channel, filter / groups, kernel...) as those of a Conv, codes as codes."""
    known = e.pattern.known(node.inputs[1])
    if known is None or known.constant is None:
        raise NeedsConstantError(node, 1)

    def turn(weight: Array) -> Array:
        channels, filters, *kernel = weight.shape
        split = weight.reshape(groups, channels // groups, filters, *kernel)
        joined = np.moveaxis(split, 1, 2).reshape(groups * filters, channels // groups, *kernel)
        return np.ascontiguousarray(np.flip(joined, axis=tuple(range(2, joined.ndim))))

    coded = e.coded(node.inputs[1])
    axis = 0 if coded is None else coded[1].axis
    if coded is None or axis not in (None, 1, 1 - known.constant.ndim):
        return e.constant(turn(known.constant if known.quantization is None else known.values))
    codes = e.constant(turn(e.pattern.constants[coded[0]]))
    scale = coded[1]
    if axis is not None:
        each = np.tile(scale.scale, groups), np.tile(scale.zero_point, groups)
        scale = replace(scale, scale=each[0], zero_point=each[1], axis=0)
    return e.dequantized(codes, scale)
