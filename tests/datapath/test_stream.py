# SPDX-License-Identifier: Apache-2.0
import dataclasses
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.datapath import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    Row,
    TruncatedAlignment,
    dot,
    dot_exact,
    named,
)
from hwsim.datapath.plan import FIXED, GRID, SINGLE, TRUNCATED, WIDE, plan
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.rounding import DETERMINISTIC


def _unit(a: str, b: str, lanes: int, accumulator: Any, output: str | None = None, **more: Any) -> DotProductUnit:
    converted = accumulator.format if output is None else formats.named(output)
    assert isinstance(converted, IntegerSpec | FloatSpec)
    return DotProductUnit(
        a=formats.named(a),
        b=formats.named(b),
        lanes=lanes,
        alignment=more.pop("alignment", ExactAlignment()),
        accumulator=accumulator,
        output=converted,
        **more,
    )


def _fixed(bits: int, fraction_bits: int = 0, overflow: Overflow = Overflow.WRAP) -> FixedAccumulator:
    return FixedAccumulator(bits=bits, fraction_bits=fraction_bits, overflow=overflow)


def _float(name: str, rounding: Rounding, overflow: Overflow, man_bits: int | None = None) -> FloatAccumulator:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return FloatAccumulator(
        format=spec,
        rounding=rounding,
        overflow=overflow,
        result_man_bits=spec.man_bits if man_bits is None else man_bits,
        nan=NanResult.ALL_ONES if man_bits is not None else NanResult.QUIET,
    )


