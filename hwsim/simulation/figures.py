# SPDX-License-Identifier: Apache-2.0
"""A layer's figures, from its plan and the prices; no value is looked at."""

from cost_models.memory import Stream
from hwsim.accelerator import Accelerator
from hwsim.accelerator.mapping import LayerPlan, plan
from hwsim.network import Network
from hwsim.prices import Prices
from hwsim.result import LayerResult, peak_macs
from hwsim.simulation.energy import access_energies, layer_energy, power

__all__ = [
    "layer_results",
]


def layer_results(network: Network, accelerator: Accelerator, prices: Prices) -> tuple[LayerResult, ...]:
    """Return what each layer takes in a pass of the network's batch, in order."""
    fixed, peak = power(accelerator, prices), peak_macs(accelerator)
    results, start = [], 0
    for each in plan(network, accelerator, access_energies(accelerator, prices)):
        layer, cycles = each.layer, each.cycles
        macs = 0 if each.product is None else each.product.macs
        rows = _activations(prices, each)
        results.append(
            LayerResult(
                name=layer.name,
                kind=layer.kind,
                plan=each,
                start_cycle=start,
                macs=macs,
                utilisation=macs / (max(cycles, 1) * peak),
                dram_activations=rows,
                energy=layer_energy(accelerator, prices, fixed, each, rows),
            )
        )
        start += cycles
    return tuple(results)


def _activations(prices: Prices, plan: LayerPlan) -> int:
    """Count the rows of the DRAM that a layer opens, where they have an energy of their own."""
    if not prices.dram.counts_rows:
        return 0
    outside = [move for move in plan.traffic.moves if move.port == "dram"]
    return prices.dram.activations([Stream(move.bits // move.times, move.times) for move in outside])
