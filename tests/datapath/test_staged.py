# SPDX-License-Identifier: Apache-2.0
import math
import random
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, FloatAccumulator, Row, dot_exact
from hwsim.datapath.plan import plan
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.staged import matmul_registers, matmul_staged, output
from hwsim.datapath.words import word_exact
from hwsim.formats import BlockSpec
from hwsim.formats.codes import code_dtype

_SEED, _ROW, _COLUMN = 99, 5, 1000


def _problem(source: random.Random, unit: DotProductUnit, random_codes: Any) -> Problem:
    """Return a product of 3 x 4, two blocks or three steps deep, specials included."""
    sizes = [spec.block_size for spec in (unit.a, unit.b) if isinstance(spec, BlockSpec)]
    depth = math.lcm(unit.width, *sizes) if sizes else 3 * unit.width
    sides = []
    finite = source.random() < 0.5
    for spec, count in ((unit.element_a, 3), (unit.element_b, 4)):
        codes = random_codes(source, spec, count * depth, finite).reshape(count, depth)
        sides.append(codes.astype(code_dtype(spec.bits)))
    if unit.sparsity is not None:
        kept = np.tile(np.arange(unit.sparsity.of) < unit.sparsity.kept, depth)[:depth]
        sides[0][:, ~kept] = int(unit.element_a.encode(0.0))
    scales: list[Codes | None] = []
    for whole, scale, count in ((unit.a, unit.scale_a, 3), (unit.b, unit.scale_b, 4)):
        if scale is None or not isinstance(whole, BlockSpec):
            scales.append(None)
            continue
        blocks = depth // whole.block_size
        codes = random_codes(source, scale, count * blocks, source.random() < 0.9).reshape(count, blocks)
        codes = codes if scale.subnormals else codes % 15 + 120
        scales.append(codes.astype(code_dtype(scale.bits)))
    register = unit.accumulator.format
    c = random_codes(source, register, 12, finite).reshape(3, 4).astype(code_dtype(register.bits))
    return Problem(unit, sides[0], sides[1], c, scales[0], scales[1])


def _step_scales(unit: DotProductUnit, problem: Problem, i: int, j: int, at: int) -> tuple[int, ...]:
    found: list[int] = []
    for spec, codes, row in ((unit.a, problem.a_scales, i), (unit.b, problem.b_scales, j)):
        if isinstance(spec, BlockSpec):
            assert codes is not None
            size = spec.block_size
            steps = range(at * unit.width, (at + 1) * unit.width, min(size, unit.width))
            found += [int(codes[row, element // size]) for element in steps]
    return tuple(found)


def _exact(unit: DotProductUnit, problem: Problem) -> list[list[int]]:
    steps = problem.a.shape[1] // unit.width
    bits = unit.accumulator.random_bits if isinstance(unit.accumulator, FloatAccumulator) else 0
    assert problem.c is not None
    result = []
    for i, j in np.ndindex(3, 4):
        rows = [
            Row(
                first=at == 0,
                last=at == steps - 1,
                a=tuple(problem.a[i, at * unit.width : (at + 1) * unit.width].tolist()),
                b=tuple(problem.b[j, at * unit.width : (at + 1) * unit.width].tolist()),
                scales=_step_scales(unit, problem, i, j, at),
                c=int(problem.c[i, j]),
                word=word_exact(_SEED, _ROW + i, _COLUMN + j, at, bits) if bits else 0,
            )
            for at in range(steps)
        ]
        result += dot_exact(unit, rows)
    return np.array(result, object).reshape(3, 4).tolist()


def _compare(source: random.Random, units: int, random_unit: Any, random_codes: Any) -> tuple[int, int]:
    """Return how many elements were compared, and the kinds of units as bits."""
    compared = kinds = 0
    for _ in range(units):
        unit = random_unit(source)
        if unit.promotion is not None or unit.ignored_bits or unit.flush_operands:
            continue  # around the kernels
        try:
            kinds |= 1 << plan(unit).kind
        except ValueError:  # too wide for the kernels, and says so
            continue
        problem = _problem(source, unit, random_codes)
        place: dict[str, Any] = {"seed": _SEED, "row": _ROW, "column": _COLUMN}
        assert matmul_staged(problem, **place).tolist() == _exact(unit, problem), unit
        compared += 12
    return compared, kinds


def test_staged_matrix_equals_oracle(random_unit: Any, random_codes: Any, interpreted: bool) -> None:
    compared, kinds = _compare(random.Random(3), 40 if interpreted else 500, random_unit, random_codes)
    assert compared > (200 if interpreted else 2_500)
    assert kinds == 511 or interpreted


@pytest.mark.slow
def test_staged_matrix_equals_oracle_on_many_units(random_unit: Any, random_codes: Any, interpreted: bool) -> None:
    compared, kinds = _compare(random.Random(4), 100 if interpreted else 6_000, random_unit, random_codes)
    assert compared > (500 if interpreted else 30_000)
    assert kinds == 511 or interpreted


def test_staged_sparse_is_an_argument_too(random_unit: Any, random_codes: Any, interpreted: bool) -> None:
    source = random.Random(5)
    compared = 0
    while compared < (24 if interpreted else 240):
        unit = random_unit(source)
        if unit.sparsity is None or unit.promotion or unit.ignored_bits or unit.flush_operands:
            continue
        try:
            plan(unit)
            inner = unit.inner
        except ValueError:
            continue
        problem = _problem(source, unit, random_codes)
        place: dict[str, Any] = {"seed": _SEED, "row": _ROW, "column": _COLUMN}
        found = output(unit, *matmul_registers(problem._replace(unit=inner), sparse=True, **place))
        assert np.array_equal(found, matmul_staged(problem, **place)), unit
        compared += 12
