# SPDX-License-Identifier: Apache-2.0
"""A netlist as the gate simulators' kernel takes it: rows of operations, and the order in which a cycle runs them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cost_models.activity.functions import FUNCTIONS, PASS, cofactor, steps, swapped
from cost_models.activity.netlist import Netlist
from cost_models.activity.words import COPY

__all__ = [
    "Program",
    "program",
]

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """
    What the kernel runs.

    A row of values holds a net, possibly inverted, or an intermediate value of a gate, or the next value of an input
    or a flip-flop.

    Attributes
    ----------
    rows : int
        Rows of values.
    operations : ndarray of int32, shape (operations, 8)
        Operation code, row written, four rows read, the phases of those four, 0.
    settle : ndarray of int32
        Operations that make all rows agree, each gate once.
    cycle : ndarray of int32
        Operations of a clock cycle in order.
    net_rows, net_inverted : ndarray of int64 and of bool, shape (nets,)
        The row that holds each net, and whether it holds the inverse.
    toggle_rows : ndarray of int64, shape (nets,)
        The row that counts the changes of each net.
    input_rows : ndarray of int64
        Where the next value of each bit of the inputs is put, ports in the order of the netlist.
    """

    rows: int
    operations: npt.NDArray[np.int32]
    settle: npt.NDArray[np.int32]
    cycle: npt.NDArray[np.int32]
    net_rows: _Integers
    net_inverted: npt.NDArray[np.bool_]
    toggle_rows: _Integers
    input_rows: _Integers


@dataclass(slots=True)
class _Builder:
    """Collects operations; knows of each net its row, its phase and the row that counts its changes."""

    rows: int
    row: list[int]
    inverted: list[int]
    toggles: list[int]
    operations: list[list[int]] = field(default_factory=list)

    def new(self) -> int:
        """Add a row and give its number."""
        self.rows += 1
        return self.rows - 1

    def emit(self, code: int, out: int, pins: list[int], phases: int) -> int:
        """Add an operation and give its number."""
        self.operations.append([code, out, *pins, *[0] * (4 - len(pins)), phases, 0])
        return len(self.operations) - 1


def program(netlist: Netlist, unit_delay: bool) -> Program:
    """
    Compile a netlist for the kernel.

    Without delays an inverter or a buffer is no operation: its net is its input's, inverted or not. With unit delays
    it is one that delays, and its changes are its input's. Pins at a constant are taken out of the gates.

    Parameters
    ----------
    netlist : Netlist
    unit_delay : bool
        Whether every gate takes a step of time, and a cycle shows every transition.

    Returns
    -------
    Program
    """
    nets = range(netlist.nets)
    made = _Builder(netlist.nets, [*nets], [0] * netlist.nets, [*nets])
    made.row[1], made.inverted[1] = 0, 1
    for net, _, inverted in netlist.flip_flops.tolist():
        made.inverted[net] = inverted
    ports = [int(net) for port in netlist.inputs.values() for net in port]
    gates = [_gate(made, netlist, index, unit_delay) for index in range(len(netlist.gates))]
    input_rows = [made.new() for _ in ports]
    starts = [made.emit(PASS, net, [row], 0) for net, row in zip(ports, input_rows, strict=True)]
    ends = []
    for net, data, _ in netlist.flip_flops.tolist():
        row = made.new()
        starts.append(made.emit(PASS, net, [row], 0))
        ends.append(made.emit(COPY, row, [made.row[data]], made.inverted[data]))
    inner = (_steps if unit_delay else _levels)(made, gates, [made.operations[start][1] for start in starts])
    return Program(
        rows=made.rows,
        operations=np.array(made.operations, dtype=np.int32).reshape(-1, 8),
        settle=np.array([operation for gate in gates for operation in gate], dtype=np.int32),
        cycle=np.concatenate([starts, inner, ends]).astype(np.int32),
        net_rows=np.array(made.row, dtype=np.int64),
        net_inverted=np.array(made.inverted, dtype=np.bool_),
        toggle_rows=np.array(made.toggles, dtype=np.int64),
        input_rows=np.array(input_rows, dtype=np.int64),
    )


def _gate(made: _Builder, netlist: Netlist, index: int, unit_delay: bool) -> list[int]:
    """Emit a gate; return its operations in order, the one that gives its value last."""
    out, count, *pins = netlist.gates[index].tolist()
    pins = pins[:count]
    table = int(netlist.tables[index])
    for place in reversed(range(count)):  # constants first: behind them a pin may no longer matter
        if made.row[pins[place]] == 0:
            table = cofactor(table, len(pins), place, made.inverted[pins[place]])
            del pins[place]
    for place in reversed(range(len(pins))):
        if cofactor(table, len(pins), place, 0) == cofactor(table, len(pins), place, 1):
            table = cofactor(table, len(pins), place, 0)
            del pins[place]
        elif made.inverted[pins[place]]:
            table = swapped(table, place)
    if not pins:
        made.row[out], made.inverted[out] = 0, table & 1
        return []
    rows = [made.row[pin] for pin in pins]
    if len(pins) == 1:
        made.inverted[out] = int(table == 0b01)
        made.toggles[out] = made.toggles[pins[0]]
        if unit_delay:
            return [made.emit(COPY, out, rows, 0)]
        made.row[out] = rows[0]
        return []
    operations: list[int] = []
    results: list[tuple[int, bool]] = []
    sequence = steps(len(pins), table)
    for step in sequence:
        phases = step.phases
        operands = []
        for place, pin in enumerate(step.pins):
            row, inverted = (rows[pin], False) if pin >= 0 else results[-pin - 1]
            operands.append(row)
            phases ^= inverted << place
        results.append((out if step is sequence[-1] else made.new(), step.inverted))
        operations.append(made.emit(step.code, results[-1][0], operands, phases))
    made.inverted[out] = int(results[-1][1])
    return operations


def _pins(operation: list[int]) -> list[int]:
    """List the rows that an operation reads."""
    count = 1 if operation[0] == COPY else FUNCTIONS[operation[0]][0]
    return operation[2 : 2 + count]


def _levels(made: _Builder, gates: list[list[int]], _: list[int]) -> _Integers:
    """Order operations level by level, and by code inside a level, so that the processor foresees the next code."""
    level = [0] * made.rows
    keys = {}
    for operation in [operation for gate in gates for operation in gate]:
        code, out, *_ = made.operations[operation]
        level[out] = 1 + max(level[row] for row in _pins(made.operations[operation]))
        keys[operation] = (level[out], code)
    return np.array(sorted(keys, key=lambda operation: keys[operation]), dtype=np.int64)


def _steps(made: _Builder, gates: list[list[int]], sources: list[int]) -> _Integers:
    """
    Order the evaluations of a cycle with unit delays.

    A gate can change only at a step by which a path of that length leads to it from an input or a flip-flop. In each
    step those gates are evaluated against the direction of the signals, so that each still reads what its inputs were
    a step before.
    """
    arrivals = [0] * made.rows  # bit t: may change at step t
    for row in sources:
        arrivals[row] = 1
    steps_of = []
    for gate in gates:
        inner = {made.operations[operation][1] for operation in gate[:-1]}
        reads = [row for operation in gate for row in _pins(made.operations[operation]) if row not in inner]
        times = 0
        for row in reads:
            times |= arrivals[row] << 1
        if gate:
            arrivals[made.operations[gate[-1]][1]] = times
        steps_of.append(times)
    table = [np.zeros((5, 0), dtype=np.int64)]
    for gate, times in zip(gates, steps_of, strict=True):
        when = np.flatnonzero(np.frombuffer(f"{times:b}"[::-1].encode(), dtype=np.uint8) == ord("1"))
        for place, operation in enumerate(gate):
            keys = (-times.bit_length(), place, made.operations[operation][0], operation)
            table.append(np.stack([when, *(np.full(len(when), key, dtype=np.int64) for key in keys)]))
    rows = np.concatenate(table, axis=1)
    order: _Integers = rows[4, np.lexsort(rows[::-1])]
    return order
