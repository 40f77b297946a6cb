# SPDX-License-Identifier: Apache-2.0
import random
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FloatAccumulator,
    PairwiseAlignment,
    hardware,
)
from hwsim.datapath.accumulate import load_exact, step_exact
from hwsim.datapath.paths import cascaded, choose
from hwsim.datapath.problem import Problem
from hwsim.formats import FloatSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_problem: Any = _TOOLS["problem"]
_by_rows: Any = _TOOLS["by_rows"]
_portable: Any = _TOOLS["portable"]

_SHAPES = ((1, 1, 1), (3, 7, 5), (17, 33, 19), (33, 70, 65), (5, 200, 130))
_KINDS = ("all", "sparse", "small", "large", "cancelling", "normal")
_NAMES = {
    f"cdna3_v_mfma_f32_{name}": name
    for name in (
        *("32x32x8_f16", "32x32x4_2b_f16", "32x32x8_bf16", "32x32x4_2b_bf16", "4x4x4_16b_bf16", "16x16x8_xf32"),
        *("16x16x32_fp8_fp8", "16x16x32_fp8_bf8", "32x32x16_bf8_fp8", "32x32x16_bf8_bf8"),
    )
}


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _named(name: str) -> DotProductUnit:
    """Return a catalog's unit for operands that have entered."""
    return next(entry.unit.inner for entry in hardware.entries() if entry.name == name)


def _of_kind(source: np.random.Generator, spec: Any, codes: Any, kind: str) -> Any:
    """Return codes of a distribution in place of any."""
    one = codes.dtype.type(1)
    sign = codes & (one << (spec.bits - 1))
    span = 6 << spec.man_bits
    if kind == "sparse":
        return np.where(source.random(codes.shape) < 0.7, 0, codes).astype(codes.dtype)
    if kind in ("small", "large"):
        low = source.integers(0, min(span, spec.max_magnitude_code), codes.shape).astype(codes.dtype)
        return (low if kind == "small" else codes.dtype.type(spec.max_magnitude_code) - low) | sign
    if kind == "normal":
        return np.asarray(spec.encode(source.standard_normal(codes.shape))).astype(codes.dtype)
    return codes


def _given(unit: DotProductUnit, shape: tuple[int, int, int], kind: str, seed: int, c: bool) -> Problem:
    problem: Problem = _problem(unit, shape, seed, c=c, transposed=seed % 2 == 0)
    source = np.random.default_rng(seed)
    a = _of_kind(source, unit.element_a, problem.a, kind)
    b = _of_kind(source, unit.element_b, problem.b, kind)
    if kind == "cancelling" and a.shape[1] >= 4:  # lane 0 meets lane 2, of the same part, with its sign changed
        a[:, 2::4] = a[:, 0::4][:, : a[:, 2::4].shape[1]]
        b = b.copy()
        b[:, 2::4] = b[:, 0::4][:, : b[:, 2::4].shape[1]] ^ b.dtype.type(1 << (unit.element_b.bits - 1))
    a, b = (
        np.where(spec.unpack(x).special != 0, 0, x).astype(x.dtype)
        for spec, x in ((unit.element_a, a), (unit.element_b, b))
    )
    starts = None if problem.c is None else _of_kind(source, unit.accumulator.format, problem.c, kind)
    if starts is not None:
        starts = np.where(unit.accumulator.format.unpack(starts).special != 0, 0, starts).astype(starts.dtype)
    return problem._replace(a=a, b=b, c=starts)


def test_cascaded_takes_the_hardware_that_cascades(interpreted: bool) -> None:
    units = [entry.unit for entry in hardware.entries() if isinstance(entry.unit.alignment, CascadedAlignment)]
    assert {choose(unit, 1024).name for unit in units} == {"staged" if interpreted else "cascaded"}
    assert len(units) == 20


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES, ids=_NAMES.values())
def test_cascaded_equals_rows(name: str) -> None:
    unit = _named(name)
    compared = 0
    for shape in _SHAPES:
        for seed, kind in enumerate(_KINDS):
            for c in (True, False):
                problem = _given(unit, shape, kind, seed, c)
                path = cascaded.offer(unit, problem.a.shape[1])
                assert path is not None
                found = path.run(problem)
                assert found.dtype == np.uint32
                assert np.array_equal(found, _by_rows(problem)), (shape, kind, c)
                compared += found.size
    assert compared == 12 * sum(rows * columns for rows, _, columns in _SHAPES)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES, ids=_NAMES.values())
