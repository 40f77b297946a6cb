# SPDX-License-Identifier: Apache-2.0
"""Units with a second register against the oracle."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import FixedAccumulator, FloatAccumulator, Promotion, TruncatedAlignment, named
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from rtl import ranks
from rtl.architecture import ARCHITECTURES

_FLOAT32 = formats.named("float32")
assert isinstance(_FLOAT32, FloatSpec)
_OUTER = FloatAccumulator(
    format=_FLOAT32, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=23
)
_CUT = TruncatedAlignment(fraction_bits=13, exp_floor=-133)
_WRAP = FixedAccumulator(bits=18, fraction_bits=0, overflow=Overflow.WRAP)
_WIDE = FixedAccumulator(bits=20, fraction_bits=2, overflow=Overflow.SATURATE)
_TO_FIXED: dict[str, Any] = {
    "accumulator": _WRAP,
    "promotion": Promotion(length=6, accumulator=_WIDE),
    "output": IntegerSpec(bits=20, fraction_bits=2),
}


@pytest.mark.parametrize(
    ("name", "changes", "built"),
    [
        (
            "float8_e4m3fn_l4_float32",
            {
                "lanes": 2,
                "alignment": _CUT,
                "accumulator": replace(_OUTER, rounding=Rounding.TOWARD_ZERO, result_man_bits=13),
                "promotion": Promotion(length=6, accumulator=_OUTER),
                "output": formats.named("bfloat16"),
            },
            {"pipeline": 4},
        ),
        (
            "float8_e4m3fn",
            {
                "lanes": 1,
                "accumulator": FixedAccumulator(bits=40, fraction_bits=18, overflow=Overflow.SATURATE),
                "promotion": Promotion(length=3, accumulator=_OUTER),
                "output": _FLOAT32,
                "flush_operands": True,
            },
            {"pipeline": 1},
        ),
        ("int8_l2", _TO_FIXED, {}),
        ("int8_l2", _TO_FIXED, {"architecture": ARCHITECTURES["carry_save"]}),
    ],
)
def test_promoted_core_is_the_oracle(
    compare: Callable[..., int], name: str, changes: dict[str, Any], built: dict[str, Any]
) -> None:
    assert compare(replace(named(name), **changes), count=40, **built) > 35


def test_promotion_is_a_rank() -> None:
    unit = replace(named("int8_l2"), **_TO_FIXED)
    assert ranks(unit) == ("multiply", "align_add", "accumulate", "promote")
