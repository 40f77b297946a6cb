# SPDX-License-Identifier: Apache-2.0
"""Recipes of standard-cell synthesis, and the fixed set of structure and recipe that prices are taken over."""

import re
from typing import NamedTuple

from cost_models.synthesis.adders import has_adders

__all__ = [
    "FIXED",
    "FIXED_FPGA",
    "RECIPES",
    "Recipe",
    "effective",
    "sized",
]

# Sizing targets 1 ps: as fast as the recipe gets. Scripts with fraig or scorr take minutes on dot products.
_AREA = "strash;dc2;dch,-f;amap,-m;topo"
_TIMING = "strash;dch,-f;map,-B,0.9,-D,1;topo;buffer;upsize,-D,1;dnsize,-D,1"
_PRODUCT = re.compile(r"[\w\])}] ?\* ?[\w({$]")


class Recipe(NamedTuple):
    """Whether Yosys makes Booth multipliers of ``*``, whether adder modules become library cells, and ABC's script."""

    booth: bool
    cells: bool
    abc: str


RECIPES = {
    "area": Recipe(False, False, _AREA),
    "area_booth": Recipe(True, False, _AREA),
    "area_cells": Recipe(False, True, _AREA),
    "timing": Recipe(False, False, _TIMING),
    "timing_booth": Recipe(True, False, _TIMING),
    "timing_cells": Recipe(False, True, _TIMING),
}

FIXED: dict[str, tuple[str, ...]] = {
    "tool": ("area", "area_booth", "timing", "timing_booth"),
    "booth_heap": ("area_cells", "timing", "timing_cells"),
    "fast_heap": ("timing",),
    "dadda_heap": (),
    "carry_save": ("timing",),
}
"""
Recipes that `explore` gives a text by the name of its architecture, the same for every unit; other names get all.

Registers in carry-save form are there for units whose register is their output. The others are chosen on eight kinds of
units in two libraries by ``benchmarks/recipes.py``; docs/synthesis.md has the evidence.
"""

FIXED_FPGA = ("tool", "booth_heap", "carry_save")
"""Architectures that `fpga_explore` counts, the same for every unit: a carry chain is faster than prefix adders."""


def effective(recipe: Recipe, text: str) -> Recipe:
    """Drop from a recipe what cannot change a text: Booth where no product is, cells where no adder module is."""
    return Recipe(
        booth=recipe.booth and _PRODUCT.search(text) is not None,
        cells=recipe.cells and has_adders(text),
        abc=recipe.abc,
    )


def sized(recipe: Recipe, target_ps: float) -> Recipe:
    """
    Give a recipe a sizing target for its gates.

    A timing recipe makes smaller what is faster than that; an area recipe gets larger gates until it is as fast.
    """
    if recipe.abc == _AREA:
        return recipe._replace(abc=f"{_AREA};buffer;upsize,-D,{round(target_ps)};dnsize,-D,{round(target_ps)}")
    return recipe._replace(abc=recipe.abc.replace("-D,1", f"-D,{round(target_ps)}"))
