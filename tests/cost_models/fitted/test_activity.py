# SPDX-License-Identifier: Apache-2.0
"""Toggles of words."""

from itertools import pairwise

import numpy as np
import pytest

from cost_models.fitted.activity import activity, word_toggles
from cost_models.fitted.structure import structure
from hwsim import datapath


@pytest.mark.parametrize("bits", [7, 62, 63, 130])
def test_activity_word_toggles_wide(bits: int) -> None:
    rng = np.random.default_rng(1)
    words = [[int.from_bytes(rng.bytes(24), "little", signed=True) for _ in range(9)] for _ in range(3)]
    mask = (1 << bits) - 1
    expected = sum(((x ^ y) & mask).bit_count() for row in words for x, y in pairwise(row)) / (3 * 8)
    assert word_toggles(np.array(words, object), bits) == expected


def test_activity_coin_tosses() -> None:
    """A bipolar operand is the sign of a normal number: each of two code bits toggles in half of the steps."""
    counts = activity(datapath.named("bipolar"), 2)
    assert 0.95 < counts["inputs"] < 1.05


def test_activity_inputs_do_not_depend_on_the_register() -> None:
    assert (
        activity(datapath.named("float8_e4m3fn"), 2)["inputs"]
        == activity(datapath.named("float8_e4m3fn_float32"), 1)["inputs"]
    )


def test_activity_scales_with_lanes() -> None:
    one, four = (activity(datapath.named(name), 2)["inputs"] for name in ("int8", "int8_l4"))
    assert 3.9 < four / one < 4.1


@pytest.mark.parametrize("name", ["int8", "float8_e4m3fn_float32", "mxfp4_l4", "posit6_1_quire", "nf4"])
def test_activity_no_cell_toggles_more_than_once(name: str) -> None:
    unit = datapath.named(name)
    cells, toggles = structure(unit, 2), activity(unit, 2)
    compared = 0
    for stage, count in cells.items():
        if stage in toggles:
            assert 0 <= toggles[stage] <= count
            compared += 1
    assert compared > 20