_SATURATE = {"overflow": Overflow.SATURATE}
_FLOAT_REGISTERS = [
    _float(name, rounding, overflow, man_bits)
    for name, man_bits in (("float32", None), ("float16", None), ("bfloat16", None), ("float32", 13), ("bfloat16", 2))
    for rounding in DETERMINISTIC
    for overflow in (Overflow.INFINITY, Overflow.SATURATE)
]
_NEAREST = _float("float32", Rounding.NEAREST_EVEN, Overflow.INFINITY)
_UNITS = [
    *(named(name) for name in ("int8", "int4_l16", "int8_int16_sat", "uint8_by_int4_l4_int16_sat", "int8_narrow_l2")),
    *(named(name) for name in ("float8_e4m3fn", "float4_e2m1fn_l8", "float8_e4m3fnuz", "float6_e2m3fn_l4")),
    *(named(name) for name in ("float8_e4m3fn_float32", "float8_e5m2_l16_float32", "float16_l2_float32", "float32")),
    *(named(name) for name in ("mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp4", "nvfp4", "nvint4")),
    *(named(name) for name in ("mxfp4_by_mxfp8_e4m3_l8", "mxfp4_by_int8_l4", "nvfp4_by_mxfp4_b16_l2", "mxfp4_l1")),
    *(named(f"hopper_{a}_{b}_float32") for a in ("e4m3", "e5m2") for b in ("e4m3", "e5m2")),
    _unit("int12", "uint12", 3, _fixed(20, overflow=Overflow.SATURATE)),
    _unit("uint1", "int1", 7, _fixed(5)),
    _unit("fixed8_4", "int8", 2, _fixed(31, 6), "float16", overflow=Overflow.INFINITY),
    _unit("int8", "int8", 4, _fixed(24), "int8", rounding=Rounding.NEAREST_AWAY, **_SATURATE),
    _unit("int8", "int8", 4, _fixed(24), "fixed10_m6", rounding=Rounding.UP, overflow=Overflow.WRAP),
    _unit("int16", "int16", 1, _fixed(63)),
    _unit("int8", "int8", 1, _fixed(63, 40, Overflow.SATURATE)),
    _unit("float8_e4m3fn", "float8_e4m3fn", 2, _fixed(30, 18), "float8_e4m3fn", overflow=Overflow.SATURATE),
    _unit("float8_e3m4", "float6_e3m2fn", 2, _fixed(40, 10, Overflow.SATURATE), "float32"),
    _unit("int8", "float8_e5m2", 3, _fixed(50, 16), "float16"),
    _unit("int8", "int8", 2, _fixed(20), "float4_e2m1fn", **_SATURATE),
    *(_unit("float8_e4m3fn", "float8_e5m2", 1, register) for register in _FLOAT_REGISTERS),
    *(_unit("float16", "float16", 1, register) for register in _FLOAT_REGISTERS[::5]),
    *(_unit("float8_e4m3fn", "float8_e4m3fn", 4, register) for register in _FLOAT_REGISTERS[::7]),
    *(_unit("float8_e5m2", "float8_e5m2", 3, register) for register in _FLOAT_REGISTERS[::6]),
    *(
        _unit("float8_e4m3fn", "float8_e5m2", 4, register, alignment=alignment)
        for register in _FLOAT_REGISTERS[::4]
        for alignment in (
            TruncatedAlignment(fraction_bits=0, exp_floor=-133),
            TruncatedAlignment(fraction_bits=25, exp_floor=-133),
            TruncatedAlignment(fraction_bits=13, exp_floor=-6),
            TruncatedAlignment(fraction_bits=13, exp_floor=-133, with_accumulator=False),
            TruncatedAlignment(fraction_bits=40, exp_floor=-4096, with_accumulator=False),
        )
    ),
    _unit("mxfp8_e5m2", "nvfp4", 8, _NEAREST, alignment=TruncatedAlignment(fraction_bits=30, exp_floor=-200)),
    _unit("nvint4", "nvint4", 16, _NEAREST, alignment=TruncatedAlignment(fraction_bits=9, exp_floor=-133)),
    _unit("int8", "float16", 4, _NEAREST, alignment=TruncatedAlignment(fraction_bits=20, exp_floor=-20)),
    _unit("float8_e5m2", "float8_e5m2", 1, _NEAREST, "float8_e5m2", rounding=Rounding.TO_ODD),
    _unit("float8_e4m3fn", "float8_e4m3fn", 2, _NEAREST, "float8_e4m3fnuz", rounding=Rounding.DOWN),
    _unit("float8_e4m3fn", "float8_e4m3fn", 2, _NEAREST, "float16", overflow=Overflow.SATURATE),
]


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_stream_kernel_equals_oracle(unit: DotProductUnit, random_stream: Any, compare: Any, interpreted: bool) -> None:
    source = random.Random(unit.name)
    rounds = 3 if interpreted else 12
    compared = sum(compare(unit, random_stream(source, unit, 16)) for _ in range(rounds))
    assert compared >= 9 * rounds


def test_stream_table_has_every_kind() -> None:
    assert {plan(unit).kind for unit in _UNITS} == {FIXED, GRID, WIDE, SINGLE, TRUNCATED}
    registers = [unit.accumulator for unit in _UNITS if isinstance(unit.accumulator, FloatAccumulator)]
    assert {(register.rounding, register.overflow) for register in registers} == {
        (rounding, overflow) for rounding in DETERMINISTIC for overflow in (Overflow.INFINITY, Overflow.SATURATE)
    }


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e4m3fn_float32", "float8_e5m2_l2_float32", "mxfp8_e5m2_l2"])
def test_stream_corners_crossed(name: str, interpreted: bool) -> None:
    unit = named(name)
    spec = unit.element_a
    assert isinstance(spec, FloatSpec)
    largest = spec.max_magnitude_code
    corners = [0, 1, (1 << spec.man_bits) - 1, 1 << spec.man_bits, largest - 1, largest, spec.nan_code]
    corners += [spec.inf_code] if spec.has_inf else []
    corners += [code | 1 << (spec.bits - 1) for code in corners]
    register: IntegerSpec | FloatSpec = unit.accumulator.format
    starts = [0, 1, (1 << (register.bits - 1)) - 1, 1 << (register.bits - 1), (1 << register.bits) - 1]
    if isinstance(register, FloatSpec):
        starts += [register.inf_code, register.max_magnitude_code, register.nan_code, 1 << register.man_bits]
    scales = [[127, 127], [0, 0], [254, 254], [255, 1]] if unit.scales else [None]
    cases = [(x, y, c, s) for x in corners for y in corners for c in starts for s in scales][:: 7 if interpreted else 1]
    a = np.array([[x] * unit.lanes for x, _, _, _ in cases])
    b = np.array([[y] + [corners[-1]] * (unit.lanes - 1) for _, y, _, _ in cases])
    c = np.array([c for _, _, c, _ in cases], np.uint64)
    marks = np.ones(len(cases), np.bool_)
    given_scales = np.array([s for _, _, _, s in cases]) if unit.scales else None
    found = dot(unit, a, b, marks, marks, c, scales=given_scales)
    expected = dot_exact(
        unit,
        [
            Row(True, True, tuple(map(int, a[i])), tuple(map(int, b[i])), tuple(s or ()), start)
            for i, (_, _, start, s) in enumerate(cases)
        ],
    )
    assert found.tolist() == expected
    assert len(expected) >= len(corners) ** 2 * len(starts) * len(scales) // 7


