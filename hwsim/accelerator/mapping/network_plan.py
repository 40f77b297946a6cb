# SPDX-License-Identifier: Apache-2.0
"""Plan a whole network: what stays on chip, then layer by layer the best mapping."""

from dataclasses import dataclass, replace
from functools import partial

from hwsim.accelerator.mapping.arrangements import arrangements
from hwsim.accelerator.mapping.assemble import product_plan
from hwsim.accelerator.mapping.layer_plan import AccessEnergies, LayerPlan
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.operands import least_bits, plain_problem
from hwsim.accelerator.mapping.pieces import Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.search import Found, Rank, rank, search
from hwsim.accelerator.mapping.storage import Storage, store
from hwsim.accelerator.mapping.vector import vector_plan
from hwsim.accelerator.spec import Accelerator
from hwsim.accelerator.traffic import PORTS
from hwsim.network import Layer, Network
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "plan",
]


_TRIALS = 24  # other decisions on what stays on chip that are planned out
_WAITS = 1.02  # times what the array takes at least: from then on a mapping is limited by memories
_WORTH = 0.01  # of all layers together: what one must lose for want of room


def plan(network: Network, accelerator: Accelerator, energies: AccessEnergies) -> tuple[LayerPlan, ...]:
    """Plan a pass of a network's batch on an accelerator: no values, cycles and traffic alone.

    Layers run one after the other. What is kept on chip between them is decided first: all that fits
    (`storage.store`), beside the smallest tiles of the layer at hand, or beside the smallest that have all of K where
    that is better. Then each layer's mapping is searched for by `accelerator.mapping`; equal layers are searched for
    once. Where tensors that stay on chip leave a layer too little room for its best mapping, each of them is tried in
    the DRAM instead, the worst such layer first, and stays there if the whole network is better for it.

    Parameters
    ----------
    network : Network
    accelerator : Accelerator
    energies : AccessEnergies
        What the search takes for an access, a step and an idle cycle.

    Returns
    -------
    tuple of LayerPlan
        One for each layer, in the network's order.

    Raises
    ------
    ValueError
        If the smallest tiles of a layer do not fit the memories.
    """
    if not network.layers:  # every output is an input or a constant
        return ()
    planner = _Planner(network, accelerator, energies)
    best = min((planner.planned(frozenset(), whole=whole) for whole in (False, True)), key=lambda each: each.rank)
    trials, settled = 0, set[int]()
    while trials < _TRIALS and (index := planner.tightest(best, settled)) is not None:
        live = sorted(best.storage.live[index])
        others = [planner.planned(best.spilled | {root}, whole=best.whole) for root in live]
        trials += len(others)
        better = min(others, key=lambda other: other.rank, default=best)
        if better.rank < best.rank:
            best = better
        else:
            settled.add(index)
    return best.plans


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A network planned with some tensors spilled; its rank, and the share of it that each layer loses for room.

    `whole` is whether all of K was to have room in each layer.
    """

    spilled: frozenset[str]
    whole: bool
    storage: Storage
    plans: tuple[LayerPlan, ...]
    rank: Rank
    losses: tuple[float, ...]


class _Planner:
    """Plans a network, and remembers the mappings that were found."""

    def __init__(self, network: Network, accelerator: Accelerator, energies: AccessEnergies) -> None:
        self._network = network
        self._accelerator = accelerator
        self._energies = energies
        self._machine = Machine(accelerator)
        self._known: dict[object, Found | None] = {}
        self._plans: dict[tuple[int, Problem], tuple[LayerPlan, float]] = {}
        self._planned: dict[frozenset[str], _Planned] = {}

    def planned(self, spilled: frozenset[str], *, whole: bool) -> _Planned:
        """Plan all layers."""
        storage = store(self._network, self._accelerator, partial(self._least, whole=whole), spilled)
        if storage.on_chip in self._planned:  # the same tensors stay
            return replace(self._planned[storage.on_chip], spilled=spilled, whole=whole)
        plans, losses = zip(*(self._layer(storage, *each) for each in enumerate(self._network.layers)), strict=True)
        objective = self._accelerator.mapping.objective
        spent = [(each.cycles, self._energy_pj(each)) for each in plans]
        total = sum(rank(objective, *each, 0)[0] for each in spent) or 1
        planned = self._planned[storage.on_chip] = _Planned(
            spilled=spilled,
            whole=whole,
            storage=storage,
            plans=plans,
            rank=rank(objective, sum(cycles for cycles, _ in spent), sum(energy for _, energy in spent), 0),
            losses=tuple(loss / total for loss in losses),
        )
        return planned

    def tightest(self, planned: _Planned, settled: set[int]) -> int | None:
        """Return the layer that loses most for want of room, but for those that are settled."""
        index = max(range(len(planned.losses)), key=lambda each: (each not in settled, planned.losses[each]))
        return None if index in settled or planned.losses[index] <= _WORTH else index

    def _least(self, layer: Layer, storage: Storage, *, whole: bool) -> int:
        """Return what a layer's tiles need at least of the activations' memory.

        That is: twice and with all of K, if that is asked for; twice; once; the first of these that it has room for.
        """
        if self._machine.keeps_outputs and all(map(storage.chip, (*layer.inputs, *layer.outputs))):
            return 0
        if isinstance(layer, MultiplyAccumulate):
            problem = plain_problem(self._network, self._accelerator, storage, layer, 0)
            capacity, once = self._machine.capacity, self._machine.undoubled(("activation",))
            ways = [(self._machine, True)] * whole + [(self._machine, False), (once, False)]
            needs = [least_bits(machine, problem, whole=way) for machine, way in ways]
            return next((need for need in needs if need <= capacity), needs[-1])
        streams = sum(not storage.chip(name) for name in (*layer.inputs, *layer.outputs) if layer.kind != "reshape")
        return 2 * self._machine.widths["activation"] * streams

    def _layer(self, storage: Storage, index: int, layer: Layer) -> tuple[LayerPlan, float]:
        """Return a layer's plan, and by how much it would be better with all of the memory."""
        if not isinstance(layer, MultiplyAccumulate):
            return vector_plan(self._network, self._accelerator, storage, layer), 0.0
        room = self._machine.capacity - storage.resident_bits(index)
        problem = plain_problem(self._network, self._accelerator, storage, layer, room)
        if (index, problem) not in self._plans:
            found, loss = self._found(layer, problem)
            plan = product_plan(self._accelerator, self._energies, layer, problem.product, found)
            self._plans[index, problem] = plan, loss
        return self._plans[index, problem]

    def _found(self, layer: MultiplyAccumulate, problem: Problem) -> tuple[Found, float]:
        """Return the best mapping, from an equal layer where there was one, and what want of room costs."""
        window = layer.window if isinstance(layer, Conv) else None
        shape = self._network.tensors[layer.inputs[0]].shape
        roomy = replace(problem, activation_bits=self._machine.capacity)
        best: Found | None = None
        for room in (roomy, problem):  # what fits with less is what is best with more, if it was found there
            key = (room, window)
            if key not in self._known:
                problems = [room, *arrangements(self._machine, layer, room, shape)]
                self._known[key] = self._searched(problems)
            found = self._known[key]
            best = best or found
            if found is not None and found.need <= problem.activation_bits:
                return found, found.rank[0] - best.rank[0] if best is not None else 0.0
        raise ValueError(
            f"layer {layer.name!r}: no tiling of {problem.product} fits into {problem.activation_bits} bits of the "
            f"activations' memory and {problem.weight_bits} of the weights'"
        )

    def _searched(self, problems: list[Problem]) -> Found | None:
        """Return the best mapping: of those, too, that use a double-buffered memory as one, if the array waits much."""
        machine, plain = self._machine, problems[0]
        found = search(machine, problems, self._energies)
        if found is not None:
            array = min(machine.cost(each.product, found.walked.tiling.shared).cycles for each in problems)
            if found.walked.cycles <= _WAITS * array:
                return found
        tiled = {each.memory for each in (plain.a, plain.b, plain.out) if each.place is Place.DRAM}
        doubled = [memory for memory in ("activation", "weight") if machine.doubled[memory] and memory in tiled]
        for memories in ((memory,) for memory in doubled):
            found = search(machine.undoubled(memories), problems, self._energies, found)
        return found if len(doubled) < 2 else search(machine.undoubled((*doubled,)), problems, self._energies, found)

    def _energy_pj(self, plan: LayerPlan) -> float:
        """Return what a layer takes: accesses, steps and idling; nothing for what is not known."""
        return self._energies.total_pj(map(plan.traffic.port_bits, PORTS), plan.steps, plan.cycles)
