# SPDX-License-Identifier: Apache-2.0
"""Which component is a stage of a unit, by its alignment."""

from hwsim.datapath.unit import CascadedAlignment, DotProductUnit, PairwiseAlignment
from rtl.architecture import Architecture
from rtl.datapath.align_add import AlignAdd
from rtl.datapath.cascaded import CascadedAdd
from rtl.datapath.grouped import MultiplyGroups
from rtl.datapath.layouts import scaled_apart
from rtl.datapath.multiply import Multiply
from rtl.datapath.pairwise import MultiplyRounded, PairTree
from rtl.part import Part

__all__ = [
    "add_stage",
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
