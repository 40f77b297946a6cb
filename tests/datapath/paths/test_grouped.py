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
from hwsim.datapath import DotProductUnit, ExactAlignment, FloatAccumulator, TruncatedAlignment, hardware
from hwsim.datapath.accumulate import load_exact, step_exact
from hwsim.datapath.paths import choose, grouped
from hwsim.datapath.problem import Problem
from hwsim.formats import BlockSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_problem: Any = _TOOLS["problem"]
_by_rows: Any = _TOOLS["by_rows"]
_portable: Any = _TOOLS["portable"]

_SHAPES = ((1, 1, 1), (3, 7, 5), (17, 33, 19), (33, 70, 65), (5, 200, 130), (5, 513, 7))
_NAMES = (
    "blackwell_tcgen05_mxf4_f32_e2m1_e2m1_ue8m0",
    "blackwell_tcgen05_mxf4nvf4_block16_f32_e2m1_e2m1_ue8m0",
    "blackwell_tcgen05_mxf4nvf4_block16_f32_e2m1_e2m1_ue4m3",
)


def _named(name: str) -> DotProductUnit:
    return next(entry.unit for entry in hardware.entries() if entry.name == name)


def _block(name: str, size: int) -> BlockSpec:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    return replace(spec, block_size=size)


def test_grouped_takes_the_hardware_that_adds_groups(interpreted: bool) -> None:
    entries = [
        entry
        for entry in hardware.entries()
        if isinstance(entry.unit.alignment, TruncatedAlignment) and entry.unit.alignment.group > 1
    ]
    assert {choose(entry.unit, 1024).name for entry in entries} == {"staged" if interpreted else "grouped"}
    assert len(entries) >= 7


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("spread", [None, (110, 144), (0, 14), (50, 75), (238, 255)])
def test_grouped_equals_stages(name: str, spread: tuple[int, int] | None) -> None:
    # With scales at the ends of their range results are subnormal, zero and infinite, and stay infinite.
    unit = _named(name)
    compared = 0
    for seed, shape in enumerate(_SHAPES):
        for c, transposed in ((True, True), (False, True), (True, False)):
            problem = _problem(unit, shape, seed, c=c, transposed=transposed, spread=spread)
            path = grouped.offer(unit, problem.a.shape[1])
            assert path is not None
            found = path.run(problem)
            assert found.dtype == np.uint32
            assert np.array_equal(found, _by_rows(problem)), (shape, c, transposed)
            compared += found.size
    assert compared == 3 * 3_169


def _by_oracle(problem: Problem) -> Any:
    unit, a, b = problem.unit, problem.a, problem.b
    out = np.empty((len(a), len(b)), np.uint32)
    for i, j in np.ndindex(*out.shape):
        register = load_exact(unit, 0 if problem.c is None else int(problem.c[i, j]))
        for at in range(0, a.shape[1], unit.lanes):
            scales: list[int] = []
            for spec, codes, row in ((unit.a, problem.a_scales, i), (unit.b, problem.b_scales, j)):
                if isinstance(spec, BlockSpec) and codes is not None:
                    blocks = range(at // spec.block_size, max((at + unit.lanes) // spec.block_size, 1))
                    scales.extend(codes[row, blocks].tolist())
            span = slice(at, at + unit.lanes)
            register = step_exact(unit, register, a[i, span].tolist(), b[j, span].tolist(), scales)
        out[i, j] = register[0]
    return out


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES)
def test_grouped_equals_oracle(name: str) -> None:
    unit = _named(name)
    compared = 0
    for seed, spread in enumerate((None, (110, 144), (55, 75))):
        problem = _problem(unit, (4, 192, 67), seed, spread=spread)
        found = grouped.offer(unit, 192).run(problem)  # type: ignore[union-attr]
        assert np.array_equal(found, _by_oracle(problem))
        compared += found.size
    assert compared == 3 * 4 * 67


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES)
def test_grouped_zeros_and_signs(name: str) -> None:
    unit = _named(name)
    path = grouped.offer(unit, 192)
    assert path is not None
    given = _problem(unit, (64, 192, 70), 5, spread=(100, 160))
    assert given.a_scales is not None
    assert given.c is not None
    for row in range(64):  # each set of the first six groups all zeros
        for group in range(6):
            if row >> group & 1:
                given.a[row, 16 * group : 16 * group + 16] = 0
    given.a[:, 96:] = 0
    given.b[7] = 0
    if unit.scale_a is not None and unit.scale_a.man_bits:
        given.a_scales[::3] = 0
    sign = 1 << 31
    starts = [0, sign, 1, sign | 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, sign | 0x7F7FFFFF, 0x3F800000]
    given.c[:, : len(starts)] = np.array(starts, np.uint32)
    for problem in (given, given._replace(c=None)):
        found = path.run(problem)
        assert np.array_equal(found, _by_rows(problem))
        assert not (found == sign).any()
    # A step of zeros gives back what was there, cut where the least exponent keeps too little of it; a zero is +0.
    started = path.run(given)[63]
    assert started[: len(starts)].tolist() == [0, 0, *starts[2:]]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", _NAMES)
