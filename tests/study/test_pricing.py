# SPDX-License-Identifier: Apache-2.0
"""Prices: kept, read back, made of the RTL of today, and alike for every format."""

import re
from pathlib import Path

import pytest

import cost_models
import rtl
from cost_models import measurements
from cost_models.cost import ALL
from cost_models.table import from_csv
from cost_models.technologies import names
from hwsim import accelerator, datapath, study
from hwsim.cli_compare import DEFAULT_FORMATS
from hwsim.study import pricing


def test_price_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    said: list[str] = []
    unit = datapath.named("int3_int20")
    cost = study.price(unit, "asap7", progress=said.append)
    assert len(said) == 3
    assert cost.verified_vectors > 1000
    assert cost.rtl_hash == study.rtl_hash(unit, 2)
    assert {"tool", "booth_heap", "fast_heap", "carry_save"} >= {point.architecture for point in cost.front}
    assert cost.delay_ps in {point.delay_ps for point in cost.front}
    assert sum(cost.area_by_stage.values()) == pytest.approx(cost.area_um2)
    assert cost.energy_pj is not None
    assert cost.energy_upper_pj is not None
    assert 0 < cost.energy_pj < cost.energy_upper_pj
    said.clear()
    again = study.price(unit, "asap7", progress=said.append)
    assert said == []
    assert (again.area_um2, again.delay_ps, again.netlist_hash) == (cost.area_um2, cost.delay_ps, cost.netlist_hash)
    assert cost_models.estimate(unit, "asap7").area_um2 == cost.area_um2


def test_price_of_other_rtl_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    unit = datapath.named("int3_int20")
    one = study.price(unit, "gowin")
    text = rtl.core_verilog(unit)
    monkeypatch.setattr(rtl, "core_verilog", lambda *_, **__: text.replace(" <= c;", " <= ~c;"))
    monkeypatch.setattr(pricing, "_sources", lambda: "others")
    said: list[str] = []
    other = study.price(unit, "gowin", progress=said.append)
    assert said
    assert other.rtl_hash != one.rtl_hash


def test_price_refuses_a_netlist_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    unit = datapath.named("int3_int20")
    text = rtl.core_verilog(unit)
    assert " * " in text
    monkeypatch.setattr(rtl, "core_verilog", lambda *_, **__: text.replace(" * ", " + "))
    with pytest.raises(ValueError, match=r"^netlist of int3_l1_int20 differs from the model at output \d+"):
        study.price(unit, "asap7")
    with pytest.raises(cost_models.NotMeasuredError):
        cost_models.estimate(unit.name, "asap7")


def _units() -> dict[tuple[str, int, str], set[str]]:
    """Return the RTL hashes of the package's rows by unit, ranks and structures."""
    found: dict[tuple[str, int, str], set[str]] = {}
    for technology in names():
        if measurements.shipped_path(technology).is_file():
            rows = from_csv(measurements.shipped_path(technology).read_text(encoding="utf-8"), technology)
            for cost in rows:
                found.setdefault((cost.unit, cost.pipeline, cost.structures), set()).add(cost.rtl_hash)
    return found


QUIRES = {datapath.named(name).name: name for name in ("posit8_0_quire", "posit8_1_quire", "posit6_1_quire")}
SHIPPED = sorted(_units().items())
SMALL = [item for item in SHIPPED if re.search(r"_l1_(int|fixed)\d+", item[0][0])]  # whose Verilog is quickly made


@pytest.mark.parametrize(
    ("unit", "hashes"),
    [pytest.param(*item, marks=() if item in SMALL[::20] else pytest.mark.slow, id=item[0][0]) for item in SHIPPED],
)
def test_pricing_shipped_costs_are_of_the_rtl_of_today(
    unit: tuple[str, int, str], hashes: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    name, pipeline, structures = unit
    asked = QUIRES.get(name, name)  # whose own names `named` does not read
    assert hashes == {study.rtl_hash(datapath.named(asked), pipeline, None if structures == ALL else structures)}


def test_pricing_compared_units_and_presets_are_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    for name in DEFAULT_FORMATS:
        unit = datapath.comparable(name, 16)
        for technology in ("asap7", "nangate45", "ecp5", "ecp5_dsp"):
            assert cost_models.estimate(unit, technology, pipeline=study.PIPELINE).shipped
        for technology in ("xc7", "xc7_dsp"):
            assert cost_models.estimate(unit, technology, pipeline=study.PIPELINE, architecture="tool").shipped
    for name in accelerator.presets():
        spec = accelerator.read(name)
        assert cost_models.estimate(spec.unit, spec.technology, pipeline=spec.pipeline).shipped
