# SPDX-License-Identifier: Apache-2.0
"""Run a design in a simulator against the outputs that its model expects."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbenches import simulators
from testbenches.ports import ShellPorts

__all__ = [
    "MODES",
    "Design",
    "ModeReport",
    "Report",
    "VerificationError",
    "run",
    "write_job",
]

MODES = ("full_throughput", "random_stalls", "long_stalls", "reset_in_stream")

_STALLED_ROWS = 4096  # rows of the modes that pause: values do not depend on pauses, so that a part of the rows is enough
_RESET_ROWS = 512
_TAIL_LINES = 30
_CACHED_BUILDS = 256


class VerificationError(RuntimeError):
    """The design differs from its model or breaks the contract of its ports, or it does not build; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """
    The Verilog of a shell and what is said of it.

    Parameters
    ----------
    top : str
        Module of the shell.
    sources : tuple of (str, str)
        File name and Verilog text of each source.
    ports : ShellPorts
        Its streams.
    latency : int
        Stated clock cycles from an accepted row with ``last`` to its output, at least 1: 1 where the output can be
        taken at the next clock edge.
    full_rate : bool, default True
        Whether it accepts a row in every cycle as long as every output is taken at once.

    Raises
    ------
    ValueError
        If `latency` is less than 1 or there are no sources.
    """

    top: str
    sources: tuple[tuple[str, str], ...]
    ports: ShellPorts
    latency: int
    full_rate: bool = True

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise ValueError(f"latency must be at least 1, not {self.latency!r}")
        if not self.sources:
            raise ValueError("sources must hold at least one Verilog text, not ()")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeReport:
    """
    What one mode of the bench did.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    rows, outputs, cycles : int
        Rows sent, outputs compared, clock cycles.
    latencies : tuple of int
        The different latencies seen, in cycles; only with ``full_throughput`` is it a property of the design alone.
    seconds : float
        Wall time.
    """

    mode: str
    rows: int
    outputs: int
    cycles: int
    latencies: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What a run compared; there is none of a run that failed.

    Parameters
    ----------
    top : str
        Module of the shell.
    simulator, simulator_version : str
        What it ran in.
    vectors : int
        Different rows of the stimulus, all sent at full throughput.
    outputs : int
        Outputs expected of them, all compared.
    compared : int
        Outputs compared in all modes together.
    cycles : int
        Clock cycles of all modes together.
    latency_cycles : int
        The latency measured on every output at full throughput.
    build_seconds, seconds : float
        Wall time of the build (0.0 where a cached one served) and of everything.
    modes : tuple of ModeReport
        Each mode.
    """

    top: str
    simulator: str
    simulator_version: str
    vectors: int
    outputs: int
    compared: int
    cycles: int
    latency_cycles: int
    cached_build: bool
    seconds: float
    modes: tuple[ModeReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the report as what `json.dumps` takes."""
        return asdict(self)


def write_job(
    folder: Path, design: Design, stimulus: Mapping[str, Sequence[int]], expected: Sequence[int], *, seed: int
) -> None:
    """
    Write what the bench reads: ``bench.json``, the vectors and the Verilog.

    Parameters
    ----------
    folder : Path
        Where to; it must exist.
    design : Design
        The shell.
    stimulus : mapping of str to sequence of int
        The rows: for each field of the ports one code a row. The first row has ``first`` set.
    expected : sequence of int
        The code of each output, in order: one for each row with ``last`` set.
    seed : int
        Seed of the pauses.

    Raises
    ------
    ValueError
        If the rows do not fit the ports, the first does not begin a sum, or the outputs are not one for each ``last``.
    """
    words = design.ports.pack(stimulus)
    first, last = stimulus["first"], stimulus["last"]
    if not words or not first[0]:
        raise ValueError("stimulus must begin with a row that has first set")
    asked = sum(map(bool, last))
    if asked != len(expected) or asked == 0:
        raise ValueError(f"expected must have one output for each row with last set, {asked} (not 0), not {len(expected)}")
    bits = design.ports.output_bits
    for index, value in enumerate(expected):
        if not 0 <= value < 1 << bits:
            raise ValueError(f"expected must fit {bits} bits, not {value:#x} in output {index}")
    windows = {
        mode: (_tail(first, rows), len(words))
        for mode, rows in zip(MODES, (len(words), _STALLED_ROWS, _STALLED_ROWS, _RESET_ROWS), strict=True)
    }
    config = {
        "top": design.top,
        "sources": [name for name, _ in design.sources],
        "fields": [(port.name, port.bits) for port in design.ports.fields],
        "output_bits": bits,
        "latency": design.latency,
        "full_rate": design.full_rate,
        "seed": seed,
        "rows": "rows.mem",
        "expected": "expected.mem",
        "results": "results.json",
        "modes": windows,
    }
    (folder / "bench.json").write_text(json.dumps(config, indent=1) + "\n")
    _write_words(folder / "rows.mem", words, design.ports.row_bits)
    _write_words(folder / "expected.mem", expected, bits)
    for name, text in design.sources:
        (folder / name).write_text(text)


def _tail(first: Sequence[int], rows: int) -> int:
    """Find where the last `rows` rows begin, at a row that begins a sum."""
    begin = max(len(first) - rows, 0)
    while not first[begin]:
        begin -= 1
    return begin


