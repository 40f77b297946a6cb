# SPDX-License-Identifier: Apache-2.0
"""A product to be mapped: its operands, where they are, and what the array reads of them."""

from dataclasses import dataclass
from math import lcm

from hwsim.accelerator.footprint import Footprint
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Operand
from hwsim.formats import BlockSpec
from hwsim.network import MatmulShape

__all__ = [
    "Problem",
    "k_fold",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A product as an arrangement has it.

    Parameters
    ----------
    product : MatmulShape
        Zeros that the arrangement brings in among it.
    a, b, out : Operand
        Groups of `a`, `b` and `out` are those of the network; `factor` of them are side by side if packed.
    arrangement : str
    factor : int
    groups : int
        Of the network.
    k : int
        Elements of K that are not zeros of the arrangement.
    swapped : bool
        Whether `out` is transposed: its rows are n.
    activation_bits, weight_bits : int
        Free in the memories, for tiles.
    """

    product: MatmulShape
    a: Operand
    b: Operand
    out: Operand
    arrangement: str
    factor: int
    groups: int
    k: int
    swapped: bool
    activation_bits: int
    weight_bits: int

    @property
    def laid_out(self) -> tuple[object, ...]:
        """All that the array knows of it: not where tensors are, nor how much room there is."""
        read = (self.a.memory, self.a.stored, self.b.memory, self.b.stored)
        return self.product, self.arrangement, self.factor, self.groups, self.k, *read

    @property
    def cuts_k(self) -> bool:
        """Whether K and N may be cut into tiles: where the arrangement brings no zeros in."""
        return self.arrangement in ("plain", "transposed")

    def tile_groups(self, groups: int) -> tuple[int, int]:
        """Return the network's groups in a tile of so many of the product's, and in the last one."""
        tiles = -(-self.product.groups // groups)
        full = groups * (self.factor if self.arrangement == "packed_groups" else 1)
        return full, self.groups - (tiles - 1) * full

    def reads(self, machine: Machine, tile: MatmulShape, groups: int) -> tuple[Footprint, Footprint]:
        """Return the bits of the operands as the array takes them, once each; zeros of the arrangement are not read.

        Blocks lie along K. Where an operand stays, a fold's part of K is read at a time, and the scale of a block that
        lies across two of them twice.

        Parameters
        ----------
        tile : MatmulShape
            Of the product.
        groups : int
            Of the network, in the tile.
        """
        m, k, n = tile[1:]
        if self.arrangement == "packed_groups":
            of_a, of_b = (groups * m, self.k), (groups * n // self.factor, self.k)
        elif self.arrangement == "toeplitz":
            of_a, of_b = (groups * m, k), (groups * n, self.k)
        else:
            of_a, of_b = (groups * m, k), (groups * n, k)
        return machine.read("a", *of_a, self.a.stored), machine.read("b", *of_b, self.b.stored)


def k_fold(machine: Machine, problem: Problem) -> int:
    """Return the least part of K: of whole folds, and of whole blocks."""
    unit, array = machine.accelerator.unit, machine.accelerator.array
    one = machine.folds.k * (array.rows if machine.keeps_outputs else 1)
    forms = (unit.a, unit.b, problem.a.stored, problem.b.stored)
    blocks = [form.block_size for form in forms if isinstance(form, BlockSpec)]
    if 0 in blocks:  # a block is a whole row
        return problem.product.k
    return lcm(one, *blocks, *([] if unit.sparsity is None else [unit.sparsity.of]))
