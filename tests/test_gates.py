# SPDX-License-Identifier: Apache-2.0
"""The mapped netlist against the model: equal, and a planted fault is found."""

import json

import pytest

import rtl
from cost_models.activity import levelize
from cost_models.synthesis import asic
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.gates import check_netlist, step_energy
from testbenches.stimulus import stimulus


def _technology() -> Technology:
    technology = read("asap7")
    assert isinstance(technology, Technology)
    return technology


@pytest.mark.parametrize(("name", "least"), [("int4", 4_000), ("float4_e2m1fn", 4_000)])
def test_gates_netlist_equals_the_model(name: str, least: int) -> None:
    unit, technology = datapath.named(name), _technology()
    result = asic(rtl.core_verilog(unit), f"{unit.name}_core", technology, ("area",)).choose("smallest")
    rows = stimulus(unit)
    latency = rtl.latency(unit)
    netlist = levelize(result.netlist_json, technology, f"{unit.name}_core")
    assert check_netlist(unit, netlist, rows, latency) >= least
    energy = step_energy(unit, netlist, technology, result.delay_ps, latency)
    # A gate of this library takes some 0.1 fJ a toggle, and a flip-flop 0.5 fJ a cycle.
    assert result.cells * 1e-5 < energy.total_pj < result.cells * 1e-2


def test_gates_planted_fault_is_found() -> None:
    unit, technology = datapath.named("int4"), _technology()
    top = f"{unit.name}_core"
    result = asic(rtl.core_verilog(unit), top, technology, ("area",)).choose("smallest")
    rows = stimulus(unit)
    design = json.loads(result.netlist_json)
    cells = design["modules"][top]["cells"]
    swaps = {"NAND2xp33_ASAP7_75t_R": "NOR2xp33_ASAP7_75t_R", "NOR2xp33_ASAP7_75t_R": "NAND2xp33_ASAP7_75t_R"}
    victims = [name for name, cell in cells.items() if cell["type"] in swaps][:6]
    assert len(victims) == 6
    for victim in victims:
        cells[victim]["type"] = swaps[cells[victim]["type"]]
        with pytest.raises(ValueError, match=r"netlist of int4_l1_int32 (differs from the model|gave \d+ outputs)"):
            check_netlist(unit, levelize(json.dumps(design), technology, top), rows, rtl.latency(unit))
        cells[victim]["type"] = swaps[cells[victim]["type"]]
