# SPDX-License-Identifier: Apache-2.0
"""Tables read by pandas and polars, by both protocols: the same values, null where nothing is known, and types."""

from typing import Any

import pandas as pd
import polars as pl
import pytest

import hwsim
from hwsim.result import SimulationResult
from hwsim.study import QUANTITIES, Comparison


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return a pandas frame's rows with None for what is missing."""
    plain = frame.astype(object)
    found: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return found


def _expected(comparison: Comparison) -> list[dict[str, Any]]:
    names = hwsim.table(comparison).column_names
    rows = [row | row["settings"] for row in comparison.rows]
    assert {row["array.rows"] for row in rows} == {4, 8}
    wanted = [{name: row.get(name) for name in names} for row in rows]
    for row, each in zip(wanted, comparison, strict=True):  # the asked clock has its own key, as a setting and a figure
        row["clock_mhz"] = each["clock_mhz"]
    return wanted


@pytest.mark.parametrize("read", [pl.from_dataframe, lambda what: pl.DataFrame(what.table())])
def test_frames_polars(comparison: Comparison, read: Any) -> None:
    frame = read(comparison)
    assert frame.to_dicts() == _expected(comparison)
    kinds = {"float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "str": pl.String}
    for each in QUANTITIES:
        assert frame.schema[each.key] == kinds[each.kind], each.key
    assert frame.schema["array.rows"] == pl.Int64
    assert frame["energy_nj"].null_count() == 2
    assert frame.filter(pl.col("refused") != "").height == 1


def test_frames_pandas(comparison: Comparison) -> None:
    for frame in (pd.DataFrame.from_arrow(comparison), comparison.table().to_pandas()):
        assert _records(frame) == _expected(comparison)
        assert frame["energy_nj"].dtype == "float64"
        assert frame["array.rows"].dtype == "int64"
        assert frame["energy_nj"].isna().sum() == 2
        assert frame.groupby("format")["accuracy"].max()["mxfp4"] == 0.96


def test_frames_interchange_has_the_values(comparison: Comparison) -> None:
    interchanged = comparison.__dataframe__()
    assert interchanged.num_rows() == len(comparison)
    assert list(interchanged.column_names()) == comparison.table().column_names
    assert interchanged.get_column_by_name("energy_nj").null_count == 2


def test_frames_layers(comparison: Comparison) -> None:
    frame = pl.DataFrame(comparison.table(layers=True))
    assert frame.height == 10  # five designs that are not refused, two layers each
    assert frame["layer_sqnr_db"].to_list() == [40.0, 20.0] * 5
    assert frame["layer_sqnr_alone_db"].null_count() == 5
    assert frame["format"].unique(maintain_order=True).to_list() == ["int8", "float8_e4m3fn", "mxfp4", "int4", "mxint8"]


def test_frames_of_a_dict_and_of_evaluations(comparison: Comparison) -> None:
    assert hwsim.table(comparison.as_dict()).equals(comparison.table())
    assert hwsim.table(comparison[0]).equals(hwsim.table(comparison[:1]))
    assert hwsim.table(comparison[:2])["accuracy"].to_pylist() == [0.98, 0.97]
    assert hwsim.table([]).num_rows == 0


def test_frames_settings_of_several_kinds(comparison: Comparison) -> None:
    from dataclasses import replace

    def kind(*values: Any) -> str:
        points = [replace(comparison[0].point, settings=(("memory.x", value),)) for value in values]
        found = hwsim.table([replace(comparison[0], point=point) for point in points])
        assert found["memory.x"].to_pylist() == list(values) or found.schema.field("memory.x").type == "string"
        return str(found.schema.field("memory.x").type)

    assert kind(1, 2) == "int64"
    assert kind(1.5, 2) == "double"
    assert kind(True, False) == "bool"
    assert kind("fastest", 500) == "string"


def test_frames_of_a_simulation(result: SimulationResult) -> None:
    frame = pl.DataFrame(hwsim.table(result))
    assert frame["name"].to_list() == [layer.name for layer in result.layers]
    assert frame["cycles"].sum() == result.cycles
    assert frame["macs"].sum() == result.macs
    assert frame["energy_total_pj"].sum() == pytest.approx(result.energy.total_pj, rel=1e-12)
    for layer, row in zip(result.layers, frame.to_dicts(), strict=True):
        assert row["dram_bits"] == layer.traffic.dram_bits
        assert layer.error is not None
        assert (row["sqnr_db"], row["sqnr_alone_db"]) == (layer.error.accumulated.sqnr_db, layer.error.own.sqnr_db)
    assert frame["sqnr_alone_db"].null_count() == sum(
        layer.error is not None and layer.error.own.sqnr_db is None for layer in result.layers
    )
    assert pd.DataFrame.from_arrow(hwsim.table(result))["cycles"].tolist() == frame["cycles"].to_list()


def test_table_wrong() -> None:
    wrong: Any = ["int8"]
    with pytest.raises(TypeError, match=r"^designs must be evaluations, not str$"):
        hwsim.table(wrong)


def test_table_without_pyarrow(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"^tables need pyarrow: pip install 'hwsim\[notebook\]'$"):
        hwsim.table(comparison)
