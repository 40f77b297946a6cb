# SPDX-License-Identifier: Apache-2.0
"""Area and delay of units of mixed precision beside what they replace, on standard cells and FPGAs, in one flow.

python -m benchmarks.mixed_units                           # every section on nangate45; about an hour the first time
python -m benchmarks.mixed_units mixpe simd --technology nangate45 asap7 --json lines.json

Of each line every architecture of `rtl.architecture` that it has is synthesized with every recipe of
`cost_models.synthesis.asic`, and three outcomes are printed: the smallest, that of the least area x delay, and the
fastest; areas in NAND2 equivalents, delays in FO4, each with its ratio to the section's first line. `apart` is the sum
of the lines before it, units side by side. Results are kept in the user's cache.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.mixed_peers import (
    FLOAT16,
    DequantizeFloat,
    DequantizeInteger,
    FloatStep,
    Started,
    float_unit,
)
from cost_models.synthesis import AsicResult, asic, fpga
from cost_models.technologies import FpgaTechnology, Technology, read
from hwsim import formats
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, Specials
from rtl.architecture import ARCHITECTURES
from rtl.part import Part
from rtl.units.bit_mod import BitModCore
from rtl.units.dsp_packed import PackedProducts, packings
from rtl.units.integer_step import IntegerStep
from rtl.units.mixed_precision import GroupSums, MixedPrecision
from rtl.units.phases import PhaseStep
from rtl.units.shift_add import ShiftAdd
from rtl.units.simd import SimdInteger
from rtl.units.simd_float import SimdFloat
from rtl.units.simd_posit import SimdPosit
from rtl.verilog import component_verilog, parts_verilog

__all__ = [
    "SECTIONS",
    "Line",
    "Section",
    "main",
]

_INTEGERS = ("tool", "booth_heap", "dadda_heap")
_FLOATS = ("tool", "booth_heap")
_INT2, _INT4, _INT8 = (IntegerSpec(bits=bits) for bits in (2, 4, 8))
_E4M3 = FloatSpec(exp_bits=4, man_bits=3, bias=7, specials=Specials.FN)
_E2M1 = FloatSpec(exp_bits=2, man_bits=1, bias=1, specials=Specials.FINITE)
_W4A8, _W4A16 = MixedPrecision(lanes=8), MixedPrecision(lanes=4, activation=FLOAT16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A label, how the component is made of an architecture's name, and of which; `apart` counts lines to add up."""

    label: str
    make: Callable[[str], Any] | None = None
    architectures: tuple[str, ...] = _INTEGERS
    apart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What is compared, what a paper says of it, and the lines."""

    title: str
    paper: str
    lines: tuple[Line, ...]


def _integer(left: IntegerSpec, right: IntegerSpec, lanes: int, bits: int = 32) -> Callable[[str], Any]:
    return lambda name: IntegerStep(left, right, lanes, bits, ARCHITECTURES[name])


def _shifted(name: str) -> Callable[[str], Any]:
    weight = formats.named(name)
    assert isinstance(weight, CodebookSpec)
    return lambda kind: ShiftAdd(weight, _INT8, 8, 32, ARCHITECTURES[kind])


SECTIONS = {
    "mixpe": Section(
        title="W4A8 by shift and add, 8 lanes into a group's sum; combinational, scale behind the group not counted",
        paper="MixPE dse.py, 45 nm: area x power 133.38 for INT4 x INT8 against 58.28 for INT8 x INT8, FP16 x FP16 = 1",
        lines=(
            Line(label="int8 x int8", make=_integer(_INT8, _INT8, 8, _W4A8.sum_bits + 4)),
            Line(
                label="int4 x int8, no zero point",
                make=lambda name: GroupSums(replace(_W4A8, zero_point=False), ARCHITECTURES[name]),
            ),
            Line(label="uint4 x int8, with sum(x)", make=lambda name: GroupSums(_W4A8, ARCHITECTURES[name])),
            Line(
                label="dequantize to int8, then int8 x int8",
                make=lambda name: DequantizeInteger(8, _W4A8.sum_bits + 4, ARCHITECTURES[name]),
            ),
        ),
    ),
    "mixpe16": Section(
        title="W4A16, 4 lanes, aligned to 24 bits and cut, float32 register; a core with one rank of registers",
        paper="MixPE dse.py, 45 nm: area x power 4.82 for INT4 x FP16, FP16 x FP16 = 1",
        lines=(
            Line(
                label="float16 x float16",
                make=lambda name: Started(float_unit(FLOAT16, 4, 24), architecture=ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
            Line(
                label="int4 x float16",
                make=lambda name: Started(float_unit(_INT4, 4, 24), architecture=ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
            Line(
                label="dequantize to float16, then float16 x float16",
                make=lambda name: Started(
                    float_unit(FLOAT16, 4, 24), DequantizeFloat(4), architecture=ARCHITECTURES[name]
                ),
                architectures=_FLOATS,
            ),
            Line(
                label="uint4 x float16, exact sums of a group (52 bits), with sum(x); no float32 register",
                make=lambda name: GroupSums(_W4A16, ARCHITECTURES[name]),
            ),
        ),
    ),
    "bitmod": Section(
        title="BitMoD's element beside an element of 4 float16 products; float32 registers, one rank",
        paper="BitMoD table X, 28 nm at 1 GHz: 97,090 um2 for 64 elements, 95,498 for 48 of FP16: 24 % less each",
        lines=(
            Line(
                label="float16 x float16, 4 lanes",
                make=lambda name: Started(float_unit(FLOAT16, 4, 23), architecture=ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
            Line(label="BitMoD, 4 lanes, scale included", make=lambda name: BitModCore(), architectures=("tool",)),
        ),
    ),
    "simd": Section(
        title="4 lanes of int8 or 8 of int4, 32-bit register; combinational",
        paper="INT v.s. FP table 5: mixed 8/4-bit unit, area 1 (FP) to 0.66 (INT), analytical, FinFET cells",
        lines=(
            Line(label="int8, 4 lanes", make=_integer(_INT8, _INT8, 4)),
            Line(label="int4, 8 lanes", make=_integer(_INT4, _INT4, 8)),
            Line(label="both apart", apart=("int8, 4 lanes", "int4, 8 lanes")),
            Line(label="SIMD, operands shifted", make=lambda name: SimdInteger(4, 32, ARCHITECTURES[name])),
            Line(
                label="SIMD, sums shifted",
                make=lambda name: SimdInteger(4, 32, ARCHITECTURES[name], True),
                architectures=("booth_heap", "dadda_heap"),
            ),
        ),
    ),
    "simd_float": Section(
        title="4 lanes of E4M3 or 8 of E2M1, exact in a 48-bit register; combinational",
        paper="INT v.s. FP table 5, as of simd: this is the 1",
        lines=(
            Line(label="E4M3, 4 lanes", make=lambda name: FloatStep(_E4M3, 4, 48, ARCHITECTURES[name])),
            Line(label="E2M1, 8 lanes", make=lambda name: FloatStep(_E2M1, 8, 32, ARCHITECTURES[name])),
            Line(label="both apart", apart=("E4M3, 4 lanes", "E2M1, 8 lanes")),
            Line(label="SIMD", make=lambda name: SimdFloat(4, 48, ARCHITECTURES[name]), architectures=_FLOATS),
        ),
    ),
    "simd_posit": Section(
        title="a posit(16,1), 2 posit(8,0) or 4 E2M1, exact in a register of 128 bits; combinational",
        paper="XR-NPE abstract, 28 nm: 42 % less area than the state of the art, not than units apart",
        lines=(
            Line(
                label="posit(16,1)",
                make=lambda name: SimdPosit((0,), 128, ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
            Line(
                label="posit(8,0) x 2",
                make=lambda name: SimdPosit((1,), 48, ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
            Line(label="E2M1 x 4", make=lambda name: SimdPosit((2,), 32, ARCHITECTURES[name]), architectures=_FLOATS),
            Line(label="all apart", apart=("posit(16,1)", "posit(8,0) x 2", "E2M1 x 4")),
            Line(label="SIMD", make=lambda name: SimdPosit((0, 1, 2), 128, ARCHITECTURES[name]), architectures=_FLOATS),
        ),
    ),
    "shift": Section(
        title="8 lanes of shifted int8 beside multipliers, 32-bit register; combinational",
        paper="ShiftAddViT, 45 nm, one operation: shift8 0.024 pJ, mul8 0.2 pJ",
        lines=(
            Line(label="int4 x int8", make=_integer(_INT8, _INT4, 8)),
            *(
                Line(label=f"{name} x int8", make=_shifted(name), architectures=_FLOATS)
                for name in ("log2_4", "denseshift4", "shiftadd4", "apot4", "ternary")
            ),
            Line(label="int2 x int8", make=_integer(_INT8, _INT2, 8)),
        ),
    ),
    "phases": Section(
        title="8 complex products of a phase and an int8 pair, two 32-bit registers; combinational",
        paper="none with figures",
        lines=(
            Line(label="half of int2 pair x int8 pair", make=_integer(_INT8, _INT2, 16)),
            Line(label="half of int8 pair x int8 pair", make=_integer(_INT8, _INT8, 16)),
            Line(label="int2 pair", apart=("half of int2 pair x int8 pair",) * 2),
            Line(label="int8 pair", apart=("half of int8 pair x int8 pair",) * 2),
            Line(
                label="phases",
                make=lambda name: PhaseStep(8, 8, 32, False, ARCHITECTURES[name]),
                architectures=_FLOATS,
            ),
        ),
    ),
}
_CHOICES: dict[str, Callable[[AsicResult], float]] = {
    "smallest": lambda result: result.area_um2 + 1e-6 * result.delay_ps,
    "area x delay": lambda result: result.area_delay,
    "fastest": lambda result: result.delay_ps + 1e-6 * result.area_um2,
}
Point = tuple[float, float]


def _text(component: Any) -> str:
    """Return Verilog of a component, whose module is ``unit``."""
    if isinstance(component, Part):
        return parts_verilog({"unit": component})["unit"]
    return component_verilog(component, "unit", "unit")


def _points(line: Line, technology: Technology, known: dict[str, dict[str, Point]]) -> dict[str, Point]:
    """Return area and delay of a line by the way it is chosen; of units apart the areas' sum and the longest delay."""
    if line.make is None:
        points = {}
        for choice in _CHOICES:
            parts = [known[label][choice] for label in line.apart]
            points[choice] = (sum(area for area, _ in parts), max(delay for _, delay in parts))
        return points
    results: list[AsicResult] = []
    for name in line.architectures:
        results += asic(_text(line.make(name)), "unit", technology).results
    best = {choice: min(results, key=measure) for choice, measure in _CHOICES.items()}
    return {choice: (result.nand2_equivalents, result.fo4) for choice, result in best.items()}


