# SPDX-License-Identifier: Apache-2.0
"""`hwsim formats`, through the command line."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwsim import conformance as conformance_room
from hwsim import ranking
from hwsim.cli import main
from hwsim.conformance import Verdict
from hwsim.formats.catalog import entries, named, names
from hwsim.ranking import candidates, rank


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("formats", *arguments))
    captured = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, captured.out, captured.err


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("hwsim: error: ")
    return err.removeprefix("hwsim: error: ").rstrip()


def test_show_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys)
    assert (status, err) == (0, "")
    for name in names():
        assert name in out
    rows = json.loads(_run(capsys, "--json")[1])["formats"]
    assert [row["name"] for row in rows] == [entry.name for entry in entries()]
    by_name = {row["name"]: row for row in rows}
    assert by_name["float8_e4m3fn"]["largest"] == 448
    assert by_name["mxfp4"]["bits_per_element"] == 4.25
    assert by_name["float8_e5m2"]["infinity"]
    assert not by_name["float8_e4m3fn"]["infinity"]


def test_show_family(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(_run(capsys, "--family", "block", "--json")[1])["formats"]
    assert {"mxfp4", "nvfp4"} <= {row["name"] for row in rows}
    assert {row["family"] for row in rows} == {"block"}


def test_show_catalog_is_quick() -> None:
    command = [sys.executable, "-c", "from hwsim.cli import main; main(['formats'])"]
    subprocess.run(command, capture_output=True, check=True, timeout=120)  # compiles what a fresh checkout has not yet
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 2, f"{spent:.1f} s of processor time, where it takes 0.9 s"


def test_show_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from hwsim.cli import main\n"
        "try:\n    main(['formats'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(' '.join({'onnx', 'matplotlib', 'amaranth', 'torch', 'hwsim.datapath'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_show_format(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "float4_e2m1fn")
    assert (status, err) == (0, "")
    assert "OCP Microscaling Formats" in out
    assert "  2 ┤    ████████████" in out
    grid = [line.split() for line in out.splitlines() if line.startswith(" 0x")]
    magnitudes = ["0", "0.5", "1", "1.5", "2", "3", "4", "6"]
    assert grid == [["0x0", *magnitudes], ["0x8", *(f"-{text}" for text in magnitudes)]]


def test_show_format_by_pattern_and_alias(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_run(capsys, "minifloat_e3m3", "fp8_e4m3", "mxfp4_b16", "--json")[1])["formats"]
    assert [each["name"] for each in found] == ["minifloat_e3m3", "float8_e4m3fn", "mxfp4_b16"]
    assert found[0]["fields"]["exp_bits"] == 3
    assert found[2]["fields"]["block_size"] == 16
    assert len(found[0]["values"]) == 128


def test_show_codes(capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(capsys, "fixed10_6", "--codes")[1]
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("0x")]
    assert len(rows) == 1 << 10
    codes = np.arange(1 << 10)
    assert [float(row[2]) for row in rows] == (((codes ^ 0x200) - 0x200) / 64).tolist()
    found = json.loads(_run(capsys, "float16", "--codes", "--json")[1])["formats"][0]
    assert len(found["values"]) == 1 << 16
    assert found["values"][0x7C00] == "inf"


def test_show_wide_format(capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(capsys, "float32")[1]
    assert "0x7f7fffff" in out
    assert "0x3f800000" in out
    assert "2^-128" in out


def test_show_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "both.png"
    status, out, _ = _run(capsys, "int4", "float4_e2m1fn", "--plot", str(file))
    assert status == 0
    assert out.rstrip().endswith(f"plot: {file}")
    assert file.stat().st_size > 10_000


def test_show_name_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    message = _wrong(capsys, "float8_e4m3fm")
    assert message.startswith("unknown format 'float8_e4m3fm': did you mean float8_e4m3fn")
    assert _wrong(capsys, "--family", "flat").startswith("unknown family 'flat': the catalog has integer, float")
    assert "not float32 of 32" in _wrong(capsys, "float32", "--codes")


def test_show_options_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "two commands" in _wrong(capsys, "--on", "digits", "--conformance")
    assert "--family selects" in _wrong(capsys, "int8", "--family", "float")
    assert "--family selects" in _wrong(capsys, "--on", "digits", "--family", "float")
    assert _wrong(capsys, "int8", "--per-tensor") == "--per-tensor goes with --on MODEL"
    assert _wrong(capsys, "--codes").startswith("--codes goes with the names of formats")
    assert _wrong(capsys, "--plot", str(tmp_path / "a.png")).startswith("--plot goes with the names of formats")
    assert "must end in .png" in _wrong(capsys, "int8", "--plot", str(tmp_path / "a.txt"))
    assert "no folder" in _wrong(capsys, "int8", "--plot", str(tmp_path / "none" / "a.png"))


def test_show_ranking(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "--on", "digits", "int4", "mxfp4", "nvfp4", "--per-tensor")
    assert status == 0
    assert "tensor by tensor" in out
    assert "conv2" in out
    assert "Traceback" not in err
    found = json.loads(_run(capsys, "--on", "digits", "int4", "mxfp4", "nvfp4", "--json")[1])
    assert [row["format"] for row in found["formats"]] == ["int4", "mxfp4", "nvfp4"]
    assert "tensors" not in found["formats"][0]


def test_show_ranking_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "none.onnx" in _wrong(capsys, "--on", str(tmp_path / "none.onnx"))
    assert "did you mean" in _wrong(capsys, "--on", "digits", "nvfp5")
    assert _wrong(capsys, "--on", "digits", "uint8").startswith("a ranked format must hold real values of both signs")


@pytest.mark.parametrize("differences", [0, 3])
def test_show_conformance(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, differences: int
) -> None:
    def conformance(names: object, progress: object) -> list[Verdict]:
        assert names == ("int8",)
        assert callable(progress)
        progress("int8")
        verdict = Verdict(
            format="int8",
            reference="peer",
            version="1.0",
            decoded=256,
            encoded=1000,
            differences=differences,
            known=7,
            note="a known flaw",
        )
        return [verdict]

    monkeypatch.setattr(conformance_room, "conformance", conformance)
    status, out, _ = _run(capsys, "--conformance", "int8")
    assert status == (1 if differences else 0)
    assert "a known flaw" in out
    assert f"1 comparison of 1,256 values, {differences} unexplained differences, 7 with a known reason\n" in out
    status, out, _ = _run(capsys, "--conformance", "int8", "--json")
    assert status == (1 if differences else 0)
    found = json.loads(out)
    assert (found["compared"], found["unexplained"]) == (1256, differences)
    assert found["verdicts"][0]["known"] == 7


def test_show_conformance_not_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict(name: str, reference: str, note: str, version: str = "", count: int = 0) -> Verdict:
        return Verdict(
            format=name,
            reference=reference,
            version=version,
            decoded=0,
            encoded=count,
            differences=0,
            known=0,
            note=note,
        )

    verdicts = [
        verdict("int8", "peer", "", "1.0", 1000),
        verdict("int8", "other", "not installed"),
        verdict("mxfp4", "other", "not installed"),
        verdict("mxfp4", "third", "installed, but does not load: no such library"),
        verdict("nvint4", "none", "no library that we know has this format"),
    ]
    monkeypatch.setattr(conformance_room, "conformance", lambda names, progress: verdicts)
    out = _run(capsys, "--conformance")[1]
    assert out.splitlines()[-1] == (
        "1 comparison of 1,000 values, 0 unexplained differences, 0 with a known reason; 2 not installed; "
        "1 installed, but not loaded; no installed reference has mxfp4, nvint4"
    )
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    counts = [row[3:7] for row in rows if row[0]]
    assert counts == [["0", "1,000", "0", "0"], *[["-"] * 4] * 4]
    found = json.loads(_run(capsys, "--conformance", "--json")[1])
    assert (found["comparisons"], found["compared"], found["unexplained"]) == (1, 1000, 0)
    assert found["without_reference"] == ["mxfp4", "nvint4"]


def test_show_ranking_says_what_it_leaves_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rank_file(model: str, names: tuple[str, ...], progress: object) -> list[dict[str, object]]:
        row = rank({"w": (np.eye(2), 1)}, [named("int4")])[0]
        return [row for _ in names or candidates()]

    monkeypatch.setattr(ranking, "rank_file", rank_file)
    last = _run(capsys, "--on", "digits")[1].splitlines()[-1]
    counts = [int(number) for number in re.findall(r"\d+", last)]
    words = "left out: # of # formats: # without negative values, # of more than # bits, # of complex numbers; "
    assert re.sub(r"\d+", "#", last) == words + "name those of more than # bits to rank them"
    left, total, unsigned, wide, nine, others, again = counts
    assert (left, total, nine, again) == (unsigned + wide + others, len(entries()), 9, 9)
    assert left >= 26
    found = json.loads(_run(capsys, "--on", "digits", "--json")[1])
    assert len(found["left_out"]["without negative values"]) == unsigned
    assert "left out" not in _run(capsys, "--on", "digits", "int4")[1]


def test_show_definitions(capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(capsys, "nf4", "logsqrt2_4", "int4_narrow", "bitmod_fp4_g128")[1]
    for said in ("value = levels[code], ties: lower", "q = round(-2 log2 v)", "│ decoded, never made │ 0x8"):
        assert said in out
    assert " 0x8    -8*   -7 " in out
    assert "* decoded, never made" in out
    special = [line.split()[1] for line in out.splitlines() if line.startswith(" 0x8") and " -0.5 " in line]
    assert special == ["5", "-5", "8", "-8"]


def test_show_conformance_of_a_format(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--conformance", "int4", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["unexplained"] == 0
    assert found["compared"] > 10_000