def test_grouped_infinity_stays(name: str) -> None:
    unit = _named(name)
    path = grouped.offer(unit, 256)
    assert path is not None
    a, b = np.full((2, 256), 7, np.uint8), np.full((66, 256), 7, np.uint8)
    a[1, :64] |= 8
    a[0, 64:] |= 8  # as large a sum of the other sign later on
    c = np.full((2, 66), 0x7F7FFFFF, np.uint32)
    c[1] |= 1 << 31
    largest = 0x7E if unit.scale_a is not None and unit.scale_a.man_bits else 0xFE
    assert isinstance(unit.a, BlockSpec)
    blocks = 256 // unit.a.block_size
    a_scales, b_scales = np.full((2, blocks), largest, np.uint8), np.full((66, blocks), largest, np.uint8)
    if largest == 0xFE:
        problem = Problem(unit, a, b, c, a_scales, b_scales)
        found = path.run(problem)
        assert found[0].tolist() == [0x7F800000] * 66
        assert found[1].tolist() == [0xFF800000] * 66
    else:  # 36 * 448**2 * 64 is below half of the largest number's last place, and nothing of it is kept
        problem = Problem(unit, a[:, :64], b[:, :64], c, a_scales[:, :4], b_scales[:, :4])
        found = path.run(problem)
        assert np.array_equal(found, c)
    assert np.array_equal(found, _by_rows(problem))


def _any_unit(source: random.Random) -> DotProductUnit:
    names = ["mxfp4", "nvfp4", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp8_e4m3", "mxint8"]
    group = source.choice([2, 4, 8, 16])
    blocks = [group * source.choice([1, 2, 4]) for _ in range(2)]
    lanes = max(blocks) * source.choice([1, 2])
    a, b = (_block(source.choice(names), size) for size in blocks)
    register, half = formats.named("float32"), formats.named("float16")
    assert isinstance(register, formats.FloatSpec)
    assert isinstance(half, formats.FloatSpec)
    return DotProductUnit(
        a=a,
        b=b,
        lanes=lanes,
        alignment=TruncatedAlignment(
            fraction_bits=source.randint(0, 40), exp_floor=source.choice([-133, -20, 0, 9, -300]), group=group
        ),
        accumulator=FloatAccumulator(
            format=register,
            rounding=source.choice([Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN]),
            overflow=Overflow.INFINITY,
            result_man_bits=23,
        ),
        output=source.choice([register, register, half]),
    )


@pytest.mark.usefixtures("compiled")
def test_grouped_any_unit_equals_stages() -> None:
    source = random.Random(3)
    compared = 0
    for seed in range(150):
        unit = _any_unit(source)
        path = grouped.offer(unit, unit.lanes)
        if path is None:
            continue
        problem = _problem(unit, (5, 130, 9), seed, spread=source.choice([None, (100, 150), (40, 70)]))
        found = path.run(problem)
        assert found.dtype == code_dtype(unit.output.bits)
        assert np.array_equal(found, _by_rows(problem)), unit
        compared += found.size
    assert compared >= 3_000


@pytest.mark.usefixtures("compiled")
def test_grouped_edge_of_the_proof() -> None:
    unit = _named(_NAMES[2])
    alignment = unit.alignment
    assert isinstance(alignment, TruncatedAlignment)
    offered = [
        bits
        for bits in range(61)
        if grouped.offer(replace(unit, alignment=replace(alignment, fraction_bits=bits)), 64) is not None
    ]
    assert offered == list(range(40))  # 4 sums of 16 * 36 * (448 / 256)**2, and the register, below 2**13
    largest = replace(unit, alignment=replace(alignment, fraction_bits=39))
    path = grouped.offer(largest, 64)
    assert path is not None
    source = np.random.default_rng(2)
    a, b = (source.choice(np.array([6, 7], np.uint8), shape) for shape in ((9, 64), (70, 64)))
    scales = [source.integers(0x71, 0x7F, (count, 4), np.uint8) for count in (9, 70)]
    c = source.integers(0, 0x4C000000, (9, 70)).astype(np.uint32)
    problem = Problem(largest, a, b, c, scales[0], scales[1])
    assert np.array_equal(path.run(problem), _by_rows(problem))


def test_grouped_not_offered() -> None:
    unit = _named(_NAMES[1])
    alignment, register = unit.alignment, unit.accumulator
    assert isinstance(alignment, TruncatedAlignment)
    assert isinstance(register, FloatAccumulator)
    float16, float64 = formats.named("float16"), formats.named("float64")
    assert isinstance(float16, formats.FloatSpec)
    assert isinstance(float64, formats.FloatSpec)
    others = [
        replace(unit, lanes=16, alignment=ExactAlignment()),
        replace(unit, alignment=replace(alignment, group=1)),
        replace(unit, alignment=replace(alignment, with_accumulator=False)),
        replace(unit, alignment=replace(alignment, rounding=Rounding.DOWN)),
        replace(unit, alignment=replace(alignment, fraction_bits=50)),
        replace(unit, alignment=replace(alignment, exp_floor=-2000)),
        replace(unit, alignment=replace(alignment, exp_floor=2000)),
        replace(unit, accumulator=replace(register, rounding=Rounding.TO_ODD)),
        replace(unit, accumulator=replace(register, overflow=Overflow.SATURATE)),
        replace(unit, accumulator=replace(register, result_man_bits=13)),
        replace(unit, accumulator=replace(register, signed_zero=True)),
        replace(unit, accumulator=replace(register, flush=True)),
        replace(unit, accumulator=replace(register, format=float16, result_man_bits=10), output=float16),
        replace(unit, accumulator=replace(register, format=float64, result_man_bits=52), output=float64),
        replace(unit, a=_block("mxfp8_e5m2", 16)),
    ]
    assert [grouped.offer(other, 64) for other in others] == [None] * len(others)
    assert grouped.offer(unit, 0) is None


@pytest.mark.usefixtures("compiled")
def test_grouped_threads_do_not_matter() -> None:
    unit = _named(_NAMES[0])
    problem = _problem(unit, (70, 128, 130), 4, spread=(110, 144))
    threads = numba.get_num_threads()
    path = grouped.offer(unit, 128)
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
def test_grouped_portable(tmp_path: Path) -> None:
    _portable("grouped", list(_NAMES[:2]), tmp_path)
