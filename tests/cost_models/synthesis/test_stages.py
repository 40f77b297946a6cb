# SPDX-License-Identifier: Apache-2.0
"""Stages of a mapped netlist: found where the answer is known, and sums that are the totals."""

import math

import numpy as np
import pytest

import rtl
from cost_models.activity import Simulator, energy, levelize
from cost_models.activity.netlist import Netlist
from cost_models.synthesis import asic
from cost_models.synthesis.reference import CONTROL, references
from cost_models.synthesis.stages import Stages, area_by_stage, signatures, spread, stages
from cost_models.technologies import Technology, read
from hwsim import datapath
from rtl.architecture import ARCHITECTURES

# Two stages of one known structure each: XOR gates, then AND gates behind flip-flops.
_TEXT = """
module t_core(clk, a, b, c, q);
  input clk;
  input [3:0] a, b, c;
  output [3:0] q;
  wire [3:0] mixed;
  reg [3:0] multiply_data;
  t_multiply multiply (.x(a), .y(b), .z(mixed));
  t_accumulate accumulate (.x(multiply_data), .y(c), .z(q));
  always @(posedge clk) multiply_data <= mixed;
endmodule
module t_multiply(x, y, z);
  input [3:0] x, y;
  output [3:0] z;
  assign z = x ^ y;
endmodule
module t_accumulate(x, y, z);
  input [3:0] x, y;
  output [3:0] z;
  assign z = x & y;
endmodule
"""


@pytest.fixture(scope="module")
def technology() -> Technology:
    found = read("asap7")
    assert isinstance(found, Technology)
    return found


def _mapped(text: str, top: str, technology: Technology) -> Netlist:
    return levelize(asic(text, top, technology, ("area",)).results[0].netlist_json, technology, top)


def _behind(netlist: Netlist, port: str) -> set[int]:
    """Return the nets that depend on a port without a flip-flop between."""
    nets = set(netlist.inputs[port].tolist())
    for out, count, *pins in netlist.gates.tolist():
        if nets & set(pins[:count]):
            nets.add(out)
    return nets


def test_stages_of_two_modules_are_known(technology: Technology) -> None:
    netlist = _mapped(_TEXT, "t_core", technology)
    found = stages(netlist, _TEXT, "t_core")
    assert found.names == ("multiply", "accumulate", CONTROL)
    assert found.flip_flops.tolist() == [0] * 4
    behind = _behind(netlist, "c")
    for row, label in zip(netlist.gates.tolist(), found.gates.tolist(), strict=True):
        assert found.names[label] == ("accumulate" if row[0] in behind else "multiply"), row
    assert (found.gates == 1).sum() >= 4
    areas = area_by_stage(netlist, technology, found)
    ands = sum(
        technology.cells[cell].area_um2
        for cell, row in zip(netlist.gate_cells, netlist.gates[:, 0].tolist(), strict=True)
        if row in behind
    )
    assert areas["accumulate"] == pytest.approx(ands, rel=1e-12)
    assert areas[CONTROL] == 0


def test_stages_planted_swap_of_stages_is_seen(technology: Technology) -> None:
    netlist = _mapped(_TEXT, "t_core", technology)
    swapped = _TEXT.replace("t_multiply", "t_other").replace("t_accumulate", "t_multiply")
    swapped = swapped.replace("t_other", "t_accumulate").replace("multiply_data", "accumulate_data")
    before, after = (stages(netlist, text, "t_core") for text in (_TEXT, swapped))
    assert before.names == after.names == ("multiply", "accumulate", CONTROL)
    assert (before.gates == 1 - after.gates).all()
    assert (before.flip_flops == 1 - after.flip_flops).all()


def test_stages_unknown_module_is_a_stage_of_its_own(technology: Technology) -> None:
    text = _TEXT.replace("t_accumulate", "t_blender")
    found = stages(_mapped(text, "t_core", technology), text, "t_core")
    assert found.names == ("multiply", "blender", CONTROL)


