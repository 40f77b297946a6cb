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

from hwsim.datapath import (
    DotProductUnit,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Row,
    dot_exact,
    hardware_entries,
    hardware_entry,
    matmul,
)
from hwsim.datapath.paths import choose, pairwise, staged
from hwsim.datapath.problem import Problem
from hwsim.formats import FloatSpec, Overflow, Rounding, Specials

Unit = Callable[..., DotProductUnit]


def _pairs(unit: DotProductUnit, **rules: Any) -> DotProductUnit:
    assert isinstance(unit.accumulator, FloatAccumulator)
    return replace(unit, alignment=PairwiseAlignment(), accumulator=replace(unit.accumulator, **rules))


UNITS: list[tuple[str, str, str, int, str | None, dict[str, Any]]] = [
    ("float16", "float16", "float32", 4, None, {}),
    ("bfloat16", "bfloat16", "float32", 2, None, {}),
    ("float16", "float16", "float32", 4, None, {"flush": True}),
    ("bfloat16", "bfloat16", "float32", 2, None, {"flush": True}),
    ("bfloat16", "bfloat16", "float32", 4, None, {"flush": True, "nan": NanResult.ALL_ONES}),
    ("float32", "float32", "float32", 2, None, {"signed_zero": True}),
    ("float32", "float32", "float32", 8, None, {"signed_zero": True, "flush": True}),
    ("float32", "float32", "float64", 2, None, {"signed_zero": True, "flush": True}),
    ("int8", "float8_e4m3fnuz", "float32", 2, None, {"signed_zero": True, "flush": True}),
    ("float8_e5m2", "float8_e5m2", "float32", 16, "float16", {}),
    ("bfloat16", "float16", "float32", 1, "bfloat16", {"flush": True}),
]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("a", "b", "register", "lanes", "output", "rules"), UNITS)
def test_pairwise_is_staged(
    a: str,
    b: str,
    register: str,
    lanes: int,
    output: str | None,
    rules: dict[str, Any],
    float_unit: Unit,
    compare_path: Any,
) -> None:
    unit = _pairs(float_unit(a, b, register, lanes=lanes, output=output), **rules)
    path = pairwise.offer(unit, 1024)
    assert path is not None
    assert path.name == f"{register} pairwise"
    assert compare_path(path, unit) == 10 * (1 + 15 + 561 + 1690 + 6)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("a", "b", "register", "lanes", "output", "rules"), UNITS)
def test_pairwise_is_dot_exact(
    a: str, b: str, register: str, lanes: int, output: str | None, rules: dict[str, Any], float_unit: Unit
) -> None:
    unit = _pairs(float_unit(a, b, register, lanes=lanes, output=output), **rules)
    rng = np.random.default_rng(4)
    path = pairwise.offer(unit, 3 * lanes)
    assert path is not None
    compared = 0
    for scale in (1.0, 2.0**-62, 2.0**63):  # sums about 1, the smallest normal and the largest
        x, y = (_around(spec, rng, (5, 3 * lanes), scale) for spec in (unit.element_a, unit.element_b))
        register_spec = unit.accumulator.format
        assert isinstance(register_spec, FloatSpec)
        c = register_spec.encode(rng.choice([0.0, -0.0, scale, -scale * scale, 1e-39], (5, 5)))
        got = path.run(Problem(unit, x, y, c, None, None))
        for i, j in np.ndindex(5, 5):
            steps = zip(x[i].reshape(3, lanes).tolist(), y[j].reshape(3, lanes).tolist(), strict=True)
            rows = [Row(k == 0, k == 2, tuple(p), tuple(q), c=int(c[i, j])) for k, (p, q) in enumerate(steps)]
            assert dot_exact(unit, rows) == [int(got[i, j])]
            compared += 1
    assert compared == 75


