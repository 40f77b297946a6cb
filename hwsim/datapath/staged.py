# SPDX-License-Identifier: Apache-2.0
"""The stages as one kernel: dot products of any unit that fits 64-bit integers, step after step, and whole matrices."""

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.align_add import add_cascaded, add_grid, add_truncated, add_two, cascaded_special
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
from hwsim.datapath.decode import decode_register
from hwsim.datapath.fused import operand_nan, run_fused
from hwsim.datapath.multiply import product_minus, product_special, scale_of, step_minus, step_special
from hwsim.datapath.operands import Operand, operand
from hwsim.datapath.plan import (
    CASCADED,
    FIXED,
    FUSED,
    GRID,
    PAIRWISE,
    SINGLE,
    TRUNCATED,
    WIDE,
    Plan,
    plan,
    register_packing,
)
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.round_pack import Packing, pack_register, round_pack
from hwsim.datapath.rounded import Rule, rule_of
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator
from hwsim.datapath.wide import add_limbs, add_wide, merge_wide
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

Place = tuple[int, int, int]  # a's row, b's row, and a step or how many

_TILE = 64  # columns of b that a core works on while they are in its cache
_VECTOR = 32  # columns that loops take at once: LLVM's widest vectors, four times
_FEW = 4  # columns, of which less are faster one by one
_ROWS = 32  # rows of a that a tile, once it is filled, serves
_ELEMENTS = 64  # of a column that a tile has at least


