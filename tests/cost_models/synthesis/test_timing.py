# SPDX-License-Identifier: Apache-2.0
"""Static timing, by hand and against ABC."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cost_models.activity import levelize
from cost_models.synthesis import RECIPES, asic, timing
from cost_models.synthesis.yosys import work_directory
from cost_models.technologies import Technology, Wires, liberty, linear_delays, read

MULTIPLIER = "module t(input [3:0] a, input [3:0] b, output [7:0] p); assign p = a * b; endmodule"


def _inverters(registered: bool) -> tuple[str, Technology]:
    """INVx1 that drives INVx2, with flip-flops around them or ports."""
    technology = read("asap7")
    assert isinstance(technology, Technology)
    cells: dict[str, Any] = {
        "a": {"type": "INVx1_ASAP7_75t_R", "connections": {"A": [4], "Y": [5]}},
        "b": {"type": "INVx2_ASAP7_75t_R", "connections": {"A": [5], "Y": [6]}},
    }
    if registered:
        cells["f"] = {"type": "DFFHQNx1_ASAP7_75t_R", "connections": {"CLK": [2], "D": [3], "QN": [4]}}
        cells["g"] = {"type": "DFFHQNx1_ASAP7_75t_R", "connections": {"CLK": [2], "D": [6], "QN": [7]}}
    bits = [("clk", "input", 2), ("i", "input", 3 if registered else 4), ("o", "output", 7 if registered else 6)]
    ports = {name: {"direction": direction, "bits": [bit]} for name, direction, bit in bits}
    return json.dumps({"modules": {"t": {"ports": ports, "cells": cells, "netnames": {}}}}), technology


def test_timing_of_ports() -> None:
    text, technology = _inverters(registered=False)
    found = timing(levelize(text, technology, "t"), technology)
    delays = linear_delays(technology)
    # INVx1 carries an INVx2 pin of 1.193 fF, INVx2 the port's four inverters: its delay is the table's 13.86 ps
    first = delays["INVx1_ASAP7_75t_R"]
    expected = first.intrinsic_ps + first.slope_ps_per_ff * 1.193 + 13.86
    assert found.through_ps == pytest.approx(expected)
    assert found.delay_ps == found.through_ps
    assert (found.register_ps, found.input_ps, found.output_ps) == (0, 0, 0)


def test_timing_of_registers() -> None:
    text, technology = _inverters(registered=True)
    found = timing(levelize(text, technology, "t"), technology)
    delays = linear_delays(technology)
    chain = [("DFFHQNx1_ASAP7_75t_R", 0.620), ("INVx1_ASAP7_75t_R", 1.193), ("INVx2_ASAP7_75t_R", 0.559)]
    path = sum(delays[cell].intrinsic_ps + delays[cell].slope_ps_per_ff * load for cell, load in chain)
    assert found.register_ps == pytest.approx(path + 10.67)  # setup of DFFHQNx1
    assert found.input_ps == pytest.approx(10.67)
    assert found.output_ps == pytest.approx(63.26)  # clock to output at the operating point's load
    assert found.through_ps == 0
    assert found.delay_ps == found.register_ps


def test_timing_agrees_with_abc(technology: Technology) -> None:
    # ABC adds a driving cell at the inputs, and rounds to whole ps
    script = """
    read_liberty -lib cells.lib
    read_verilog -sv core.v
    synth -flatten -noabc -top t
    abc -liberty cells.lib -constr abc.constr -script +{abc};stime,-d
    """
    constraints = f"set_driving_cell {technology.driver}\nset_load {technology.operating_point.load_ff}\n"
    inputs = {"cells.lib": liberty(technology, 1e-3), "core.v": MULTIPLIER, "abc.constr": constraints}
    recipes = ["area", "timing"]
    for recipe, result in zip(recipes, asic(MULTIPLIER, "t", technology, recipes).results, strict=True):
        with work_directory(inputs) as directory:
            directory.yosys(script.format(abc=RECIPES[recipe].abc))
            abc_delay_ps = float(directory.read("stats.txt").split()[-1])
        assert result.delay_ps == pytest.approx(abc_delay_ps, rel=0.06)
        assert result.delay_ps <= abc_delay_ps + 1


def test_timing_with_wires() -> None:
    """Every net carries its pins and its wire: one sink each here, so all wires are equally long."""
    text, technology = _inverters(registered=False)
    delays = linear_delays(technology)
    per_um, used, pitches = 0.2, 0.5, 2.0
    wires = Wires(capacitance_ff_per_um=per_um, utilization=used, pitches_per_pin=pitches)
    wired = replace(technology, wires=wires)
    names = ("INVx1_ASAP7_75t_R", "INVx2_ASAP7_75t_R")
    pitch_um = (sum(technology.cells[name].area_um2 for name in names) / 2 / used) ** 0.5
    extra = per_um * pitches * pitch_um * sum(delays[name].slope_ps_per_ff for name in names)
    netlist = levelize(text, wired, "t")
    without = timing(netlist, wired).delay_ps
    assert timing(netlist, wired, wires=True).delay_ps == pytest.approx(without + extra)
    assert timing(netlist, replace(technology, wires=None), wires=True).delay_ps == without
