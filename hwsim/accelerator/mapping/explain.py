# SPDX-License-Identifier: Apache-2.0
"""Why a mapping was chosen, in words and numbers."""

from hwsim.accelerator.mapping.layer_plan import AccessEnergies
from hwsim.accelerator.mapping.search import Found, Other
from hwsim.accelerator.spec import Accelerator, Objective

__all__ = [
    "explain",
]

_MEMORIES = {"activation": "activations'", "weight": "weights'"}
_AIMS = {Objective.LATENCY: "cycles", Objective.ENERGY: "energy", Objective.EDP: "cycles times energy"}


def explain(accelerator: Accelerator, energies: AccessEnergies, best: Found) -> tuple[str, ...]:
    """Return sentences: what was chosen, what limits it, what the others would take, and how many were compared."""
    lines = [_chosen(best), _limit(accelerator, best)]
    lines += [_other(each) for each in best.others]
    tried = best.tried
    proven = "of these, none is better" if best.exhaustive else f"none takes less than {100 * best.share:.1f} % of it"
    aim = _AIMS[accelerator.mapping.objective]
    lines.append(f"{tried} tiling{'s' * (tried != 1)} compared for least {aim}; {proven}")
    if energies.step_pj is None or energies.idle_pj_per_cycle is None:
        lines.append("energy of accesses alone: that of the units is not known")
    return tuple(lines)


def _name(found: Found | Other) -> str:
    """Say an arrangement."""
    factor = found.problem.factor
    return {
        "packed_groups": f"{factor} groups side by side",
        "toeplitz": f"{factor} pixels side by side",
    }.get(found.problem.arrangement, found.problem.arrangement)


def _buffers(found: Found | Other) -> str:
    """Say which memories are used as one buffer."""
    names = " and ".join(f"the {_MEMORIES[memory]}" for memory in found.single)
    return f", {names} memory as one buffer" if names else ""


def _other(other: Other) -> str:
    """Say what another arrangement takes, or other buffers."""
    least = "" if other.exact else " at least"
    energy = "" if other.energy_pj is None else f" and {other.energy_pj / 1000:.4g} nJ"
    return f"{_name(other)}{_buffers(other)} would take{least} {other.cycles} cycles{energy}"


def _figures(found: Found) -> str:
    return f"{found.walked.cycles} cycles and {found.energy_pj / 1000:.4g} nJ"


def _chosen(best: Found) -> str:
    """Say the tiles and their order."""
    tiling, product = best.walked.tiling, best.problem.product
    sides = f"{tiling.groups} x {tiling.m} x {tiling.k} x {tiling.n}"
    whole = f"{product.groups} x {product.m} x {product.k} x {product.n}"
    held = " and ".join(name for name, hold in (("a", tiling.hold_a), ("b", tiling.hold_b)) if hold)
    shared = f", {tiling.shared} shared out among the arrays" if tiling.shared else ""
    if best.walked.tiles == 1:
        return f"{_name(best)}: one tile of {whole} (groups, m, k, n){shared}{_buffers(best)}: {_figures(best)}"
    return (
        f"{_name(best)}: {best.walked.tiles} tiles of {sides} out of {whole} (groups, m, k, n), loops from the "
        f"outermost {', '.join(('groups', *tiling.order))}{f', {held} held' if held else ''}{shared}{_buffers(best)}: "
        f"{_figures(best)}"
    )


def _limit(accelerator: Accelerator, best: Found) -> str:
    """Say what the time goes to."""
    walked = best.walked
    activations, weights = accelerator.activations.port_bits, accelerator.weights.port_bits
    busy = {
        "the array": walked.costs.total.cycles,
        "DRAM bandwidth": -(-walked.bits.dram // accelerator.dram.bits_per_cycle),
        "the activations' read port": -(-walked.bits.activation_read // activations),
        "the activations' write port": -(-walked.bits.activation_write // activations),
        "the weights' read port": -(-walked.bits.weight_read // weights),
        "the weights' write port": -(-walked.bits.weight_write // weights),
    }
    name = max(busy, key=lambda each: busy[each])
    return f"limited by {name}, busy {busy[name]} of {walked.cycles} cycles ({100 * busy[name] / walked.cycles:.0f} %)"
