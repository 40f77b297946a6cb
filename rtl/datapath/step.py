# SPDX-License-Identifier: Apache-2.0
"""A unit without its registers: what follows a register after a step, and the code that a register stands for.

This is what a processing element is made of, wherever it keeps the register: in place, or passed on to its neighbour.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator
from rtl.architecture import Architecture
from rtl.datapath.decode import Decode
from rtl.datapath.dot_product import check_buildable
from rtl.datapath.layouts import fused
from rtl.datapath.merged import (
    RowSum,
    StepSum,
    check_architecture,
    decoded_row,
    is_merged,
    operand_ports,
    step_layout,
)
from rtl.datapath.quire_add import quire_step
from rtl.datapath.resolve import Resolve
from rtl.datapath.stages import accumulate_stage, add_stage, connect_total, multiply_stage
from rtl.part import Part

__all__ = [
    "Resolve",
    "Step",
    "check_step",
    "register_of_code",
    "step_register_layout",
]


def step_register_layout(unit: DotProductUnit, architecture: Architecture) -> data.StructLayout:
    """Return what the register holds; whoever keeps it takes it for ``size`` bits of no meaning."""
    return step_layout(unit, architecture)


def register_of_code(unit: DotProductUnit, architecture: Architecture, code: Any) -> Value:
    """Return the register loaded with c.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture
    code : Value or int
        A code of the accumulator's format; 0 is the number 0 in each of them.

    Returns
    -------
    Value
        As many bits as `step_register_layout` has.
    """
    layout = step_register_layout(unit, architecture)
    bits = layout["value"].width
    start = Const(code, bits) if isinstance(code, int) else Value.cast(code)[:bits]
    return Cat(start, Const(0, layout.size - bits))


def check_step(unit: DotProductUnit) -> None:
    """Raise for what RTL of a whole unit has and its step has not: elements of an array take codes as they compute.

    Raises
    ------
    ValueError
        Naming each such feature of the unit, or what no RTL has.
    """
    check_buildable(unit)
    missing = {
        "ignored operand bits": unit.ignored_bits > 0,
        "operands flushed to zero": unit.flush_operands,
        "operands unpacked to another format": unit.unpacked is not None,
        "an order of its operands": bool(unit.order),
        "a sparse operand": unit.sparsity is not None,
        "several block scales a step": max(unit.scale_counts) > 1,
        "a promotion": unit.promotion is not None,
    }
    found = [what for what, there in missing.items() if there]
    if found:
        text = f"unit {unit.name} must do without {', '.join(found)} to be an element of an array"
        raise ValueError(f"{text}: only a unit by itself has that")


class _Stage(Part):
    """A part of a unit and an architecture, checked before it exists: Amaranth warns of one that is not used."""

    def __new__(cls, unit: DotProductUnit, architecture: Architecture) -> Any:
        check_step(unit)
        check_architecture(unit, architecture)
        return super().__new__(cls, unit, architecture)


class Step(_Stage):
    """Decode, multiply, align and add a step's operands, and add their sum to a register.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture

    Members
    -------
    a, b : In, ``lanes`` codes
        Lane 0 at bit 0.
    scale_a, scale_b : In, a code
        Where the operand is of a block format.
    register, following : In and Out, as many bits as `step_register_layout`

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        size = step_register_layout(unit, architecture).size
        super().__init__(operand_ports(unit) | {"register": In(size), "following": Out(size)})

    def _module_name(self) -> str:
        return "step"

    def _build(self) -> Module:
        m = Module()
        unit, architecture = self.spec, self._architecture
        register = data.View(step_register_layout(unit, architecture), self.register)
        if is_merged(unit, architecture) and isinstance(unit.accumulator, FixedAccumulator):
            m.submodules.step_sum = step_sum = quire_step(unit, architecture) or StepSum(unit, architecture)
            m.d.comb += [getattr(step_sum, name).eq(getattr(self, name)) for name in operand_ports(unit)]
            m.d.comb += [step_sum.register.eq(register), self.following.eq(step_sum.following)]
            return m
        m.submodules.accumulate = accumulate = accumulate_stage(unit, architecture)
        align_add: Any = None
        if is_merged(unit, architecture):
            m.submodules.row_sum = row_sum = RowSum(unit, architecture)
            m.d.comb += [getattr(row_sum, name).eq(getattr(self, name)) for name in operand_ports(unit)]
            connect_total(m, unit, accumulate, row_sum.total)
        else:
            align_add, nonzero = self._align_add(m)
            connect_total(m, unit, accumulate, align_add.total, nonzero)
        m.d.comb += [accumulate.register.eq(register), self.following.eq(accumulate.following)]
        if not isinstance(unit.accumulator, FixedAccumulator):
            m.submodules.decode_register = decode = Decode(unit.accumulator.format)
            m.d.comb += [decode.codes.eq(register.value), accumulate.decoded.eq(decode.operands[0])]
            if fused(unit):
                m.d.comb += align_add.accumulator.eq(decode.operands[0])
        return m

    def _align_add(self, m: Module) -> tuple[Any, Any]:
        """Multiply, and align and add; and say whether a single product is not zero, before it is there."""
        unit = self.spec
        m.submodules.multiply = multiply = multiply_stage(unit, self._architecture)
        m.submodules.align_add = align_add = add_stage(unit, self._architecture)
        decoded = decoded_row(m, unit, self)
        for name, operands in decoded.items():
            m.d.comb += getattr(multiply, name).eq(operands)
        m.d.comb += align_add.products.eq(multiply.products)
        if unit.lanes > 1 or unit.scales:
            return align_add, None
        return align_add, decoded["a"][0].significand.any() & decoded["b"][0].significand.any()
