# SPDX-License-Identifier: Apache-2.0
"""`hwsim compare`: its rows, table, plot and page, and what it says of wrong input before any work."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import study
from hwsim.cli import main
from hwsim.cli_compare import DEFAULT_FORMATS
from hwsim.data import digits_model_path, digits_test


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("compare", *arguments))
    captured = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, captured.out, captured.err


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = _run(capsys, "--no-measure", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_cli_compare(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    formats = ("int8", "int4", "mxfp8_e4m3", "mxfp4")
    answer = _json(capsys, *formats, "--fpga", "--plot", "fronts.png")
    rows = {row["format"]: row for row in answer["rows"]}
    assert tuple(rows) == formats
    for row in rows.values():
        assert row["refused"] == ""
        assert 0.5 < row["accuracy"] <= 1
        for key in ("lut", "fmax_mhz", "unit_area_um2", "unit_delay_ps", "energy_nj", "inferences_per_j"):
            assert row[key] > 0, (row["format"], key)
        parts = sum(row[f"energy_{part}_nj"] for part in ("units", "registers", "sram", "dram", "wires", "leakage"))
        assert parts == pytest.approx(row["energy_nj"], rel=1e-6)
        assert row["inferences_per_j"] == pytest.approx(1e9 / row["energy_nj"], rel=1e-9)
        assert row["latency_us"] == pytest.approx(row["cycles"] / row["clock_mhz"], rel=1e-9)
    assert rows["int4"]["unit_area_um2"] < rows["int8"]["unit_area_um2"]
    assert rows["mxfp8_e4m3"]["unit_area_um2"] > rows["mxfp4"]["unit_area_um2"]
    assert len({row["clock_mhz"] for row in rows.values()}) == 1
    for front in answer["fronts"]:
        (value, cost) = front["objectives"]
        points = [(row[value], row[cost]) for row in answer["rows"]]
        beaten = [any(a >= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]
        assert front["on"] == [not each for each in beaten]
    assert answer["plot"] == "fronts.png"
    assert (folder / "fronts.png").stat().st_size > 10_000


def test_cli_compare_table(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    status, out, _ = _run(capsys, "--no-measure", "int4", "mxfp4", "--details", "--report", "page.html", "--no-layers")
    assert status == 0
    assert out.startswith("digits, 360 held-out handwritten digits; mxfp4_4x4; asap7; ")
    for text in (
        "front 1, accuracy (more) against array area (less): ",
        "report: page.html",
    ):
        assert f"\n{text}" in out
    assert out.count("360 held-out handwritten digits") == 1
    assert [path.name for path in folder.iterdir()] == ["page.html"]  # a plot is drawn only where it is asked for
    assert "DRAM" in out
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert "mxfp4" in text


def test_cli_compare_own_network(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    images, labels = digits_test()
    arrays: dict[str, Any] = {"input": images[:24], "labels": labels[:24]}
    np.savez("images.npz", **arrays)
    model = str(digits_model_path(quantized=False))
    own = _json(capsys, "int4", "--model", model, "--inputs", "images.npz", "--images", "12")["rows"][0]
    assert (own["images"], own["network"]) == (12, Path(model).stem)
    assert round(own["accuracy"] * 12, 9).is_integer()
    quantized = str(digits_model_path(quantized=True))
    random = _json(capsys, "int8", "--model", quantized, "--from-quantized", "--images", "2")["rows"][0]
    assert (random["images"], random["accuracy"]) == (2, None)
    assert random["agreement"] in (0.0, 0.5, 1.0)


def test_cli_compare_quantized_network(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    model = ("--model", str(digits_model_path(quantized=True)), "--images", "2", "--random-range", "0,16")
    status, out, err = _run(capsys, "--no-measure", "int8", "mxfp4", *model)
    assert status == 0
    assert out.startswith("digits_int8, 2 random images (seed 2026), evenly from 0 to 16; ")
    (refused,) = [line for line in out.splitlines() if line.startswith("mxfp4: left out, ")]
    assert refused.endswith(
        "is quantized already, and unit mxfp4_l16_float32 (mxfp4 by mxfp4) does not take its codes (int8 by int8); "
        "--from-quantized (from_quantized in Python and in a study's file) takes its float form, so that every format "
        "can run"
    )
    assert [line for line in err.splitlines() if "network" in line] == ["hwsim: int8: network digits_int8"]
    assert "(the slowest, int8_l16_" in out  # the clock is not that of the format that cannot run
    assert "where the network is quantized already, its own codes and scales run" in out
    assert "operands of every layer are rounded" not in out
    assert "next: --plot FILE.png draws the fronts; --report FILE.html" in out
    status, out, err = _run(capsys, "--no-measure", "mxfp4", "nvfp4", *model, "--report", "page.html")
    assert (status, out) == (2, "")
    assert err.startswith("hwsim: error: nothing is left to compare; mxfp4: left out, network ")
    assert "--from-quantized" in err
    assert list(folder.iterdir()) == []
    rows = _json(capsys, "int8", "mxfp4", *model, "--from-quantized")["rows"]
    assert [row["refused"] for row in rows] == ["", ""]


def test_cli_compare_help_says_the_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = _run(capsys, "--help")
    said = " ".join(out.replace("│", " ").split())
    assert status == 0
    for text in (f"Without one, {study.DEFAULT_ACCELERATOR}.", "Without one, asap7.", "highest multiple of 10 MHz"):
        assert text in said


def test_cli_compare_crosses_technologies_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--technology", "asap7", "--technology", "nangate45", "--unit", "int4_by_int8", "--lanes", "8")
    answer = _json(capsys, "int4", *options, "--front", "accuracy,area_mm2,energy_nj")
    rows = answer["rows"]
    assert [front["technology"] for front in answer["fronts"]] == ["asap7", "nangate45"]
    for front in answer["fronts"]:
        on = {row["technology"] for row, is_on in zip(rows, front["on"], strict=True) if is_on}
        priced = {row["technology"] for row in rows if row["energy_nj"] is not None}
        assert on == priced & {front["technology"]}
    assert [(row["technology"], row["format"]) for row in rows] == [
        (technology, name) for technology in ("asap7", "nangate45") for name in ("int4", "int4_by_int8")
    ]
    assert len({row["accuracy"] for row in rows if row["format"] == "int4"}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mxpf4",), "did you mean mxfp4"),
        (("mxfp4", "--lanes", "5"), "mxfp4: lanes must divide a's block of 32"),
        (("int88",), "int88: bits must be in 1..64, not 88; did you mean int8, uint8, mxint8?"),
        (("e8m0",), "unknown format or unit 'e8m0': did you mean ue8m0?"),
        (("int8", "--report", "."), "the report's file must end in .html, not '.'"),
        (("int1",), "a compared format must hold values of both signs, and int1 holds -1..0"),
        (("uint8",), "a compared format must hold values of both signs, and uint8 holds 0..255"),
        (("float8_e8m0fnu",), "both signs"),
        (("--unit", "int4_by_int9x"), "int4_by_int9x"),
        (("--technology", "asap9"), "technology 'asap9' is unknown; close matches: asap7"),
        (("--accelerator", "mxfp4_5x5"), "mxfp4_5x5"),
        (("--clock-mhz", "0"), "--clock-mhz must be a whole number of at least 1, or fastest, not '0'"),
        (("--clock-mhz", "fast"), "--clock-mhz must be a whole number of at least 1, or fastest, not 'fast'"),
        (("--front", "accuracy"), "--front must be two quantities or more, each once, as accuracy,energy_nj, not "),
        (("--front", "accuracy,energy"), "unknown quantity 'energy'; did you mean energy_nj"),
        (("--plot", "p.xyz"), "the plot's file must end in .png, .svg or .pdf, not 'p.xyz'"),
        (("--plot", "folder.png"), "the plot's file 'folder.png' is a directory"),
        (("--report", "p.htm"), "the report's file must end in .html, not 'p.htm'"),
        (("--report", "none/p.html"), "no folder 'none' to write 'p.html' to"),
        (("--random-range", "0,1"), "--random-range must come with --model: the digits network has its own images"),
        (("--model", "m.onnx", "--random-range", "5"), "--random-range must be two rising numbers, as 0,255, not '5'"),
        (
            ("--model", "m.onnx", "--random-range", "2,1"),
            "--random-range must be two rising numbers, as 0,255, not '2,1'",
        ),
        (("--model", "m.onnx", "--random-range", "0,nan"), "--random-range must be two rising numbers, as 0,255, not "),
        (
            ("--model", "m.onnx", "--inputs", "a.npz", "--random-range", "0,1"),
            "--random-range must come without --inputs",
        ),
        (("--images", "3"), "--images must come with --model: the digits network has its own images"),
        (("--inputs", "a.npz", "--from-quantized"), "--inputs, --from-quantized must come with --model: the digits "),
        (("--model", "missing.onnx"), "missing.onnx"),
    ],
)
def test_cli_compare_wrong(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "folder.png").mkdir()
    monkeypatch.setattr("hwsim.study.comparison.value_figures", lambda *_, **__: pytest.fail("worked before it looked"))
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("hwsim: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["folder.png"]


def test_cli_compare_says_what_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--no-measure", "int4", "mxfp4", "--clock-mhz", "1200")
    assert status == 0
    assert "mxfp4: left out, clock_mhz: must be at most " in out
    assert "int4: left out" not in out


def test_cli_compare_takes_the_formats_as_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def compare(formats: Any, **options: Any) -> Any:
        seen.append((formats, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "compare", compare)
    for arguments in ((), ("--unit", "int4_by_int8"), ("int4", "--report", "p.html", "--clock-mhz", "fastest")):
        assert _run(capsys, *arguments) == (
            130, "", "hwsim: interrupted; finished syntheses are kept, run it again to go on\n"
        )  # fmt: skip
    assert [(formats, options["units"], options["layers"], options["clock_mhz"]) for formats, options in seen] == [
        (DEFAULT_FORMATS, (), False, None),
        ((), ("int4_by_int8",), False, None),
        (("int4",), (), True, "fastest"),
    ]
