# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.paths import rounded, staged
from hwsim.datapath.problem import Problem
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials

Unit = Callable[..., DotProductUnit]

E4M3, E5M2, FP4 = "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"
INFINITY, SATURATE = Overflow.INFINITY, Overflow.SATURATE


def ieee(exp_bits: int, man_bits: int) -> FloatSpec:
    return FloatSpec(exp_bits=exp_bits, man_bits=man_bits, bias=(1 << (exp_bits - 1)) - 1, specials=Specials.IEEE)


# operands, lanes, register, overflow, name of the path
UNITS: list[tuple[Any, Any, int, Any, Overflow, str]] = [
    (E4M3, E4M3, 1, "float16", INFINITY, "float32 rounded"),
    (E5M2, E5M2, 1, "float16", INFINITY, "float32 rounded"),
    (E4M3, E4M3, 1, ieee(6, 9), INFINITY, "float32 rounded"),
    (E4M3, E4M3, 1, "bfloat16", INFINITY, "float32 rounded"),
    (E4M3, E4M3, 1, "float16", SATURATE, "float32 rounded"),
    (FP4, FP4, 1, ieee(3, 2), INFINITY, "float32 rounded"),
    ("int8", "int8", 16, "float16", INFINITY, "float32 rounded"),
    (E5M2, E5M2, 1, E5M2, INFINITY, "float64 rounded"),
    ("float16", "float16", 1, "float16", INFINITY, "float64 rounded"),
    ("float16", "float16", 1, "float16", SATURATE, "float64 rounded"),
    ("bfloat16", "bfloat16", 1, "bfloat16", INFINITY, "float64 rounded"),
    ("bfloat16", "bfloat16", 1, "bfloat16", SATURATE, "float64 rounded"),
    ("float32", "bfloat16", 1, "float16", INFINITY, "float64 rounded"),
    (E4M3, E4M3, 4, "float32", INFINITY, "float64 rounded"),
    ("int4", E5M2, 2, ieee(5, 2), SATURATE, "float64 rounded"),
]
SAMPLE = UNITS[1:2] + UNITS[3:5] + UNITS[10:11] + UNITS[13:14]


def check(case: tuple[Any, Any, int, Any, Overflow, str], float_unit: Unit, compare_path: Any) -> None:
    a, b, lanes, register, overflow, name = case
    unit = float_unit(a, b, register, lanes=lanes, overflow=overflow)
    path = rounded.offer(unit, 1024)
    assert path is not None
    assert path.name == name
    assert compare_path(path, unit) == 10 * (1 + 15 + 561 + 1690 + 6)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_rounded_is_staged(case: Any, float_unit: Unit, compare_path: Any) -> None:
    check(case, float_unit, compare_path)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("case", [case for case in UNITS if case not in SAMPLE], ids=str)
def test_rounded_is_staged_all(case: Any, float_unit: Unit, compare_path: Any) -> None:
    check(case, float_unit, compare_path)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("operand", "register"), [(E5M2, "float16"), ("bfloat16", "bfloat16")])
