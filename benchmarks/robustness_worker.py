# SPDX-License-Identifier: Apache-2.0
"""Processes that read, simulate and run damaged files under limits of time and memory."""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from benchmarks.mutations import damaged_model
from benchmarks.robustness_seeds import small_models
from benchmarks.text_mutations import damaged_text
from hwsim import accelerator, data, network, simulate
from hwsim.network.affine import storage_type
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate
from hwsim.network.nonlinear import GeluKind, LayerNormKind, NonlinearSpec, SoftmaxKind

__all__ = [
    "Outcome",
    "Pool",
    "judged",
    "near",
    "sound_files",
]

_SECONDS = 20  # of processor time, for one file
_BYTES = 2 << 30  # of address space beyond what the process has before
_RUN_MACS = 2_000_000
_RUN_ELEMENTS = 2_000_000
_EXACT_MACS = 200_000
_REFERENCE_MACS = 300_000
_REFERENCE_SECONDS = 5
_MACHINES = ("int8_16x16", "bf16_16x16_broadcast", "mxfp4_4x4")  # the first one is exact on int8
_NONLINEAR = (
    NonlinearSpec(softmax=SoftmaxKind.ONLINE, tile=3),
    NonlinearSpec(softmax=SoftmaxKind.SHIFTMAX, gelu=GeluKind.SHIFT_GELU, layer_norm=LayerNormKind.I_LAYER_NORM),
    NonlinearSpec(softmax=SoftmaxKind.TWO_PASS),
)
_TABLES = b"""
[nonlinear]
softmax = "online"
gelu = "float"
layer_norm = "float"
tile = 8

[mapping]
objective = "energy"
limit = 200
"""
_UNDERFLOW = 1e-35  # where products in float32 lose bits that exact sums have
_TIES = 0.05  # of the elements may be a code off: of few codes, that is much
_OURS = (ValueError, TypeError, FileNotFoundError)
_NAMED = ("layer", "node", "network", "input", "output", "unit", "images", "technology:", "memory.")

Arrays = dict[str, NDArray[Any]]


class Outcome(NamedTuple):
    """What became of a file."""

    number: int
    base: str
    damage: str
    kind: str
    text: str


def sound_files(models: Path | None) -> dict[str, bytes]:
    """Return the files that are damaged, by name: networks and accelerators."""
    files = {path.name: path.read_bytes() for path in (data.digits_model_path(True), data.digits_model_path(False))}
    files |= small_models()
    if models is not None:
        files |= {path.name: path.read_bytes() for path in sorted(models.rglob("*.onnx"))}
    presets = Path(accelerator.__file__).with_name("presets")
    files |= {path.name: path.read_bytes() for path in sorted(presets.glob("*.toml"))}
    return files | {"every_table.toml": files["int8_16x16.toml"] + _TABLES}


