# SPDX-License-Identifier: Apache-2.0
"""Energy of a run, worked out by hand from the table."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from cost_models.activity import Energy, GlitchSimulator, Netlist, Simulator, energy, levelize
from cost_models.synthesis import AsicResult
from cost_models.technologies import Technology, read


def _chain() -> tuple[Netlist, Technology]:
    """Two inverters and a flip-flop behind each other."""
    technology = read("asap7")
    assert isinstance(technology, Technology)
    cells = {
        "a": {"type": "INVx1_ASAP7_75t_R", "connections": {"A": [3], "Y": [4]}},
        "b": {"type": "INVx2_ASAP7_75t_R", "connections": {"A": [4], "Y": [5]}},
        "f": {"type": "DFFHQNx1_ASAP7_75t_R", "connections": {"CLK": [2], "D": [5], "QN": [6]}},
    }
    ports = {name: {"direction": "input", "bits": [bit]} for name, bit in (("clk", 2), ("i", 3))}
    ports["o"] = {"direction": "output", "bits": [6]}
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": cells, "netnames": {}}}})
    return levelize(text, technology, "t"), technology


def test_energy_of_a_chain() -> None:
    netlist, technology = _chain()
    trace = Simulator(netlist, 64).run({"i": np.repeat(np.arange(1, 12)[:, None] % 2, 64, axis=1)})
    result = energy(netlist, technology, trace, operations=trace.transitions, period_ps=1000.0)
    # numbers of the table: INVx1 0.0465 fJ, 0.620 fF; INVx2 0.0634 fJ, 1.193 fF; DFFHQNx1 D 0.559 fF, CLK 0.475 fF,
    # 0.5456 fJ a transition, 0.2637 fJ a clock edge; 0.70 V; every net toggles in every cycle
    half = 0.5 * 0.70**2
    assert result.inputs_pj == pytest.approx(1e-3 * half * 0.620)
    assert result.logic_pj == pytest.approx(1e-3 * (0.0465 + half * 1.193 + 0.0634 + half * 0.559))
    assert result.registers_pj == pytest.approx(1e-3 * 0.5456)
    assert result.clock_pj == pytest.approx(1e-3 * 2 * (0.2637 + half * 0.475))
    # 0.0512 + 0.1023 + 0.2297 nW over 1 ns
    assert result.leakage_pj == pytest.approx(0.3832e-9 * 1e-9 * 1e12)
    parts = result.inputs_pj + result.logic_pj + result.registers_pj + result.clock_pj + result.leakage_pj
    assert result.total_pj == pytest.approx(parts)


def test_energy_grows_with_activity(mac4: AsicResult, technology: Technology) -> None:
    netlist = levelize(mac4.netlist_json, technology, "mac4_core")
    rng = np.random.default_rng(0)
    zeros = np.zeros((100, 64), dtype=np.int64)
    controls = {"rst": zeros, "last": zeros, "first": zeros, "c": zeros, "en": zeros + 1, "valid": zeros + 1}

    def of(limit: int) -> Energy:
        operands = {name: rng.integers(-limit, limit + 1, zeros.shape) for name in ("a", "b")}
        trace = Simulator(netlist, 64).run(controls | operands)
        return energy(netlist, technology, trace, trace.transitions, 1000.0)

    idle, small, large = of(0), of(1), of(7)
    assert idle.logic_pj == idle.registers_pj == idle.inputs_pj == 0
    assert 0 < small.logic_pj < large.logic_pj
    assert idle.clock_pj == large.clock_pj
    # a 4-bit MAC: well below the 0.2 pJ of an 8-bit multiplication at 45 nm (Horowitz, ISSCC 2014) plus its registers
    low, high = {"asap7": (0.005, 0.1), "nangate45": (0.05, 1.0)}[technology.name]
    assert low < large.total_pj < high


@dataclass(frozen=True)
class _Labels:
    names: tuple[str, ...]
    gates: npt.NDArray[np.int64]
    flip_flops: npt.NDArray[np.int64]


def _adder() -> tuple[Netlist, Technology]:
    """A half adder, one cell with two outputs, and a flip-flop behind its sum."""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    cells = {
        "h": {"type": "HA_X1", "connections": {"A": [3], "B": [4], "CO": [5], "S": [6]}},
        "f": {"type": "DFF_X1", "connections": {"CK": [2], "D": [6], "Q": [7]}},
    }
    ports = {name: {"direction": "input", "bits": [bit]} for name, bit in (("clk", 2), ("i", 3), ("j", 4))}
    ports["o"] = {"direction": "output", "bits": [5, 7]}
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": cells, "netnames": {}}}})
    return levelize(text, technology, "t"), technology


@pytest.mark.parametrize("kind", [Simulator, GlitchSimulator])
def test_energy_by_stage_and_wires(kind: type[Simulator]) -> None:
    netlist, technology = _adder()
    flip = np.repeat(np.arange(12)[:, None] % 2, 64, axis=1)
    trace = kind(netlist, 64).run({"i": flip, "j": np.ones_like(flip)})
    labels = _Labels(("carry", "sum"), np.array([0, 1]), np.array([1]))
    result = energy(netlist, technology, trace, trace.transitions, 1000.0, stages=labels, wires=True)
    # numbers of the table: HA_X1 A 3.186 fF, 2.9302 fJ an output, 61.2297 nW, 2.660 um2; DFF_X1 D 1.140 fF, CK 0.950
    # fF, 4.2934 fJ, 3.6005 fJ a clock edge, 79.1123 nW, 4.522 um2; 1.10 V; i, both sums and q toggle in every cycle
    half = 0.5 * 1.10**2
    wire = half * 0.104578 * 2.0 * math.sqrt((2.660 + 4.522) / 2 / 0.70)  # of one sink, as every net here has
    assert result.inputs_pj == pytest.approx(1e-3 * half * 3.186)
    assert result.logic_pj == pytest.approx(1e-3 * (2 * 2.9302 + half * 1.140))
    assert result.registers_pj == pytest.approx(1e-3 * 4.2934)
    assert result.clock_pj == pytest.approx(1e-3 * 2 * (3.6005 + half * 0.950))
    assert result.leakage_pj == pytest.approx(1e-3 * 1e-3 * (61.2297 + 79.1123))
    assert result.wires_pj == pytest.approx(1e-3 * 4 * wire)
    assert result.by_stage == pytest.approx(
        {
            "inputs": 1e-3 * (half * 3.186 + wire),
            "carry": 1e-3 * (2.9302 + wire + 1e-3 * 61.2297),  # the cell leaks once, at its first output
            "sum": 1e-3 * (2.9302 + half * 1.140 + 4.2934 + 2 * wire + 1e-3 * 79.1123) + result.clock_pj,
        }
    )
    assert sum(result.by_stage.values()) == pytest.approx(result.total_pj, rel=1e-12)
    without = energy(netlist, technology, trace, trace.transitions, 1000.0)
    assert without.wires_pj == 0
    assert not without.by_stage
    assert without.total_pj == pytest.approx(result.total_pj - result.wires_pj, rel=1e-12)
    bare = replace(technology, wires=None)
    assert energy(netlist, bare, trace, trace.transitions, 1000.0, wires=True) == without


def test_energy_stages_sum(mac4: AsicResult, technology: Technology) -> None:
    netlist = levelize(mac4.netlist_json, technology, "mac4_core")
    rng = np.random.default_rng(1)
    streams = {name: rng.integers(0, 1 << len(nets), (50, 64)) for name, nets in netlist.inputs.items()}
    trace = GlitchSimulator(netlist, 64).run(streams)
    labels = _Labels(
        ("a", "b", "c"), rng.integers(0, 3, len(netlist.gates)), rng.integers(0, 3, len(netlist.flip_flops))
    )
    result = energy(netlist, technology, trace, trace.transitions, 500.0, stages=labels, wires=True)
    assert set(result.by_stage) == {"a", "b", "c", "inputs"}
    assert sum(result.by_stage.values()) == pytest.approx(result.total_pj, rel=1e-12)
    leakage_nw = sum(count * technology.cells[name].leakage_nw for name, count in netlist.cells.items())
    assert result.leakage_pj == pytest.approx(leakage_nw * 500e-9, rel=1e-12)


def test_energy_stages_wrong() -> None:
    netlist, technology = _adder()
    trace = Simulator(netlist, 1).run({name: np.zeros((2, 1), dtype=np.int64) for name in "ij"})
    short = _Labels(("x",), np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match=r"^stages must label 2 gates and 1 flip-flop outputs, not 1 and 1$"):
        energy(netlist, technology, trace, 1, 1.0, stages=short)
    taken = _Labels(("x", "inputs"), np.array([0, 1]), np.array([0]))
    with pytest.raises(ValueError, match=r"^stages must not have one named 'inputs', not \('x', 'inputs'\)$"):
        energy(netlist, technology, trace, 1, 1.0, stages=taken)


def test_energy_operations_wrong() -> None:
    netlist, technology = _chain()
    trace = Simulator(netlist, 1).run({"i": np.zeros((2, 1), dtype=np.int64)})
    with pytest.raises(ValueError, match=r"^operations and period_ps must be above 0, not 0 and 1\.0$"):
        energy(netlist, technology, trace, 0, 1.0)
    with pytest.raises(ValueError, match=r"^operations and period_ps must be above 0, not 1 and 0\.0$"):
        energy(netlist, technology, trace, 1, 0.0)
