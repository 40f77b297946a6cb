# SPDX-License-Identifier: Apache-2.0
"""Area, delay and leakage of a Verilog core on standard cells: a fixed set of recipes, the same for every unit."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from cost_models import store
from cost_models.activity.netlist import levelize
from cost_models.synthesis.adders import has_adders, with_library_adders
from cost_models.synthesis.timing import timing
from cost_models.synthesis.yosys import YOSYS, versions, work_directory
from cost_models.technologies import Technology, liberty

__all__ = [
    "CHOICES",
    "RECIPES",
    "Asic",
    "AsicResult",
    "asic",
]

# Sizing targets 1 ps: as fast as the recipe gets. Scripts with fraig or scorr take minutes on dot products.
_AREA = "strash;dc2;dch,-f;amap,-m;topo"
_TIMING = "strash;dch,-f;map,-B,0.9,-D,1;topo;buffer;upsize,-D,1;dnsize,-D,1"


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
CHOICES = ("smallest", "fastest", "best_area_delay")
_FLOW = 1  # raise when the script below or the meaning of a result changes: cached results are then made anew
_AREA_UNIT_UM2 = 1e-3
_PRODUCT = re.compile(r"[\w\])}] ?\* ?[\w({$]")

_SCRIPT = """
read_liberty -lib cells.lib
read_verilog -sv core.v
synth -flatten -noabc {booth} -top {top}
dfflibmap -liberty cells.lib
abc -liberty cells.lib -constr abc.constr -script +{abc};stime,-p;stime,-d
opt_clean -purge
check -assert -mapped
rename -enumerate -pattern g%_
write_verilog -noattr netlist.v
write_json netlist.json
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsicResult:
    """
    One recipe's outcome.

    `delay_ps` is the worst path of our timing analysis with flip-flop delay and setup, `fo4` the same in the
    technology's FO4 inverter delays, `abc_delay_ps` what ABC says of the gates alone. `nand2_equivalents` is the area
    in the technology's smallest NAND2. `netlist_verilog` and `netlist_json` are the mapped netlist, `netlist_hash`
    the SHA-256 of the former.
    """

    recipe: str
    top: str
    technology: str
    area_um2: float
    sequential_area_um2: float
    delay_ps: float
    register_ps: float
    abc_delay_ps: float
    fo4: float
    leakage_uw: float
    nand2_equivalents: float
    cells: int
    flip_flops: int
    netlist_verilog: str
    netlist_json: str
    netlist_hash: str
    tools: tuple[tuple[str, str], ...]

    @property
    def area_delay(self) -> float:
        """Area times delay, in um2 ps."""
        return self.area_um2 * self.delay_ps


@dataclass(frozen=True, slots=True, kw_only=True)
class Asic:
    """All recipes' outcomes for one core and technology, in the order of the recipes."""

    results: tuple[AsicResult, ...]

    @property
    def front(self) -> tuple[AsicResult, ...]:
        """The area-delay front: no other recipe is as good in both and better in one; by area, smallest first."""
        front: list[AsicResult] = []
        for result in sorted(self.results, key=lambda item: (item.area_um2, item.delay_ps)):
            if not front or result.delay_ps < front[-1].delay_ps:
                front.append(result)
        return tuple(front)

    def choose(self, choice: str = "best_area_delay") -> AsicResult:
        """
        One result by name.

        Parameters
        ----------
        choice : {"best_area_delay", "smallest", "fastest"} or a recipe's name

        Raises
        ------
        ValueError
            No such choice.
        """
        if choice == "smallest":
            return min(self.results, key=lambda item: (item.area_um2, item.delay_ps))
        if choice == "fastest":
            return min(self.results, key=lambda item: (item.delay_ps, item.area_um2))
        if choice == "best_area_delay":
            return min(self.results, key=lambda item: item.area_delay)
        for result in self.results:
            if result.recipe == choice:
                return result
        known = [*CHOICES, *(result.recipe for result in self.results)]
        raise ValueError(f"choice must be one of {', '.join(known)}, not {choice!r}")


