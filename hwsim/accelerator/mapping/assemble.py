# SPDX-License-Identifier: Apache-2.0
"""From the mappings that were found to a product's plan: cycles part by part, every move, events."""

from hwsim.accelerator.arrays import Schedule
from hwsim.accelerator.footprint import Footprint
from hwsim.accelerator.mapping.explain import explain
from hwsim.accelerator.mapping.layer_plan import AccessEnergies, Event, LayerPlan, Mapping
from hwsim.accelerator.mapping.pieces import Operand, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.search import Found
from hwsim.accelerator.mapping.walk import Walked
from hwsim.accelerator.spec import Accelerator
from hwsim.accelerator.traffic import Move, Traffic, move
from hwsim.network import MatmulShape
from hwsim.network.layers.multiply_accumulate import MultiplyAccumulate

__all__ = [
    "product_plan",
]


def product_plan(
    accelerator: Accelerator,
    energies: AccessEnergies,
    layer: MultiplyAccumulate,
    product: MatmulShape,
    best: Found,
) -> LayerPlan:
    """Return the plan of a layer whose best mapping was found."""
    walked, array = best.walked, best.walked.costs.total
    schedule = Schedule(
        load_cycles=array.load,
        skew_cycles=array.skew,
        stream_cycles=array.stream,
        drain_cycles=array.drain,
        folds=array.folds,
        a_elements=array.a_elements,
        b_elements=array.b_elements,
        partial_sums=array.partial_sums,
    )
    return LayerPlan(
        layer=layer,
        product=product,
        mapping=_mapping(accelerator, energies, best),
        schedule=schedule,
        steps=array.steps,
        fill_cycles=walked.first_load + array.load + array.skew,
        compute_cycles=array.stream,
        drain_cycles=array.drain + walked.last_store,
        stall_cycles=walked.stall,
        traffic=Traffic(moves=tuple(_moves(layer, best.problem, walked))),
        register_bits=array.register_bits,
        weights_resident=layer.weight is not None and _weights(best.problem).place is Place.CHIP,
        events=_events(accelerator, best.problem, walked),
    )


def _weights(problem: Problem) -> Operand:
    return problem.a if problem.swapped else problem.b


def _mapping(accelerator: Accelerator, energies: AccessEnergies, best: Found) -> Mapping:
    problem, tiling = best.problem, best.walked.tiling
    held = [name for name, hold in (("a", tiling.hold_a), ("b", tiling.hold_b)) if hold]
    return Mapping(
        tile_groups=tiling.groups,
        tile_m=tiling.m,
        tile_n=tiling.n,
        tile_k=tiling.k,
        order=("groups", *tiling.order),
        held=tuple(held),
        arrangement=problem.arrangement,
        factor=problem.factor,
        arrays=tiling.shared,
        tried=best.tried,
        exhaustive=best.exhaustive,
        explanation=explain(accelerator, energies, best),
    )


def _moves(layer: MultiplyAccumulate, problem: Problem, walked: Walked) -> list[Move]:
    """Return what goes through each port: operands, sums that folds leave for one another, outputs."""
    spent = walked.costs
    first, second = (layer.inputs[0], layer.inputs[1] if layer.weight is None else f"{layer.name}.weight")
    names = (second, first) if problem.swapped else (first, second)
    moves = []
    groups, m, k, n = problem.product
    operands = (
        (problem.a, walked.a, spent.a_read, spent.total.a_elements // (groups * m * k)),
        (problem.b, walked.b, spent.b_read, spent.total.b_elements // (groups * k * n)),
    )
    for name, (operand, loaded, read, times) in zip(names, operands, strict=True):
        if operand.place is not Place.CHIP:
            moves += [move(name, "dram", loaded.outside, loaded.times)]
            moves += [move(name, f"{operand.memory}_write", loaded.stored, loaded.times)]
        moves.append(move(name, f"{operand.memory}_read", read, times))
    sums = (spent.sums_written, spent.sums_read)
    for port, bits in zip(("activation_write", "activation_read"), sums, strict=True):
        if bits:
            moves.append(move(f"{layer.name}.partial_sums", port, Footprint(bits)))
    (out,) = layer.outputs
    moves.append(move(out, "activation_write", walked.out.stored))
    if problem.out.place is not Place.CHIP:
        moves += [move(out, "activation_read", walked.out.stored), move(out, "dram", walked.out.outside)]
    return moves


def _events(accelerator: Accelerator, problem: Problem, walked: Walked) -> tuple[Event, ...]:
    """Return the array's parts, each in one piece, and the DRAM's: loads from the start, stores to the end."""
    array, dram = walked.costs.total, accelerator.dram.bits_per_cycle
    loads = -(-(walked.a.outside.bits + walked.b.outside.bits) // dram)
    stores = 0 if problem.out.place is Place.CHIP else -(-walked.out.outside.bits // dram)
    lengths = (
        ("fill", array.load + array.skew),
        ("compute", array.stream),
        ("stall", walked.stall),
        ("drain", array.drain),
    )
    events = [Event("load", 0, loads)] if loads else []
    now = walked.first_load
    for what, length in lengths:
        if length:
            events.append(Event(what, now, now + length))
        now += length
    if stores:
        events.append(Event("store", walked.cycles - stores, walked.cycles))
    return tuple(sorted(events, key=lambda event: event.start))
