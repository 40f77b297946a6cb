# SPDX-License-Identifier: Apache-2.0
"""Unit-delay simulation: a glitch by hand, a plain simulator, and the settled values of the zero-delay one."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cost_models.activity import GlitchSimulator, Netlist, Simulator, levelize
from cost_models.technologies import Technology, names, read


def _libraries() -> list[str]:
    return [name for name in names() if isinstance(read(name), Technology)]


def test_glitches_of_a_hazard() -> None:
    """A NAND of a net and its inverse two gates later: falls for two steps when the net rises, stays when it falls."""
    cells = {
        "a": {"type": "INV_X1", "connections": {"A": [2], "ZN": [3]}},
        "b": {"type": "BUF_X1", "connections": {"A": [3], "Z": [4]}},
        "c": {"type": "NAND2_X1", "connections": {"A1": [2], "A2": [4], "ZN": [5]}},
    }
    ports = {"i": {"direction": "input", "bits": [2]}, "o": {"direction": "output", "bits": [5]}}
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": cells, "netnames": {"w": {"bits": [3, 4]}}}}})
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    netlist = levelize(text, technology, "t")
    stream = {"i": np.array([0, 1, 1, 0, 1, 0])[:, None]}
    nets = [int(netlist.inputs["i"][0]), netlist.names["w[0]"], netlist.names["w[1]"], int(netlist.outputs["o"][0])]
    trace = GlitchSimulator(netlist, 1).run(stream)
    assert trace.toggles[nets].tolist() == [4, 4, 4, 4]  # two rises of i, down and up again at each
    assert Simulator(netlist, 1).run(stream).toggles[nets].tolist() == [4, 4, 4, 0]
    assert trace.outputs["o"][:, 0].tolist() == [1] * 6


@pytest.mark.parametrize("unit_delay", [False, True])
@pytest.mark.parametrize("name", _libraries())
def test_glitches_equal_a_plain_simulator(
    name: str, unit_delay: bool, random_netlist: Callable[..., Netlist], reference: Callable[..., Any]
) -> None:
    technology = read(name)
    assert isinstance(technology, Technology)
    compared = moved = 0
    for seed in range(2):
        netlist = random_netlist(technology, seed)
        stream = {"i": np.random.default_rng(seed).integers(0, 256, (8, 70), dtype=np.uint8)}
        values, toggles = reference(netlist, stream, unit_delay)
        trace = (GlitchSimulator if unit_delay else Simulator)(netlist, 70).run(stream)
        assert (trace.toggles == toggles).all()
        bits = trace.outputs["o"].reshape(8, 70, -1)
        for place, net in enumerate(netlist.outputs["o"]):
            assert (bits[:, :, place // 64] >> np.uint64(place % 64) & np.uint64(1) == values[:, net]).all()
            compared += values[:, net].size
        moved += int((toggles > 0).sum())
    assert compared > 30_000
    assert moved > 50


def test_glitches_settle(netlist: Netlist, streams: Callable[..., Any], reference: Callable[..., Any]) -> None:
    stream = streams(12, 70, 1)
    values, toggles = reference(netlist, stream, True)
    settled, unit = Simulator(netlist, 70).run(stream), GlitchSimulator(netlist, 70).run(stream)
    assert (unit.toggles == toggles).all()
    for name, nets in netlist.outputs.items():
        assert (unit.outputs[name] == settled.outputs[name]).all()
        shown = (values[:, nets].astype(np.uint64) << np.arange(len(nets), dtype=np.uint64)[:, None]).sum(axis=1)
        assert (shown == settled.outputs[name]).all()
    assert (unit.toggles >= settled.toggles).all()
    assert unit.toggles.sum() > settled.toggles.sum() > 10_000
    assert unit.transitions == settled.transitions == 11 * 70


def test_glitches_state_is_kept(netlist: Netlist, streams: Callable[..., Any]) -> None:
    stream = streams(30, 70, 3)
    whole = GlitchSimulator(netlist, 70).run(stream)
    halves = GlitchSimulator(netlist, 70)
    first = halves.run({name: part[:11] for name, part in stream.items()})
    second = halves.run({name: part[11:] for name, part in stream.items()})
    assert (first.toggles + second.toggles == whole.toggles).all()
    assert (np.concatenate([first.outputs["d"], second.outputs["d"]]) == whole.outputs["d"]).all()


def test_glitches_lanes_wrong(netlist: Netlist) -> None:
    with pytest.raises(ValueError, match=r"^lanes must be at least 1, not -1$"):
        GlitchSimulator(netlist, -1)
