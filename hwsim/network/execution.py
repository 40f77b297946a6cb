# SPDX-License-Identifier: Apache-2.0
"""Run a network on arrays, every multiply-accumulate on an engine of the caller's choice."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwsim.network.affine import NanError, storage_type
from hwsim.network.checkpoint import Checkpoint
from hwsim.network.coded_product import coded_product
from hwsim.network.graph import Engine, Images, KOrder, Layer, Network, TensorSpec
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.nonlinear import NonlinearKernels, NonlinearSpec
from hwsim.network.requantize import Rule
from hwsim.network.tensor_files import release

__all__ = [
    "ExactEngine",
    "Hook",
    "SteadyEngine",
    "run",
    "trace",
]

Array = npt.NDArray[Any]
Hook = Callable[[str, Array], None]

_IMAGES = 32  # at once, at most
_WEIGHTS = 1 << 23  # floats of a second operand at once
_ELEMENTS = 1 << 25  # and fewer where a first operand, as an unrolled convolution, would be larger


class ExactEngine:
    """Integer products exact to the last bit; float32 products in numpy's own order.

    Its description, by which a checkpoint knows it, holds for one machine and one version of numpy: another may add
    float32 products in another order.
    """

    description = "exact"
    k_order: KOrder = "channel_first"
    nonlinear: NonlinearSpec = NonlinearSpec()
    nonlinear_kernels: NonlinearKernels | None = None

    def matmul(self, layer: Layer, a: Array, b: Array) -> Array:
        """Multiply (groups, m, k) by (groups, k, n).

        Integers go through the floating-point product of the BLAS where every partial sum is exactly representable
        (below 2**24 in float32, 2**53 in float64), and through int64 beyond.

        Parameters
        ----------
        layer : Layer
            Looked at where its operands are codes of a format (`Form.CODED`).
        a, b : ndarray

        Returns
        -------
        ndarray
            int64 for integers, float32 for floats, float64 for codes: the exact sum, rounded once (`coded_product`).
        """
        if isinstance(layer, MultiplyAccumulate) and layer.coded:
            return coded_product(layer, a, b)
        if np.issubdtype(a.dtype, np.floating):
            return self.float_product(a, b)
        bound = _magnitude(a.dtype) * _magnitude(b.dtype) * a.shape[-1]
        if bound <= 2**24:
            return np.asarray(np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(np.int64))
        if bound <= 2**53:
            return np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64))
        if bound >= 2**63:
            raise ValueError(f"a sum of {a.shape[-1]} products of {a.dtype} and {b.dtype} does not fit 64 bits")
        return np.asarray(np.matmul(a.astype(np.int64), b.astype(np.int64)))

    def float_product(self, a: Array, b: Array) -> Array:
        """Multiply floats, in their own type and numpy's own order."""
        return _float_product(a, b)


class SteadyEngine(ExactEngine):
    """As `ExactEngine`, but float32 products are summed in float64 and rounded once.

    So the order of additions, which is another on another processor, does not show, but where a sum is within float64's
    rounding of the middle between two float32 numbers. Takes about twice the time.
    """

    description = "steady"

    def float_product(self, a: Array, b: Array) -> Array:
        """Multiply floats, summed in float64."""
        return _float_product(a, b, np.dtype(np.float64))


