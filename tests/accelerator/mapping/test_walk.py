# SPDX-License-Identifier: Apache-2.0
"""Tilings against a simulation that knows no closed form: loops, a cache of elements, cycle after cycle."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.accelerator import Accelerator, ArrayKind, schedule
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Image, Matrix, Operand, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.visits import Tiling
from hwsim.accelerator.mapping.walk import Walked, walk
from hwsim.network import MatmulShape

BITS = 8


def machine(kind: ArrayKind = ArrayKind.OUTPUT_STATIONARY, *, doubled: tuple[bool, bool] = (True, True)) -> Accelerator:
    base = hwsim.accelerator.read("int8_16x16")
    return replace(
        base,
        array=replace(base.array, dataflow=kind, rows=4, columns=4, depth=2 if kind is ArrayKind.CUBE else 1),
        activations=replace(base.activations, width_bits=64, double_buffered=doubled[0]),
        weights=replace(base.weights, width_bits=32, double_buffered=doubled[1]),
        dram=replace(base.dram, bits_per_cycle=16),
    )


def problem(product: MatmulShape, places: str, view: Image | Matrix = Matrix()) -> Problem:  # noqa: B008
    kinds = {"c": Place.CHIP, "k": Place.KEPT, "d": Place.DRAM}
    a, b, out = (kinds[each] for each in places)
    groups = product.groups
    return Problem(
        product=product,
        a=Operand("activation", a, view, groups, BITS, BITS, isinstance(view, Image)),
        b=Operand("weight", b, Matrix(), groups, BITS, BITS),
        out=Operand("activation", out, Matrix(), groups, BITS, BITS),
        arrangement="plain",
        factor=1,
        groups=groups,
        k=product.k,
        swapped=False,
        activation_bits=1 << 40,
        weight_bits=1 << 40,
    )


class Simulation:
    """Tiles one after the other: what each needs is loaded element by element, unless it is there."""

    def __init__(self, accelerator: Accelerator, problem: Problem, tiling: Tiling) -> None:
        self.accelerator, self.problem, self.tiling = accelerator, problem, tiling
        self.moved = {"a": 0, "b": 0, "stored": 0}
        self.cycles = self._run()

    def _tiles(self) -> list[dict[str, range]]:
        product, tiling = self.problem.product, self.tiling
        cuts = {
            side: [range(start, min(start + size, total)) for start in range(0, total, size)]
            for side, total, size in (
                ("groups", product.groups, tiling.groups),
                ("m", product.m, tiling.m),
                ("n", product.n, tiling.n),
                ("k", product.k, tiling.k),
            )
        }
        order = ("groups", *tiling.order)
        return [dict(zip(order, place, strict=True)) for place in itertools.product(*(cuts[side] for side in order))]

    def _elements(self, name: str, tile: dict[str, range], *, keep: bool) -> set[tuple[int, ...]]:
        """Return the elements of an operand that a tile needs: of an image whole lines and channels.

        Of lines that no window touches, those between windows, and where the image is loaded for good all others.
        """
        sides = {"a": ("groups", "m", "k"), "b": ("groups", "n", "k")}[name]
        view = self.problem.a.view
        if name == "b" or not isinstance(view, Image):
            return set(itertools.product(*(tile[side] for side in sides)))
        needed: dict[int, set[int]] = {}
        for row in tile["m"]:
            image, line = divmod(row // view.per_line, view.out_lines)
            top = line * view.stride - view.pad
            lines = needed.setdefault(image, set())
            lines.update(range(top, top + (max(view.extent, view.stride) if keep else view.extent)))
            if keep and line == view.out_lines - 1:
                lines.update(range(top, view.lines))
            if row - view.per_line in tile["m"] and line > 0:
                lines.update(range(top - view.stride, top))
        channels = {k // view.taps for k in tile["k"]}
        return {
            (group, image, line, pixel, channel)
            for group in tile["groups"]
            for image, lines in needed.items()
            for line in lines
            if 0 <= line < view.lines
            for pixel in range(view.pixels)
            for channel in channels
        }

    def _array(self, tile: dict[str, range], last: bool) -> tuple[int, int, int]:
        """Return cycles on the array, and how often it reads each operand of the tile."""
        accelerator, shape = self.accelerator, MatmulShape(*(len(tile[side]) for side in ("groups", "m", "k", "n")))
        one = schedule(accelerator.array, shape, accelerator.unit.width, accelerator.pipeline)
        cycles = one.cycles
        if accelerator.array.dataflow.keeps_outputs and not last:
            cycles = one.stream_cycles
        return cycles, one.a_elements * BITS, one.b_elements * BITS

    def _run(self) -> int:
        tiles = self._tiles()
        held: dict[str, set[tuple[int, ...]]] = {"a": set(), "b": set()}
        before: dict[str, set[tuple[int, ...]]] = {"a": set(), "b": set()}
        works = []
        for tile in tiles:
            loads = {}
            for name, operand in (("a", self.problem.a), ("b", self.problem.b)):
                keep = operand.place is Place.KEPT or getattr(self.tiling, f"hold_{name}")
                needs = self._elements(name, tile, keep=keep)
                new = needs - held[name] if keep else (set() if needs == before[name] else needs)
                held[name] |= needs
                before[name] = needs
                loads[name] = 0 if operand.place is Place.CHIP else BITS * len(new)
                self.moved[name] += loads[name]
            done = tile["k"].stop == self.problem.product.k
            outputs = BITS * len(tile["groups"]) * len(tile["m"]) * len(tile["n"]) * done
            works.append((tile, loads, outputs, done))
        return self._timed(works)

    def _timed(self, works: list[tuple[dict[str, range], dict[str, int], int, bool]]) -> int:
        """Count cycles: each memory loads for the next tile as soon as the array has begun with this one."""
        accelerator = self.accelerator
        doubled = {"a": accelerator.activations.double_buffered, "b": accelerator.weights.double_buffered}
        ports = {"a": accelerator.activations.width_bits, "b": accelerator.weights.width_bits}
        dram = accelerator.dram.bits_per_cycle
        leaves = self.problem.out.place is not Place.CHIP
        sum_bits = accelerator.unit.register.bits
        now, waiting = 0, 0  # `waiting`: outputs of the tile before that have not left
        for index, (tile, loads, outputs, done) in enumerate(works):
            alone = {name: bits for name, bits in loads.items() if index == 0 or not doubled[name]}
            now += _together((sum(alone.values()), dram), *((alone.get(x, 0), ports[x]) for x in "ab"))
            behind = dict.fromkeys("ab", 0)
            if index + 1 < len(works):
                behind = {name: bits if doubled[name] else 0 for name, bits in works[index + 1][1].items()}
            cycles, a_read, b_read = self._array(tile, done)
            shape = MatmulShape(*(len(tile[side]) for side in ("groups", "m", "k", "n")))
            sums = schedule(accelerator.array, shape, accelerator.unit.width, accelerator.pipeline).partial_sums
            reads = writes = sums * sum_bits
            if not accelerator.array.dataflow.keeps_outputs:
                outer = shape.groups * shape.m * shape.n * sum_bits
                reads += outer * (tile["k"].start > 0)
                writes += outer * (not done)
            now += _together(
                (cycles, 1),
                (sum(behind.values()) + waiting, dram),
                (a_read + reads + waiting, ports["a"]),
                (writes + outputs + behind["a"], ports["a"]),
                (b_read, ports["b"]),
                (behind["b"], ports["b"]),
            )
            waiting = outputs if leaves else 0
            self.moved["stored"] += waiting
            if not doubled["a"] or index + 1 == len(works):
                now += _together((waiting, dram), (waiting, ports["a"]))
                waiting = 0
        return now


def _together(*works: tuple[int, int]) -> int:
    """Return the cycles until all are done that begin together, each so much in all and so much a cycle."""
    left, cycles = [amount for amount, _ in works], 0
    while any(amount > 0 for amount in left):
        left = [amount - rate for amount, (_, rate) in zip(left, works, strict=True)]
        cycles += 1
    return cycles


def check(accelerator: Accelerator, problem: Problem, tiling: Tiling) -> Walked:
    found = walk(Machine(accelerator), problem, tiling)
    wanted = Simulation(accelerator, problem, tiling)
    assert found.cycles == wanted.cycles, (problem, tiling)
    assert found.a.outside.bits == int(found.a.outside_bits.sum()) == wanted.moved["a"], (problem, tiling)
    assert found.b.outside.bits == int(found.b.outside_bits.sum()) == wanted.moved["b"], (problem, tiling)
    stored = 0 if problem.out.place is Place.CHIP else found.out.outside.bits
    assert stored == wanted.moved["stored"]
    assert found.bits.dram == sum(wanted.moved.values())
    return found


def tilings(product: MatmulShape, kind: ArrayKind) -> list[Tiling]:
    sides: list[tuple[int, ...]] = [(1, product.groups), (4, product.m), (4, product.n), (4, product.k)]
    if kind.keeps_outputs:
        sides[3] = (product.k,)
    return [
        Tiling(groups, m, n, k, order, hold_a, hold_b, "")
        for groups, m, n, k in itertools.product(*sides)
        if groups == 1 or (m, n, k) == (product.m, product.n, product.k)
        for order in itertools.permutations("mnk")
        for hold_a, hold_b in itertools.product((False, True), repeat=2)
    ]


@pytest.mark.parametrize("kind", [ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY])
@pytest.mark.parametrize("doubled", [(True, True), (False, True), (True, False), (False, False)])
def test_walk_equals_a_simulation_of_elements_and_cycles(kind: ArrayKind, doubled: tuple[bool, bool]) -> None:
    accelerator, compared = machine(kind, doubled=doubled), 0
    for product in (MatmulShape(1, 9, 10, 6), MatmulShape(2, 8, 8, 5)):
        every = tilings(product, kind)
        for places in ("ddd", "dcc", "cdk", "kdc"):
            for tiling in every[:: 11 if doubled == (True, True) else 41]:
                check(accelerator, problem(product, places), tiling)
                compared += 1
    assert compared > 20


def test_walk_of_an_image_equals_a_simulation_of_elements_and_cycles() -> None:
    compared = 0
    for lines, stride, pad, extent, batch in ((7, 1, 1, 3, 2), (9, 2, 1, 3, 1), (8, 2, 0, 1, 1), (6, 3, 2, 5, 2)):
        out = (lines + 2 * pad - extent) // stride + 1
        view = Image(lines, 5, out, 3, stride, pad, extent, extent)
        product = MatmulShape(1, batch * out * 3, 4 * extent, 6)
        for kind in (ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY):
            for tiling in tilings(product, kind)[::9]:
                for places in ("ddc", "kdd"):
                    check(machine(kind), problem(product, places, view), tiling)
                    compared += 1
    assert compared > 100


def test_walk_one_tile_takes_the_schedule_of_the_whole() -> None:
    product = MatmulShape(3, 9, 10, 6)
    for kind in ArrayKind:
        accelerator = machine(kind)
        wide = replace(accelerator, activations=replace(accelerator.activations, width_bits=4096))
        wide = replace(wide, weights=replace(wide.weights, width_bits=4096))
        found = walk(Machine(wide), problem(product, "ccc"), Tiling(3, 9, 6, 10, ("m", "n", "k"), False, False, ""))
        whole = schedule(wide.array, product, wide.unit.width, wide.pipeline)
        assert found.cycles == whole.cycles
        assert found.bits.dram == found.bits.weight_write == 0
        assert found.bits.activation_read == 8 * whole.a_elements + 32 * whole.partial_sums


def test_walk_single_fold_goes_on_over_tiles_of_k() -> None:
    # the outputs of a fold stay in the array while K comes in three parts: streams add up, skew and drain come once
    accelerator = machine()
    accelerator = replace(accelerator, dram=replace(accelerator.dram, bits_per_cycle=4096))
    accelerator = replace(accelerator, activations=replace(accelerator.activations, width_bits=4096))
    accelerator = replace(accelerator, weights=replace(accelerator.weights, width_bits=4096))
    product = MatmulShape(1, 4, 24, 4)
    found = walk(Machine(accelerator), problem(product, "ddc"), Tiling(1, 4, 4, 8, ("m", "n", "k"), False, False, ""))
    assert found.tiles == 3
    assert found.costs.total.cycles == schedule(accelerator.array, product, 1, accelerator.pipeline).cycles
    assert (found.first_load, found.stall) == (1, 0)


def test_walk_counts_every_refetch() -> None:
    # loops m, n: b comes again for each tile of m unless it is held; a comes once
    product = MatmulShape(1, 12, 10, 8)
    tiling = Tiling(1, 4, 4, 10, ("m", "n", "k"), False, False, "")
    found = check(machine(), problem(product, "ddd"), tiling)
    assert (found.a.outside.bits, found.b.outside.bits) == (8 * 120, 3 * 8 * 80)
    assert (found.a.times, found.b.times) == (1, 3)
    held = check(machine(), problem(product, "ddd"), tiling._replace(hold_b=True))
    assert (held.b.outside.bits, held.b.times) == (8 * 80, 1)
    assert np.count_nonzero(held.b.outside_bits) == 2