def asic(text: str, top: str, technology: Technology, recipes: Sequence[str] = tuple(RECIPES)) -> Asic:
    """
    Synthesize a core on standard cells with each recipe.

    The flow is ``synth -flatten -noabc`` with or without ``-booth``, flip-flops mapped, then one of two ABC scripts
    (`RECIPES`); the timing recipes size for the least delay. A result is kept in the user's cache as soon as it is
    there, under the hash of the text, the technology, the tool's version and the recipe; a second call reads it.

    Parameters
    ----------
    text : str
        Verilog of the core and all that it instantiates. One clock; no latches, no asynchronous resets.
    top : str
        Its top module.
    technology : Technology
    recipes : sequence of str
        Names from `RECIPES`. One that can do no other for this text than one before it is left out.

    Returns
    -------
    Asic

    Raises
    ------
    TypeError
        `technology` is not a standard-cell technology.
    ValueError
        A recipe is unknown or there is none, or the netlist is not one the analysis can take.
    RuntimeError
        Yosys is not installed, or fails (`ToolError`, with the tail of the log).
    """
    if not isinstance(technology, Technology):
        raise TypeError(f"technology must be a standard-cell Technology, not {technology!r}")
    unknown = [recipe for recipe in recipes if recipe not in RECIPES]
    if unknown or not recipes:
        raise ValueError(f"recipes must be some of {', '.join(RECIPES)}, not {list(recipes)!r}")
    tools = versions(YOSYS)
    results = []
    done: set[Recipe] = set()
    for recipe in recipes:
        effective = _effective(RECIPES[recipe], text)
        if effective in done:
            continue
        done.add(effective)
        name = store.key(flow=_FLOW, text=text, top=top, technology=technology.digest, tools=tools, recipe=effective)
        record = store.load("asic", name)
        if record is None:
            record = asdict(_synthesize(text, top, technology, recipe, tools))
            store.save("asic", name, record)
        record["tools"] = tuple((tool, version) for tool, version in record["tools"])
        results.append(AsicResult(**record | {"recipe": recipe}))
    return Asic(results=tuple(results))


def _effective(recipe: Recipe, text: str) -> Recipe:
    """Drop from a recipe what cannot change a text: Booth where no product is, cells where no adder module is."""
    return Recipe(
        booth=recipe.booth and _PRODUCT.search(text) is not None,
        cells=recipe.cells and has_adders(text),
        abc=recipe.abc,
    )


def _compact(netlist_json: str, top: str) -> str:
    """Keep of a netlist what `levelize` reads: a fifth of the text."""
    module = json.loads(netlist_json)["modules"][top]
    kept = {
        "ports": module["ports"],
        "cells": {
            name: {"type": row["type"], "connections": row["connections"]} for name, row in module["cells"].items()
        },
        "netnames": {name: {"bits": row["bits"]} for name, row in module["netnames"].items()},
    }
    return json.dumps({"modules": {top: kept}}, separators=(",", ":"))


def _synthesize(text: str, top: str, technology: Technology, recipe: str, tools: dict[str, str]) -> AsicResult:
    """Run one recipe and analyse its netlist."""
    booth, library_adders, abc = RECIPES[recipe]
    constraints = f"set_driving_cell {technology.driver}\nset_load {technology.operating_point.load_ff}\n"
    inputs = {
        "cells.lib": liberty(technology, _AREA_UNIT_UM2),
        "core.v": with_library_adders(text, technology) if library_adders else text,
        "abc.constr": constraints,
    }
    with work_directory(inputs) as directory:
        directory.yosys(_SCRIPT.format(booth="-booth" if booth else "", top=top, abc=abc))
        verilog, netlist_json = directory.read("netlist.v"), _compact(directory.read("netlist.json"), top)
        # ABC writes name, inputs, outputs, gates, area and delay; its standard output is lost in YoWASP
        stats = directory.path / "stats.txt"
        abc_delay = float(stats.read_text(encoding="utf-8").split()[-1]) if stats.exists() else 0.0
    netlist = levelize(netlist_json, technology, top)
    cells = [(technology.cells[name], count) for name, count in netlist.cells.items()]
    area = sum(count * cell.area_um2 for cell, count in cells)
    paths = timing(netlist, technology)
    return AsicResult(
        recipe=recipe, top=top, technology=technology.name, area_um2=area,
        sequential_area_um2=sum(count * cell.area_um2 for cell, count in cells if cell.is_flip_flop),
        delay_ps=paths.delay_ps, register_ps=paths.register_ps, abc_delay_ps=abc_delay,
        fo4=paths.delay_ps / technology.operating_point.fo4_ps,
        leakage_uw=1e-3 * sum(count * cell.leakage_nw for cell, count in cells),
        nand2_equivalents=area / technology.cells[technology.nand2].area_um2,
        cells=sum(count for _, count in cells),
        flip_flops=sum(count for cell, count in cells if cell.is_flip_flop),
        netlist_verilog=verilog, netlist_json=netlist_json, netlist_hash=store.text_hash(verilog),
        tools=tuple(sorted(tools.items())),
    )  # fmt: skip
