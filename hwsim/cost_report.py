# SPDX-License-Identifier: Apache-2.0
"""What a unit costs, by stage, with the operands asked for and every assumption behind the numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cost_models
from cost_models import Cost
from cost_models.activity import Energy, levelize
from cost_models.synthesis.asic import asic, sweep
from cost_models.synthesis.results import AsicResult
from cost_models.synthesis.stages import area_by_stage, stages
from cost_models.technologies import Technology, names, read
from hwsim import study
from hwsim.datapath import DotProductUnit
from hwsim.gates import EnergyBounds, step_energy
from hwsim.operands import Operands, gaussian, load, uniform
from rtl.architecture import architecture as named_architecture

__all__ = [
    "Request",
    "lines",
    "report",
]

_DISTRIBUTIONS = {"gaussian": gaussian, "uniform": uniform}
_COMPONENTS = ("logic", "registers", "inputs", "wires", "clock", "leakage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What is asked for.

    `technology`, `pipeline`, `architecture`, `clock_mhz` and `remeasure` are as for `hwsim.study.price`. `operands` is
    ``gaussian``, ``uniform`` or the path of a layer's .npz; None is gaussian, as measured. Without `measure` what was
    never measured is estimated; an architecture and a clock are then looked up only, and the technology is one of the
    package's.
    """

    unit: DotProductUnit
    technology: str = "asap7"
    pipeline: int = 2
    architecture: str | None = None
    clock_mhz: float | None = None
    operands: str | None = None
    measure: bool = True
    remeasure: bool = False


def report(request: Request, progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """
    Say what a unit costs.

    Returns
    -------
    dict, JSON-ready
        unit, technology, pipeline, architecture, recipe, source : str and int
        fitted : bool, whether nothing was measured
        errors : dict of a fitted figure's name to its relative error; empty of a measured cost
        area_um2, delay_ps, wired_delay_ps, leakage_uw, lut, ff, dsp, fmax_mhz : number or None
        area_by_stage : dict of str to um2
        energy : None, or a dict of operands (text), period_ps, macs (products a row), lower_pj_per_mac,
        upper_pj_per_mac, by_stage and by_component (name to [lower, upper], in pJ a MAC; together the totals),
        statistics (a and b to zeros, common, toggles; empty where the operands were not run now)
        assumptions : list of str, a sentence each

    Raises
    ------
    LookupError, ValueError, FileNotFoundError, RuntimeError
        As `hwsim.study.price` and `hwsim.operands.load`; ValueError also if operands are asked for of a technology
        without gates or of a netlist that was not measured, or if nothing may be measured and what is asked for needs
        it.
    """
    if not request.measure and request.remeasure:
        raise ValueError("measure must be given with remeasure: what is measured again cannot be estimated")
    target = read(request.technology)
    chosen = None if request.operands is None else _operands(request)
    if chosen is not None and not isinstance(target, Technology):
        raise ValueError(f"operands need standard cells, whose gates are simulated; {request.technology} has none")
    cost = _cost(request, progress)
    if chosen is not None and cost.is_fitted:
        raise ValueError(f"operands need a netlist, and {request.unit.name} was not measured in {request.technology}")
    answer: dict[str, Any] = {
        key: getattr(cost, key)
        for key in (
            "unit", "technology", "pipeline", "architecture", "recipe", "source", "area_um2", "delay_ps",
            "wired_delay_ps", "leakage_uw", "lut", "ff", "dsp", "fmax_mhz",
        )
    }  # fmt: skip
    answer |= {"fitted": cost.is_fitted, "errors": dict(cost.errors)}
    answer |= {"area_by_stage": dict(cost.area_by_stage), "energy": None, "assumptions": []}
    if not isinstance(target, Technology):
        answer["assumptions"] = _origin(cost)
        return answer
    matched: float | None = None
    if chosen is not None:
        answer["energy"], answer["area_by_stage"], matched = _simulated(request, target, cost, chosen, progress)
    elif cost.energy_pj is not None:
        answer["energy"] = _measured(request, cost)
    answer["assumptions"] = _assumptions(target, cost, answer, matched)
    return answer


def lines(answer: dict[str, Any]) -> list[str]:
    """Return the assumptions as lines of text."""
    return [f"- {sentence}" for sentence in answer["assumptions"]]


def _operands(request: Request) -> Operands:
    assert request.operands is not None
    make = _DISTRIBUTIONS.get(request.operands)
    return load(request.operands, request.unit) if make is None else make(request.unit)


def _cost(request: Request, progress: Callable[[str], None]) -> Cost:
    if not request.measure:
        if request.technology not in names():
            raise ValueError(
                f"technology must be one of the package's where nothing is measured, not {request.technology!r}"
            )
        architecture = None if request.architecture is None else named_architecture(request.architecture).name
        return cost_models.estimate(
            request.unit, request.technology, pipeline=request.pipeline, architecture=architecture,
            clock_mhz=request.clock_mhz,
        )  # fmt: skip
    return study.price(
        request.unit, request.technology, pipeline=request.pipeline, architecture=request.architecture,
        clock_mhz=request.clock_mhz, remeasure=request.remeasure, progress=progress,
    )  # fmt: skip


def _measured(request: Request, cost: Cost) -> dict[str, Any]:
    """Give the energy that was kept with the cost."""
    lanes = request.unit.lanes
    assert cost.energy_pj is not None
    upper = cost.energy_upper_pj
    by_stage = {
        name: [lower / lanes, cost.energy_upper_by_stage[name] / lanes] for name, lower in cost.energy_by_stage.items()
    }
    return {
        "operands": cost.operands,
        "period_ps": _period_ps(request, cost),
        "macs": lanes,
        "lower_pj_per_mac": cost.energy_pj / lanes,
        "upper_pj_per_mac": None if upper is None else upper / lanes,
        "by_stage": by_stage,
        "by_component": {},
        "statistics": {},
    }


def _simulated(
    request: Request, target: Technology, cost: Cost, operands: Operands, progress: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, float], float]:
    """Run operands through the netlist that was priced: energy, area by stage, share of the gates labelled."""
    unit, lanes = request.unit, request.unit.lanes
    progress(f"{unit.name}: the netlist again")
    top = f"{unit.name}_core"
    text = study.structure_texts(unit, request.pipeline, cost.architecture)[cost.architecture]
    result = _netlist(text, top, target, cost, request.clock_mhz)
    if result.netlist_hash != cost.netlist_hash:
        raise ValueError(
            f"netlist of {unit.name} in {target.name} is not the one that was priced ({result.netlist_hash[:12]}, not "
            f"{cost.netlist_hash[:12]}): other tools or RTL; measure it again"
        )
    netlist = levelize(result.netlist_json, target, top)
    progress(f"{unit.name}: stages")
    labels = stages(netlist, text, top)
    progress(f"{unit.name}: operands")
    period = _period_ps(request, cost)
    bounds = step_energy(unit, netlist, target, period, request.pipeline, operands, labels)
    found = {
        "operands": operands.description,
        "period_ps": period,
        "macs": lanes,
        "lower_pj_per_mac": bounds.lower.total_pj / lanes,
        "upper_pj_per_mac": bounds.upper.total_pj / lanes,
        "by_stage": {
            name: [bounds.lower.by_stage[name] / lanes, bounds.upper.by_stage[name] / lanes]
            for name in bounds.lower.by_stage
        },
        "by_component": _components(bounds, lanes),
        "statistics": {side: given._asdict() for side, given in zip("ab", operands.statistics(), strict=True)},
    }
    return found, area_by_stage(netlist, target, labels), labels.matched


