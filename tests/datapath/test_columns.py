# SPDX-License-Identifier: Apache-2.0
"""Many columns at once against one by one; `test_staged` compares either with the oracle."""

import random
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import staged
from hwsim.datapath.columns import KINDS
from hwsim.datapath.plan import plan
from hwsim.datapath.problem import Problem
from hwsim.datapath.staged import matmul_registers
from hwsim.formats import BlockSpec
from hwsim.formats.codes import code_dtype


@pytest.fixture(autouse=True)
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the kernel of columns for products however small."""
    monkeypatch.setattr(staged, "_WORTH", 0)


def _problem(source: random.Random, unit: Any, random_codes: Any, shape: tuple[int, int]) -> Problem:
    """Return a product of blocks enough for several tiles along K, a tenth of its columns with specials."""
    sizes = [spec.block_size for spec in (unit.a, unit.b) if isinstance(spec, BlockSpec)]
    depth = int(np.lcm.reduce([unit.width, *sizes])) * source.choice((1, 2, 5))
    sides, scales = [], []
    for whole, spec, scale, rows in zip(
        (unit.a, unit.b), (unit.element_a, unit.element_b), (unit.scale_a, unit.scale_b), shape, strict=True
    ):
        held = [random_codes(source, spec, depth, source.random() < 0.9) for _ in range(rows)]
        sides.append(np.array(held).reshape(rows, depth).astype(code_dtype(spec.bits)))
        if isinstance(whole, BlockSpec):
            assert scale is not None
            codes = random_codes(source, scale, rows * (depth // whole.block_size), source.random() < 0.9)
            scales.append(codes.reshape(rows, -1).astype(code_dtype(scale.bits)))
        else:
            scales.append(None)
    if unit.sparsity is not None:
        kept = np.tile(np.arange(unit.sparsity.of) < unit.sparsity.kept, depth)[:depth]
        sides[0][:, ~kept] = int(unit.element_a.encode(0.0))
    register = unit.accumulator.format
    c = random_codes(source, register, shape[0] * shape[1], source.random() < 0.5)
    return Problem(unit, sides[0], sides[1], c.reshape(shape).astype(code_dtype(register.bits)), *scales)


def test_columns_equal_one_column_after_the_other(random_unit: Any, random_codes: Any, interpreted: bool) -> None:
    source = random.Random(11)
    compared, kinds = 0, set()
    while compared < (500 if interpreted else 15_000):
        unit = random_unit(source)
        if unit.promotion is not None or unit.ignored_bits or unit.flush_operands:
            continue  # around the kernels
        try:
            kind = plan(unit).kind
        except ValueError:  # too wide for the kernels, and says so
            continue
        if kind not in KINDS:
            continue
        shape = source.choice((1, 3)), source.choice((5, 64, 70) if not interpreted else (5, 6))
        problem = _problem(source, unit, random_codes, shape)
        place: dict[str, Any] = {"seed": 7, "row": 3, "column": 50, "sparse": source.random() < 0.2}
        whole, specials = matmul_registers(problem, **place)
        for j in range(shape[1]):
            assert problem.c is not None
            one = problem._replace(b=problem.b[j : j + 1], c=problem.c[:, j : j + 1])
            if problem.b_scales is not None:
                one = one._replace(b_scales=problem.b_scales[j : j + 1])
            alone, seen = matmul_registers(one, **(place | {"column": 50 + j}))
            assert np.array_equal(whole[:, j : j + 1], alone), unit
            assert np.array_equal(specials[:, j : j + 1], seen), unit
        kinds.add(kind)
        compared += whole.size
    assert kinds == set(KINDS) or interpreted
