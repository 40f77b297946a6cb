# SPDX-License-Identifier: Apache-2.0
"""How a sweep's throughput grows from one local worker to two, beside what this machine's two processes reach.

    python benchmarks/sweep_scaling.py [--points 1000] [--rounds 3]

Each round, in turn: the sweep with one worker, with two, a plain Python process that does the same work in a loop, and
two such processes at once, each the whole of it. A sweep is timed from its first task to its last row on the disk, the
networks' runs for value figures included; a plain process likewise, without a store. What a process does once in its
life (imports, kernels from the cache, a point of every format) is done before, by all of them. Two processes on two
cores share caches, memory and power with each other, and a sweep's workers also with their client and scheduler: the
plain processes' gain is what the machine itself allows. Medians over the rounds; nothing else should run meanwhile. The
last line says what share of ideal scaling the sweep reaches.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from hwsim.study.cases import digits
from hwsim.study.evaluation import evaluate, value_figures, value_key
from hwsim.study.point import DesignPoint
from hwsim.sweeps.cluster import client_of, local_scheduler
from hwsim.sweeps.progress import Progress
from hwsim.sweeps.runner import Runner

__all__ = [
    "main",
    "plain",
    "points",
    "sweep",
    "warm",
]

_FORMATS = ("int8", "int4", "float8_e4m3fn", "float4_e2m1fn", "mxint8", "mxfp8_e4m3", "mxfp4", "nvfp4")


def points(count: int) -> list[DesignPoint]:
    """Return so many points: formats by arrays of different sizes."""
    sizes = [(rows, columns) for rows in range(1, 33) for columns in range(1, 33)]
    return [
        DesignPoint.of(name, settings={"array.rows": rows, "array.columns": columns})
        for rows, columns in sizes[: -(-count // len(_FORMATS))]
        for name in _FORMATS
    ][:count]


def warm() -> None:
    """Evaluate a point of every format, so that a process has loaded its kernels."""
    for point in points(len(_FORMATS)):
        evaluate(point, digits())


def sweep(count: int, workers: int) -> tuple[float, float]:
    """Return the points a second of a sweep on workers that are warm, and the seconds until they are."""
    begun: list[float] = []

    def note(progress: Progress) -> None:
        if progress.stage == "points" and not begun:
            begun.append(time.monotonic())

    started = time.monotonic()
    with local_scheduler(workers) as address, tempfile.TemporaryDirectory() as folder:
        with client_of(address(), local=True) as client:
            client.wait_for_workers(workers)
            client.run(warm)
        ready = time.monotonic()
        with Runner([digits()], Path(folder) / "store", scheduler=address()) as runner:
            result = runner.run(points(count), note)
            seconds = time.monotonic() - begun[0]
    assert len(result.evaluations) == count
    return count / seconds, ready - started


def plain(count: int, processes: int) -> float:
    """Return the points a second of processes that each do the whole work."""
    command = [sys.executable, __file__, "--loop", "--points", str(count)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    began = time.monotonic()
    for process in started:
        process.communicate("go\n")
    return processes * count / (time.monotonic() - began)


def loop(count: int) -> None:
    """Do the work of a sweep, once told to."""
    case = digits()
    asked = points(count)
    warm()
    print("ready", flush=True)
    sys.stdin.readline()
    values = {}
    for point in asked:
        key = value_key(point, case)
        if key not in values:
            values[key] = value_figures(point, case)
        evaluate(point, case, values=values[key])


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(description="Throughput of a sweep on one and on two local workers.")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", action="store_true")
    given = parser.parse_args()
    if given.loop:
        loop(given.points)
        return
    starts: list[float] = []

    def started(workers: int) -> float:
        rate, seconds = sweep(given.points, workers)
        starts.append(seconds)
        return rate

    runs: dict[str, Callable[[], float]] = {
        "sweep, 1 worker": lambda: started(1),
        "sweep, 2 workers": lambda: started(2),
        "plain, 1 process": lambda: plain(given.points, 1),
        "plain, 2 processes": lambda: plain(given.points, 2),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(given.rounds):
        for name, measure in runs.items():
            rates[name].append(measure())
            print(f"round {number + 1}: {name:<19} {rates[name][-1]:8.1f} points/s", flush=True)
    _conclude(rates, given.points, starts)


def _conclude(rates: dict[str, list[float]], count: int, starts: Sequence[float]) -> None:
    medians = {name: median(found) for name, found in rates.items()}
    for name, value in medians.items():
        print(f"median:  {name:<19} {value:8.1f} points/s ({count / value:.1f} s for {count} points)")
    gain = medians["sweep, 2 workers"] / medians["sweep, 1 worker"]
    ideal = medians["plain, 2 processes"] / medians["plain, 1 process"]
    print(f"workers start, and are warm, in {median(starts):.1f} s (median), which is not in these figures")
    print(
        f"from 1 to 2: sweep {gain:.2f} times, {gain / 2:.0%} of ideal scaling; plain processes {ideal:.2f} times: the "
        f"sweep reaches {gain / ideal:.0%} of what this machine's two processes do"
    )


if __name__ == "__main__":
    main()
