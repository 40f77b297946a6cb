# SPDX-License-Identifier: Apache-2.0
"""Which structures and recipes of standard-cell synthesis matter: the evidence behind `cost_models.synthesis.FIXED`.

    python benchmarks/recipes.py [UNIT ...] [--technologies NAMES]

Every structure by every recipe, for each unit and technology. A line of the table is one structure and recipe: in how
many of the cases where it can be built it is the smallest, the fastest, the one of least area x delay, and on the
area-delay front; and by how much the least area x delay would be worse without it. The last table is the fixed set
beside all: what it loses of each figure. Netlists come from the user's cache where they are there: hours if none is.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import median

import rtl
from cost_models.synthesis import FIXED, RECIPES, Asic, AsicResult, asic
from cost_models.technologies import Technology, read
from hwsim import datapath
from rtl.architecture import ARCHITECTURES
from rtl.datapath.merged import can_build

__all__ = [
    "UNITS",
    "everything",
]

UNITS = (
    "int4_l1_int20_to_float32",
    "int8_l1_int28_to_float32",
    "float4_e2m1fn_l1_fixed21_to_float32",
    "float8_e4m3fn_l1_fixed49_to_float32",
    "posit8_0_l1_fixed49_to_float32",
    "float8_e4m3fn_l1_float32",
    "float16_l1_float32",
    "mxfp4_l16_float32",
)
"""Integers, floats with a fixed-point and with a float register, a posit, a block."""

_FIGURES: dict[str, Callable[[AsicResult], float]] = {
    "smallest": lambda row: row.area_um2,
    "fastest": lambda row: row.delay_ps,
    "area x delay": lambda row: row.area_delay,
}


@lru_cache(maxsize=1)
def _texts(name: str) -> dict[str, str]:
    """Return the Verilog of a unit's core by structure."""
    unit = datapath.named(name)
    return {
        architecture: rtl.core_verilog(unit, architecture=how)
        for architecture, how in ARCHITECTURES.items()
        if can_build(unit, how)
    }


def everything(name: str, technology: Technology) -> Asic:
    """Synthesize a unit in every structure that can build it, by every recipe."""
    results: list[AsicResult] = []
    for architecture, text in _texts(name).items():
        found = asic(text, f"{datapath.named(name).name}_core", technology).results
        seen = {row.netlist_hash for row in results}
        results += [replace(row, architecture=architecture) for row in found if row.netlist_hash not in seen]
    return Asic(results=tuple(results))


def _fixed(case: Asic) -> Asic:
    """Keep the results of the fixed set."""
    kept = [row for row in case.results if row.recipe in FIXED.get(row.architecture, tuple(RECIPES))]
    return Asic(results=tuple(kept))


def _print_points(cases: Sequence[Asic]) -> None:
    """Print how often each structure and recipe matters."""
    counts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    losses: dict[tuple[str, str], float] = defaultdict(float)
    for case in cases:
        counts["cases"].update({(row.architecture, row.recipe): 1 for row in case.results})
        counts["on front"].update((row.architecture, row.recipe) for row in case.front)
        for figure, measure in _FIGURES.items():
            best, second = sorted(case.results, key=measure)[:2]
            counts[figure][best.architecture, best.recipe] += 1
            if figure == "area x delay":
                point = best.architecture, best.recipe
                losses[point] = max(losses[point], measure(second) / measure(best) - 1)
    columns = ("cases", *_FIGURES, "on front")
    print(f"{'structure':12}{'recipe':14}" + "".join(f"{column:>14}" for column in columns) + f"{'loss without':>14}")
    for point in counts["cases"]:
        words = "".join(f"{counts[column][point]:14}" for column in columns)
        print(f"{point[0]:12}{point[1]:14}{words}{losses[point]:14.1%}")


def _print_fixed(cases: Sequence[Asic]) -> None:
    """Print what the fixed set loses."""
    print(f"\n{'the fixed set':16}{'median loss':>14}{'worst loss':>14}")
    for figure, measure in _FIGURES.items():
        lost = [min(map(measure, _fixed(case).results)) / min(map(measure, case.results)) - 1 for case in cases]
        print(f"{figure:16}{median(lost):14.1%}{max(lost):14.1%}")
    kept, runs = sum(len(_fixed(case).results) for case in cases), sum(len(case.results) for case in cases)
    print(f"{kept} of {runs} netlists, {len(cases)} cases")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", nargs="*", default=UNITS, metavar="UNIT")
    parser.add_argument("--technologies", default="asap7,nangate45")
    options = parser.parse_args()
    cases = []
    for unit in options.units:
        for name in options.technologies.split(","):
            technology = read(name)
            assert isinstance(technology, Technology)
            case = everything(unit, technology)
            cases.append(case)
            chosen = {figure: min(case.results, key=measure) for figure, measure in _FIGURES.items()}
            words = "; ".join(f"{figure} {row.architecture} {row.recipe}" for figure, row in chosen.items())
            print(f"{unit} in {name}: {len(case.results)} netlists, area spread {case.area_spread:.0%}, delay spread "
                  f"{case.delay_spread:.0%}; {words}", flush=True)  # fmt: skip
    print()
    _print_points(cases)
    _print_fixed(cases)


if __name__ == "__main__":
    main()
