# SPDX-License-Identifier: Apache-2.0
"""What of ours computes what the peers of rtl_peers.py do, in each architecture."""

from collections.abc import Callable, Iterator
from functools import partial

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.arrays.cell import Cell
from rtl.datapath.merged import RowSum
from rtl.datapath.step import Step, step_register_layout
from rtl.part import Part

__all__ = [
    "MATCHES",
    "RegisteredStep",
]

_Matches = Iterator[tuple[str, Part]]
_INT8 = IntegerSpec(bits=8)
_INT32 = FixedAccumulator(bits=32, fraction_bits=0, overflow=Overflow.WRAP)


def _finite(exp_bits: int, man_bits: int) -> FloatSpec:
    bias = (1 << (exp_bits - 1)) - 1
    return FloatSpec(exp_bits=exp_bits, man_bits=man_bits, bias=bias, specials=Specials.FINITE)


class RegisteredStep(Cell):
    """A step of a unit with registers for its operands and its accumulator, which `clear` sets to 0.

    Parameters
    ----------
    unit : DotProductUnit
    architecture : Architecture

    Members
    -------
    clk, clear : In
    a, b : In, ``lanes`` codes
    register : Out, as many bits as `step_register_layout`
    """

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self.spec = unit
        self._architecture = architecture
        size = step_register_layout(unit, architecture).size
        ports = {"clear": In(1), "a": In(unit.lanes * unit.element_a.bits), "b": In(unit.lanes * unit.element_b.bits)}
        super().__init__(ports | {"register": Out(size)})

    def _module_name(self) -> str:
        return "registered_step"

    def _build(self) -> Module:
        m = self._module()
        m.submodules.step = step = Step(self.spec, self._architecture)
        register = Signal(len(self.register), name="accumulator", reset_less=True)
        for name in ("a", "b"):
            held = Signal(len(getattr(self, name)), name=f"{name}_held", reset_less=True)
            m.d.sync += held.eq(getattr(self, name))
            m.d.comb += getattr(step, name).eq(held)
        m.d.sync += register.eq(Mux(self.clear, 0, step.following))
        m.d.comb += [step.register.eq(register), self.register.eq(register)]
        return m


def _mac(accumulation: str) -> _Matches:
    unit = DotProductUnit(
        a=_INT8, b=_INT8, lanes=1, alignment=ExactAlignment(), accumulator=_INT32, output=_INT32.format
    )
    for name, how in ARCHITECTURES.items():
        if how.accumulation == accumulation:
            yield name, RegisteredStep(unit, how)


def _dot(element: IntegerSpec | FloatSpec, lanes: int) -> _Matches:
    accumulator = FixedAccumulator(bits=60, fraction_bits=-2 * element.exp_min, overflow=Overflow.WRAP)
    unit = DotProductUnit(
        a=element,
        b=element,
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=accumulator,
        output=accumulator.format,
    )
    for name, how in ARCHITECTURES.items():
        if how.accumulation == "binary":
            yield name, RowSum(unit, how)


def _multiply_add(exp_bits: int, man_bits: int) -> _Matches:
    spec = FloatSpec(exp_bits=exp_bits, man_bits=man_bits, bias=(1 << (exp_bits - 1)) - 1, specials=Specials.IEEE)
    accumulator = FloatAccumulator(
        format=spec,
        rounding=Rounding.NEAREST_EVEN,
        overflow=Overflow.INFINITY,
        result_man_bits=man_bits,
    )
    unit = DotProductUnit(a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=accumulator, output=spec)
    for name, how in ARCHITECTURES.items():
        if how.accumulation == "binary":
            yield name, Step(unit, how)


MATCHES: dict[str, Callable[[], _Matches]] = {
    "int8_mac": partial(_mac, "binary"),
    "int8_mac_carry_save": partial(_mac, "carry_save"),
    "e2m1_16": partial(_dot, _finite(2, 1), 16),
    "e2m1_32": partial(_dot, _finite(2, 1), 32),
    "int8_32": partial(_dot, _INT8, 32),
    "e4m3_32": partial(_dot, _finite(4, 3), 32),
    "e4m3_multiply_add": partial(_multiply_add, 4, 3),
    "e5m2_multiply_add": partial(_multiply_add, 5, 2),
}
"""Parts by architecture of each function that has a match; making them is what costs the first time."""
