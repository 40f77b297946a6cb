# SPDX-License-Identifier: Apache-2.0
"""Print how fast arrays are encoded and decoded, a line for each format, beside ml_dtypes where it has the format.

Run as ``python benchmarks/formats.py [ELEMENTS]``: one thread, float32 values of normal distribution, median of 5 runs.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import ml_dtypes
import numpy as np

from hwsim import formats
from hwsim.formats import BlockSpec

__all__ = [
    "main",
]

ENCODED = (
    "float8_e4m3fn",
    "float8_e5m2",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
    "float8_e8m0fnu",
    "bfloat16",
    "float16",
    "int8",
    "int4",
)
QUANTIZED = ("mxfp8_e4m3", "mxfp4", "mxint8", "nvfp4")
RUNS = 5


def rate(run: Callable[[], object], elements: int) -> float:
    """Return the speed of a call in millions of elements a second; the first call, which compiles, is left out."""
    run()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return elements / statistics.median(seconds) / 1e6


def line(name: str, speeds: list[float]) -> None:
    """Print a line of the table."""
    cells = (f"{speed:>{width}.0f}" for speed, width in zip(speeds, (10, 10, 20, 20), strict=False))
    sys.stdout.write(f"{name:<16}{''.join(cells)}\n")


def main(elements: int = 1 << 22) -> None:
    """Print the table."""
    values = np.random.default_rng(0).standard_normal(elements, dtype=np.float32) * 8
    sys.stdout.write(f"{elements} float32 values, M elements/s, median of {RUNS}\n")
    sys.stdout.write(f"{'format':<16}{'encode':>10}{'decode':>10}{'ml_dtypes encode':>20}{'ml_dtypes decode':>20}\n")
    for name in ENCODED:
        spec = formats.named(name)
        assert not isinstance(spec, BlockSpec)
        calls: list[Callable[[], object]] = [partial(spec.encode, values), partial(spec.decode, spec.encode(values))]
        kind = getattr(ml_dtypes, name, None)
        if kind is not None and name != "int4":  # its cast of a float wraps
            calls += [partial(values.astype, kind), partial(values.astype(kind).astype, np.float64)]
        line(name, [rate(call, elements) for call in calls])
    matrix = values[: elements // 64 * 64].reshape(-1, 64)
    for name in QUANTIZED:
        calls = [partial(formats.quantize, matrix, name), formats.quantize(matrix, name).dequantize]
        line(name, [rate(call, matrix.size) for call in calls])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
