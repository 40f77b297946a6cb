# SPDX-License-Identifier: Apache-2.0
"""The tiles of a product in the order of its loops, and what each of them loads, stores and takes on the array."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.footprint import Footprint
from hwsim.accelerator.mapping.machine import Machine, TileCost
from hwsim.accelerator.mapping.pieces import Operand, Pieces, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.network import MatmulShape

__all__ = [
    "Costs",
    "Ints",
    "Moves",
    "Tiling",
    "Visits",
    "bounds",
    "costs",
    "loads",
    "stores",
]

Ints = NDArray[np.int64]
_SIDES = ("groups", "m", "n", "k")


class Tiling(NamedTuple):
    """How a product is cut: sides of a tile, the loops within a group from the outermost, what stays, what is shared.

    hold_a, hold_b : whether an operand's tiles stay on chip from their first use on
    shared : the side of a tile that several arrays share out; "" for one array
    """

    groups: int
    m: int
    n: int
    k: int
    order: tuple[str, ...]
    hold_a: bool
    hold_b: bool
    shared: str


class Visits:
    """The tiles, one after the other: the place of each along each side."""

    def __init__(self, product: MatmulShape, tiling: Tiling) -> None:
        self.bounds = {side: bounds(getattr(product, side), getattr(tiling, side)) for side in _SIDES}
        self.trips = {side: len(ends) - 1 for side, ends in self.bounds.items()}
        order = ("groups", *tiling.order)
        places = np.indices([self.trips[side] for side in order]).reshape(4, -1)
        self.at: dict[str, Ints] = dict(zip(order, places, strict=True))
        self.last = {side: self.at[side] == self.trips[side] - 1 for side in _SIDES}

    @property
    def tiles(self) -> int:
        """How many."""
        return len(self.at["k"])


def bounds(total: int, size: int) -> Ints:
    """Return where the tiles of a side begin, and where the last one ends."""
    ends = np.arange(-(-total // size) + 1) * size
    ends[-1] = total
    return ends


class Moves(NamedTuple):
    """What the tiles move of a tensor.

    outside_bits, stored_bits : of each tile, in the DRAM's form and in that on chip
    times : how often each piece moves
    outside_pieces, stored_pieces : of a tile that is not the last of the groups, and of the last; all tiles of m, n, k
    groups : tiles that are not the last of the groups
    """

    outside_bits: Ints
    stored_bits: Ints
    times: int
    outside_pieces: tuple[Pieces, ...]
    stored_pieces: tuple[Pieces, ...]
    groups: int

    @property
    def outside(self) -> Footprint:
        """All that is moved, in the DRAM's form."""
        return self._sum(self.outside_pieces)

    @property
    def stored(self) -> Footprint:
        """All that is moved, in the form on chip."""
        return self._sum(self.stored_pieces)

    def _sum(self, pieces: tuple[Pieces, ...]) -> Footprint:
        if not pieces:
            return Footprint(0)
        counts = (self.groups * self.times, self.times)
        parts = zip(*pieces, strict=True)
        return Footprint(*(sum(n * int(bits.sum()) for n, bits in zip(counts, part, strict=True)) for part in parts))


def loads(problem: Problem, tiling: Tiling, visits: Visits, name: str) -> Moves:
    """Return what each tile loads of operand "a" or "b": its own piece, unless the tile before it had the same.

    An operand that is held loads each piece at its first use, and of an image only what no tile before it needed.
    """
    operand: Operand = getattr(problem, name)
    side, other = ("m", "n") if name == "a" else ("n", "m")
    held = operand.place is Place.KEPT or (tiling.hold_a if name == "a" else tiling.hold_b)
    needed = np.ones(visits.tiles, bool)
    if operand.place is Place.CHIP:
        needed[:] = False
    else:
        at = visits.at
        place = (at["groups"] * visits.trips[side] + at[side]) * visits.trips["k"] + at["k"]
        needed[1:] = place[1:] != place[:-1]
        if held:
            needed &= at[other] == 0
    return _moved(problem, tiling, visits, operand, (side, "k"), needed, fresh=held)


def stores(problem: Problem, tiling: Tiling, visits: Visits) -> Moves:
    """Return what each tile stores of the output, which it has after the last part of K; `stored` is on chip."""
    sides = ("n", "m") if problem.swapped else ("m", "n")
    return _moved(problem, tiling, visits, problem.out, sides, visits.last["k"], fresh=False)


