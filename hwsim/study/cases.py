# SPDX-License-Identifier: Apache-2.0
"""What design points are evaluated on: a network, its images, and accelerators that are no presets."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from hwsim import accelerator as accelerators
from hwsim import data
from hwsim.formats.codes import check_int
from hwsim.jobs.inputs import Job, job, npz
from hwsim.jobs.sizes import open_axes, read_network, sizes_of
from hwsim.network import Network, run
from hwsim.network.onnx_reader import from_model
from hwsim.quantization import float_form
from hwsim.study.toml_checks import limits_of

__all__ = [
    "Case",
    "case",
    "digits",
]

Arrays = Mapping[str, NDArray[Any]]
_RANDOM_IMAGES = 16
_SEED = 2026


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A network with the images it runs on; holds all of it, so that another process needs no file.

    Make one with `hwsim.study.case` or `hwsim.study.digits`. Two cases are equal if their names, digests and
    accelerators are.

    Parameters
    ----------
    name : str
    model : bytes
        An ONNX model, external data in it.
    inputs : mapping of str to ndarray
        An array for each input of the network.
    labels : ndarray of int, optional
        A class an image.
    calibration : mapping of str to ndarray, optional
        What the scales of float operands are chosen on; None: the inputs.
    batch : int, optional
        Images in a pass, where the model leaves that open; 1 unless given.
    dimensions : tuple of (str, int)
        Sizes of axes that the model leaves open.
    what : str
        The images, in words.
    random : bool
        Whether the images are random.
    accelerators : tuple of (str, str)
        The TOML text of accelerators by name.
    """

    name: str
    model: bytes = field(repr=False)
    inputs: Arrays = field(repr=False)
    labels: NDArray[Any] | None = field(repr=False)
    calibration: Arrays | None = field(repr=False)
    batch: int | None = None
    dimensions: tuple[tuple[str, int], ...] = ()
    what: str = ""
    random: bool = False
    accelerators: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    digest: str = field(init=False)
    """SHA-256 of all but name and accelerators."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        return self.name, self.digest, self.accelerators

    @property
    def network(self) -> Network:
        """The network, read once a process."""
        return _network(self)

    @property
    def images(self) -> int:
        """How many images there are."""
        first = self.inputs[self.network.inputs[0].name]
        return len(first) if first.ndim else 1

    def with_accelerators(self, files: Mapping[str, str | Path]) -> Self:
        """Return the case with accelerators' files by name; their memory presets must be named, not files.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            As `hwsim.accelerator.read`; and for a name that a preset has.
        """
        known = dict(self.accelerators)
        for name, path in files.items():
            if name in accelerators.presets():
                raise ValueError(f"accelerator {name!r} must have another name: a preset has it")
            known[name] = _toml(Path(path))
        return replace(self, accelerators=tuple(sorted(known.items())))


@lru_cache(maxsize=1)
def digits() -> Case:
    """Return the float32 digits network with its 360 held-out images, labels and calibration images."""
    images, labels = data.digits_test()
    return Case(
        name="digits",
        model=data.digits_model_path(quantized=False).read_bytes(),
        inputs={"input": images},
        labels=labels,
        calibration={"input": data.digits_calibration()},
        what=f"{len(images)} held-out handwritten digits",
    )


def case(
    name: str,
    model: str | Path,
    inputs: str | Path | Arrays | Sequence[float] | None = None,
    calibration: str | Path | Arrays | None = None,
    *,
    from_quantized: bool = False,
    images: int | None = None,
    batch: int | None = None,
    dimensions: Mapping[str, int] | None = None,
) -> Case:
    """Return a case of an ONNX file.

    Parameters
    ----------
    name : str
    model : path
    inputs : path of a .npz, mapping of str to ndarray, or two floats, optional
        An array for each input, and ``labels`` if there are any. Without it: seeded random images; two rising numbers,
        ``(0, 255)``: random ones drawn evenly between them, where they are floats.
    calibration : path of a .npz, or mapping of str to ndarray, optional
        What the scales of float operands are chosen on; without it, the inputs.
    from_quantized : bool
        Take the quantizers out of the model first (`hwsim.quantization.float_form`), and the Identity nodes in their
        places.
    images : int, optional
        The first so many of the inputs; or how many random ones, 16 unless given.
    batch, dimensions
        As for `hwsim.network.read`; sizes that the arrays say need not be given.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        For files that are missing or wrong, inputs that do not fit the network, and labels that are not one an image.
    """
    limits = None
    if not (inputs is None or isinstance(inputs, str | Path | Mapping)):
        limits, inputs = limits_of(inputs, "inputs"), None
    if not name:
        raise ValueError(f"a case must have a name, not {name!r}")
    if images is not None:
        check_int("images", images, 1, 1 << 31)
    path = Path(model)
    given, chosen = _arrays(inputs), _arrays(calibration)
    shapes = {**_without_labels(chosen), **_without_labels(given)}
    net = read_network(path, batch, dict(dimensions or {}), shapes)
    content = _without_identities(float_form(path)) if from_quantized else onnx.load(path)  # external data in it
    sizes = {**sizes_of(open_axes(content), shapes), **(dimensions or {})}
    if from_quantized:
        net = from_model(content, batch=batch, dimensions=sizes)
    if given is None:
        work = job(net, None, None, None, images or _RANDOM_IMAGES)
        if limits is not None:
            work = _even(work, limits)
    else:
        source = inputs if isinstance(inputs, str | Path) else "inputs"
        work = job(net, path, Path(source), _first(net, given, images), None)
    made = Case(
        name=name,
        model=content.SerializeToString(deterministic=True),
        inputs={key: np.ascontiguousarray(array) for key, array in work.values.items()},
        labels=work.labels,
        calibration=None if chosen is None else _without_labels(chosen),
        batch=batch,
        dimensions=tuple(sorted(sizes.items())),
        what=work.what if given is None else _words(net, work.values, work.labels),
        random=given is None,
    )
    _check_arrays(made)
    return made


def _arrays(given: str | Path | Arrays | None) -> dict[str, NDArray[Any]] | None:
    """Return arrays by name, read where a file is given."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {key: np.asarray(array) for key, array in given.items()}
    return npz(Path(given))


