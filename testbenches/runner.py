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
from testbenches.design import MODES, Design, write_job
from testbenches.effort import compiled_is_quicker

__all__ = [
    "ModeReport",
    "Report",
    "VerificationError",
    "run",
]

_TAIL_LINES = 30
_CACHED_BUILDS = 256


class VerificationError(RuntimeError):
    """The design differs from its model, breaks the contract of its ports or does not build; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeReport:
    """What one mode of the bench did.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    rows, outputs, cycles : int
        Rows sent, outputs compared, clock cycles.
    latency_cycles : tuple of (int, int)
        The shortest and the longest latency seen: pauses make it longer.
    seconds : float
        Wall time.
    """

    mode: str
    rows: int
    outputs: int
    cycles: int
    latency_cycles: tuple[int, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run compared; there is none of a run that failed.

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
    cached_build : bool
        Whether a build of an earlier run served.
    seconds : float
        Wall time.
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
    """Simulate a design on given rows and compare every output.

    Parameters
    ----------
    design : Design
        The shell.
    stimulus : mapping of str to sequence of int
        The rows: for each field of the ports one code a row. The first row has ``first`` set.
    expected : sequence of int
        The code of each output, in order: one for each row with ``last`` set.
    simulator : str, optional
        ``"icarus"`` or ``"verilator"``. By default, of those that are installed, the one that should be done first
        (`testbenches.effort`).
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
    found = simulators.find(simulator, compiled=compiled_is_quicker(design, len(stimulus["first"])))
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
    modes = tuple(_mode_report(mode) for mode in done)
    return Report(
        top=design.top,
        simulator=found.name,
        simulator_version=found.version,
        vectors=len(stimulus["first"]),
        outputs=len(expected),
        compared=sum(mode.outputs for mode in modes),
        cycles=sum(mode.cycles for mode in modes),
        latency_cycles=modes[0].latency_cycles[0],
        cached_build=reused,
        seconds=time.perf_counter() - started,
        modes=modes,
    )


def _mode_report(mode: Mapping[str, Any]) -> ModeReport:
    """Read what the bench wrote of one mode."""
    return ModeReport(
        mode=mode["mode"],
        rows=mode["rows"],
        outputs=mode["outputs"],
        cycles=mode["cycles"],
        latency_cycles=(min(mode["latencies"]), max(mode["latencies"])),
        seconds=mode["seconds"],
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