def run(
    network: Network,
    inputs: Mapping[str, Array],
    *,
    engine: Engine | None = None,
    rule: Rule | str = Rule.ONNX,
    hook: Hook | None = None,
    resume: Checkpoint | None = None,
) -> dict[str, Array]:
    """Run a network.

    Parameters
    ----------
    network : Network
    inputs : mapping of str to ndarray
        One array an input, of its type and shape; axis 0 may be any number of images.
    engine : Engine, optional
        What multiplies and accumulates; `ExactEngine` unless given.
    rule : Rule or str
        How accumulators become codes.
    hook : callable, optional
        Called with the name and the value of every tensor as it is computed; more than once for a tensor where there
        are so many images that they go through in portions, in order.
    resume : Checkpoint, optional
        A folder that keeps what finished layers produced. Where it holds some of an earlier run on the same network,
        inputs, engine and rule, the run goes on from there, with the same result, bit for bit; `hook` is not called for
        what is finished.

    Returns
    -------
    dict of str to ndarray
        The network's outputs by name.

    Raises
    ------
    TypeError
        Where `inputs` is no mapping or an input has the wrong element type.
    ValueError
        Where an input is missing, unknown or has the wrong shape, the rule has no kernel for a layer, or the checkpoint
        belongs to another run or is damaged.
    """
    chosen = Rule(rule)
    machine: Engine = ExactEngine() if engine is None else engine
    arrays, count = _checked(network, inputs)
    step = _at_once(network) if network.batchable else network.batch
    if resume is not None:
        resume.open(network, arrays, machine, chosen, step)
    job = _Job(network, machine, chosen, hook, resume)
    if count <= step:
        return _run_once(job, arrays, 0)
    portions = [
        _run_once(job, {k: v[i : i + step] for k, v in arrays.items()}, portion)
        for portion, i in enumerate(range(0, count, step))
    ]
    return {
        name: value if name in network.constants else _joined([portion[name] for portion in portions])
        for name, value in portions[0].items()
    }


def _joined(parts: list[Array]) -> Array:
    """Put the values of several passes one after the other along axis 0, which numbers get."""
    return np.stack(parts) if parts[0].ndim == 0 else np.concatenate(parts)


def trace(
    network: Network,
    inputs: Mapping[str, Array],
    *,
    engine: Engine | None = None,
    rule: Rule | str = Rule.ONNX,
) -> dict[str, Array]:
    """Run a network and return every tensor by its ONNX name, inputs included.

    Parameters, Raises
    ------------------
    As `run`.

    Returns
    -------
    dict of str to ndarray
        Tensors between fused operators do not exist in the hardware and are absent.
    """
    pieces: dict[str, list[Array]] = {}
    run(network, inputs, engine=engine, rule=rule, hook=lambda name, value: pieces.setdefault(name, []).append(value))
    return {name: parts[0] if len(parts) == 1 else _joined(parts) for name, parts in pieces.items()}


