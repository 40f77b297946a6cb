# SPDX-License-Identifier: Apache-2.0
"""Prices: kept, read back, made of the RTL of today, and alike for every format."""

from pathlib import Path

import pytest

import cost_models
import rtl
from cost_models.store import text_hash
from hwsim import accelerator, datapath, study
from hwsim.cli import DEFAULT_FORMATS


def test_study_price_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    said: list[str] = []
    unit = datapath.named("int3")
    cost = study.price(unit, "asap7", progress=said.append)
    assert len(said) == 3
    assert cost.verified_vectors > 1000
    assert cost.rtl_hash == text_hash(rtl.core_verilog(unit))
    said.clear()
    again = study.price(unit, "asap7", progress=said.append)
    assert said == []
    assert (again.area_um2, again.delay_ps, again.netlist_hash) == (cost.area_um2, cost.delay_ps, cost.netlist_hash)
    assert cost_models.estimate(unit, "asap7").area_um2 == cost.area_um2


def test_study_price_of_other_rtl_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    unit = datapath.named("int3")
    one = study.price(unit, "xc7")
    text = rtl.core_verilog(unit)
    monkeypatch.setattr(rtl, "core_verilog", lambda *_, **__: text.replace(" <= c;", " <= ~c;"))
    said: list[str] = []
    other = study.price(unit, "xc7", progress=said.append)
    assert said
    assert other.rtl_hash != one.rtl_hash


def test_study_price_refuses_a_netlist_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    unit = datapath.named("int3")
    text = rtl.core_verilog(unit)
    assert " * " in text
    monkeypatch.setattr(rtl, "core_verilog", lambda *_, **__: text.replace(" * ", " + "))
    with pytest.raises(ValueError, match=r"^netlist of int3_l1_int32 differs from the model at output \d+"):
        study.price(unit, "asap7")
    with pytest.raises(cost_models.NotMeasuredError):
        cost_models.estimate(unit, "asap7")


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    """Return the hash of each compared unit's RTL, as it is made now."""
    units = [datapath.comparable(name, 16) for name in DEFAULT_FORMATS]
    return {unit.name: text_hash(rtl.core_verilog(unit, pipeline=study.PIPELINE)) for unit in units}


@pytest.mark.parametrize("technology", ["asap7", "nangate45", "ecp5", "ecp5_dsp", "xc7", "xc7_dsp"])
def test_study_shipped_costs_are_of_the_rtl_of_today(
    technology: str, hashes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    for name, rtl_hash in hashes.items():
        cost = cost_models.estimate(name, technology, pipeline=study.PIPELINE)
        assert "shipped with the package" in cost.source
        assert cost.rtl_hash == rtl_hash, name
        assert (cost.verified_vectors > 1000) == (technology in ("asap7", "nangate45"))


def test_study_shipped_costs_of_the_presets_are_of_the_rtl_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    for name in accelerator.presets():
        spec = accelerator.read(name)
        cost = cost_models.estimate(spec.unit, spec.technology, pipeline=spec.pipeline)
        assert cost.rtl_hash == text_hash(rtl.core_verilog(spec.unit, pipeline=spec.pipeline)), name