def _even(work: Job, limits: tuple[float, float]) -> Job:
    """Return random inputs with those of floats drawn evenly between limits, or raise where none is of floats."""
    if not any(array.dtype.kind == "f" for array in work.values.values()):
        kinds = ", ".join(f"{name} {array.dtype}" for name, array in work.values.items())
        raise ValueError(f"random inputs between limits must be floats, and the network takes {kinds}: leave them out")
    generator = np.random.default_rng(_SEED)
    values = {
        name: generator.uniform(*limits, array.shape).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in work.values.items()
    }
    return work._replace(values=values, what=f"{work.what}, evenly from {limits[0]:g} to {limits[1]:g}")


def _first(net: Network, arrays: dict[str, NDArray[Any]], images: int | None) -> dict[str, NDArray[Any]]:
    """Return the first images of the arrays that have some, or raise where there are fewer."""
    if images is None:
        return arrays
    varying = {spec.name for spec in net.inputs if spec.shape[:1] == (net.batch,)} | {"labels"}
    for name in sorted(varying & set(arrays)):
        if len(arrays[name]) < images:
            raise ValueError(f"images must be at most {len(arrays[name])}, which {name!r} has, not {images}")
    return {name: array[:images] if name in varying else array for name, array in arrays.items()}


def _words(net: Network, arrays: Arrays, labels: NDArray[Any] | None) -> str:
    first = arrays.get(net.inputs[0].name, np.zeros(()))  # without one, the run says so
    return f"{len(first) if first.ndim else 1} images{'' if labels is None else ' with labels'}"


def _without_labels(arrays: Arrays | None) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in (arrays or {}).items() if name != "labels"}


def _without_identities(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out what `float_form` leaves where a quantizer was, for a machine would move its tensor for nothing."""
    graph = model.graph
    sources: dict[str, str] = {}
    kept = []
    outputs = {info.name for info in graph.output}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = sources.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            sources[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _toml(path: Path) -> str:
    """Return an accelerator's text, checked."""
    text, where = accelerators.toml_text(path)
    preset = accelerators.read_text(text, where).memory_preset
    if preset.endswith(".toml"):
        raise ValueError(f"{where}: memory.preset must be the name of a preset here, not a file: {preset!r}")
    return text


def _check_arrays(made: Case) -> None:
    """Raise what a run of the network raises of arrays that do not fit, by running one pass."""
    net = made.network
    varying = {spec.name for spec in net.inputs if spec.shape[:1] == (net.batch,)}
    for arrays in (made.inputs, made.calibration):
        if arrays is not None:
            run(net, {name: array[: net.batch] if name in varying else array for name, array in arrays.items()})


def _digest(made: Case) -> str:
    """SHA-256 of what decides a network's values."""
    total = hashlib.sha256(made.model)
    total.update(repr((made.batch, made.dimensions, made.what, made.calibration is None)).encode())
    for arrays in (made.inputs, made.calibration or {}, {} if made.labels is None else {"labels": made.labels}):
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            total.update(repr((name, array.dtype.str, array.shape)).encode())
            total.update(array.tobytes())
    return total.hexdigest()


@lru_cache(maxsize=16)
def _network(made: Case) -> Network:
    model = onnx.load_model_from_string(made.model)
    return from_model(model, batch=made.batch, dimensions=dict(made.dimensions))
