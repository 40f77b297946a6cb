# SPDX-License-Identifier: Apache-2.0
"""Float and posit steps on standard cells, by architecture and recipe, with peers' RTL beside them where there is some.

python benchmarks/float_quality.py                       # all functions, Nangate45
python benchmarks/float_quality.py fma_e4m3 --technology asap7

Each line has areas in NAND2 equivalents @ delays in FO4 of the front over all recipes. Peers are other authors' RTL in
the same two recipes (read 2026-11): HardFloat, CVFPU, PACoGen, Flo-Posit.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from cost_models.synthesis.asic import asic
from cost_models.technologies import Technology, read
from hwsim import formats
from hwsim.datapath import DotProductUnit, ExactAlignment, FixedAccumulator, FloatAccumulator, named
from hwsim.formats import FloatSpec, Overflow, PositSpec, Rounding
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.posit_pack import PositPack
from rtl.datapath.quire_add import quire_step
from rtl.datapath.step import Step
from rtl.part import Part
from rtl.verilog import parts_verilog

__all__ = [
    "FUNCTIONS",
    "main",
]

_SMALL = Architecture(multiplier="dadda", reduction="heap", adder="ripple")
_STYLES = {name: ARCHITECTURES[name] for name in ("tool", "dadda_heap", "fast_heap")} | {"ripple_heap": _SMALL}
# Nangate45: NAND2 equivalents @ FO4.
_PEERS = {
    "fma_e4m3": "HardFloat 859@156 1456@75, recoded 748@137 1259@64; CVFPU 762@162 1346@75",
    "fma_e5m2": "CVFPU 684@152 1319@75",
    "fma_float16": "CVFPU 2218@261 3475@102; HardFloat 2576@264 4350@101",
    "fma_bfloat16": "CVFPU 1665@243 2883@97",
    "e4m3_l2_float16": "CVFPU sdotp 2168@380 4214@129",
    "e5m2_l2_float16": "CVFPU sdotp 2318@433 3938@136",
    "posit8_2_quire": "Flo-Posit 1839@438 2984@74",
    "posit8_1_quire": "float-like-quire-posit 3231@213 4842@60, registers counted",
    "posit8_0_quire": "float-like-quire-posit 1620@169 2596@77, registers counted",
}


def _float(operand: str, register: str, lanes: int = 1) -> DotProductUnit:
    spec, held = formats.named(operand), formats.named(register)
    assert isinstance(spec, FloatSpec)
    assert isinstance(held, FloatSpec)
    accumulator = FloatAccumulator(
        format=held, rounding=Rounding.NEAREST_EVEN, overflow=Overflow.INFINITY, result_man_bits=held.man_bits
    )
    return DotProductUnit(a=spec, b=spec, lanes=lanes, alignment=ExactAlignment(), accumulator=accumulator, output=held)


FUNCTIONS: dict[str, Callable[[], DotProductUnit]] = {
    "fma_e4m3": lambda: _float("float8_e4m3", "float8_e4m3"),
    "fma_e5m2": lambda: _float("float8_e5m2", "float8_e5m2"),
    "fma_float16": lambda: _float("float16", "float16"),
    "fma_bfloat16": lambda: _float("bfloat16", "bfloat16"),
    "e4m3_l2_float16": lambda: _float("float8_e4m3fn", "float16", 2),
    "e5m2_l2_float16": lambda: _float("float8_e5m2", "float16", 2),
    **{f"{name}_quire": partial(named, f"{name}_quire") for name in ("posit8_0", "posit8_1", "posit8_2")},
}
"""The units by the name of the function, each without registers."""


def _step(unit: DotProductUnit, style: Architecture) -> Part:
    """Return the combinational step of a unit in a style."""
    return quire_step(unit, style) or Step(unit, style)


def _line(part: Part, technology: Technology) -> str:
    priced = asic(parts_verilog({"top": part})["top"], "top", technology)
    return "  ".join(f"{point.nand2_equivalents:.0f}@{point.fo4:.0f} {point.recipe}" for point in priced.front)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each function and style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", default=list(FUNCTIONS), help=f"some of {', '.join(FUNCTIONS)}")
    parser.add_argument("--technology", default="nangate45", choices=("nangate45", "asap7"))
    options = parser.parse_args(arguments)
    technology = read(options.technology)
    assert isinstance(technology, Technology)
    for name in options.functions:
        unit = FUNCTIONS[name]()
        for style, architecture in _STYLES.items():
            print(f"{name} {style}: {_line(_step(unit, architecture), technology)}", flush=True)
        if isinstance(unit.output, PositSpec):
            print(f"{name} output: {_line(PositPack(replace(unit)), technology)}", flush=True)
            assert isinstance(unit.accumulator, FixedAccumulator)
        if options.technology == "nangate45":
            print(f"{name} peers: {_PEERS[name]}", flush=True)


if __name__ == "__main__":
    main()
