# SPDX-License-Identifier: Apache-2.0
"""What units.py says of the first product in a fresh process, and of the memory that one takes."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import datapath

__all__ = [
    "cold",
    "memory",
]

UNITS = ("int8", "float8_e4m3fn", "hopper_e4m3_e4m3_float32", "mxfp4")
WARM_RUNS = 3
MIB = 1 << 20


def _operands(name: str, rows: int, depth: int, columns: int) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return a unit, finite codes, and scales of 1, made without the library's kernels."""
    unit, rng = datapath.named(name), np.random.default_rng(0)
    codes = min(1 << unit.element_a.bits, 0x7F)
    a = rng.integers(0, codes, (rows, depth), dtype=np.uint8)
    b = rng.integers(0, codes, (depth, columns), dtype=np.uint8)
    if not unit.scales:
        return unit, a, b, {}
    shapes = {"a_scales": (rows, depth // unit.lanes), "b_scales": (depth // unit.lanes, columns)}
    return unit, a, b, {name: np.full(shape, 127, np.uint8) for name, shape in shapes.items()}


def _child(*arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run this module in a process of its own and return what it prints."""
    command = [sys.executable, "-m", "benchmarks.unit_costs", *arguments]
    result = subprocess.run(
        command, env=os.environ | (environment or {}), stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(result.stdout))


def cold(size: int) -> list[dict[str, Any]]:
    """Return, of each unit, the seconds of the first product with an empty cache on disk and with a warm one."""
    lines = []
    for name in UNITS:
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for _ in range(1 + WARM_RUNS):
                start = time.time()
                ended = _child("cold", name, str(size), environment={"NUMBA_CACHE_DIR": folder})
                runs.append((ended["end"] - start, ended["call"]))
        empty, *warm = runs
        line: dict[str, Any] = {"unit": name, "size": size, "empty_process": empty[0], "empty_call": empty[1]}
        line["warm_process"], line["warm_call"] = (statistics.median(run[at] for run in warm) for at in (0, 1))
        lines.append(line)
    return lines


def _cold_child(name: str, size: int) -> dict[str, float]:
    unit, a, b, scales = _operands(name, size, size, size)
    start = time.perf_counter()
    datapath.matmul(unit, a, b, **scales)
    return {"call": time.perf_counter() - start, "end": time.time()}


def memory(size: int) -> list[dict[str, Any]]:
    """Return the memory of square, of deep and of wide products."""
    shapes = {"int8": [(4 * size, 4 * size, 4 * size), (8 * size, 64, 8 * size)]}
    lines = []
    for name in UNITS:
        for rows, depth, columns in [*shapes.get(name, [(size, size, size)]), (64, 1024 * size, 64)]:
            lines.append(_child("memory", name, str(rows), str(depth), str(columns)))
    return lines


def _memory_child(name: str, rows: int, depth: int, columns: int) -> dict[str, Any]:
    """Return how far the process's peak rises during a product, less the result; after one that loads the kernels."""
    few = 8
    unit, a, b, scales = _operands(name, rows, depth, columns)
    part = {key: codes[:few] if key == "a_scales" else codes[:, :few] for key, codes in scales.items()}
    datapath.matmul(unit, a[:few], b[:, :few], **part)
    before = _resident()
    start = time.perf_counter()
    result = datapath.matmul(unit, a, b, **scales)
    seconds = time.perf_counter() - start
    peak = _peak()
    return {
        "unit": name,
        "shape": [rows, depth, columns],
        "operands_mib": (a.nbytes + b.nbytes + sum(codes.nbytes for codes in scales.values())) / MIB,
        "result_mib": result.nbytes / MIB,
        "beyond_mib": max(peak - before - result.nbytes, 0) / MIB,
        "seconds": seconds,
    }


def _resident() -> int:
    """Return the memory that this process holds now; where the system does not say, its peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return _peak()


def _peak() -> int:
    """Return the most memory that this process has held; Linux's getrusage also counts the process that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run as a child: print one JSON object."""
    kind, name, *sizes = sys.argv[1:]
    run = _cold_child if kind == "cold" else _memory_child
    print(json.dumps(run(name, *map(int, sizes))))


if __name__ == "__main__":
    main()
