# SPDX-License-Identifier: Apache-2.0
"""Kill a sweep's worker, scheduler and client with ``kill -9`` in the middle, resume, and compare the stores.

    python benchmarks/sweep_kills.py [--points 1000] [--only local,address]

Every case starts from an empty store. A third into the sweep one process gets SIGKILL; the sweep goes on, or is started
again where its client ended. Printed a case: points stored when the killing was over and at the end, how many of those
stored were evaluated again (by the keys that the clients were told of), networks run again, whether the Parquet files
at the end are the very bytes of an undisturbed sweep's, and processes of a client that still run 5 s after its end.
`local` uses the workers that `hwsim.sweeps.runner` starts, `address` a ``dask scheduler`` and a ``dask worker``, which
are processes of their own on loopback.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from hwsim.study.cases import digits
from hwsim.study.point import DesignPoint
from hwsim.sweeps.parts import KINDS, Kind
from hwsim.sweeps.progress import Progress
from hwsim.sweeps.runner import run
from hwsim.sweeps.store import Store

__all__ = [
    "Report",
    "killed",
    "main",
    "points",
]

_FORMATS = ("int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4")
_VICTIMS = ("worker", "scheduler", "client")
_POLL_SECONDS = 0.02
_LEFT_SECONDS = 5.0
_DEADLINE_SECONDS = 300.0


@dataclass(frozen=True)
class Report:
    """What a case came to."""

    name: str
    before: int
    after: int
    redone: int
    networks_redone: int
    is_equal: bool
    left: int
    told: str

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, done twice, or left running."""
        return self.is_equal and not (self.redone or self.networks_redone or self.left)

    def __str__(self) -> str:
        return (
            f"{self.name:<19} {self.before:>6} {self.after:>6} {self.redone:>6} {self.networks_redone:>8} "
            f"{'equal' if self.is_equal else 'DIFFER':>6} {self.left:>4}  {self.told}"
        )


