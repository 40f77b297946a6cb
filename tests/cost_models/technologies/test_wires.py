# SPDX-License-Identifier: Apache-2.0
"""Loads of wires, by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cost_models.activity import Netlist, levelize
from cost_models.technologies import Technology, Wires, read
from cost_models.technologies.wires import wire_loads_ff


def _nangate45() -> Technology:
    found = read("nangate45")
    assert isinstance(found, Technology)
    return found


def _netlist(technology: Technology) -> Netlist:
    """Make FA -> DFF -> two inverters -> ports; the carry of the adder goes to a port too."""

    def cell(kind: str, **pins: int | str) -> dict[str, Any]:
        return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}

    cells = {
        "add": cell("FA_X1", A=3, B=4, CI="0", CO=6, S=7),
        "state": cell("DFF_X1", CK=2, D=7, Q=8),
        "one": cell("INV_X1", A=8, ZN=9),
        "two": cell("INV_X1", A=8, ZN=10),
    }
    bits = {"clk": ("input", [2]), "a": ("input", [3]), "b": ("input", [4]), "y": ("output", [6, 9, 10, 8])}
    ports = {name: {"direction": direction, "bits": rows} for name, (direction, rows) in bits.items()}
    names = {name: {"bits": rows} for name, (_, rows) in bits.items()}
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": cells, "netnames": names}}})
    return levelize(text, technology, "t")


def test_wires_by_hand() -> None:
    wires = Wires(capacitance_ff_per_um=0.2, utilization=0.5, pitches_per_pin=3.0)
    technology = replace(_nangate45(), wires=wires)
    netlist = _netlist(technology)
    loads = wire_loads_ff(netlist, technology)
    # FA 4.256, DFF 4.522, two inverters of 0.532 um2: a cell takes 9.842 / 4 / 0.5 = 4.921 um2, a pitch is 2.21833 um
    pin = 0.2 * 3 * 2.2183326
    sinks = {"a": 1, "b": 1, "y[0]": 1, "y[1]": 1, "y[2]": 1, "y[3]": 3}
    for name, count in sinks.items():
        assert loads[netlist.names[name]] == pytest.approx(count * pin, rel=1e-6)
    (sum_net,) = [row[0] for row in netlist.gates if row[0] not in netlist.names.values()]
    assert loads[sum_net] == pytest.approx(pin, rel=1e-6)  # to D
    assert not loads[:2].any()
    assert np.count_nonzero(loads) == 7


def test_wires_without() -> None:
    technology = replace(_nangate45(), wires=None)
    loads = wire_loads_ff(_netlist(technology), technology)
    assert loads.dtype == np.float64
    assert len(loads) == _netlist(technology).nets
    assert not loads.any()


def test_wires_pitches_are_half_of_donaths_bound() -> None:
    # W. Donath, IEEE Trans. Circuits and Systems 26 (1979) 272: mean length of connections of N gates in a square, in
    # pitches, at Rent exponent p; an upper bound, about twice what placed circuits have.
    count, rent = 500, 0.6
    first = 7 * (count ** (rent - 0.5) - 1) / (4 ** (rent - 0.5) - 1)
    second = (1 - count ** (rent - 1.5)) / (1 - 4 ** (rent - 1.5))
    bound = 2 / 9 * (first - second) * (1 - 4 ** (rent - 1)) / (1 - count ** (rent - 1))
    wires = _nangate45().wires
    assert wires is not None
    assert wires.pitches_per_pin == pytest.approx(bound / 2, abs=0.1)


@pytest.mark.parametrize(
    "wrong", [{"utilization": 0.0}, {"utilization": 1.1}, {"pitches_per_pin": -1.0}, {"capacitance_ff_per_um": -0.1}]
)
def test_wires_numbers_wrong(wrong: dict[str, float]) -> None:
    given = {"capacitance_ff_per_um": 0.2, "utilization": 0.7, "pitches_per_pin": 2.0} | wrong
    with pytest.raises(ValueError, match=r"^want capacitance_ff_per_um and pitches_per_pin at least 0 and utilization"):
        Wires(**given)
