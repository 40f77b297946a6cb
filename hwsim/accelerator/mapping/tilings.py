# SPDX-License-Identifier: Apache-2.0
"""The tilings of a product: sizes of tiles in whole folds, all of them or fewer under a limit."""

from collections.abc import Iterable

import numpy as np

from hwsim.accelerator.mapping.bounds import Candidates, Part
from hwsim.accelerator.mapping.layer_plan import AccessEnergies
from hwsim.accelerator.mapping.machine import Machine
from hwsim.accelerator.mapping.pieces import Place
from hwsim.accelerator.mapping.problem import Problem, k_fold

__all__ = [
    "candidates",
]

_FEW_FOLDS = 16


def candidates(machine: Machine, problem: Problem, shared: str, energies: AccessEnergies) -> tuple[Candidates, bool]:
    """Return the legal tilings of a product, and whether there are no others.

    A tile's pieces must fit what is free of the memories: twice where a memory is double-buffered and there are several
    tiles; an operand that is held whole; sums that are begun and not complete, in the register's format. K is cut where
    an operand stays in the array; where outputs do, only for tiles of a single fold, and only if operands are loaded,
    for a product of few folds or if nothing else fits.
    """
    product, one = problem.product, machine.folds
    keeps_outputs = machine.keeps_outputs
    k_side = (product.k, k_fold(machine, problem) if problem.cuts_k else product.k)
    sides, whole = _thinned(
        [
            (product.groups, 1),
            (product.m, one.m),
            (product.n, one.n if problem.cuts_k else product.n),
            (product.k, product.k) if keeps_outputs else k_side,
        ],
        machine.accelerator.mapping.limit,
    )
    k_sizes = _sizes(*k_side)
    parts = [Part(machine, problem, shared, 1, sides[1:])]
    all_sides = [[product.m], [product.n], [product.k]]
    parts += [Part(machine, problem, shared, groups, all_sides) for groups in sides[0] if groups > 1]
    fold = [[min(product.m, one.m)], [min(product.n, one.n)]]
    few = product.groups * -(-product.m // one.m) * -(-product.n // one.n) <= _FEW_FOLDS
    loaded = any(operand.place is not Place.CHIP for operand in (problem.a, problem.b))
    if keeps_outputs and few and loaded and len(k_sizes) > 1:
        parts.append(Part(machine, problem, shared, 1, [*fold, k_sizes[1:]]))
    found = [part.candidates(energies) for part in parts]
    if problem.cuts_k and not any(len(part.tiles) for part in found):  # the smallest tiles that there are
        found = [Part(machine, problem, shared, 1, [*fold, k_sizes]).candidates(energies)]
    return Candidates(*(np.concatenate(each) for each in zip(*found, strict=True))), whole


def _sizes(length: int, fold: int, numbers: Iterable[int] | None = None) -> list[int]:
    """Return a side's tile sizes in whole folds, the most even ones for these numbers of tiles, or for all."""
    count = -(-length // fold)
    if numbers is not None:
        return [min(size * fold, length) for size in sorted({-(-count // tiles) for tiles in numbers}, reverse=True)]
    sizes, tiles = [], 1
    while tiles <= count:
        size = -(-count // tiles)
        sizes.append(min(size * fold, length))
        tiles = -(-count // (size - 1)) if size > 1 else count + 1
    return sizes


def _thinned(sides: list[tuple[int, int]], limit: int) -> tuple[list[list[int]], bool]:
    """Return the sizes of each side, of a length and a fold: all, or fewer where there would be more than the limit.

    Then numbers of tiles are powers of two, those and one and a half times as many, or of four, of sixteen and so on,
    until they are few enough; the smallest tile is among them, but for the last resort, which cuts nothing.
    """
    sizes = [_sizes(*side) for side in sides]
    if _shapes(sizes) <= limit:
        return sizes, True
    for base, factors in ((2, (1, 3)), (2, (1,)), (4, (1,)), (16, (1,)), (256, (1,)), (1 << 16, (1,))):
        sizes = [_sizes(length, fold, _numbers(-(-length // fold), base, factors)) for length, fold in sides]
        if _shapes(sizes) <= limit:
            return sizes, False
    return [[length] for length, _ in sides], False


def _shapes(sizes: list[list[int]]) -> int:
    """Return how many tiles of different shapes there are: of several groups none that is cut otherwise."""
    return len(sizes[0]) - 1 + len(sizes[1]) * len(sizes[2]) * len(sizes[3])


def _numbers(most: int, base: int, factors: tuple[int, ...]) -> set[int]:
    """Return the powers of a base times each factor up to a number, and that."""
    numbers, power = {most}, 1
    while power <= most:
        numbers |= {power * factor for factor in factors if power * factor <= most}
        power *= base
    return numbers
