# SPDX-License-Identifier: Apache-2.0
"""What a network is run on: files of arrays, random images, the embedded digits; and where outputs go."""

import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hwsim import data
from hwsim.network import Network, TensorSpec
from hwsim.network.affine import code_range, element_bits, storage_type
from hwsim.network.graph import Images
from hwsim.network.layers.gather import Gather

__all__ = [
    "Job",
    "check_outputs",
    "job",
    "npz",
]

_SEED = 2026


class Job(NamedTuple):
    """What a network is run on, its labels if there are any, and what to call it."""

    values: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None
    what: str


def job(
    net: Network, model: Path | None, file: Path | None, arrays: Mapping[str, NDArray[Any]] | None, random: int | None
) -> Job:
    """Return the inputs asked for, `arrays` read from a file or random ones; without any, the digits.

    Raises
    ------
    TypeError, ValueError
        If the number of images or the labels do not fit, or nothing is asked for and the network is no digits network.
    """
    if random is not None:
        _check_count(net, random, "--random")
        return Job(_random_inputs(net, random), None, f"{random} random image{'s' * (random != 1)} (seed {_SEED})")
    if file is not None and arrays is not None:
        values = dict(arrays)
        labels = values.pop("labels", None)
        first = values.get(net.inputs[0].name)
        if first is not None and first.ndim == len(net.inputs[0].shape) > 0:
            _check_count(net, len(first), f"the images of {file}")
        if labels is not None:
            _check_labels(labels, net, values, file)
        return Job(values, labels, f"the images of {file.name}")
    if model is not None:
        wanted = ", ".join(f"{spec.name} {spec.dtype}{list(spec.shape)}" for spec in net.inputs)
        raise ValueError(
            f"{model}: give its inputs ({wanted}) with --inputs FILE.npz, or --random COUNT; --cycles-only needs none"
        )
    images, labels = data.digits_test()
    return Job({net.inputs[0].name: images}, labels, f"{len(images)} held-out handwritten digits")


def check_outputs(file: Path) -> None:
    """Raise FileNotFoundError or ValueError if the outputs cannot be written there."""
    if file.is_dir():
        raise ValueError(f"the outputs' file {str(file)!r} is a directory")
    if file.suffix != ".npz":
        raise ValueError(f"the outputs' file must end in .npz, not {file.name!r}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to")


def npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz, or raise FileNotFoundError or ValueError with its name."""
    if path.is_dir():
        raise ValueError(f"{path}: is a directory, not a .npz file")
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}")
    try:
        with path.open("rb") as stream:
            arrays = np.load(stream)
            is_archive = isinstance(arrays, np.lib.npyio.NpzFile)
            held = {name: arrays[name] for name in arrays.files} if is_archive else None
    except (BadZipFile, EOFError, OSError, RuntimeError, ValueError, zlib.error):
        raise ValueError(f"{path}: not a .npz file, or a damaged one") from None
    if held is None:
        raise ValueError(f"{path}: must be a .npz with an array for each input, not a single array")
    if not held:
        raise ValueError(f"{path}: has no array")
    return held


def _check_count(net: Network, count: int, what: str) -> None:
    """Raise where a network does not take so many images, as `hwsim.network.run` would, by the command's options."""
    if net.batchable or count == net.batch:
        return
    if net.images is Images.OPEN:
        raise ValueError(
            f"{what}: network {net.name!r} does not keep the {count} images of axis 0 apart, whose number the file "
            f"leaves open: add --batch {count} for all at once"
        )
    if count % net.batch:
        raise ValueError(f"{what} must be a multiple of the {net.batch} images that go through at once, not {count}")


def _check_labels(labels: NDArray[Any], net: Network, values: Mapping[str, NDArray[Any]], file: Path) -> None:
    """Raise if the labels are no integers, no classes, or not one an image; `simulate` names inputs that do not fit."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{file}: labels must be integers, not {labels.dtype}")
    spec = net.inputs[0]
    shape = values[spec.name].shape if spec.name in values else ()
    if spec.shape and len(shape) == len(spec.shape) and shape[1:] == spec.shape[1:] and labels.shape != shape[:1]:
        raise ValueError(f"{file}: labels must have shape ({shape[0]},), one an image, not {labels.shape}")
    if net.outputs[0].shape[:1] != (net.batch,):
        raise ValueError(f"{file}: labels need an output with a row an image, not {list(net.outputs[0].shape)}")
    classes = prod(net.outputs[0].shape[1:])
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ValueError(f"{file}: labels must be in 0..{classes - 1}, the outputs of an image, not {wrong[0]}")


def _random_inputs(net: Network, count: int) -> dict[str, NDArray[Any]]:
    """Draw `count` images in all."""
    generator = np.random.default_rng(_SEED)
    values: dict[str, NDArray[Any]] = {}
    for spec in net.inputs:
        shape = (count, *spec.shape[1:]) if spec.shape[:1] == (net.batch,) else spec.shape
        dtype = storage_type(spec.dtype)
        if dtype.kind == "f":
            values[spec.name] = generator.standard_normal(shape).astype(dtype)
        elif dtype.kind == "b":
            values[spec.name] = generator.integers(0, 2, shape).astype(bool)
        else:
            low, high = _range(net, spec)
            values[spec.name] = generator.integers(low, high, shape, dtype, endpoint=True)
    return values


def _range(net: Network, spec: TensorSpec) -> tuple[int, int]:
    """Return the least and the greatest code of an input; of one that is looked up in tables, an index of them all."""
    rows = [
        (net.specs(layer)[0].shape if table is None else table.shape)[layer.axis]
        for layer in net.layers
        if isinstance(layer, Gather) and layer.inputs[-1] == spec.name and layer.constants[1] is None
        for table in layer.constants[:1]
    ]
    if rows:
        return 0, min(rows) - 1
    if spec.dtype.startswith(("int", "uint")):
        return code_range(spec.dtype) or (int(np.iinfo(spec.dtype).min), int(np.iinfo(spec.dtype).max))
    return 0, (1 << element_bits(spec.dtype)) - 1  # codes of small floats
