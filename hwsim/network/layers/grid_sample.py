# SPDX-License-Identifier: Apache-2.0
"""GridSample: the input read at places that are computed; nearest, linear and cubic, any number of axes.

Source: ONNX operator GridSample-22; where its text is silent (cubic at a border) ONNX Runtime and torch.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "GridSample",
    "build_grid_sample",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "cubic": "cubic", "bicubic": "cubic"}
_CUBIC_A = -0.75


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridSample(Elementwise):
    """(batch, channel, spatial...) read at a grid (batch, places..., axes), in float64, rounded once.

    Parameters
    ----------
    mode : str
        "nearest" (ties to even), "linear" or "cubic".
    padding : str
        What lies outside: "zeros", "border" or "reflection".
    align_corners : bool
        Whether -1 and 1 are the middles of the outermost elements, not their outer edges.
    """

    kind: ClassVar[str] = "resize"

    mode: str
    padding: str
    align_corners: bool

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return (batch, channel, places...)."""
        x, grid = shapes
        if len(x) < 3 or len(grid) != len(x) or grid[-1] != len(x) - 2 or grid[0] != x[0]:
            raise ValueError(f"layer {self.name!r}: a grid {grid} does not fit {x}")
        return (*x[:2], *grid[1:-1])

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether both vary, image by image."""
        return len(specs) == 2

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Read every place; of a place that is NaN the value is not said."""
        with np.errstate(invalid="ignore"):
            return self._read(*values)

    def _read(self, x: Array, grid: Array) -> Array:
        """Read every place."""
        sizes = x.shape[2:]
        around = grid.shape[1:-1]
        wide = np.moveaxis(x, 1, -1).astype(np.float64)  # (batch, spatial..., channel)
        # The last axis of the grid counts the axes of the input from the last.
        places = [self._place(grid[..., -1 - axis].astype(np.float64), size) for axis, size in enumerate(sizes)]
        taps = [self._taps(place) for place in places]
        images = np.arange(x.shape[0]).reshape(-1, *([1] * len(around)))
        total = np.zeros((x.shape[0], *around, x.shape[1]))
        for chosen in product(*(range(len(indices)) for indices, _ in taps)):
            weight, inside, key = np.ones(()), np.ones((), np.bool_), [images]
            for axis, tap in enumerate(chosen):
                index = taps[axis][0][tap]
                weight = weight * taps[axis][1][tap]
                inside = inside & (index >= 0) & (index < sizes[axis])
                key.append(self._inside(index, sizes[axis]))
            if self.padding == "zeros":
                weight = weight * inside
            total = total + wide[tuple(key)] * np.broadcast_to(weight, total.shape[:-1])[..., np.newaxis]
        return np.asarray(np.moveaxis(total, -1, 1).astype(x.dtype), order="C")

    def _place(self, normal: Floats, size: int) -> Floats:
        """Return where in an axis a number of -1 to 1 points; outside it, what the padding makes of that."""
        place = (normal + 1) / 2 * (size - 1) if self.align_corners else ((normal + 1) * size - 1) / 2
        place = np.rint(place) if self.mode == "nearest" else place
        low, high = self._edges(size)
        outside = (place < low) | (place > high)
        if self.padding == "border" and self.mode != "cubic":  # there each of the four elements is held inside
            return np.where(outside, np.clip(place, 0, size - 1), place)
        return np.where(outside, self._reflected(place, size), place) if self.padding == "reflection" else place

    def _taps(self, place: Floats) -> tuple[list[npt.NDArray[np.int64]], list[Floats]]:
        """Return the elements read for each place, and their weights."""
        if self.mode == "nearest":
            return [place.astype(np.int64)], [np.ones(place.shape)]
        first = np.floor(place)
        ratio = place - first
        base = first.astype(np.int64)
        if self.mode == "linear":
            return [base, base + 1], [1 - ratio, ratio]
        distances = [np.abs(offset - ratio) for offset in range(-1, 3)]
        return [base + offset for offset in range(-1, 3)], [_cubic(distance) for distance in distances]

    def _inside(self, index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
        """Return indices that are there."""
        if self.padding == "reflection":
            low, high = self._edges(size)
            outside = (index < low) | (index > high)
            index = np.where(outside, np.trunc(self._reflected(index.astype(np.float64), size)), index).astype(np.int64)
        return np.clip(index, 0, size - 1)

    def _edges(self, size: int) -> tuple[float, float]:
        return (0.0, size - 1.0) if self.align_corners else (-0.5, size - 0.5)

    def _reflected(self, place: Floats, size: int) -> Floats:
        """Fold places back at the edges."""
        low, high = self._edges(size)
        span = high - low
        if span == 0:
            return np.full(place.shape, low)
        turns = np.mod(place - low, 2 * span)
        return low + np.where(turns > span, 2 * span - turns, turns)


def build_grid_sample(node: RawNode, pattern: Pattern) -> None:
    """Build a GridSample."""
    mode = str(node.attributes.get("mode", "linear"))
    padding = str(node.attributes.get("padding_mode", "zeros"))
    if mode not in _MODES or padding not in ("zeros", "border", "reflection"):
        raise ValueError(f"node {node.label}: mode {mode!r} and padding_mode {padding!r} must be the standard's")
    pattern.add(
        GridSample(
            **GridSample.fields(node, pattern, 2),
            mode=_MODES[mode],
            padding=padding,
            align_corners=bool(node.attributes.get("align_corners", 0)),
        )
    )


def _cubic(distance: Floats) -> Floats:
    """Return the weights of cubic convolution (Keys 1981)."""
    near = ((_CUBIC_A + 2) * distance - (_CUBIC_A + 3)) * distance * distance + 1
    far = ((_CUBIC_A * distance - 5 * _CUBIC_A) * distance + 8 * _CUBIC_A) * distance - 4 * _CUBIC_A
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
