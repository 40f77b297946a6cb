# SPDX-License-Identifier: Apache-2.0
"""A small core in Verilog, its mapped netlists, and a result store of the tests' own."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cost_models.synthesis import AsicResult, asic
from cost_models.technologies import Technology, read

MAC4 = """
module mac4_core(input clk, input rst, input en, input valid, input first, input last,
                 input signed [3:0] a, input signed [3:0] b, input signed [11:0] c,
                 output reg signed [11:0] d, output reg d_valid);
  always @(posedge clk)
    if (rst) d_valid <= 1'b0;
    else if (en) begin
      d_valid <= valid & last;
      if (valid) d <= (first ? c : d) + a * b;
    end
endmodule
"""


@pytest.fixture(autouse=True, scope="session")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep results of these tests away from the user's."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWSIM_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def mac4_verilog() -> str:
    """Return a multiplier of two signed 4-bit numbers with a 12-bit accumulator, wrapping."""
    return MAC4


@pytest.fixture(scope="session", params=["asap7", "nangate45"])
def technology(request: pytest.FixtureRequest) -> Technology:
    """Return each standard-cell technology."""
    found = read(request.param)
    assert isinstance(found, Technology)
    return found


@pytest.fixture(scope="session")
def mac4(technology: Technology) -> AsicResult:
    """Return the core mapped to the technology with the Booth timing recipe."""
    return asic(MAC4, "mac4_core", technology, recipes=["timing_booth"]).results[0]


@pytest.fixture(scope="session")
def icarus(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that runs Verilog texts in Icarus and gives what they print; skip without Icarus."""
    if shutil.which("iverilog") is None:
        pytest.skip("needs Icarus Verilog (apt-get install iverilog)")

    def run(*texts: str, folder: Path | None = None) -> str:
        work = folder or tmp_path_factory.mktemp("icarus")
        names = []
        for index, text in enumerate(texts):
            names.append(f"part{index}.v")
            (work / names[-1]).write_text(text, encoding="utf-8")
        for command in (["iverilog", "-g2012", "-o", "bench.vvp", *names], ["vvp", "-n", "bench.vvp"]):
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
