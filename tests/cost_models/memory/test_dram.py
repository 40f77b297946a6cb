# SPDX-License-Identifier: Apache-2.0
"""DRAM: rows counted by hand for each page policy, and the split that the paper prints."""

import re
from dataclasses import replace
from typing import Any

import pytest

from cost_models.memory import Dram, Stream, dram, dram_names

HBM2 = dram("hbm2")  # rows of 1024 bytes, accesses of 32
STREAMS = [Stream(8 * 1024), Stream(8 * 1025, 3), Stream(1)]


def test_dram_hbm2_split() -> None:
    # O'Connor et al., MICRO 2017, table 3: 909 pJ a row; 1.51, 1.17 and 0.80 pJ/bit
    assert (HBM2.row_pj, HBM2.row_bytes) == (909, 1024)
    assert HBM2.array_pj_per_bit == pytest.approx(1.51 + 1.17)
    assert HBM2.io_pj_per_bit == 0.80
    assert HBM2.energy_pj(100, 2) == pytest.approx(2 * 909 + 100 * 3.48)
    # section 2 there: 1.21 pJ/bit of activation at the applications' mean locality: 94 of a row's 1024 bytes
    mean = replace(HBM2, page_policy="hit_rate", row_hit_rate=1 - 256 / 751)
    accesses = 10**6
    rows = mean.activations([Stream(256 * accesses)])
    assert rows * 909 / (256 * accesses) == pytest.approx(1.21, rel=1e-3)
    # a row used whole, and an access a row
    assert HBM2.energy_pj_per_bit == pytest.approx(3.48 + 909 / 8192)
    assert replace(HBM2, page_policy="closed").energy_pj_per_bit == pytest.approx(3.48 + 909 / 256)


@pytest.mark.parametrize(
    ("policy", "rate", "rows"),
    [
        ("open", 0.0, 1 + 3 * 2 + 1),
        ("closed", 0.0, 32 + 3 * 33 + 1),
        ("hit_rate", 0.75, 8 + 3 * 9 + 1),  # a quarter of 32, of 33 and of 1 access, rounded up
        ("hit_rate", 1.0, 0),
    ],
)
def test_dram_activations_by_hand(policy: str, rate: float, rows: int) -> None:
    assert replace(HBM2, page_policy=policy, row_hit_rate=rate).activations(STREAMS) == rows


def test_dram_flat() -> None:
    assert dram("hbm2_flat").energy_pj_per_bit == 3.9
    assert dram("ddr3").energy_pj_per_bit == 70
    assert not dram("lpddr4").counts_rows
    assert dram("lpddr4").energy_pj(1000, 5) == 8000
    for name in dram_names():
        known = dram(name)
        assert known.name == name
        assert 1 < known.energy_pj_per_bit < 100
        assert known.source
    assert len(dram_names()) == 11


def test_dram_wrong() -> None:
    with pytest.raises(LookupError, match=r"^DRAM 'hbm' is unknown; close matches: hbm2"):
        dram("hbm")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"page_policy": "ajar"}, "page_policy must be one of open, closed, hit_rate, not 'ajar'"),
        ({"page_policy": "hit_rate", "row_hit_rate": 1.5}, "row_hit_rate must be in 0..1, not 1.5"),
        ({"row_hit_rate": 0.5}, "row_hit_rate must be 0 with page_policy 'open', not 0.5"),
        ({"burst_bytes": 2048}, "burst_bytes must be 1 to row_bytes, 1024, not 2048"),
        ({"burst_bytes": 0}, "burst_bytes must be 1 to row_bytes, 1024, not 0"),
    ],
)
def test_dram_fields_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Dram(**{"name": "mine", "array_pj_per_bit": 1.0, "source": "me", **change})