@pytest.mark.parametrize("how", ["tool", "booth_heap"])
def test_stages_sums_are_the_totals(how: str, technology: Technology) -> None:
    unit = datapath.named("int4")
    top = f"{unit.name}_core"
    text = rtl.core_verilog(unit, pipeline=3, architecture=ARCHITECTURES[how])
    result = asic(text, top, technology, ("area",)).results[0]
    netlist = levelize(result.netlist_json, technology, top)
    found = stages(netlist, text, top)
    assert len(found.gates) == len(netlist.gates)
    assert len(found.flip_flops) == len(netlist.flip_flops)
    areas = area_by_stage(netlist, technology, found)
    assert tuple(areas) == found.names
    assert math.fsum(areas.values()) == pytest.approx(result.area_um2, rel=1e-12)
    random = np.random.default_rng(1)
    inputs = {name: random.integers(0, 2, (20, 64)).astype(np.uint64) for name in netlist.inputs}
    trace = Simulator(netlist, 64).run(inputs)
    spent = energy(netlist, technology, trace, 10, 500.0, stages=found)
    assert math.fsum(spent.by_stage.values()) == pytest.approx(spent.total_pj, rel=1e-12)
    # what the Verilog says: 32 bits of register, and beside it valid, first, last and c in each rank ahead
    registers = {name: int((found.flip_flops == index).sum()) for index, name in enumerate(found.names)}
    assert registers["accumulate"] == 32
    assert registers[CONTROL] == 2 * (32 + 3) + 1
    assert found.matched > 0.5


def test_stages_nearest_label_spreads(technology: Technology) -> None:
    netlist = _mapped(_TEXT, "t_core", technology)
    none = np.full(len(netlist.gates), -1)
    gates, flops = spread(netlist, none, np.full(len(netlist.flip_flops), 5))
    assert flops.tolist() == [5] * 4
    assert set(gates.tolist()) == {5}  # what feeds a flip-flop, and what one feeds alone
    gates, flops = spread(netlist, none, np.full(len(netlist.flip_flops), -1))
    assert set(gates.tolist()) | set(flops.tolist()) == {-1}


def test_stages_signatures_tell_functions_apart(technology: Technology) -> None:
    reference = references(_TEXT, "t_core")[0].netlist
    words = signatures(reference)
    assert words[0] == words[1] == 0
    named = {name: int(words[net]) for name, net in reference.names.items() if name != "clk"}
    bits = {name: word for name, word in named.items() if name.partition("[")[0] in {"a", "b", "c", "q", "mixed"}}
    assert len(bits) == 20
    assert len(set(bits.values())) == 20
    netlist = _mapped(_TEXT, "t_core", technology)
    mapped = signatures(netlist)
    assert all(mapped[netlist.names[f"q[{bit}]"]] == named[f"q[{bit}]"] for bit in range(4))


def test_stages_netlist_wrong(technology: Technology) -> None:
    netlist = _mapped(_TEXT, "t_core", technology)
    with pytest.raises(ValueError, match=r"netlist of t_core must have the inputs of module t_core: a, b"):
        stages(netlist, _TEXT.replace("c, q);", "q);", 1).replace("b, c;", "b;").replace(".y(c)", ".y(b)"), "t_core")


def test_stages_cells_without_a_used_output_count_as_control(technology: Technology) -> None:
    netlist = _mapped(_TEXT, "t_core", technology)
    found = stages(netlist, _TEXT, "t_core")
    cell = technology.inverter
    more = {**netlist.cells, cell: netlist.cells.get(cell, 0) + 1}
    loose = Netlist(**{name: getattr(netlist, name) for name in Netlist.__slots__ if name != "cells"}, cells=more)
    assert area_by_stage(loose, technology, found)[CONTROL] == pytest.approx(technology.cells[cell].area_um2, rel=1e-9)


def test_stages_matched_without_gates_is_all() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert Stages(names=(), gates=nothing, flip_flops=nothing, found=nothing.astype(bool)).matched == 1.0
