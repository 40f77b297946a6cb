# SPDX-License-Identifier: Apache-2.0
"""The second register of a unit: every so many products, and at the end, the first one is added to it."""

from dataclasses import replace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.formats import Overflow, Rounding
from rtl.architecture import Architecture
from rtl.datapath.accumulate import saturated
from rtl.datapath.decode import Decode
from rtl.datapath.float_sum import FloatSum
from rtl.datapath.layouts import register_layout
from rtl.datapath.merged import resolved, step_layout
from rtl.datapath.specials import joined_specials
from rtl.part import Part

__all__ = [
    "Promote",
    "first_register",
    "promoted_loop",
    "second_register",
]


def first_register(unit: DotProductUnit) -> DotProductUnit:
    """Return the unit of the first register alone; the unit itself where there is no second one."""
    if unit.promotion is None:
        return unit
    # Only what has a NaN can say what a fixed register has seen.
    of_output = isinstance(unit.accumulator, FixedAccumulator) and unit.output.has_nan
    return replace(
        unit,
        promotion=None,
        output=unit.output if of_output else unit.accumulator.format,
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
    )


def second_register(unit: DotProductUnit) -> DotProductUnit:
    """Return the unit as if its second register were the only one; the unit itself where there is no second one."""
    return unit if unit.promotion is None else replace(unit, promotion=None, accumulator=unit.promotion.accumulator)


class Promote(Part):
    """Compute what follows the second register when the first one is added to it.

    Parameters
    ----------
    unit : DotProductUnit
        With a promotion.

    Members
    -------
    inner : In, `register_layout` of the first register
    outer, following : In and Out, `register_layout` of the second one

    Latency: none, combinational.
    """

    def __init__(self, unit: DotProductUnit) -> None:
        self.spec = unit
        inner, outer = register_layout(first_register(unit)), register_layout(second_register(unit))
        super().__init__({"inner": In(inner), "outer": In(outer), "following": Out(outer)})

    def _module_name(self) -> str:
        return "promote"

    def _build(self) -> Module:
        m = Module()
        inner, outer = self.spec.accumulator, self.spec.register
        if isinstance(outer, FixedAccumulator):
            assert isinstance(inner, FixedAccumulator)  # by the unit's check
            places = outer.fraction_bits - inner.fraction_bits
            wide = Signal(signed(max(outer.bits, inner.bits + places) + 1), name="wide")
            m.d.comb += [
                wide.eq(self.outer.value + (self.inner.value << places)),
                self.following.value.eq(wide if outer.overflow is Overflow.WRAP else saturated(m, wide, outer.bits)),
                self.following.special.eq(self.outer.special | self.inner.special),
            ]
            return m
        m.submodules.float_sum = float_sum = FloatSum(outer, inner)
        m.d.comb += [float_sum.code.eq(self.outer.value), float_sum.addend.eq(self.inner.value)]
        m.d.comb += self.following.value.eq(self._special(m, outer, float_sum.total))
        return m

    def _special(self, m: Module, outer: FloatAccumulator, total: Any) -> Any:
        """Return a sum, or what the specials make that a fixed first register has seen."""
        seen = self.inner.special
        if not len(seen):
            return total
        m.submodules.decode = decode = Decode(outer.format)
        m.d.comb += decode.codes.eq(self.outer.value)
        special = Signal(2, name="special")
        m.d.comb += special.eq(joined_specials(decode.operands[0], seen))
        infinity = Cat(Const(outer.format.inf_code, outer.bits - 1), special[1])
        return Mux(seen.any(), Mux(special.all(), Const(outer.nan_code, outer.bits), infinity), total)


def promoted_loop(
    m: Module,
    unit: DotProductUnit,
    architecture: Architecture,
    accumulate: Any,
    control: dict[str, Any],
    enable: Any,
    *,
    apart: bool,
) -> tuple[Any, Value, Any]:
    """Connect two registers.

    Parameters
    ----------
    m : Module
    unit : DotProductUnit
        With a promotion, of what has entered.
    architecture : Architecture
    accumulate : Part
        Of the first register.
    control : dict of str to Value
        valid, first, last and c beside the row's sum.
    enable : Value
    apart : bool
        Whether the second register takes what the first one holds, a cycle later, and not what follows it.

    Returns
    -------
    base : View of `step_layout`
        What the row is added to.
    done : Value, 1 bit
        Whether the second register holds a result.
    second : View of `register_layout`
        The second register.
    """
    assert unit.promotion is not None
    first, second = first_register(unit), second_register(unit)
    steps = unit.promotion.length // unit.width
    layout = step_layout(first, architecture)
    register = Signal(layout, name="register", reset_less=True)
    base = Signal(layout, name="base")
    held = Signal(range(max(steps, 2)), name="held", reset_less=True)
    before = Signal(len(held), name="held_before")
    ends = Signal(name="ends")
    m.d.comb += [
        before.eq(Mux(control["first"], 0, held)),
        ends.eq(control["last"] | (before == steps - 1)),
        accumulate.register.eq(base),
        *(base[field].eq(Mux(before == 0, 0, register[field])) for field in layout.members),
    ]
    with m.If(enable & control["valid"]):
        m.d.sync += [register.eq(accumulate.following), held.eq(Mux(ends, 0, before + 1))]
    told = {**control, "ends": ends}
    inner = register
    if apart:
        for name, value in list(told.items()):
            told[name] = Signal(len(value), name=f"promote_{name}", reset_less=name != "valid")
            with m.If(enable):
                m.d.sync += told[name].eq(value)
    else:
        inner = Signal(layout, name="next_register")
        m.d.comb += inner.eq(accumulate.following)
    m.submodules.promote = promote = Promote(unit)
    outer = Signal(register_layout(second), name="second_register", reset_less=True)
    start = Signal(register_layout(second), name="second_base")
    done = Signal(name="done")
    m.d.comb += [
        start.value.eq(Mux(told["first"], told["c"], outer.value)),
        start.special.eq(Mux(told["first"], 0, outer.special)),
        promote.inner.eq(resolved(m, first, architecture, inner)),
        promote.outer.eq(start),
    ]
    with m.If(enable):
        m.d.sync += done.eq(told["valid"] & told["last"])
        with m.If(told["valid"]):
            m.d.sync += outer.eq(Mux(told["ends"], promote.following, start))
    return base, done, outer
