# SPDX-License-Identifier: Apache-2.0
"""Trees of rounding adders and cascaded sums against the oracle."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwsim import formats
from hwsim.datapath import CascadedAlignment, PairwiseAlignment, named

_FLOAT = replace(named("float8_e4m3fn_l4_float32"), lanes=2)


def _both(name: str) -> dict[str, Any]:
    return {"a": formats.named(name), "b": formats.named(name)}


@pytest.mark.parametrize(("changes", "lanes"), [(_both("float8_e5m2"), 4), (_both("bfloat16"), 1)])
def test_pairwise_core_is_the_oracle(compare: Callable[..., int], changes: dict[str, Any], lanes: int) -> None:
    assert compare(replace(_FLOAT, alignment=PairwiseAlignment(), **changes | {"lanes": lanes}), count=16) > 15


@pytest.mark.parametrize(
    ("changes", "alignment"),
    [
        (_both("float16"), (24, 31, 24, 1, 0)),
        (_both("bfloat16"), (9, 10, 7, 1, 0)),
        (_both("float8_e5m2fnuz") | {"lanes": 4}, (24, 31, 24, 2, 25)),
        ({"a": formats.named("int8"), "lanes": 3}, (6, 4, 9, 2, 5)),
    ],
)
def test_cascaded_core_is_the_oracle(
    compare: Callable[..., int], changes: dict[str, Any], alignment: tuple[int, int, int, int, int]
) -> None:
    names = ("fraction_bits", "sum_fraction_bits", "register_fraction_bits", "parts", "register_reach")
    spec = CascadedAlignment(**dict(zip(names, alignment, strict=True)))
    assert compare(replace(_FLOAT, alignment=spec, **changes), count=30) > 25