@given(source=st.randoms(use_true_random=False))
def test_stream_any_unit_equals_oracle(
    source: random.Random, random_unit: Any, random_stream: Any, compare: Any
) -> None:
    unit = random_unit(source)
    try:
        plan(unit)
    except ValueError:  # too wide for the kernels, and says so
        return
    assert compare(unit, random_stream(source, unit, 12)) > 0


def test_stream_many_units_equal_oracle(random_unit: Any, random_stream: Any, compare: Any, interpreted: bool) -> None:
    source = random.Random(20260517)
    compared = kinds = 0
    for _ in range(60 if interpreted else 1200):
        unit = random_unit(source)
        try:
            kinds |= 1 << plan(unit).kind
        except ValueError:
            continue
        compared += compare(unit, random_stream(source, unit, 16))
    assert compared > (500 if interpreted else 10_000)
    assert kinds == 511 or interpreted


@pytest.mark.slow
def test_stream_thousands_of_units_equal_oracle(
    random_unit: Any, random_stream: Any, compare: Any, interpreted: bool
) -> None:
    source = random.Random(20261122)
    compared = 0
    for _ in range(400 if interpreted else 12_000):
        unit = random_unit(source)
        try:
            plan(unit)
        except ValueError:  # too wide for the kernels, and says so
            continue
        compared += compare(unit, random_stream(source, unit, 24))
    assert compared > (5_000 if interpreted else 200_000)


def test_stream_lengths_and_registers() -> None:
    unit = named("int8_l2")
    a = np.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    b = np.ones((4, 2), np.uint8)
    first, last = np.array([True, False, True, False]), np.array([True, True, False, True])
    assert dot(unit, a, b, first, last, np.array([100, 0, 1, 0])).tolist() == [103, 110, 27]
    assert dot(unit, a[:0], b[:0], first[:0], last[:0]).tolist() == []
    assert dot(unit, a, b, first, last).dtype == np.uint32


def test_stream_speed_form_takes_many_rows(interpreted: bool) -> None:
    rows = 2_000 if interpreted else 300_000
    unit = named("int4_l8")
    source = np.random.default_rng(1)
    a, b = source.integers(0, 16, (2, rows, 8))
    marks = np.ones(rows, np.bool_)
    signed = [(codes ^ 8) - 8 for codes in (a, b)]
    expected = (signed[0] * signed[1]).sum(axis=1).astype(np.int32).view(np.uint32)
    assert np.array_equal(dot(unit, a, b, marks, marks), expected)


