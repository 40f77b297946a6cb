# SPDX-License-Identifier: Apache-2.0
"""Our units beside a behavioural text and published RTL of the same functions, in one flow on standard cells.

    python benchmarks/rtl_quality.py [ROW ...] [--technology NAME] [--recipes NAMES] [--architectures NAMES]

Ours and the behavioural text go through the same recipes in the same run; of ours the front over architectures and
recipes is printed, and of the behavioural text its own. Combinational rows have no registers, no start value and no
rounding: codes in, the exact sum and its exponent out. The MAC has its operands and its register behind flip-flops, and
a synchronous clear.
"""

import argparse
import sys
import time
from typing import NamedTuple

from benchmarks.rtl_quality_peers import PEERS
from cost_models.synthesis import RECIPES, Asic, AsicResult, asic
from cost_models.technologies import Technology, read
from hwsim import datapath
from hwsim.datapath import DotProductUnit
from hwsim.formats import FloatSpec, IntegerSpec
from rtl.architecture import ARCHITECTURES, Architecture
from rtl.datapath.merged import RowSum
from rtl.datapath.step import Step, step_register_layout
from rtl.verilog import parts_verilog

__all__ = [
    "ROWS",
    "Point",
    "behavioural",
    "measure",
    "ours",
]

ROWS = {
    "INT8 multiplier": "int8",
    "INT4 multiplier": "int4",
    "E2M1 multiplier": "float4_e2m1fn",
    "INT8 MAC": "mac:int8",
    "INT4 MAC": "mac:int4",
    "INT8 dot 32": "int8_l32",
    "INT4 dot 32": "int4_l32",
    "E2M1 dot 32": "float4_e2m1fn_l32",
    "MXINT8 32": "mxint8",
    "MXINT4 32": "mxint4",
    "MXFP4 32": "mxfp4",
    "MXFP6 E2M3 32": "mxfp6_e2m3",
    "MXFP6 E3M2 32": "mxfp6_e3m2",
    "MXFP8 E4M3 32": "mxfp8_e4m3",
    "MXFP8 E5M2 32": "mxfp8_e5m2",
    "NVFP4 16": "nvfp4",
}
"""Units of the rows (`hwsim.datapath.named`); ``mac:`` with registers, else the sum of a row alone."""

_MAC = """
module quality(input clk, input clear, input [{a}:0] a, input [{b}:0] b, output [{q}:0] q);
  reg [{a}:0] a_taken;
  reg [{b}:0] b_taken;
  reg [{q}:0] register;
  wire [{q}:0] following;
  {step}
  always @(posedge clk) begin
    a_taken <= a;
    b_taken <= b;
    register <= clear ? 0 : following;
  end
  assign q = register;
endmodule
"""
_INSTANCE = "quality_step step(.a(a_taken), .b(b_taken), .register(register), .following(following));"


class Point(NamedTuple):
    """One mapped netlist: by whom, how, its area and its delay."""

    what: str
    result: AsicResult


def ours(name: str, architecture: Architecture) -> str:
    """Return Verilog of a module ``quality`` of a row's unit."""
    kind, _, unit_name = name.rpartition(":")
    unit = datapath.named(unit_name)
    if not kind:
        return parts_verilog({"quality": RowSum(unit, architecture)})["quality"]
    size = step_register_layout(unit, architecture).size
    return parts_verilog({"quality_step": Step(unit, architecture)})["quality_step"] + _mac(unit, _INSTANCE, size)


def behavioural(name: str) -> str:
    """Return Verilog of a module ``quality`` of the same function with the language's own operators."""
    kind, _, unit_name = name.rpartition(":")
    unit = datapath.named(unit_name)
    if kind:
        step = "assign following = $signed(register) + $signed(a_taken) * $signed(b_taken);"
        return _mac(unit, step, 32)
    a, b = unit.element_a, unit.element_b
    scale_bits = [scale.bits for scale in unit.scales]
    bits = unit.sum_bits + 2 * (4 if scale_bits and unit.scales[0].man_bits else 0)
    ports = [f"input [{unit.lanes * a.bits - 1}:0] a", f"input [{unit.lanes * b.bits - 1}:0] b"]
    if scale_bits:
        ports += ["input [7:0] scale_a", "input [7:0] scale_b", "output [8:0] exponent", "output special"]
    lines = [f"module quality({', '.join([*ports, f'output signed [{bits - 1}:0] sum'])});"]
    for lane in range(unit.lanes):
        lines += _lane(unit, lane)
    total = " + ".join(f"product_{lane}" for lane in range(unit.lanes))
    lines.append(f"  wire signed [{unit.sum_bits - 1}:0] total = {total};")
    lines += _scales(unit)
    return "\n".join([*lines, "endmodule", ""])


def _mac(unit: DotProductUnit, step: str, register_bits: int) -> str:
    """Wrap a step in registers."""
    return _MAC.format(a=unit.element_a.bits - 1, b=unit.element_b.bits - 1, q=register_bits - 1, step=step)


