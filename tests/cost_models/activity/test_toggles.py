# SPDX-License-Identifier: Apache-2.0
"""Bit-parallel simulation against integers, truth tables and a plain simulator."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cost_models.activity import Netlist, Simulator, levelize
from cost_models.technologies import Technology, read

Streams = dict[str, npt.NDArray[Any]]
Make = Callable[[int, int, int], Streams]


def _model(streams: Streams) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Follow the Verilog of the core in integers: what d and d_valid show in each cycle."""
    d = np.zeros_like(streams["a"])
    d_valid = np.zeros_like(d)
    for t in range(len(d) - 1):
        now = {name: stream[t] for name, stream in streams.items()}
        start = np.where(now["first"] == 1, now["c"], d[t])
        added = (start + now["a"] * now["b"] + 2048) % 4096 - 2048
        runs = (now["rst"] == 0) & (now["en"] == 1)
        d[t + 1] = np.where(runs & (now["valid"] == 1), added, d[t])
        d_valid[t + 1] = np.where(now["rst"] == 1, 0, np.where(runs, now["valid"] & now["last"], d_valid[t]))
    return d, d_valid


def _signed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return (words.astype(np.int64) + 2048) % 4096 - 2048


@pytest.mark.parametrize("lanes", [1, 64, 100])
def test_toggles_outputs_equal_integers(netlist: Netlist, streams: Make, lanes: int) -> None:
    stream = streams(60, lanes, lanes)
    # the accumulator has no reset: begin with a start value in every lane
    for name, value in (("first", 1), ("valid", 1), ("en", 1), ("rst", 0)):
        stream[name][1] = value
    trace = Simulator(netlist, lanes).run(stream)
    d, d_valid = _model(stream)
    assert (_signed(trace.outputs["d"])[2:] == d[2:]).all()
    assert (trace.outputs["d_valid"][1:] == d_valid[1:].astype(np.uint64)).all()
    assert trace.outputs["d"].shape == (60, lanes)
    assert trace.transitions == 59 * lanes


def test_toggles_all_operand_pairs(netlist: Netlist) -> None:
    a, b = np.meshgrid(np.arange(-8, 8), np.arange(-8, 8))
    ones = np.ones((2, 256), dtype=np.int64)
    streams = {"rst": 0 * ones, "last": 0 * ones, "en": ones, "valid": ones, "first": ones, "c": 100 * ones}
    streams |= {"a": np.broadcast_to(a.ravel(), (2, 256)), "b": np.broadcast_to(b.ravel(), (2, 256))}
    trace = Simulator(netlist, 256).run(streams)
    assert (_signed(trace.outputs["d"])[1] == 100 + (a * b).ravel()).sum() == 256


def test_toggles_state_is_kept(netlist: Netlist, streams: Make) -> None:
    stream = streams(40, 70, 3)
    whole = Simulator(netlist, 70).run(stream)
    halves = Simulator(netlist, 70)
    first = halves.run({name: part[:15] for name, part in stream.items()})
    second = halves.run({name: part[15:] for name, part in stream.items()})
    assert (np.concatenate([first.outputs["d"], second.outputs["d"]]) == whole.outputs["d"]).all()
    assert (first.toggles + second.toggles == whole.toggles).all()
    assert first.transitions + second.transitions == whole.transitions


def test_toggles_lanes_add_up(netlist: Netlist, streams: Make) -> None:
    stream = streams(20, 66, 4)
    together = Simulator(netlist, 66).run(stream).toggles
    alone = sum(
        Simulator(netlist, 1).run({name: part[:, lane : lane + 1] for name, part in stream.items()}).toggles
        for lane in range(66)
    )
    assert (together == alone).all()


@pytest.mark.parametrize("lanes", [1, 600, 2500])
def test_toggles_equal_a_plain_simulator(
    netlist: Netlist, streams: Make, reference: Callable[..., Any], lanes: int
) -> None:
    """Lanes fill a word in part, a block in part, and two blocks."""
    stream = streams(15, lanes, lanes)
    values, toggles = reference(netlist, stream, False)
    trace = Simulator(netlist, lanes).run(stream)
    assert (trace.toggles == toggles).all()
    compared = 0
    for name, nets in netlist.outputs.items():
        bits = trace.outputs[name][:, None] >> np.arange(len(nets), dtype=np.uint64)[:, None] & np.uint64(1)
        compared += int((bits == values[:, nets]).sum())
    assert compared == 15 * 13 * lanes


def test_toggles_packed_inputs(netlist: Netlist, streams: Make) -> None:
    stream = streams(10, 100, 2)
    plain = Simulator(netlist, 100).run(stream)
    simulator = Simulator(netlist, 100)
    planes = simulator.pack(stream)
    trace = simulator.run(planes, outputs=False)
    assert not trace.outputs
    assert (trace.toggles == plain.toggles).all()
    assert trace.transitions == plain.transitions
    narrow = {name: part.astype(np.int16 if name == "c" else np.int8) for name, part in stream.items()}
    assert (simulator.pack(narrow).words == planes.words).all()


