# SPDX-License-Identifier: Apache-2.0
"""Area, delay and leakage of a Verilog core on standard cells: fixed sets of recipes, the same for every unit."""

from collections.abc import Mapping, Sequence

from cost_models import store
from cost_models.activity.netlist import levelize
from cost_models.synthesis.mapping import Job, Mapped, mapped
from cost_models.synthesis.recipes import FIXED, RECIPES, Recipe, effective, sized
from cost_models.synthesis.results import Asic, AsicResult
from cost_models.synthesis.timing import timing
from cost_models.synthesis.yosys import YOSYS, versions
from cost_models.technologies import Technology

__all__ = [
    "asic",
    "explore",
    "sweep",
]

_STRUCTURES = 3  # how many a sweep sizes
_TARGETS = (0.8, 0.9, 1.0, 1.1, 1.25)  # sizing targets, in periods less the flip-flop


def asic(text: str, top: str, technology: Technology, recipes: Sequence[str] = tuple(RECIPES)) -> Asic:
    """
    Synthesize a core on standard cells with each recipe.

    The flow is ``synth -flatten -noabc`` with or without ``-booth``, flip-flops mapped, then one of two ABC scripts
    (`RECIPES`); the timing recipes size for the least delay. A netlist is kept in the user's cache as soon as it is
    there, under the hash of all that the tools read; a second call reads it.

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
    unknown = [recipe for recipe in recipes if recipe not in RECIPES]
    if unknown or not recipes:
        raise ValueError(f"recipes must be some of {', '.join(RECIPES)}, not {list(recipes)!r}")
    return _all({("", recipe): (text, RECIPES[recipe]) for recipe in recipes}, top, technology)


def explore(texts: Mapping[str, str], top: str, technology: Technology) -> Asic:
    """
    Synthesize a unit in each of its structures with the recipes of the fixed set (`FIXED`).

    Parameters
    ----------
    texts : mapping of str to str
        Verilog of the core by name of its architecture. One that `FIXED` does not name gets every recipe; where the
        fixed set has none of the texts (one structure was asked for), so do all.
    top, technology
        As for `asic`.

    Returns
    -------
    Asic
        In the order of `texts`; what is the same text and recipe as an earlier one is left out.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `asic`; ValueError also if there is no text.
    """
    return _all(_fixed(texts), top, technology)


def sweep(texts: Mapping[str, str], top: str, technology: Technology, period_ps: float) -> Asic:
    """
    Add to `explore` netlists whose gates are sized for targets around a clock period, for `Asic.at_clock`.

    Of the timing recipes whose netlist meets the period, those of the three smallest are mapped and sized anew for
    targets between 0.8 and 1.25 of what the period leaves without a flip-flop. The three smallest area recipes are
    sized for what it leaves. Targets are the tool's wish: what counts is the delay of the netlist.

    Parameters
    ----------
    texts, top, technology
        As for `explore`.
    period_ps : float

    Returns
    -------
    Asic
        The fixed set, then the points of the sweep.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `explore`; ValueError also if the period is not above 0.
    """
    if not period_ps > 0:
        raise ValueError(f"period_ps must be above 0, not {period_ps!r}")
    fixed = _fixed(texts)
    found = _all(fixed, top, technology)
    budget = period_ps - _flip_flop_ps(technology)
    points: dict[tuple[str, str], tuple[str, Recipe]] = {}
    for goal, factors in (("area", (1.0,)), ("timing", _TARGETS)):
        rows = [row for row in found.results if row.recipe.startswith(goal)]
        fit = [row for row in rows if goal == "area" or row.delay_ps <= period_ps]
        for result in sorted(fit, key=lambda row: (row.area_um2, row.delay_ps))[:_STRUCTURES]:
            text, recipe = fixed[result.architecture, result.recipe]
            for target in {round(factor * budget): None for factor in factors}:
                if target > 0:
                    points[result.architecture, f"{result.recipe}_{target}ps"] = text, sized(recipe, target)
    if not points:
        return found
    return Asic(results=found.results + _all(points, top, technology).results)


def _fixed(texts: Mapping[str, str]) -> dict[tuple[str, str], tuple[str, Recipe]]:
    """List text and recipe by the names of architecture and recipe."""
    if not texts:
        raise ValueError("texts must have one text or more, not {}")
    chosen = {name: FIXED.get(name, tuple(RECIPES)) for name in texts}
    if not any(chosen.values()):
        chosen = {name: tuple(RECIPES) for name in texts}
    return {(name, recipe): (texts[name], RECIPES[recipe]) for name, recipes in chosen.items() for recipe in recipes}


def _flip_flop_ps(technology: Technology) -> float:
    """Delay and setup of the fastest flip-flop: what a period has less for gates."""
    return min(cell.delay_ps + cell.setup_ps for cell in technology.cells.values() if cell.is_flip_flop)


def _all(points: Mapping[tuple[str, str], tuple[str, Recipe]], top: str, technology: Technology) -> Asic:
    """Map and analyse all points but those that can do no other than one before them."""
    if not isinstance(technology, Technology):
        raise TypeError(f"technology must be a standard-cell Technology, not {technology!r}")
    jobs: dict[Job, tuple[str, str]] = {}
    for names, (text, recipe) in points.items():
        jobs.setdefault(Job(text, top, effective(recipe, text)), names)
    netlists = mapped(tuple(jobs), technology)
    named = zip(jobs.values(), netlists, strict=True)
    return Asic(results=tuple(_result(names, top, technology, netlist) for names, netlist in named))


def _result(names: tuple[str, str], top: str, technology: Technology, mapped_netlist: Mapped) -> AsicResult:
    """Analyse a netlist."""
    netlist = levelize(mapped_netlist.json, technology, top)
    cells = [(technology.cells[name], count) for name, count in netlist.cells.items()]
    area = sum(count * cell.area_um2 for cell, count in cells)
    paths = timing(netlist, technology)
    return AsicResult(
        architecture=names[0], recipe=names[1], top=top, technology=technology.name, area_um2=area,
        sequential_area_um2=sum(count * cell.area_um2 for cell, count in cells if cell.is_flip_flop),
        delay_ps=paths.delay_ps, register_ps=paths.register_ps, fo4=paths.delay_ps / technology.operating_point.fo4_ps,
        leakage_uw=1e-3 * sum(count * cell.leakage_nw for cell, count in cells),
        nand2_equivalents=area / technology.cells[technology.nand2].area_um2,
        cells=sum(count for _, count in cells),
        flip_flops=sum(count for cell, count in cells if cell.is_flip_flop),
        netlist_verilog=mapped_netlist.verilog, netlist_json=mapped_netlist.json,
        netlist_hash=store.text_hash(mapped_netlist.verilog), tools=tuple(sorted(versions(YOSYS).items())),
    )  # fmt: skip
