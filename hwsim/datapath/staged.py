# SPDX-License-Identifier: Apache-2.0
"""The stages as one kernel: dot products of any unit that fits 64-bit integers, step after step, and whole matrices."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.columns import (
    KINDS,
    Tile,
    Work,
    add_step,
    clip_step,
    cut_rule,
    decode_step,
    fill_tile,
    pack_step,
    tile_of,
    work_of,
)
from hwsim.datapath.multiply import step_minus, step_special
from hwsim.datapath.operands import Operand, operand
from hwsim.datapath.plan import (
    CASCADED,
    FIXED,
    TRUNCATED,
    Plan,
    plan,
    register_packing,
)
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.round_pack import Packing, round_pack
from hwsim.datapath.rounded import Rule, rule_of
from hwsim.datapath.steps import Place, run, step_one
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.datapath.words import word
from hwsim.formats import BlockSpec
from hwsim.formats.codes import NAN, code_dtype

__all__ = [
    "load",
    "matmul_registers",
    "matmul_staged",
    "output",
    "run",
]

Memory = tuple[Tile, Work, NDArray[np.int64]]  # the last one of `run`

_TILE = 64  # columns of b that a core works on while they are in its cache
_VECTOR = 32  # columns that loops take at once: LLVM's widest vectors, four times
_FEW = 4  # columns, of which less are faster one by one
_WORTH = 1 << 28  # products, some seconds one by one: the kernel of columns takes longer than those to compile, once
_ROWS = 32  # rows of a that a tile, once it is filled, serves
_ELEMENTS = 64  # of a column that a tile has at least


@numba.njit(cache=True, parallel=True)
def _matmul_kernel(
    how: Plan,
    pack: Packing,
    a: Operand,
    b: Operand,
    origin: Place,
    skip: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Unchecked. `out` holds the registers, loaded, and keeps them in rows and columns to skip."""
    rows, columns = out.shape
    seed, first_row, first_column = origin
    steps = a.depth // how.lanes
    for part in numba.prange(rows * ((columns + _TILE - 1) // _TILE)):
        row = part % rows
        begin = part // rows * _TILE
        scratch = np.zeros(how.scratch, np.int64)
        words = np.empty(steps if pack.random_bits else 0, np.int64)
        for column in range(begin, min(begin + _TILE, columns)):
            if skip[0][row] or skip[1][column]:
                continue
            for at in range(words.size):
                words[at] = word(seed, first_row + row, first_column + column, at, pack.random_bits)
            out[row, column], specials[row, column] = run(
                how, pack, out[row, column], a, b, (row, column, steps), words, scratch
            )


@numba.njit(cache=True)
def _slow_columns(
    how: Plan, pack: Packing, a: Operand, b: Operand, place: Place, work: Work, scratch: NDArray[np.int64]
) -> None:
    """Run a step of the columns marked slow one by one; `place` is a's row, the tile's first column and the step."""
    row, begin, at = place
    for c in range(min(work.slow.size, b.flag.size // (b.depth // how.lanes) - begin)):
        if work.slow[c]:
            where = (row, begin + c, at)
            work.register[c] = step_one(how, pack, work.register[c], a, b, where, work.word[c], scratch)


@numba.njit(cache=True)
def _float_step(
    how: Plan,
    pack: Packing,
    rules: tuple[Rule, Rule],
    sides: tuple[Operand, Operand],
    place: Place,
    held: int,
    memory: Memory,
) -> None:
    """Run a step of all columns of a tile; `place` as of `_slow_columns`, `held` is the step's number in the tile."""
    row, begin, at = place
    (a, b), (tile, work, scratch) = sides, memory
    slow, minus = decode_step(how, work, tile.flag[held], pack.sign)
    if a.flag[row * (a.depth // how.lanes) + at]:
        work.slow[:] = 1
        _slow_columns(how, pack, a, b, place, work, scratch)
        return
    slow |= add_step(how, rules[0], a, row, at * how.lanes, tile, held * how.lanes, work)
    if how.signed_zero and minus and how.kind not in (TRUNCATED, CASCADED):
        for c in range(min(work.slow.size, b.flag.size // (b.depth // how.lanes) - begin)):
            alone = work.total[c] == 0 and work.register[c] == pack.sign and not work.slow[c]
            work.minus[c] = step_minus(how, a, row, b, begin + c, at) if alone else 0
    pack_step(how, pack, rules[1], work)
    if slow:
        _slow_columns(how, pack, a, b, place, work, scratch)


@numba.njit(cache=True)
def _tile_row(
    how: Plan,
    pack: Packing,
    rules: tuple[Rule, Rule],
    sides: tuple[Operand, Operand],
    origin: Place,
    place: tuple[int, int, int, int],
    memory: Memory,
    specials: NDArray[np.uint8],
) -> None:
    """Run the steps of a tile for a row; `place` is the row, the tile's columns and first step, and how many steps."""
    row, begin, first, steps = place
    (a, b), (tile, work, _) = sides, memory
    seed, first_row, first_column = origin
    for held in range(steps):
        at = first + held
        if how.kind == FIXED:
            add_step(how, rules[0], a, row, at * how.lanes, tile, held * how.lanes, work)
            clip_step(how, work)
            for c in range(specials.size):
                if a.flag[row * (a.depth // how.lanes) + at] | tile.flag[held, c]:
                    specials[c] |= step_special(how, a, row, b, begin + c, at)
            continue
        if pack.random_bits:
            for c in range(specials.size):
                work.word[c] = word(seed, first_row + row, first_column + begin + c, at, pack.random_bits)
        _float_step(how, pack, rules, sides, (row, begin, at), held, memory)


@numba.njit(cache=True)
def _tile_rows(
    how: Plan,
    pack: Packing,
    a: Operand,
    b: Operand,
    origin: Place,
    begin: tuple[int, int],
    skip: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    results: tuple[NDArray[np.int64], NDArray[np.uint8]],
) -> None:
    """Do some rows of a and a tile's columns, which begin at `begin`."""
    out, specials = results
    rows, columns = out.shape
    rules = cut_rule(how), rule_of(pack.rounding)
    row_begin, column = begin
    all_steps = a.depth // how.lanes
    steps = min(max(_ELEMENTS // how.lanes, 1), all_steps)
    count = min(columns - column, _TILE)
    width = (count + _VECTOR - 1) // _VECTOR * _VECTOR
    tile, work, scratch = tile_of(how, steps, width), work_of(how, width), np.zeros(how.scratch, np.int64)
    seen = np.zeros(count, np.uint8)
    for first in range(0, all_steps, steps):
        some = min(steps, all_steps - first)
        fill_tile(how, b, tile, column, count, first, some)
        for row in range(row_begin, min(row_begin + _ROWS, rows)):
            if skip[0][row]:
                continue
            seen[:] = 0
            for c in range(count):
                work.register[c] = out[row, column + c]
            _tile_row(how, pack, rules, (a, b), origin, (row, column, first, some), (tile, work, scratch), seen)
            for c in range(count):
                if not skip[1][column + c]:
                    out[row, column + c] = work.register[c]
                    specials[row, column + c] |= seen[c]


@numba.njit(cache=True, parallel=True)
def _columns_kernel(
    how: Plan,
    pack: Packing,
    a: Operand,
    b: Operand,
    origin: Place,
    skip: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Do what `_matmul_kernel` does, for units of `KINDS`, a tile of columns at a time; unchecked."""
    rows, columns = out.shape
    parts = (rows + _ROWS - 1) // _ROWS
    for part in numba.prange(parts * ((columns + _TILE - 1) // _TILE)):
        begin = part % parts * _ROWS, part // parts * _TILE
        _tile_rows(how, pack, a, b, origin, begin, skip, (out, specials))


def matmul_registers(
    problem: Problem, *, seed: int = 0, row: int = 0, column: int = 0, sparse: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the first registers of a matrix product, as `output` takes them; specials may be among the operands.

    Parameters
    ----------
    problem : Problem
        Of its unit, the alignment and the (first) accumulator count: operands enter as they are. c is of that
        accumulator's format.
    seed : int
        Of the random words.
    row, column : int
        Where this product begins in the whole one, for the random words.
    sparse : bool
        Whether products with a zero of a do not enter, be the other factor infinite or NaN.
    """
    unit, a, b, c, a_scales, b_scales = problem
    how, pack = plan(unit), register_packing(unit)
    how = how._replace(sparse=int(sparse or how.sparse))
    shape = (a.shape[0], b.shape[0])
    blocks = [spec.block_size if isinstance(spec, BlockSpec) else 0 for spec in (unit.a, unit.b)]
    x = operand(how, unit.element_a, a, unit.scale_a, a_scales, blocks[0])
    y = operand(how, unit.element_b, b, unit.scale_b, b_scales, blocks[1])
    registers = np.zeros(shape, np.int64) if c is None else _loaded(unit.accumulator, c)
    specials = np.zeros(shape, np.uint8)
    skip = _nan_rows(how, x), _nan_rows(how, y)
    if how.nan_operand:
        skip[0][:] = False
    if how.nan_operand or how.sparse:
        skip[1][:] = False
    nan = np.logical_or.outer(*skip)
    if isinstance(unit.accumulator, FixedAccumulator):
        specials[nan] = NAN
    else:
        registers[nan] = pack.nan
    with threads_for(shape[0] * shape[1] * a.shape[1]):
        if how.kind in KINDS and shape[1] >= _FEW and shape[0] * shape[1] * a.shape[1] >= _WORTH:
            _columns_kernel(how, pack, x, y, (seed, row, column), skip, registers, specials)
        else:
            _matmul_kernel(how, pack, x, y, (seed, row, column), skip, registers, specials)
    return registers, specials


def _nan_rows(how: Plan, a: Operand) -> NDArray[np.bool_]:
    """Return the rows that hold a NaN, of which all results are NaN."""
    rows = a.flag.size // (a.depth // how.lanes) if a.depth else 0
    found = np.zeros(rows, np.bool_)
    if a.special.size:
        found |= (a.special.reshape(rows, -1) == NAN).any(axis=1)
    if a.blocks:
        found |= (a.scale_special.reshape(rows, -1) == NAN).any(axis=1)
    return found


def matmul_staged(problem: Problem, *, seed: int = 0, row: int = 0, column: int = 0, sparse: bool = False) -> Codes:
    """Return d of a matrix product through a unit with one register; arguments as of `matmul_registers`."""
    registers, specials = matmul_registers(problem, seed=seed, row=row, column=column, sparse=sparse)
    return output(problem.unit, registers, specials)


def load(unit: DotProductUnit, codes: Codes) -> NDArray[np.int64]:
    """Return registers as the kernels have them, of checked codes of the register's format."""
    return _loaded(unit.register, codes)


def _loaded(accumulator: FixedAccumulator | FloatAccumulator, codes: Codes) -> NDArray[np.int64]:
    if isinstance(accumulator, FixedAccumulator):
        return accumulator.format.unpack(codes).significand
    return codes.astype(np.uint64).view(np.int64)


def output(unit: DotProductUnit, registers: NDArray[np.int64], specials: NDArray[np.uint8]) -> Codes:
    """Return d, codes of `unit.output`, of the kernels' registers and the specials that fixed ones have seen."""
    accumulator = unit.register
    if not unit.converts:
        codes = registers.view(np.uint64)
        if isinstance(accumulator, FixedAccumulator):
            codes = codes & np.uint64((1 << accumulator.bits) - 1)
        return codes.astype(code_dtype(unit.output.bits))
    if isinstance(accumulator, FixedAccumulator):
        value = np.where(specials == 0, registers, 0)
        return round_pack(unit.output, value, -accumulator.fraction_bits, specials, unit.rounding, unit.overflow)
    significand, exponent, special = accumulator.format.unpack(registers.view(np.uint64))
    return round_pack(unit.output, significand, exponent, special, unit.rounding, unit.overflow)
