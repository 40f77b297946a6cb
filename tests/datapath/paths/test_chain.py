# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, FloatAccumulator, NanResult, Row, dot_exact, hardware_entries
from hwsim.datapath.paths import chain, choose, staged
from hwsim.datapath.problem import Problem
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials

Unit = Callable[..., DotProductUnit]

UNITS: list[tuple[str, str, str, str | None]] = [
    ("float8_e4m3fn", "float8_e4m3fn", "float32", None),
    ("float8_e5m2", "float4_e2m1fn", "float32", "float16"),
    ("bfloat16", "bfloat16", "float32", None),
    ("float16", "int8", "float32", "bfloat16"),
    ("float32", "float32", "float32", None),
    ("float32", "float32", "float64", None),
    ("int16", "int8", "float64", "float16"),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("a", "b", "register", "output"), UNITS)
def test_chain_is_staged(
    a: str, b: str, register: str, output: str | None, float_unit: Unit, compare_path: Any
) -> None:
    unit = float_unit(a, b, register, output=output)
    path = chain.offer(unit, 1024)
    assert path is not None
    assert path.name == f"{register} chain"
    assert compare_path(path, unit) == 10 * (1 + 15 + 561 + 1690 + 6)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("a", "register"), [("float8_e4m3fn", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_chain_is_dot_exact(a: str, register: str, float_unit: Unit) -> None:
    unit = float_unit(a, a, register)
    spec = unit.element_a
    assert isinstance(spec, FloatSpec)
    rng = np.random.default_rng(3)
    for scale in (1.0, 1e-2, 2.0 ** (spec.exp_min // 2)):  # products down to the last place of the register, or below
        x, y = (spec.encode(rng.standard_normal((5, 9)) * scale) for _ in range(2))
        path = chain.offer(unit, 9)
        assert path is not None
        got = path.run(Problem(unit, x, y, None, None, None))
        for i in range(5):
            for j in range(5):
                pairs = enumerate(zip(x[i].tolist(), y[j].tolist(), strict=True))
                rows = [Row(k == 0, k == 8, (p,), (q,)) for k, (p, q) in pairs]
                assert dot_exact(unit, rows) == [int(got[i, j])]


@pytest.mark.usefixtures("compiled")
def test_chain_overflow(float_unit: Unit) -> None:
    unit = float_unit("float32", "float32", "float32")
    spec = unit.element_a
    largest = spec.max_value if isinstance(spec, FloatSpec) else 0.0
    # beyond the largest and back in one sum is finite, after a sum beyond it is infinite; -0 is +0
    a = np.array([[largest, -largest, largest], [largest, largest, -largest], [-largest, -largest, largest], [0, 0, 0]])
    b = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0], [largest, largest, largest]])
    x, y = (np.asarray(values, np.float32).view(np.uint32) for values in (a, b))
    path = chain.offer(unit, 3)
    assert path is not None
    got = path.run(Problem(unit, x, y, None, None, None)).view(np.float32)
    inf = np.inf
    top = np.float32(largest)
    assert got.tolist() == [[top, -top, inf], [inf, -inf, inf], [-inf, inf, -inf], [0, 0, 0]]
    assert not np.signbit(got[3]).any()


def _ruled(unit: DotProductUnit, **rules: Any) -> DotProductUnit:
    assert isinstance(unit.accumulator, FloatAccumulator)
    return replace(unit, accumulator=replace(unit.accumulator, **rules))


RULES: list[dict[str, Any]] = [
    {"signed_zero": True},
    {"flush": True},
    {"signed_zero": True, "flush": True},
    {"signed_zero": True, "nan": NanResult.OPERAND},
    {"flush": True, "nan": NanResult.ALL_ONES},
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("a", "b", "register"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("float32", "float64", "float64"),
        ("float8_e4m3fnuz", "int8", "float32"),
    ],
)
def test_chain_rules(a: str, b: str, register: str, rules: dict[str, Any], float_unit: Unit, compare_path: Any) -> None:
    if rules.get("nan") is NanResult.OPERAND and not a == b == register:
        a = b = register  # whose NaN is that of an operand
    unit = _ruled(float_unit(a, b, register), **rules)
    path = chain.offer(unit, 128)
    assert path is not None
    assert compare_path(path, unit) == 10 * (1 + 15 + 561 + 1690 + 6)
    rng = np.random.default_rng(8)
    compared = 0
    for c_sign in (0, 1):
        x, y = (_tiny(spec, rng, (7, 6)) for spec in (unit.element_a, unit.element_b))
        sign = unit.accumulator.bits - 1
        c = np.full((7, 7), c_sign << sign, np.uint32 if sign == 31 else np.uint64)
        got = path.run(Problem(unit, x, y, c, None, None))
        for i, j in np.ndindex(7, 7):
            pairs = enumerate(zip(x[i].tolist(), y[j].tolist(), strict=True))
            rows = [Row(k == 0, k == 5, (p,), (q,), c=int(c[i, j])) for k, (p, q) in pairs]
            assert dot_exact(unit, rows) == [int(got[i, j])]
            compared += 1
    assert compared == 98


def _tiny(spec: Any, rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Return zeros of both signs, ones of both, and numbers whose products are about the smallest normal ones."""
    if isinstance(spec, IntegerSpec):
        return rng.integers(-2, 3, shape).astype(np.int8).view(np.uint8)
    middle = max(2.0 ** (-spec.bias // 2), 2.0**spec.exp_min)
    values = rng.choice([0.0, -0.0, 1.0, -1.0, middle, -middle, 1.5 * middle, -0.75 * middle], shape)
    return spec.encode(values)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("name", "dtype"), [("float32", np.float32), ("float64", np.float64)])
def test_chain_signs(name: str, dtype: Any, float_unit: Unit) -> None:
    """IEEE 754, 6.3: a sum of zeros is -0 if all are, one that cancels is +0, one that underflows has its own sign."""
    bits: Any = np.uint32 if dtype is np.float32 else np.uint64
    info = np.finfo(dtype)
    least, low, big = float(info.smallest_subnormal), float(info.smallest_normal), float(info.max)
    a = np.array([[-0.0, 0.0], [1.0, 1.0], [-least, 0.0], [big, big], [low, 0.0]], dtype).view(bits)
    b = np.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]], dtype).view(bits)
    minus = np.full((5, 3), -0.0, dtype).view(bits)
    unit = float_unit(name, name, name)
    signed = _ruled(unit, signed_zero=True, nan=NanResult.OPERAND)
    flushed = _ruled(unit, signed_zero=True, flush=True)
    # an infinity stays beside the second product, which is not rounded before the sum
    rest = [[0.0, 0.0, np.inf], [low, low / 2, 2 * low]]
    cases: list[tuple[DotProductUnit, Any, list[list[float]]]] = [
        (signed, minus, [[-0.0] * 3, [0.0] * 3, [-least, -0.0, -2 * least], *rest]),
        (signed, None, [[0.0] * 3, [0.0] * 3, [-least, -0.0, -2 * least], *rest]),
        (unit, minus, [[0.0] * 3, [0.0] * 3, [-least, 0.0, -2 * least], *rest]),
        (flushed, minus, [[-0.0] * 3, [0.0] * 3, [-0.0] * 3, rest[0], [low, 0.0, 2 * low]]),
    ]
    for each, c, expected in cases:
        path = chain.offer(each, 2)
        assert path is not None
        got = path.run(Problem(each, a, b, c, None, None))
        assert got.tolist() == np.array(expected, dtype).view(bits).tolist()


@pytest.mark.usefixtures("compiled")
def test_chain_catalog() -> None:
    units = [entry for entry in hardware_entries() if entry.unit.lanes == 1 and entry.unit.inner is entry.unit]
    floats = [entry for entry in units if isinstance(entry.unit.accumulator, FloatAccumulator)]
    ways = {entry.name: choose(entry.unit, 64).name for entry in floats}
    assert len(ways) >= 24
    assert set(ways.values()) == {"float32 chain", "float64 chain"}


@pytest.mark.usefixtures("compiled")
def test_chain_threads(float_unit: Unit) -> None:
    unit = float_unit("bfloat16", "bfloat16", "float32")
    rng = np.random.default_rng(5)
    assert isinstance(unit.element_a, FloatSpec)
    x, y = (unit.element_a.encode(rng.standard_normal((150, 200))) for _ in range(2))
    problem = Problem(unit, x, y, None, None, None)
    path = chain.offer(unit, 200)
    assert path is not None
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    one = path.run(problem)
    numba.set_num_threads(before)
    assert np.array_equal(one, path.run(problem))
    assert np.array_equal(one, staged.offer(unit, 200).run(problem))


def test_chain_not_offered(float_unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    e4m3 = "float8_e4m3fn"
    others = [
        float_unit(e4m3, e4m3, "float32", lanes=2),
        float_unit(e4m3, e4m3, "float32", rounding=Rounding.TOWARD_ZERO),
        float_unit(e4m3, e4m3, "float32", overflow=Overflow.SATURATE),
        float_unit(e4m3, e4m3, "float32", result_man_bits=13),
        float_unit(e4m3, e4m3, "float16"),
        float_unit("float64", "float64", "float32"),
        float_unit("int32", "int8", "float32"),
        _ruled(float_unit("bfloat16", "bfloat16", "float32"), signed_zero=True),  # whose -0 the operands lose
    ]
    assert [chain.offer(unit, 8) for unit in others] == [None] * 8
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert chain.offer(float_unit(e4m3, e4m3, "float32"), 8) is None


@pytest.mark.usefixtures("compiled")
def test_chain_operand_edge(float_unit: Unit) -> None:
    """Operands of 24 bits are exact in float32; one of 25 bits is not, and a run forced with it is wrong."""
    exact, wide = (float_unit(IntegerSpec(bits=bits, signed=False), "int8", "float32") for bits in (24, 25))
    assert chain.offer(exact, 2) is not None
    assert chain.offer(wide, 2) is None
    assert (
        chain.offer(
            float_unit(FloatSpec(exp_bits=8, man_bits=24, bias=127, specials=Specials.IEEE), "int8", "float32"), 2
        )
        is None
    )
    y = np.array([[1, 1]], np.uint8)
    for unit, operand, right in ((exact, (1 << 24) - 1, True), (wide, (1 << 24) + 1, False)):
        assert isinstance(unit.accumulator.format, FloatSpec)
        c = unit.accumulator.format.encode(np.array([[-float(1 << 24)]]))
        problem = Problem(unit, np.array([[operand, 0]], np.uint32), y, c, None, None)
        expected = staged.offer(unit, 2).run(problem)
        assert np.array_equal(chain._run(np.float32, problem), expected) == right


PORTABLE = """
import numpy as np
from hwsim.datapath import named
from hwsim.datapath.paths import chain, rounded, staged
from hwsim.datapath.problem import Problem
from hwsim.datapath.vectors import HAS_FMA, REGISTER_BITS
assert (HAS_FMA, REGISTER_BITS) == (False, 128), (HAS_FMA, REGISTER_BITS)
rng = np.random.default_rng(0)
for name, module in (("float8_e4m3fn_l1_float32", chain), ("float8_e5m2_l1_float16", rounded)):
    unit = named(name)
    a, b = (rng.integers(0, 120, (23, 40), np.uint8) | rng.integers(0, 2, (23, 40), np.uint8) << 7 for _ in range(2))
    problem = Problem(unit, a, b, None, None, None)
    assert np.array_equal(module.offer(unit, 40).run(problem), staged.offer(unit, 40).run(problem)), name
assert chain.offer(named("float32_l1_float32"), 8) is None  # the products are not exact, and nothing fuses
print("same")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_chain_portable(tmp_path: Path) -> None:
    """On a machine with neither wide vectors nor fused multiply-add."""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PORTABLE],
        env=os.environ | plain | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.stdout, done.returncode) == ("same\n", 0), done.stderr
