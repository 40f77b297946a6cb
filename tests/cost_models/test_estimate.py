# SPDX-License-Identifier: Apache-2.0
"""Measured costs by name: the user's own, those of the package, and what is said where there is none."""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

import cost_models
from cost_models import Cost, Point, measurements
from cost_models.fitted import NotFittedError
from cost_models.technologies import names
from hwsim.datapath import named

COST = Cost(
    unit="int8", technology="asap7", source="measured with tool 1.0", netlist_hash="ab", area_um2=50.0, delay_ps=600.0,
    energy_pj=0.1, operands="uniform", verified_vectors=65536, front=(Point("tool", "area", 50.0, 600.0),),
    area_by_stage={"multiply": 50.0},
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    name: str


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "user"))
    monkeypatch.setattr(measurements, "_FOLDER", tmp_path / "package")
    return tmp_path


def test_estimate_own_measurement() -> None:
    cost_models.save(COST)
    expected = replace(COST, source="measured with tool 1.0 (own measurement)", shipped=False)
    assert cost_models.estimate("int8", "asap7") == expected
    assert cost_models.estimate(Unit("int8"), technology="asap7") == expected
    assert list(cost_models.catalog("asap7")) == [expected]


def test_estimate_record_of_another_version(empty_store: Path) -> None:
    folder = empty_store / "user" / "costs" / "asap7"
    folder.mkdir(parents=True)
    (folder / "int8_p2.json").write_text(json.dumps(asdict(COST) | {"later_field": 1}), encoding="utf-8")
    assert cost_models.estimate("int8", "asap7").area_um2 == 50.0


def test_estimate_shipped() -> None:
    path = measurements.ship("asap7", iter([COST, replace(COST, unit="int4", area_um2=25.0)]))
    assert path == measurements.shipped_path("asap7")
    found = cost_models.estimate("int4", "asap7")
    assert found.source.endswith("(shipped with the package)")
    assert (found.shipped, found.area_um2, found.front) == (True, 25.0, COST.front)
    cost_models.save(replace(COST, area_um2=51.0))
    assert [cost.area_um2 for cost in cost_models.catalog("asap7")] == [25.0, 51.0]
    assert cost_models.estimate("int8", "asap7").area_um2 == 51.0


def test_estimate_tables_that_change_are_read_again() -> None:
    for area in (1.0, 2.0):
        measurements.ship("asap7", iter([replace(COST, area_um2=area)]))
        assert cost_models.estimate("int8", "asap7").area_um2 == area


def test_estimate_structures_and_clocks_are_apart() -> None:
    cost_models.save(COST)
    cost_models.save(replace(COST, structures="booth_heap", area_um2=40.0))
    cost_models.save(replace(COST, clock_mhz=1500.0, area_um2=60.0))
    assert cost_models.estimate("int8", "asap7").area_um2 == 50.0
    assert cost_models.estimate("int8", "asap7", architecture="booth_heap").area_um2 == 40.0
    assert cost_models.estimate("int8", "asap7", clock_mhz=1500.0).area_um2 == 60.0
    message = (
        r"^no measured cost of unit 'int8' with 2 register ranks in technology 'asap7'; measure it with "
        r"`hwsim cost int8 --technology asap7 --pipeline 2 --architecture dadda_heap --clock-mhz 900`$"
    )
    with pytest.raises(cost_models.NotMeasuredError, match=message):
        cost_models.estimate("int8", "asap7", architecture="dadda_heap", clock_mhz=900)


def test_estimate_unit_wrong() -> None:
    message = (
        r"^no measured cost of unit 'int9' with 2 register ranks in technology 'asap7'; measure it with "
        r"`hwsim cost int9 --technology asap7 --pipeline 2`$"
    )
    with pytest.raises(LookupError, match=message):
        cost_models.estimate("int9", "asap7")


def test_estimate_technology_wrong() -> None:
    with pytest.raises(LookupError, match=r"^technology 'ecp' is unknown; close matches: ecp5"):
        cost_models.estimate("int8", "ecp")


def test_estimate_package_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record that ships names itself and its tools, has all figures of its kind, and was verified."""
    monkeypatch.setattr(measurements, "_FOLDER", Path(measurements.__file__).with_name("measured"))
    count = 0
    for technology in names():
        for cost in cost_models.catalog(technology):
            count += 1
            assert cost.technology == technology
            assert "yosys" in cost.tools
            assert len(cost.netlist_hash) == len(cost.rtl_hash) == 64
            assert cost.seconds > 0 or cost.structures == "tool"
            if cost.lut is None:
                assert cost.verified_vectors > 800
                assert cost.operands
                assert cost.area_um2
                assert cost.energy_pj
                assert cost.energy_upper_pj
                assert cost.energy_upper_pj > cost.energy_pj > 0
                assert sum(cost.area_by_stage.values()) == pytest.approx(cost.area_um2, rel=1e-5)
                assert sum(cost.energy_by_stage.values()) == pytest.approx(cost.energy_pj, rel=1e-5)
                assert (cost.architecture, cost.recipe) in {point[:2] for point in cost.front}
            else:
                assert cost.area_um2 is None
    assert count > 250


def test_estimate_close_clocks_are_kept_apart() -> None:
    for clock_mhz, area_um2 in ((1234.5671, 1.0), (1234.5672, 2.0)):
        cost_models.save(Cost(unit="mine", technology="asap7", source="", clock_mhz=clock_mhz, area_um2=area_um2))
    assert cost_models.estimate("mine", "asap7", clock_mhz=1234.5671).area_um2 == 1.0
    assert cost_models.estimate("mine", "asap7", clock_mhz=1234.5672).area_um2 == 2.0


def test_estimate_says_why_nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Cost:
        raise NotFittedError("too wide")

    monkeypatch.setattr(sys.modules["cost_models.estimate"], "predict_cost", refuse)
    with pytest.raises(cost_models.NotMeasuredError, match=r"--pipeline 2` \(too wide\)$"):
        cost_models.estimate(named("int3"), "asap7")