def _print_section(name: str, technology: str) -> list[dict[str, Any]]:
    section, target = SECTIONS[name], read(technology)
    assert isinstance(target, Technology)
    print(f"\n{section.title}; {technology}\n  paper: {section.paper}")
    print(f"  {'':46}" + "".join(f"{choice + ': NAND2, FO4':>30}" for choice in _CHOICES))
    known: dict[str, dict[str, Point]] = {}
    rows = []
    for line in section.lines:
        points = known[line.label] = _points(line, target, known)
        first = known[section.lines[0].label]
        cells = []
        for choice, (area, delay) in points.items():
            cells.append(f"{area:9.0f} {delay:5.0f} ({area / first[choice][0]:5.2f} {delay / first[choice][1]:5.2f})")
            row = {"section": name, "technology": technology, "label": line.label, "choice": choice}
            rows.append(row | {"nand2": area, "fo4": delay})
        print(f"  {line.label:46.46}" + "".join(f"{cell:>30}" for cell in cells), flush=True)
    return rows


def _print_packed() -> list[dict[str, Any]]:
    """Count products, DSP blocks and look-up tables of each packing, and of the products apart."""
    print("\nProducts packed in a DSP block (Yosys' counts, not Vivado's or Diamond's)")
    print("  paper: XtraMAC, 49 MAC variants in one DSP48E2 each; Xilinx WP486 two INT8, WP521 four INT4")
    rows = []
    for packing in packings():
        family = {18: "ecp5", 25: "xc7"}.get(packing.wide_bits)
        if family is None:
            continue
        target = read(f"{family}_dsp")
        assert isinstance(target, FpgaTechnology)
        result = fpga(_text(PackedProducts(packing)), "unit", target, seeds=())
        row = {"packing": packing.name, "family": family, "products": packing.products}
        row |= {"dsp": result.dsp, "lut": result.lut, "carry": result.carry}
        rows.append(row)
        print("  " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return rows


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, "packed", []], help="default: all")
    parser.add_argument("--technology", nargs="+", choices=["nangate45", "asap7"], default=["nangate45"])
    parser.add_argument("--json", type=Path, help="also write the lines here")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    rows = []
    for name in chosen.sections or [*SECTIONS, "packed"]:
        if name == "packed":
            rows += _print_packed()
            continue
        for technology in chosen.technology:
            rows += _print_section(name, technology)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
