# SPDX-License-Identifier: Apache-2.0
"""Costs as CSV: what is written is read back."""

from dataclasses import replace

import pytest

from cost_models import Cost, Point
from cost_models.table import COLUMNS, from_csv, to_csv

CELLS = Cost(
    unit="int8_l1_int32", technology="asap7", source="", tools="yosys 1.0", netlist_hash="ab" * 32, rtl_hash="cd" * 32,
    pipeline=3, architecture="booth_heap", recipe="area_cells", verified_vectors=65536, area_um2=50.25, delay_ps=600.5,
    wired_delay_ps=700.0, leakage_uw=0.125, energy_pj=0.5, energy_upper_pj=1.5, clock_energy_pj=0.25, ff=48,
    operands="normal; 64 steps", area_by_stage={"multiply": 30.0, "accumulate": 20.25},
    energy_by_stage={"multiply": 0.25, "accumulate": 0.25}, energy_upper_by_stage={"multiply": 1.0, "accumulate": 0.5},
    front=(Point("tool", "area", 40.0, 900.0), Point("booth_heap", "area_cells", 50.25, 600.5)), area_spread=0.25,
    delay_spread=0.5, seconds=3.5,
)  # fmt: skip
FPGA = Cost(
    unit="int4_l1_int32", technology="ecp5", source="", tools="yosys 1.0", architecture="tool", lut=60, ff=48, dsp=0,
    carry=16, lut_spread=0.5, fmax_mhz=200.5, fmax_spread=0.0625, structures="tool", clock_mhz=500.0,
)  # fmt: skip


def test_table_round_trip() -> None:
    text = to_csv([CELLS, FPGA])
    assert text.splitlines()[0].split(",") == list(COLUMNS)
    assert len(text.splitlines()) == 3
    fpga, cells = from_csv(text, "file.csv")
    assert replace(cells, source="") == CELLS
    assert replace(fpga, source="") == FPGA
    assert cells.source == f"measured with yosys 1.0; booth_heap area_cells; netlist {'ab' * 6}"
    assert fpga.source == "measured with yosys 1.0; tool; netlist "


def test_table_is_sorted_and_has_seven_digits() -> None:
    text = to_csv([replace(CELLS, unit="b"), replace(CELLS, unit="a", area_um2=1.23456789)])
    first, second = (line.split(",") for line in text.splitlines()[1:])
    assert (first[0], second[0]) == ("a", "b")
    assert first[COLUMNS.index("area_um2")] == "1.234568"


def test_table_later_column_is_left_out_and_a_missing_one_has_its_default() -> None:
    lines = ["unit,technology,colour,area_um2", "u,asap7,red,2.5"]
    (cost,) = from_csv("\n".join(lines), "file.csv")
    assert (cost.unit, cost.area_um2, cost.front, cost.pipeline) == ("u", 2.5, (), 2)


@pytest.mark.parametrize(
    ("column", "cell"), [("area_um2", "much"), ("lut", "1.5"), ("front", "tool/area=40"), ("area_by_stage", "multiply")]
)
def test_table_cell_wrong(column: str, cell: str) -> None:
    with pytest.raises(ValueError, match=rf"^file\.csv, line 2: {column} cannot be read from '{cell}'$"):
        from_csv(f"unit,technology,{column}\nu,asap7,{cell}", "file.csv")