def _at_once(network: Network) -> int:
    """Return how many images go through a network at once."""
    products = (layer.matmul_shape(network.specs(layer)) for layer in network.layers)
    largest = max((p.groups * p.m * p.k for p in products if p is not None), default=0)
    return max(1, min(_IMAGES, _ELEMENTS * network.batch // max(largest, 1)))


def _float_product(a: Array, b: Array, summed: np.dtype[Any] | None = None) -> Array:
    """Multiply floats; a large second operand by parts of its columns, so that no more of it is in memory."""
    made = np.result_type(a, b)
    inner = made if summed is None else np.result_type(made, summed)
    left = a.astype(inner, copy=False)
    if b.size <= _WEIGHTS:
        return np.asarray(np.matmul(left, b.astype(inner, copy=False)).astype(made, copy=False))
    product = np.empty((*a.shape[:-1], b.shape[-1]), made)
    width = max(1, _WEIGHTS // (b.size // b.shape[-1]))
    for start in range(0, b.shape[-1], width):
        part = b[..., start : start + width].astype(inner, copy=False)
        product[..., start : start + width] = np.matmul(left, part)
        release(b)
    return product


class _Job(NamedTuple):
    """A run, whatever images go through it."""

    network: Network
    engine: Engine
    rule: Rule
    hook: Hook | None
    resume: Checkpoint | None


def _run_once(job: _Job, arrays: Mapping[str, Array], portion: int) -> dict[str, Array]:
    """Run all layers on a portion of the images, dropping each tensor after its last reader."""
    network, resume = job.network, job.resume
    wanted = [spec.name for spec in network.outputs]
    last = {name: index for index, layer in enumerate(network.layers) for name in layer.inputs}
    given: dict[str, Array] = {**network.constants, **arrays}
    made: dict[str, Array] = {} if resume is None else resume.restore(portion)
    first = 0 if resume is None else resume.finished(portion)
    if job.hook is not None and first == 0:
        for name, value in arrays.items():
            job.hook(name, value)
    for index, layer in enumerate(network.layers[first:], first):
        operands = tuple(made[name] if name in made else given[name] for name in layer.inputs)
        results = _results(job, layer, operands, arrays)
        del operands
        for array in network.mapped[index]:
            release(array)
        for name, value in zip(layer.outputs, results, strict=True):
            made[name] = np.asarray(value, order="C")  # in one layout, whether it comes from here or from a checkpoint
            if job.hook is not None:
                job.hook(name, made[name])
        for name in {*layer.inputs, *layer.outputs}:
            if last.get(name, index) <= index and name not in wanted:
                made.pop(name, None)
        if resume is not None:
            resume.keep(portion, index + 1, made)
    return {name: made[name] if name in made else given[name] for name in wanted}


def _results(job: _Job, layer: Layer, operands: tuple[Array, ...], inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """Run a layer; an error says which, and of a NaN where it comes from."""
    try:
        return layer.run(operands, job.engine, job.rule)
    except ValueError as error:
        named = repr(layer.name) in str(error)
        nan = isinstance(error, NanError) or isinstance(error.__cause__, NanError)
        if named and not nan:
            raise
        text = str(error) if named else f"layer {layer.name!r} ({layer.operator}): {error}"
        raise ValueError(f"{text}: {_source_of_nan(inputs)}" if nan else text) from error


def _source_of_nan(inputs: Mapping[str, Array]) -> str:
    """Tell which inputs hold a NaN, or that a layer made one."""
    holding = [repr(name) for name, value in inputs.items() if value.dtype.kind == "f" and np.isnan(value).any()]
    if not holding:
        return "the float network produced one"
    return f"inputs {', '.join(holding)} hold NaN" if len(holding) > 1 else f"input {holding[0]} holds NaN"


def _checked(network: Network, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    """Check the inputs against the network's, and return them with the number of images."""
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs must be a mapping of names to arrays, not {type(inputs).__name__}")
    names = [spec.name for spec in network.inputs]
    unknown, missing = sorted(set(inputs) - set(names)), sorted(set(names) - set(inputs))
    if unknown or missing:
        wrong = [f"unknown {unknown}"] if unknown else []
        wrong += [f"missing {missing}"] if missing else []
        raise ValueError(f"network {network.name!r} takes the inputs {names}: {', '.join(wrong)}")
    arrays: dict[str, Array] = {}
    counts = set()
    for spec in network.inputs:
        array = np.asarray(inputs[spec.name])
        if array.dtype != _run_type(spec):
            raise TypeError(f"input {spec.name!r} must be {_run_type(spec)}, not {array.dtype}")
        free = bool(spec.shape) and spec.shape[0] == network.batch
        fits = array.ndim == len(spec.shape) and array.shape[1:] == spec.shape[1:]
        if not fits or (not free and array.shape != spec.shape):
            raise ValueError(f"input {spec.name!r} must have shape {_shown(spec, free)}, not {array.shape}")
        counts.add(array.shape[0] if free else None)
        arrays[spec.name] = array
    known = counts - {None}
    if len(known) > 1 or (None in counts and known - {network.batch}):
        raise ValueError(f"inputs must have one number of images, not {sorted(c for c in known if c is not None)}")
    count = next(iter(known)) if known else network.batch
    assert count is not None
    if count == 0 or (not network.batchable and count % network.batch):
        raise ValueError(f"axis 0 must be a positive multiple of the batch {network.batch}, not {count}")
    if count != network.batch and network.images is Images.OPEN and not network.batchable:
        raise ValueError(
            f"network {network.name!r} does not keep the {count} images of axis 0 apart, whose number the file leaves "
            f"open: read it with batch={count} for all at once, or batch=1 for one after the other"
        )
    return arrays, count


def _run_type(spec: TensorSpec) -> np.dtype[Any]:
    """Return the numpy type of a tensor."""
    return storage_type(spec.dtype)


def _shown(spec: TensorSpec, free: bool) -> str:
    """Write a shape for a message, the batch free."""
    sizes = [str(size) for size in spec.shape]
    if free:
        sizes[0] = "images"
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _magnitude(dtype: np.dtype[Any]) -> int:
    """Return the greatest magnitude of an integer type."""
    info = np.iinfo(dtype)
    return max(-int(info.min), int(info.max))
