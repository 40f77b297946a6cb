# SPDX-License-Identifier: Apache-2.0
"""The commands about costs: from the package's tables, without a synthesis tool."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cost_models.technologies import names
from hwsim.cli import main


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "store"))


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(arguments)
    output = capsys.readouterr()
    assert isinstance(leave.value.code, int)
    return leave.value.code, output.out, output.err


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = _run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_cli_cost_of_a_shipped_unit(capsys: pytest.CaptureFixture[str]) -> None:
    answer = _json(capsys, "cost", "int8")
    assert (answer["unit"], answer["technology"], answer["fitted"]) == ("int8_l1_int32", "asap7", False)
    assert sum(answer["area_by_stage"].values()) == pytest.approx(answer["area_um2"], rel=1e-5)
    energy = answer["energy"]
    for index, bound in enumerate(("lower_pj_per_mac", "upper_pj_per_mac")):
        assert sum(part[index] for part in energy["by_stage"].values()) == pytest.approx(energy[bound], rel=1e-5)
    assert any("no clock gating" in sentence for sentence in answer["assumptions"])
    status, out, _ = _run(capsys, "cost", "int8")
    assert status == 0
    assert "by stage" in out
    assert "pJ a MAC" in out
    assert out.count("\n- ") == len(answer["assumptions"])


def test_cli_cost_energy_is_of_a_mac(capsys: pytest.CaptureFixture[str]) -> None:
    answer = _json(capsys, "cost", "mxfp4_l16", "--pipeline", "3")
    assert answer["energy"]["macs"] == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int8", "--technology", "asap9"), "technology 'asap9' is unknown; close matches: asap7"),
        (("int8", "--technology", "no/such.lib"), "technology file no/such.lib does not exist"),
        (("int8", "--technology", "ecp5", "--clock-mhz", "100"), "clock_mhz must be above 0, finite, and of standard "),
        (("int8", "--clock-mhz", "0"), "must be above 0, finite, and of standard cells, not 0.0 in asap7"),
        (("int8", "--clock-mhz", "inf"), "must be above 0, finite, and of standard cells, not inf in asap7"),
        (("int8", "--no-measure", "--clock-mhz", "1500"), "no measured cost of unit 'int8_l1_int32' with 2 register "),
        (("int8", "--no-measure", "--architecture", "boot_heap"), "unknown architecture 'boot_heap'; there are tool, "),
        (("int8", "--no-measure", "--remeasure"), "measure must be given with remeasure: "),
        (("int8", "--architecture", "boot_heap"), "unknown architecture 'boot_heap'; there are tool, "),
        (("int8", "--operands", "no.npz"), "no.npz"),
        (("int8", "--operands", "uniform", "--technology", "ecp5"), "operands need standard cells, whose gates are "),
    ],
)
def test_cli_cost_wrong(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    status, out, err = _run(capsys, "cost", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("hwsim: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_cli_catalog_list(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "catalog", "list", "int8_l1", "--technology", "asap7")
    assert rows
    assert all(row["unit"].startswith("int8_l1") and row["technology"] == "asap7" for row in rows)
    status, out, _ = _run(capsys, "catalog", "list", "int8_l1", "--technology", "asap7")
    assert status == 0
    assert f"{len(rows)} measured costs" in out


def test_cli_catalog_build_says_how_long_it_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    answer = _json(capsys, "catalog", "build", "--dry-run", "--workers", "2")
    assert answer["rows"] == answer["left"] > 250
    assert 1 < answer["minutes"] < 120
    status, out, _ = _run(capsys, "catalog", "build", "--dry-run", "--workers", "2")
    assert status == 0
    assert f"{answer['rows']} rows, 0 measured of today's RTL; about {answer['minutes']:.0f} min on 2 cores" in out


def test_cli_catalog_export(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    answer = _json(capsys, "catalog", "export", "int8", "int4", "--to", "csv", "-o", str(folder))
    assert answer["rows"] >= 2 * 8
    (file,) = answer["files"]
    with Path(file).open(encoding="utf-8", newline="") as text:
        rows = list(csv.reader(line for line in text if not line.startswith("#")))
    assert len(rows) == answer["rows"] + 1
    status, out, err = _run(capsys, "catalog", "export", "int11", "--to", "csv", "-o", str(folder))
    assert (status, out) == (2, "")
    assert "nothing is measured of int11_l1_int34; measure it with `hwsim cost int11_l1_int34`" in err


def test_cli_catalog_technologies_have_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "catalog", "list", "int8_l1_int32")
    assert {row["technology"] for row in rows} >= set(names()) - {"osu035"}


@pytest.mark.parametrize("arguments", [("list",), ("build", "--dry-run"), ("export", "--to", "csv", "-o", "none")])
def test_cli_catalog_technology_wrong(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, out, err = _run(capsys, "catalog", *arguments, "--technology", "asap9")
    assert (status, out) == (2, "")
    assert err == "hwsim: error: technology 'asap9' is unknown; close matches: asap7\n"


def test_cli_catalog_export_leaves_fpgas_out_of_forms_without_room(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = _json(capsys, "catalog", "export", "int8_l16_int28_to_float32", "--to", "accelergy", "-o", str(tmp_path))
    assert {Path(file).name for file in answer["files"]} >= {"asap7.ERT.yaml", "nangate45.ART.yaml"}
    status, _, err = _run(
        capsys, "catalog", "export", "int8_l16_int28_to_float32", "--to", "zigzag", "-o", str(tmp_path),
        "--technology", "ecp5",
    )  # fmt: skip
    assert status == 2
    assert "in ecp5 has no area_um2" in err


def test_cli_cost_without_measuring_needs_a_technology_of_the_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    tiny = "cost_models/technologies/tiny.lib"
    status, _, err = _run(capsys, "cost", "int8", "--technology", tiny, "--no-measure")
    assert status == 2
    assert f"technology must be one of the package's where nothing is measured, not {tiny!r}" in err


def test_cli_catalog_export_without_pyarrow(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, out, err = _run(capsys, "catalog", "export", "int8", "--to", "parquet", "-o", str(tmp_path))
    assert (status, out) == (2, "")
    assert err == 'hwsim: error: Parquet needs pyarrow: pip install "hwsim[tables]"\n'


def test_cli_catalog_check_says_first_what_was_never_measured(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "catalog", "check", "int8", "int11")
    assert (status, out) == (2, "")
    assert "no measured cost of unit 'int11_l1_int34' with 2 register ranks in technology 'asap7'" in err
