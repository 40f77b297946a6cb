# SPDX-License-Identifier: Apache-2.0
"""RTL and the netlist mapped from it: equal next states and outputs from every state, registers matched by name."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from testbenches.formal.equivalence import prove_equal
from testbenches.formal.netlist import Bit, Cell, Netlist, read_cells, read_ports
from testbenches.formal.proof import Proof, elapsed, work

__all__ = [
    "prove_mapped",
]

# Enables and synchronous resets become multiplexers in front of D. Nothing is merged or retimed on either side.
_SCRIPT = """
read_verilog -sv gold.v
hierarchy -check -top {top}
proc
flatten -noscopeinfo
opt_expr
opt_clean
dffunmap
alumacc
techmap
dffunmap
simplemap
opt_expr
opt_clean
write_json gold.json
design -reset
read_liberty cells.lib
read_verilog gate.v
hierarchy -check -top {top}
flatten -noscopeinfo
simplemap
opt_clean
write_json gate.json
"""
_METHOD = "next state and outputs from every state, registers matched by name; SAT sweeping, then SAT"
_SEED = 7
_CYCLES = 96
_RUNS = 256

_Place = tuple[str, int]  # a name and an index in it


@dataclass(frozen=True, slots=True)
class _Register:
    """A flip-flop: its nets, and all names of its output."""

    d: Bit
    q: Bit
    names: frozenset[_Place]

    def __str__(self) -> str:
        """Return one of the names."""
        return (
            "{}[{}]".format(*min(self.names, key=lambda place: (place[0].count("."), place)))
            if self.names
            else f"net {self.q}"
        )


@dataclass(frozen=True, slots=True)
class _Side:
    """A module without its flip-flops."""

    inputs: dict[str, list[Bit]]
    outputs: dict[str, list[Bit]]
    cells: list[Cell]
    registers: list[_Register]


def prove_mapped(name: str, text: str, netlist: str, top: str, liberty: str, *, seconds: float = 600.0) -> Proof:
    """
    Prove a clocked module equal to the netlist mapped from it.

    The flip-flops are taken out of both. The registers of the netlist are those of the text of the same name; for
    every state and every input, what each takes at the clock and every output are proved equal. So the two behave
    alike from any common state, and after a reset and the first rows where not all registers are reset. A register
    that the netlist has no flip-flop for, because it held what another does or a constant, is proved to do so by the
    same step: from states in which it does, it does at the next clock.

    Parameters
    ----------
    name : str
        What the proof is called.
    text, netlist : str
        Verilog of module `top` as written and as mapped, registers with the same names, one clock.
    top : str
    liberty : str
        The library, with the functions of its cells; flip-flops that give the register itself: behind those that give
        its inverse alone, a mapper may leave no net of the register's name.
    seconds : float, default 600
        Wall time of each step, after which nothing is said.

    Returns
    -------
    Proof
        Refuted with a state and inputs from which the two differ; the state need not be one that is reached.

    Raises
    ------
    ValueError
        A flip-flop has an asynchronous reset, or there are two clocks.
    """
    started = time.perf_counter()
    with work({"gold.v": text, "gate.v": netlist, "cells.lib": liberty}) as yosys:
        if yosys.run(_SCRIPT.format(top=top), seconds) is None:
            return Proof(
                name=name, method=_METHOD, result="not proved", detail=f"not read after {seconds:g} s",
                seconds=elapsed(started),
            )  # fmt: skip
        modules = [json.loads((yosys.path / f"{side}.json").read_text())["modules"][top] for side in ("gold", "gate")]
    gold, gate = (_side(module) for module in modules)
    if gold.inputs.keys() != gate.inputs.keys() or gold.outputs.keys() != gate.outputs.keys():
        raise ValueError(f"netlist must have the ports of {top}")
    matched, others, alone = _matched(gold, gate)
    size = f"{len(matched)} flip-flops of the netlist"
    if alone:
        detail = f"no register of the text is {', '.join(map(str, alone[:4]))}"
        return Proof(name=name, method=_METHOD, result="not proved", size=size, detail=detail, seconds=elapsed(started))
    merged = _merged(gold, matched, others) if others else {}
    free = [register for register in others if register not in merged]
    gold_text, gate_text = _texts(gold, gate, matched, merged, free)
    proof = prove_equal(name, gate_text, "gate", gold_text, "gold", seconds=seconds)
    size += f", {len(merged)} registers merged" if merged else ""
    size += f", {len(free)} left out" if free else ""
    size += f", {sum(map(len, gold.outputs.values()))} bits of outputs; {proof.size}"
    if proof.result == "refuted" and (merged or free):
        # The difference may be in a guess of ours of what a register without a flip-flop holds.
        proof = replace(proof, result="not proved")
    return replace(proof, method=_METHOD, size=size, seconds=elapsed(started))


def _side(module: Mapping[str, Any]) -> _Side:
    """Take the flip-flops out of a module of Yosys' JSON."""
    flops = [cell for cell in module["cells"].values() if "DFF" in cell["type"] or "LATCH" in cell["type"]]
    kinds = {cell["type"] for cell in flops}
    clocks = {cell["connections"]["C"][0] for cell in flops if "C" in cell["connections"]}
    if kinds - {"$_DFF_P_"} or len(clocks) > 1:
        raise ValueError(
            f"module must have one clock and no asynchronous reset, not {len(clocks)} and {', '.join(kinds)}"
        )
    names: dict[Bit, set[_Place]] = defaultdict(set)
    for name, net in module["netnames"].items():
        if not net["hide_name"]:
            for index, bit in enumerate(net["bits"]):
                names[bit].add((name, index))
    registers = []
    for cell in flops:
        d, q = (cell["connections"][port][0] for port in "DQ")
        registers.append(_Register(d, q, frozenset(names[q])))
    cells = read_cells(cell for cell in module["cells"].values() if cell["type"] not in kinds)
    inputs = {port: bits for port, bits in read_ports(module, "input").items() if not clocks & set(bits)}
    return _Side(inputs, read_ports(module, "output"), cells, registers)


