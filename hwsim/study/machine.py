# SPDX-License-Identifier: Apache-2.0
"""The machine of a design point: its accelerator, what its unit costs, its cycles, traffic and energy."""

import difflib
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cost_models
import rtl
from cost_models import Cost
from cost_models import technologies as known_technologies
from cost_models.measurements import find
from cost_models.technologies import FpgaTechnology
from hwsim import accelerator as accelerators
from hwsim.accelerator import Accelerator
from hwsim.network import Network
from hwsim.prices import Prices, check_prices, fastest_mhz
from hwsim.result import SimulationResult
from hwsim.simulation import simulate
from hwsim.simulation.energy import power
from hwsim.study.cases import Case
from hwsim.study.codes import check_codes
from hwsim.study.point import FASTEST, DesignPoint, Setting
from hwsim.study.shares import has_own_memories, operand_notes, share_notes, shares

__all__ = [
    "QUANTIZATION",
    "accelerator_text",
    "check_technology",
    "draft",
    "fastest_clock",
    "machine",
    "machine_figures",
    "needs_price",
    "resolve_cost",
]

QUANTIZATION = "quantization."
"""What the keys of settings begin with that are of the network, not of the accelerator."""


def check_technology(name: str) -> None:
    """Raise LookupError for a technology that is not known, with close matches."""
    names = known_technologies.names()
    if name not in names:
        close = difflib.get_close_matches(name, names) or names
        raise LookupError(f"technology {name!r} is unknown; close matches: {', '.join(close)}")


def accelerator_text(point: DesignPoint, case: Case) -> tuple[str, str]:
    """Return the TOML text of a point's accelerator, and what to call it in an error.

    Raises
    ------
    LookupError
        If neither a preset nor the case has it; with close matches.
    """
    given = dict(case.accelerators)
    if point.accelerator in given:
        return given[point.accelerator], f"accelerator {point.accelerator}"
    found = _presets().get(point.accelerator)
    if found is None:
        names = (*given, *_presets())
        close = difflib.get_close_matches(point.accelerator, names, n=2) or names
        raise LookupError(f"unknown accelerator {point.accelerator!r}; there are {', '.join(close)}")
    return found


@lru_cache(maxsize=1)
def _presets() -> dict[str, tuple[str, str]]:
    """Return the texts of the presets by name, each with what to call it."""
    return {name: accelerators.toml_text(name) for name in accelerators.presets()}


def draft(point: DesignPoint, case: Case) -> Accelerator:
    """Return a point's accelerator; where its clock is to be the fastest, with the clock of its file.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `hwsim.accelerator.read`; and for a technology that is unknown and a pipeline that the unit cannot have.
    """
    text, where = accelerator_text(point, case)
    changes: dict[str, Setting] = {
        key: value
        for key, value in point.settings
        if not key.startswith(QUANTIZATION) and (key, value) != ("clock_mhz", FASTEST)
    }
    return _read(text, where, tuple(changes.items()), point.unit, point.technology)


@lru_cache(maxsize=1024)
def _read(text: str, where: str, changes: tuple[tuple[str, Setting], ...], unit: str, technology: str) -> Accelerator:
    check_technology(technology)
    given = {**dict(changes), "unit": unit, "technology": technology}
    spec = accelerators.read_text(text, where, changes=given)
    rtl.depth(spec.element, spec.pipeline)  # what cannot be built is no machine
    return spec


def resolve_cost(point: DesignPoint, case: Case) -> Cost | None:
    """Return what an element of a point's array costs: measured, else fitted; None where it is not known.

    FPGA counts may be of the synthesizer's own operators alone, where nobody tried other structures.
    """
    spec = draft(point, case)
    if spec.array.serial_bits:
        return None
    element = spec.element
    known = find(element.name, spec.technology, spec.pipeline)
    if known is None and isinstance(known_technologies.read(spec.technology), FpgaTechnology):
        known = find(element.name, spec.technology, spec.pipeline, "tool")
    if known is not None:
        return known
    try:
        return cost_models.estimate(element, spec.technology, pipeline=spec.pipeline)
    except cost_models.NotMeasuredError:
        return None


