# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import random
import runpy
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FloatAccumulator, TruncatedAlignment
from hwsim.datapath.paths import truncated
from hwsim.datapath.problem import Path as Way
from hwsim.datapath.problem import Problem
from hwsim.formats import BlockSpec, FloatSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

Codes = NDArray[Any]

_by_rows: Any = runpy.run_path(str(Path(__file__).with_name("problems.py")))["by_rows"]

_ZERO, _EVEN = Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN
# a, b, lanes, fraction bits, floor, register, its rounding, mantissa bits kept
_UNITS = {
    "hopper_e4m3": ("float8_e4m3fn", "float8_e4m3fn", 32, 13, -133, "float32", _ZERO, 13),
    "hopper_e5m2": ("float8_e5m2", "float8_e5m2", 32, 13, -133, "float32", _ZERO, 13),
    "ada_mixed": ("float8_e5m2", "float8_e4m3fn", 16, 13, -133, "float32", _ZERO, 13),
    "hopper_e5m2_float16": ("float8_e5m2", "float8_e5m2", 32, 13, -21, "float16", _EVEN, 10),
    "blackwell_e4m3": ("float8_e4m3fn", "float8_e4m3fn", 32, 25, -133, "float32", _ZERO, 23),
    "blackwell_float4": ("float4_e2m1fn", "float6_e3m2fn", 32, 25, -21, "float16", _EVEN, 10),
    "volta_float16": ("float16", "float16", 4, 23, -133, "float32", _ZERO, 23),
    "ampere_float16": ("float16", "float16", 8, 24, -132, "float32", _ZERO, 23),
    "hopper_float16": ("float16", "float16", 16, 25, -133, "float32", _ZERO, 23),
    "hopper_float16_float16": ("float16", "float16", 16, 25, -21, "float16", _EVEN, 10),
    "hopper_bfloat16": ("bfloat16", "bfloat16", 16, 25, -133, "float32", _ZERO, 23),
    "ampere_tfloat32": ("tfloat32", "tfloat32", 4, 24, -132, "float32", _ZERO, 23),
    "hopper_tfloat32": ("tfloat32", "tfloat32", 8, 25, -133, "float32", _ZERO, 23),
    "blackwell_mxfp8": ("mxfp8_e5m2", "mxfp8_e4m3", 32, 25, -133, "float32", _ZERO, 23),
    "blackwell_mxfp4": ("mxfp4", "mxfp4", 32, 25, -133, "float32", _ZERO, 23),
    "nvfp4_by_mxfp4": ("nvfp4", "mxfp4", 8, 25, -133, "float32", _ZERO, 23),
    "mxfp4_by_e4m3": ("mxfp4", "float8_e4m3fn", 16, 13, -133, "bfloat16", _ZERO, 7),
    "bfloat16_by_float16": ("bfloat16", "float16", 5, 20, -133, "float32", _EVEN, 23),
    "bfloat16_register": ("bfloat16", "bfloat16", 16, 25, -133, "bfloat16", _EVEN, 7),
    "int8": ("int8", "int8", 8, 12, -133, "tfloat32", _EVEN, 10),
    "small_register": ("float8_e4m3fn", "float8_e4m3fn", 4, 9, -10, "float8_e5m2", _EVEN, 2),
}
_OPERANDS = (
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float6_e2m3fn", "float4_e2m1fn", "float16", "bfloat16"),
    *("tfloat32", "int8", "uint4", "fixed12_8", "posit8_1", "mxfp8_e4m3", "mxfp6_e3m2", "mxfp4", "nvfp4"),
)
_QUICK = (  # each kind of kernel is compiled for once
    *("hopper_e4m3", "hopper_e5m2_float16", "hopper_float16", "hopper_bfloat16", "ampere_tfloat32", "blackwell_mxfp4"),
    "small_register",
)
_WIDE = ("hopper_bfloat16", "hopper_tfloat32", "bfloat16_register")
_DISTRIBUTIONS = ("all", "sparse", "small", "large", "largest", "normal")


def _scalar(name: str) -> Any:
    return formats.named(name)


def _unit(name: str) -> DotProductUnit:
    a, b, lanes, fraction_bits, floor, register, rounding, man_bits = _UNITS[name]
    spec = _scalar(register)
    return DotProductUnit(
        a=_scalar(a),
        b=_scalar(b),
        lanes=lanes,
        alignment=TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=floor),
        accumulator=FloatAccumulator(
            format=spec, rounding=rounding, overflow=Overflow.INFINITY, result_man_bits=man_bits
        ),
        output=spec,
    )


