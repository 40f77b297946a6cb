# SPDX-License-Identifier: Apache-2.0
"""The folder of an array: its testbench alone passes, names a wrong element, and its pictures say what it is."""

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hwsim import datapath
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from testbenches.package import trace as traces
from testbenches.package.array import example, write_array
from testbenches.package.grid import array_diagram
from testbenches.runner import VerificationError

SVG = "{http://www.w3.org/2000/svg}"
SLOW = (ArrayKind.INPUT_STATIONARY, ArrayKind.BROADCAST, ArrayKind.CUBE, ArrayKind.ADDER_TREE)
KINDS = [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in ArrayKind]


def _geometry(kind: ArrayKind) -> ArrayGeometry:
    return ArrayGeometry(kind=kind, rows=2, columns=3, depth=2 if kind is ArrayKind.CUBE else 1)


def _run(folder: Path, top: str) -> str:
    build = ["iverilog", "-g2005", "-s", f"{top}_tb", "-o", "tb.vvp", "-f", f"{top}_tb.f"]
    subprocess.run(build, cwd=folder, check=True)
    return subprocess.run(["vvp", "-n", "tb.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits) if code >> (bits - 1) else code


@pytest.mark.parametrize("kind", KINDS)
def test_array_folder(kind: ArrayKind, icarus: str, tmp_path: Path) -> None:
    geometry, unit = _geometry(kind), datapath.named("int4")
    folder = tmp_path / "new"
    written = write_array(geometry, unit, folder, clock_mhz=250)
    top = f"{geometry.name}_int4_l1_int32"
    assert sorted(file.name for file in written.files) == sorted(file.name for file in folder.iterdir())
    log = _run(folder, top)
    outputs = len((folder / "expected.mem").read_text().split())
    last = log.splitlines()[-1]
    assert last.startswith(f"PASS: {top}: ")
    assert 3 * outputs <= int(last.split()[2]) <= 15 * outputs  # three whole streams, and what came before each reset
    text = (folder / "README.md").read_text()
    assert "| `o_d` | output | 96 | 3 x int32, column 0 at bit 0 |" in text
    assert "| Accumulator | 32 bits, two's complement, unit 2**0; overflow: wrap |" in text
    assert "create_clock -name clk -period 4.000 " in (folder / f"{top}.sdc").read_text()
    drawn = [node.text for node in ET.fromstring((folder / "block_diagram.svg").read_text()).iter(f"{SVG}text")]
    assert {"r0 c0", "r1 c2", "o_d /96"} <= set(drawn)
    waves = [node.text for node in ET.fromstring((folder / "waveform.svg").read_text()).iter(f"{SVG}text")]
    skew = 2 + 3 - 2 if "stationary" in kind.value else 0
    assert f"latency {skew + 2}" in waves
    words = (folder / "expected.mem").read_text().split()
    words[2] = f"{int(words[2], 16) ^ 2:0{len(words[2])}x}"
    (folder / "expected.mem").write_text("\n".join(words) + "\n")
    log = _run(folder, top)
    assert "output 2 is wrong" in log
    assert log.rstrip().endswith(f"FAIL: {top}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("assign moves = o_ready | ", "assign moves = 1'b1 | ", "an output changed while o_valid was high"),
        ("$signed(a) * $signed(b)", "$signed(a) * $signed(b) + 1'b1", "is wrong: expected"),
    ],
)
def test_array_folder_fault_is_named(icarus: str, tmp_path: Path, old: str, new: str, message: str) -> None:
    write_array(_geometry(ArrayKind.OUTPUT_STATIONARY), datapath.named("int4"), tmp_path)
    (file,) = tmp_path.glob("*_int32.v")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    log = _run(tmp_path, file.stem)
    assert message in log
    assert log.rstrip().endswith(f"FAIL: {file.stem}")


def test_array_example_is_the_product() -> None:
    geometry, unit = _geometry(ArrayKind.OUTPUT_STATIONARY), datapath.named("int4")
    stream = example(geometry, unit)
    first = stream.beats[:3]
    assert [(beat["first"], beat["last"]) for beat in first] == [(1, 0), (0, 0), (0, 1)]
    for row in range(2):
        for column in range(3):
            total = sum(
                _signed(beat["a"] >> (4 * row) & 15, 4) * _signed(beat["b"] >> (4 * column) & 15, 4) for beat in first
            )
            assert stream.outputs[row]["d"] >> (32 * column) & 0xFFFFFFFF == total & 0xFFFFFFFF
    assert len(stream.outputs) == 3 * 2 * 2  # three tiles down, two across, two rows each


def test_array_waveform_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(traces, "_DEADLINE_CYCLES", 3)
    with pytest.raises(VerificationError, match=r"the stream gives \[\], and the model \[\]"):
        write_array(_geometry(ArrayKind.BROADCAST), datapath.named("int4"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_array_diagram_of_a_large_one() -> None:
    geometry = ArrayGeometry(kind=ArrayKind.WEIGHT_STATIONARY, rows=16, columns=256)
    svg = array_diagram(geometry, "large", "", {"i_a": 128, "i_b": 2048, "o_d": 8192})
    drawn = [node.text for node in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"r0 c0", "r15 c255", "i_b /2048"} <= set(drawn)
    assert "r2 c2" not in drawn
