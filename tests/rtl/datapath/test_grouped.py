# SPDX-License-Identifier: Apache-2.0
"""Truncating steps with several scales, with groups of products, and with rounded addends, against the oracle."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwsim.datapath import TruncatedAlignment, named
from hwsim.formats import BlockSpec, Rounding

_NVFP4, _MXFP4 = named("nvfp4"), named("mxfp4_l16")
assert isinstance(_NVFP4.a, BlockSpec)
assert isinstance(_MXFP4.a, BlockSpec)
_PAIRS, _FOURS = replace(_MXFP4.a, block_size=2), replace(_NVFP4.a, block_size=4)


@pytest.mark.parametrize(
    ("a", "b", "lanes", "alignment"),
    [
        (_FOURS, _FOURS, 8, {"fraction_bits": 35, "exp_floor": -133, "group": 4}),
        (_PAIRS, _FOURS, 4, {"fraction_bits": 12, "exp_floor": -20, "group": 2, "with_accumulator": False}),
        (_PAIRS, _FOURS, 4, {"fraction_bits": 9, "exp_floor": -133, "rounding": Rounding.DOWN}),
    ],
)
def test_several_scales_are_the_oracle(
    compare: Callable[..., int], a: BlockSpec, b: BlockSpec, lanes: int, alignment: dict[str, Any]
) -> None:
    unit = replace(_NVFP4, a=a, b=b, lanes=lanes, alignment=TruncatedAlignment(**alignment))
    assert compare(unit, count=30) > 25


@pytest.mark.parametrize(
    ("rounding", "fraction_bits"),
    [(Rounding.NEAREST_EVEN, 5), (Rounding.UP, 0), (Rounding.TO_ODD, 24), (Rounding.NEAREST_AWAY, 7)],
)
def test_rounded_addends_are_the_oracle(compare: Callable[..., int], rounding: Rounding, fraction_bits: int) -> None:
    alignment = TruncatedAlignment(fraction_bits=fraction_bits, exp_floor=-30, rounding=rounding)
    assert compare(replace(named("float8_e4m3fn_l4_float32"), lanes=2, alignment=alignment), count=30) > 25
