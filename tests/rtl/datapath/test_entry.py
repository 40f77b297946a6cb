# SPDX-License-Identifier: Apache-2.0
"""Operands as they enter: bits dropped, another format, subnormals flushed; against the oracle and plain arithmetic."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, named
from hwsim.datapath.accumulate import drop_bits_exact
from hwsim.formats import FloatSpec, Rounding
from rtl.datapath.entry import Enter, entered

_MAC = replace(named("float16_l4_float32"), lanes=1)


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _codes(evaluate: Any, unit: DotProductUnit, codes: list[int]) -> list[int]:
    found: list[int] = evaluate(Enter(unit, unit.element_a, 1), [{"codes": code} for code in codes], "entered")
    return found


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("float8_e4m3fn", "float16"),
        ("float8_e5m2", "float16"),
        ("float8_e4m3fnuz", "bfloat16"),
        ("float8_e5m2", "float8_e5m2"),
        ("float4_e2m1fn", "float8_e4m3fnuz"),
        ("float6_e3m2fn", "float8_e4m3"),
    ],
)
def test_enter_unpacks_every_code(evaluate: Any, narrow: str, wide: str) -> None:
    source, target = _float(narrow), _float(wide)
    unit = replace(_MAC, a=source, b=source, unpacked=target)
    codes = np.arange(1 << source.bits)
    expected = target.encode(source.decode(codes.astype(np.uint8)), overflow="infinity")
    assert _codes(evaluate, unit, codes.tolist()) == expected.tolist()


@pytest.mark.parametrize("rounding", [Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN])
def test_enter_drops_bits(evaluate: Any, rounding: Rounding) -> None:
    spec = _float("float8_e5m2")
    unit = replace(_MAC, a=spec, b=spec, ignored_bits=3, operand_rounding=rounding)
    codes = list(range(1 << 11))
    expected = [drop_bits_exact(spec, code, 3, rounding) for code in codes]
    assert _codes(evaluate, unit, codes) == expected


@pytest.mark.parametrize("name", ["float8_e4m3fnuz", "float8_e5m2"])
def test_enter_flushes_subnormals(evaluate: Any, name: str) -> None:
    spec = _float(name)
    unit = replace(_MAC, a=spec, b=spec, flush_operands=True)
    codes = np.arange(256, dtype=np.uint8)
    values = spec.decode(codes)
    least = 2.0 ** (spec.exp_min + spec.man_bits)
    expected = spec.encode(np.where(np.abs(values) < least, np.copysign(0.0, values), values), overflow="infinity")
    seen = np.array(_codes(evaluate, unit, codes.tolist()))
    number = ~np.isnan(values)
    assert (seen[number] == expected[number]).all()
    assert np.isnan(spec.decode(seen[~number].astype(np.uint8))).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"flush_operands": True},
        {"ignored_bits": 2, "operand_rounding": Rounding.NEAREST_EVEN},
        {"a": _float("float8_e4m3fn"), "b": _float("float8_e5m2"), "unpacked": _float("float16"), "order": (1, 0)},
    ],
)
def test_entry_of_a_core_is_the_oracle(compare: Callable[..., int], changes: dict[str, Any]) -> None:
    assert compare(replace(_MAC, **changes), count=40) > 35


def test_entered_is_the_unit_itself_where_nothing_changes() -> None:
    assert entered(_MAC) is _MAC
