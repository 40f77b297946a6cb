# SPDX-License-Identifier: Apache-2.0
"""Planted faults in the Verilog, a handful in each stage: the bench must find every one."""

import re

import pytest

import rtl
from hwsim import datapath
from hwsim.datapath import DotProductUnit
from testbenches.design import Design
from testbenches.ports import shell_ports
from testbenches.runner import VerificationError, run
from testbenches.stimulus import fields, stimulus

UNIT = datapath.named("float4_e2m1fn")
STAGES = {
    "decode_float4_e2m1fn": "operands",
    "multiply": "products",
    "align_add": "total",
    "accumulate": "following",
    "round_pack": "d",
}


def _run(text: str, unit: DotProductUnit = UNIT) -> int:
    rows = stimulus(unit, count=256, corner_rows=512)
    sources = ((f"{unit.name}.v", text),)
    design = Design(top=unit.name, sources=sources, ports=shell_ports(unit), latency=rtl.latency(unit))
    return run(design, fields(unit, rows), datapath.dot_exact(unit, rows), simulator=None).outputs


def _module(text: str, name: str) -> str:
    found = re.search(rf"^module {name}\(.*?^endmodule\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[0]


def _flipped(module: str, port: str, bit: int) -> str:
    """Put an inverter on one bit of an output port: its driver goes to a new net."""
    head = re.search(rf"^  output (\[(\d+):0\] )?{port};$", module, re.MULTILINE)
    assert head is not None
    high = int(head[2] or 0)
    assert bit <= high
    inner = re.sub(rf"\b{port}\b", "faulty", module)
    inner = re.sub(r"^  output (\[\d+:0\] )?faulty;\n", "", inner, flags=re.MULTILINE)
    inner = re.sub(r"\(([^)]*)\bfaulty\b([^)]*)\);", rf"(\g<1>{port}\g<2>);", inner, count=1)
    width = f"[{high}:0] " if high else ""
    ports = f"  output {width}{port};\n  assign {port} = faulty ^ {high + 1}'d{1 << bit};\n"
    return inner.replace(";\n", f";\n{ports}", 1)


def test_rtl_mutants_sound_design_passes() -> None:
    assert _run(rtl.verilog(UNIT)) > 1000


@pytest.mark.parametrize("bit", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", STAGES)
def test_rtl_mutants_flipped_bit_is_found(stage: str, bit: int) -> None:
    text = rtl.verilog(UNIT)
    name = f"{UNIT.name}_{stage}"
    module = _module(text, name)
    mutant = text.replace(module, _flipped(module, STAGES[stage], bit))
    assert mutant != text
    with pytest.raises(VerificationError, match=r"expected"):
        _run(mutant)


@pytest.mark.parametrize(
    ("stage", "old", "new"),
    [
        ("multiply", " * ", " + "),
        ("multiply", " ^ ", " & "),
        ("align_add", " << ", " >> "),
        ("accumulate", " + ", " - "),
    ],
)
def test_rtl_mutants_changed_operator_is_found(stage: str, old: str, new: str) -> None:
    text = rtl.verilog(UNIT)
    name = f"{UNIT.name}_{stage}"
    module = _module(text, name)
    assert old in module
    with pytest.raises(VerificationError, match=r"expected"):
        _run(text.replace(module, module.replace(old, new, 1)))