def _around(spec: Any, rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Any:
    """Return codes of numbers about `scale`, of few bits so that they cancel; any numbers where it is out of range."""
    if not isinstance(spec, FloatSpec) or not 2.0**spec.exp_min < scale < spec.max_value / 4:
        scale = 1.0
    values = rng.choice([0.0, -0.0, 0.5, 1.0, -1.0, 1.5, -1.75, 2.0], shape) * scale
    if isinstance(spec, FloatSpec):
        return spec.encode(values)
    return values.astype(np.int8).view(np.uint8)


@pytest.mark.usefixtures("compiled")
def test_pairwise_by_hand(float_unit: Unit) -> None:
    """Of 2**24, 1, 1 and -2**24 the tree's second pair loses its 1; products overflow before they meet."""
    unit = _pairs(float_unit("float32", "float32", "float32", lanes=4))
    flushed = _pairs(unit, flush=True)
    far, low = 2.0**24, 2.0**-126
    a = np.array(
        [
            [far, 1, 1, -far],  # (2**24 + 1 -> 2**24) + (1 - 2**24)
            [far, -far, 1, 1],
            [2.0**127, 2.0**127, -(2.0**127), -(2.0**127)],  # Inf - Inf
            [2.0**127, -(2.0**127), 2.0**127, 2.0**126],
            [2.0**127, 2.0**127, -(2.0**127), 1],  # stays infinite
            [low * 1.5, -low, low, -low],  # subnormal
            [low * 1.5, -low, low / 2, low / 4],  # two sums, each of which is flushed
        ],
        np.float32,
    )
    b = np.ones((1, 4), np.float32)
    for each, tail in ((unit, [low / 2, low * 1.25]), (flushed, [0.0, 0.0])):
        path = pairwise.offer(each, 4)
        assert path is not None
        got = path.run(Problem(each, a.view(np.uint32), b.view(np.uint32), None, None, None))[:, 0]
        expected = np.array([1.0, 2.0, 0.0, 2.0**126 + 2.0**127, np.inf, *tail], np.float32).view(np.uint32)
        expected[2] = 0x7FC00000
        assert got.tolist() == expected.tolist()


@pytest.mark.usefixtures("compiled")
def test_pairwise_flush_edge(float_unit: Unit) -> None:
    """Nothing is flushed but c where products are multiples of 2**-102; a run forced so below that is wrong."""
    found = []
    for bias in (45, 46, 127):  # smallest products of 2**-102, 2**-104, 2**-266
        spec = FloatSpec(exp_bits=8 if bias == 127 else 7, man_bits=7, bias=bias, specials=Specials.IEEE)
        found.append(pairwise._meets_subnormals(_pairs(float_unit(spec, spec, "float32"), flush=True), np.float32))
    assert found == [False, True, True]
    unit = _pairs(float_unit("bfloat16", "bfloat16", "float32"), flush=True)
    plain = _pairs(unit, flush=False)
    x = np.array([[0x0080]], np.uint16)
    y = np.array([[0x3F00]], np.uint16)  # 2**-126 and 1/2
    right, wrong = (pairwise._run(np.float32, Problem(each, x, y, None, None, None)) for each in (unit, plain))
    assert (int(right[0, 0]), int(wrong[0, 0])) == (0, 0x00400000)


@pytest.mark.usefixtures("compiled")
def test_pairwise_exact_products_flush(float_unit: Unit, compare_path: Any) -> None:
    """At the edge at which flushing is left out: products down to 2**-102."""
    spec = FloatSpec(exp_bits=7, man_bits=7, bias=45, specials=Specials.IEEE)
    unit = _pairs(float_unit(spec, spec, "float32", lanes=2), flush=True)
    path = pairwise.offer(unit, 128)
    assert path is not None
    assert compare_path(path, unit) == 10 * (1 + 15 + 561 + 1690 + 6)


@pytest.mark.usefixtures("compiled")
def test_pairwise_catalog() -> None:
    entries = [entry for entry in hardware_entries() if isinstance(entry.unit.alignment, PairwiseAlignment)]
    assert len(entries) == 25
    assert {choose(entry.unit, 64).name for entry in entries} == {"float32 pairwise"}


@pytest.mark.usefixtures("compiled")
def test_pairwise_matmul() -> None:
    """Specials and flushed operands, which the driver takes from the path."""
    unit = hardware_entry("cdna2_v_mfma_f32_32x32x4bf16").unit
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 1 << 16, (9, 13), np.uint16), rng.integers(0, 1 << 16, (13, 7), np.uint16)
    a[3:] = np.where(a[3:] & 0x7F80 == 0x7F80, 0x0001, a[3:])
    c = rng.integers(0, 1 << 32, (9, 7), np.uint32)
    got = matmul(unit, a, b, c)
    left, right = np.pad(a, ((0, 0), (0, 1))), np.pad(b.T, ((0, 0), (0, 1)))
    for i, j in np.ndindex(9, 7):
        steps = zip(left[i].reshape(7, 2).tolist(), right[j].reshape(7, 2).tolist(), strict=True)
        rows = [Row(k == 0, k == 6, tuple(p), tuple(q), c=int(c[i, j])) for k, (p, q) in enumerate(steps)]
        assert dot_exact(unit, rows) == [int(got[i, j])]


