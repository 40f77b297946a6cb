# SPDX-License-Identifier: Apache-2.0
"""The tiles of a product in the order of its loops, and what each of them loads, stores and takes on the array."""

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.footprint import Footprint
from hwsim.accelerator.mapping.machine import Machine, TileCost
from hwsim.accelerator.mapping.pieces import Cut, Operand, Pieces, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.network import MatmulShape

__all__ = [
    "Costs",
    "Ints",
    "Moves",
    "Tiling",
    "Visits",
    "costs",
    "loads",
    "stores",
]

Ints = NDArray[np.int64]
_LAST = {"groups": 8, "m": 4, "n": 2, "k": 1}
_SIDES = tuple(_LAST)
_GOES_ON = 16
_REST, _END = slice(1, None), slice(-1, None)


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
    """The tiles, one after the other: a grid whose axes are the loops, the outermost, over groups, first."""

    def __init__(self, problem: Problem, tiling: Tiling) -> None:
        self.totals = {side: getattr(problem.product, side) for side in _SIDES}
        self.sizes = {side: getattr(tiling, side) for side in _SIDES}
        self.trips = {side: -(-self.totals[side] // self.sizes[side]) for side in _SIDES}
        self.rests = {side: self.totals[side] - (self.trips[side] - 1) * self.sizes[side] for side in _SIDES}
        self.groups = problem.tile_groups(tiling.groups)
        self.order = ("groups", *tiling.order)
        self.shape = tuple(self.trips[side] for side in self.order)
        self.tiles = prod(self.shape)

    def cut(self, side: str) -> Cut:
        """Return how a side is cut."""
        return self.totals[side], self.sizes[side]

    def again(self, side: str) -> bool:
        """Tell whether what does not depend on a side changes all the time while the loop over it goes on."""
        return any(self.trips[inner] > 1 for inner in self.order[self.order.index(side) + 1 :])

    def slab(self, grid: Ints, side: str, part: slice) -> Ints:
        """Return the part of a grid that lies so along a side."""
        return grid[(slice(None),) * self.order.index(side) + (part,)]

    def placed(self, table: Ints, sides: tuple[str, str]) -> Ints:
        """Return a table whose axes are two sides as a grid that is one tile long along the others."""
        first, second = sides
        turned = table if self.order.index(first) < self.order.index(second) else table.T
        return turned.reshape([self.trips[side] if side in sides else 1 for side in self.order])

    def differs(self, side: str) -> bool:
        """Tell whether the last tile along a side takes something else than those before it."""
        if self.trips[side] == 1:
            return False
        uneven = self.rests[side] != self.sizes[side]
        return side == "k" or uneven or (side == "groups" and self.groups[0] != self.groups[1])

    def kinds(self) -> Ints:
        """Return the kind of each tile: a bit for each side along which it is the last and `differs`.

        16 if it is not the first of K.
        """
        grid = np.zeros(self.shape, np.int64)
        for side, weight in _LAST.items():
            if self.differs(side):
                self.slab(grid, side, _END)[...] += weight
        if self.trips["k"] > 1:
            self.slab(grid, "k", _REST)[...] += _GOES_ON
        return grid.reshape(-1)

    def counts(self) -> list[tuple[int, int]]:
        """Return the kinds of tiles that there are, and how many of each."""
        sides = [
            [(_LAST[side], 1), (0, self.trips[side] - 1)] if self.differs(side) else [(0, self.trips[side])]
            for side in ("groups", "m", "n")
        ]
        inside = self.trips["k"] - 2
        sides.append([(0, 1)] if inside < 0 else [(0, 1), (_GOES_ON, inside), (_GOES_ON + _LAST["k"], 1)])
        chosen = product(*([each for each in side if each[1]] for side in sides))
        return [(sum(kind for kind, _ in each), prod(count for _, count in each)) for each in chosen]

    def tile(self, kind: int) -> tuple[MatmulShape, int]:
        """Return a tile of a kind, and its groups in the network."""
        groups, m, n, k = (
            self.rests[side] if kind & weight or self.trips[side] == 1 else self.sizes[side]
            for side, weight in _LAST.items()
        )
        last = self.trips["groups"] == 1 or bool(kind & _LAST["groups"])
        return MatmulShape(groups, m, k, n), self.groups[last]


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


_NOTHING = Moves(np.zeros(1, np.int64), np.zeros(1, np.int64), 0, (), (), 0)


def loads(problem: Problem, tiling: Tiling, visits: Visits, name: str) -> Moves:
    """Return what each tile loads of operand "a" or "b": its own piece, unless the tile before it had the same.

    An operand that is held loads each piece at its first use, and of an image only what no tile before it needed.
    """
    operand: Operand = getattr(problem, name)
    if operand.place is Place.CHIP:
        return _NOTHING
    side, other = ("m", "n") if name == "a" else ("n", "m")
    held = operand.place is Place.KEPT or (tiling.hold_a if name == "a" else tiling.hold_b)
    again = not held and visits.again(other)
    when = slice(None) if again else slice(0, 1)
    times = visits.trips[other] if again else 1
    return _moved(visits, operand, (side, "k"), (other, when), times, fresh=held)


def stores(problem: Problem, visits: Visits) -> Moves:
    """Return what each tile stores of the output, which it has after the last part of K; `stored` is on chip."""
    sides = ("n", "m") if problem.swapped else ("m", "n")
    return _moved(visits, problem.out, sides, ("k", _END), 1, fresh=False)


def _moved(
    visits: Visits,
    tensor: Operand,
    sides: tuple[str, str],
    when: tuple[str, slice],
    times: int,
    *,
    fresh: bool,
) -> Moves:
    """Return what is moved of a tensor by the tiles that lie so along a side."""
    cuts = [visits.cut(side) for side in sides]
    full, last = visits.groups
    before = visits.trips["groups"] - 1
    each: list[Ints] = []
    pieces: list[tuple[Pieces, Pieces]] = []
    for form in (tensor.outside, tensor.stored):
        if each and tensor.stored == tensor.outside:
            continue
        end = tensor.pieces(form, last, *cuts, fresh=fresh)
        pieces.append((tensor.pieces(form, full, *cuts, fresh=fresh) if before else end, end))
        grid = np.zeros(visits.shape, np.int64)
        moving = visits.slab(grid, *when)
        moving[...] = visits.placed(pieces[-1][0].bits, sides)
        if before:
            moving[-1:] = visits.placed(end.bits, sides)
        each.append(grid.reshape(-1))
    return Moves(each[0], each[-1], times, pieces[0], pieces[-1], before)


class Costs(NamedTuple):
    """What the tiles take on the array: figures of each kind of tile (`Visits.kinds`), and of all added up.

    cycles : of the array, or for operands through the weights' port
    taken : bits that the array reads of the activations' memory
    written : bits of sums that it writes there
    """

    cycles: Ints
    taken: Ints
    written: Ints
    total: TileCost
    a_read: Footprint
    b_read: Footprint
    sums_read: int
    sums_written: int


def costs(machine: Machine, problem: Problem, tiling: Tiling, visits: Visits) -> Costs:
    """Return what the tiles take on the array.

    A tile is scheduled as a product of its own. Where outputs stay in the array, one whose K goes on in the next tile
    is not drained, and the next one follows without a skew.
    """
    key = (problem.laid_out, tuple(visits.sizes.values()), tiling.shared)
    if key not in machine.tiled:
        machine.tiled[key] = _costs(machine, problem, tiling.shared, visits)
    found: Costs = machine.tiled[key]
    return found


def _costs(machine: Machine, problem: Problem, shared: str, visits: Visits) -> Costs:
    table = np.zeros((3, 2 * _GOES_ON), np.int64)
    total = [0] * len(TileCost._fields)
    reads = {"a": Footprint(0), "b": Footprint(0)}
    sums_read = sums_written = 0
    for kind, count in visits.counts():
        tile, groups = visits.tile(kind)
        cost = machine.cost(tile, shared)
        ends = visits.trips["k"] == 1 or bool(kind & _LAST["k"])
        if machine.keeps_outputs and not ends:
            cost = cost._replace(skew=0, drain=0)
        a, b = problem.reads(machine, tile, groups)
        read = written = cost.partial_sums * machine.sum_bits
        if not machine.keeps_outputs:
            outputs = tile.groups * tile.m * tile.n * machine.sum_bits
            read += outputs * bool(kind & _GOES_ON)
            written += outputs * (not ends)
        taken = {"activation": read, "weight": 0}
        taken[problem.a.memory] += a.bits * cost.a_times
        taken[problem.b.memory] += b.bits * cost.b_times
        through = -(-taken["weight"] // machine.widths["weight"])
        table[:, kind] = max(cost.cycles, through), taken["activation"], written
        total = [x + count * y for x, y in zip(total, cost, strict=True)]
        for name, bits, times in (("a", a, cost.a_times), ("b", b, cost.b_times)):
            reads[name] = Footprint(*(x + count * times * y for x, y in zip(reads[name], bits, strict=True)))
        sums_read, sums_written = sums_read + count * read, sums_written + count * written
    cycles, from_memory, to_memory = list(table)
    return Costs(cycles, from_memory, to_memory, TileCost(*total), reads["a"], reads["b"], sums_read, sums_written)
