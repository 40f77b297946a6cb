# SPDX-License-Identifier: Apache-2.0
"""Deep pipelines: ranks of registers in front of the accumulator and behind it, where the paths balance.

The accumulator's own loop has one rank, whatever the depth: its sum must be there for the next row.
"""

from functools import lru_cache
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from rtl.architecture import Architecture
from rtl.datapath.layouts import fused, products_layout
from rtl.datapath.merged import RowsOfRow, RowSum, decoded_row, is_merged, operand_ports
from rtl.datapath.resolve import Resolve
from rtl.datapath.stages import multiply_stage
from rtl.part import Boxes, Part
from rtl.pipelined_netlist import Netlist, netlist_of
from rtl.pipelining import placed

__all__ = [
    "DEEPEST",
    "ProductsOfRow",
    "has_result",
    "row_part",
    "split",
]

DEEPEST = 32
"""The most ranks that a unit can be asked to have."""


class ProductsOfRow(Part):
    """Decode a row's codes and multiply: what stands before a step that the register is an addend of.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture

    Members
    -------
    a, b, [scale_a, scale_b] : In, codes
    products : Out, `products_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        super().__init__(operand_ports(unit) | {"products": Out(products_layout(unit))})

    def _module_name(self) -> str:
        return "products"

    def _build(self) -> Module:
        m = Module()
        m.submodules.multiply = multiply = multiply_stage(self.spec, self._architecture)
        for name, operands in decoded_row(m, self.spec, self).items():
            m.d.comb += getattr(multiply, name).eq(operands)
        m.d.comb += self.products.eq(multiply.products)
        return m


def row_part(unit: DotProductUnit, architecture: Architecture) -> Any:
    """Return what stands before the accumulator's loop: products, or their sum, or that as two words."""
    if fused(unit):
        return ProductsOfRow(unit, architecture)
    if is_merged(unit, architecture) and isinstance(unit.accumulator, FixedAccumulator):
        return RowsOfRow(unit, architecture)
    return RowSum(unit, architecture)


def has_result(unit: DotProductUnit, architecture: Architecture) -> bool:
    """Whether there is work behind the register: the rows of a carry-save one, or a conversion."""
    return unit.converts or architecture.accumulation == "carry_save"


@lru_cache(maxsize=256)
def split(unit: DotProductUnit, architecture: Architecture, pipeline: int) -> tuple[int, int]:
    """Return the ranks in front of the accumulator and behind it that make the longest path shortest.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture
    pipeline : int
        All ranks, the accumulator's with them: at least 2, or 3 if there is work behind the register.

    Returns
    -------
    ahead, behind : int
        At least 1 each, but for `behind` where there is no work behind the register: 0.
    """
    if not has_result(unit, architecture):
        return pipeline - 1, 0
    row, result = _netlist(row_part(unit, architecture)), _netlist(Resolve(unit, architecture))
    ways = [(pipeline - 1 - behind, behind) for behind in range(1, pipeline - 1)]
    return min(ways, key=lambda way: max(placed(row, way[0]).period, placed(result, way[1]).period))


def _netlist(part: Part) -> Netlist:
    return netlist_of(Boxes("part").apart(part)[1])