def _components(bounds: EnergyBounds, lanes: int) -> dict[str, list[float]]:
    def part(energy: Energy, name: str) -> float:
        value: float = getattr(energy, f"{name}_pj")
        return value / lanes

    return {name: [part(bounds.lower, name), part(bounds.upper, name)] for name in _COMPONENTS}


def _netlist(text: str, top: str, target: Technology, cost: Cost, clock_mhz: float | None) -> AsicResult:
    """Synthesize what was priced again, or read it from the cache."""
    if clock_mhz is None:
        return asic(text, top, target, (cost.recipe,)).results[0]
    found = sweep({cost.architecture: text}, top, target, 1e6 / clock_mhz).results
    return next(result for result in found if result.recipe == cost.recipe)


def _period_ps(request: Request, cost: Cost) -> float:
    """Clock period of the leakage: the one asked for, else the shortest."""
    assert cost.delay_ps is not None
    return cost.delay_ps if request.clock_mhz is None else 1e6 / request.clock_mhz


def _assumptions(target: Technology, cost: Cost, answer: dict[str, Any], matched: float | None) -> list[str]:
    """Say what the numbers rest on."""
    point, energy = target.operating_point, answer["energy"]
    found = [
        (
            f"cells: {target.title}; {point.voltage_v} V, {point.temperature_c} C, load {point.load_ff} fF, input slew "
            f"{point.input_slew_ps} ps, FO4 {point.fo4_ps} ps; one number a cell, the mean over pins and edges; from "
            f"{target.source}"
        ),
        "area is that of the cells: no filler, no tap cells, no clock tree, no power grid",
        "delay is without wires, clock skew, margins and variation",
        "no clock gating: every flip-flop pays two clock edges a cycle; no clock tree",
    ]
    if target.wires is not None:
        wires = target.wires
        found.append(
            f"wires (upper energy and delay with wires): {wires.capacitance_ff_per_um} fF/um, "
            f"{wires.pitches_per_pin} cell pitches a sink pin, cells fill {100 * wires.utilization:.0f} % of the rows; "
            "nothing was placed or routed"
        )
    else:
        found.append("no wires: the technology has no wire-load assumption")
    if energy is not None:
        found += [
            f"operands: {energy['operands'] or 'those of the units it was fitted on'}; a row each cycle, without waits",
            (
                "lower energy: zero delay, a net changes at most once a cycle, no wires; upper energy: unit delay with "
                "all glitches, with wires; it is no worst case"
            ),
            f"leakage over a period of {energy['period_ps']:.0f} ps",
        ]
        for side, values in energy["statistics"].items():
            found.append(
                f"{side}: {100 * values['zeros']:.1f} % zeros, its commonest code {100 * values['common']:.1f} %, "
                f"{100 * values['toggles']:.1f} % of its bits change from row to row"
            )
    if answer["area_by_stage"]:
        found.append(
            "stages are found by function"
            + ("" if matched is None else f" for {100 * matched:.0f} % of the gates")
            + "; the other gates count to the stage that they feed"
        )
    found.append("memories, operand registers of an array and everything outside the core are not in these numbers")
    return found + _origin(cost)


def _origin(cost: Cost) -> list[str]:
    """Say where the figures come from, and how far they were checked or may be off."""
    if cost.is_fitted:
        given = {name: error for name, error in cost.errors.items() if getattr(cost, name, None) is not None}
        errors = ", ".join(f"{name} {100 * error:.0f} %" for name, error in given.items())
        return [f"source: {cost.source}", f"nine of ten predictions of formats held out are off by at most: {errors}"]
    checked = (
        f"{cost.verified_vectors:,} outputs of the netlist equalled the model's"
        if cost.verified_vectors
        else "this netlist was not run beside the model"
    )
    return [f"source: {cost.source}; {checked}"]
