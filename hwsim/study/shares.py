# SPDX-License-Identifier: Apache-2.0
"""What of a pass no format changes: the memories' share of energy and area, and float32 tensors in the traffic."""

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
    "BLOCKS",
    "constants",
    "float32_share",
    "has_own_memories",
    "memory_energy_share",
    "operand_notes",
    "shown",
]

BLOCKS = "along the rows of im2col: channel by channel, the kernel's positions in each"
"""How blocks lie in a convolution's operands, as they are computed."""
_FLOAT32 = ("float32", 32)


def float32_share(network: Network, result: SimulationResult) -> float | None:
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


def memory_energy_share(result: SimulationResult, prices: Prices) -> float | None:
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


def constants(spec: Accelerator, prices: Prices) -> list[str]:
    """Say at which node and temperature memories and cells are priced; nothing where the source has none."""
    technology = known_technologies.read(spec.technology)
    memories = {f"{each.node_nm} nm" for each in (prices.activations, prices.weights) if "350 K" in each.source}
    if not (memories and isinstance(technology, Technology)):
        return []
    return [f"SRAM is CACTI's at {', '.join(sorted(memories))} and 350 K, cells at {technology.temperature_c:g} C"]


def operand_notes(spec: Accelerator, network: Network) -> list[str]:
    """Say how the blocks of convolutions are computed and priced; nothing where there are none."""
    is_blocked = any(isinstance(operand, BlockSpec) for operand in (spec.unit.a, spec.unit.b))
    if not (is_blocked and any(isinstance(layer, Conv) for layer in network.layers)):
        return []
    return [f"blocks of convolutions: {BLOCKS}; traffic is priced as if tensors were stored in such blocks"]


def shown(shares: list[float]) -> str:
    """Return shares as a percentage, or as the range of them."""
    ends = list(dict.fromkeys(f"{100 * share:.0f}" for share in (min(shares), max(shares))))
    return f"{' to '.join(ends)} %"