def points(count: int) -> list[DesignPoint]:
    """Return so many points: formats by arrays of different sizes."""
    sizes = [(rows, columns) for rows in range(1, 33) for columns in range(1, 33)]
    made = [
        DesignPoint.of(name, settings={"array.rows": rows, "array.columns": columns})
        for rows, columns in sizes[: -(-count // len(_FORMATS))]
        for name in _FORMATS
    ]
    return made[:count]


def client(store: Path, count: int, scheduler: str | None, notes: Path) -> None:
    """Run the sweep; note each key that arrives, and how many networks were run."""
    with notes.open("w", encoding="utf-8") as file:

        def note(progress: Progress) -> None:
            file.writelines(f"{each.key}\n" for each in progress.fresh)
            file.write(f"networks {progress.values_done}\n")
            file.flush()

        workers = 2 if scheduler is None else None
        try:
            run(points(count), [digits()], store, scheduler=scheduler, workers=workers, layers=False, progress=note)
        except RuntimeError as error:
            sys.exit(str(error))


class Sweep:
    """A client process and its store."""

    def __init__(self, store: Path, count: int, scheduler: str | None = None, run: int = 1) -> None:
        self.store = store
        self.notes = store.with_suffix(f".{run}.txt")
        command = [sys.executable, __file__, "--client", str(store), "--notes", str(self.notes)]
        command += ["--points", str(count), *(["--address", scheduler] if scheduler else [])]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def stored(self, kind: Kind = "points") -> set[str]:
        """Return the keys in the store."""
        return Store(self.store).keys(kind) if self.store.is_dir() else set()

    def wait_for(self, count: int) -> None:
        """Wait until so many points are stored."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while len(self.stored()) < count:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the sweep ended too early: {self.end()}")
            time.sleep(_POLL_SECONDS)

    def end(self) -> str:
        """Wait for the client's end, and return what it said."""
        return self.process.communicate(timeout=_DEADLINE_SECONDS)[1].strip()

    def told(self) -> tuple[Counter[str], int]:
        """Return how often each key arrived at this client, and how many networks were run for it."""
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        networks = [int(line.split()[1]) for line in lines if line.startswith("networks")]
        return Counter(line for line in lines if not line.startswith("networks")), max(networks, default=0)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, psutil.Process, psutil.Process]]:
    """Start a scheduler and the nanny of two workers, as one would by hand; give its address and the processes."""
    found = folder / f"scheduler-{time.monotonic_ns()}.json"
    dask = [sys.executable, "-m", "dask"]
    scheduler = psutil.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found)],
        stderr=subprocess.DEVNULL,
    )
    while not found.is_file():
        time.sleep(_POLL_SECONDS)
    nanny = psutil.Popen(
        [*dask, "worker", "--scheduler-file", str(found), "--nworkers", "2", "--nthreads", "1", "--no-dashboard",
         "--local-directory", str(folder)],
        env=os.environ | {"NUMBA_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield json.loads(found.read_text(encoding="utf-8"))["address"], scheduler, nanny
    finally:
        for process in (*nanny.children(recursive=True), nanny, scheduler):
            if process.is_running():
                process.kill()
        for process in (nanny, scheduler):
            process.wait()


def with_words(process: psutil.Process, words: str) -> psutil.Process:
    """Return a process below another by what is in its command line."""
    return next(each for each in process.children(recursive=True) if words in " ".join(each.cmdline()))


def contents(store: Path) -> dict[str, list[bytes]]:
    """Return the bytes of a store's parts."""
    return {kind: [path.read_bytes() for path in Store(store).parts(kind)] for kind in KINDS}


def still_running(processes: Sequence[psutil.Process]) -> int:
    """Return how many processes are there after a while."""
    _, alive = psutil.wait_procs(processes, timeout=_LEFT_SECONDS)
    return len(alive)


def killed(folder: Path, victim: str, count: int, reference: Path, *, by_address: bool) -> Report:
    """Run a sweep, kill a process of it a third into it, let it end, and start it again if it did not get there."""
    name = f"{'address' if by_address else 'local'}, {victim}"
    store = folder / name.replace(", ", "-")
    with ExitStack() as stack:
        address = scheduler = nanny = None
        if by_address:
            address, scheduler, nanny = stack.enter_context(cluster(folder))
        first = Sweep(store, count, address)
        first.wait_for(count // 3)
        process = psutil.Process(first.process.pid)
        family = process.children(recursive=True)
        if victim == "worker":
            with_words(nanny or process, "spawn_main").kill()
        elif victim == "scheduler":
            (scheduler or with_words(process, "hwsim.sweeps.cluster")).kill()
        else:
            process.kill()
        before = set() if victim != "worker" else first.stored()
        told = first.end()
        before = before or first.stored()
        networks_before = len(first.stored("values"))
        left = still_running(family)
        clients = [first]
        if first.process.returncode:
            if victim == "scheduler" and by_address:
                address, *_ = stack.enter_context(cluster(folder))
            clients.append(Sweep(store, count, address, run=2))
            told = " ".join(filter(None, [told, clients[1].end()]))
        arrived, networks = clients[-1].told()
        stored = first.stored("values")
        again = sum(times - 1 for times in arrived.values())
        return Report(
            name=name, before=len(before), after=len(first.stored()),
            redone=again + (len(before & arrived.keys()) if len(clients) > 1 else 0),
            networks_redone=networks + (networks_before if len(clients) > 1 else 0) - len(stored),
            is_equal=contents(store) == contents(reference), left=left, told=told,
        )  # fmt: skip


def main() -> None:
    """Run every case and print a line for each; exit status 1 where one fails."""
    parser = argparse.ArgumentParser(description="Kill a sweep's processes, resume, and compare the stores.")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--only", default="local,address")
    parser.add_argument("--client", type=Path)
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--address")
    given = parser.parse_args()
    if given.client:
        client(given.client, given.points, given.address, given.notes)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        undisturbed = Sweep(folder / "undisturbed", given.points)
        if undisturbed.end() or undisturbed.process.returncode:
            raise SystemExit("the undisturbed sweep failed")
        print(f"{given.points} points, undisturbed: {len(undisturbed.stored())} stored")
        print(f"{'killed':<19} {'before':>6} {'after':>6} {'redone':>6} {'networks':>8} {'bytes':>6} {'left':>4}  told")
        failed = 0
        for kind in given.only.split(","):
            for victim in _VICTIMS:
                report = killed(folder, victim, given.points, undisturbed.store, by_address=kind == "address")
                print(report, flush=True)
                failed += not report.passed
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
