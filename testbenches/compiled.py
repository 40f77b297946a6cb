# SPDX-License-Identifier: Apache-2.0
"""Verilog as a compiled library that takes arrays of vectors: millions a second, no Python between them.

Verilator's C++ model with a loop of ours around it. CXXRTL was measured beside it: quicker for an 8-bit MAC, but 32
lanes of MXFP8 take it 80 s to build and 33 us a clock cycle, where Verilator takes 5 s and 1 us.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbenches import harness as harness_module
from testbenches.harness import HANDSHAKE, harness
from testbenches.simulators import cache_directory, verilator_tools

__all__ = [
    "BuildError",
    "Compiled",
    "Streamed",
    "from_limbs",
    "to_limbs",
]

_Words = NDArray[np.uint64]
_CACHED = 512
_TAIL_LINES = 20
_HARNESS = Path(harness_module.__file__).read_text(encoding="utf-8")
_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-w")
_VERILATE = (
    "--cc", "-O3", "-Wno-lint", "-Wno-style", "-Wno-fatal", "--no-timing", "--x-assign", "unique",
    "--x-initial", "unique", "--quiet-stats",
)  # fmt: skip


class BuildError(RuntimeError):
    """Verilator or the compiler rejects the Verilog; the text ends with what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """
    What a module with streams did.

    Parameters
    ----------
    accepted : int
        Rows that it took.
    given : int
        Outputs that it gave; one more than asked for stands for any number.
    cycles : int
        Clock cycles, with those at the end in which nothing moved.
    broken : int
        How often it took back an output that nobody had taken, or changed one: each port of it in each cycle.
    outputs : dict of str to ndarray
        The outputs, as of `Compiled.run`.
    """

    accepted: int
    given: int
    cycles: int
    broken: int
    outputs: dict[str, NDArray[np.uint64]]


