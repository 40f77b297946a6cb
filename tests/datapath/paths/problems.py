# SPDX-License-Identifier: Apache-2.0
"""Problems for the paths of fixed registers and blocks; products by the stages, by rows and by the oracle.

Tests load it by `runpy`, as the folders of tests are no packages.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath import DotProductUnit, Row, dot, dot_exact
from hwsim.datapath.problem import Path, Problem
from hwsim.datapath.staged import matmul_staged
from hwsim.formats import BlockSpec, FloatSpec
from hwsim.formats.codes import code_dtype

Offer = Callable[[DotProductUnit, int], Path | None]

_SHAPES = ((1, 1, 1), (3, 7, 5), (17, 33, 19), (33, 70, 65), (5, 200, 130), (5, 513, 7))


def _codes(source: np.random.Generator, spec: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    codes = source.integers(0, (1 << spec.bits) - 1, shape, dtype=np.uint64, endpoint=True)
    codes = codes.astype(code_dtype(spec.bits))
    return np.where(spec.unpack(codes).special != 0, 0, codes).astype(codes.dtype)


def _scales(
    source: np.random.Generator, spec: Any, count: int, depth: int, spread: tuple[int, int] | None
) -> NDArray[Any] | None:
    if not isinstance(spec, BlockSpec):
        return None
    shape = (count, -(-depth // spec.block_size))
    if spread is None or not (isinstance(spec.scale, FloatSpec) and spec.scale.man_bits == 0):
        return _codes(source, spec.scale, shape)
    return source.integers(*spread, shape).astype(code_dtype(spec.scale.bits))


def problem(
    unit: DotProductUnit,
    shape: tuple[int, int, int],
    seed: int,
    *,
    c: bool = True,
    transposed: bool = True,
    spread: tuple[int, int] | None = None,
) -> Problem:
    source = np.random.default_rng(seed)
    rows, length, columns = shape
    depth = -(-length // unit.lanes) * unit.lanes
    a = np.zeros((rows, depth), code_dtype(unit.element_a.bits))
    b = np.zeros((depth, columns), code_dtype(unit.element_b.bits))
    a[:, :length] = _codes(source, unit.element_a, (rows, length))
    b[:length] = _codes(source, unit.element_b, (length, columns))
    return Problem(
        unit,
        a,
        b.T if transposed else np.ascontiguousarray(b.T),
        _codes(source, unit.accumulator.format, (rows, columns)) if c and unit.accumulator.bits <= 64 else None,
        _scales(source, unit.a, rows, depth, spread),
        _scales(source, unit.b, columns, depth, spread),
    )


def by_oracle(given: Problem) -> NDArray[np.uint64]:
    unit, lanes = given.unit, given.unit.lanes
    steps = given.a.shape[1] // lanes
    out = np.empty((given.a.shape[0], given.b.shape[0]), np.uint64)
    for i, j in np.ndindex(*out.shape):
        rows = []
        for step in range(steps):
            span = slice(step * lanes, step * lanes + lanes)
            scales = []
            for spec, codes, at in ((unit.a, given.a_scales, i), (unit.b, given.b_scales, j)):
                if isinstance(spec, BlockSpec) and codes is not None:
                    scales.append(int(codes[at, step * lanes // spec.block_size]))
            rows.append(
                Row(
                    first=step == 0,
                    last=step == steps - 1,
                    a=tuple(given.a[i, span].tolist()),
                    b=tuple(given.b[j, span].tolist()),
                    scales=tuple(scales),
                    c=0 if given.c is None else int(given.c[i, j]),
                )
            )
        out[i, j] = dot_exact(unit, rows)[0]
    return out


def by_rows(given: Problem) -> NDArray[Any]:
    """Return the product by the kernels of one step, which walk the same sums row after row."""
    unit, a, b = given.unit, given.a, given.b
    steps = a.shape[1] // unit.lanes
    shape = (len(a), len(b), steps)
    scales = []
    for spec, codes, places, count in (
        (unit.a, given.a_scales, np.s_[:, None], unit.scale_counts[0]),
        (unit.b, given.b_scales, np.s_[None], unit.scale_counts[1]),
    ):
        if isinstance(spec, BlockSpec):
            assert codes is not None
            by_step = np.repeat(codes, max(spec.block_size // unit.lanes, 1), axis=1)[:, : steps * count]
            by_step = by_step.reshape(-1, steps, count)[places]
            scales.append(np.broadcast_to(by_step, (*shape, count)).reshape(-1, count))
    step = np.broadcast_to(np.arange(steps), shape).reshape(-1)
    register: Any = unit.accumulator.format
    c = np.zeros(shape[:2], code_dtype(register.bits)) if given.c is None else given.c
    return dot(
        unit,
        np.broadcast_to(a.reshape(len(a), 1, steps, -1), (*shape, unit.lanes)).reshape(-1, unit.lanes),
        np.broadcast_to(b.reshape(1, len(b), steps, -1), (*shape, unit.lanes)).reshape(-1, unit.lanes),
        step == 0,
        step == steps - 1,
        np.repeat(c.reshape(-1), steps),
        scales=np.concatenate(scales, axis=1) if scales else None,
    ).reshape(shape[:2])


def compare(offer: Offer, unit: DotProductUnit, shapes: Any = _SHAPES, **options: Any) -> int:
    compared = 0
    for seed, shape in enumerate(shapes):
        for c, transposed in ((True, True), (False, True), (True, False)):
            given = problem(unit, shape, seed, c=c, transposed=transposed, **options)
            path = offer(unit, given.a.shape[1])
            assert path is not None, (unit, shape)
            found = path.run(given)
            assert found.dtype == code_dtype(unit.output.bits)
            assert np.array_equal(found, matmul_staged(given)), (unit, shape, path.proof)
            compared += found.size
    return compared


_PORTABLE = """
import runpy, sys
from importlib import import_module
from hwsim.datapath import named
from hwsim.datapath.simd_integer import has_popcount, vnni_lanes
assert (vnni_lanes(), has_popcount()) == (0, False)
path, tools, *names = sys.argv[1:]
compare = runpy.run_path(tools)["compare"]
module = import_module(f"hwsim.datapath.paths.{path}")
print(sum(compare(module.offer, named(name), ((3, 7, 5), (17, 64, 19)), spread=(110, 144)) for name in names))
"""


def portable(path: str, names: list[str], cache: FilePath) -> None:
    """Fail unless a path is right on a machine with neither wide vectors nor special instructions."""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(cache)}
    root = str(FilePath(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", _PORTABLE, path, __file__, *names],
        env=os.environ | plain | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.stdout, done.returncode) == (f"{len(names) * 3 * (15 + 323)}\n", 0), done.stderr