def _lane(unit: DotProductUnit, lane: int) -> list[str]:
    """Return the nets of one product, shifted to the last place of the smallest and with its sign."""
    lines, names = [], []
    for port, spec in (("a", unit.element_a), ("b", unit.element_b)):
        low, name = lane * spec.bits, f"{port}_{lane}"
        code = f"{port}[{low + spec.bits - 1}:{low}]"
        names.append(name)
        if isinstance(spec, IntegerSpec):
            lines.append(f"  wire signed [{spec.bits - 1}:0] {name} = {code};")
            continue
        assert isinstance(spec, FloatSpec)
        field = f"{port}[{low + spec.bits - 2}:{low + spec.man_bits}]"
        mantissa = f"{port}[{low + spec.man_bits - 1}:{low}]"
        lines += [
            f"  wire [{spec.man_bits}:0] {name} = {{|{field}, {mantissa}}};",
            f"  wire [{spec.exp_bits - 1}:0] {name}_shift = {field} - (|{field});",
        ]
    width = unit.sum_bits - 1
    if isinstance(unit.element_a, IntegerSpec):
        return [*lines, f"  wire signed [{width}:0] product_{lane} = {names[0]} * {names[1]};"]
    sign = " ^ ".join(f"{p}[{(lane + 1) * s.bits - 1}]" for p, s in (("a", unit.element_a), ("b", unit.element_b)))
    spec_bits, shift_bits = unit.product_max.bit_length(), (unit.product_exp_max - unit.product_exp_min).bit_length()
    return [
        *lines,
        f"  wire [{spec_bits - 1}:0] raw_{lane} = {names[0]} * {names[1]};",
        f"  wire [{shift_bits - 1}:0] by_{lane} = {names[0]}_shift + {names[1]}_shift;",
        f"  wire [{width - 1}:0] magnitude_{lane} = raw_{lane} << by_{lane};",
        f"  wire signed [{width}:0] plain_{lane} = $signed({{1'b0, magnitude_{lane}}});",
        f"  wire signed [{width}:0] product_{lane} = ({sign}) ? -plain_{lane} : plain_{lane};",
    ]


def _scales(unit: DotProductUnit) -> list[str]:
    """Return the output, with the scales' exponents added and their significands multiplied."""
    if not unit.scales:
        return ["  assign sum = total;"]
    nans = []
    for port, spec in (("a", unit.element_a), ("b", unit.element_b)):
        if spec.has_nan and isinstance(spec, FloatSpec):
            for lane in range(unit.lanes):
                top = lane * spec.bits + spec.bits - 2
                low = top - spec.exp_bits + 1 if spec.has_inf else lane * spec.bits
                nans.append(f"&{port}[{top}:{low}]")
    if not unit.scales[0].man_bits:
        nans += ["&scale_a", "&scale_b"]
        lines = ["  assign exponent = scale_a + scale_b;", "  assign sum = total;"]
    else:
        nans += ["&scale_a[6:0]", "&scale_b[6:0]"]
        lines = []
        for name in ("scale_a", "scale_b"):
            lines += [
                f"  wire [3:0] {name}_significand = {{|{name}[6:3], {name}[2:0]}};",
                f"  wire [3:0] {name}_shift = {name}[6:3] - (|{name}[6:3]);",
            ]
        lines += [
            "  assign exponent = {scale_a[7] ^ scale_b[7], 3'b0, scale_a_shift + 5'd0 + scale_b_shift};",
            "  wire [7:0] scale = scale_a_significand * scale_b_significand;",
            "  assign sum = total * $signed({1'b0, scale});",
        ]
    return [*lines, f"  assign special = {' | '.join(f'({nan})' for nan in nans)};"]


def measure(
    name: str, technology: Technology, recipes: tuple[str, ...], architectures: tuple[str, ...]
) -> tuple[list[Point], list[Point]]:
    """Return the fronts of ours and of the behavioural text, each smallest first."""
    found = []
    for each in architectures:
        try:
            text = ours(name, ARCHITECTURES[each])
        except ValueError:  # an architecture that the unit cannot have
            continue
        found += [Point(each, result) for result in asic(text, "quality", technology, recipes).results]
    front = Asic(results=tuple(point.result for point in found)).front
    plain = asic(behavioural(name), "quality", technology, tuple(r for r in recipes if not RECIPES[r].cells))
    by_result = {id(point.result): point for point in found}
    return [by_result[id(result)] for result in front], [Point("behavioural", result) for result in plain.front]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all of them if none is given")
    parser.add_argument("--technology", default="nangate45", help="nangate45 or asap7")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="of cost_models.synthesis.asic.RECIPES")
    parser.add_argument("--architectures", default=",".join(ARCHITECTURES), help="of rtl.architecture.ARCHITECTURES")
    options = parser.parse_args(arguments)
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; there are {', '.join(ROWS)}")
    technology = read(options.technology)
    assert isinstance(technology, Technology)
    print(f"{technology.title}; NAND2 equivalents of {technology.nand2}, FO4 of {technology.operating_point.fo4_ps} ps")
    for row in options.rows or ROWS:
        begun = time.perf_counter()
        recipes, architectures = (tuple(getattr(options, name).split(",")) for name in ("recipes", "architectures"))
        fronts = measure(ROWS[row], technology, recipes, architectures)
        print(f"\n{row} ({time.perf_counter() - begun:.0f} s)")
        for point in (*fronts[0], *fronts[1]):
            result = point.result
            size = f"{result.nand2_equivalents:7.0f} NAND2 {result.area_um2:9.1f} um2 {result.fo4:6.1f} FO4"
            print(f"  {point.what:12} {result.recipe:13} {size} {result.flip_flops:3} FF", flush=True)
        for peer in PEERS.get(row, {}).get(technology.name, ()):
            print(f"  {peer.design:26} {peer.nand2:7.0f} NAND2 {'':13} {peer.fo4:6.1f} FO4 (published table)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
