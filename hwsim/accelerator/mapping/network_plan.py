# SPDX-License-Identifier: Apache-2.0
"""Plan a whole network: what stays on chip, then layer by layer the best mapping."""

from dataclasses import replace
from functools import partial
from typing import TypeGuard

from hwsim.accelerator.mapping.arrangements import arrangements
from hwsim.accelerator.mapping.assemble import product_plan
from hwsim.accelerator.mapping.layer_plan import AccessEnergies, LayerPlan
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.operands import least_bits, plain_problem
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.search import Found, search
from hwsim.accelerator.mapping.storage import Storage, store
from hwsim.accelerator.mapping.vector import vector_plan
from hwsim.accelerator.spec import Accelerator
from hwsim.network import Layer, Network
from hwsim.network.layers.conv import Conv
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "plan",
]


def plan(network: Network, accelerator: Accelerator, energies: AccessEnergies) -> tuple[LayerPlan, ...]:
    """Plan a pass of a network's batch on an accelerator: no values, cycles and traffic alone.

    Layers run one after the other. What is kept on chip between them is decided first (`storage.store`), then each
    layer's mapping is searched for by `accelerator.mapping`; equal layers are searched for once.

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
    machine = Machine(accelerator)
    storage = store(network, accelerator, partial(_least, network, machine))
    known: dict[object, Found | None] = {}
    return tuple(
        _layer(network, machine, energies, storage, known, index, layer) for index, layer in enumerate(network.layers)
    )


def _least(network: Network, machine: Machine, layer: Layer, storage: Storage) -> int:
    """Return what a layer's tiles need at least of the activations' memory."""
    if machine.keeps_outputs and all(map(storage.chip, (*layer.inputs, *layer.outputs))):
        return 0
    if _multiplies(layer, network):
        return least_bits(machine, plain_problem(network, machine.accelerator, storage, layer, 0))
    streams = sum(not storage.chip(name) for name in (*layer.inputs, *layer.outputs) if layer.kind != "reshape")
    return 2 * machine.widths["activation"] * streams


def _layer(
    network: Network,
    machine: Machine,
    energies: AccessEnergies,
    storage: Storage,
    known: dict[object, Found | None],
    index: int,
    layer: Layer,
) -> LayerPlan:
    if not _multiplies(layer, network):
        return vector_plan(network, machine.accelerator, storage, layer)
    problem = plain_problem(
        network, machine.accelerator, storage, layer, machine.capacity - storage.resident_bits[index]
    )
    found = _found(machine, energies, known, layer, problem, network.tensors[layer.inputs[0]].shape)
    return product_plan(machine.accelerator, energies, layer, problem.product, found)


def _multiplies(layer: Layer, network: Network) -> TypeGuard[MultiplyAccumulate]:
    """Tell whether a layer has anything to multiply."""
    product = layer.matmul_shape(network.specs(layer)) if isinstance(layer, MultiplyAccumulate) else None
    return product is not None and product.macs > 0


def _found(
    machine: Machine,
    energies: AccessEnergies,
    known: dict[object, Found | None],
    layer: Layer,
    problem: Problem,
    shape: tuple[int, ...],
) -> Found:
    """Return the best mapping, from an equal layer where there was one."""
    window = layer.window if isinstance(layer, Conv) else None
    roomy = replace(problem, activation_bits=machine.capacity)
    for room in (roomy, problem):  # what fits with less is what is best with more, if it was found there
        key = (room, window)
        if key not in known:
            problems = [room, *arrangements(machine, layer, room, shape)]
            known[key] = search(machine, problems, energies)
        found = known[key]
        if found is not None and found.need <= problem.activation_bits:
            return found
    raise ValueError(
        f"layer {layer.name!r}: no tiling of {problem.product} fits into {problem.activation_bits} bits of the "
        f"activations' memory and {problem.weight_bits} of the weights'"
    )
