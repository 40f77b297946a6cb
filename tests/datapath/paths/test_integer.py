# SPDX-License-Identifier: Apache-2.0
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, named
from hwsim.datapath.paths import integer
from hwsim.datapath.problem import Problem
from hwsim.datapath.simd_integer import vnni_lanes
from hwsim.formats import IntegerSpec, Overflow

_compare: Any = runpy.run_path(str(Path(__file__).with_name("problems.py")))["compare"]

_COMPARED = 3 * 3_169
_NAMES = [
    *("int8", "uint8_int32", "uint8_by_int8", "int8_by_uint8", "int8_int32_sat", "int5_l4", "float4_e2m1fn_l4"),
    *("float6_e3m2fn_l3", "int8_int16", "uint8_by_int4_l3_int24_sat", "int8_to_float32", "int8_to_float16"),
    *("int8_int20", "int12_int50", "ternary_int24", "int16_int32", "float6_e2m3fn", "float8_e3m4", "binary", "bipolar"),
    *("int12_int40_sat", "uint8_int48", "int8_int60", "uint8_by_int9"),
]


def _integers(a: IntegerSpec, b: IntegerSpec, bits: int) -> DotProductUnit:
    register = FixedAccumulator(bits=bits, fraction_bits=0, overflow=Overflow.WRAP)
    return DotProductUnit(a=a, b=b, lanes=1, alignment=ExactAlignment(), accumulator=register, output=register.format)


@pytest.mark.parametrize("name", _NAMES)
def test_integer_equals_stages(name: str) -> None:
    if not vnni_lanes():
        assert integer.offer(named(name), 8) is None
        return
    assert _compare(integer.offer, named(name)) == _COMPARED


@pytest.mark.parametrize(("signed_a", "signed_b"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("bits", [32, 48])
def test_integer_extremes_over_many_products(signed_a: bool, signed_b: bool, bits: int) -> None:
    # 140,000 products of up to 2**16: beyond 2**31 and, of unsigned ones, 2**32; in chunks for the wider register.
    if not vnni_lanes():
        return
    unit = _integers(IntegerSpec(bits=8, signed=signed_a), IntegerSpec(bits=8, signed=signed_b), bits)
    depth = 140_000
    compared = 0
    for x in (0, 127, 128, 255):
        for y in (0, 127, 128, 255):
            a, b = np.full((1, depth), x, np.uint8), np.full((2, depth), y, np.uint8)
            b[1, ::3] = 1
            path = integer.offer(unit, depth)
            assert path is not None
            values = (x - 256 if signed_a and x > 127 else x), (y - 256 if signed_b and y > 127 else y)
            ones = len(b[1, ::3])
            expected = [values[0] * values[1] * depth, values[0] * (values[1] * (depth - ones) + ones)]
            found = path.run(Problem(unit, a, b, None, None, None))
            assert found.tolist() == [[total % (1 << bits) for total in expected]]
            compared += found.size
    assert compared == 32


@pytest.mark.parametrize(("bits", "offered"), [(8, True), (9, True), (16, True), (17, False)])
def test_integer_takes_bytes_and_words(bits: int, offered: bool) -> None:
    path = integer.offer(_integers(IntegerSpec(bits=bits), IntegerSpec(bits=4), 32), 100)
    assert (path is not None) == (offered and bool(vnni_lanes()))
    if path is not None:
        assert ("fit 8 bits" in path.proof) == (bits == 8)


def test_integer_leaves_chunks_that_are_too_short() -> None:
    # Two products of 2**30 do not fit 31 bits, and a register of 40 bits wants more than 32.
    spec = IntegerSpec(bits=16)
    assert integer.offer(_integers(spec, spec, 40), 256) is None
    assert (integer.offer(_integers(spec, spec, 32), 256) is not None) == bool(vnni_lanes())


@pytest.mark.parametrize("name", ["float8_e4m3fn", "int8_int16_sat", "int8_l4_float32", "mxint8", "float8_e5m2"])
def test_integer_leaves_what_it_cannot_prove(name: str) -> None:
    assert integer.offer(named(name), 1 << 17) is None
