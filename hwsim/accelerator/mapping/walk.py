# SPDX-License-Identifier: Apache-2.0
"""Walk over the tiles of a product: when each is loaded, computed and stored."""

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
    visits = Visits(problem.product, tiling)
    spent = costs(machine, problem, tiling, visits)
    a, b = (loads(problem, tiling, visits, name) for name in ("a", "b"))
    out = stores(problem, tiling, visits)
    ports = _ports(machine, problem, spent, a, b, out)
    act, wgt, dram = ports["activation"], ports["weight"], ports["dram"]
    busy = np.maximum.reduce(
        (
            spent.cycles,
            _ceil(_next(dram.behind) + _before(dram.leaving), dram.width),
            _ceil(act.taken + _before(act.leaving), act.width),
            _ceil(act.given + _next(act.behind), act.width),
            _ceil(wgt.taken, wgt.width),
            _ceil(_next(wgt.behind), wgt.width),
        )
    )
    apart = np.maximum.reduce([_ceil(port.apart, port.width) for port in ports.values()])
    first = max(int(-(-(port.behind[0] + port.apart[0]) // port.width)) for port in ports.values())
    alone = np.maximum(_ceil(dram.leaving_apart, dram.width), _ceil(act.leaving_apart, act.width))
    last = max(int(-(-(port.leaving[-1] + port.leaving_apart[-1]) // port.width)) for port in (act, dram))
    stall = int(busy.sum()) - spent.total.cycles + int(apart[1:].sum()) + int(alone[:-1].sum())
    bits = PortBits(
        activation_read=int(act.taken.sum() + act.leaving.sum() + act.leaving_apart.sum()),
        activation_write=int(act.given.sum() + act.behind.sum() + act.apart.sum()),
        weight_read=int(wgt.taken.sum()),
        weight_write=int(wgt.behind.sum() + wgt.apart.sum()),
        dram=int(dram.behind.sum() + dram.apart.sum() + dram.leaving.sum() + dram.leaving_apart.sum()),
    )
    return Walked(tiling, visits.tiles, first, stall, last, spent, a, b, out, bits)


class _Port(NamedTuple):
    """What a memory moves for each tile, in bits.

    taken, given : read from it and written to it while the array works on the tile
    behind, apart : loaded for the tile, behind the array's work on the one before, or apart from all work
    leaving, leaving_apart : outputs of the tile on their way out, behind the work on the next one, or apart
    """

    width: int
    taken: Ints
    given: Ints
    behind: Ints
    apart: Ints
    leaving: Ints
    leaving_apart: Ints


def _ports(machine: Machine, problem: Problem, spent: Costs, a: Moves, b: Moves, out: Moves) -> dict[str, _Port]:
    """Return what each memory moves."""
    nothing = np.zeros_like(spent.cycles)
    taken = {"activation": spent.sums_read, "weight": nothing}
    behind, apart = (dict.fromkeys(("activation", "weight", "dram"), nothing) for _ in range(2))
    for operand, moves, bits in ((problem.a, a, spent.a_bits), (problem.b, b, spent.b_bits)):
        memory = operand.memory
        taken[memory] = taken[memory] + bits
        loaded = behind if machine.doubled[memory] else apart
        loaded[memory] = loaded[memory] + moves.stored_bits
        loaded["dram"] = loaded["dram"] + moves.outside_bits
    stays = problem.out.place is Place.CHIP
    leaving = {"activation": nothing if stays else out.stored_bits, "dram": nothing if stays else out.outside_bits}
    later = machine.doubled["activation"]
    given = {"activation": spent.sums_written + out.stored_bits}
    return {
        name: _Port(
            width,
            taken.get(name, nothing),
            given.get(name, nothing),
            behind[name],
            apart[name],
            leaving.get(name, nothing) if later else nothing,
            nothing if later else leaving.get(name, nothing),
        )
        for name, width in machine.widths.items()
    }


def _ceil(bits: Ints, width: int) -> Ints:
    return -(-bits // width)


def _next(bits: Ints) -> Ints:
    """Return what the next tile has, at each tile."""
    moved = np.zeros_like(bits)
    moved[:-1] = bits[1:]
    return moved


def _before(bits: Ints) -> Ints:
    """Return what the tile before has, at each tile."""
    moved = np.zeros_like(bits)
    moved[1:] = bits[:-1]
    return moved
