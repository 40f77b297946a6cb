# SPDX-License-Identifier: Apache-2.0
"""Comparisons: the clock that all reach, what stands beside a unit, fronts, files of accelerators."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cost_models
from hwsim import accelerator, data, datapath, network
from hwsim.prices import fastest_mhz
from hwsim.study import PIPELINE, QUANTITIES, Case, Comparison, Evaluation, beside, case, compare


@pytest.fixture(scope="module")
def few() -> Case:
    images, labels = data.digits_test()
    return case(
        "digits", data.digits_model_path(quantized=False), {"input": images[:20], "labels": labels[:20]},
        {"input": data.digits_calibration()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(few: Case) -> Comparison:
    return compare(
        ["int8", "mxfp4"], units=["hopper_e4m3_e4m3_float32"], technologies=["asap7", "nangate45"], case=few,
        measure=False,
    )  # fmt: skip


def _fastest(name: str, technology: str) -> float:
    found = fastest_mhz(cost_models.estimate(datapath.comparable(name, 16), technology, pipeline=PIPELINE))
    assert found is not None
    return found


def test_comparison_is_a_sequence_in_order(found: Comparison) -> None:
    assert len(found) == 6
    assert all(isinstance(each, Evaluation) for each in found)
    assert [(each.point.technology, each.point.format) for each in found[:4]] == [
        ("asap7", "int8"), ("asap7", "mxfp4"), ("asap7", "hopper_e4m3_e4m3_float32"), ("nangate45", "int8"),
    ]  # fmt: skip
    assert found.title == "int8, mxfp4, hopper_e4m3_e4m3_float32 on digits"


def test_comparison_clock_is_one_that_all_reach(found: Comparison) -> None:
    slowest = min(_fastest(name, "nangate45") for name in ("int8", "mxfp4"))
    clock = int(slowest // 10) * 10
    assert clock < 500  # the accelerator's own, which ASAP7 reaches
    assert [row["clock_mhz"] for row in found.rows] == [500] * 3 + [clock] * 3
    assert [row["settings"] for row in found.rows] == [{}] * 3 + [{"clock_mhz": clock}] * 3
    assert any(note.startswith(f"clock in nangate45: at most {clock} MHz") for note in found.notes)


def test_comparison_clock_asked_for(few: Case) -> None:
    fastest = compare(["int8", "mxfp4"], case=few, clock_mhz="fastest", measure=False)
    assert [row["clock_mhz"] for row in fastest.rows] == [int(_fastest(name, "asap7")) for name in ("int8", "mxfp4")]
    both = compare(["int8", "mxfp4"], case=few, clock_mhz=1000, measure=False)
    assert [bool(each.refused) for each in both] == [False, True]
    assert "clock_mhz: must be at most" in both.rows[1]["refused"]


def test_comparison_rows_have_the_unit_s_other_figures(found: Comparison) -> None:
    row = found.rows[0]
    unit = datapath.comparable("int8", 16)
    ecp5, with_dsp, xc7 = (
        cost_models.estimate(unit, name, pipeline=PIPELINE, architecture="tool" if name == "xc7" else None)
        for name in ("ecp5", "ecp5_dsp", "xc7")
    )
    assert (row["lut"], row["ff"], row["fmax_mhz"], row["fmax_spread"]) == (
        ecp5.lut, ecp5.ff, ecp5.fmax_mhz, ecp5.fmax_spread,
    )  # fmt: skip
    assert (row["lut_with_dsp"], row["dsp"], row["fmax_with_dsp_mhz"]) == (
        with_dsp.lut,
        with_dsp.dsp,
        with_dsp.fmax_mhz,
    )
    assert (row["xc7_lut"], row["xc7_ff"]) == (xc7.lut, xc7.ff)
    cells = cost_models.estimate(unit, "asap7", pipeline=PIPELINE)
    assert cells.energy_pj is not None
    assert (row["area_um2"], row["delay_ps"], row["leakage_uw"]) == (cells.area_um2, cells.delay_ps, cells.leakage_uw)
    assert row["energy_pj_per_mac"] == cells.energy_pj / 16
    other = cost_models.estimate(unit, "nangate45", pipeline=PIPELINE)
    assert (row["nangate45_area_um2"], row["nangate45_delay_ps"]) == (other.area_um2, other.delay_ps)
    assert found.rows[3]["area_um2"] == other.area_um2
    assert found.rows[3]["lut"] == ecp5.lut
    assert row["notes"] == []
    unknown = found.rows[2]
    assert unknown["lut"] is unknown["nangate45_area_um2"] is None
    (note,) = unknown["notes"]
    assert note == (
        "never measured: hopper_e4m3_e4m3_float32 in asap7, nangate45, ecp5, ecp5_dsp, xc7, xc7_dsp: "
        "run without --no-measure"
    )
    assert {each.key for each in QUANTITIES} <= set(row)


def test_comparison_notes_say_what_no_format_changes(found: Comparison, few: Case) -> None:
    known = [each for each in found if each["energy_memory_share"] is not None]
    assert len(known) == 4
    lines = [
        f"memories are {' to '.join(f'{100 * each:.0f}' for each in (min(energy), max(energy)))} % of the energy, "
        f"{' to '.join(f'{100 * each:.0f}' for each in (min(area), max(area)))} % of the area"
        for energy, area in [[[each[f"{key}_memory_share"] for each in known] for key in ("energy", "area")]]
    ]
    lines.append("100 % of the DRAM traffic is float32 tensors, whatever the format")  # only input and output go there
    assert f"units of {PIPELINE} register ranks; {'; '.join(lines)}" in found.notes
    assert not any("constant answer" in note for note in found.notes)  # images with labels have an accuracy
    assert any(note.startswith("operands of every layer are rounded") for note in found.notes)
    images, labels = data.digits_test()
    own = case("int8", data.digits_model_path(quantized=True), {"input": images[:4], "labels": labels[:4]})
    quantized = compare(["int8"], case=own, measure=False)
    assert not any(note.startswith("operands of every layer") for note in quantized.notes)
    assert any(note.startswith("where the network is quantized already, its own codes") for note in quantized.notes)
    random = case("drawn", data.digits_model_path(quantized=False), images=3)
    drawn = compare(["int8"], case=random, measure=False)
    constant = np.bincount(_largest(random)).max() / 3
    assert f"a constant answer would agree with float32 on {100 * constant:.0f} %" in drawn.notes
    assert "random inputs: agreement on them says little of real ones" in drawn.notes


def _largest(given: Case) -> NDArray[np.int64]:
    return np.asarray(network.run(given.network, dict(given.inputs))["output"].argmax(axis=1), np.int64)


def test_comparison_says_once_what_nobody_measured(few: Case) -> None:
    names = ["int3_l2_int11", "int3_l4_int12"]
    rows = compare([], units=names, technologies=["asap7", "ecp5"], case=few, measure=False).rows
    assert [row["notes"] for row in rows] == [rows[0]["notes"]] * 4
    places = "ecp5, ecp5_dsp, xc7, xc7_dsp"  # in ASAP7 their prices are fitted
    assert rows[0]["notes"] == [f"never measured: {', '.join(names)} in {places}: run without --no-measure"]


def test_comparison_of_an_fpga_keeps_its_own_counts(few: Case) -> None:
    row = compare(["int8"], technologies=["ecp5_dsp"], case=few, measure=False).rows[0]
    own = cost_models.estimate(datapath.comparable("int8", 16), "ecp5_dsp", pipeline=PIPELINE)
    assert (row["lut"], row["ff"]) == (own.lut, own.ff)


def test_comparison_front_and_json(found: Comparison) -> None:
    front = found.front("area_mm2", "accuracy")
    assert {each.point.format for each in front} <= {"int8", "mxfp4"}
    assert [each["area_mm2"] for each in front] == sorted(each["area_mm2"] for each in front)
    held = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(held) == {"title", "version", "quantities", "evaluations", "beside", "notes"}
    assert [Evaluation.from_dict(each) for each in held["evaluations"]] == list(found)
    with pytest.raises(ValueError, match=r"^a front must be of figures that are better one way, and units is not$"):
        found.front("units", "accuracy")
    with pytest.raises(KeyError, match="unknown quantity 'area'"):
        found.front("area", "accuracy")


def test_comparison_of_accelerators_and_files(few: Case, tmp_path: Path) -> None:
    text = accelerator.toml_text("mxfp4_4x4")[0]
    file = tmp_path / "small.toml"
    file.write_text(text.replace("rows = 4", "rows = 2"))
    both = compare(["mxfp4"], accelerators=["int8_16x16", file], case=few, measure=False)
    assert [(row["accelerator"], row["units"]) for row in both.rows] == [("int8_16x16", 256), ("small", 8)]
    assert [row["settings"] for row in both.rows] == [{"pipeline": PIPELINE}, {}]  # all units have as many ranks
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "small.toml"
    second.write_text(text)
    with pytest.raises(ValueError, match="accelerators must have different names, not twice 'small'"):
        compare(["mxfp4"], accelerators=[file, second], case=few)


def test_comparison_measures_what_nobody_did(few: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, int]] = []

    def price(unit: datapath.DotProductUnit, technology: str, **options: Any) -> cost_models.Cost:
        asked.append((unit.name, technology, options["pipeline"]))
        return cost_models.Cost(
            unit=unit.name, technology=technology, pipeline=options["pipeline"], source="a test", area_um2=10.0,
            delay_ps=100.0, energy_pj=1.0, lut=5,
        )  # fmt: skip

    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(beside, "price", price)
    name = "int3_l2_int11"
    said: list[str] = []
    found = compare(["int8"], units=[name], case=few, measure=True, fpga=False, progress=said.append)
    assert asked == [(name, "asap7", PIPELINE)]
    assert found.rows[1]["unit_area_um2"] == 10
    assert found.rows[1]["energy_pj_per_mac"] == 0.5
    assert said == ["int8: network digits", f"{name}: network digits"]
    asked.clear()
    again = compare([], units=[name], case=few, measure=True, fpga=True)
    assert {technology for _, technology, _ in asked} == {"asap7", "ecp5", "ecp5_dsp", "xc7", "xc7_dsp"}
    assert again.rows[0]["lut_with_dsp"] == 5


def test_compare_wrong(few: Case) -> None:
    with pytest.raises(ValueError, match=r"^formats or units must name at least one, not none$"):
        compare([], case=few)
    with pytest.raises(KeyError, match="unknown format or unit 'mxpf4'"):
        compare(["mxpf4"], case=few)
    with pytest.raises(LookupError, match="technology 'asap' is unknown"):
        compare(["int8"], technologies=["asap"], case=few)
    with pytest.raises(FileNotFoundError, match="no accelerator file 'int8_61x16'"):
        compare(["int8"], accelerators=["int8_61x16"], case=few)
    with pytest.raises(TypeError, match=r"^clock_mhz must be an int, 'fastest' or None, not '500'$"):
        compare(["int8"], clock_mhz="500", case=few)
    with pytest.raises(ValueError, match=r"^clock_mhz must be in 1\.\.10000, not 0$"):
        compare(["int8"], clock_mhz=0, case=few)
    with pytest.raises(ValueError, match="lanes"):
        compare(["mxfp4"], lanes=48, case=few)
