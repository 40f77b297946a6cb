# SPDX-License-Identifier: Apache-2.0
"""Which component is a stage of a unit, by its alignment."""

from typing import Any

from amaranth.hdl import Module

from hwsim.datapath.unit import CascadedAlignment, DotProductUnit, PairwiseAlignment
from rtl.architecture import Architecture
from rtl.datapath.accumulate import Accumulate
from rtl.datapath.align_add import AlignAdd
from rtl.datapath.cascaded import CascadedAdd
from rtl.datapath.float_add import float_step
from rtl.datapath.grouped import MultiplyGroups
from rtl.datapath.layouts import scaled_apart, total_layout
from rtl.datapath.multiply import Multiply
from rtl.datapath.pairwise import MultiplyRounded, PairTree
from rtl.part import Part

__all__ = [
    "accumulate_stage",
    "add_stage",
    "connect_total",
    "multiply_stage",
]


def multiply_stage(unit: DotProductUnit, architecture: Architecture) -> Part:
    """Return the multiply stage of a unit: `a`, `b` and the scales to `products`."""
    if isinstance(unit.alignment, PairwiseAlignment):
        return MultiplyRounded(unit, architecture)
    return MultiplyGroups(unit, architecture) if scaled_apart(unit) else Multiply(unit, architecture)


def add_stage(unit: DotProductUnit, architecture: Architecture) -> Part:
    """Return the align-add stage of a unit: `products`, and `accumulator` in a fused step, to `total`."""
    if isinstance(unit.alignment, PairwiseAlignment):
        return PairTree(unit, architecture)
    if isinstance(unit.alignment, CascadedAlignment):
        return CascadedAdd(unit, architecture)
    return AlignAdd(unit, architecture)


def accumulate_stage(unit: DotProductUnit, architecture: Architecture) -> Part:
    """Return the accumulate stage of a unit: `register`, `decoded` and `total` to `following`."""
    return float_step(unit, architecture) or Accumulate(unit, architecture)


def connect_total(m: Module, unit: DotProductUnit, accumulate: Any, total: Any, nonzero: Any = None) -> None:
    """Connect the sum of a step to its accumulate stage; `nonzero`, where that is known before the sum is there."""
    m.d.comb += [accumulate.total[field].eq(total[field]) for field in total_layout(unit).members]
    if hasattr(accumulate, "nonzero"):
        m.d.comb += accumulate.nonzero.eq(total["sum"].any() if nonzero is None else nonzero)
