# SPDX-License-Identifier: Apache-2.0
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, named
from hwsim.datapath.paths import blas
from hwsim.datapath.problem import Problem
from hwsim.datapath.staged import matmul_staged
from hwsim.formats import IntegerSpec, Overflow

_compare: Any = runpy.run_path(str(Path(__file__).with_name("problems.py")))["compare"]

_COMPARED = 3 * 3_169
_NAMES = [
    *("float8_e4m3fn", "float8_e4m3fn_to_float16", "float8_e4m3fn_to_bfloat16", "float8_e4m3fn_to_float8_e5m2"),
    *("int8", "int8_int32_sat", "int5_l4", "float8_e4m3fnuz", "float4_e2m1fn_l4", "float6_e3m2fn_l3", "int8_int16"),
    *("uint8_by_int4_l3_int24_sat", "int8_to_float32", "int8_to_float16", "int8_int20", "int12_int50", "ternary_int24"),
    *("posit8_0", "int8_by_float4_e2m1fn", "bipolar_int20"),
]


def _integers(bits: int, register_bits: int, overflow: Overflow) -> DotProductUnit:
    spec = IntegerSpec(bits=bits)
    register = FixedAccumulator(bits=register_bits, fraction_bits=0, overflow=overflow)
    return DotProductUnit(
        a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=register, output=register.format
    )


def _ones(unit: DotProductUnit, depth: int, code: int) -> Problem:
    dtype = np.min_scalar_type((1 << unit.element_a.bits) - 1)
    return Problem(unit, np.full((2, depth), code, dtype), np.full((3, depth), code, dtype), None, None, None)


@pytest.mark.parametrize("name", _NAMES)
def test_blas_equals_stages(name: str, interpreted: bool) -> None:
    if interpreted:
        assert blas.offer(named(name), 8) is None
        return
    assert _compare(blas.offer, named(name)) == _COMPARED


@pytest.mark.parametrize(("bits", "deepest", "dtype"), [(8, 1 << 10, np.float32), (23, 1 << 9, np.float64)])
def test_blas_is_exact_up_to_its_last_product(bits: int, deepest: int, dtype: Any, interpreted: bool) -> None:
    # The most negative integer squared is 2**(2 * bits - 2): the deepest sum is 2**24 or 2**53 itself.
    unit = _integers(bits, 60, Overflow.WRAP)
    path = blas.offer(unit, deepest)
    if interpreted:
        assert path is None
        return
    assert path is not None
    assert path.run.keywords == {"chunk": deepest, "dtype": dtype}  # type: ignore[attr-defined]
    assert path.run(_ones(unit, deepest, 1 << (bits - 1))).tolist() == [[deepest << (2 * bits - 2)] * 3] * 2
    beyond = _ones(unit, deepest + 1, 1 << (bits - 1))
    beyond.a[:, -1] = beyond.b[:, -1] = 1
    expected = (deepest << (2 * bits - 2)) + 1
    path = blas.offer(unit, deepest + 1)
    assert path is not None
    assert path.run(beyond).tolist() == [[expected] * 3] * 2  # in chunks
    forced = path.run.func(beyond, chunk=deepest + 1, dtype=dtype)  # type: ignore[attr-defined]
    assert forced.tolist() != [[expected] * 3] * 2


@pytest.mark.parametrize(("depth", "offered"), [((1 << 17) - 1, True), (1 << 17, False)])
def test_blas_offers_what_cannot_saturate(depth: int, offered: bool, interpreted: bool) -> None:
    # 128 * 128 * 2**17 is 2**31, one more than the register's largest value.
    unit = _integers(8, 32, Overflow.SATURATE)
    path = blas.offer(unit, depth)
    assert (path is not None) == (offered and not interpreted)
    if path is not None:
        problem = _ones(unit, depth, 128)
        assert np.array_equal(path.run(problem), matmul_staged(problem))


def test_blas_saturates_where_c_leaves_no_room(interpreted: bool) -> None:
    if interpreted:
        return
    unit = _integers(8, 32, Overflow.SATURATE)
    source = np.random.default_rng(1)
    a, b = source.integers(0, 256, (6, 40), dtype=np.uint8), source.integers(0, 256, (50, 40), dtype=np.uint8)
    largest = (1 << 31) - 1
    for c in (largest, largest - 40 * (1 << 14), largest - 40 * (1 << 14) + 1, 1 << 31, (1 << 31) + 40 * (1 << 14)):
        problem = Problem(unit, a, b, np.full((6, 50), c, np.uint32), None, None)
        path = blas.offer(unit, 40)
        assert path is not None
        assert np.array_equal(path.run(problem), matmul_staged(problem))


@pytest.mark.parametrize("name", ["float8_e4m3fn_float32", "mxfp4", "int8_int16_sat", "float8_e5m2", "int32_int63"])
def test_blas_leaves_what_it_cannot_prove(name: str) -> None:
    assert blas.offer(named(name), 64) is None