class Compiled:
    """
    A Verilog module, compiled.

    The built library is kept in the cache (`testbenches.simulators.cache_directory`) under all that it depends on.

    Parameters
    ----------
    text : str
        Verilog of the module and those in it.
    top : str
        The module.
    clock : str, default "clk"
        Its clock; a module without such a port is combinational.
    seed : int, default 1
        What registers without a reset and undriven bits hold at first is random, from this.

    Attributes
    ----------
    inputs, outputs : dict of str to int
        Bits of each port, without the clock.
    clocked : bool

    Raises
    ------
    MissingToolError
        Verilator or a C++ compiler is not installed.
    BuildError
        The text does not compile, or has no such module.
    """

    def __init__(self, text: str, top: str, *, clock: str = "clk", seed: int = 1) -> None:
        self.top = top
        self._handle: int | None = None
        self._library = ctypes.CDLL(str(_library(text, top, clock)))
        self._library.create.restype = ctypes.c_void_p
        self._library.destroy.argtypes = [ctypes.c_void_p]
        if hasattr(self._library, "streams"):
            pointer, word, flag = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint
            self._library.streams.argtypes = [pointer, pointer, pointer, pointer, word, flag, flag]
        self._library.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]
        ports = ctypes.c_char_p.in_dll(self._library, "ports").value or b""
        described = [line.split() for line in ports.decode().splitlines()]
        self.clocked = any(name == clock for _, name, _ in described)
        self.inputs = {name: int(bits) for flow, name, bits in described if flow == "IN" and name != clock}
        self.outputs = {name: int(bits) for flow, name, bits in described if flow == "OUT"}
        self.restart(seed)

    def __del__(self) -> None:
        """Free the model."""
        if self._handle is not None:
            self._library.destroy(self._handle)

    def restart(self, seed: int = 1) -> None:
        """Begin again with random registers, as at power-up."""
        if self._handle is not None:
            self._library.destroy(self._handle)
        self._handle = self._library.create(seed)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, _Words]:
        """
        Put rows in, one after another.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            For each input port its codes, unsigned, one a row: shape (rows,), or (rows, limbs) with 64 bits a limb, the
            lowest first, for ports above 64 bits. Of a clocked module a row is a clock cycle.

        Returns
        -------
        dict of str to ndarray of uint64
            For each output port its codes in the same form: of a clocked module, those before the clock edge of the
            row. Its state is kept for the next call.

        Raises
        ------
        ValueError
            A port is missing or unknown, the rows are not as many in each, or a code does not fit its port.
        """
        words = self._rows(inputs, self.inputs)
        rows = len(next(iter(words.values()), [0]))
        out = _empty(self.outputs, rows)
        self._library.run(self._handle, _pointers(words.values()), _pointers(out.values()), rows)
        return out

    def stream(
        self,
        rows: Mapping[str, NDArray[Any]],
        outputs: int,
        *,
        bubbles: float = 0.0,
        stalls: float = 0.0,
        patience_cycles: int = 4096,
        seed: int = 1,
    ) -> Streamed:
        """
        Send rows through a module with streams (`HANDSHAKE`), and collect what comes out.

        Parameters
        ----------
        rows : mapping of str to ndarray
            As of `run`, for each input port but the handshakes and the reset, which is held low.
        outputs : int
            How many are expected.
        bubbles, stalls : float, default 0
            How often ``i_valid`` is low with a row at hand, and ``o_ready`` is low: part of the cycles, in [0, 1), in
            steps of 1/256.
        patience_cycles : int, default 4096
            It ends when nothing has moved for so long, or there is an output too many.
        seed : int, default 1
            Of the bubbles and stalls.

        Raises
        ------
        ValueError
            The module has no such ports, `bubbles` or `stalls` is out of range, or as of `run`.
        """
        if not self.clocked or not {"rst", *HANDSHAKE} <= {*self.inputs, *self.outputs}:
            raise ValueError(f"{self.top} must be clocked, with ports rst, {', '.join(HANDSHAKE)}")
        for what, part in (("bubbles", bubbles), ("stalls", stalls)):
            if not 0 <= part < 1:
                raise ValueError(f"{what} must be in [0, 1), not {part!r}")
        words = self._rows(rows, {name: bits for name, bits in self.inputs.items() if name not in ("rst", *HANDSHAKE)})
        out = _empty({name: bits for name, bits in self.outputs.items() if name not in HANDSHAKE}, outputs)
        count = len(next(iter(words.values()), [0]))
        words["rst"] = np.zeros(count, np.uint64)
        ordered = [words[name] for name in self.inputs if name in words]
        counts = np.array([count, outputs, patience_cycles, 0], np.uint64)
        levels = (int(bubbles * 256), int(stalls * 256))
        self._library.streams(
            self._handle, _pointers(ordered), _pointers(out.values()), counts.ctypes.data, seed, *levels
        )
        accepted, produced, cycles, broken = counts.tolist()
        return Streamed(accepted=accepted, given=produced, cycles=cycles, broken=broken, outputs=out)

    def _rows(self, given: Mapping[str, NDArray[Any]], ports: Mapping[str, int]) -> dict[str, _Words]:
        """Return the codes of ports, checked."""
        if set(given) != set(ports):
            raise ValueError(f"inputs must be the ports of {self.top} ({', '.join(ports)}), not {', '.join(given)}")
        words = {name: _checked(name, bits, given[name]) for name, bits in ports.items()}
        lengths = {name: len(array) for name, array in words.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"inputs must have as many rows for each port, not {lengths}")
        return words

    def reset(self, cycles: int = 2, *, name: str = "rst") -> None:
        """Hold the reset for some clock cycles, every other input at 0."""
        rows = {port: to_limbs(np.zeros(cycles, np.uint64), bits) for port, bits in self.inputs.items()}
        rows[name] = np.ones(cycles, np.uint64)
        self.run(rows)


def to_limbs(codes: NDArray[Any] | Sequence[int], bits: int) -> _Words:
    """Return codes as a port of so many bits takes them: uint64 (rows,), or (rows, limbs) above 64 bits."""
    if bits <= 64:
        return np.asarray(codes).astype(np.uint64) if isinstance(codes, np.ndarray) else np.array(codes, np.uint64)
    array = np.asarray(codes, dtype=object)
    mask = (1 << 64) - 1
    limbs = [(array >> (64 * index)) & mask for index in range(_limbs(bits))]
    return np.stack([limb.astype(np.uint64) for limb in limbs], axis=1)


def from_limbs(words: _Words) -> NDArray[Any]:
    """Return the codes of a port: as they are, or, of several limbs, as Python integers in an object array."""
    if words.ndim == 1:
        return words
    total = np.zeros(len(words), object)
    for index in range(words.shape[1]):
        total += words[:, index].astype(object) << (64 * index)
    return total


