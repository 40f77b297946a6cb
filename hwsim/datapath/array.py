# SPDX-License-Identifier: Apache-2.0
"""The specification of an array of units: its kind and its sides, and what one step of it computes."""

from dataclasses import dataclass, replace
from enum import Enum

from hwsim.datapath.unit import DotProductUnit
from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "ArrayGeometry",
    "ArrayKind",
]


class ArrayKind(Enum):
    """How operands meet in an array of `rows` by `columns`, for a product of (M, K) by (K, N).

    OUTPUT_STATIONARY: systolic; each element keeps one output, rows are of M and columns of N, K streams through.
    WEIGHT_STATIONARY: systolic; each element keeps a step's weights, rows are of K and columns of N, M streams through,
    and a partial sum goes down each column.
    INPUT_STATIONARY: the same with a in place of the weights: rows are of K, columns of M, and N streams through.
    BROADCAST: as OUTPUT_STATIONARY, but a row's operand reaches all of its elements in the same cycle, and a column's.
    CUBE: as BROADCAST, each element a dot product of `depth` steps of the unit in one cycle.
    ADDER_TREE: weights stay; a column is one tree over the products of all rows, rows are of K and columns of N.
    """

    OUTPUT_STATIONARY = "output_stationary"
    WEIGHT_STATIONARY = "weight_stationary"
    INPUT_STATIONARY = "input_stationary"
    BROADCAST = "broadcast"
    CUBE = "cube"
    ADDER_TREE = "adder_tree"

    @property
    def keeps_outputs(self) -> bool:
        """Whether the outputs stay in place while both operands stream, rather than one of the operands."""
        return self in {ArrayKind.OUTPUT_STATIONARY, ArrayKind.BROADCAST, ArrayKind.CUBE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayGeometry:
    """An array of units.

    Parameters
    ----------
    kind : ArrayKind
    rows, columns : int
        1 to 4096 each.
    depth : int
        Steps of the unit that an element of a cube takes at once, 2 to 64; 1 for all other kinds.
    partial_sums : bool
        Whether sums can start from c, a code of the accumulator's format for each column and step, so that a K longer
        than the array is cut into folds. Where an operand stays in place only; the outputs' kinds need none.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.
    """

    kind: ArrayKind
    rows: int
    columns: int
    depth: int = 1
    partial_sums: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.kind, ArrayKind):
            raise TypeError(f"kind must be an ArrayKind, not {self.kind!r}")
        check_int("rows", self.rows, 1, 4096)
        check_int("columns", self.columns, 1, 4096)
        if self.kind is ArrayKind.CUBE:
            check_int("depth", self.depth, 2, 64)
        else:
            check_int("depth", self.depth, 1, 1)
        check_bool("partial_sums", self.partial_sums)
        if self.partial_sums and self.kind.keeps_outputs:
            raise ValueError(f"partial_sums must be False where outputs stay in place, as in {self.kind.value}")

    @property
    def name(self) -> str:
        """A name that spells the fields."""
        depth = f"x{self.depth}" if self.depth > 1 else ""
        return f"{self.kind.value}_{self.rows}x{self.columns}{depth}" + ("_c" if self.partial_sums else "")

    @property
    def widening(self) -> int:
        """How many steps of the unit an element adds up at once, as one step of more lanes."""
        return {ArrayKind.CUBE: self.depth, ArrayKind.ADDER_TREE: self.rows}.get(self.kind, 1)

    def element(self, unit: DotProductUnit) -> DotProductUnit:
        """Return what an element computes in a cycle, whose `matmul` is that of the array.

        Raises
        ------
        ValueError
            If there is no such unit: too many lanes, or as many as do not go with a block format.
        """
        return replace(unit, lanes=unit.lanes * self.widening) if self.widening > 1 else unit

    @property
    def skew_cycles(self) -> int:
        """Cycles between the first element's step and the last one's."""
        if self.kind in {ArrayKind.BROADCAST, ArrayKind.CUBE, ArrayKind.ADDER_TREE}:
            return 0
        return self.rows + self.columns - 2
