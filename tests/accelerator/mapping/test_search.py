# SPDX-License-Identifier: Apache-2.0
"""The search: bounds that hold, the optimum of small products against a walk of every tiling, limits that are said."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

import hwsim
from hwsim.accelerator import ArrayKind, Objective
from hwsim.accelerator.mapping.layer_plan import AccessEnergies
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.orders import ORDERS
from hwsim.accelerator.mapping.pieces import Matrix, Operand, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.search import energy_pj, rank, search
from hwsim.accelerator.mapping.tilings import candidates
from hwsim.accelerator.mapping.visits import Tiling
from hwsim.accelerator.mapping.walk import walk
from hwsim.network import MatmulShape

ENERGIES = AccessEnergies(0.1, 0.12, 0.2, 0.25, 8.0, 0.1, 1.0)
KINDS = (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY)


def _machine(kind: ArrayKind, objective: Objective = Objective.LATENCY, **array: Any) -> Machine:
    base = hwsim.accelerator.read("int8_16x16")
    accelerator = replace(
        base,
        array=replace(base.array, dataflow=kind, rows=4, columns=4, **array),
        activations=replace(base.activations, width_bits=256),
        weights=replace(base.weights, width_bits=256),
        dram=replace(base.dram, bits_per_cycle=32),
        mapping=replace(base.mapping, objective=objective),
    )
    return Machine(accelerator)


def _problem(product: MatmulShape, places: str, bits: int) -> Problem:
    kinds = {"c": Place.CHIP, "k": Place.KEPT, "d": Place.DRAM}
    a, b, out = (kinds[each] for each in places)
    groups = product.groups
    return Problem(
        product=product,
        a=Operand("activation", a, Matrix(), groups, 8, 8),
        b=Operand("weight", b, Matrix(), groups, 8, 8),
        out=Operand("activation", out, Matrix(), groups, 8, 8),
        arrangement="plain",
        factor=1,
        groups=groups,
        k=product.k,
        swapped=False,
        activation_bits=bits,
        weight_bits=bits,
    )


def _need(machine: Machine, problem: Problem, tiling: Tiling) -> dict[str, int]:
    """Count what a tiling needs on chip, from its definition."""
    groups, m, k, n = problem.product
    need = {"activation": 0, "weight": 0}
    several = (tiling.groups, tiling.m, tiling.n, tiling.k) != (groups, m, n, k)
    for operand, rows, total, held in (
        (problem.a, tiling.m, m, tiling.hold_a),
        (problem.b, tiling.n, n, tiling.hold_b),
    ):
        if operand.place is Place.DRAM:
            piece = 8 * tiling.groups * rows * tiling.k * (1 + several)
            need[operand.memory] += 8 * groups * total * k if held else piece
    if problem.out.place is Place.DRAM:
        need["activation"] += 8 * tiling.groups * tiling.m * tiling.n * (1 + several)
    if not machine.keeps_outputs and k > machine.folds.k:
        loops = [side for side in tiling.order if getattr(tiling, side) < getattr(problem.product, side)]
        inside = loops[loops.index("k") + 1 :] if "k" in loops else []
        live = (m if "m" in inside else tiling.m) * (n if "n" in inside else tiling.n)
        need["activation"] += live * machine.sum_bits
    return need


def _every(machine: Machine, problem: Problem) -> list[Tiling]:
    """Return all legal tilings in whole folds, however even, with all orders."""
    product, one = problem.product, machine.folds
    sides = [
        [*range(fold, total, fold), total]
        for total, fold in ((product.m, one.m), (product.n, one.n), (product.k, one.k))
    ]
    if machine.keeps_outputs:
        sides[2] = [product.k]
    whole = [
        Tiling(g, product.m, product.n, product.k, ORDERS[0], False, False, "") for g in range(1, product.groups + 1)
    ]
    found = whole + [
        Tiling(1, m, n, k, order, hold_a, hold_b, "")
        for m, n, k in itertools.product(*sides)
        for order in ORDERS
        for hold_a, hold_b in itertools.product((False, True), repeat=2)
    ]
    free = {"activation": problem.activation_bits, "weight": problem.weight_bits}
    return [each for each in found if all(bits <= free[name] for name, bits in _need(machine, problem, each).items())]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", list(Objective))
def test_search_finds_the_best_of_all_tilings(kind: ArrayKind, objective: Objective) -> None:
    machine, compared = _machine(kind, objective), 0
    for product, places, bits in (
        (MatmulShape(1, 20, 9, 14), "ddd", 2400),
        (MatmulShape(1, 10, 12, 9), "cdc", 1800),
        (MatmulShape(3, 6, 5, 7), "ddc", 1200),
    ):
        problem = _problem(product, places, bits)
        found = search(machine, [problem], ENERGIES)
        assert found is not None
        best = None
        for tiling in _every(machine, problem):
            walked = walk(machine, problem, tiling)
            here = rank(objective, walked.cycles, energy_pj(ENERGIES, walked), walked.tiles)
            best = here if best is None else min(best, here)
            compared += 1
        assert best is not None
        if found.exhaustive:
            assert found.rank[0] <= best[0] * (1 + 1e-12)
        assert found.rank[0] <= best[0] * 1.02
    assert compared > 40


@pytest.mark.parametrize("kind", [*KINDS, ArrayKind.BROADCAST, ArrayKind.ADDER_TREE])
@pytest.mark.parametrize("count", [1, 3])
def test_bounds_are_no_more_than_what_tilings_take(kind: ArrayKind, count: int) -> None:
    machine, compared = _machine(kind, count=count), 0
    for product in (MatmulShape(1, 23, 20, 14), MatmulShape(2, 9, 18, 10)):
        for places, bits in itertools.product(("ddd", "cdc", "kdd"), (4000, 1 << 30)):
            problem = _problem(product, places, bits)
            for shared in ("m", "n") if count > 1 else ("",):
                tilings, whole = candidates(machine, problem, shared, ENERGIES)
                assert whole
                for index in range(0, len(tilings.tiles), 7):
                    walked = walk(machine, problem, tilings.tiling(index, shared))
                    assert tilings.cycles[index] <= walked.cycles
                    assert tilings.energy_pj[index] <= energy_pj(ENERGIES, walked) * (1 + 1e-12)
                    assert tilings.tiles[index] == walked.tiles
                    compared += 1
    assert compared > 30


def test_candidates_need_what_their_definition_says() -> None:
    compared = 0
    for kind in KINDS:
        machine = _machine(kind)
        for places in ("ddd", "cdc"):
            problem = _problem(MatmulShape(2, 9, 18, 10), places, 6000)
            tilings, _ = candidates(machine, problem, "", ENERGIES)
            for index in range(len(tilings.tiles)):
                tiling = tilings.tiling(index, "")
                need = _need(machine, problem, tiling)
                assert tilings.need[index] == need["activation"] <= 6000
                assert need["weight"] <= 6000
                compared += 1
    assert compared > 100


def test_candidates_under_a_limit_say_so() -> None:
    machine = _machine(ArrayKind.WEIGHT_STATIONARY)
    problem = _problem(MatmulShape(1, 400, 200, 300), "ddd", 1 << 30)
    accelerator = machine.accelerator
    many = Machine(replace(accelerator, mapping=replace(accelerator.mapping, limit=100_000)))
    every, whole = candidates(many, problem, "", ENERGIES)
    assert whole
    few = Machine(replace(accelerator, mapping=replace(accelerator.mapping, limit=20)))
    tilings, whole = candidates(few, problem, "", ENERGIES)
    assert not whole
    shapes = set(zip(tilings.m.tolist(), tilings.n.tolist(), tilings.k.tolist(), strict=True))
    assert 1 < len(shapes) <= 20 < len(every.tiles)
    found = search(few, [problem], ENERGIES)
    assert found is not None
    assert not found.exhaustive


def test_search_without_a_legal_tiling_finds_none() -> None:
    assert (
        search(_machine(ArrayKind.OUTPUT_STATIONARY), [_problem(MatmulShape(1, 20, 9, 14), "ddd", 10)], ENERGIES)
        is None
    )
