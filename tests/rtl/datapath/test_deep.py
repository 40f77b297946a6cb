# SPDX-License-Identifier: Apache-2.0
"""Deep pipelines: equal to the model, as many cycles as asked, and shorter paths with more ranks."""

import dataclasses

import pytest

from hwsim import datapath
from hwsim.datapath import DotProductUnit
from hwsim.datapath.unit import Promotion
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.balanced import row_part, split
from rtl.datapath.ranks import chosen_ranks, depth
from rtl.part import Boxes
from rtl.pipelined_netlist import netlist_of
from rtl.pipelining import placed
from testbenches.units import check_unit

FUSED = dataclasses.replace(datapath.named("hopper_e4m3_e4m3_float32"), lanes=2)


@pytest.mark.parametrize(
    ("unit", "pipeline", "architecture"),
    [
        pytest.param(datapath.named("int4_l2"), 6, "tool", marks=pytest.mark.slow),
        pytest.param(datapath.named("float4_e2m1fn_l2"), 7, "carry_save", marks=pytest.mark.slow),
        (datapath.named("mxfp4_l2"), 5, "booth_heap"),
        (FUSED, 4, "tool"),
    ],
    ids=["int4", "carry_save", "mxfp4", "fused"],
)
def test_deep_equal(unit: DotProductUnit, pipeline: int, architecture: str) -> None:
    """Rows with pauses on either side; `check_unit` also holds the latency to the number of ranks."""
    how = ARCHITECTURES[architecture]
    report = check_unit(unit, pipeline=pipeline, architecture=how, rows=3000)
    assert report.rows >= 3000
    assert len(chosen_ranks(unit, pipeline, how)) == pipeline


def test_deep_names() -> None:
    """What the header says: the ranks in front, the accumulator's, those behind."""
    unit = datapath.named("float4_e2m1fn_l2")
    names = chosen_ranks(unit, 6)
    assert names.count("accumulate") == 1
    ahead = names.index("accumulate")
    assert names[:ahead] == tuple(f"row {index + 1}" for index in range(ahead))
    assert names[ahead + 1 :] == tuple(f"result {index + 1}" for index in range(5 - ahead))
    assert ahead >= 1
    assert ahead < 5


def test_deep_split_is_the_best() -> None:
    """No other split has a shorter longest path."""
    unit, how = datapath.named("float8_e4m3fn_l2"), Architecture()
    ahead, behind = split(unit, how, 6)
    assert ahead + behind == 5
    row = netlist_of(Boxes("t").apart(row_part(unit, how))[1])
    assert placed(row, ahead).period < placed(row, 1).period


def test_deep_wrong() -> None:
    unit = datapath.named("int8")
    assert depth(unit, 32) == 32
    with pytest.raises(ValueError, match=r"^pipeline must be in 1\.\.32 for int8_l1_int32 \(.*\), not 33$"):
        depth(unit, 33)
    float32 = datapath.named("float8_e4m3fn_l4_float32")
    promoted = dataclasses.replace(
        float32,
        promotion=Promotion(length=8, accumulator=float32.accumulator),
    )
    with pytest.raises(ValueError, match=r"^pipeline must be in 1\.\.\d for .*, not 9$"):
        depth(promoted, 9)
