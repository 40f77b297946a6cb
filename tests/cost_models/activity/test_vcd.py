# SPDX-License-Identifier: Apache-2.0
"""The gate simulators against Icarus Verilog, net by net, and the reader of its VCD on a file by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtl
from cost_models.activity import GlitchSimulator, Netlist, Simulator, levelize
from cost_models.activity.vcd import PERIOD, bench, count_changes, unit_delay_cells
from cost_models.synthesis import AsicResult, asic
from cost_models.technologies import Technology, cells_verilog, read
from hwsim import datapath

HAND = f"""$timescale 1s $end
$scope module dut $end
$var wire 1 ! a $end
$var wire 3 " b [4:2] $end
$var wire 2 # \\up.c [1:0] $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
x!
bx "
b1 #
$end
#3
1!
b11 "
#{PERIOD}
0!
b10 "
#{PERIOD + 1}
1!
b0 #
#{PERIOD + 5}
b101 "
#{2 * PERIOD}
0!
"""


def _compare(
    result: AsicResult, netlist: Netlist, technology: Technology, stream: Any, run: tuple[Callable[..., str], Path]
) -> int:
    """Compare every net of both simulations; return the number of nets."""
    icarus, folder = run
    labels = {label: net for label, net in netlist.names.items() if label != netlist.clock}
    driven = {*netlist.gates[:, 0].tolist(), *netlist.flip_flops[:, 0].tolist()}
    assert driven <= set(labels.values())
    for kind, cells in ((Simulator, cells_verilog(technology)), (GlitchSimulator, unit_delay_cells(technology))):
        icarus(result.netlist_verilog, cells, bench(netlist, stream), folder=folder)
        counted = count_changes(folder / "trace.vcd", settled=kind is Simulator)
        toggles = kind(netlist, 1).run(stream).toggles
        assert {label: counted[label] for label in labels} == {label: toggles[net] for label, net in labels.items()}
        assert toggles.sum() > 10_000
    return len(set(labels.values()))


def test_vcd_equal_icarus(
    mac4: AsicResult, netlist: Netlist, technology: Technology, streams: Callable[..., Any], icarus: Any, tmp_path: Path
) -> None:
    nets = _compare(mac4, netlist, technology, streams(400, 1, 9), (icarus, tmp_path))
    assert nets >= len(netlist.gates) + len(netlist.flip_flops)


def test_vcd_equal_icarus_unit(icarus: Any, tmp_path: Path) -> None:
    """An E2M1 unit: decoders, shifters and the rounding into float32."""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    unit = datapath.named("float4_e2m1fn")
    result = asic(rtl.core_verilog(unit, pipeline=2), f"{unit.name}_core", technology, ["timing"]).results[0]
    netlist = levelize(result.netlist_json, technology, result.top)
    rng = np.random.default_rng(4)
    stream = {
        name: (rng.random((200, 1)) < {"rst": 0.02, "first": 0.1}.get(name, 0.9)).astype(np.uint8)
        if len(nets) == 1
        else rng.integers(0, 1 << len(nets), (200, 1))
        for name, nets in netlist.inputs.items()
    }
    assert _compare(result, netlist, technology, stream, (icarus, tmp_path)) > 900


def test_vcd_count_changes(tmp_path: Path) -> None:
    path = tmp_path / "hand.vcd"
    path.write_text(HAND, encoding="utf-8")
    # a falls, rises and falls; b goes 011, 010, 101 in bits 4 to 2; c goes 01, 00
    every = {"a": 3, "b[4]": 1, "b[3]": 1, "b[2]": 2, "up.c[1]": 0, "up.c[0]": 1}
    assert count_changes(path, settled=False) == every
    # a is 1 at the end of the cycle before the first edge, at the end of the next, and 0 at the end of the last
    assert count_changes(path, settled=True) == every | {"a": 1, "b[2]": 0}


def test_vcd_unit_delay_cells() -> None:
    technology = read("asap7")
    assert isinstance(technology, Technology)
    text = unit_delay_cells(technology)
    gates = [cell for cell in technology.cells.values() if not cell.is_flip_flop]
    assert text.count("assign #1 ") == sum(len(cell.outputs) for cell in gates)
    plain = text.replace("#1 ", "")
    assert plain == cells_verilog(technology)
    assert text.count("assign Q") == len(technology.cells) - len(gates)


def test_vcd_inputs_wrong(netlist: Netlist, streams: Callable[..., Any]) -> None:
    with pytest.raises(
        ValueError, match=r"^input 'valid' must have shape \(cycles, 1\) or \(cycles, 1, limbs\), not \(4, 2\)$"
    ):
        bench(netlist, streams(4, 2, 0))
