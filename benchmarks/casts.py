# SPDX-License-Identifier: Apache-2.0
"""How fast float32 arrays are cast and quantized on one thread, beside every installed library that has the format.

python -m benchmarks.casts                       # all formats, 2**24 values; about ten minutes
python -m benchmarks.casts float8_e4m3fn mxfp4 --elements 4194304 --eager

Speeds are millions of elements a second of processor time, the median of five runs or more in one process, the
libraries turn about; one that takes longer than half a second gets fewer elements. Each is also checked: `wrong` counts
the results that differ from the format's among its values, the middles between them, all float16 and bfloat16 values,
and one float32 below and above each, within the format's range; of block formats, among rows made of such values.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.cast_peers import PEERS, Peer
from hwsim import formats
from hwsim.conformance import points
from hwsim.conformance.blocks import block_rows
from hwsim.formats import BlockSpec

__all__ = [
    "main",
]

# The formats, and how fast each has to be on one core of the machine that the project was begun on.
TARGETS = {
    "float8_e4m3fn": 500,
    "float8_e5m2": 500,
    "float6_e2m3fn": 500,
    "float6_e3m2fn": 500,
    "float4_e2m1fn": 500,
    "posit8_0": 500,
    "posit8_2": 500,
    "log2_4": 500,
    "log2_7": 500,
    "nf4": 200,
    "int8": None,
    "int4": None,
    "bfloat16": None,
    "float16": None,
    "mxfp4": 600,
    "mxfp8_e4m3": None,
    "mxint8": None,
    "nvfp4": 400,
    "nf4_b64": None,
}
COLUMNS = 4096
SECONDS = 0.5
RUNS, MOST_RUNS = 5, 15
SPREAD = 1.2  # more runs until the middle half of them lies within this factor
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Line(NamedTuple):
    """A library's speed on a format, and how many of its results on how many values are wrong."""

    library: str
    rate: float
    elements: int
    wrong: int
    checked: int


def sample(elements: int) -> NDArray[np.float32]:
    """Return rows of normal values of deviation 8, of which 1 % are 40 times that, 1 % 1e-4 of it, 0.1 % zero."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(elements, dtype=np.float32) * np.float32(8)
    kind = rng.random(elements, dtype=np.float32)
    values[kind < 0.01] *= np.float32(40)
    values[(kind >= 0.01) & (kind < 0.02)] *= np.float32(1e-4)
    values[(kind >= 0.02) & (kind < 0.021)] = 0
    return values.reshape(-1, COLUMNS)


def ours(name: str) -> Peer:
    """Return our own encode or quantize, in the form of a peer."""
    spec = formats.named(name)
    if isinstance(spec, BlockSpec):
        return Peer(
            library="hwsim",
            run=lambda rows: formats.quantize(rows, spec),
            values=lambda rows: formats.quantize(rows, spec).dequantize(),
        )
    return Peer(library="hwsim", run=spec.encode, values=lambda values: spec.decode(spec.encode(values)))


def check(name: str, peer: Peer) -> tuple[int, int]:
    """Return how many of a peer's results are wrong, of how many; zeros count alike whatever their sign."""
    spec: Any = formats.named(name)
    if isinstance(spec, BlockSpec):
        values = block_rows(256, 256)
    else:
        values = points.singles(spec)
        values = values[(values >= spec.min_value) & (values <= spec.max_value)]
    with np.errstate(all="ignore"):
        theirs = np.asarray(peer.values(values.copy())).astype(np.float64).reshape(values.shape)
    return int((theirs != ours(name).values(values)).sum()), values.size


def timed(run: Callable[[Any], object], values: NDArray[np.float32]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    run(values)
    return time.process_time() - start


def fitting(peer: Peer, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return as many rows as the peer does in about half a second; its first calls, which compile, are not counted."""
    rows = 1
    while True:
        peer.run(values[:rows])
        seconds = max(timed(peer.run, values[:rows]), 1e-6)
        if rows == len(values) or seconds > SECONDS / 16:
            # A power of two, so that no library is compiled for many shapes.
            fit = rows * SECONDS / seconds
            return values[: min(len(values), max(rows, 1 << int(np.log2(max(fit, 1)))))]
        rows = min(len(values), rows * 8)


def measure(name: str, peers: list[Peer], values: NDArray[np.float32]) -> Iterator[Line]:
    """Time the peers in turn, and yield their lines."""
    arrays = [fitting(peer, values) for peer in peers]
    for peer, array in zip(peers, arrays, strict=True):
        peer.run(array)
    seconds: list[list[float]] = [[] for _ in peers]
    for turn in range(MOST_RUNS):
        for peer, array, runs in zip(peers, arrays, seconds, strict=True):
            if turn < RUNS or _spread(runs) > SPREAD:
                runs.append(timed(peer.run, array))
    for peer, array, runs in zip(peers, arrays, seconds, strict=True):
        rate = array.size / max(statistics.median(runs), 1e-9) / 1e6
        yield Line(peer.library, rate, array.size, *check(name, peer))


def _spread(runs: list[float]) -> float:
    low, _, high = statistics.quantiles(runs, n=4)
    return high / low


def show(name: str, lines: list[Line]) -> None:
    """Print a format's lines, ours first, the peers from fast to slow."""
    mine, *peers = lines
    exact = [line for line in peers if not line.wrong]
    target = TARGETS.get(name)
    best = max((line.rate for line in exact), default=0.0)
    words = [f"{mine.rate / best:.2f} times the best exact peer" if best else "no exact peer is installed"]
    if target is not None:
        words.append(f"target {target}: {'PASS' if mine.rate >= target else 'short'}")
    print(f"{name:<15} {'hwsim':<18}{mine.rate:>9.1f}  {'; '.join(words)}")
    for line in sorted(peers, key=lambda line: -line.rate):
        verdict = f"{line.wrong:,} of {line.checked:,} wrong" if line.wrong else f"exact on {line.checked:,}"
        size = "" if line.elements == mine.elements else f", timed on {line.elements:,}"
        print(f"{'':<15} {line.library:<18}{line.rate:>9.1f}  {verdict}{size}")
    sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", default=list(TARGETS))
    parser.add_argument("--elements", type=int, default=1 << 24, help=f"a multiple of {COLUMNS}")
    parser.add_argument("--eager", action="store_true", help="leave out what torch.compile makes, which takes a minute")
    options = parser.parse_args()
    if any(os.environ.get(variable) != value for variable, value in SINGLE.items()):
        # The libraries read these when they are loaded, which they are by now.
        command = [sys.executable, "-m", "benchmarks.casts", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **SINGLE})
    values = sample(options.elements)
    print(f"{values.size:,} float32 values, one thread, M elements a second of processor time")
    for name in options.formats:
        peers = [ours(name)]
        for library, make in PEERS.items():
            if options.eager and "compiled" in library:
                continue
            try:
                peer = make(name, library)
                if peer is not None:
                    peer.run(values[:1])
                    peers.append(peer)
            except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
                print(f"{name:<15} {library:<18}{'-':>9}  {str(error).splitlines()[0]}")
        show(name, list(measure(name, peers, values)))


if __name__ == "__main__":
    main()