def test_rounded_is_dot_exact(operand: str, register: str, float_unit: Unit) -> None:
    unit = float_unit(operand, operand, register)
    spec = unit.element_a
    assert isinstance(spec, FloatSpec)
    rng = np.random.default_rng(3)
    path = rounded.offer(unit, 9)
    assert path is not None
    for scale in (1.0, 300.0, 2.0 ** (spec.exp_min // 2)):
        x, y = (spec.encode(rng.standard_normal((5, 9)) * scale, overflow=SATURATE) for _ in range(2))
        got = path.run(Problem(unit, x, y, None, None, None))
        for i in range(5):
            for j in range(5):
                pairs = enumerate(zip(x[i].tolist(), y[j].tolist(), strict=True))
                rows = [Row(k == 0, k == 8, (p,), (q,)) for k, (p, q) in pairs]
                assert dot_exact(unit, rows) == [int(got[i, j])]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("operand", "register"), [(E4M3, "float16"), (E5M2, "float16"), (E5M2, E5M2)])
def test_rounded_products(operand: str, register: str, float_unit: Unit) -> None:
    """Each product of two codes, added to registers of each exponent."""
    unit = float_unit(operand, operand, register)
    spec, kept = unit.element_a, unit.accumulator.format
    assert isinstance(kept, FloatSpec)
    codes = np.arange(256, dtype=np.uint8)
    codes = codes[spec.unpack(codes).special == 0][:, None]
    path = rounded.offer(unit, 1)
    assert path is not None
    compared = 0
    for field in range((1 << kept.exp_bits) - 1):
        for low in (0, 1, (1 << kept.man_bits) - 1):
            shape = (codes.size, codes.size)
            c = np.full(shape, (field << kept.man_bits) + low, np.uint16).astype(
                np.min_scalar_type((1 << kept.bits) - 1)
            )
            problem = Problem(unit, codes, codes, c, None, None)
            assert np.array_equal(path.run(problem), staged.offer(unit, 1).run(problem))
            compared += c.size
    assert compared == 3 * 31 * codes.size**2
    assert codes.size >= 248


def run_values(unit: DotProductUnit, a: list[float], b: list[float], c: float, way: Any = None) -> float:
    """Return the register, from values that the formats have."""
    specs = (unit.element_a, unit.element_b, unit.accumulator.format)
    codes = []
    for spec, values in zip(specs, (a, b, [c]), strict=True):
        assert isinstance(spec, FloatSpec | IntegerSpec)
        codes.append(np.asarray(spec.encode(np.array([values]))))
        assert spec.decode(codes[-1]).tolist() == [values]
    problem = Problem(unit, codes[0], codes[1], codes[2], None, None)
    path = rounded.offer(unit, len(a))
    assert path is not None
    got = path.run(problem) if way is None else rounded._run((way,), problem)
    if way is None:
        assert np.array_equal(got, staged.offer(unit, len(a)).run(problem))
    assert isinstance(specs[2], FloatSpec)
    return float(specs[2].decode(got)[0, 0])


@pytest.mark.usefixtures("compiled")
def test_rounded_twice(float_unit: Unit) -> None:
    """A tie that the first rounding makes: a way beyond its proof is wrong there, and the offered one right."""
    half = float_unit("float16", "float16", "float16")
    # 1 + 2**-10 and just less than half a unit in the last place, by 2**-31: float32 rounds that off
    case = ([1.0009765625], [2046 / 2048 * 2.0**-11], 1.0009765625)
    assert run_values(half, *case) == 1.0009765625
    forced = rounded._Way(np.float32, 100, True, False, None, 16)
    assert run_values(half, *case, way=forced) == 1.001953125

    brain = float_unit("bfloat16", "bfloat16", "bfloat16")
    tie = (1 + 2.0**-4) * (1 + 2.0**-4) - 2.0**-8  # 1.125, and the product half a unit above it: a tie
    for c, expected in ((2.0**-100, tie + 2.0**-7), (0.0, tie), (-(2.0**-100), tie)):
        assert run_values(brain, [1.0625], [1.0625], c) == expected
    forced = rounded._Way(np.float64, 852, True, False, None, 128)
    assert run_values(brain, [1.0625], [1.0625], 2.0**-100, way=forced) == tie


@pytest.mark.usefixtures("compiled")
def test_rounded_overflow(float_unit: Unit) -> None:
    top = 65504.0
    one = float_unit("float16", "float16", "float16")
    assert run_values(one, [16.0, 32.0], [1.0, -1.0], top) == np.inf  # a tie, to even, and not back
    assert run_values(one, [15.9921875, 32.0], [1.0, -1.0], top) == top - 32
    assert run_values(one, [top, 32.0], [top, -1.0], 0.0) == np.inf
    assert run_values(one, [top, top], [top, -top], 0.0) == np.inf
    assert run_values(one, [-top, top], [top, top], 0.0) == -np.inf
    small = float_unit(E5M2, E5M2, "float16")
    assert run_values(small, [16.0, 32.0], [1.0, -1.0], top) == np.inf
    assert run_values(small, [14.0, 32.0], [1.0, -1.0], top) == top - 32
    assert run_values(small, [57344.0] * 3, [57344.0, -57344.0, -57344.0], 0.0) == np.inf
    kept = float_unit(E5M2, E5M2, "float16", overflow=SATURATE)
    assert run_values(kept, [57344.0, 32.0], [57344.0, -1.0], 0.0) == top - 32
    assert run_values(kept, [57344.0, 32.0], [-57344.0, 1.0], 0.0) == 32 - top


@pytest.mark.usefixtures("compiled")
def test_rounded_sum_edge(float_unit: Unit) -> None:
    """Sums of 64 products of 24-bit integers take 53 bits, those of 128 one more."""
    wide = IntegerSpec(bits=24)
    assert rounded.offer(float_unit(wide, wide, "float32", lanes=128), 128) is None
    unit = float_unit(wide, wide, "float32", lanes=64)
    assert "53 bits is exact in float64" in (rounded.offer(unit, 64) or staged.offer(unit, 64)).proof
    least = -(2.0**23)
    assert run_values(unit, [least] * 64, [least] * 64, 0.0) == 2.0**52
    # 63 * 2**46, half a unit in its last place, 2**27, and one more, or none, or one less: the 53rd bit decides
    for more, expected in ((1.0, 2.0**28), (0.0, 0.0), (-1.0, 0.0)):
        a = [least] * 62 + [least, 2.0**22, 1.0]
        b = [least] * 62 + [least, 2.0**5, more]
        assert run_values(unit, a[1:], b[1:], 0.0) == 62 * 2.0**46 + expected


@pytest.mark.usefixtures("compiled")
def test_rounded_c_of_a_bounded_way(float_unit: Unit) -> None:
    """A bfloat16 register of E4M3 products is in float32 while c is like a sum, else in float64."""
    unit = float_unit(E4M3, E4M3, "bfloat16")
    for c in (0.0, 2.0**-18, 2.0**20, 2.0**-19, 2.0**28, 2.0**100, 2.0**-130, -(2.0**127) * 1.9921875):
        run_values(unit, [448.0, 1.125, 0.001953125], [-448.0, 0.875, 0.001953125], c)
    assert run_values(unit, [0.001953125], [0.001953125], 2.0**-30) == 2.0**-18


def test_rounded_not_offered(float_unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        float_unit(E4M3, E4M3, "float16", rounding=Rounding.TOWARD_ZERO),
        float_unit(E4M3, E4M3, "float32", result_man_bits=13),
        float_unit(E5M2, E5M2, "float16", lanes=2),  # sums of 66 bits
        float_unit("int32", "int32", "float16"),
        float_unit("float32", "float32", "float64"),
    ]
    assert [rounded.offer(unit, 8) for unit in others] == [None] * 5
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert rounded.offer(float_unit(E4M3, E4M3, "float16"), 8) is None
