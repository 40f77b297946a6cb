# SPDX-License-Identifier: Apache-2.0
import itertools
import random
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath.round_pack import round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec, Overflow, Rounding
from hwsim.formats.rounding import DETERMINISTIC
from rtl.arithmetic.rounder import Rounder, RounderSpec

_BITS = 9


def _scalar(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _spec(name: str, rounding: Rounding, overflow: Overflow, tops: tuple[int, int], **more: Any) -> RounderSpec:
    spec = _scalar(name)
    fields: dict[str, Any] = {
        "man_bits": spec.man_bits,
        "nan_code": spec.nan_code if spec.has_nan else 0,
        "bits": _BITS,
        "special_bits": 0,
    }
    fields |= {"normalised": False} | more
    return RounderSpec(format=spec, rounding=rounding, overflow=overflow, top_min=tops[0], top_max=tops[1], **fields)


def _expected(spec: RounderSpec, value: int, negative: int, top: int) -> int:
    signed = -value if negative else value
    term = Term(signed, top - spec.format.bias - (spec.bits - 2), 0)
    return round_pack_exact(spec.format, term, spec.rounding, spec.overflow, man_bits=spec.man_bits)


@pytest.mark.parametrize("rounding", DETERMINISTIC)
@pytest.mark.parametrize(
    ("name", "overflow", "man_bits"),
    [
        ("float8_e4m3fn", Overflow.INFINITY, 3),
        ("float8_e4m3fn", Overflow.SATURATE, 3),
        ("float8_e4m3fnuz", Overflow.INFINITY, 3),
        ("float8_e5m2", Overflow.INFINITY, 2),
        ("float8_e3m4", Overflow.SATURATE, 2),
        ("float4_e2m1fn", Overflow.SATURATE, 1),
    ],
)
def test_rounder_every_value(evaluate: Any, name: str, overflow: Overflow, man_bits: int, rounding: Rounding) -> None:
    spec = _scalar(name)
    highest = spec.max_magnitude_code >> spec.man_bits
    tops = (-3, highest + 2)
    unit = _spec(name, rounding, overflow, tops, man_bits=man_bits)
    half = 1 << (_BITS - 1)
    source = random.Random(name)
    every = list(itertools.product(range(-half, half), (0, 1), (-3, 0, 1, 2, highest, tops[1])))
    points = source.sample(every, 800)
    seen = evaluate(
        Rounder(unit), [{"value": value, "negative": negative, "top": top} for value, negative, top in points], "code"
    )
    assert seen == [_expected(unit, *point) for point in points]


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m3fnu"])
@pytest.mark.parametrize("overflow", [Overflow.INFINITY, Overflow.SATURATE])
def test_rounder_specials(evaluate: Any, name: str, overflow: Overflow) -> None:
    unit = _spec(name, Rounding.NEAREST_EVEN, overflow, (1, 4), special_bits=2)
    inputs = [
        {"value": value, "negative": 0, "top": 3, "special": special} for value in (-200, 0, 99) for special in range(4)
    ]
    expected = []
    for row in inputs:
        term = Term(0 if row["special"] else row["value"], 3 - unit.format.bias - (_BITS - 2), 0, row["special"])
        expected.append(round_pack_exact(unit.format, term, unit.rounding, overflow))
    assert evaluate(Rounder(unit), inputs, "code") == expected
