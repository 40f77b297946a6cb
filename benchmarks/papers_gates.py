# SPDX-License-Identifier: Apache-2.0
"""Two-input gates of our RTL of 8-bit multiply-accumulate units, counted as van Baalen et al. count (2303.17951).

An and-inverter graph has that paper's weights: AND and OR are 1, XOR, multiplexer and half adder 3, a full adder 7.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from cost_models import store
from cost_models.closed_forms.fp8_vs_int8 import HEADROOM_BITS, INT8, fixed_accumulator_bits
from cost_models.synthesis.yosys import YOSYS, versions, work_directory
from hwsim.datapath.unit import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator, TruncatedAlignment
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.merged import decoded_row
from rtl.datapath.stages import multiply_stage
from rtl.datapath.step import Step
from rtl.part import Part
from rtl.verilog import parts_verilog

__all__ = [
    "STRUCTURES",
    "cut_unit_of",
    "flip_flops",
    "gates",
    "multiply_gates",
    "unit_of",
]

STRUCTURES = {name: how for name, how in ARCHITECTURES.items() if how.accumulation == "binary"} | {
    "array_ripple": Architecture(multiplier="array", adder="ripple"),
    "dadda_heap_ripple": Architecture(multiplier="dadda", reduction="heap", adder="ripple"),
}
"""The fixed set, and two with the ripple-carry adders that the paper counts."""

_SCRIPT = """
read_verilog -sv core.v
synth -flatten -noabc -top unit
abc -g AND -script +strash;dc2;dc2;dch,-f;strash;dc2;dc2;amap
opt_clean -purge
write_json netlist.json
"""
_FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)
_FLOAT16 = FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)


def unit_of(exp_bits: int, accumulator: str) -> DotProductUnit:
    """Return the unit of a bar.

    Parameters
    ----------
    exp_bits : int
        2 to 5, with 7 - exp_bits mantissa bits, the bias ``2**(exp_bits - 1)`` and no special code (the paper has one
        NaN, and no gates for it); 1: INT8.
    accumulator : {"fixed", "float16", "float32"}
    """
    spec: IntegerSpec | FloatSpec = IntegerSpec(bits=8)
    low = 0
    if exp_bits != INT8:
        spec = FloatSpec(exp_bits=exp_bits, man_bits=7 - exp_bits, bias=1 << (exp_bits - 1), specials=Specials.FINITE)
        low = -2 * spec.exp_min
    kept = {"float16": _FLOAT16, "float32": _FLOAT32}.get(accumulator)
    if kept is not None:
        register: FixedAccumulator | FloatAccumulator = FloatAccumulator(
            format=kept, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=kept.man_bits
        )
    else:
        bits = fixed_accumulator_bits(exp_bits, HEADROOM_BITS)
        register = FixedAccumulator(bits=bits, fraction_bits=low, overflow=Overflow.WRAP)
    return DotProductUnit(
        a=spec, b=spec, lanes=1, alignment=ExactAlignment(), accumulator=register, output=kept or _FLOAT32
    )


def flip_flops(exp_bits: int, accumulator: str) -> int:
    """Return the flip-flops of the paper's unit: of floats also product, exponent and its carry."""
    register = {"float16": 16, "float32": 32}.get(accumulator) or fixed_accumulator_bits(exp_bits)
    pipelined = exp_bits != INT8 or accumulator != "fixed"
    return register + pipelined * (2 * (9 - exp_bits) - 1 + exp_bits + 1)


class _Products(Part):
    """Decode and multiply a step's operands."""

    def __init__(self, unit: DotProductUnit, architecture: Architecture) -> None:
        self._unit = unit
        self._stage = multiply_stage(unit, architecture)
        super().__init__({"a": In(8), "b": In(8), "products": Out(self._stage.products.shape())})

    def _module_name(self) -> str:
        return "products"

    def _build(self) -> Module:
        m = Module()
        m.submodules.multiply = self._stage
        for name, operands in decoded_row(m, self._unit, self).items():
            m.d.comb += getattr(self._stage, name).eq(operands)
        m.d.comb += self.products.eq(self._stage.products)
        return m


def cut_unit_of(exp_bits: int, accumulator: str) -> DotProductUnit:
    """Return a unit that rounds as the paper's: the smaller of product and register is cut 2 bits below its last."""
    unit = unit_of(exp_bits, accumulator)
    assert isinstance(unit.accumulator, FloatAccumulator)
    # No product has an exponent below -30, that of E5.
    alignment = TruncatedAlignment(fraction_bits=unit.accumulator.format.man_bits + 2, exp_floor=-30)
    return replace(unit, alignment=alignment)


def gates(unit: DotProductUnit, structures: Iterable[str] = tuple(STRUCTURES)) -> dict[str, int]:
    """Return the two-input gates of a unit's step, by structure, without flip-flops."""
    return {name: _count(Step(unit, STRUCTURES[name])) for name in structures}


def multiply_gates(unit: DotProductUnit) -> dict[str, int]:
    """Return those of its decoders, multiplier and exponent adder alone."""
    return {name: _count(_Products(unit, how)) for name, how in STRUCTURES.items()}


def _count(part: Part) -> int:
    """Return the AND gates of the and-inverter graph that Yosys and ABC make of a part."""
    text = parts_verilog({"unit": part})["unit"]
    name = store.key(text=text, script=_SCRIPT, tools=versions(YOSYS))
    known = store.load("papers", name)
    if known is None:
        with work_directory({"core.v": text}) as directory:
            directory.yosys(_SCRIPT)
            cells: dict[str, Any] = json.loads(directory.read("netlist.json"))["modules"]["unit"]["cells"]
        kinds = [row["type"] for row in cells.values()]
        other = set(kinds) - {"$_AND_", "$_NOT_"}
        if other:
            raise AssertionError(f"the graph must have AND and NOT alone, not {sorted(other)}")
        known = {"and": kinds.count("$_AND_")}
        store.save("papers", name, known)
    return int(known["and"])