def _limbs(bits: int) -> int:
    """Return how many 64-bit words hold so many bits."""
    return -(-bits // 64)


def _checked(name: str, bits: int, given: NDArray[Any]) -> _Words:
    """Return a port's codes, contiguous, or raise."""
    array = np.asarray(given)
    shape = (len(array),) if bits <= 64 else (len(array), _limbs(bits))
    if array.shape != shape or array.dtype.kind not in "ub":
        kind = f"unsigned codes of shape {shape}"
        raise ValueError(f"{name} must be {kind} for {bits} bits, not {array.dtype} of shape {array.shape}")
    words = np.ascontiguousarray(array, np.uint64)
    top = words if bits <= 64 else words[:, -1]
    spare = _limbs(bits) * 64 - bits
    if spare and len(top) and int(top.max()) >> (64 - spare):
        row = int(np.argmax(top))
        raise ValueError(f"{name} must fit {bits} bits, not {int(top[row]):#x} in row {row}")
    return words


def _empty(ports: Mapping[str, int], rows: int) -> dict[str, _Words]:
    """Return room for the codes of ports."""
    shapes = {name: (rows,) if bits <= 64 else (rows, _limbs(bits)) for name, bits in ports.items()}
    return {name: np.empty(shape, np.uint64) for name, shape in shapes.items()}


def _pointers(arrays: Any) -> Any:
    """Return an array of the addresses of arrays."""
    addresses = [array.ctypes.data for array in arrays]
    return (ctypes.c_void_p * max(len(addresses), 1))(*addresses)


def _library(text: str, top: str, clock: str) -> Path:
    """Return the built library, from the cache if it is there."""
    root, compiler = verilator_tools()
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    tools = repr((str(root), (root / "bin" / "verilator_bin").stat().st_mtime_ns, version, _FLAGS, _VERILATE))
    key = hashlib.sha256(repr((text, top, clock, tools, _HARNESS)).encode()).hexdigest()
    folder = cache_directory() / "compiled"
    library = folder / f"{key}.so"
    if library.exists():
        library.touch()
        return library
    folder.mkdir(parents=True, exist_ok=True)
    runtime = _runtime(root, compiler, folder, hashlib.sha256(tools.encode()).hexdigest())
    with tempfile.TemporaryDirectory(prefix="hwsim-") as name:
        built = _build(Path(name), text, top, clock, root, compiler, runtime, f"V{key[:12]}")
        _move(built, library)
    libraries = sorted((path.stat().st_mtime, path) for path in folder.glob("*.so"))
    for _, path in libraries[:-_CACHED]:
        path.unlink(missing_ok=True)
    return library


def _runtime(root: Path, compiler: str, folder: Path, key: str) -> Path:
    """Return Verilator's own runtime as an object file, compiled once."""
    kept = folder / f"runtime-{key}.o"
    if not kept.exists():
        with tempfile.TemporaryDirectory(prefix="hwsim-") as name:
            sources = ("verilated.cpp", "verilated_threads.cpp")
            text = "".join(f'#include "{root}/include/{source}"\n' for source in sources)
            (Path(name) / "runtime.cpp").write_text(text)
            command = [compiler, *_FLAGS, "-O1", *_includes(root), "-c", "runtime.cpp", "-o", "runtime.o"]
            _call(command, Path(name), "Verilator's runtime")
            _move(Path(name) / "runtime.o", kept)
    return kept


def _build(
    folder: Path, text: str, top: str, clock: str, root: Path, compiler: str, runtime: Path, prefix: str
) -> Path:
    """Compile a module in a folder of its own."""
    (folder / "design.v").write_text(text)
    binary = str(root / "bin" / "verilator_bin")
    command = [binary, *_VERILATE, "--prefix", prefix, "--top-module", top, "--Mdir", "model", "design.v"]
    _call(command, folder, top, {"VERILATOR_ROOT": str(root)})
    model = folder / "model"
    header = (model / f"{prefix}.h").read_text()
    slow = sorted(path.name for path in model.glob("*Slow.cpp"))
    fast = sorted(path.name for path in model.glob("*.cpp") if path.name not in slow)
    (model / "fast.cpp").write_text("".join(f'#include "{name}"\n' for name in fast) + harness(prefix, header, clock))
    (model / "slow.cpp").write_text("".join(f'#include "{name}"\n' for name in slow))
    for name, level in (("fast", "-O2"), ("slow", "-O0")):
        _call([compiler, *_FLAGS, level, *_includes(root), "-c", f"{name}.cpp", "-o", f"{name}.o"], model, top)
    link = [compiler, "-shared", "-Wl,-Bsymbolic", "fast.o", "slow.o", str(runtime), "-pthread", "-o", "library.so"]
    _call(link, model, top)
    return model / "library.so"


def _includes(root: Path) -> list[str]:
    """Return where Verilator's headers are."""
    return ["-I.", f"-I{root}/include", f"-I{root}/include/vltstd"]


def _call(command: Sequence[str], folder: Path, what: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a program, raising with the end of what it said if it fails."""
    environment = dict(os.environ) | dict(variables or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        first = [line for line in errors if "rror" in line][:_TAIL_LINES] or errors[-_TAIL_LINES:]
        raise BuildError(f"{what} does not compile: {Path(command[0]).name} says:\n" + "\n".join(first))


def _move(source: Path, target: Path) -> None:
    """Put a file into the cache, whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix="new-")
    os.close(descriptor)
    shutil.copy2(source, name)
    Path(name).replace(target)