def _finite(spec: Any) -> Codes:
    """Return the codes of finite numbers in the order of their magnitudes."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    codes = np.flatnonzero(parts.special == 0)
    magnitude = np.ldexp(np.abs(parts.significand[codes]).astype(np.float64), parts.exponent[codes])
    return codes[np.argsort(magnitude, kind="stable")].astype(code_dtype(spec.bits))


def _draw(source: np.random.Generator, spec: Any, shape: tuple[int, int], distribution: str) -> Codes:
    if distribution == "normal":
        return np.asarray(spec.encode(source.standard_normal(shape) * 2)).astype(code_dtype(spec.bits))
    if spec.bits > 19:
        codes = source.integers(0, 1 << spec.bits, shape, np.uint64).astype(code_dtype(spec.bits))
        return np.where(spec.unpack(codes).special == 0, codes, 0).astype(codes.dtype)
    codes = _finite(spec)
    eighth = max(len(codes) // 8, 4)
    parts = {"small": codes[:eighth], "large": codes[-eighth:], "largest": codes[-2:]}
    drawn = source.choice(parts.get(distribution, codes), shape)
    if distribution == "sparse":
        drawn[source.random(shape) < 0.9] = 0
    return drawn


def _problem(
    source: np.random.Generator, unit: DotProductUnit, shape: tuple[int, int, int], distribution: str, with_c: bool
) -> Problem:
    rows, length, columns = shape
    padded = -(-length // unit.lanes) * unit.lanes
    a = _draw(source, unit.element_a, (rows, padded), distribution)
    b = _draw(source, unit.element_b, (columns, padded), distribution)
    a[:, length:] = 0
    b[:, length:] = 0
    c = _draw(source, unit.accumulator.format, (rows, columns), "all") if with_c else None
    scales = []
    for spec, count in ((unit.a, rows), (unit.b, columns)):
        codes = None
        if isinstance(spec, BlockSpec):
            scale: Any = spec.scale
            codes = _draw(source, scale, (count, -(-length // spec.block_size)), "all")
            if not with_c and scale.man_bits == 0:  # else one block drowns all others
                codes = codes % 16 + 120
        scales.append(codes)
    across = source.random() < 0.5  # b as the rows of a transposed matrix, or as it comes
    return Problem(unit, a, np.ascontiguousarray(b.T).T if across else b, c, scales[0], scales[1])


def _offered(unit: DotProductUnit, depth: int = 64) -> Way:
    path = truncated.offer(unit, depth)
    assert path is not None, unit
    return path


def test_truncated_needs_compiler(interpreted: bool) -> None:
    assert (truncated.offer(_unit("hopper_e4m3"), 64) is None) == interpreted


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "name", [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in _UNITS]
)
def test_truncated_equals_rows(name: str) -> None:
    unit = _unit(name)
    path = _offered(unit)
    assert "float32" in path.proof
    source = np.random.default_rng(len(name))
    compared = 0
    shapes = [(1, 1, 1), (3, 70, 5), (17, 33, 33), (35, 64, 70)]
    for shape in shapes:
        for distribution in _DISTRIBUTIONS:
            for with_c in (False, True):
                problem = _problem(source, unit, shape, distribution, with_c)
                found = path.run(problem)
                expected = _by_rows(problem)
                assert found.dtype == expected.dtype
                assert np.array_equal(found, expected), (shape, distribution, with_c)
                compared += expected.size
    assert compared == 12 * sum(m * n for m, _, n in shapes)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _WIDE)
def test_truncated_wide_exponents_by_both_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = _unit(name)
    path = _offered(unit)
    source = np.random.default_rng(5)
    ran: list[str] = []
    for kernel in ("narrow_kernel", "wide_kernel"):
        real = getattr(truncated, kernel)

        def watched(*given: Any, kernel: str = kernel, real: Any = real) -> None:
            ran.append(kernel)
            real(*given)

        monkeypatch.setattr(truncated, kernel, watched)
    for distribution, kernel in (("normal", "narrow_kernel"), ("all", "wide_kernel"), ("small", "wide_kernel")):
        problem = _problem(source, unit, (9, 64, 70), distribution, True)
        assert np.array_equal(path.run(problem), _by_rows(problem))
        assert ran.pop() == kernel
    nothing = problem._replace(a=np.zeros_like(problem.a))
    assert np.array_equal(path.run(nothing), _by_rows(nothing))


_ZEROS_OF = (
    *("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e4m3fn", "float8_e5m2", "int8", "posit8_1"),
    *("float16", "bfloat16", "tfloat32", "mxfp4", "mxfp8_e4m3", "nvfp4"),
)
_ZEROS_FRACTIONS = (0, 3, 9, 13, 16, 20, 23, 24, 25, 29)
_ZEROS_FLOORS = (-10, -133, -150, -200, -215, -230, -256, -300, -1000)


def _with_zero_steps(source: np.random.Generator, unit: DotProductUnit) -> Problem:
    """Return a problem of three steps, of which rows have each set of products all zero, with several registers."""
    lanes = unit.lanes
    length = 3 * lanes
    a = _draw(source, unit.element_a, (8, length), "all")
    b = _draw(source, unit.element_b, (7, length), "all")
    for row in range(8):
        for step in range(3):
            if row >> step & 1 == 0:
                a[row, step * lanes : step * lanes + lanes] = 0
    b[1] = 0
    b[2, lanes:] = 0
    register: Any = unit.accumulator.format
    sign, one = 1 << (register.bits - 1), register.inf_code // 2
    c = np.array([0, sign, 1, sign | 1, one, register.max_magnitude_code, sign | one], code_dtype(register.bits))
    scales = []
    for spec, count in ((unit.a, 8), (unit.b, 7)):
        codes = None
        if isinstance(spec, BlockSpec):
            codes = _draw(source, spec.scale, (count, -(-length // spec.block_size)), "all")
        scales.append(codes)
    return Problem(unit, a, b, np.tile(c, (8, 1)), scales[0], scales[1])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _ZEROS_OF)
def test_truncated_steps_of_zeros(name: str) -> None:
    spec = _scalar(name)
    source = np.random.default_rng(29)
    offered, compared = set(), 0
    for register, rounding in itertools.product(("float32", "float16"), (_ZERO, _EVEN)):
        held = _scalar(register)
        for fraction_bits, floor in itertools.product(_ZEROS_FRACTIONS, _ZEROS_FLOORS):
            unit = DotProductUnit(
                a=spec,
                b=spec,
                lanes=4,
                alignment=TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=floor),
                accumulator=FloatAccumulator(
                    format=held, rounding=rounding, overflow=Overflow.INFINITY, result_man_bits=held.man_bits
                ),
                output=held,
            )
            path = truncated.offer(unit, 12)
            if path is None:
                continue
            offered.add((fraction_bits, floor))
            problem = _with_zero_steps(source, unit)
            started, fresh = path.run(problem), path.run(problem._replace(c=None))
            assert np.array_equal(started, _by_rows(problem)), (register, rounding, fraction_bits, floor)
            assert np.array_equal(fresh, _by_rows(problem._replace(c=None))), (register, rounding, fraction_bits, floor)
            # Of zeros alone the register comes out as it went in, cut where the floor is high, and a zero without sign.
            assert not fresh[0].any()
            assert not fresh[:, 1].any()
            assert not started[0, :2].any()
            compared += started.size + fresh.size
    assert compared >= 4 * 112 * len(_ZEROS_FLOORS)
    if name in ("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e4m3fn", "int8", "nvfp4"):
        assert (25, -230) in offered
    if name in ("float8_e4m3fn", "int8"):
        assert {(16, floor) for floor in (-256, -300, -1000)} <= offered
    if name == "float6_e3m2fn":
        assert {(9, floor) for floor in (-256, -300, -1000)} <= offered


def _any_unit(source: random.Random) -> DotProductUnit:
    spec = _scalar(source.choice(["float32", "float16", "bfloat16", "float8_e5m2", "tfloat32", "float8_e3m4"]))
    a, b = (_scalar(source.choice(_OPERANDS)) for _ in range(2))
    blocks = [each.block_size for each in (a, b) if isinstance(each, BlockSpec)]
    return DotProductUnit(
        a=a,
        b=b,
        lanes=source.choice([1, 2, 4, 8, 16]) if blocks else source.randint(1, 40),
        alignment=TruncatedAlignment(
            fraction_bits=source.randint(0, 29), exp_floor=source.choice([-133, -20, 0, 9, -1000])
        ),
        accumulator=FloatAccumulator(
            format=spec,
            rounding=source.choice([_ZERO, _EVEN]),
            overflow=source.choice([Overflow.INFINITY, Overflow.SATURATE]),
            result_man_bits=source.randint(1, spec.man_bits) if source.random() < 0.4 else spec.man_bits,
        ),
        output=source.choice([spec, spec, _scalar("float16")]),
    )


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_truncated_any_unit_equals_rows() -> None:
    source = random.Random(11)
    drawn = np.random.default_rng(11)
    compared = 0
    for _ in range(160):
        unit = _any_unit(source)
        path = truncated.offer(unit, 41)
        if path is not None:
            problem = _problem(drawn, unit, (7, 41, 9), source.choice(_DISTRIBUTIONS), source.random() < 0.5)
            assert np.array_equal(path.run(problem), _by_rows(problem)), unit
            compared += 63
    assert compared >= 4_000


@pytest.mark.usefixtures("compiled")
def test_truncated_saturates_and_converts() -> None:
    unit = _unit("hopper_e5m2_float16")
    assert isinstance(unit.accumulator, FloatAccumulator)
    register = replace(unit.accumulator, overflow=Overflow.SATURATE, result_man_bits=7)
    unit = replace(unit, accumulator=register, output=_scalar("float8_e4m3fn"))
    path = _offered(unit)
    source = np.random.default_rng(8)
    for distribution in _DISTRIBUTIONS:
        problem = _problem(source, unit, (9, 64, 70), distribution, True)
        found = path.run(problem)
        assert found.dtype == np.uint8
        assert np.array_equal(found, _by_rows(problem))


def _same_sign(unit: DotProductUnit, depth: int) -> Problem:
    """Return a problem whose addends are all as large as they can be."""
    a, b, register = unit.element_a, unit.element_b, unit.accumulator.format
    assert isinstance(a, FloatSpec)
    assert isinstance(b, FloatSpec)
    assert isinstance(register, FloatSpec)
    lead = a.exp_max + a.man_bits + b.exp_max + b.man_bits
    ones = (1 << register.man_bits) - 1
    c = (min(lead + register.bias, (1 << register.exp_bits) - 2) << register.man_bits) | ones
    rows = np.full((2, depth), a.max_magnitude_code, code_dtype(a.bits))
    rows[1] |= 1 << (a.bits - 1)
    columns = np.full((70, depth), b.max_magnitude_code, code_dtype(b.bits))
    start = np.full((2, 70), c, code_dtype(register.bits))
    start[1] |= 1 << (register.bits - 1)
    return Problem(unit, rows, columns, start, None, None)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["hopper_float16", "hopper_bfloat16", "blackwell_e4m3", "hopper_e4m3"])
def test_truncated_edge_of_the_proof(name: str) -> None:
    unit = _unit(name)
    alignment = unit.alignment
    assert isinstance(alignment, TruncatedAlignment)
    lanes = 1
    while truncated.offer(replace(unit, lanes=lanes), lanes) is not None:
        lanes += 1
        if lanes == 1025:
            break
    largest = replace(unit, lanes=lanes - 1)
    problem = _same_sign(largest, lanes - 1)
    path = _offered(largest)
    assert np.array_equal(path.run(problem), _by_rows(problem))
    if lanes == 1025:
        return
    assert lanes > unit.lanes
    beyond = replace(unit, lanes=4 * lanes)
    assert isinstance(path.run, partial)
    cut, wide = path.run.args
    forced = cut._replace(lanes=4 * lanes, chunk=4 * lanes)
    problem = _same_sign(beyond, 4 * lanes)
    assert not np.array_equal(truncated._run(forced, wide, problem), _by_rows(problem))


def test_truncated_not_offered() -> None:
    unit = _unit("hopper_float16")
    register = unit.accumulator
    assert isinstance(register, FloatAccumulator)
    float64 = _scalar("float64")
    others = [
        replace(unit, alignment=ExactAlignment()),
        replace(unit, alignment=TruncatedAlignment(fraction_bits=25, exp_floor=-133, with_accumulator=False)),
        replace(unit, alignment=TruncatedAlignment(fraction_bits=30, exp_floor=-133)),
        replace(_unit("hopper_bfloat16"), alignment=TruncatedAlignment(fraction_bits=25, exp_floor=-1000)),
        replace(unit, accumulator=replace(register, rounding=Rounding.TO_ODD)),
        replace(unit, accumulator=replace(register, format=float64, result_man_bits=52), output=float64),
        replace(unit, a=_scalar("float32")),
        replace(unit, lanes=64),
        replace(_unit("blackwell_e4m3"), lanes=64),
    ]
    assert [truncated.offer(other, 64) for other in others] == [None] * len(others)


@pytest.mark.usefixtures("compiled")
def test_truncated_threads_do_not_matter() -> None:
    unit = _unit("hopper_float16")
    problem = _problem(np.random.default_rng(3), unit, (70, 64, 130), "all", True)
    threads = numba.get_num_threads()
    found = []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            found.append(_offered(unit).run(problem))
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(found[0], found[1])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_truncated_on_any_machine(root: Path) -> None:
    here = Path(__file__)
    run = [sys.executable, "-m", "pytest", "-q", str(here), "-k", "equals_rows and (e4m3 or bfloat16 or mxfp4)"]
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(run, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
