# SPDX-License-Identifier: Apache-2.0
"""How a matrix product is cut into folds of an array, and what each way of running them takes."""

from dataclasses import dataclass
from typing import NamedTuple

from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape

__all__ = [
    "Cut",
    "Schedule",
    "cut",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a matrix product takes on an array.

    load_cycles : the operand that stays shifted into the array before a fold, where nothing else goes on
    skew_cycles : cycles in which operands still enter at the edges, or results still leave, because rows and columns
    are skewed; and those in which a fold waits for the partial sums that it starts from
    stream_cycles : cycles of steps: a step of `lanes` products enters at the first unit
    drain_cycles : the units' own latency, and results shifted out (where outputs stay)
    folds : tiles of the array that the product was cut into
    a_elements, b_elements : elements of each operand read from its memory
    partial_sums : registers written to and read back from memory between folds of K (each counts once for either way)
    """

    load_cycles: int
    skew_cycles: int
    stream_cycles: int
    drain_cycles: int
    folds: int
    a_elements: int
    b_elements: int
    partial_sums: int

    @property
    def cycles(self) -> int:
        """All cycles."""
        return self.load_cycles + self.skew_cycles + self.stream_cycles + self.drain_cycles


class Cut(NamedTuple):
    """A product in folds of an array, what does not fill it filled up.

    streamed : steps that go through the array in a fold
    tiles : folds of a part of K, in one group
    parts : parts of K, one fold after another
    folds : of all groups
    a_elements, b_elements, partial_sums : as of `Schedule`
    """

    streamed: int
    tiles: int
    parts: int
    folds: int
    a_elements: int
    b_elements: int
    partial_sums: int


def cut(geometry: ArrayGeometry, product: MatmulShape, lanes: int) -> Cut:
    """Cut a product into folds.

    Where outputs stay, a fold is a tile of (rows, columns) outputs and all of K. Where an operand stays, it is
    ``rows * lanes`` of K by `columns` of N (input-stationary: of M), and all of the rest.
    """
    groups, m, k, n = product
    rows, columns = geometry.rows, geometry.columns
    if geometry.kind.keeps_outputs:
        across, down = -(-n // columns), -(-m // rows)
        steps = -(-k // (lanes * geometry.depth))
        return Cut(steps, across * down, 1, groups * across * down, groups * m * k * across, groups * k * n * down, 0)
    inputs_stay = geometry.kind is ArrayKind.INPUT_STATIONARY
    stays, streams = (m, n) if inputs_stay else (n, m)
    parts, tiles = -(-k // (lanes * rows)), -(-stays // columns)
    again, once = groups * tiles, groups
    return Cut(
        streams,
        tiles,
        parts,
        groups * parts * tiles,
        m * k * (once if inputs_stay else again),
        k * n * (again if inputs_stay else once),
        groups * m * n * (parts - 1),
    )
