# SPDX-License-Identifier: Apache-2.0
"""Features of a unit, its kind and its formats."""

import pytest

from cost_models.fitted.features import TOGGLES, features, formats_of, kind_of
from hwsim import datapath


@pytest.mark.parametrize(
    ("name", "kind", "held_out"),
    [
        ("int8", "integer x integer, fixed", {"int8"}),
        ("uint8", "integer x integer, fixed", {"int8"}),
        ("float8_e4m3fnuz_float32", "float x float, float", {"e4m3"}),
        ("mxfp8_e4m3_l4", "block float x block float, float", {"e4m3"}),
        ("int4_by_float16_float32", "float x integer, float", {"int4", "e5m10"}),
        ("posit8_0_quire", "posit x posit, fixed", {"posit8_0"}),
        ("nf4_by_int8", "codebook x integer, fixed", {"nf4", "int8"}),
    ],
)
def test_features_kind_and_formats(name: str, kind: str, held_out: set[str]) -> None:
    unit = datapath.named(name)
    assert kind_of(unit) == kind
    assert formats_of(unit) == held_out


def test_features_are_repeatable_and_not_negative() -> None:
    unit = datapath.named("float6_e3m2fn_l4")
    own = features(unit, 2)
    assert own == features(unit, 2)
    assert min(own.values()) >= 0
    assert sum(name.startswith(TOGGLES) for name in own) > 20
