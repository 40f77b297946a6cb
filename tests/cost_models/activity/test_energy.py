# SPDX-License-Identifier: Apache-2.0
"""Energy of a run, worked out by hand from the table."""

import json

import numpy as np
import pytest

from cost_models.activity import Energy, Netlist, Simulator, energy, levelize
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


def test_energy_operations_wrong() -> None:
    netlist, technology = _chain()
    trace = Simulator(netlist, 1).run({"i": np.zeros((2, 1), dtype=np.int64)})
    with pytest.raises(ValueError, match=r"^operations and period_ps must be above 0, not 0 and 1\.0$"):
        energy(netlist, technology, trace, 0, 1.0)
    with pytest.raises(ValueError, match=r"^operations and period_ps must be above 0, not 1 and 0\.0$"):
        energy(netlist, technology, trace, 1, 0.0)
