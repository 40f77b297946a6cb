# SPDX-License-Identifier: Apache-2.0
"""Resize, Upsample: nearest, linear and cubic, axis by axis, in every mode of coordinates.

Source: ONNX operator Resize-19 and its reference.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.network.graph import Shape, TensorSpec
from hwsim.network.layers.elementwise import Elementwise
from hwsim.network.layers.moves import integers, one_axis
from hwsim.network.pattern import Pattern, RawNode

__all__ = [
    "Interpolate",
    "Nearest",
    "build_resize",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_MAX_WEIGHTS = 2**26  # of one axis


class AxisMap(NamedTuple):
    """What an axis becomes: for each new place, where it reads, with which weights, and whether it lies outside."""

    axis: int
    places: npt.NDArray[np.int64]  # (new size, taps)
    weights: Floats  # the same shape
    outside: npt.NDArray[np.bool_]  # (new size,)


class _Options(NamedTuple):
    """The attributes of a Resize."""

    mode: str
    coordinates: str
    nearest: str
    cubic_a: float
    antialias: bool
    exclude_outside: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearest(Elementwise):
    """Each new element is an old one: codes pass.

    Parameters
    ----------
    maps : tuple of AxisMap
        Of one tap each.
    """

    kind: ClassVar[str] = "resize"
    moves_only: ClassVar[bool] = True

    maps: tuple[AxisMap, ...]

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the new shape."""
        return _new_shape(shapes[0], self.maps)

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays."""
        return all(each.axis != 0 for each in self.maps)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Pick."""
        x = values[0]
        for each in self.maps:
            x = np.take(x, each.places[:, 0], axis=each.axis)
        return np.array(x)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolate(Elementwise):
    """Each new element is a weighted sum of old ones, in float64, rounded once to the input's type.

    Parameters
    ----------
    maps : tuple of AxisMap
        Used one after the other.
    extrapolation : float
        The value of what lies outside.
    """

    kind: ClassVar[str] = "resize"

    maps: tuple[AxisMap, ...]
    extrapolation: float

    def shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the new shape."""
        return _new_shape(shapes[0], self.maps)

    def result_type(self, types: tuple[str, ...]) -> str:
        """Return the type of the input, a number's."""
        if types[0] not in ("float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64"):
            raise ValueError(f"layer {self.name!r}: {self.operator} needs numbers, not {types[0]}")
        return types[0]

    def keeps_batch(self, specs: tuple[TensorSpec, ...]) -> bool:
        """Tell whether axis 0 stays."""
        return all(each.axis != 0 for each in self.maps)

    def compute(self, values: tuple[Array, ...]) -> Array:
        """Add what each place reads, weighted, tap by tap."""
        x = values[0].astype(np.float64)
        for each in self.maps:
            along = [-1 if axis == each.axis else 1 for axis in range(x.ndim)]
            total: Any = 0.0
            for tap in range(each.places.shape[1]):
                total = total + np.take(x, each.places[:, tap], axis=each.axis) * each.weights[:, tap].reshape(along)
            x = np.where(each.outside.reshape(along), self.extrapolation, total)
        dtype = values[0].dtype
        if dtype.kind in "iu":
            x = np.clip(np.trunc(x), np.iinfo(dtype).min, np.iinfo(dtype).max)
        return np.asarray(x.astype(dtype))


def build_resize(node: RawNode, pattern: Pattern) -> None:
    """Build a Resize or Upsample with constant scales, sizes and region."""
    shape = pattern.shape(node.inputs[0])
    options = _options(node)
    axes = [one_axis(node, int(a), len(shape)) for a in node.attributes.get("axes", range(len(shape)))]
    scales, sizes = _scales_and_sizes(node, pattern, shape, axes)
    region = [0.0, 1.0]
    regions = [region] * len(axes)
    if options.coordinates == "tf_crop_and_resize":
        bounds = pattern.constant(node, 1).astype(np.float64).reshape(-1)
        if bounds.size != 2 * len(axes):
            raise ValueError(f"node {node.label}: roi must have {2 * len(axes)} numbers, not {bounds.size}")
        regions = [[float(bounds[i]), float(bounds[len(axes) + i])] for i in range(len(axes))]
    maps = []
    for axis, scale, size, bounds_here in zip(axes, scales, sizes, regions, strict=True):
        if scale == 1 and size == shape[axis] and bounds_here == region:
            continue
        maps.append(_axis_map(node, axis, shape[axis], scale, size, bounds_here, options))
    outside = any(each.outside.any() for each in maps)
    if options.mode == "nearest" and not outside:
        pattern.add(Nearest(**Nearest.fields(node, pattern, 1), maps=tuple(maps)))
        return
    value = float(node.attributes.get("extrapolation_value", 0.0))
    pattern.add(Interpolate(**Interpolate.fields(node, pattern, 1), maps=tuple(maps), extrapolation=value))


def _options(node: RawNode) -> _Options:
    """Read the attributes."""
    default = "asymmetric" if node.operator == "Upsample" or node.opset < 11 else "half_pixel"
    options = _Options(
        mode=str(node.attributes.get("mode", "nearest")),
        coordinates=str(node.attributes.get("coordinate_transformation_mode", default)),
        nearest=str(node.attributes.get("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor")),
        cubic_a=float(node.attributes.get("cubic_coeff_a", -0.75)),
        antialias=bool(node.attributes.get("antialias", 0)),
        exclude_outside=bool(node.attributes.get("exclude_outside", 0)),
    )
    known = options.mode in ("nearest", "linear", "cubic") and options.coordinates in _COORDINATES
    if not known or options.nearest not in _ROUNDINGS:
        raise ValueError(
            f"node {node.label}: mode {options.mode!r}, coordinate_transformation_mode {options.coordinates!r} and "
            f"nearest_mode {options.nearest!r} must be the standard's"
        )
    return options


