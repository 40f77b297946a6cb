# SPDX-License-Identifier: Apache-2.0
"""Cost records made of synthesis results: what `cost_models.save` keeps."""

from cost_models.activity import Energy
from cost_models.estimate import Cost
from cost_models.synthesis.asic import AsicResult
from cost_models.synthesis.fpga import FpgaResult

__all__ = [
    "asic_cost",
    "fpga_cost",
]


def asic_cost(
    unit: str,
    result: AsicResult,
    *,
    energy: Energy | None = None,
    operands: str = "",
    verified_vectors: int = 0,
    pipeline: int = 2,
    rtl_hash: str = "",
) -> Cost:
    """
    Cost of a unit on standard cells.

    Parameters
    ----------
    unit : str
        Name of the unit.
    result : AsicResult
        The recipe chosen.
    energy : Energy, optional
        Of one accepted row, on this result's netlist.
    operands : str
        The stimuli of `energy`; not empty where that is given.
    verified_vectors : int, default 0
        Vectors in which this result's netlist equalled the model.
    pipeline : int, default 2
        Register ranks of the core.
    rtl_hash : str
        SHA-256 of the core's Verilog.

    Returns
    -------
    Cost

    Raises
    ------
    ValueError
        Energy without a description of its operands.
    """
    if energy is not None and not operands:
        raise ValueError("energy needs a description of its operands, not ''")
    return Cost(
        unit=unit, technology=result.technology, source=_source(result.tools, result.netlist_hash, result.recipe),
        netlist_hash=result.netlist_hash, verified_vectors=verified_vectors, pipeline=pipeline, rtl_hash=rtl_hash,
        area_um2=result.area_um2, delay_ps=result.delay_ps, leakage_uw=result.leakage_uw,
        energy_pj=energy.total_pj if energy else None, clock_energy_pj=energy.clock_pj if energy else None,
        operands=operands, recipe=result.recipe, ff=result.flip_flops,
    )  # fmt: skip


def fpga_cost(
    unit: str, result: FpgaResult, *, verified_vectors: int = 0, pipeline: int = 2, rtl_hash: str = ""
) -> Cost:
    """Cost of a unit on an FPGA; the parameters are those of `asic_cost`."""
    placed = bool(result.fmax_by_seed)
    return Cost(
        unit=unit, technology=result.technology, source=_source(result.tools, result.netlist_hash, ""),
        netlist_hash=result.netlist_hash, verified_vectors=verified_vectors, pipeline=pipeline, rtl_hash=rtl_hash,
        lut=result.lut, ff=result.ff, dsp=result.dsp, carry=result.carry,
        fmax_mhz=result.fmax_mhz if placed else None, fmax_spread=result.fmax_spread if placed else None,
    )  # fmt: skip


def _source(tools: tuple[tuple[str, str], ...], netlist_hash: str, recipe: str) -> str:
    """Say how it was measured."""
    parts = [f"measured with {', '.join(f'{tool} {version}' for tool, version in tools)}"]
    parts += [f"recipe {recipe}"] if recipe else []
    return "; ".join([*parts, f"netlist {netlist_hash[:12]}"])
