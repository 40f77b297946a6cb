# SPDX-License-Identifier: Apache-2.0
"""Rows are measured several at a time, kept, gone on with, and measured again."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import cost_models
from cost_models import Cost, measurements
from cost_models.table import from_csv
from hwsim.catalog import Outcome, Row, build, check, expected_seconds, left, ship_table

ROWS = (Row("int2_l1_int32", "gf180", 2), Row("int2_l1_int32", "gowin", 2), Row("int2_l1_int32", "gf180", 99))


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))


def test_build_keeps_goes_on_and_checks() -> None:
    told: list[tuple[Outcome, int, float]] = []
    assert left(ROWS) == ROWS
    outcomes = {each.row: each for each in build(ROWS, workers=1, report=lambda *each: told.append(each))}
    assert [done for _, done, _ in told] == [1, 2, 3]
    assert told[-1][2] == 0.0
    cells, fpga, wrong = (outcomes[row] for row in ROWS)
    assert wrong.error.startswith("ValueError: pipeline must be")
    assert cells.cost is not None
    assert cells.cost.verified_vectors > 1000
    assert 0 < cells.cost.seconds < 120
    assert fpga.cost is not None
    assert fpga.cost.lut
    assert cost_models.estimate("int2_l1_int32", "gf180").area_um2 == cells.cost.area_um2

    # What is done is not done again; what is left takes what a row took.
    assert left(ROWS) == ROWS[2:]
    assert expected_seconds(ROWS[:1]) == cells.cost.seconds
    with pytest.raises(ValueError, match=r"^gf180: \d+ rows of the plan are not measured, the first "):
        ship_table("gf180")

    # Measured again from nothing, it is the same; a figure that was tampered with is found.
    assert check(ROWS[1]).holds
    cost_models.save(replace(fpga.cost, lut=1))
    found = check(ROWS[1])
    assert not found.holds
    assert found.differences == (f"lut: kept 1, measured {fpga.cost.lut}",)


@pytest.mark.slow
def test_check_of_standard_cells() -> None:
    list(build(ROWS[:1], workers=1, report=lambda *_: None))
    assert check(ROWS[0]).holds


def test_check_of_what_was_never_measured() -> None:
    with pytest.raises(cost_models.NotMeasuredError, match=r"^no measured cost of unit 'int11_l1_int34' "):
        check(Row("int11_l1_int34", "gf180", 2))


@pytest.mark.slow
def test_ship_table_leaves_rows_of_one_structure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_FOLDER", tmp_path)
    monkeypatch.setattr(import_module("hwsim.catalog.build"), "plan", lambda _: (ROWS[1],))
    (measured,) = build(ROWS[1:2], workers=1, report=lambda *_: None)
    assert measured.cost is not None
    apart = replace(measured.cost, structures="tool", lut=77)
    measurements.ship("gowin", iter([apart, replace(measured.cost, lut=99)]))
    rows = from_csv(ship_table("gowin").read_text(encoding="utf-8"), "gowin.csv")
    assert [(row.structures, row.lut) for row in rows] == [("all", measured.cost.lut), ("tool", 77)]


def test_ship_table_adds_to_rows_of_the_rtl_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("hwsim.catalog.build")
    monkeypatch.setattr(measurements, "_FOLDER", tmp_path)
    rows = (Row("int8_l1_int32", "gf180", 2), Row("int4_l1_int32", "gf180", 2))
    monkeypatch.setattr(module, "plan", lambda _: rows)
    monkeypatch.setattr(module.study, "rtl_hash", lambda unit, pipeline: f"{unit.name} {pipeline}")
    kept = Cost(
        unit="int8_l1_int32", technology="gf180", source="", pipeline=2, area_um2=1.5, rtl_hash="int8_l1_int32 2"
    )
    fresh = replace(kept, unit="int4_l1_int32", area_um2=0.5, rtl_hash="int4_l1_int32 2")
    measurements.keep(fresh)
    measurements.ship("gf180", iter([kept, replace(fresh, area_um2=9.0)]))
    with pytest.raises(ValueError, match=r"^gf180: 1 rows of the plan are not measured, the first int8_l1_int32$"):
        ship_table("gf180")
    shipped = from_csv(ship_table("gf180", add=True).read_text(encoding="utf-8"), "gf180.csv")
    assert [(row.unit, row.area_um2) for row in shipped] == [("int4_l1_int32", 0.5), ("int8_l1_int32", 1.5)]
    measurements.ship("gf180", iter([replace(kept, rtl_hash="another"), fresh]))
    with pytest.raises(ValueError, match=r"^gf180: 1 rows of the plan are not measured, the first int8_l1_int32$"):
        ship_table("gf180", add=True)