def _moved(
    problem: Problem,
    tiling: Tiling,
    visits: Visits,
    tensor: Operand,
    sides: tuple[str, str],
    when: NDArray[np.bool_],
    *,
    fresh: bool,
) -> Moves:
    if not when.any():
        nothing = np.zeros(visits.tiles, np.int64)
        return Moves(nothing, nothing, 0, (), (), 0)
    ends = [visits.bounds[side] for side in sides]
    full, last = problem.tile_groups(tiling.groups)
    before = visits.trips["groups"] - 1
    place = (visits.last["groups"].astype(np.int64), visits.at[sides[0]], visits.at[sides[1]])
    each: list[Ints] = []
    pieces: list[tuple[Pieces, Pieces]] = []
    for form in (tensor.outside, tensor.stored):
        if each and tensor.stored == tensor.outside:
            continue
        end = tensor.pieces(form, last, *ends, fresh=fresh)
        pieces.append((tensor.pieces(form, full, *ends, fresh=fresh) if before else end, end))
        table = np.stack([piece.bits for piece in pieces[-1]])
        each.append(np.where(when, table[place], 0))
    times = int(np.count_nonzero(when)) // ((before + 1) * visits.trips[sides[0]] * visits.trips[sides[1]])
    return Moves(each[0], each[-1], times, pieces[0], pieces[-1], before)


class Costs(NamedTuple):
    """What the tiles take on the array: cycles of each, bits that each reads and writes, and all of it added up."""

    cycles: Ints
    a_bits: Ints
    b_bits: Ints
    sums_read: Ints
    sums_written: Ints
    total: TileCost
    a_read: Footprint
    b_read: Footprint


def costs(machine: Machine, problem: Problem, tiling: Tiling, visits: Visits) -> Costs:
    """Return what the tiles take on the array.

    A tile is scheduled as a product of its own. Where outputs stay in the array, one whose K goes on in the next tile
    is not drained, and the next one follows without a skew.
    """
    kind = sum(visits.last[side] * weight for side, weight in zip(_SIDES, (8, 4, 2, 1), strict=True))
    counts = np.bincount(kind, minlength=16).tolist()
    table = np.zeros((4, 16), np.int64)
    total = [0] * len(TileCost._fields)
    reads = [[0, 0, 0], [0, 0, 0]]
    sum_bits = machine.sum_bits
    for each in (i for i in range(16) if counts[i]):
        tile, groups = _kind_of_tile(problem, tiling, visits, each)
        cost = machine.cost(tile, tiling.shared)
        if machine.keeps_outputs and not each & 1:
            cost = cost._replace(skew=0, drain=0)
        a, b = problem.reads(machine, tile, groups)
        read = (a.times(cost.a_times), b.times(cost.b_times))
        table[:, each] = cost.cycles, read[0].bits, read[1].bits, cost.partial_sums * sum_bits
        total = [x + counts[each] * y for x, y in zip(total, cost, strict=True)]
        for sums, bits in zip(reads, read, strict=True):
            sums[:] = [x + counts[each] * y for x, y in zip(sums, bits, strict=True)]
    cycles, a_bits, b_bits, sums_read = table[:, kind]
    sums_written = sums_read
    if visits.trips["k"] > 1 and not machine.keeps_outputs:
        outputs = np.prod([np.diff(visits.bounds[side])[visits.at[side]] for side in _SIDES[:3]], axis=0)
        sums_written = sums_read + outputs * sum_bits * ~visits.last["k"]
        sums_read = sums_read + outputs * sum_bits * (visits.at["k"] > 0)
    return Costs(
        cycles, a_bits, b_bits, sums_read, sums_written, TileCost(*total), Footprint(*reads[0]), Footprint(*reads[1])
    )


def _kind_of_tile(problem: Problem, tiling: Tiling, visits: Visits, kind: int) -> tuple[MatmulShape, int]:
    """Return the tile that is the last along the sides that the bits of `kind` say, and its groups in the network."""
    sizes = []
    for side, weight in zip(_SIDES, (8, 4, 2, 1), strict=True):
        ends = visits.bounds[side]
        sizes.append(int(ends[-1] - ends[-2] if kind & weight else ends[1] - ends[0]))
    groups, m, n, k = sizes
    return MatmulShape(groups, m, k, n), problem.tile_groups(tiling.groups)[bool(kind & 8)]