def needs_price(point: DesignPoint, case: Case) -> bool:
    """Tell whether nobody has measured the element of a point's array, and it could be measured."""
    spec = draft(point, case)
    cost = resolve_cost(point, case)
    return not spec.array.serial_bits and (cost is None or cost.is_fitted)


def machine(point: DesignPoint, case: Case, cost: Cost | None) -> Accelerator:
    """Return a point's accelerator, its clock resolved.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `draft`; and where the fastest clock is asked for of a unit whose delay is not known.
    """
    spec = draft(point, case)
    if point.setting("clock_mhz") != FASTEST:
        return spec
    fastest = None if cost is None else fastest_clock(spec, cost)
    if fastest is None or fastest[0] < 1:
        raise ValueError(
            f"clock_mhz: {FASTEST!r} is not known of unit {spec.element.name} with {spec.pipeline} register ranks in "
            f"{spec.technology}: nobody has measured it"
        )
    return replace(spec, clock_mhz=min(int(fastest[0]), 10000))


def fastest_clock(spec: Accelerator, cost: Cost) -> tuple[float, str] | None:
    """Return the clock in MHz that unit and memories reach, and which is the slowest; None where the unit's is unknown.

    A memory of which no access time is known, or that is not of the accelerator's chip, bounds nothing.
    """
    unit_mhz = fastest_mhz(cost)
    if unit_mhz is None:
        return None
    reached = [(unit_mhz, spec.element.name)]
    if has_own_memories(spec):
        prices = check_prices(replace(spec, clock_mhz=1), cost=cost)  # a clock that every unit reaches
        memories = (("activations", prices.activations), ("weights", prices.weights))
        reached += [(1e3 / memory.access_ns, f"the memory of {name}") for name, memory in memories if memory.access_ns]
    return min(reached)


def machine_figures(
    point: DesignPoint, case: Case, network: Network, cost: Cost | None
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any], list[str]]:
    """Return the figures that need no values, those of each layer, the unit's by stage, and their sources.

    Raises
    ------
    LookupError, TypeError, ValueError
        Where the point cannot be: as `hwsim.simulate`.
    """
    spec = machine(point, case, cost)
    if network is case.network:
        check_codes(case, spec.element)
    result = simulate(network, spec, values="none", cost=cost)
    prices = check_prices(spec, cost=cost)
    areas, notes = _areas(spec, prices)
    figures = {
        **_unit_figures(spec, cost),
        **_pass_figures(result),
        **areas,
        **_rates(result, areas["area_mm2"]),
        **shares(network, result, prices, areas),
    }
    layers = [
        {
            "name": each.name,
            "operator": each.kind,
            "macs": each.macs,
            "cycles": each.cycles,
            "utilisation": each.utilisation,
            "energy_nj": _nano(each.energy.total_pj, result.batch),
        }
        for each in result.layers
    ]
    stages = {} if cost is None else {"area_um2": dict(cost.area_by_stage), "energy_pj": dict(cost.energy_by_stage)}
    sources = [
        f"energy of the units: {result.energy_note}",
        *result.assumptions,
        *notes,
        *share_notes(spec, prices, figures),
        *operand_notes(spec, network),
        *_clock_notes(point, spec, cost),
    ]
    return figures, layers, {name: parts for name, parts in stages.items() if parts}, sources