def test_cascaded_equals_oracle(name: str) -> None:
    unit = _named(name)
    compared = 0
    for seed, kind in enumerate(("all", "normal", "small")):
        problem = _given(unit, (3, 48, 35), kind, seed, True)
        path = cascaded.offer(unit, 48)
        assert path is not None
        found = path.run(problem)
        assert problem.c is not None
        for i, j in np.ndindex(3, 35):
            register = load_exact(unit, int(problem.c[i, j]))
            for at in range(0, problem.a.shape[1], unit.lanes):
                span = slice(at, at + unit.lanes)
                register = step_exact(unit, register, problem.a[i, span].tolist(), problem.b[j, span].tolist())
            assert int(found[i, j]) == register[0], (kind, i, j)
            compared += 1
    assert compared == 3 * 3 * 35


@pytest.mark.usefixtures("compiled")
def test_cascaded_products_beyond_the_register() -> None:
    unit = _named("cdna3_v_mfma_f32_32x32x4_2b_bf16")
    path = cascaded.offer(unit, 8)
    assert path is not None
    one, large, minus = 0x3F80, 0x5F80, 0xDF80  # 1, 2**64, -2**64
    below = 0x5F7F  # 2**64 less one place
    rows = [
        [large, 0, 0, 0, 0, 0, 0, 0],
        [minus, 0, 0, 0, 0, 0, 0, 0],
        [large, minus, 0, 0, 0, 0, 0, 0],
        [large, 0, 0, 0, minus, 0, 0, 0],
        [minus, 0, 0, 0, one, one, one, one],
        [below, 0, 0, 0, 0, 0, 0, 0],
        [below, below, below, below, minus, 0, 0, 0],
        [0, one, 0, 0, 0, 0, 0, 0],
    ]
    a = np.array(rows, np.uint16)
    b = np.full((67, 8), large, np.uint16)
    problem = Problem(unit, a, b, None, None, None)
    plus, negative, nan = 0x7F800000, 0xFF800000, 0x7FC00000
    found = path.run(problem)
    assert found[:, 66].tolist() == [plus, negative, nan, nan, negative, 0x7F7F0000, nan, 0x5F800000]
    assert np.array_equal(found, _by_rows(problem))
    b[::2] = one  # columns of the same tile that stay finite
    assert np.array_equal(path.run(problem), _by_rows(problem))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["cdna3_v_mfma_f32_32x32x8_f16", "cdna3_v_mfma_f32_16x16x32_fp8_fp8"])
def test_cascaded_zeros(name: str) -> None:
    unit = _named(name)
    path = cascaded.offer(unit, unit.lanes)
    assert path is not None
    sign = 1 << 31
    starts = [0, sign, 1, sign | 1, 0x00800000, sign | 0x7F7FFFFF, 0x3F800000]
    a, b = (
        np.zeros((1, unit.lanes), code_dtype(unit.element_a.bits)),
        np.zeros((7, unit.lanes), code_dtype(unit.element_b.bits)),
    )
    problem = Problem(unit, a, b, np.array([starts], np.uint32), None, None)
    assert path.run(problem)[0].tolist() == [0, 0, *starts[2:]]


def _any_unit(source: random.Random) -> DotProductUnit:
    names = ["float16", "bfloat16", "tfloat32", "float8_e4m3fn", "float8_e5m2", "float8_e5m2fnuz", "float6_e3m2fn"]
    a, b = (_float(source.choice(names)) for _ in range(2))
    register = _float("float32")
    return DotProductUnit(
        a=a,
        b=b,
        lanes=source.choice([1, 2, 3, 4, 7, 8, 16]),
        alignment=CascadedAlignment(
            fraction_bits=source.randint(0, 30),
            sum_fraction_bits=source.randint(0, 40),
            register_fraction_bits=source.randint(0, 40),
            parts=source.choice([1, 2]),
            register_reach=source.choice([0, 0, 5, 25, 64]),
        ),
        accumulator=FloatAccumulator(
            format=register, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
        ),
        output=source.choice([register, register, _float("float16")]),
    )


