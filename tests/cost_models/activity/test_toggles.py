# SPDX-License-Identifier: Apache-2.0
"""Bit-parallel simulation against integers, truth tables and Icarus Verilog."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cost_models.activity import Netlist, Simulator, levelize
from cost_models.synthesis import AsicResult
from cost_models.technologies import Technology, cells_verilog, read

Streams = dict[str, npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def netlist(mac4: AsicResult, technology: Technology) -> Netlist:
    return levelize(mac4.netlist_json, technology, "mac4_core")


def _streams(cycles: int, lanes: int, seed: int) -> Streams:
    """Random operands and controls, with a reset in the first cycle."""
    rng = np.random.default_rng(seed)
    shape = (cycles, lanes)
    streams = {name: rng.integers(0, 2, shape) for name in ("valid", "last", "en")}
    streams["first"] = (rng.random(shape) < 0.2).astype(np.int64)
    streams["rst"] = np.zeros(shape, dtype=np.int64)
    streams["rst"][0] = 1
    streams |= {name: rng.integers(-8, 8, shape) for name in ("a", "b")}
    streams["c"] = rng.integers(-2048, 2048, shape)
    return streams


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
def test_toggles_outputs_equal_integers(netlist: Netlist, lanes: int) -> None:
    streams = _streams(60, lanes, lanes)
    # the accumulator has no reset: begin with a start value in every lane
    for name, value in (("first", 1), ("valid", 1), ("en", 1), ("rst", 0)):
        streams[name][1] = value
    trace = Simulator(netlist, lanes).run(streams)
    d, d_valid = _model(streams)
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


def test_toggles_state_is_kept(netlist: Netlist) -> None:
    streams = _streams(40, 70, 3)
    whole = Simulator(netlist, 70).run(streams)
    halves = Simulator(netlist, 70)
    first = halves.run({name: stream[:15] for name, stream in streams.items()})
    second = halves.run({name: stream[15:] for name, stream in streams.items()})
    assert (np.concatenate([first.outputs["d"], second.outputs["d"]]) == whole.outputs["d"]).all()
    assert (first.toggles + second.toggles == whole.toggles).all()
    assert first.transitions + second.transitions == whole.transitions


def test_toggles_lanes_add_up(netlist: Netlist) -> None:
    streams = _streams(20, 66, 4)
    together = Simulator(netlist, 66).run(streams).toggles
    alone = sum(
        Simulator(netlist, 1).run({name: stream[:, lane : lane + 1] for name, stream in streams.items()}).toggles
        for lane in range(66)
    )
    assert (together == alone).all()


def _bench(streams: Streams, cycles: int) -> str:
    """Drive the core as `Simulator` does: inputs change with the edge."""
    widths = {"a": 4, "b": 4, "c": 12}
    lines = ["module bench; reg clk = 0;"]
    for name, stream in streams.items():
        width = widths.get(name, 1)
        values = "".join(f"{int(value) & (1 << width) - 1:03x}" for value in stream[::-1, 0])
        lines.append(f"reg [{12 * cycles - 1}:0] all_{name} = {12 * cycles}'h{values}; reg [{width - 1}:0] {name};")
        lines.append(f"initial {name} = all_{name}[{width - 1}:0];")
    pins = ", ".join(f".{name}({name})" for name in ("clk", *streams))
    edges = " ".join(f"{name} <= all_{name}[12 * t +: {widths.get(name, 1)}];" for name in streams)
    lines += [
        f"wire [11:0] d; mac4_core dut({pins}, .d(d)); integer t = 0;",
        f"always @(posedge clk) begin t = t + 1; {edges} end",
        'initial begin $dumpfile("trace.vcd"); $dumpvars(1, dut);',
        f"repeat ({cycles - 1}) begin #5 clk = 1; #5 clk = 0; end $finish(0); end endmodule",
    ]
    return "\n".join(lines)


def _vcd_toggles(path: Path) -> dict[str, int]:
    """Count the changes of every bit after time 0."""
    signals: dict[str, list[tuple[str, int, int]]] = {}
    last: dict[str, str] = {}
    counts: dict[str, int] = {}
    time = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if declared := re.match(r"\$var \w+ (\d+) (\S+) (\S+)(?: \[(\d+)(?::(\d+))?\])? \$end", line):
            width, code, name = int(declared[1]), declared[2], declared[3]
            low = int(declared[5] or declared[4] or 0)
            signals.setdefault(code, []).append((name, width, low if declared[4] else -1))
        elif line.startswith("#"):
            time = int(line[1:])
        elif line and line[0] in "01xzb":
            value, code = (line[1:].split()) if line[0] == "b" else (line[0], line[1:])
            for name, width, low in signals[code]:
                bits = value.rjust(width, "0" if value[0] in "01" else value[0])[::-1]
                old = last.get(name, bits)
                for index, (before, after) in enumerate(zip(old, bits, strict=True)):
                    key = name if low < 0 else f"{name}[{low + index}]"
                    counts[key] = counts.get(key, 0) + (time > 0 and before != after)
                last[name] = bits
    return counts


def test_toggles_equal_icarus(
    netlist: Netlist, mac4: AsicResult, technology: Technology, icarus: Callable[..., str], tmp_path: Path
) -> None:
    cycles = 400
    streams = _streams(cycles, 1, 9)
    icarus(mac4.netlist_verilog, cells_verilog(technology), _bench(streams, cycles), folder=tmp_path)
    counted = _vcd_toggles(tmp_path / "trace.vcd")
    toggles = Simulator(netlist, 1).run(streams).toggles
    expected = {name: int(toggles[net]) for name, net in netlist.names.items() if name != netlist.clock}
    assert {name: counted[name] for name in expected} == expected
    assert len({netlist.names[name] for name in expected}) >= len(netlist.gates) + len(netlist.flip_flops)
    assert sum(expected.values()) > 10_000


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


    words = [0, 1, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x5555555555555555, 0x0123456789ABCDEF]
    words += np.random.default_rng(1).integers(0, 2**64, 100, dtype=np.uint64).tolist()


def test_toggles_lanes_wrong(netlist: Netlist) -> None:
    with pytest.raises(ValueError, match=r"^lanes must be at least 1, not 0$"):
        Simulator(netlist, 0)


def test_toggles_inputs_wrong(netlist: Netlist) -> None:
    simulator = Simulator(netlist, 3)
    streams = _streams(4, 3, 0)
    with pytest.raises(ValueError, match=r"^inputs must be the ports \['a', .*\], not \['a'\]$"):
        simulator.run({"a": streams["a"]})
    with pytest.raises(TypeError, match=r"^input 'a' must have an integer dtype, not float64$"):
        simulator.run(streams | {"a": streams["a"].astype(float)})
    with pytest.raises(ValueError, match=r"^input 'a' of 4 bits must have shape \(4, 3\), not \(4, 2\)$"):
        simulator.run(streams | {"a": streams["a"][:, :2]})
