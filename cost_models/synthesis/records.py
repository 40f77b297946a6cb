# SPDX-License-Identifier: Apache-2.0
"""Cost records made of synthesis results: what `cost_models.save` keeps."""

from collections.abc import Mapping

from cost_models.activity import Energy
from cost_models.cost import Cost, Point
from cost_models.synthesis.fpga import FpgaResult
from cost_models.synthesis.results import Asic, AsicResult

__all__ = [
    "asic_cost",
    "fpga_cost",
]


def asic_cost(
    unit: str,
    result: AsicResult,
    explored: Asic | None = None,
    *,
    bounds: tuple[Energy, Energy] | None = None,
    operands: str = "",
    verified_vectors: int = 0,
    area_by_stage: Mapping[str, float] | None = None,
    wired_delay_ps: float | None = None,
) -> Cost:
    """
    Cost of a unit on standard cells.

    Parameters
    ----------
    unit : str
        Name of the unit.
    result : AsicResult
        The structure and recipe chosen.
    explored : Asic, optional
        All that it was chosen from: gives the front and the spreads.
    bounds : (Energy, Energy), optional
        Of one accepted row, on this result's netlist: without glitches and wires, and with both.
    operands : str
        The stimuli of the energies; not empty where they are given.
    verified_vectors : int, default 0
        Outputs in which this result's netlist equalled the model.
    area_by_stage : mapping of str to float, optional
        Area in um2 by stage of the datapath.
    wired_delay_ps : float, optional
        Shortest clock period with the wire-load assumption.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        Energy without a description of its operands.
    """
    if bounds is not None and not operands:
        raise ValueError("energy needs a description of its operands, not ''")
    lower, upper = bounds or (None, None)
    points = explored.front if explored is not None else ()
    return Cost(
        unit=unit, technology=result.technology, netlist_hash=result.netlist_hash, verified_vectors=verified_vectors,
        source=_source(result.tools, result.netlist_hash, f"{result.architecture} {result.recipe}".strip()),
        architecture=result.architecture, recipe=result.recipe, tools=_tools(result.tools),
        area_um2=result.area_um2, delay_ps=result.delay_ps, wired_delay_ps=wired_delay_ps,
        leakage_uw=result.leakage_uw, ff=result.flip_flops, operands=operands,
        energy_pj=lower.total_pj if lower else None, energy_upper_pj=upper.total_pj if upper else None,
        clock_energy_pj=lower.clock_pj if lower else None,
        area_by_stage=dict(area_by_stage or {}), energy_by_stage=dict(lower.by_stage) if lower else {},
        energy_upper_by_stage=dict(upper.by_stage) if upper else {},
        front=tuple(Point(each.architecture, each.recipe, each.area_um2, each.delay_ps) for each in points),
        area_spread=explored.area_spread if explored is not None else None,
        delay_spread=explored.delay_spread if explored is not None else None,
    )  # fmt: skip


def fpga_cost(unit: str, result: FpgaResult, *, verified_vectors: int = 0) -> Cost:
    """Cost of a unit on an FPGA; the parameters are those of `asic_cost`."""
    placed = bool(result.fmax_by_seed)
    return Cost(
        unit=unit, technology=result.technology, netlist_hash=result.netlist_hash, verified_vectors=verified_vectors,
        source=_source(result.tools, result.netlist_hash, result.architecture),
        architecture=result.architecture, tools=_tools(result.tools),
        lut=result.lut, ff=result.ff, dsp=result.dsp, carry=result.carry, lut_spread=result.lut_spread,
        fmax_mhz=result.fmax_mhz if placed else None, fmax_spread=result.fmax_spread if placed else None,
    )  # fmt: skip


def _tools(tools: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{tool} {version}" for tool, version in tools)


def _source(tools: tuple[tuple[str, str], ...], netlist_hash: str, how: str) -> str:
    """Say how it was measured."""
    return "; ".join([f"measured with {_tools(tools)}", *([how] if how else []), f"netlist {netlist_hash[:12]}"])
