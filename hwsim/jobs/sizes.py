# SPDX-License-Identifier: Apache-2.0
"""Sizes that a network's file leaves open: from the command line, or else from the arrays that it is run on."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from numpy.typing import NDArray

from hwsim import network
from hwsim.network.onnx_reader import load

__all__ = [
    "OpenAxis",
    "open_axes",
    "read_network",
    "sizes_of",
]


class OpenAxis(NamedTuple):
    """An axis of an input whose size the file leaves open, and the name that it has for it, which may be empty."""

    tensor: str
    axis: int
    name: str


def open_axes(model: onnx.ModelProto, held: Collection[str] = ()) -> list[OpenAxis]:
    """Return the open axes of a model's inputs; `held` are inputs that are constants kept outside of it."""
    constants = {*held, *(tensor.name for tensor in model.graph.initializer)}
    return [
        OpenAxis(info.name, axis, dim.dim_param)
        for info in model.graph.input
        if info.name not in constants
        for axis, dim in enumerate(info.type.tensor_type.shape.dim)
        if dim.WhichOneof("value") != "dim_value"
    ]


def sizes_of(axes: list[OpenAxis], arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Return the sizes that arrays give to open axes by name, those of images (axis 0) left out.

    Where two arrays disagree the first counts: what does not fit it is named when the network is run.
    """
    images = {each.name for each in axes if each.axis == 0}
    sizes: dict[str, int] = {}
    for each in axes:
        shape = arrays[each.tensor].shape if each.tensor in arrays else ()
        if each.name and each.name not in images and each.axis < len(shape) and shape[each.axis]:
            sizes.setdefault(each.name, int(shape[each.axis]))
    return sizes


def read_network(
    path: Path, batch: int | None, dimensions: Mapping[str, int], arrays: Mapping[str, NDArray[Any]]
) -> network.Network:
    """Read a network, its open sizes from `dimensions` or else from the shapes of arrays by the inputs' names.

    Raises
    ------
    FileNotFoundError, ValueError
        As `hwsim.network.read`; where a size stays open, or axis 0 is given two sizes, by the command's options.
    """
    model, held = load(path)
    axes = open_axes(model, held)
    for each in axes:
        size = dimensions.get(each.name)
        if each.axis == 0 and None not in (batch, size) and batch != size:
            raise ValueError(
                f"--batch {batch} and --dimension {each.name}={size} give axis 0 of input {each.tensor!r} two sizes"
            )
    sizes = {**sizes_of(axes, arrays), **dimensions}
    images = {each.name for each in axes if each.axis == 0}
    still = [each for each in axes if each.axis and (not each.name or each.name not in {*sizes, *images})]
    if still:
        listed = ", ".join(f"axis {each.axis} ({each.name or 'unnamed'}) of input {each.tensor!r}" for each in still)
        options = dict.fromkeys(f"--dimension {each.name}=SIZE" for each in still if each.name)
        way = f"give {' '.join(options)}" if all(each.name for each in still) else "give it a size in the file"
        raise ValueError(f"{path}: sizes are open: {listed}; {way}")
    return network.read(path, batch=batch, dimensions=sizes)
