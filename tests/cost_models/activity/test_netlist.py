# SPDX-License-Identifier: Apache-2.0
"""Mapped netlists as arrays."""

import json
from typing import Any

import numpy as np
import pytest

from cost_models.activity import levelize
from cost_models.synthesis import AsicResult
from cost_models.technologies import Technology, read


def _asap7() -> Technology:
    found = read("asap7")
    assert isinstance(found, Technology)
    return found


def _cell(kind: str, **pins: int | str) -> dict[str, Any]:
    return {"type": f"{kind}_ASAP7_75t_R", "connections": {pin: [bit] for pin, bit in pins.items()}}


def _module(cells: dict[str, Any], **ports: tuple[str, list[int | str]]) -> str:
    rows = {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()}
    names = {name: {"bits": bits} for name, (_, bits) in ports.items()}
    return json.dumps({"modules": {"t": {"ports": rows, "cells": cells, "netnames": names}}})


def test_netlist_levelize_orders() -> None:
    cells = {
        "last": _cell("NAND2xp5", A=5, B="1", Y=6),
        "middle": _cell("INVx1", A=4, Y=5),
        "first": _cell("INVx2", A=3, Y=4),
        "state": _cell("DFFHQNx1", CLK=2, D=6, QN=3),
    }
    netlist = levelize(_module(cells, clk=("input", [2]), q=("output", [3, 6])), _asap7(), "t")
    assert netlist.clock == "clk"
    assert not netlist.inputs
    assert netlist.gate_cells == ("INVx2_ASAP7_75t_R", "INVx1_ASAP7_75t_R", "NAND2xp5_ASAP7_75t_R")
    assert netlist.tables.tolist() == [0b01, 0b01, 0b0111]
    assert netlist.gates[2, 3] == 1
    assert netlist.flip_flops[0, 2] == 1
    assert netlist.cells == dict.fromkeys(sorted((*netlist.gate_cells, "DFFHQNx1_ASAP7_75t_R")), 1)
    # the flip-flop's output drives one INVx2, whose pin has 1.193 fF
    assert netlist.loads_ff[netlist.flip_flops[0, 0]] == 1.193
    assert netlist.names["q[1]"] == netlist.gates[2, 0]


def test_netlist_instances() -> None:
    """A cell with two outputs is one instance in two rows; numbers run over gates and flip-flops alike."""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    cells = {
        "f": {"type": "DFF_X1", "connections": {"CK": [2], "D": [6], "Q": [7]}},
        "i": {"type": "INV_X1", "connections": {"A": [5], "ZN": [8]}},
        "h": {"type": "HA_X1", "connections": {"A": [3], "B": [7], "CO": [5], "S": [6]}},
    }
    text = _module(cells, clk=("input", [2]), x=("input", [3]), o=("output", [8]))
    netlist = levelize(text, technology, "t")
    assert netlist.gate_cells == ("HA_X1", "HA_X1", "INV_X1")
    assert netlist.gate_instances.tolist() == [2, 2, 1]
    assert netlist.flip_flop_instances.tolist() == [0]
    assert netlist.cells == {"DFF_X1": 1, "HA_X1": 1, "INV_X1": 1}


def test_netlist_counts(mac4: AsicResult, technology: Technology) -> None:
    netlist = levelize(mac4.netlist_json, technology, "mac4_core")
    assert sum(netlist.cells.values()) == mac4.cells
    assert len(netlist.flip_flops) == mac4.flip_flops == 13
    assert {name: len(nets) for name, nets in netlist.inputs.items()} == {
        "rst": 1, "en": 1, "valid": 1, "first": 1, "last": 1, "a": 4, "b": 4, "c": 12,
    }  # fmt: skip
    assert {name: len(nets) for name, nets in netlist.outputs.items()} == {"d": 12, "d_valid": 1}
    written = {0, 1, *netlist.flip_flops[:, 0], *np.concatenate([*netlist.inputs.values()])}
    for row in netlist.gates:
        assert written.issuperset(row[2 : 2 + row[1]])
        written.add(row[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_module({}), "^netlist has no module 'u'; it has t$"),
        (
            _module({"x": {"type": "LUT4", "connections": {}}}),
            "^instance 'x' is a 'LUT4', which technology asap7 has not$",
        ),
        (
            _module({"x": _cell("INVx1", A=2)}),
            "^instance 'x' of INVx1_ASAP7_75t_R must have an output that is connected$",
        ),
        (_module({}, p=("inout", [2])), "^port 'p' is an inout; want input or output$"),
        (
            _module({"a": _cell("INVx1", A=2, Y=3), "b": _cell("INVx1", A=3, Y=2)}),
            "^module 't' has a combinational loop through 2 gates$",
        ),
        (
            _module({"f": _cell("DFFHQNx1", CLK=2, D=3, QN=4), "g": _cell("DFFHQNx1", CLK=3, D=3, QN=5)}),
            "^module 't' must have one clock, an input port, for all flip-flops, not 2 nets$",
        ),
    ],
)
def test_netlist_text_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        levelize(text, _asap7(), "u" if "'u'" in message else "t")
