# SPDX-License-Identifier: Apache-2.0
"""The mapped netlist against the model: equal, and a planted fault is found; the energy of a step between bounds."""

import json
from dataclasses import replace

import numpy as np
import pytest

import rtl
from cost_models.activity import Netlist, levelize
from cost_models.synthesis import asic
from cost_models.synthesis.results import AsicResult
from cost_models.synthesis.stages import stages
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.sparsity import Sparsity
from hwsim.gates import check_netlist, step_energy
from hwsim.operands import Operands, gaussian, uniform
from testbenches.entering import spread
from testbenches.stimulus import random_rows, stimulus


def _technology() -> Technology:
    technology = read("asap7")
    assert isinstance(technology, Technology)
    return technology


def _priced(unit: DotProductUnit) -> tuple[AsicResult, Netlist]:
    technology, top = _technology(), f"{unit.name}_core"
    result = asic(rtl.core_verilog(unit), top, technology, ("area",)).choose("smallest")
    return result, levelize(result.netlist_json, technology, top)


@pytest.mark.parametrize(("name", "least"), [("int4", 4_000), ("float4_e2m1fn", 4_000)])
def test_gates_netlist_equals_the_model(name: str, least: int) -> None:
    unit, technology = datapath.named(name), _technology()
    result, netlist = _priced(unit)
    latency = rtl.latency(unit)
    rows = stimulus(unit)
    assert check_netlist(unit, netlist, rows, latency) >= least
    assert check_netlist(unit, netlist, rows, latency, dot_exact(unit, rows)) >= least
    bounds = step_energy(unit, netlist, technology, result.delay_ps, latency)
    # A gate of this library takes some 0.1 fJ a toggle, and a flip-flop 0.5 fJ a cycle.
    assert result.cells * 1e-5 < bounds.lower.total_pj < bounds.upper.total_pj < result.cells * 1e-2


@pytest.mark.slow
def test_gates_register_above_64_bits_equals_the_model() -> None:
    """The c of a quire of 128 bits takes two words."""
    unit = datapath.named("posit8_2_quire")
    assert unit.name.startswith("posit8_2_l1_fixed128")
    result, netlist = _priced(unit)
    assert check_netlist(unit, netlist, random_rows(unit, 1_000), rtl.latency(unit)) >= 100
    assert step_energy(unit, netlist, _technology(), result.delay_ps, 2).lower.logic_pj > 0


def test_gates_sparse_equals_the_model() -> None:
    dense = datapath.named("float4_e2m1fn_l4")
    unit = replace(dense, sparsity=Sparsity(kept=2, of=4))
    rows = spread(unit, random_rows(dense, 1_000), 1)
    result, netlist = _priced(unit)
    assert check_netlist(unit, netlist, rows, rtl.latency(unit)) >= 100
    assert step_energy(unit, netlist, _technology(), result.delay_ps, 2).lower.logic_pj > 0


def test_gates_planted_fault_is_found() -> None:
    unit, technology = datapath.named("int4"), _technology()
    top = f"{unit.name}_core"
    result, _ = _priced(unit)
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


def test_gates_expected_wrong() -> None:
    unit = datapath.named("int4")
    _, netlist = _priced(unit)
    rows = [Row(first=True, last=True, a=(3,), b=(15,), c=7)] * 3
    assert check_netlist(unit, netlist, rows, rtl.latency(unit), [4, 4, 4]) == 3
    with pytest.raises(ValueError, match=r"differs from the model at output 1: 0x4, not 0x5"):
        check_netlist(unit, netlist, rows, rtl.latency(unit), [4, 5, 4])
    with pytest.raises(ValueError, match=r"gave 3 outputs, not 2"):
        check_netlist(unit, netlist, rows, rtl.latency(unit), [4, 4])


def test_gates_energy_of_still_operands_is_clock_leakage_and_control() -> None:
    unit = datapath.named("int4")
    result, netlist = _priced(unit)
    given = gaussian(unit)
    still = replace(given, a=np.zeros_like(given.a), b=np.zeros_like(given.b), first=np.ones_like(given.first))
    found = step_energy(unit, netlist, _technology(), result.delay_ps, 2, replace(still, last=still.first))
    for energy in found:
        assert energy.logic_pj == energy.registers_pj == energy.inputs_pj == energy.wires_pj == 0
        assert energy.clock_pj > 0
    moving = step_energy(unit, netlist, _technology(), result.delay_ps, 2, given)
    assert moving.lower.clock_pj == found.lower.clock_pj
    assert moving.lower.leakage_pj == found.lower.leakage_pj
    assert moving.lower.wires_pj == 0 < moving.upper.wires_pj
    assert moving.lower.logic_pj < moving.upper.logic_pj


def test_gates_energy_by_stage_is_the_total() -> None:
    unit = datapath.named("int4")
    result, netlist = _priced(unit)
    labels = stages(netlist, rtl.core_verilog(unit), f"{unit.name}_core")
    found = step_energy(unit, netlist, _technology(), result.delay_ps, 2, uniform(unit), labels)
    for energy in found:
        assert sum(energy.by_stage.values()) == pytest.approx(energy.total_pj, rel=1e-12)


def _cut(operands: Operands, steps: int) -> Operands:
    """Keep the first steps of a dense scalar unit's."""
    rows = {name: getattr(operands, name)[:, :steps] for name in ("a", "b", "first", "last")}
    return replace(operands, **rows)


def test_gates_operands_wrong() -> None:
    unit = datapath.named("int4")
    result, netlist = _priced(unit)
    other = gaussian(datapath.named("int8"))
    with pytest.raises(ValueError, match=r"operands must be of unit int4_l1_int32, not of int8_l1_int32"):
        step_energy(unit, netlist, _technology(), result.delay_ps, 2, other)
    with pytest.raises(ValueError, match=r"operands must have more than 3 steps, not 3"):
        step_energy(unit, netlist, _technology(), result.delay_ps, 2, _cut(gaussian(unit), 3))
