# SPDX-License-Identifier: Apache-2.0
"""Constants in place of ours: what is taken, what the source then says, and what is refused."""

import re

import pytest

from cost_models.memory import dram, overridden, register, sram
from cost_models.technologies import Technology, read


def test_tables_overridden() -> None:
    known = dram("hbm2")
    found = overridden(known, {"row_pj": 500, "page_policy": "closed"}, "memory.dram")
    assert (found.row_pj, found.page_policy, found.io_pj_per_bit) == (500.0, "closed", known.io_pj_per_bit)
    assert found.source == f"{known.source}; by the user: row_pj = 500.0, page_policy = closed"
    assert overridden(known, {}, "memory.dram") is known
    assert overridden(sram(65536, 64), {"leakage_mw": 0}, "memory.weights").leakage_mw == 0
    technology = read("asap7")
    assert isinstance(technology, Technology)
    assert overridden(register(technology), {"toggle_rate": 0.1}, "memory.registers").toggle_rate == 0.1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"row": 500}, "memory.dram: key 'row' lacks its unit: write 'row_pj'"),
        ({"row_pjs": 500}, "memory.dram: unknown key 'row_pjs'; did you mean 'row_pj'?"),
        ({"zzz": 500}, "memory.dram: unknown key 'zzz'; the keys are name, row_pj, row_bytes, "),
        ({"row_pj": "500"}, "memory.dram: row_pj must be a number, not '500'"),
        ({"row_pj": True}, "memory.dram: row_pj must be a number, not True"),
        ({"row_bytes": 0.5}, "memory.dram: row_bytes must be an integer, not 0.5"),
        ({"page_policy": 1}, "memory.dram: page_policy must be a string, not 1"),
        ({"row_pj": -1}, "memory.dram: row_pj must be finite and at least 0, not -1.0"),
        ({"row_pj": float("inf")}, "memory.dram: row_pj must be finite and at least 0, not inf"),
    ],
)
def test_tables_overridden_wrong(values: dict[str, float | int | str], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        overridden(dram("hbm2"), values, "memory.dram")