def _write_words(path: Path, words: Sequence[int], bits: int) -> None:
    """Write one hexadecimal word a line, as $readmemh reads it."""
    digits = (bits + 3) // 4
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words))


def run(
    design: Design,
    stimulus: Mapping[str, Sequence[int]],
    expected: Sequence[int],
    *,
    simulator: str | None = None,
    seed: int = 1,
    workdir: Path | None = None,
    timeout_seconds: float = 3600.0,
) -> Report:
    """
    Simulate a design on given rows and compare every output.

    Parameters
    ----------
    design : Design
        The shell.
    stimulus : mapping of str to sequence of int
        The rows: for each field of the ports one code a row. The first row has ``first`` set.
    expected : sequence of int
        The code of each output, in order: one for each row with ``last`` set.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``; by default `testbenches.simulators.find` chooses.
    seed : int, default 1
        Seed of the pauses.
    workdir : Path, optional
        Folder for the files and logs of the run. By default a temporary one, which is kept where the run fails.
    timeout_seconds : float, default 3600
        Wall time after which a run is stopped: a design whose gates oscillate never ends its first cycle.

    Returns
    -------
    Report
        What was compared.

    Raises
    ------
    VerificationError
        If an output, its order, number or time differs, a port breaks its contract, or the design does not build.
    MissingToolError
        If there is no simulator.
    ValueError
        If the rows or the outputs do not fit the ports.
    """
    started = time.perf_counter()
    found = simulators.find(simulator)
    folder = Path(tempfile.mkdtemp(prefix="hwsim-")) if workdir is None else workdir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder, design, stimulus, expected, seed=seed)
    product = folder / "sim_build" / ("sim.vvp" if found.name == "icarus" else design.top)
    cached = simulators.cache_directory() / "builds" / _key(design, found)
    reused = _restore(cached, product)
    status = _simulate(folder, found, reused=reused, timeout_seconds=timeout_seconds)
    results = folder / "results.json"
    done = json.loads(results.read_text()) if results.exists() else []
    errors = [mode["error"] for mode in done if mode["error"]]
    if product.exists() and not reused:
        _keep(product, cached)
    if errors or status != 0 or [mode["mode"] for mode in done] != list(MODES):
        raise VerificationError(_failure(design, found, folder, errors))
    if workdir is None:
        shutil.rmtree(folder)
    modes = tuple(
        ModeReport(**{key: value for key, value in mode.items() if key not in ("error", "latencies")}, latencies=tuple(mode["latencies"]))
        for mode in done
    )
    return Report(
        top=design.top,
        simulator=found.name,
        simulator_version=found.version,
        vectors=len(stimulus["first"]),
        outputs=len(expected),
        compared=sum(mode.outputs for mode in modes),
        cycles=sum(mode.cycles for mode in modes),
        latency_cycles=modes[0].latencies[0],
        cached_build=reused,
        seconds=time.perf_counter() - started,
        modes=modes,
    )


def _simulate(folder: Path, found: simulators.Simulator, *, reused: bool, timeout_seconds: float) -> int:
    """Run simulate.py in a process group of its own, so that all of it can be stopped; give its exit status."""
    script = Path(__file__).with_name("simulate.py")
    command = [sys.executable, str(script), str(folder), "--simulator", found.name, *(["--reuse"] if reused else [])]
    with (folder / "runner.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=found.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(timeout_seconds)
        except BaseException as stop:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(stop, subprocess.TimeoutExpired):
                log.write(f"stopped after {timeout_seconds} seconds\n")
                return 124
            raise


def _failure(design: Design, found: simulators.Simulator, folder: Path, errors: Sequence[str]) -> str:
    """Say what went wrong, with the end of the log that tells most."""
    what = f"{design.top} in {found.name}"
    if errors:
        return "\n".join([f"{what} fails:", *errors, f"files and logs: {folder}"])
    logs = [folder / name for name in ("simulation.log", "build.log", "runner.log")]
    tails = [
        "\n".join([f"--- end of {log.name}", *log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]])
        for log in logs
        if log.exists() and log.stat().st_size
    ]
    return "\n".join([f"{what} does not build or does not run to its end; files and logs: {folder}", *tails])


def _key(design: Design, found: simulators.Simulator) -> str:
    """Hash all that a build depends on."""
    parts = repr((design.top, design.sources, found.name, found.version, sys.version, Path(sys.prefix)))
    script = Path(__file__).with_name("simulate.py").read_bytes()
    return hashlib.sha256(parts.encode() + script).hexdigest()


def _restore(cached: Path, product: Path) -> bool:
    """Put a build that was kept in its place; say whether there was one."""
    shutil.rmtree(product.parent, ignore_errors=True)
    product.parent.mkdir()
    try:
        shutil.copy2(cached, product)
        cached.touch()
    except FileNotFoundError:
        return False
    return True


def _keep(product: Path, cached: Path) -> None:
    """Keep a build, whole or not at all, and drop the oldest of too many."""
    cached.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cached.parent, prefix="new-")
    os.close(descriptor)
    shutil.copy2(product, name)
    Path(name).replace(cached)
    builds = sorted((path.stat().st_mtime, path) for path in cached.parent.iterdir())
    for _, path in builds[:-_CACHED_BUILDS]:
        path.unlink(missing_ok=True)
