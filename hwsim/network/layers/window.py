# SPDX-License-Identifier: Apache-2.0
"""Sliding windows of convolution and pooling: geometry, padding, unrolling to matrix rows."""

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import KOrder, Shape
from hwsim.network.pattern import RawNode

__all__ = [
    "Window",
    "read_window",
    "unroll",
    "windows",
]

Array = npt.NDArray[Any]

_MAX_SIZE = 2**20  # more is a damaged file


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window over the spatial axes of (batch, channel, spatial...).

    Parameters
    ----------
    kernel, strides, dilations : tuple of int
        One for each spatial axis.
    pads : tuple of int
        Begin of every axis, then end of every axis.
    ceil_mode : bool
        Whether a last window may hang over the end.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    ceil_mode: bool = False

    @property
    def extent(self) -> tuple[int, ...]:
        """Width of a window with its gaps."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def output(self, spatial: Shape) -> Shape:
        """Return the number of windows along each axis."""
        count = len(self.kernel)
        if len(spatial) != count:
            raise ValueError(f"a window of {count} axes does not fit a tensor of {len(spatial)} spatial axes")
        sizes = []
        for axis, size in enumerate(spatial):
            begin, end = self.pads[axis], self.pads[count + axis]
            if max(begin, end, self.strides[axis], self.extent[axis]) > _MAX_SIZE:
                raise ValueError(f"pads, strides and kernels must be at most {_MAX_SIZE}, not those of {self}")
            room = size + begin + end - self.extent[axis]
            if room < 0:
                raise ValueError(f"a window of {self.extent[axis]} does not fit a padded axis of {size + begin + end}")
            steps = room / self.strides[axis]
            windows_here = (ceil(steps) if self.ceil_mode else int(steps)) + 1
            if self.ceil_mode and (windows_here - 1) * self.strides[axis] >= size + begin:
                windows_here -= 1  # a window that starts in the end padding does not count
            sizes.append(windows_here)
        return tuple(sizes)


def read_window(node: RawNode, spatial: Shape, kernel: tuple[int, ...]) -> Window:
    """Read strides, dilations and pads of a node, `auto_pad` resolved for the input's spatial shape."""
    count = len(kernel)
    strides = tuple(node.attributes.get("strides", [1] * count))
    dilations = tuple(node.attributes.get("dilations", [1] * count))
    pads = tuple(node.attributes.get("pads", [0] * 2 * count))
    auto = node.attributes.get("auto_pad", "NOTSET")
    if not len(strides) == len(dilations) == len(spatial) == count or len(pads) != 2 * count:
        raise ValueError(f"node {node.label}: strides, dilations, pads and input do not have the kernel's {count} axes")
    if min((*strides, *dilations, *kernel), default=1) < 1 or min(pads, default=0) < 0:
        raise ValueError(f"node {node.label}: kernel, strides and dilations must be positive, pads not negative")
    if auto == "VALID":
        pads = (0,) * (2 * count)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = [], []
        for size, k, s, d in zip(spatial, kernel, strides, dilations, strict=True):
            total = max((ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
            small, large = total // 2, total - total // 2
            begins.append(small if auto == "SAME_UPPER" else large)
            ends.append(large if auto == "SAME_UPPER" else small)
        pads = (*begins, *ends)
    elif auto != "NOTSET":
        raise ValueError(f"node {node.label}: auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {auto!r}")
    ceil_mode = bool(node.attributes.get("ceil_mode", 0))
    return Window(kernel=kernel, strides=strides, dilations=dilations, pads=pads, ceil_mode=ceil_mode)


def windows(x: Array, window: Window, fill: Any) -> Array:
    """Return a view (batch, channel, out..., kernel...) of a padded tensor (batch, channel, spatial...)."""
    count = len(window.kernel)
    spatial = x.shape[2:]
    out = window.output(spatial)
    widths = [(0, 0), (0, 0)]
    for axis in range(count):
        begin = window.pads[axis]
        # ceil_mode may reach further than the declared end padding
        reach = (out[axis] - 1) * window.strides[axis] + window.extent[axis]
        widths.append((begin, max(window.pads[count + axis], reach - begin - spatial[axis])))
    if any(pair != (0, 0) for pair in widths):
        x = np.pad(x, widths, constant_values=fill)
    axes = tuple(range(2, 2 + count))
    view = np.lib.stride_tricks.sliding_window_view(x, window.extent, axis=axes)
    steps = tuple(slice(None, (n - 1) * s + 1, s) for n, s in zip(out, window.strides, strict=True))
    gaps = tuple(slice(None, None, d) for d in window.dilations)
    return view[(slice(None), slice(None), *steps, *gaps)]


def unroll(x: Array, window: Window, groups: int, fill: Any, k_order: KOrder) -> Array:
    """Return matrix rows (groups, batch * out, k) of a tensor, one row a window, k as `k_order` says."""
    view = windows(x, window, fill)
    count = len(window.kernel)
    batch, channels, *out = view.shape[: 2 + count]
    split = view.reshape(batch, groups, channels // groups, *view.shape[2:])
    out_axes = tuple(range(3, 3 + count))
    kernel_axes = tuple(range(3 + count, 3 + 2 * count))
    k_axes = (2, *kernel_axes) if k_order == "channel_first" else (*kernel_axes, 2)
    rows = split.transpose(1, 0, *out_axes, *k_axes)
    return rows.reshape(groups, batch * prod(out), channels // groups * prod(window.kernel))
