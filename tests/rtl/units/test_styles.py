# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim import datapath
from hwsim.datapath import dot_exact
from rtl.units.styles import STYLES, shell_verilog, style, style_verilog
from testbenches.design import Design
from testbenches.ports import shell_ports
from testbenches.runner import VerificationError, run
from testbenches.stimulus import fields, stimulus


def _design(unit_name: str, name: str) -> Design:
    unit = datapath.named(unit_name)
    core = style(name).core(unit)
    top = f"{unit.name}_{name}"
    text = shell_verilog(core, top)
    return Design(
        top=top,
        sources=((f"{top}.v", text),),
        ports=shell_ports(unit),
        latency=core.latency,
        full_rate=core.full_rate,
        longest_latency=core.longest_latency,
    )


@pytest.mark.parametrize(
    ("unit_name", "name"),
    [("uint2_by_int4_l2_int9", "bit_serial"), ("int4_int9", "sparse_booth")]
    + [pytest.param(unit, name, marks=pytest.mark.slow) for unit in ("int8_l4", "uint8_by_int6_l4") for name in STYLES],
)
def test_style_verilog_passes_the_units_bench(unit_name: str, name: str) -> None:
    unit = datapath.named(unit_name)
    rows = stimulus(unit, count=100, corner_rows=50, exhaustive=False)
    expected = dot_exact(unit, rows)
    report = run(_design(unit_name, name), fields(unit, rows), expected, simulator="icarus")
    assert report.outputs == len(expected) > 30
    assert report.compared > 2 * len(expected)


def test_style_bench_checks_the_range_of_the_latency(tmp_path: Path) -> None:
    unit = datapath.named("int4_int9")
    rows = stimulus(unit, count=60, corner_rows=20, exhaustive=False)
    design = replace(_design("int4_int9", "sparse_en_t"), longest_latency=4)
    with pytest.raises(VerificationError, match=r"the latency is \d+ cycles, stated is 4: output"):
        run(design, fields(unit, rows), dot_exact(unit, rows), simulator="icarus", workdir=tmp_path)
    late = replace(design, longest_latency=99, full_rate=True)
    with pytest.raises(VerificationError, match="is not accepted at once"):
        run(late, fields(unit, rows), dot_exact(unit, rows), simulator="icarus", workdir=tmp_path / "full")


def test_style_verilog_is_that_of_the_core() -> None:
    unit = datapath.named("int4_int9")
    text = style_verilog(unit, "bit_serial")
    assert re.findall(r"^module (\w+)", text, re.MULTILINE)[0] == "int4_l1_int9_bit_serial"
    assert text == shell_verilog(style("bit_serial").core(unit), "int4_l1_int9_bit_serial")


def test_design_longest_latency_wrong() -> None:
    design = _design("int4_int9", "bit_serial")
    with pytest.raises(ValueError, match=r"^longest_latency must be at least 6, not 3$"):
        replace(design, longest_latency=3)


def test_style_name_wrong() -> None:
    with pytest.raises(KeyError, match="unknown style 'opt9'; there are same_weight, sparse_en_t"):
        style("opt9")