def test_toggles_constant_pins() -> None:
    """Constants take gates apart: one is constant itself, one becomes an inverter, one has a pin less."""
    technology = read("nangate45")
    assert isinstance(technology, Technology)
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "zero": ("NAND2_X1", {"A1": "1", "A2": "1", "ZN": 5}),
        "inverter": ("NAND2_X1", {"A1": 2, "A2": "1", "ZN": 6}),
        "smaller": ("AOI21_X1", {"A": 5, "B1": 3, "B2": 6, "ZN": 7}),  # !(b & !a)
        "unread": ("OAI21_X1", {"A": 3, "B1": 2, "B2": "1", "ZN": 8}),  # !b, whatever a is
    }
    ports: dict[str, Any] = {"a": {"direction": "input", "bits": [2]}, "b": {"direction": "input", "bits": [3]}}
    ports["o"] = {"direction": "output", "bits": [5, 6, 7, 8, "1"]}
    rows = {
        name: {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}
        for name, (kind, pins) in cells.items()
    }
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": rows, "netnames": {}}}})
    netlist = levelize(text, technology, "t")
    a, b = np.array([0, 1, 0, 1])[:, None], np.array([0, 0, 1, 1])[:, None]
    trace = Simulator(netlist, 1).run({"a": a, "b": b})
    expected = (1 - a) << 1 | (1 - (b & (1 - a))) << 2 | (1 - b) << 3 | 16
    assert (trace.outputs["o"] == expected.astype(np.uint64)).sum() == 4
    assert trace.toggles[netlist.outputs["o"]].tolist() == [0, 3, 2, 1, 0]


def test_toggles_every_gate_kind(technology: Technology) -> None:
    """Each cell alone, all input rows in the lanes of one word, against its own truth table bit by bit."""
    compared = 0
    for cell in technology.cells.values():
        if cell.is_flip_flop:
            continue
        pins = {pin: 2 + bit for bit, pin in enumerate(cell.inputs)}
        outs = {pin: 10 + bit for bit, pin in enumerate(cell.outputs)}
        ports = {pin: {"direction": "input", "bits": [bit]} for pin, bit in pins.items()}
        ports |= {pin: {"direction": "output", "bits": [bit]} for pin, bit in outs.items()}
        instance = {"type": cell.name, "connections": {pin: [bit] for pin, bit in (pins | outs).items()}}
        text = json.dumps({"modules": {"t": {"ports": ports, "cells": {"u": instance}, "netnames": {}}}})
        netlist = levelize(text, technology, "t")
        rows = np.arange(64)
        trace = Simulator(netlist, 64).run({pin: (rows >> bit & 1)[None, :] for bit, pin in enumerate(cell.inputs)})
        tables = dict(zip([int(row[0]) for row in netlist.gates], netlist.tables.tolist(), strict=True))
        for pin, nets in netlist.outputs.items():
            mask = (1 << len(cell.inputs)) - 1
            expected = [tables[int(nets[0])] >> (row & mask) & 1 for row in range(64)]
            assert trace.outputs[pin][0].tolist() == expected
            compared += 64
    assert compared >= 30 * 64


def test_toggles_wide_ports() -> None:
    """A port of 130 bits passes through and comes back in limbs."""
    bits = list(range(2, 132))
    ports = {"i": {"direction": "input", "bits": bits}, "o": {"direction": "output", "bits": bits}}
    text = json.dumps({"modules": {"t": {"ports": ports, "cells": {}, "netnames": {}}}})
    technology = read("asap7")
    assert isinstance(technology, Technology)
    values = np.random.default_rng(5).integers(0, 2**64, (3, 65, 3), dtype=np.uint64)
    values[:, :, 2] &= np.uint64(3)
    trace = Simulator(levelize(text, technology, "t"), 65).run({"i": values})
    assert (trace.outputs["o"] == values).sum() == 3 * 65 * 3
    assert trace.toggles.sum() == np.bitwise_count(values[1:] ^ values[:-1]).sum()


def test_toggles_lanes_wrong(netlist: Netlist) -> None:
    with pytest.raises(ValueError, match=r"^lanes must be at least 1, not 0$"):
        Simulator(netlist, 0)


def test_toggles_inputs_wrong(netlist: Netlist, streams: Make) -> None:
    simulator = Simulator(netlist, 3)
    stream = streams(4, 3, 0)
    with pytest.raises(ValueError, match=r"^inputs must be the ports \['a', .*\], not \['a'\]$"):
        simulator.run({"a": stream["a"]})
    with pytest.raises(TypeError, match=r"^input 'a' must have an integer dtype, not float64$"):
        simulator.run(stream | {"a": stream["a"].astype(float)})
    with pytest.raises(ValueError, match=r"^input 'a' of 4 bits must have shape \(4, 3\), not \(4, 2\)$"):
        simulator.run(stream | {"a": stream["a"][:, :2]})


def test_toggles_planes_wrong(netlist: Netlist, streams: Make) -> None:
    planes = Simulator(netlist, 3).pack(streams(4, 3, 0))
    with pytest.raises(ValueError, match=r"^packed inputs must have 25 bits and 64 lanes, not 25 and 3$"):
        Simulator(netlist, 64).run(planes)
