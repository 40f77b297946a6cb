# SPDX-License-Identifier: Apache-2.0
"""Stages drawn in text and as a figure."""

from pathlib import Path

from hwsim.datapath import hardware
from hwsim.report.units.diagram import diagram
from hwsim.report.units.figure import stages_figure

EMULATED = "hopper_mma_m16n8k32_f32_e4m3_e4m3"


def test_diagram_draws_both_registers(tmp_path: Path) -> None:
    unit = hardware.entry(EMULATED).unit
    lines = diagram(unit)
    assert sum(" ◄──┐" in line for line in lines) == sum(" ───┘" in line for line in lines) == 2
    assert sum("▲  restarts at 0" in line for line in lines) == 1
    assert "restarts at 0" in stages_figure(EMULATED, unit, tmp_path / "unit.svg").read_text()


def test_diagram_leaves_no_word_alone() -> None:
    seen = 0
    for entry in hardware.entries():
        if entry.unit.promotion is not None:
            inside = [line.strip(" │║◄─┐┘").split() for line in diagram(entry.unit) if line.startswith("║")]
            assert all(len(words) != 1 for words in inside), entry.name
            seen += 1
    assert seen >= 10


def test_diagram_ways_back_meet() -> None:
    for entry in hardware.entries():
        lines = diagram(entry.unit)
        column = 104 + 4
        drawn = "".join(line[column] for line in lines if len(line) > column)
        assert drawn.replace("│", "") in ("┐┘", "┐┘┐┘"), entry.name
