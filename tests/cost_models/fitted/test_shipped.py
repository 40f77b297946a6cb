# SPDX-License-Identifier: Apache-2.0
"""Fitted models as JSON, and whether those of the package belong to its tables."""

from pathlib import Path

import pytest

from cost_models import measurements
from cost_models.fitted import Row, load
from cost_models.fitted.model import Model, fit
from cost_models.fitted.shipped import cost_of, from_record, predict_cost, stale, table_hash, to_record, write
from hwsim import datapath


@pytest.fixture(scope="module")
def model(rows: list[Row]) -> Model:
    """Return the fit of some made-up rows."""
    return fit([row for row in rows if "integer" in row.kind] * 2)


def test_shipped_round_trip(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "fitted.json"
    write({"asap7": model}, path)
    read = load("asap7", path)
    unit = datapath.named("int7_int28")
    assert read.predict(unit)["area_um2"] == pytest.approx(model.predict(unit)["area_um2"], rel=1e-4)
    assert to_record(read) == to_record(from_record(to_record(model)))
    assert stale(path) == ()


def test_shipped_stale(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "fitted.json"
    write({"asap7": model}, path)
    path.write_text(path.read_text(encoding="utf-8").replace(table_hash("asap7"), "0" * 64), encoding="utf-8")
    assert stale(path) == ("asap7",)


def test_shipped_models_are_fitted_on_the_shipped_tables() -> None:
    """After a new table: ``python -m benchmarks.fitted --ship``."""
    assert stale() == ()


def test_shipped_hash_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SHA-256 of "abc" is in FIPS 180-2, appendix B.1."""
    (tmp_path / "t.csv").write_text("abc", encoding="utf-8")
    monkeypatch.setattr(measurements, "shipped_path", lambda technology: tmp_path / f"{technology}.csv")
    assert table_hash("t") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert table_hash("none") == ""


def test_shipped_cost_is_labelled(model: Model) -> None:
    cost = cost_of(model.predict(datapath.named("int7_int28"), 2), "asap7")
    assert cost.is_fitted
    assert cost.source == "fitted on measured units of its kind; not measured"
    assert (cost.unit, cost.technology, cost.pipeline, cost.netlist_hash) == ("int7_l1_int28", "asap7", 2, "")
    assert set(cost.errors) == {"area_um2", "energy_pj", "fmax_mhz"}
    assert cost.delay_ps is None


def test_shipped_technology_wrong(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="technology 'tin' has no fitted model; there are those of none"):
        load("tin", tmp_path / "none.json")
    with pytest.raises(LookupError, match="technology 'tin' has no fitted model"):
        predict_cost(datapath.named("int8"), "tin")
