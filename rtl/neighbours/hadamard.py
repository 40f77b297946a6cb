# SPDX-License-Identifier: Apache-2.0
"""The Hadamard transform of a block of integers: stages of butterflies, one bit wider each."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.datapath.layers.specs import HadamardSpec
from rtl.blocks import Block
from rtl.part import Part

__all__ = [
    "BlockHadamard",
    "block_of",
    "blocks",
]


class BlockHadamard(Part):
    """Transform a block, without scaling.

    Parameters
    ----------
    spec : HadamardSpec

    Members
    -------
    values : In, ``spec.bits`` bits for each of ``spec.size`` elements
        Two's complement, element 0 at bit 0.
    sums : Out, ``spec.sum_bits`` bits for each
        As `hwsim.datapath.layers.block_hadamard` gives them: element i is the sum of the elements j, negated where
        ``i & j`` has an odd number of ones.

    Latency: none, combinational.
    """

    def __new__(cls, spec: HadamardSpec) -> Self:
        """Check the spec before there is a component: Amaranth warns of one that is not used."""
        if not isinstance(spec, HadamardSpec):
            raise TypeError(f"spec must be a HadamardSpec, not {spec!r}")
        made: Self = super().__new__(cls)
        return made

    def __init__(self, spec: HadamardSpec) -> None:
        self.spec = spec
        super().__init__({"values": In(spec.bits * spec.size), "sums": Out(spec.sum_bits * spec.size)})

    def _module_name(self) -> str:
        return f"hadamard_{self.spec.size}x{self.spec.bits}"

    def _build(self) -> Module:
        m = Module()
        bits, size = self.spec.bits, self.spec.size
        row: list[Any] = [self.values[bits * index : bits * (index + 1)].as_signed() for index in range(size)]
        step = 1
        while step < size:
            bits += 1
            following = [Signal(signed(bits), name=f"stage{step}_{index}") for index in range(size)]
            for index in range(size):
                if not index & step:
                    low, high = row[index], row[index + step]
                    m.d.comb += [following[index].eq(low + high), following[index + step].eq(low - high)]
            row = following
            step *= 2
        m.d.comb += self.sums.eq(Cat(row))
        return m


def block_of(bits: int, size: int) -> Block:
    """Return the block of a transform."""
    spec = HadamardSpec(bits=bits, size=size)
    ones = np.array([[(i & j).bit_count() for j in range(size)] for i in range(size)])
    matrix = np.where(ones % 2 == 1, -1, 1)

    def oracle(values: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Multiply by the matrix, whose sign at (i, j) is the parity of ``i & j``."""
        words = values.astype(object)
        lanes = np.stack([(words >> (bits * index)) & ((1 << bits) - 1) for index in range(size)]).astype(np.int64)
        sums = matrix @ (lanes - ((lanes >> (bits - 1)) << bits))
        codes = (sums & ((1 << spec.sum_bits) - 1)).astype(object)
        total = sum(codes[index] << (spec.sum_bits * index) for index in range(size))
        return {"sums": np.asarray(total, np.uint64 if size * spec.sum_bits <= 64 else object)}

    return Block(
        name=f"hadamard_{size}_int{bits}",
        summary=f"The Hadamard transform of {size} {bits}-bit integers, exact",
        part=lambda: BlockHadamard(spec),
        oracle=oracle,
        source="Sylvester's construction, by butterflies; blocks of 16: arXiv:2509.25149; of 32: Quartet",
    )


def blocks() -> tuple[Block, ...]:
    """Return transforms of INT8 in blocks of 16 and 32, and small ones whose operands can be exhausted."""
    return block_of(4, 4), block_of(2, 8), block_of(8, 16), block_of(8, 32)
