# SPDX-License-Identifier: Apache-2.0
"""Walk over the tiles of a product: when each is loaded, computed and stored."""

from collections import Counter
from functools import reduce
from typing import NamedTuple

import numpy as np

from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.visits import Costs, Ints, Moves, Tiling, Visits, costs, loads, stores

__all__ = [
    "PortBits",
    "Walked",
    "walk",
]


_Ports = dict[str, Ints]
"""Bits through ports, tile by tile; a port without any is left out."""


class PortBits(NamedTuple):
    """Bits through each port."""

    activation_read: int
    activation_write: int
    weight_read: int
    weight_write: int
    dram: int


class Walked(NamedTuple):
    """What a tiling takes.

    tiling : Tiling
    tiles : how many
    first_load, last_store : cycles of the memories before the array begins, and after it is done
    stall : cycles between, in which the array waits
    costs, a, b, out : of the tiles
    bits : through each port
    """

    tiling: Tiling
    tiles: int
    first_load: int
    stall: int
    last_store: int
    costs: Costs
    a: Moves
    b: Moves
    out: Moves
    bits: PortBits

    @property
    def cycles(self) -> int:
        """All cycles."""
        return self.first_load + self.costs.total.cycles + self.stall + self.last_store


def walk(machine: Machine, problem: Problem, tiling: Tiling) -> Walked:
    """Walk over the tiles in order.

    The array works on one tile after the other. While it does, the DRAM loads what the next tile needs and has not,
    into the other half of each double-buffered memory, and stores the outputs of the tile before; the array begins the
    next tile when all of that is done. A load into a memory that is not double-buffered, and a store from one, waits
    for the array, and the array for it. Nothing overlaps with the layers before and after. A memory reads and writes at
    once, `SramSpec.port_bits` a cycle each way.
    """
    visits = Visits(problem, tiling)
    spent = costs(machine, problem, tiling, visits)
    a, b = (loads(problem, tiling, visits, name) for name in ("a", "b"))
    out = stores(problem, visits)
    behind, apart = (_loaded(machine, problem, a, b, doubled=doubled) for doubled in (True, False))
    leaving = {} if problem.out.place is Place.CHIP else {"activation": out.stored_bits, "dram": out.outside_bits}
    later = machine.doubled["activation"]
    busy = _busy(machine, spent, visits, behind, out.stored_bits, leaving if later else {})
    stall = int(busy.sum()) - spent.total.cycles
    if apart:
        stall += int(_longest(machine, apart)[1:].sum())
    if leaving and not later:
        stall += int(_longest(machine, leaving)[:-1].sum())
    begins = Counter[str]()
    for loaded in (behind, apart):
        begins.update({port: int(bits[0]) for port, bits in loaded.items()})
    first = max((_cycles(machine, *each) for each in begins.items()), default=0)
    last = max((_cycles(machine, port, int(bits[-1])) for port, bits in leaving.items()), default=0)
    bits = _port_bits(problem, spent, behind, apart, out, leaving)
    return Walked(tiling, visits.tiles, first, stall, last, spent, a, b, out, bits)


def _loaded(machine: Machine, problem: Problem, a: Moves, b: Moves, *, doubled: bool) -> _Ports:
    """Return what tiles load into memories that are double-buffered, or into those that are not."""
    loaded: _Ports = {}
    for operand, moves in ((problem.a, a), (problem.b, b)):
        if operand.place is not Place.CHIP and machine.doubled[operand.memory] == doubled:
            for port, bits in ((operand.memory, moves.stored_bits), ("dram", moves.outside_bits)):
                loaded[port] = loaded[port] + bits if port in loaded else bits
    return loaded


def _busy(machine: Machine, spent: Costs, visits: Visits, behind: _Ports, stored: Ints, leaving: _Ports) -> Ints:
    """Return the cycles of each tile: of the array, and of what memories do behind it.

    That is what the next tile loads, and outputs of the tile before on their way out. `stored` are outputs that the
    array writes.
    """
    kinds = visits.kinds()
    busy = spent.cycles[kinds]
    taken, given = spent.taken[kinds], spent.written[kinds] + stored
    if "activation" in leaving:
        taken[1:] += leaving["activation"][:-1]
    if "activation" in behind:
        given[:-1] += behind["activation"][1:]
    np.maximum(busy, _ceil(np.maximum(taken, given), machine.widths["activation"]), out=busy)
    if "weight" in behind:
        np.maximum(busy[:-1], _ceil(behind["weight"][1:], machine.widths["weight"]), out=busy[:-1])
    if behind or leaving:
        outside = np.zeros_like(busy)
        if behind:
            outside[:-1] = behind["dram"][1:]
        if leaving:
            outside[1:] += leaving["dram"][:-1]
        np.maximum(busy, _ceil(outside, machine.widths["dram"]), out=busy)
    return busy


def _longest(machine: Machine, moved: _Ports) -> Ints:
    """Return the cycles that the slowest port takes for what is moved apart from all work, tile by tile."""
    return reduce(np.maximum, (_ceil(bits, machine.widths[port]) for port, bits in moved.items()))


def _cycles(machine: Machine, port: str, bits: int) -> int:
    return -(-bits // machine.widths[port])


def _port_bits(problem: Problem, spent: Costs, behind: _Ports, apart: _Ports, out: Moves, leaving: _Ports) -> PortBits:
    """Return all that goes through each port."""
    loaded = {"activation": 0, "weight": 0, "dram": 0}
    for each in (behind, apart):
        for port, bits in each.items():
            loaded[port] += int(bits.sum())
    read = {"activation": spent.sums_read, "weight": 0}
    for operand, whole in ((problem.a, spent.a_read), (problem.b, spent.b_read)):
        read[operand.memory] += whole.bits
    stored = int(out.stored_bits.sum())
    outside = stored if out.outside_bits is out.stored_bits else int(out.outside_bits.sum())
    return PortBits(
        activation_read=read["activation"] + (stored if leaving else 0),
        activation_write=spent.sums_written + stored + loaded["activation"],
        weight_read=read["weight"],
        weight_write=loaded["weight"],
        dram=loaded["dram"] + (outside if leaving else 0),
    )


def _ceil(bits: Ints, width: int) -> Ints:
    return (bits + (width - 1)) // width
