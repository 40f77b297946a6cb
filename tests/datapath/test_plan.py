# SPDX-License-Identifier: Apache-2.0
import dataclasses
import random
import re
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    PairwiseAlignment,
    TruncatedAlignment,
    matmul,
    named,
)
from hwsim.datapath.plan import FIXED, FUSED, GRID, LIMBS, SINGLE, TRUNCATED, WIDE, plan
from hwsim.formats import IntegerSpec, Overflow, Rounding


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("int8", FIXED),
        ("float8_e4m3fn", FIXED),
        ("float8_e4m3fn_float32", SINGLE),
        ("float32", SINGLE),
        ("float8_e4m3fn_l4_float32", GRID),
        ("mxfp8_e4m3", GRID),
        ("nvfp4", GRID),
        ("mxfp8_e5m2", WIDE),
        ("float16_l4_float32", WIDE),
        ("hopper_e5m2_e5m2_float32", TRUNCATED),
        ("bfloat16_l2_float32", LIMBS),
        ("float64_l1_float32", LIMBS),
        ("float64_float64", FUSED),
    ],
)
def test_plan_kind(name: str, kind: int) -> None:
    assert plan(named(name)).kind == kind


def _integers(a_bits: int, b_bits: int, lanes: int, bits: int, fraction_bits: int = 0) -> DotProductUnit:
    register = FixedAccumulator(bits=bits, fraction_bits=fraction_bits, overflow=Overflow.WRAP)
    return DotProductUnit(
        a=IntegerSpec(bits=a_bits),
        b=IntegerSpec(bits=b_bits),
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=register,
        output=register.format if bits <= 64 else IntegerSpec(bits=64),
        overflow=Overflow.WRAP,
    )


def _truncated(name: str, fraction_bits: int, lanes: int) -> DotProductUnit:
    spec = formats.named(name)
    hopper = named("hopper_e4m3_e4m3_float32")
    assert isinstance(hopper.accumulator, FloatAccumulator)
    return dataclasses.replace(
        hopper,
        accumulator=dataclasses.replace(hopper.accumulator, rounding=Rounding.NEAREST_EVEN),
        a=spec,
        b=spec,
        lanes=lanes,
        alignment=TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=-133),
    )


_CASCADED = CascadedAlignment(fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24)


@pytest.mark.parametrize(
    "unit",
    [
        _integers(32, 31, 1, 63),
        _integers(8, 8, 1, 63, 46),
        _truncated("float8_e4m3fn", 53, 32),
        _truncated("float32", 23, 4),
        named("float16_l64_float32"),
        named("bfloat16_l2_float32"),
        named("float64_l1_float32"),
        dataclasses.replace(named("float64_l1_float32"), lanes=1024),
        dataclasses.replace(named("mxfp8_e5m2"), lanes=64),
    ],
    ids=lambda unit: unit.name,
)
def test_plan_takes_the_widest(unit: DotProductUnit, random_stream: Any, compare: Any) -> None:
    for seed in range(6):
        assert compare(unit, random_stream(random.Random(seed), unit, 12)) > 0


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (_integers(8, 8, 1, 64), "the register of unit int8_l1_int64 needs 64 bits, and the kernels take 63"),
        (
            _integers(32, 32, 1, 63),
            "the sum of a step of unit int32_l1_int63 needs 63 bits, and the kernels take 62",
        ),
        (
            _integers(8, 8, 1, 63, 48),
            "the sum of a step of unit int8_l1_fixed63_f48 needs 63 bits, and the kernels take 62",
        ),
        (
            dataclasses.replace(named("float64_l1_float32"), lanes=2, alignment=PairwiseAlignment()),
            "a product of unit float64_l2_pairwise_float32 needs 106 bits, and the kernels take 60",
        ),
        (
            dataclasses.replace(named("float64_l1_float32"), alignment=_CASCADED),
            "a product of unit float64_l1_cascaded24_31_24_float32 needs 106 bits, and the kernels take 62",
        ),
        (
            _truncated("float8_e5m2", 56, 9),
            (
                "the sum of a step of unit float8_e5m2_l9_t56_floorm133_float32_m13_ones needs 61 bits, "
                "and the kernels take 60"
            ),
        ),
        (
            _truncated("float64", 20, 1),
            "an addend of unit float64_l1_t20_floorm133_float32_m13_ones needs 106 bits, and the kernels take 62",
        ),
    ],
)
def test_plan_unit_wrong(unit: DotProductUnit, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}: only step_exact runs this unit$"):
        plan(unit)
    if isinstance(unit.accumulator, FloatAccumulator):  # a wide fixed one is a path's, not the kernels'
        with pytest.raises(ValueError, match=f"^{re.escape(text)}: only step_exact runs this unit$"):
            matmul(unit, [[0]], [[0]])