class _Bench:
    """Damages files and tries them, in a process of its own."""

    def __init__(self, files: dict[str, bytes], seed: int, folder: Path) -> None:
        self._files, self._seed, self._folder = files, seed, folder
        self._networks = [name for name in files if name.endswith(".onnx")]
        self._accelerators = [name for name in files if name.endswith(".toml")]
        self._machines = [accelerator.read(name) for name in _MACHINES]
        self._machines += [replace(self._machines[0], nonlinear=spec) for spec in _NONLINEAR]
        self._digits = network.read(data.digits_model_path(True))
        self._sound: dict[str, Arrays | None] = {}

    def try_one(self, index: int) -> Outcome:
        """Damage a file and say what becomes of it."""
        rng = np.random.default_rng([self._seed, index])
        is_text = rng.random() < 0.15
        names = self._accelerators if is_text else self._networks
        base = names[int(rng.integers(len(names)))]
        path = self._folder / f"{os.getpid()}_damaged{'.toml' if is_text else '.onnx'}"
        if is_text:
            text, damage = damaged_text(self._files[base].decode(), rng)
            path.write_text(text)
        else:
            raw, damage = damaged_model(self._files[base], rng)
            path.write_bytes(raw)
        try:
            machine = self._machines[int(rng.integers(len(self._machines)))]
            kind, text = self._machine_of(path) if is_text else self._network_of(path, base, machine)
        except _OURS as error:
            kind, text = judged(error, path)
        except MemoryError as error:
            kind, text = "memory", _where(error)
        except Exception as error:  # noqa: BLE001  any other exception is what is looked for
            kind, text = "exception", _where(error)
        return Outcome(index, base, damage, kind, text)

    def _machine_of(self, path: Path) -> tuple[str, str]:
        machine = accelerator.read(path)
        simulate(self._digits, machine, values="none").to_json()
        return "sound", ""

    def _network_of(self, path: Path, base: str, machine: accelerator.Accelerator) -> tuple[str, str]:
        net = network.read(path)
        macs = sum(shape.macs for shape in (layer.matmul_shape(net.specs(layer)) for layer in net.layers) if shape)
        elements = sum(spec.elements for spec in (*net.tensors.values(), *net.inputs))
        inputs = _inputs(net) if elements <= _RUN_ELEMENTS and macs <= _RUN_MACS else {}
        outputs = network.run(net, inputs) if inputs else {}
        try:
            simulate(net, machine, values="none").to_json()
            if inputs and macs <= _EXACT_MACS:
                found = simulate(net, machine, inputs).outputs
                if machine is self._machines[0] and _integer(net) and not _alike(dict(found), outputs):
                    return "differs", "the integer unit's outputs are not those of exact integers"
        except _OURS as error:  # the unit may not have the network's formats, or a memory be too small
            kind, text = judged(error, path)
            if kind != "refused":
                return kind, text
        if not inputs:
            return "sound", ""
        sound = self._of_sound(base)
        if sound is not None and _alike(sound, outputs):
            return "same", ""
        return _compare(path, inputs, outputs) if macs <= _REFERENCE_MACS else ("sound", "")

    def _of_sound(self, base: str) -> Arrays | None:
        """Return the outputs of the file before the damage."""
        if base not in self._sound:
            path = self._folder / f"{os.getpid()}_sound.onnx"
            path.write_bytes(self._files[base])
            try:
                net = network.read(path)
                self._sound[base] = network.run(net, _inputs(net))
            except ValueError:  # uses an operator that is not run
                self._sound[base] = None
        return self._sound[base]


def _integer(net: network.Network) -> bool:
    """Whether every matrix product is one of integers."""
    products = [layer for layer in net.layers if isinstance(layer, MultiplyAccumulate)]
    return all(layer.quantized for layer in products)


def _inputs(net: network.Network) -> Arrays:
    rng = np.random.default_rng(3)
    made: Arrays = {}
    for spec in net.inputs:
        kind = storage_type(spec.dtype)
        if kind.kind == "f":
            made[spec.name] = rng.standard_normal(spec.shape).astype(kind)
        else:
            made[spec.name] = rng.integers(0, 2, spec.shape).astype(kind)
    return made


def judged(error: Exception, path: Path) -> tuple[str, str]:
    """Tell whether an error's message says where it is."""
    text = str(error)
    if path.name in text or any(word in text for word in _NAMED):
        return "refused", text
    return "nameless", _where(error)


def _where(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "hwsim" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{place} {type(error).__name__}: {str(error)[:200]}"


def _alike(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        value.shape == other[name].shape
        and value.dtype == other[name].dtype
        and value.tobytes() == other[name].tobytes()
        for name, value in one.items()
    )


def _compare(path: Path, inputs: Arrays, outputs: Arrays) -> tuple[str, str]:
    """Compare with the reference evaluator, where that can run the file."""
    names = list(outputs)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_REFERENCE_SECONDS)
    try:
        model = onnx.load(path)
        given = {info.name: inputs[info.name] for info in model.graph.input if info.name in inputs}
        finite = all(_finite(tensor) for tensor in model.graph.initializer)
        theirs = ReferenceEvaluator(model).run(names, given)
    except Exception:  # noqa: BLE001  the reference evaluator fails in many ways
        return "sound", ""
    finally:
        signal.alarm(0)
    for name, their in zip(names, theirs, strict=True):
        ours = outputs[name]
        if ours.shape != np.shape(their):
            return "differs", f"{name!r} has shape {ours.shape}, not {np.shape(their)}"
        if finite and not near(ours, np.asarray(their)):
            return "differs", f"{name!r} is {ours.ravel()[:4]}, not {np.asarray(their).ravel()[:4]}"
    return "equal", ""


