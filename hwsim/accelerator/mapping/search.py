# SPDX-License-Identifier: Apache-2.0
"""The search for the best mapping: tilings in order of what they take at least, walked until none can win."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.mapping.bounds import Candidates
from hwsim.accelerator.mapping.layer_plan import AccessEnergies
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.tilings import candidates
from hwsim.accelerator.mapping.walk import Walked, walk
from hwsim.accelerator.spec import Objective

__all__ = [
    "Found",
    "Other",
    "energy_pj",
    "search",
]

_WALKS = 12  # of an arrangement and a way to share it out at most; what is left then might be better
_OTHER_WALKS = 12  # of the best by each other objective then
Rank = tuple[Any, Any, Any]


class Found(NamedTuple):
    """The best mapping of a product.

    need : bits of the activations' memory for tiles
    rank : what the objective is, then the others, then the number of tiles
    tried : legal tilings compared, of all arrangements
    exhaustive : whether none is better
    share : what any of those compared takes at least, of the objective, as a share of this one
    others : what the best of each other arrangement takes
    single : double-buffered memories that are used as one buffer
    """

    problem: Problem
    walked: Walked
    energy_pj: float
    need: int
    rank: Rank
    tried: int = 0
    exhaustive: bool = True
    share: float = 1.0
    others: "tuple[Other, ...]" = ()
    single: tuple[str, ...] = ()


class Other(NamedTuple):
    """What the best mapping of an arrangement takes, or what all of them take at least."""

    problem: Problem
    cycles: int
    energy_pj: float | None
    exact: bool
    single: tuple[str, ...] = ()


def energy_pj(energies: AccessEnergies, walked: Walked) -> float:
    """Return what a mapping takes: accesses, steps and idling; nothing for what is not known."""
    return energies.total_pj(walked.bits, walked.costs.total.steps, walked.cycles)


def rank(objective: Objective, cycles: Any, energy: Any, tiles: Any) -> Rank:
    """Return what mappings are compared by, the less the better; of arrays, element by element."""
    if objective is Objective.LATENCY:
        return cycles, energy, tiles
    if objective is Objective.ENERGY:
        return energy, cycles, tiles
    return cycles * energy, cycles, tiles


def search(
    machine: Machine, problems: Iterable[Problem], energies: AccessEnergies, rival: Found | None = None
) -> Found | None:
    """Return the best mapping of a product over its arrangements, or None where no tiling is legal.

    Arrangements come in order of what the array and its ports take for them; of one that cannot win the search ends as
    soon as that is known: from these cycles where latency counts, or from what its tilings take at least. With a rival,
    the best of another search of the product, that is returned unless one is better.
    """
    objective = machine.accelerator.mapping.objective
    best = rival
    others: list[Other] = [] if rival is None else [*rival.others]
    tried, exhaustive = (0, True) if rival is None else (rival.tried, rival.exhaustive)
    bounds = [] if rival is None else [rival.share * rival.rank[0]]
    usual = [problem for problem in problems if not _mirrored(machine, problem)]
    for problem in sorted(usual, key=lambda each: min(_floor(machine, each, way) for way in _shares(machine, each))):
        here: Found | None = None
        least: Other | None = None
        for shared in _shares(machine, problem):
            array = _floor(machine, problem, shared)
            bound: Other | None
            if best is not None and objective is Objective.LATENCY and array > best.walked.cycles:
                bound = Other(problem, array, None, exact=False)
            else:
                cutoff = min((each.rank for each in (best, here) if each is not None), default=None)
                found, bound, count, whole = _best(machine, problem, shared, energies, cutoff)
                tried, exhaustive = tried + count, exhaustive and whole
                here = found or here
                bounds += [] if bound is None else [rank(objective, bound.cycles, bound.energy_pj, 0)[0]]
            least = min((each for each in (least, bound) if each is not None), key=lambda x: x.cycles, default=None)
        if here is not None:
            others += [Other(best.problem, best.walked.cycles, best.energy_pj, True, best.single)] if best else []
            best = here
        elif least is not None and rival is None:
            others.append(least)
    if best is None:
        return None
    share = min(1.0, float(min(bounds) / best.rank[0])) if best.rank[0] else 1.0
    return best._replace(tried=tried, exhaustive=exhaustive, share=share, others=tuple(others))


def _floor(machine: Machine, problem: Problem, shared: str) -> int:
    """Return the cycles that the array, or a port that it reads operands through, takes at least."""
    cost = machine.cost(problem.product, shared)
    reads = dict.fromkeys(machine.widths, 0)
    for operand, bits, times in zip(
        (problem.a, problem.b),
        problem.reads(machine, problem.product, problem.groups),
        (cost.a_times, cost.b_times),
        strict=True,
    ):
        reads[operand.memory] += bits.bits * times
    return max(cost.cycles, *(-(-reads[name] // machine.widths[name]) for name in reads))


def _mirrored(machine: Machine, problem: Problem) -> bool:
    """Tell whether a transposed product takes just what the plain one does."""
    array = machine.accelerator.array
    return problem.swapped and machine.keeps_outputs and array.rows == array.columns


def _shares(machine: Machine, problem: Problem) -> tuple[str, ...]:
    """Return the sides that several arrays may share out: never K, whose sums would have to be added up."""
    if machine.accelerator.array.count == 1:
        return ("",)
    return ("groups", "m", "n") if problem.product.groups > 1 else ("m", "n")


def _best(
    machine: Machine, problem: Problem, shared: str, energies: AccessEnergies, cutoff: Rank | None
) -> tuple[Found | None, Other | None, int, bool]:
    """Return the best tiling that ranks before the cutoff, what all take at least, their number, if that is proven."""
    objective = machine.accelerator.mapping.objective
    tilings, exhaustive = candidates(machine, problem, shared, energies)
    if not len(tilings.tiles):
        return None, None, 0, exhaustive
    by = rank(objective, tilings.cycles, tilings.energy_pj, tilings.tiles)
    order = np.lexsort(by[::-1])
    first = int(order[0])
    bound = Other(problem, int(tilings.cycles[first]), float(tilings.energy_pj[first]), exact=False)
    best: Found | None = None
    seen = set[int]()
    for count, index in enumerate(_until_proven(objective, tilings, order)):
        least = tuple(float(each[index]) for each in by)
        better = cutoff is None or least < cutoff
        if count <= _WALKS and not better:
            break
        exhaustive = exhaustive and count < _WALKS
        if not better or index in seen:
            continue
        seen.add(index)
        walked = walk(machine, problem, tilings.tiling(index, shared))
        energy = energy_pj(energies, walked)
        here = rank(objective, walked.cycles, energy, walked.tiles)
        if cutoff is None or here < cutoff:
            best = Found(problem, walked, energy, int(tilings.need[index]), here, single=machine.single)
            cutoff = here
    return best, bound, len(tilings.tiles), exhaustive


def _until_proven(objective: Objective, tilings: Candidates, order: NDArray[np.int64]) -> Iterator[int]:
    """Yield the first tilings in order, one more, and then the first ones by each other objective."""
    yield from order[: _WALKS + 1].tolist()
    for other in Objective:
        if other is not objective and len(order) > _WALKS:
            by = rank(other, tilings.cycles, tilings.energy_pj, tilings.tiles)
            yield from np.lexsort(by[::-1])[:_OTHER_WALKS].tolist()
