# SPDX-License-Identifier: Apache-2.0
"""A step with ranks of registers in front of what adds to the register, for elements of arrays."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from rtl.architecture import Architecture
from rtl.datapath.balanced import row_part, split
from rtl.datapath.decode import Decode
from rtl.datapath.layouts import fused
from rtl.datapath.merged import AccumulateRows, RowsOfRow, step_layout
from rtl.datapath.ranks import depth
from rtl.datapath.stages import accumulate_stage, add_stage, connect_total
from rtl.datapath.step import Step
from rtl.pipelining import Pipelined

__all__ = [
    "placed_step",
    "step_ranks",
]


def step_ranks(unit: DotProductUnit, architecture: Architecture, pipeline: int) -> tuple[int, int]:
    """Return the ranks of an element in front of the accumulator and behind it: all of `pipeline` but the accumulator.

    Raises
    ------
    TypeError, ValueError
        If the pipeline is none that the unit can have (`rtl.datapath.ranks.depth`).
    """
    depth(unit, pipeline, architecture)
    return (pipeline - 1, 0) if pipeline < 3 else split(unit, architecture, pipeline)


class _Late:
    """What stands in for `Step`, with `ahead` cycles between its operands and its register."""

    def __init__(self, row: Any, register: Signal, following: Any) -> None:
        self.register, self.following = register, following
        self._row = row

    def __getattr__(self, name: str) -> Any:
        """Return a port of operands."""
        return getattr(self._row, name)


def placed_step(m: Module, unit: DotProductUnit, architecture: Architecture, ahead: int, en: Any) -> Any:
    """Make a step a submodule; return what has its operands, `register` and `following`.

    Parameters
    ----------
    m : Module
    unit : DotProductUnit
    architecture : Architecture
    ahead : int
        Ranks of registers between the operands and the sum that the register is added to; 0 for a `Step`.
    en : Value
        Their enable.
    """
    if not ahead:
        m.submodules.multiply_add = step = Step(unit, architecture)
        return step
    part = row_part(unit, architecture)
    m.submodules.row = row = Pipelined(part, ahead)
    layout = step_layout(unit, architecture)
    register = Signal(layout.size, name="register_before")
    view = data.View(layout, register)
    m.d.comb += row.en.eq(en)
    if isinstance(part, RowsOfRow):
        m.submodules.accumulate = accumulate = AccumulateRows(unit, architecture, part.layout, part.constant)
        m.d.comb += accumulate.rows.eq(row.rows)
    else:
        m.submodules.accumulate = accumulate = accumulate_stage(unit, architecture)
        total = None if fused(unit) else row.total
        if total is None:
            m.submodules.align_add = align_add = add_stage(unit, architecture)
            m.d.comb += align_add.products.eq(row.products)
            total = align_add.total
        connect_total(m, unit, accumulate, total)
        if not isinstance(unit.accumulator, FixedAccumulator):
            m.submodules.decode_register = decode = Decode(unit.accumulator.format)
            m.d.comb += [decode.codes.eq(view.value), accumulate.decoded.eq(decode.operands[0])]
            if fused(unit):
                m.d.comb += align_add.accumulator.eq(decode.operands[0])
    m.d.comb += accumulate.register.eq(view)
    return _Late(row, register, accumulate.following)