_RANDOM = dataclasses.replace(
    named("int8_l2_float32"),
    accumulator=FloatAccumulator(
        format=_NEAREST.format,
        rounding=Rounding.STOCHASTIC,
        overflow=Overflow.INFINITY,
        result_man_bits=23,
        random_bits=3,
    ),
)
_ARGUMENTS: dict[str, Any] = {
    "unit": named("int8_l2"),
    "a": np.zeros((3, 2), np.uint8),
    "b": np.zeros((3, 2), np.uint8),
    "first": np.ones(3, np.bool_),
    "last": np.ones(3, np.bool_),
}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"unit": "int8"}, TypeError, "unit must be a DotProductUnit, not 'int8'"),
        ({"a": np.zeros((3, 2))}, TypeError, "a must be an array of integers, the codes of int8, not of float64"),
        ({"b": np.full((3, 2), 256)}, ValueError, "b must hold codes of int8, in 0..2**8 - 1, not 256"),
        (
            {"b": np.full((3, 2), -1)},
            ValueError,
            "b must hold codes of int8, in 0..2**8 - 1, not -1: codes are unsigned, and `b & 0xff` makes them",
        ),
        ({"a": np.zeros((3, 3), int)}, ValueError, "a must have the shape (3, 2), rows and lanes, not (3, 3)"),
        ({"b": np.zeros((2, 2), int)}, ValueError, "b must have the shape (3, 2), rows and lanes, not (2, 2)"),
        ({"first": np.ones(3, int)}, TypeError, "first must be an array of bool, not of int64"),
        ({"last": np.ones(2, bool)}, ValueError, "last must have the shape (3,), a flag a row, not (2,)"),
        ({"c": np.zeros(2, int)}, ValueError, "c must have the shape (3,), a code a row, not (2,)"),
        ({"c": np.full(3, 1 << 32)}, ValueError, "c must hold codes of int32, in 0..2**32 - 1, not 4294967296"),
        (
            {"first": np.zeros(3, bool)},
            ValueError,
            "rows must start with a row that has `first`, for a register has no value before",
        ),
        ({"scales": np.zeros((3, 1), int)}, ValueError, "scales must be None for unit int8_l2_int32, which has none"),
        (
            {"unit": named("mxint8_l2")},
            ValueError,
            "scales must be given for unit mxint8_l2_float32, 2 codes a row",
        ),
        (
            {"unit": named("mxint8_l2"), "scales": np.zeros((3, 1), int)},
            ValueError,
            "scales must have the shape (3, 2), not (3, 1)",
        ),
        (
            {"words": np.zeros(3, int)},
            ValueError,
            "words must be None for unit int8_l2_int32, which does not round stochastically",
        ),
        ({"unit": _RANDOM}, ValueError, f"words must be given for unit {_RANDOM.name}, which rounds stochastically"),
        ({"unit": _RANDOM, "words": np.zeros(3)}, TypeError, "words must be an array of integers, not of float64"),
        (
            {"unit": _RANDOM, "words": np.zeros(2, int)},
            ValueError,
            "words must have the shape (3,), a word a row, not (2,)",
        ),
        ({"unit": _RANDOM, "words": np.full(3, 8)}, ValueError, "words must be in 0..2**3 - 1, not 8"),
        ({"unit": _RANDOM, "words": np.full(3, -1)}, ValueError, "words must be in 0..2**3 - 1, not -1"),
    ],
)
def test_stream_dot_wrong(change: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = _ARGUMENTS | change
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        dot(**arguments)


def test_stream_rows_wrong() -> None:
    row = Row(first=False, last=True, a=(0,), b=(0,))
    with pytest.raises(
        ValueError, match=r"^rows must start with a row that has `first`, for a register has no value befor"
    ):
        dot_exact(named("int8"), [row])


def test_stream_register_of_an_integer_is_signed() -> None:
    unit = named("int8")
    assert isinstance(unit.accumulator.format, IntegerSpec)
    row = Row(first=True, last=True, a=(0xFF,), b=(2,), c=5)
    assert dot_exact(unit, [row]) == [3]
