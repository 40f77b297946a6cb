# SPDX-License-Identifier: Apache-2.0
"""A mapped netlist as levelized arrays: what the gate simulator and the timing analysis walk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.technologies import Cell, Technology
from cost_models.technologies.function import truth_table

__all__ = [
    "Netlist",
    "levelize",
]

MAX_PINS = 6
_CONSTANTS = {"0": 0, "1": 1, "x": 0, "z": 0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Netlist:
    """
    A netlist of library cells. Net 0 is constant 0 and net 1 constant 1.

    Attributes
    ----------
    top : str
        Name of the module.
    nets : int
        Number of nets, the two constants included.
    inputs, outputs : mapping of str to ndarray of int64
        Port to its nets, least significant bit first. The clock is not an input.
    clock : str
        The clock port, empty in a netlist without flip-flops.
    gates : ndarray of int64, shape (gates, 8)
        Combinational outputs in topological order: output net, pin count, six input nets (unused ones are net 0).
    tables : ndarray of uint64, shape (gates,)
        Truth table of each: bit r is the value in row r, pin i is bit i of r.
    gate_cells : tuple of str
        The cell of each, by name.
    gate_instances : ndarray of int64, shape (gates,)
        The instance each is an output of, numbered in the order of the file: a cell with two outputs has two rows.
    flip_flops : ndarray of int64, shape (outputs, 3)
        Of each flip-flop output: its net, the data net, 1 where the output is inverted.
    flip_flop_cells : tuple of str
        The cell of each, by name.
    flip_flop_instances : ndarray of int64, shape (outputs,)
        The instance each is an output of, in the same numbers as those of the gates.
    loads_ff : ndarray of float64, shape (nets,)
        Sum of the capacitances of the input pins on each net, in fF.
    cells : mapping of str to int
        How many of each cell.
    names : mapping of str to int
        Net of each named bit, as ``name`` or ``name[index]``.
    """

    top: str
    nets: int
    inputs: Mapping[str, npt.NDArray[np.int64]]
    outputs: Mapping[str, npt.NDArray[np.int64]]
    clock: str
    gates: npt.NDArray[np.int64]
    tables: npt.NDArray[np.uint64]
    gate_cells: tuple[str, ...]
    gate_instances: npt.NDArray[np.int64]
    flip_flops: npt.NDArray[np.int64]
    flip_flop_cells: tuple[str, ...]
    flip_flop_instances: npt.NDArray[np.int64]
    loads_ff: npt.NDArray[np.float64]
    cells: Mapping[str, int]
    names: Mapping[str, int]


@dataclass(slots=True)
class _Bits:
    """Numbers the bits of a Yosys netlist from 2 on, in order of appearance."""

    numbers: dict[int, int]

    def net(self, bit: int | str) -> int:
        return _CONSTANTS[bit] if isinstance(bit, str) else self.numbers.setdefault(bit, len(self.numbers) + 2)


def levelize(netlist_json: str, technology: Technology, top: str) -> Netlist:
    """
    Read a flat netlist that Yosys wrote with ``write_json`` and put its gates in topological order.

    Parameters
    ----------
    netlist_json : str
        Text of the JSON file.
    technology : Technology
        Gives the cells' functions and capacitances.
    top : str
        The module.

    Returns
    -------
    Netlist

    Raises
    ------
    ValueError
        No such module, a cell that the technology has not or that nothing reads, more than one clock, a clock that is
        no input port, or a combinational loop.
    """
    modules = json.loads(netlist_json)["modules"]
    if top not in modules:
        raise ValueError(f"netlist has no module {top!r}; it has {', '.join(sorted(modules))}")
    module = modules[top]
    bits = _Bits({})
    instances = [
        (name, _cell(name, row["type"], technology), row["connections"])
        for name, row in module["cells"].items()
        if row["type"] != "$scopeinfo"
    ]
    inputs, outputs = _ports(module, bits)
    clock = _clock(instances, module, top)
    inputs.pop(clock, None)

    rows = _Rows()
    for instance, (name, cell, connections) in enumerate(instances):
        nets = {pin: bits.net(connections[pin][0]) for pin in connections if connections[pin]}
        if nets.keys().isdisjoint(cell.outputs):
            raise ValueError(f"instance {name!r} of {cell.name} must have an output that is connected")
        rows.add(instance, cell, nets)
    names = _names(module, bits)
    count = len(bits.numbers) + 2
    loads = np.zeros(count)
    for net, capacitance in rows.pins:
        loads[net] += capacitance
    order = _order(rows.gates, top)
    return Netlist(
        top=top, nets=count, inputs=inputs, outputs=outputs, clock=clock,
        gates=np.array([rows.gates[i] for i in order], dtype=np.int64).reshape(-1, 2 + MAX_PINS),
        tables=np.array([rows.tables[i] for i in order], dtype=np.uint64),
        gate_cells=tuple(rows.gate_cells[i] for i in order),
        gate_instances=np.array([rows.gate_instances[i] for i in order], dtype=np.int64),
        flip_flops=np.array(rows.flip_flops, dtype=np.int64).reshape(-1, 3),
        flip_flop_cells=tuple(rows.flip_flop_cells),
        flip_flop_instances=np.array(rows.flip_flop_instances, dtype=np.int64),
        loads_ff=loads, cells=dict(sorted(rows.cells.items())), names=names,
    )  # fmt: skip


@dataclass(slots=True)
class _Rows:
    """What the instances give, row by row."""

    gates: list[list[int]] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    gate_cells: list[str] = field(default_factory=list)
    gate_instances: list[int] = field(default_factory=list)
    flip_flops: list[list[int]] = field(default_factory=list)
    flip_flop_cells: list[str] = field(default_factory=list)
    flip_flop_instances: list[int] = field(default_factory=list)
    pins: list[tuple[int, float]] = field(default_factory=list)
    cells: dict[str, int] = field(default_factory=dict)

    def add(self, instance: int, cell: Cell, nets: Mapping[str, int]) -> None:
        """Add an instance, a row for each output that is connected."""
        self.cells[cell.name] = self.cells.get(cell.name, 0) + 1
        self.pins += [(nets[pin], capacitance) for pin, capacitance in cell.pin_caps_ff.items() if pin in nets]
        for pin, function in cell.outputs.items():
            if pin not in nets:
                continue
            if cell.is_flip_flop:
                inverted = 1 - (truth_table(function, ("IQ",)) >> 1 & 1)
                self.flip_flops.append([nets[pin], nets[cell.data], inverted])
                self.flip_flop_cells.append(cell.name)
                self.flip_flop_instances.append(instance)
            else:
                operands = [nets[name] for name in cell.inputs]
                self.gates.append([nets[pin], len(operands), *operands, *[0] * (MAX_PINS - len(operands))])
                self.tables.append(truth_table(function, cell.inputs))
                self.gate_cells.append(cell.name)
                self.gate_instances.append(instance)


def _cell(name: str, kind: str, technology: Technology) -> Cell:
    """Look a cell up."""
    if kind not in technology.cells:
        raise ValueError(f"instance {name!r} is a {kind!r}, which technology {technology.name} has not")
    return technology.cells[kind]


def _ports(
    module: Mapping[str, Any], bits: _Bits
) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, npt.NDArray[np.int64]]]:
    """Split the ports by direction."""
    ports: dict[str, dict[str, npt.NDArray[np.int64]]] = {"input": {}, "output": {}}
    for name, port in module["ports"].items():
        if port["direction"] not in ports:
            raise ValueError(f"port {name!r} is an {port['direction']}; want input or output")
        ports[port["direction"]][name] = np.array([bits.net(bit) for bit in port["bits"]], dtype=np.int64)
    return ports["input"], ports["output"]


def _clock(instances: list[tuple[str, Cell, Any]], module: Mapping[str, Any], top: str) -> str:
    """Name the port that clocks every flip-flop."""
    clocks = {connections[cell.clock][0] for _, cell, connections in instances if cell.is_flip_flop}
    if not clocks:
        return ""
    for name, port in module["ports"].items():
        if port["direction"] == "input" and port["bits"] == [*clocks]:
            return str(name)
    raise ValueError(f"module {top!r} must have one clock, an input port, for all flip-flops, not {len(clocks)} nets")


def _names(module: Mapping[str, Any], bits: _Bits) -> dict[str, int]:
    """Name every net that has a name."""
    names = {}
    for name, row in module["netnames"].items():
        for index, bit in enumerate(row["bits"]):
            names[name if len(row["bits"]) == 1 else f"{name}[{index}]"] = bits.net(bit)
    return names


def _order(rows: list[list[int]], top: str) -> list[int]:
    """Sort gates so that each comes after the gates that drive it (Kahn 1962), level by level."""
    driver = {row[0]: index for index, row in enumerate(rows)}
    readers: list[list[int]] = [[] for _ in rows]
    waiting = [0] * len(rows)
    for index, row in enumerate(rows):
        for net in row[2 : 2 + row[1]]:
            if net in driver:
                readers[driver[net]].append(index)
                waiting[index] += 1
    order = [index for index, count in enumerate(waiting) if count == 0]
    for index in order:  # grows as it goes
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                order.append(reader)
    if len(order) < len(rows):
        raise ValueError(f"module {top!r} has a combinational loop through {len(rows) - len(order)} gates")
    return order
