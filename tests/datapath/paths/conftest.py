# SPDX-License-Identifier: Apache-2.0
"""Units with float registers, and problems on which a path is compared with the stages."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FloatAccumulator
from hwsim.datapath.operands import unpack
from hwsim.datapath.paths import staged
from hwsim.datapath.problem import Path, Problem
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

Codes = NDArray[Any]

_INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
_KINDS = ("all", "sparse", "small", "large", "cancelling")
_SHAPES = ((1, 1, 1), (3, 7, 5), (17, 40, 33), (26, 70, 65), (2, 129, 3))


def _codes(spec: ScalarSpec, rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Codes:
    """Return codes of finite numbers: any, mostly zeros, the smallest or largest magnitudes, or pairs that cancel."""
    codes = rng.integers(0, (1 << spec.bits) - 1, shape, np.uint64, endpoint=True)
    if isinstance(spec, FloatSpec) and kind in ("small", "large"):
        low = rng.integers(0, 4 << spec.man_bits, shape, np.uint64) % np.uint64(spec.max_magnitude_code + 1)
        sign = codes & np.uint64(1 << (spec.bits - 1) if spec.signed else 0)
        codes = (low if kind == "small" else np.uint64(spec.max_magnitude_code) - low) | sign
    if isinstance(spec, FloatSpec) and kind == "cancelling" and spec.signed:
        pairs = shape[-1] // 2
        codes[..., 1 : 2 * pairs : 2] = codes[..., 0 : 2 * pairs : 2] ^ np.uint64(1 << (spec.bits - 1))
    if kind == "sparse":
        codes[rng.random(shape) < 0.7] = 0
    narrow = codes.astype(code_dtype(spec.bits))
    return np.where(unpack(spec, narrow).special != 0, 0, narrow).astype(narrow.dtype)


def _problem(unit: DotProductUnit, rng: np.random.Generator, shape: tuple[int, int, int], kind: str) -> Problem:
    rows, length, columns = shape
    depth = -(-length // unit.lanes) * unit.lanes
    a = np.zeros((rows, depth), code_dtype(unit.element_a.bits))
    b = np.zeros((depth, columns), code_dtype(unit.element_b.bits))
    a[:, :length] = _codes(unit.element_a, rng, (rows, length), kind)
    b[:length] = _codes(unit.element_b, rng, (length, columns), "all" if kind == "cancelling" else kind)
    if kind == "cancelling":
        b[1 : length // 2 * 2 : 2] = b[0 : length // 2 * 2 : 2]
    c = _codes(unit.accumulator.format, rng, (rows, columns), kind)
    return Problem(unit, a, b.T, c, None, None)


def _compare(path: Path, unit: DotProductUnit) -> int:
    compared = 0
    rng = np.random.default_rng(1)
    for shape in _SHAPES:
        for kind in _KINDS:
            given = _problem(unit, rng, shape, kind)
            for problem in (given, given._replace(c=None)):
                found = path.run(problem)
                expected = staged.offer(unit, problem.a.shape[1]).run(problem)
                assert found.dtype == expected.dtype
                assert np.array_equal(found, expected), (unit, shape, kind)
                compared += found.size
    return compared


def _unit(
    a: Any,
    b: Any,
    register: Any,
    *,
    lanes: int = 1,
    rounding: Rounding = Rounding.NEAREST_EVEN,
    overflow: Overflow = Overflow.INFINITY,
    result_man_bits: int | None = None,
    output: str | None = None,
) -> DotProductUnit:
    specs: list[Any] = [formats.named(spec) if isinstance(spec, str) else spec for spec in (a, b, register)]
    x, y, kept = specs
    d: Any = kept if output is None else formats.named(output)
    return DotProductUnit(
        a=x,
        b=y,
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=FloatAccumulator(
            format=kept,
            rounding=rounding,
            overflow=overflow,
            result_man_bits=kept.man_bits if result_man_bits is None else result_man_bits,
        ),
        output=d,
    )


@pytest.fixture
def compiled() -> None:
    """Skip where kernels run as Python, which has no vectors: there the paths are not offered."""
    if _INTERPRETED:
        pytest.skip("NUMBA_DISABLE_JIT is set, and vectors are compiled only")


@pytest.fixture(scope="session")
def float_unit() -> Callable[..., DotProductUnit]:
    """Return a function that makes a unit with a float register."""
    return _unit


@pytest.fixture(scope="session")
def compare_path() -> Callable[[Path, DotProductUnit], int]:
    """Return a function that compares a path with the stages, and says how many outputs it compared."""
    return _compare