@pytest.mark.usefixtures("compiled")
def test_cascaded_any_unit_equals_rows() -> None:
    source = random.Random(5)
    compared = 0
    for seed in range(150):
        unit = _any_unit(source)
        path = cascaded.offer(unit, unit.lanes)
        if path is None:
            continue
        problem = _given(unit, (5, 30, 9), source.choice(_KINDS), seed, source.random() < 0.7)
        found = path.run(problem)
        assert found.dtype == code_dtype(unit.output.bits)
        assert np.array_equal(found, _by_rows(problem)), unit
        compared += found.size
    assert compared >= 4_000


@pytest.mark.usefixtures("compiled")
def test_cascaded_edge_of_the_proof() -> None:
    unit = _named("cdna3_v_mfma_f32_32x32x8_f16")
    alignment = unit.alignment
    assert isinstance(alignment, CascadedAlignment)
    fine = replace(alignment, sum_fraction_bits=40, register_fraction_bits=40)
    offered = [lanes for lanes in range(1, 1025) if cascaded.offer(replace(unit, lanes=lanes, alignment=fine), lanes)]
    # 1026 products below 2**2 and the register, at 40 bits: below 2**53, so that no unit is beyond the proof
    assert offered == list(range(1, 1025))
    largest = replace(unit, lanes=len(offered), alignment=fine)
    path = cascaded.offer(largest, largest.lanes)
    assert path is not None
    a = np.full((2, largest.lanes), 0x7BFF, np.uint16)
    a[1] |= 0x8000
    b = np.random.default_rng(1).integers(0x7BF0, 0x7BFF, (35, largest.lanes)).astype(np.uint16)
    c = np.full((2, 35), 0x4F7FFFFF, np.uint32)
    problem = Problem(largest, a, b, c, None, None)
    assert np.array_equal(path.run(problem), _by_rows(problem))


def test_cascaded_not_offered() -> None:
    unit = _named("cdna3_v_mfma_f32_32x32x8_f16")
    register = unit.accumulator
    assert isinstance(register, FloatAccumulator)
    float16 = _float("float16")
    others = [
        replace(unit, alignment=ExactAlignment()),
        replace(unit, alignment=PairwiseAlignment()),
        replace(unit, a=_float("float32")),
        replace(unit, accumulator=replace(register, rounding=Rounding.TOWARD_ZERO)),
        replace(unit, accumulator=replace(register, overflow=Overflow.SATURATE)),
        replace(unit, accumulator=replace(register, result_man_bits=13)),
        replace(unit, accumulator=replace(register, signed_zero=True)),
        replace(unit, accumulator=replace(register, flush=True)),
        replace(unit, accumulator=replace(register, format=float16, result_man_bits=10), output=float16),
        replace(unit, ignored_bits=3),
    ]
    assert [cascaded.offer(other, 8) for other in others] == [None] * len(others)
    assert cascaded.offer(unit, 0) is None


@pytest.mark.usefixtures("compiled")
def test_cascaded_threads_do_not_matter() -> None:
    unit = _named("cdna3_v_mfma_f32_16x16x32_fp8_fp8")
    problem = _given(unit, (70, 64, 130), "all", 4, True)
    threads = numba.get_num_threads()
    path = cascaded.offer(unit, 64)
    assert path is not None
    found = []
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            found.append(path.run(problem))
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(found[0], found[1])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_cascaded_portable(tmp_path: Path) -> None:
    _portable("cascaded", ["cdna3_v_mfma_f32_32x32x8_bf16", "cdna3_v_mfma_f32_16x16x32_fp8_fp8"], tmp_path)
