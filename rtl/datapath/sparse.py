# SPDX-License-Identifier: Apache-2.0
"""Sparse operands: a comes without its zeros, and an index a lane chooses the element of b beside it."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    FloatAccumulator,
    PairwiseAlignment,
    ScalarSpec,
    TruncatedAlignment,
)
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec
from rtl.part import Part

__all__ = [
    "Select",
    "index_bits",
    "sparse_missing",
    "zero_codes",
]


def index_bits(unit: DotProductUnit) -> int:
    """Return the bits by which a lane says where in its group of neighbours its a stands."""
    assert unit.sparsity is not None
    return (unit.sparsity.of - 1).bit_length()


def sparse_missing(unit: DotProductUnit) -> dict[str, bool]:
    """Return what a sparse unit must be without: where the places of the zeros of a change more than the products."""
    if unit.sparsity is None:
        return {}
    kept, of = unit.sparsity.kept, unit.sparsity.of
    alignment = unit.alignment
    blocks = [spec.block_size for spec in (unit.a, unit.b) if isinstance(spec, BlockSpec)]
    group = alignment.group if isinstance(alignment, TruncatedAlignment) else 1
    signed_zero = isinstance(unit.accumulator, FloatAccumulator) and unit.accumulator.signed_zero
    codebook = isinstance(unit.element_b, CodebookSpec)
    return {
        "blocks that part sparse neighbours": any(size % of for size in blocks),
        "groups that part sparse neighbours": group > 1 and group % of != 0,
        "pairs of more than two sparse neighbours": isinstance(alignment, PairwiseAlignment)
        and (kept > 2 or of & (of - 1) != 0),
        "even and odd sparse lanes": isinstance(alignment, CascadedAlignment) and alignment.parts > 1,
        "signed zeros beside a codebook": signed_zero and codebook,
    }


def zero_codes(spec: ScalarSpec) -> tuple[int, ...]:
    """Return the codes that are zero."""
    if isinstance(spec, FloatSpec):
        sign = 1 << (spec.bits - 1)
        return (0, sign) if spec.signed and spec.nan_code != sign else (0,)
    if isinstance(spec, CodebookSpec):
        return tuple(code for code, level in enumerate(spec.levels) if level == 0)
    return (0,)


class Select(Part):
    """Choose for each lane the element of b that goes with its a.

    Parameters
    ----------
    unit : DotProductUnit
        With a sparse a.
    a, b : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
        What the codes are of.

    Members
    -------
    a : In, ``lanes`` codes
        Of every ``of`` neighbours along K the `kept` ones, in any order; zeros where there are fewer.
    b : In, ``width`` codes
    index : In, ``lanes`` numbers below ``of``
        The place of each lane's a among its neighbours.
    left, right : Out, ``lanes`` codes
        Where a is zero, right is too, if b could be infinite or NaN: it does not enter.

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, a: ScalarSpec, b: ScalarSpec) -> None:
        self.spec = unit
        self._formats = a, b
        super().__init__(
            {
                "a": In(unit.lanes * a.bits),
                "b": In(unit.width * b.bits),
                "index": In(unit.lanes * index_bits(unit)),
                "left": Out(unit.lanes * a.bits),
                "right": Out(unit.lanes * b.bits),
            }
        )

    def _module_name(self) -> str:
        return "select"

    def _build(self) -> Module:
        m = Module()
        unit, sparsity, bits = self.spec, self.spec.sparsity, index_bits(self.spec)
        assert sparsity is not None
        a, b = self._formats
        accumulator = unit.accumulator
        signed_zero = isinstance(accumulator, FloatAccumulator) and accumulator.signed_zero
        hides = b.has_nan or b.has_inf or signed_zero
        left: list[Any] = []
        right: list[Any] = []
        for lane in range(unit.lanes):
            begin = lane // sparsity.kept * sparsity.of
            near = Array(self.b[at * b.bits : (at + 1) * b.bits] for at in range(begin, begin + sparsity.of))
            code = self.a[lane * a.bits : (lane + 1) * a.bits]
            chosen = Signal(b.bits, name=f"chosen_{lane}")
            m.d.comb += chosen.eq(near[self.index[lane * bits : (lane + 1) * bits]])
            if hides:
                there = Signal(name=f"there_{lane}")
                m.d.comb += there.eq(~Cat(code == zero for zero in zero_codes(a)).any())
                chosen = chosen & there.replicate(b.bits)
                if signed_zero and not isinstance(a, CodebookSpec):
                    code = code & there.replicate(a.bits)
            left.append(code)
            right.append(chosen)
        m.d.comb += [self.left.eq(Cat(*left)), self.right.eq(Cat(*right))]
        return m
