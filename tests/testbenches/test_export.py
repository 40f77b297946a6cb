# SPDX-License-Identifier: Apache-2.0
"""The testbenches that go beside a unit's Verilog: they need nothing of this package, pass and fail as they should."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testbenches.design import Design
from testbenches.export import export_testbench
from testbenches.simulators import find

Vectors = Callable[..., tuple[dict[str, list[int]], list[int]]]
Mac = Callable[..., Design]

LATE = (
    "reg [31:0] late; reg late_done; always @(posedge clk) if (rst) late_done <= 1'b0;"
    " else if (en) begin late <= sum; late_done <= done; end assign d = late;"
)


def _plain(folder: Path, top: str, standard: str = "-g2005") -> str:
    """Run the plain testbench as its first lines say."""
    command = ["iverilog", standard, "-s", f"{top}_tb", "-o", "tb.vvp", f"{top}_tb.v", f"{top}.v"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run(["vvp", "-n", "tb.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_export_plain_passes(mac: Mac, vectors: Vectors, icarus: str, tmp_path: Path) -> None:
    stimulus, expected = vectors(3000, pairs=True)
    files = export_testbench(tmp_path / "new", mac(), stimulus, expected)
    assert all(file.is_file() for file in files)
    log = _plain(tmp_path / "new", "mac_int8")
    # Every output in each of three modes, and a few before each reset.
    compared = int(log.split(" outputs compared")[0].split()[-1])
    assert log.splitlines()[-1].startswith("PASS: mac_int8: ")
    assert [line[:6] for line in log.splitlines()[:-1]] == ["mode 0", "mode 1", "mode 2"]
    assert 3 * len(expected) <= compared <= 3 * len(expected) + 400
    assert "latency 2" in log


def test_export_plain_wide_passes(wide: Design, vectors: Vectors, icarus: str, tmp_path: Path) -> None:
    export_testbench(tmp_path, wide, *vectors(1000, lanes=32, bits=64))
    assert _plain(tmp_path, "dot_int8_l32").splitlines()[-1].startswith("PASS: dot_int8_l32: ")


@pytest.mark.parametrize(("name", "last"), [("rows.mem", None), ("expected.mem", None), ("expected.mem", "xx")])
def test_export_plain_vectors_wrong(
    mac: Mac, vectors: Vectors, icarus: str, tmp_path: Path, name: str, last: str | None
) -> None:
    export_testbench(tmp_path, mac(), *vectors(100))
    words = (tmp_path / name).read_text().split()
    (tmp_path / name).write_text("\n".join(words[:-1] if last is None else [*words[:-1], last]) + "\n")
    log = _plain(tmp_path, "mac_int8")
    assert f"line {len(words)} of {name} is missing, or is no hexadecimal word" in log
    assert log.splitlines()[-1] == "FAIL: mac_int8"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("sum <= base + addend;", "sum <= base - addend;")], "is wrong: expected"),
        ([("if (row_valid) sum", "sum")], "in mode 1"),
        ([("assign i_ready = en;", "assign i_ready = 1'b1;")], "in mode 1"),
        ([("assign d = sum;", "assign d = sum ^ {31'b0, done & ~en};")], "o_d changed while o_valid was high"),
        ([("wire en = o_ready | ~o_valid;", "wire en = 1'b1;")], "o_ready"),
        ([("done <= row_valid & row_last;", "done <= (row_valid & row_last) | (done & ~row_valid);")], "extra output"),
        ([("done <= row_valid & row_last;", "done <= row_valid & row_last & valid;")], "nothing moved for"),
        ([("assign d = sum;", LATE), ("assign d_valid = done;", "assign d_valid = late_done;")], "latency is 3 cycles"),
        ([("row_valid <= 1'b0;", "if (row_valid === 1'bx) row_valid <= 1'b0;")], "after rst: the reset does not clear"),
        ([("done <= 1'b0;", "if (done === 1'bx) done <= 1'b0;")], "after rst: the reset does not clear"),
        ([("if (rst) begin", "if (1'b0) begin")], "o_valid is x"),
        ([("assign i_ready = en;", "assign i_ready = en & ~core.row_valid;")], "a row is not accepted at once"),
    ],
)
def test_export_plain_fault_is_named(
    mac: Mac, vectors: Vectors, icarus: str, tmp_path: Path, changes: list[tuple[str, str]], message: str
) -> None:
    export_testbench(tmp_path, mac(*changes), *vectors(1000))
    log = _plain(tmp_path, "mac_int8")
    assert message in log
    assert "FAIL: mac_int8" in log
    assert "PASS" not in log


@pytest.mark.parametrize("target", ["plain", "cocotb"])
def test_export_makefile_passes_and_fails(mac: Mac, vectors: Vectors, icarus: str, tmp_path: Path, target: str) -> None:
    command = ["make", target, f"PYTHON={sys.executable}"]
    # Without the variables of this process: the folder stands alone.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    stimulus, expected = vectors(400)
    export_testbench(tmp_path, mac(), stimulus, expected)
    good = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "PASS" in good.stdout
    expected[3] ^= 1
    export_testbench(tmp_path, mac(), stimulus, expected)
    bad = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert bad.returncode != 0
    assert "output 3 is wrong" in bad.stdout


def test_export_cocotb_in_verilator(mac: Mac, vectors: Vectors, verilator: str, tmp_path: Path) -> None:
    export_testbench(tmp_path, mac(), *vectors(400))
    command = [sys.executable, "run.py", "--simulator", verilator]
    environment = find(verilator).environment()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS") == 4


def test_export_cocotb_without_simulator(mac: Mac, vectors: Vectors, tmp_path: Path) -> None:
    export_testbench(tmp_path, mac(), *vectors(100))
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "no simulator: iverilog or verilator is not on PATH\n"