def _matched(gold: _Side, gate: _Side) -> tuple[list[tuple[_Register, _Register]], list[_Register], list[_Register]]:
    """Return the pairs of the same name, and what is left of the text's and of the netlist's."""
    by_name = {place: register for register in gate.registers for place in register.names}
    pairs: dict[_Register, _Register] = {}
    others = []
    for register in gold.registers:
        found = {by_name[place] for place in register.names if place in by_name} - set(pairs)
        if found:
            pairs[found.pop()] = register
        else:
            others.append(register)
    alone = [register for register in gate.registers if register not in pairs]
    return [(register, mapped) for mapped, register in pairs.items()], others, alone


def _merged(
    gold: _Side, matched: Sequence[tuple[_Register, _Register]], others: Iterable[_Register]
) -> dict[_Register, int | str]:
    """Return which pair each register without a flip-flop went along with in random runs, or which constant."""
    generator = np.random.default_rng(_SEED)
    module = Netlist(gold.inputs, gold.outputs, gold.cells)
    state: dict[Bit, Any] = {register.q: np.zeros(_RUNS, bool) for register in gold.registers}
    seen: dict[Bit, list[Any]] = {net: [] for net in state}
    for _ in range(_CYCLES):
        values = state | {bit: generator.random(_RUNS) < 0.5 for bits in gold.inputs.values() for bit in bits}
        nets = module.evaluate([register.d for register in gold.registers], values)
        state = {register.q: nets[register.d] for register in gold.registers}
        for net, value in state.items():
            seen[net].append(value)
    traces = {net: np.array(values).tobytes() for net, values in seen.items()}
    size = _CYCLES * _RUNS
    known: dict[bytes, int | str] = {bytes(size): "0", bytes([1]) * size: "1"}
    known |= {traces[register.q]: index for index, (register, _) in enumerate(matched)}
    return {register: known[traces[register.q]] for register in others if traces[register.q] in known}


def _texts(
    gold: _Side,
    gate: _Side,
    matched: Sequence[tuple[_Register, _Register]],
    merged: Mapping[_Register, int | str],
    free: Sequence[_Register],
) -> tuple[str, str]:
    """Return both sides as modules from states and inputs to next states and outputs."""
    mates = [mate if isinstance(mate, str) else matched[mate][0].q for mate in merged.values()]
    same: dict[Bit, Bit] = {register.q: mate for register, mate in zip(merged, mates, strict=True)}
    cells = [
        replace(cell, inputs={port: [same.get(bit, bit) for bit in bits] for port, bits in cell.inputs.items()})
        for cell in gold.cells
    ]
    outputs = {port: [same.get(bit, bit) for bit in bits] for port, bits in gold.outputs.items()}
    following: list[Bit] = [same.get(left.d, left.d) for left in [*(pair[0] for pair in matched), *merged]]
    left = Netlist(
        gold.inputs | _port("state", [pair[0].q for pair in matched]) | _port("free", [each.q for each in free]),
        outputs | _port("following", following),
        cells,
    )
    taken: list[Bit] = [pair[1].d for pair in matched]
    taken += [mate if isinstance(mate, str) else matched[mate][1].d for mate in merged.values()]
    right = Netlist(
        gate.inputs
        | _port("state", [pair[1].q for pair in matched])
        | _port("free", [f"free{index}" for index in range(len(free))]),
        gate.outputs | _port("following", taken),
        gate.cells,
    )
    return left.verilog("gold", left.inputs, left.outputs), right.verilog("gate", right.inputs, right.outputs)


def _port(name: str, bits: Sequence[Bit]) -> dict[str, list[Bit]]:
    """Return a port, none of no bits."""
    return {name: list(bits)} if bits else {}
