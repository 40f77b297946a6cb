# SPDX-License-Identifier: Apache-2.0
"""Measured costs by name."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import cost_models
from cost_models import Cost, store
from cost_models.technologies import names

COST = Cost(
    unit="int8", technology="asap7", source="measured with tool 1.0", netlist_hash="ab", area_um2=50.0, delay_ps=600.0,
    energy_pj=0.1, operands="uniform", verified_vectors=65536,
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    name: str


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "user"))
    monkeypatch.setattr(store, "_MEASURED", tmp_path / "package")
    return tmp_path


def test_estimate_own_measurement() -> None:
    cost_models.save(COST)
    expected = replace(COST, source="measured with tool 1.0 (own measurement)", shipped=False)
    assert cost_models.estimate("int8", "asap7") == expected
    assert cost_models.estimate(Unit("int8"), technology="asap7") == expected
    assert list(cost_models.catalog("asap7")) == [expected]


def test_estimate_shipped(empty_store: Path) -> None:
    folder = empty_store / "package"
    folder.mkdir()
    record = {"unit": "int4", "technology": "asap7", "source": "measured", "netlist_hash": "cd", "later_field": 1}
    (folder / "asap7.json").write_text(json.dumps({"int4_p2": record}), encoding="utf-8")
    found = cost_models.estimate("int4", "asap7")
    assert found.source == "measured (shipped with the package)"
    assert found.shipped
    assert found.area_um2 is None


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
    """Every record that ships names itself, its tools, and was verified."""
    monkeypatch.setattr(store, "_MEASURED", Path(store.__file__).with_name("measured"))
    for technology in names():
        for cost in cost_models.catalog(technology):
            assert cost.technology == technology
            assert "yosys" in cost.source
            assert len(cost.netlist_hash) == 64
            assert (cost.area_um2 is None) != (cost.lut is None)
            assert cost.energy_pj is None or cost.operands