def test_pairwise_not_offered(float_unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    half = "float16"
    others = [
        float_unit(half, half, "float32", lanes=4),
        _pairs(float_unit(half, half, "float32", lanes=32)),
        _pairs(float_unit(half, half, "float32", rounding=Rounding.TOWARD_ZERO)),
        _pairs(float_unit(half, half, "float32", overflow=Overflow.SATURATE)),
        _pairs(float_unit(half, half, "float32", result_man_bits=13)),
        _pairs(float_unit(half, half, "float16")),
        _pairs(float_unit("float64", "float64", "float64")),
        _pairs(float_unit(half, half, "float32"), signed_zero=True),
    ]
    assert [pairwise.offer(unit, 32) for unit in others] == [None] * len(others)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert pairwise.offer(_pairs(float_unit(half, half, "float32")), 32) is None


@pytest.mark.usefixtures("compiled")
def test_pairwise_threads(float_unit: Unit) -> None:
    unit = _pairs(float_unit("bfloat16", "bfloat16", "float32", lanes=2), flush=True)
    assert isinstance(unit.element_a, FloatSpec)
    rng = np.random.default_rng(5)
    x, y = (unit.element_a.encode(rng.standard_normal((150, 200))) for _ in range(2))
    problem = Problem(unit, x, y, None, None, None)
    path = pairwise.offer(unit, 200)
    assert path is not None
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    one = path.run(problem)
    numba.set_num_threads(before)
    assert np.array_equal(one, path.run(problem))
    assert np.array_equal(one, staged.offer(unit, 200).run(problem))


PORTABLE = """
import numpy as np
from hwsim.datapath import hardware_entry
from hwsim.datapath.paths import pairwise, staged
from hwsim.datapath.problem import Problem
from hwsim.datapath.vectors import HAS_FMA, REGISTER_BITS
assert (HAS_FMA, REGISTER_BITS) == (False, 128), (HAS_FMA, REGISTER_BITS)
rng = np.random.default_rng(0)
for name in ("cdna1_v_mfma_f32_32x32x8f16_pairwise", "cdna2_v_mfma_f32_32x32x4bf16"):
    unit = hardware_entry(name).unit.inner
    a, b = (rng.integers(0, 1 << 16, (23, 40), np.uint16) & 0xBFFF for _ in range(2))
    problem = Problem(unit, a, b, None, None, None)
    assert np.array_equal(pairwise.offer(unit, 40).run(problem), staged.offer(unit, 40).run(problem)), name
print("same")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_pairwise_portable(tmp_path: Path) -> None:
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
