# SPDX-License-Identifier: Apache-2.0
"""Bits that operands take in memory: elements, and apart from them scales and the places of what is not zero."""

from math import ceil
from typing import NamedTuple

from hwsim.datapath import DotProductUnit
from hwsim.datapath.unit import ScalarSpec, Sparsity
from hwsim.formats import BlockSpec

__all__ = [
    "Footprint",
    "footprint",
    "step_bits",
]

_FLOAT32_BITS = 32  # of a tensor's or a channel's scale


class Footprint(NamedTuple):
    """Bits of elements, of scales (and zero points and choices of format), and of places."""

    element_bits: int
    scale_bits: int = 0
    index_bits: int = 0

    @property
    def bits(self) -> int:
        """All of them."""
        return sum(self)

    def times(self, count: int) -> "Footprint":
        """Return so many of them."""
        return Footprint(*(count * bits for bits in self))


def footprint(
    spec: ScalarSpec | BlockSpec | int,
    rows: int,
    length: int,
    *,
    sparsity: Sparsity | None = None,
    cut: int | None = None,
) -> Footprint:
    """Count the bits of a matrix whose blocks lie along its rows.

    Parameters
    ----------
    spec : a scalar format, BlockSpec, or the plain bits of an element
        A last block that is not full has a whole scale. A scale of the tensor, or of each row where channels have one,
        takes 32 bits.
    rows, length : int
        Of the matrix. `rows` may be an array of int64, for so many matrices; the result's fields are arrays then.
    sparsity : Sparsity, optional
        Of the rows: only the kept places of every group are stored, each with its place in ``ceil(log2(of))`` bits.
    cut : int, optional
        Elements of a row that are moved at once; the scale of a block that lies across two such pieces moves twice.

    Returns
    -------
    Footprint
    """
    kept = length
    index_bits = 0
    if sparsity is not None:
        groups, rest = divmod(length, sparsity.of)
        kept = groups * sparsity.kept + min(rest, sparsity.kept)
        index_bits = rows * kept * (sparsity.of - 1).bit_length()
    element_bits = rows * kept * (spec if isinstance(spec, int) else spec.bits)
    if not isinstance(spec, BlockSpec):
        return Footprint(element_bits, 0, index_bits)
    shared = spec.scale.bits + spec.zero_point * spec.element.bits + len(spec.others).bit_length()
    blocks = -(-rows // spec.block_rows) if spec.block_rows else 1
    blocks *= _blocks(length, spec.block_size, cut or length)
    above = _FLOAT32_BITS * (spec.tensor_scale + rows * spec.channel_scale)
    return Footprint(element_bits, blocks * shared + above, index_bits)


def step_bits(unit: DotProductUnit) -> tuple[int, int]:
    """Return the bits of a, and of b, that a unit takes in one step: elements, scales of blocks, and places."""
    counts = unit.scale_counts
    of_a, of_b = (
        counts[index] * (0 if scale is None else scale.bits) for index, scale in enumerate((unit.scale_a, unit.scale_b))
    )
    places = 0 if unit.sparsity is None else (unit.sparsity.of - 1).bit_length()
    return unit.lanes * (unit.element_a.bits + places) + of_a, unit.width * unit.element_b.bits + of_b


def _blocks(length: int, size: int, cut: int) -> int:
    """Count the blocks that pieces of a row touch, piece by piece; a size of 0 is a whole row."""
    if size == 0:
        return ceil(length / cut)
    starts = range(0, length, cut)
    return sum(ceil(min(start + cut, length) / size) - start // size for start in starts)