def _unit_figures(spec: Accelerator, cost: Cost | None) -> dict[str, Any]:
    """Return what a unit costs."""
    if cost is None:
        return {}
    return {
        "unit_area_um2": cost.area_um2,
        "unit_delay_ps": cost.delay_ps,
        "energy_pj_per_mac": None if cost.energy_pj is None else cost.energy_pj / spec.element.width,
        "lut": cost.lut,
        "ff": None if cost.lut is None else cost.ff,
        "dsp": cost.dsp,
        "fmax_mhz": cost.fmax_mhz,
        "cost_fitted": cost.is_fitted,
        "cost_error": max(cost.errors.values()) if cost.errors else None,
        "cost_source": cost.source,
    }


def _pass_figures(result: SimulationResult) -> dict[str, Any]:
    """Return what a pass takes; energies and traffic an image of it."""
    energy, batch, spec = result.energy, result.batch, result.accelerator
    on_chip = has_own_memories(spec)
    is_fpga = isinstance(known_technologies.read(spec.technology), FpgaTechnology)
    traffic = [layer.traffic for layer in result.layers]
    return {
        "units": spec.array.units,
        "macs_per_cycle": result.macs_per_cycle,
        "clock_mhz": spec.clock_mhz,
        "cycles": result.cycles,
        "latency_us": result.latency_us,
        "utilisation": result.utilisation,
        "energy_nj": _nano(energy.total_pj, batch),
        "energy_units_nj": _nano(energy.units_pj, batch),
        "energy_registers_nj": _nano(energy.registers_pj, batch),
        "energy_sram_nj": _nano(energy.sram_pj, batch) if on_chip else None,
        "energy_dram_nj": _nano(energy.dram_pj, batch),
        "energy_wires_nj": None if is_fpga else _nano(energy.wires_pj, batch),
        "energy_leakage_nj": None if is_fpga else _nano(energy.leakage_pj, batch),
        "sram_kbit": sum(each.sram_bits for each in traffic) / 1000 / batch,
        "dram_kbit": sum(each.dram_bits for each in traffic) / 1000 / batch,
    }


def _clock_notes(point: DesignPoint, spec: Accelerator, cost: Cost | None) -> list[str]:
    """Say what the fastest clock is that of, where it is asked for."""
    reached = fastest_clock(spec, cost) if cost is not None and point.setting("clock_mhz") == FASTEST else None
    return [] if reached is None else [f"clock: that of {reached[1]}, the slowest of unit and memories"]


def _nano(picojoules: float | None, batch: int) -> float | None:
    return None if picojoules is None else picojoules / 1000 / batch


def _areas(spec: Accelerator, prices: Prices) -> tuple[dict[str, float | None], list[str]]:
    """Return the areas, and what they leave out."""
    cost = prices.cost
    if cost is None or cost.area_um2 is None:
        return {"array_area_mm2": None, "area_mm2": None}, []
    elements = spec.array.units // spec.array.geometry.widening
    array = elements * cost.area_um2 * 1e-6
    notes = ["area: without the vector unit, the control and the wires between cells"]
    if prices.registers is None or prices.registers.area_um2 is None:
        notes.append("area: without the operand registers, whose area is not known")
    else:
        array += power(spec, prices).register_bits * prices.registers.area_um2 * 1e-6
    total = array
    for name, memory in (("activations", prices.activations), ("weights", prices.weights)):
        if memory.area_mm2 is None:
            notes.append(f"area: without the memory of {name}, whose area is not known")
        else:
            total += memory.area_mm2
    return {"array_area_mm2": array, "area_mm2": total}, notes


def _rates(result: SimulationResult, area_mm2: float | None) -> dict[str, float | None]:
    """Return throughput, and what it takes of area and power."""
    rate = 1e6 * result.batch / result.latency_us if result.latency_us else None
    energy_nj = _nano(result.energy.total_pj, result.batch)
    return {
        "inferences_per_s": rate,
        "inferences_per_s_per_mm2": rate / area_mm2 if rate and area_mm2 else None,
        "inferences_per_j": 1e9 / energy_nj if energy_nj else None,
        "power_mw": energy_nj * result.batch / result.latency_us if energy_nj and result.latency_us else None,
    }
