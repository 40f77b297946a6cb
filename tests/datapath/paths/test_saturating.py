# SPDX-License-Identifier: Apache-2.0
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, named
from hwsim.datapath.paths import saturating
from hwsim.datapath.problem import Problem
from hwsim.formats import IntegerSpec, Overflow

_TOOLS = runpy.run_path(str(Path(__file__).with_name("problems.py")))
_compare: Any = _TOOLS["compare"]
_portable: Any = _TOOLS["portable"]

_COMPARED = 3 * 3_169


def _unit(a: str, b: str, lanes: int, bits: int, extra: int = 0) -> DotProductUnit:
    x: Any = formats.named(a)
    y: Any = formats.named(b)
    register = FixedAccumulator(bits=bits, fraction_bits=extra - x.exp_min - y.exp_min, overflow=Overflow.SATURATE)
    return DotProductUnit(
        a=x, b=y, lanes=lanes, alignment=ExactAlignment(), accumulator=register, output=register.format
    )


_UNITS = [
    *(named(name) for name in ("int8_int16_sat", "int8_int12_sat", "int4_l4_int16_sat", "int4_l16_int10_sat")),
    *(named(name) for name in ("uint8_by_int4_l3_int16_sat", "int8_l5_int16_sat", "int8_int24_sat", "int8_int32_sat")),
    *(named(name) for name in ("int8_l4_int20_sat", "float4_e2m1fn_l8_fixed12_sat", "int16_int32_sat")),
    *(named(name) for name in ("int8_int16_sat_to_float32", "ternary_int4_sat", "binary_int5_sat")),
    *(_unit("int8", "int4", 2, 16, 3), _unit("int5", "int5", 1, 14, 5), _unit("int12", "int12", 3, 31, 2)),
]


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: str(unit.name))
def test_saturating_equals_stages(unit: DotProductUnit, interpreted: bool) -> None:
    if interpreted:
        assert saturating.offer(unit, 8) is None
        return
    assert _compare(saturating.offer, unit) == _COMPARED


@pytest.mark.parametrize(("lanes", "dtype"), [(64, np.int16), (65, np.int32)])
def test_saturating_takes_what_fits(lanes: int, dtype: Any, interpreted: bool) -> None:
    # 64 products of up to 511 are 32,704; one more does not fit 16 bits.
    register = FixedAccumulator(bits=16, fraction_bits=0, overflow=Overflow.SATURATE)
    a, b = IntegerSpec(bits=1, signed=False), IntegerSpec(bits=9, signed=False)
    unit = DotProductUnit(
        a=a, b=b, lanes=lanes, alignment=ExactAlignment(), accumulator=register, output=register.format
    )
    path = saturating.offer(unit, lanes)
    if interpreted:
        assert path is None
        return
    assert path is not None
    assert path.run.keywords == {"dtype": dtype}  # type: ignore[attr-defined]
    for steps, expected in ((1, min(511 * lanes, 32_767)), (2, 32_767)):
        ones, most = np.ones((2, steps * lanes), np.uint8), np.full((3, steps * lanes), 511, np.uint16)
        found = path.run(Problem(unit, ones, most, None, None, None))
        assert found.tolist() == [[expected] * 3] * 2
    if dtype is np.int32:  # 16 bits would wrap
        forced = path.run.func(  # type: ignore[attr-defined]
            Problem(unit, ones[:, :lanes], most[:, :lanes], None, None, None), dtype=np.int16
        )
        assert forced.tolist() != [[32_767] * 3] * 2


def test_saturating_follows_each_step(interpreted: bool) -> None:
    # Up to the limit, beyond it, and back: the order of the steps shows.
    if interpreted:
        return
    unit = named("int8_int16_sat")
    a = np.array([[127, 127, 127, 1], [129, 129, 129, 255]], np.uint8)
    b = np.array([[127, 127, 127, 129], [129, 127, 127, 127]], np.uint8)
    path = saturating.offer(unit, 4)
    assert path is not None
    found = path.run(Problem(unit, a, b, None, None, None)).view(np.int16)
    assert found.tolist() == [[32_767 - 127, 16_129 + 127], [-32_768 + 127, -16_129 - 127]]


@pytest.mark.parametrize(
    "name", ["int8", "int8_int16", "int32_int63_sat", "float8_e4m3fn", "mxint8", "int16_int33_sat"]
)
def test_saturating_leaves_other_units(name: str) -> None:
    assert saturating.offer(named(name), 64) is None


@pytest.mark.slow
def test_saturating_portable(interpreted: bool, tmp_path: Path) -> None:
    if not interpreted:
        _portable("saturating", ["int8_int16_sat", "int8_l4_int20_sat", "int8_int12_sat"], tmp_path)