def _scales_and_sizes(node: RawNode, pattern: Pattern, shape: Shape, axes: list[int]) -> tuple[list[float], list[int]]:
    """Return the factor and the new size of each axis that is resized."""
    place = 1 if node.operator == "Upsample" or node.opset < 11 else 2
    old = [shape[axis] for axis in axes]
    if "scales" in node.attributes:
        scales = [float(value) for value in node.attributes["scales"]]
    elif node.present(3):
        sizes = integers(pattern.constant(node, 3))
        policy = str(node.attributes.get("keep_aspect_ratio_policy", "stretch"))
        if len(sizes) != len(axes) or min(sizes, default=0) < 1 or min(old, default=0) < 1:
            raise ValueError(f"node {node.label}: sizes {sizes} must be positive, one for each of axes {axes}")
        scales = [size / before for size, before in zip(sizes, old, strict=True)]
        if policy != "stretch":
            if policy not in ("not_larger", "not_smaller"):
                raise ValueError(f"node {node.label}: keep_aspect_ratio_policy {policy!r} must be the standard's")
            scales = [min(scales) if policy == "not_larger" else max(scales)] * len(scales)
            sizes = [int(scales[0] * before + 0.5) for before in old]
        return scales, sizes
    else:
        scales = [float(value) for value in pattern.constant(node, place).reshape(-1)]
    if len(scales) != len(axes) or not all(0 < scale < 2**20 for scale in scales):
        raise ValueError(f"node {node.label}: scales {scales} must be positive, one for each of axes {axes}")
    return scales, [floor(scale * before) for scale, before in zip(scales, old, strict=True)]


def _axis_map(
    node: RawNode, axis: int, old: int, scale: float, new: int, region: list[float], options: _Options
) -> AxisMap:
    """Find places and weights of one axis."""
    shrink = min(scale, 1.0) if options.antialias else 1.0
    reach = {"nearest": 1, "linear": 1, "cubic": 2}[options.mode]
    first = floor(-reach / shrink) + 1
    taps = 2 - 2 * first
    if new * taps > _MAX_WEIGHTS:
        raise ValueError(f"node {node.label}: axis {axis} of {new} elements with {taps} taps each is too large")
    x = _COORDINATES[options.coordinates](np.arange(new, dtype=np.float64), scale, old, new, region)
    outside = np.zeros(new, np.bool_)
    if options.coordinates == "tf_crop_and_resize":
        outside = (x < 0) | (x > old - 1)
    if options.mode == "nearest":
        places = np.clip(_ROUNDINGS[options.nearest](x), 0, old - 1).astype(np.int64)[:, np.newaxis]
        return AxisMap(axis, places, np.ones(places.shape), outside)
    below = np.ceil(x) - 1  # an exact place is the right one of its pair
    ratio = (x - below)[:, np.newaxis]
    offsets = np.arange(first, first + taps)
    distance = np.abs((offsets - ratio) * shrink)
    weights = np.clip(1 - distance, 0, 1) if options.mode == "linear" else _cubic(distance, options.cubic_a)
    if options.antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    places = below[:, np.newaxis].astype(np.int64) + offsets
    if options.exclude_outside:
        weights = np.where((places < 0) | (places >= old), 0.0, weights)
        total = weights.sum(axis=1, keepdims=True)
        weights = weights / np.where(total == 0, 1.0, total)
    return AxisMap(axis, np.clip(places, 0, old - 1), weights, outside)


def _cubic(distance: Floats, a: float) -> Floats:
    """Return the weights of cubic convolution (Keys 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _half_pixel(y: Floats, scale: float) -> Floats:
    return (y + 0.5) / scale - 0.5


def _aligned(y: Floats, scale: float, old: int) -> Floats:
    return np.zeros(y.size) if scale * old == 1 else y * (old - 1) / (scale * old - 1)


def _symmetric(y: Floats, scale: float, old: int, new: int) -> Floats:
    return old / 2 * (1 - new / (scale * old)) + _half_pixel(y, scale)


def _cropped(y: Floats, scale: float, old: int, region: list[float]) -> Floats:
    start, end = region
    if scale * old == 1:
        return np.full(y.size, (end - start) * (old - 1) / 2) + start * (old - 1)
    return y * (end - start) * (old - 1) / (scale * old - 1) + start * (old - 1)


# Where in the old axis a new place lies, by coordinate_transformation_mode; arguments y, scale, old, new, region.
_COORDINATES: Mapping[str, Callable[..., Floats]] = {
    "align_corners": lambda y, scale, old, new, region: _aligned(y, scale, old),
    "asymmetric": lambda y, scale, old, new, region: y / scale,
    "half_pixel": lambda y, scale, old, new, region: _half_pixel(y, scale),
    "half_pixel_symmetric": lambda y, scale, old, new, region: _symmetric(y, scale, old, new),
    "pytorch_half_pixel": lambda y, scale, old, new, region: (
        np.full(y.size, -0.5) if scale * old == 1 else _half_pixel(y, scale)
    ),
    "tf_crop_and_resize": lambda y, scale, old, new, region: _cropped(y, scale, old, region),
}
_ROUNDINGS: Mapping[str, Callable[[Floats], Floats]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}


def _new_shape(shape: Shape, maps: tuple[AxisMap, ...]) -> Shape:
    """Return a shape with the resized axes."""
    sizes = list(shape)
    for each in maps:
        sizes[each.axis] = each.places.shape[0]
    return tuple(sizes)
