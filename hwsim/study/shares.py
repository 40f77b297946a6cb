# SPDX-License-Identifier: Apache-2.0
"""What of a pass no format changes: the memories' share of energy and area, and float32 tensors in the traffic."""

from collections.abc import Mapping, Sequence
from typing import Any

from cost_models import technologies as known_technologies
from cost_models.technologies import FpgaTechnology, Technology
from hwsim.accelerator import Accelerator
from hwsim.accelerator.mapping.operands import outside_form
from hwsim.accelerator.mapping.storage import store
from hwsim.formats import BlockSpec
from hwsim.network import Network
from hwsim.network.layers.conv import Conv
from hwsim.prices import Prices
from hwsim.result import SimulationResult

__all__ = [
    "has_own_memories",
    "memory_note",
    "operand_notes",
    "share_notes",
    "shares",
    "shown",
]

_BLOCKS = (
    "blocks of convolutions lie along the rows of im2col: channel by channel, the kernel's positions in each; traffic "
    "is priced as if tensors were stored so"
)
_FLOAT32 = ("float32", 32)


def shares(
    network: Network, result: SimulationResult, prices: Prices, areas: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return these shares of a pass; `areas` are ``array_area_mm2`` and ``area_mm2``."""
    array, area = areas["array_area_mm2"], areas["area_mm2"]
    return {
        "energy_memory_share": _memory_energy_share(result, prices),
        "area_memory_share": (area - array) / area if array and area else None,
        "dram_float32_share": _float32_share(network, result),
    }


def share_notes(spec: Accelerator, prices: Prices, figures: Mapping[str, Any]) -> list[str]:
    """Say what the shares of a design point are, and what its memories' prices are of."""
    energy, area, floats = (figures[f"{name}_share"] for name in ("energy_memory", "area_memory", "dram_float32"))
    said = memory_note(*([] if each is None else [each] for each in (energy, area)))
    said += [f"{shown([floats])} of the DRAM traffic is float32 tensors, whatever the format"] if floats else []
    if not has_own_memories(spec):
        return [*said, "memories: the energies above are of a chip of standard cells; none of them is in the figures"]
    return [*said, *_constants(spec, prices)]


def memory_note(energies: Sequence[float], areas: Sequence[float]) -> list[str]:
    """Say what share of energy and of area the memories are, of one or of many points; nothing where none is known."""
    parts = [f"{shown(found)} of the {what}" for what, found in (("energy", energies), ("area", areas)) if found]
    return [f"memories are {', '.join(parts)}"] if parts else []


def _float32_share(network: Network, result: SimulationResult) -> float | None:
    """Return the share of the DRAM traffic that is tensors kept in float32, whatever the unit; None without traffic."""
    storage = store(network, result.accelerator, lambda layer, placed: 0)  # how tensors are kept, not where
    kept = {
        name
        for name, spec in network.tensors.items()
        if name in storage.same and (spec.dtype, outside_form(network, storage, name)) == _FLOAT32
    }
    moves = [move for layer in result.layers for move in layer.traffic.moves if move.port == "dram"]
    total = sum(move.bits for move in moves)
    return sum(move.bits for move in moves if move.tensor in kept) / total if total else None


def _memory_energy_share(result: SimulationResult, prices: Prices) -> float | None:
    """Return the share of SRAM and DRAM in a pass's energy, the SRAMs' leakage in it; None without that energy."""
    total = result.energy.total_pj
    if not total:
        return None
    leakage_mw = sum(memory.leakage_mw or 0.0 for memory in (prices.activations, prices.weights))
    return (result.energy.sram_pj + result.energy.dram_pj + 1e3 * leakage_mw * result.latency_us) / total


def has_own_memories(spec: Accelerator) -> bool:
    """Tell whether the prices of on-chip memories are of the accelerator's chip: not on an FPGA, but the file's own."""
    if not isinstance(known_technologies.read(spec.technology), FpgaTechnology):
        return True
    return all(
        {"read_pj_per_bit", "write_pj_per_bit"} <= {key for key, _ in memory.constants}
        for memory in (spec.activations, spec.weights)
    )


def _constants(spec: Accelerator, prices: Prices) -> list[str]:
    """Say at which node and temperature memories and cells are priced; nothing where the source has none."""
    technology = known_technologies.read(spec.technology)
    memories = {f"{each.node_nm} nm" for each in (prices.activations, prices.weights) if "350 K" in each.source}
    if not (memories and isinstance(technology, Technology)):
        return []
    celsius = technology.operating_point.temperature_c
    return [f"SRAM is CACTI's at {', '.join(sorted(memories))} and 350 K, cells at {celsius:g} C"]


def operand_notes(spec: Accelerator, network: Network) -> list[str]:
    """Say how the blocks of convolutions are computed and priced; nothing where there are none."""
    is_blocked = any(isinstance(operand, BlockSpec) for operand in (spec.unit.a, spec.unit.b))
    if not (is_blocked and any(isinstance(layer, Conv) for layer in network.layers)):
        return []
    return [_BLOCKS]


def shown(found: Sequence[float]) -> str:
    """Return shares as a percentage, or as the range of them."""
    ends = list(dict.fromkeys(f"{100 * share:.0f}" for share in (min(found), max(found))))
    return f"{' to '.join(ends)} %"