def _finite(tensor: onnx.TensorProto) -> bool:
    """Whether a constant has no NaN and no infinity, which maxima take differently."""
    values = numpy_helper.to_array(tensor)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def near(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    """Whether two outputs agree but for roundings, of which one may move a code or two."""
    try:
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
    except (TypeError, ValueError):
        return True
    if not np.all(np.isfinite(a) | ~np.isfinite(b)):
        return False  # theirs may overflow where another order of the same operations does not, not ours alone
    finite = np.isfinite(b)
    rest, size = np.abs(a[finite] - b[finite]), np.abs(b[finite])
    largest = max(size.max(initial=0.0), np.abs(a[finite]).max(initial=0.0))
    if largest < _UNDERFLOW or np.mean(rest > 1e-3 * largest) <= _TIES:
        return True
    return bool(np.sqrt(np.mean((rest / largest) ** 2)) <= 0.05 * np.sqrt(np.mean((size / largest) ** 2)))


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError


def _serve(pipe: Connection, files: dict[str, bytes], seed: int, folder: Path) -> None:
    """Try files until there are no more."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  open as long as the process
    np.seterr(all="ignore")
    bench = _Bench(files, seed, folder)
    for index in range(-40, 0):  # imports and compilations come before the limit of memory
        bench.try_one(2**31 + index)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, used + _BYTES))
    pipe.send(None)
    while True:
        index = pipe.recv()
        if index is None:
            return
        pipe.send(bench.try_one(index))


class _Worker:
    """A process and what it is doing."""

    def __init__(self, files: dict[str, bytes], seed: int, folder: Path) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_serve, args=(far, files, seed, folder), daemon=True)
        self.process.start()
        far.close()
        self.pipe.recv()
        self.index = -1
        self._cpu, self._wall = 0.0, 0.0

    def give(self, index: int) -> None:
        """Begin with a file."""
        self.index, self._cpu, self._wall = index, self._spent(), time.monotonic()
        self.pipe.send(index)

    def late(self) -> bool:
        """Whether a file takes too long."""
        return self._spent() - self._cpu > _SECONDS or time.monotonic() - self._wall > 10 * _SECONDS

    def _spent(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Pool:
    """Some processes that try files; one that dies or hangs is replaced.

    Parameters
    ----------
    files : dict of str to bytes
        From `sound_files`.
    seed : int
    workers : int
    """

    def __init__(self, files: dict[str, bytes], seed: int, workers: int) -> None:
        self._files, self._seed, self._count = files, seed, workers
        self._folder = tempfile.TemporaryDirectory()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        self._workers = [self._new() for _ in range(self._count)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
        self._folder.cleanup()

    def _new(self) -> _Worker:
        return _Worker(self._files, self._seed, Path(self._folder.name))

    def run(self, count: int, first: int = 0) -> Iterator[Outcome]:
        """Yield the outcomes of files `first` to `first + count`, as they come."""
        todo = iter(range(first, first + count))
        busy: list[_Worker] = []
        for worker in self._workers:
            self._next(worker, todo, busy)
        while busy:
            ready = wait([worker.pipe for worker in busy], timeout=1)
            for worker in list(busy):
                if worker.pipe in ready:
                    try:
                        yield worker.pipe.recv()
                        busy.remove(worker)
                        self._next(worker, todo, busy)
                    except EOFError:
                        worker.process.join()
                        yield Outcome(worker.index, "?", "?", "crash", f"exit {worker.process.exitcode}")
                        self._replace(worker, todo, busy)
                elif worker.late():
                    worker.process.kill()
                    worker.process.join()
                    yield Outcome(worker.index, "?", "?", "hang", f"more than {_SECONDS} s")
                    self._replace(worker, todo, busy)

    def _next(self, worker: _Worker, todo: Iterator[int], busy: list[_Worker]) -> None:
        index = next(todo, None)
        if index is not None:
            worker.give(index)
            busy.append(worker)

    def _replace(self, worker: _Worker, todo: Iterator[int], busy: list[_Worker]) -> None:
        busy.remove(worker)
        self._workers.remove(worker)
        new = self._new()
        self._workers.append(new)
        self._next(new, todo, busy)
