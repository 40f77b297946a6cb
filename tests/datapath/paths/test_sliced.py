# SPDX-License-Identifier: Apache-2.0
import runpy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, matmul, named
from hwsim.datapath.paths import sliced
from hwsim.datapath.problem import Problem
from hwsim.formats import Overflow, PositSpec, Rounding

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_problem: Any = _TOOLS["problem"]
_by_oracle: Any = _TOOLS["by_oracle"]


def _unit(name: str, bits: int, output: str = "", extra: int = 0, lanes: int = 1, **fields: Any) -> DotProductUnit:
    spec: Any = formats.named(name)
    overflow = fields.pop("register_overflow", Overflow.WRAP)
    register = FixedAccumulator(bits=bits, fraction_bits=extra - 2 * spec.exp_min, overflow=overflow)
    d: Any = formats.named(output) if output else register.format
    return DotProductUnit(
        a=spec, b=spec, lanes=lanes, alignment=ExactAlignment(), accumulator=register, output=d, **fields
    )


_UNITS = [
    *(_unit("posit8_2", 128, "float32"), _unit("posit8_2", 128, "float16", rounding=Rounding.TO_ODD)),
    *(_unit("posit8_1", 64, "float32"), _unit("posit8_0", 32, "float32"), _unit("posit8_2", 256, "float16")),
    *(_unit("float8_e5m2", 100, "float32"), _unit("float8_e5m2", 64, "float32"), _unit("minifloat_e5m3", 64)),
    *(_unit("float8_e5m2", 50, "float32", lanes=3), _unit("float16", 200, "float16"), _unit("minifloat_e5m3", 33)),
    *(_unit("float16", 96, "bfloat16", rounding=Rounding.UP), _unit("posit16_1", 300, "float32"), _unit("int16", 64)),
    *(_unit("posit16_2", 512, "float32", 77), _unit("posit8_2", 200, "float32", register_overflow=Overflow.SATURATE)),
    _unit("minifloat_e5m3", 90, "int8", overflow=Overflow.SATURATE),
]


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: str(unit.name))
def test_sliced_equals_oracle(unit: DotProductUnit, interpreted: bool) -> None:
    compared = 0
    for seed, shape in enumerate([(3, 5, 4), (5, 33, 7), (2, 130, 3), (1, 1, 1)]):
        for c in (True, False):
            problem = _problem(unit, shape, seed, c=c)
            path = sliced.offer(unit, problem.a.shape[1])
            if interpreted:
                assert path is None
                continue
            assert path is not None
            found = path.run(problem)
            assert np.array_equal(found, _by_oracle(problem)), path.proof
            compared += found.size
    assert compared == (0 if interpreted else 2 * 54)


def test_sliced_within_its_budget(interpreted: bool) -> None:
    # 2047 products of 2047 * 2**15 squared, and 1: in slices of 26 bits the sum takes 63 bits, and float64 loses the 1.
    unit = _unit("minifloat_e5m10", 64)
    depth = 2048
    path = sliced.offer(unit, depth)
    if interpreted:
        assert path is None
        return
    assert path is not None
    slices = path.run.keywords["slices"]  # type: ignore[attr-defined]
    budget = slices.chunk * min(slices.a, slices.b) * ((1 << slices.width) - 1) ** 2
    assert budget <= 1 << 53 < 4 * budget
    codes = np.full((1, depth), 16 << 10 | 1023, np.uint16)
    codes[0, -1] = 1
    problem = Problem(unit, codes, codes, None, None, None)
    expected = [[((depth - 1) * (2047 << 15) ** 2 + 1) % (1 << 64)]]
    assert path.run(problem).tolist() == expected
    wide = slices._replace(a=2, b=2, width=26, chunk=depth)
    assert path.run.func(problem, slices=wide).tolist() != expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "unit", [named("int8_l4_float32"), named("mxfp4"), _unit("int16", 40, register_overflow=Overflow.SATURATE)]
)
def test_sliced_leaves_what_it_cannot_prove(unit: DotProductUnit) -> None:
    assert sliced.offer(unit, 64) is None


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["posit8_0", "posit8_1", "posit8_2", "posit16_1"])
def test_sliced_quire_rounds_the_exact_sum_once(name: str) -> None:
    # The Posit Standard's rounding: the boundary between two neighbours is the posit of one more bit between them;
    # beyond the largest is the largest, and nothing but zero becomes zero.
    spec = formats.named(name)
    assert isinstance(spec, PositSpec)
    wide = PositSpec(bits=spec.bits + 1, es=spec.es)
    generator = np.random.default_rng(spec.bits)
    drawn = [generator.integers(0, 1 << spec.bits, shape).astype(np.uint16) for shape in ((8, 33), (33, 9))]
    a, b = (np.where(codes == spec.nan_code, 0, codes) for codes in drawn)
    found = matmul(named(f"{name}_quire"), a, b).astype(int)
    left, right = ([[Fraction(value) for value in row] for row in spec.decode(codes).tolist()] for codes in (a, b.T))
    for i, row in enumerate(left):
        for j, column in enumerate(right):
            exact = sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0))
            code = int(found[i, j]) if exact >= 0 else (1 << spec.bits) - int(found[i, j])
            assert (code == 0) == (exact == 0)
            assert code < spec.nan_code
            if code > 1:
                assert Fraction(float(wide.decode(2 * code - 1))) <= abs(exact)
            if 0 < code < spec.nan_code - 1:
                assert abs(exact) <= Fraction(float(wide.decode(2 * code + 1)))
    assert found.size == 72