@numba.njit(cache=True)
def _run_fixed(how: Plan, register: int, a: Operand, b: Operand, place: Place) -> tuple[int, int]:
    """Unchecked: a step's sum below 2**62, the register within 2**62."""
    i, j, steps = place
    lanes, shift, low, high = how.lanes, how.sum_shift, how.low, how.high
    seen = 0
    for at in range(steps):
        if a.flag[i * (a.depth // lanes) + at] | b.flag[j * (b.depth // lanes) + at]:
            seen |= step_special(how, a, i, b, j, at)
        total = add_grid(a.significand, i * a.depth + at * lanes, b.significand, j * b.depth + at * lanes, lanes)
        value = register + (total << shift if shift >= 0 else total >> -shift)
        register = ((value & (high - low)) ^ -low) + low if how.wrap else min(max(value, low), high)
    return register, seen


@numba.njit(cache=True)
def _add_pairs(how: Plan, pack: Packing, a: Operand, x: int, b: Operand, y: int, held: NDArray[np.int64]) -> int:
    """Return the register's code of the sum of products from x and y on, rounded pair by pair; unchecked."""
    count = 0
    for lane in range(how.lanes):
        product = a.significand[x + lane] * b.significand[y + lane]
        special = product_special(how, a, x + lane, b, y + lane)
        minus = product_minus(how, a, x + lane, b, y + lane) if how.signed_zero else 0
        exponent = a.exponent[x + lane] + b.exponent[y + lane]
        held[count] = pack_register(pack, product, exponent, special, minus, 0)
        count += 1
        pairs = lane + 1
        while pairs & 1 == 0:
            held[count - 2] = _add_codes(how, pack, held[count - 2], held[count - 1])
            count -= 1
            pairs >>= 1
    return int(held[0])


@numba.njit(cache=True)
def _add_codes(how: Plan, pack: Packing, first: int, second: int) -> int:
    """Add two of the register's codes; unchecked."""
    exp_bits, man_bits, bias = how.register_exp_bits, how.register_man_bits, how.register_bias
    sig_a, exp_a, special_a = decode_register(first, exp_bits, man_bits, bias)
    sig_b, exp_b, special_b = decode_register(second, exp_bits, man_bits, bias)
    total, unit = add_two(sig_a, exp_a, sig_b, exp_b)
    return pack_register(pack, total, unit, special_a | special_b, int(first == pack.sign and second == pack.sign), 0)


@numba.njit(cache=True)
def _sum(
    how: Plan, a: Operand, b: Operand, place: Place, register: tuple[int, int], scratch: NDArray[np.int64]
) -> tuple[int, int]:
    """Return the sum of a step and the register, its significand and exponent; unchecked: `plan` has the proof."""
    i, j, at = place
    x, y = i * a.depth + at * how.lanes, j * b.depth + at * how.lanes
    sig, exponent = register
    if how.kind == TRUNCATED:
        addend = (sig if how.fused else 0, exponent + how.register_man_bits)
        total, unit = add_truncated(how, a, b, place, addend)
        return (total, unit) if how.fused else add_two(total, unit, sig, exponent)
    if how.kind == CASCADED:
        return add_cascaded(how, a, x, b, y, (sig, exponent + how.register_man_bits))
    scale_sig, scale_exponent = 1, 0
    if how.scaled:
        scale_sig, scale_exponent = scale_of(a, i, b, j, at * how.lanes)
    if how.kind == SINGLE:
        product = a.significand[x] * b.significand[y] * scale_sig
        return add_two(product, a.exponent[x] + b.exponent[y] + scale_exponent, sig, exponent)
    if how.kind == GRID:
        total = add_grid(a.significand, x, b.significand, y, how.lanes) * scale_sig
        return add_two(total, how.exponent + scale_exponent, sig, exponent)
    if how.kind == WIDE:
        high, low = add_wide(a, x, b, y, how.lanes)
        return merge_wide(high * scale_sig, low * scale_sig, how.exponent + scale_exponent, sig, exponent)
    return add_limbs(how, a, b, place, register, scratch)


@numba.njit(cache=True)
def _step(
    how: Plan,
    pack: Packing,
    register: int,
    a: Operand,
    b: Operand,
    place: Place,
    random: int,
    scratch: NDArray[np.int64],
) -> int:
    """Run one step of a float register; unchecked."""
    i, j, at = place
    lanes = how.lanes
    x, y = i * a.depth + at * lanes, j * b.depth + at * lanes
    sig, exponent, special = decode_register(register, how.register_exp_bits, how.register_man_bits, how.register_bias)
    flagged = a.flag[i * (a.depth // lanes) + at] | b.flag[j * (b.depth // lanes) + at]
    if how.nan_operand and (special == NAN or flagged != 0):
        named = operand_nan(how, a.code[x], b.code[y], register)
        if named != 0:
            return named
    if how.kind == PAIRWISE:
        return _add_codes(how, pack, _add_pairs(how, pack, a, x, b, y, scratch), register)
    if flagged:
        special |= step_special(how, a, i, b, j, at)
    if how.kind == CASCADED:
        special |= cascaded_special(how, a, x, b, y)
    if special:
        return pack_register(pack, 0, 0, special, 0, random)
    total, unit = _sum(how, a, b, place, (sig, exponent), scratch)
    minus = 0
    if total == 0 and register == pack.sign and how.signed_zero and how.kind not in (TRUNCATED, CASCADED):
        minus = step_minus(how, a, i, b, j, at)
    return pack_register(pack, total, unit, 0, minus, random)


@numba.njit(cache=True)
def run(
    how: Plan,
    pack: Packing,
    register: int,
    a: Operand,
    b: Operand,
    place: Place,
    words: NDArray[np.int64],
    scratch: NDArray[np.int64],
) -> tuple[int, int]:
    """Run the steps of a row of a against those of a row of b, `step_exact` for kernels; unchecked.

    `place` is a's row, b's row and how many steps. `words` are of stochastic rounding, one a step, or empty; `scratch`
    has `how.scratch` zeros. A fixed register is its value, and the specials it saw are the second result. A float
    register is its code.
    """
    i, j, steps = place
    if how.kind == FIXED:
        return _run_fixed(how, register, a, b, place)
    if how.kind == FUSED:
        return run_fused(how, pack, register, a, b, place), 0
    for at in range(steps):
        random = words[at] if words.size else 0
        register = _step(how, pack, register, a, b, (i, j, at), random, scratch)
    return register, 0


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
            work.register[c] = _step(how, pack, work.register[c], a, b, where, work.word[c], scratch)


@numba.njit(cache=True)
def _float_step(
    how: Plan,
    pack: Packing,
    cut: Rule,
    rule: Rule,
    a: Operand,
    b: Operand,
    place: Place,
    tile: Tile,
    held: int,
    work: Work,
    scratch: NDArray[np.int64],
) -> None:
    """Run a step of all columns of a tile; `place` as of `_slow_columns`, `held` is the step's number in the tile."""
    row, begin, at = place
    slow, minus = decode_step(how, work, tile.flag[held], pack.sign)
    if a.flag[row * (a.depth // how.lanes) + at]:
        work.slow[:] = 1
        _slow_columns(how, pack, a, b, place, work, scratch)
        return
    slow |= add_step(how, cut, a, row, at * how.lanes, tile, held * how.lanes, work)
    if how.signed_zero and minus and how.kind not in (TRUNCATED, CASCADED):
        for c in range(min(work.slow.size, b.flag.size // (b.depth // how.lanes) - begin)):
            alone = work.total[c] == 0 and work.register[c] == pack.sign and not work.slow[c]
            work.minus[c] = step_minus(how, a, row, b, begin + c, at) if alone else 0
    pack_step(how, pack, rule, work)
    if slow:
        _slow_columns(how, pack, a, b, place, work, scratch)


@numba.njit(cache=True)
def _tile_row(
    how: Plan,
    pack: Packing,
    cut: Rule,
    rule: Rule,
    a: Operand,
    b: Operand,
    origin: Place,
    place: tuple[int, int, int, int],
    tile: Tile,
    work: Work,
    scratch: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Run the steps of a tile for a row; `place` is the row, the tile's columns and first step, and how many steps."""
    row, begin, first, steps = place
    seed, first_row, first_column = origin
    for held in range(steps):
        at = first + held
        if how.kind == FIXED:
            add_step(how, cut, a, row, at * how.lanes, tile, held * how.lanes, work)
            clip_step(how, work)
            for c in range(specials.size):
                if a.flag[row * (a.depth // how.lanes) + at] | tile.flag[held, c]:
                    specials[c] |= step_special(how, a, row, b, begin + c, at)
            continue
        if pack.random_bits:
            for c in range(specials.size):
                work.word[c] = word(seed, first_row + row, first_column + begin + c, at, pack.random_bits)
        _float_step(how, pack, cut, rule, a, b, (row, begin, at), tile, held, work, scratch)


@numba.njit(cache=True)
def _tile_rows(
    how: Plan,
    pack: Packing,
    cut: Rule,
    rule: Rule,
    a: Operand,
    b: Operand,
    origin: Place,
    begin: tuple[int, int],
    skip: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Do some rows of a and a tile's columns, which begin at `begin`."""
    rows, columns = out.shape
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
            _tile_row(how, pack, cut, rule, a, b, origin, (row, column, first, some), tile, work, scratch, seen)
            for c in range(count):
                if not skip[1][column + c]:
                    out[row, column + c] = work.register[c]
                    specials[row, column + c] |= seen[c]


@numba.njit(cache=True, parallel=True)
def _columns_kernel(
    how: Plan,
    pack: Packing,
    cut: Rule,
    rule: Rule,
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
        _tile_rows(how, pack, cut, rule, a, b, origin, begin, skip, out, specials)


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
        if how.kind in KINDS and shape[1] >= _FEW:
            rules = cut_rule(how), rule_of(pack.rounding)
            _columns_kernel(how, pack, *rules, x, y, (seed, row, column), skip, registers, specials)
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
