# SPDX-License-Identifier: Apache-2.0
"""Tilings all at once: which fit the memories, and what each takes at least."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.accelerator.mapping.layer_plan import AccessEnergies
from hwsim.accelerator.mapping.least import cut_cycles, restart_cycles
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.orders import K_INNERMOST, ORDERS, RULES, Rules
from hwsim.accelerator.mapping.pieces import Form, Image, Operand, Place
from hwsim.accelerator.mapping.problem import Problem
from hwsim.accelerator.mapping.tables import Table, table
from hwsim.accelerator.mapping.visits import Ints, Tiling
from hwsim.datapath.array import ArrayKind

__all__ = [
    "Candidates",
    "Part",
]

_TILES = 1 << 17  # of a tiling at most


class Candidates(NamedTuple):
    """Tilings, and lower bounds of what they take: arrays with a place for each.

    groups, m, n, k : sides of a tile
    order : index of the loops' order
    hold : 1 where a is held, 2 where b is, 3 where both are
    tiles : how many
    need : bits of the activations' memory
    cycles : at least
    energy_pj : at least
    """

    groups: Ints
    m: Ints
    n: Ints
    k: Ints
    order: Ints
    hold: Ints
    tiles: Ints
    need: Ints
    cycles: Ints
    energy_pj: NDArray[np.float64]

    def tiling(self, index: int, shared: str) -> Tiling:
        """Return one of them."""
        groups, m, n, k, order, hold = (int(each[index]) for each in self[:6])
        return Tiling(groups, m, n, k, ORDERS[order], bool(hold & 1), bool(hold & 2), shared)


class _Choice(NamedTuple):
    """An operand's loads, tiling by tiling, where its tiles are held or where they are not.

    useful : whether that is a choice
    need : bits on chip
    outside, stored, first : bits loaded in the DRAM's form, written on chip, and loaded for the first tile
    """

    useful: NDArray[np.bool_]
    need: Ints
    outside: Ints
    stored: Ints
    first: Ints

    def along(self, index: tuple[slice | None, ...]) -> "_Choice":
        """Return it with axes put in."""
        useful, *bits = self
        return _Choice(useful[index], *(each[index] for each in bits))


def _rows(*choices: _Choice) -> _Choice:
    """Return choices as one, a row each."""
    useful, *bits = (np.stack(each) for each in zip(*choices, strict=True))
    return _Choice(useful, *bits)


class Part:
    """Tilings with tiles of so many groups, and with all combinations of the sides' sizes and of orders."""

    def __init__(self, machine: Machine, problem: Problem, shared: str, groups: int, sides: list[list[int]]) -> None:
        product = problem.product
        self.machine, self.problem, self.shared, self.groups = machine, problem, shared, groups
        self.sides = dict(zip("mnk", sides, strict=True))
        shapes = np.indices([len(side) for side in sides]).reshape(3, -1)
        totals = (product.m, product.n, product.k)
        trips = [-(-total // np.array(side))[at] for total, side, at in zip(totals, sides, shapes, strict=True)]
        pattern = (trips[0] > 1) * 4 + (trips[1] > 1) * 2 + (trips[2] > 1)
        shape, self.order = np.nonzero(RULES.distinct[pattern])
        self.at = {side: at[shape] for side, at in zip("mnk", shapes, strict=True)}
        self.trips = {side: each[shape] for side, each in zip("mnk", trips, strict=True)}
        self.tile = {side: np.array(self.sides[side])[self.at[side]] for side in "mnk"}
        self.rules = Rules(*(rule[pattern[shape], self.order] for rule in RULES))
        self.outer = -(-product.groups // groups)
        self.tiles = self.outer * self.trips["m"] * self.trips["n"] * self.trips["k"]
        self.real = problem.tile_groups(groups)[0] if self.outer > 1 else problem.groups

    def _look(self, tensor: Operand, sides: str) -> Table:
        """Return a tensor's figures, tiling by tiling."""
        along, across = sides[0], sides[1]
        product = self.problem.product
        totals = (getattr(product, along), getattr(product, across))
        figures = table(tensor, totals, (self.sides[along], self.sides[across]), self.real)
        place = (self.at[across], self.at[along])
        return Table(*(each[place] for each in figures))

    def _out(self) -> Table:
        """Return the output's figures; on chip, what is written is all that counts."""
        problem = self.problem
        if problem.out.place is not Place.CHIP:
            return self._look(problem.out, "nm" if problem.swapped else "mn")
        nothing = np.zeros_like(self.tiles)
        return Table(nothing, nothing, nothing + self._whole(problem.out, "mn", problem.out.stored), nothing, nothing)

    def _whole(self, tensor: Operand, sides: str, form: Form) -> int:
        """Return the bits of a whole tensor."""
        sides = sides[::-1] if self.problem.swapped and tensor is self.problem.out else sides
        totals = [getattr(self.problem.product, side) for side in sides]
        return int(tensor.pieces(form, self.problem.groups, *((total, total) for total in totals)).bits.sum())

    def _twice(self, memory: str) -> Ints:
        """Return how many pieces of a tensor there are at once."""
        return np.where(self.tiles > 1, 2, 1) if self.machine.doubled[memory] else np.ones_like(self.tiles)

    def _choices(self, name: str) -> _Choice:
        """Return an operand's loads: a row if it is not held and one if it is, or one where there is no choice."""
        operand: Operand = getattr(self.problem, name)
        nothing = np.zeros_like(self.tiles)
        always = np.ones(len(self.tiles), bool)
        if operand.place is Place.CHIP:
            return _rows(_Choice(always, nothing, nothing, nothing, nothing))
        own, other = ("mk", "n") if name == "a" else ("nk", "m")
        again = self.rules.a_again if name == "a" else self.rules.b_again
        outside, stored = (self._whole(operand, own, form) for form in (operand.outside, operand.stored))
        pieces = self._look(operand, own)
        kept = operand.place is Place.KEPT
        useful = again | ((self.trips[own[0]] > 1) & isinstance(operand.view, Image))
        held = _Choice(
            always if kept else useful,
            nothing if kept else nothing + stored,
            nothing + outside,
            nothing + stored,
            pieces.first,
        )
        if kept:
            return _rows(held)
        times = np.where(again, self.trips[other], 1)
        need = pieces.largest * self._twice(operand.memory)
        return _rows(_Choice(always, need, pieces.outside * times, pieces.stored * times, pieces.first), held)

    def _sums(self) -> Ints:
        """Return the bits of sums that are begun and not complete."""
        problem, machine = self.problem, self.machine
        if machine.keeps_outputs or problem.product.k <= self.machine.folds.k:
            return np.zeros_like(self.tiles)
        m = np.where(self.rules.m_live, problem.product.m, self.tile["m"])
        n = np.where(self.rules.n_live, problem.product.n, self.tile["n"])
        copies = min(machine.accelerator.array.count, self.groups) if self.shared == "groups" else 1
        return m * n * (copies * machine.sum_bits)

    def candidates(self, energies: AccessEnergies) -> Candidates:
        """Return the legal ones."""
        problem = self.problem
        out = self._out()
        need = self._sums()
        if problem.out.place is Place.DRAM:
            need = need + out.largest * self._twice("activation")
        legal = self.tiles <= _TILES
        if self.machine.keeps_outputs:
            legal &= (self.trips["k"] == 1) | (self.order == K_INNERMOST)
        a, b = self._choices("a"), self._choices("b")
        a, b = a.along((slice(None), np.newaxis)), b.along((np.newaxis,))
        free: dict[str, Ints] = {"activation": problem.activation_bits - need, "weight": problem.weight_bits + 0 * need}
        for operand, choice in ((problem.a, a), (problem.b, b)):
            free[operand.memory] = free[operand.memory] - choice.need
        fits = legal & a.useful & b.useful & (free["activation"] >= 0) & (free["weight"] >= 0)
        hold_a, hold_b, which = np.nonzero(fits)
        cycles, energy = self._least(energies, a, b, out)
        used = problem.activation_bits - free["activation"]
        return Candidates(
            np.full(len(which), self.groups),
            self.tile["m"][which],
            self.tile["n"][which],
            self.tile["k"][which],
            self.order[which],
            hold_a + 2 * hold_b,
            self.tiles[which],
            np.broadcast_to(used, fits.shape)[fits],
            np.broadcast_to(cycles, fits.shape)[fits],
            np.broadcast_to(energy, fits.shape)[fits],
        )

    def _least(self, energies: AccessEnergies, a: _Choice, b: _Choice, out: Table) -> tuple[Ints, NDArray[np.float64]]:
        """Return cycles and energy that tilings take at least.

        The array takes as long as for the whole product, and for each more tile what it takes to begin again; the DRAM
        and each port take the time of what they move.
        """
        machine, problem = self.machine, self.problem
        chip = problem.out.place is Place.CHIP
        leaving, back, last = (0 * each if chip else each for each in (out.outside, out.stored, out.last))
        whole = machine.cost(problem.product, self.shared)
        kind = machine.accelerator.array.dataflow
        again = self.tiles // self.trips["k"] if kind.keeps_outputs else self.tiles
        array = whole.cycles + (again - 1) * restart_cycles(machine, problem.product, self.shared)
        reads = problem.reads(machine, problem.product, problem.groups)
        times = [np.maximum(whole.a_times, 1), np.maximum(whole.b_times, 1)]
        if kind is ArrayKind.INPUT_STATIONARY:
            times[0] = np.maximum(times[0], self.trips["n"])
        elif not kind.keeps_outputs:
            times[1] = np.maximum(times[1], self.trips["m"])
        sums = whole.partial_sums * machine.sum_bits
        read = {"activation": sums + back, "weight": 0 * back}
        written = {"activation": sums + out.stored, "weight": 0 * back}
        apart = 0 * back
        behind = leaving - last
        for operand, choice, bits, count in zip((problem.a, problem.b), (a, b), reads, times, strict=True):
            memory = operand.memory
            read[memory] = read[memory] + bits.bits * count
            written[memory] = written[memory] + choice.stored
            if machine.doubled[memory]:
                behind = behind + choice.outside - choice.first
            else:
                apart = apart + choice.outside - choice.first
        if not machine.doubled["activation"]:
            behind, apart = behind - leaving + last, apart + leaving - last
        dram = machine.widths["dram"]
        busy = np.maximum(array, _ceil(behind, dram))
        for memory in ("activation", "weight"):
            width = machine.widths[memory]
            busy = np.maximum(busy, _ceil(read[memory] - (back if memory == "activation" else 0), width))
        busy = np.maximum(busy, _ceil(sums + out.stored, machine.widths["activation"]))
        if not kind.keeps_outputs and bool((self.trips["k"] > 1).any()):
            operands = read["activation"] - sums - back
            sides = (self.trips["k"], self.tile["k"])
            least = cut_cycles(machine, problem.product, *sides, operands, out.stored, whole.stream)
            busy = np.maximum(busy, least)
        ends = _ceil(a.first + b.first, dram) + _ceil(last, dram) + apart // dram
        cycles = busy + ends
        energy = whole.steps * (energies.step_pj or 0.0) + cycles * (energies.idle_pj_per_cycle or 0.0)
        moved = (read["activation"], written["activation"], read["weight"], written["weight"])
        for through, price in zip(moved, energies[:4], strict=True):
            energy = energy + through * price
        return cycles, energy + (a.outside + b.outside + leaving) * energies.dram


def _ceil(bits: Ints, width: int) -> Ints:
    return -(-bits // width)
