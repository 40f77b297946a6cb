# SPDX-License-Identifier: Apache-2.0
"""A step of the stages for many columns of b at once: loops over columns, without branches, that become vectors."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.operands import ZERO_LEAD, Operand
from hwsim.datapath.plan import CASCADED, FIXED, GRID, TRUNCATED, WIDE, Plan
from hwsim.datapath.round_pack import Packing
from hwsim.datapath.rounded import Rule, merged, rounded, rule_of, to_code
from hwsim.datapath.wide import merge_wide
from hwsim.formats import Rounding

__all__ = [
    "KINDS",
    "Tile",
    "Work",
    "add_step",
    "clip_step",
    "cut_rule",
    "decode_step",
    "fill_tile",
    "pack_step",
    "tile_of",
    "work_of",
]

KINDS = (FIXED, GRID, WIDE, TRUNCATED, CASCADED)
"""Kinds of plans whose steps are here."""

_NONE = -(1 << 30)  # an exponent below that of any product
_TOWARD_ZERO = Rounding.TOWARD_ZERO.index


class Tile(NamedTuple):
    """Some steps of some rows of b, a column each: elements as `Operand` has them, scales a chunk, flags a step."""

    significand: NDArray[np.int64]
    exponent: NDArray[np.int32]
    scale_significand: NDArray[np.int64]
    scale_exponent: NDArray[np.int64]
    flag: NDArray[np.uint8]


class Work(NamedTuple):
    """What a step has of every column: the register, as code and decoded, and the sum of the step."""

    register: NDArray[np.int64]
    significand: NDArray[np.int64]
    exponent: NDArray[np.int64]
    total: NDArray[np.int64]
    unit: NDArray[np.int64]  # the sum's exponent
    high: NDArray[np.int64]  # WIDE; of CASCADED the other part
    lead: NDArray[np.int64]  # the largest exponent of the addends; of CASCADED of either part
    other: NDArray[np.int64]
    near: NDArray[np.int32]  # the largest exponent of a chunk, without scales
    factor: NDArray[np.int64]  # a chunk's scale
    drop: NDArray[np.int64]
    held: NDArray[np.int64]  # sums of groups
    slow: NDArray[np.int64]  # whether the column has a special, and goes its own way
    minus: NDArray[np.int64]
    word: NDArray[np.int64]


@numba.njit(cache=True)
def cut_rule(how: Plan) -> Rule:
    """Return how an addend is cut."""
    return rule_of(_TOWARD_ZERO if how.kind == CASCADED else how.rounding)


@numba.njit(cache=True)
def work_of(how: Plan, width: int) -> Work:
    """Return working memory."""
    groups = how.lanes // how.group if how.group > 1 else 0
    return Work(
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int32),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros((groups, width), np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
        np.zeros(width, np.int64),
    )


@numba.njit(cache=True)
def tile_of(how: Plan, steps: int, width: int) -> Tile:
    """Return the memory of a tile of so many steps, zeros."""
    elements = steps * how.lanes
    chunks = elements // how.chunk if how.scaled else 0
    return Tile(
        np.zeros((elements, width), np.int64),
        np.zeros((elements, width), np.int32),
        np.zeros((chunks, width), np.int64),
        np.zeros((chunks, width), np.int64),
        np.zeros((steps, width), np.uint8),
    )


@numba.njit(cache=True)
def _zero_lead(significand: int) -> int:
    return ZERO_LEAD if significand == 0 else 0


@numba.njit(cache=True)
def fill_tile(how: Plan, b: Operand, tile: Tile, begin: int, columns: int, at: int, steps: int) -> None:
    """Fill a tile with `columns` rows of b from `begin` on, and `steps` steps from step `at` on."""
    lanes, chunk = how.lanes, how.chunk
    per_row = b.depth // lanes
    first = at * lanes
    for c in range(columns):
        row = begin + c
        for k in range(steps * lanes):
            tile.significand[k, c] = b.significand[row * b.depth + first + k]
        if b.exponent.size:
            for k in range(steps * lanes):
                tile.exponent[k, c] = b.exponent[row * b.depth + first + k]
        if how.scaled:
            for q in range(steps * lanes // chunk):
                y = row * b.blocks + (first + q * chunk) // b.block
                tile.scale_significand[q, c] = b.scale_significand[y]
                tile.scale_exponent[q, c] = b.scale_exponent[y] + _zero_lead(b.scale_significand[y])
        for step in range(steps):
            tile.flag[step, c] = b.flag[row * per_row + at + step]


@numba.njit(cache=True)
def decode_step(how: Plan, work: Work, flag: NDArray[np.uint8], sign: int) -> tuple[int, int]:
    """Decode the registers; return whether a column has a special, and whether a register is a negative zero."""
    exp_bits, man_bits = how.register_exp_bits, how.register_man_bits
    ones = (1 << exp_bits) - 1
    low = how.register_bias + man_bits
    any_slow = 0
    any_minus = 0
    for c in range(work.register.size):
        code = work.register[c]
        field = (code >> man_bits) & ones
        significand = (code & ((1 << man_bits) - 1)) | ((1 if field != 0 else 0) << man_bits)
        negative = -((code >> (exp_bits + man_bits)) & 1)
        slow = (1 if field == ones else 0) | flag[c]
        work.significand[c] = 0 if slow != 0 else (significand ^ negative) - negative
        work.exponent[c] = max(field, 1) - low
        work.slow[c] = slow
        any_slow |= slow
        any_minus |= 1 if code == sign else 0
    return any_slow, any_minus


@numba.njit(cache=True)
def _add_products(a: Operand, x: int, tile: Tile, k: int, lanes: int, total: NDArray[np.int64]) -> None:
    """Add products at one exponent."""
    for lane in range(lanes):
        significand = a.significand[x + lane]
        if significand == 0:
            continue
        for c in range(total.size):
            total[c] += significand * tile.significand[k + lane, c]


@numba.njit(cache=True)
def _add_wide(a: Operand, x: int, tile: Tile, k: int, lanes: int, work: Work) -> None:
    """Add products as `add_wide` does."""
    for lane in range(lanes):
        significand, exponent = a.significand[x + lane], a.exponent[x + lane]
        if significand == 0:
            continue
        for c in range(work.total.size):
            product = significand * tile.significand[k + lane, c]
            shift = exponent + tile.exponent[k + lane, c]
            work.total[c] += product << shift if shift < 32 else 0
            work.high[c] += 0 if shift < 32 else product << (shift - 32)


@numba.njit(cache=True)
def _scales(how: Plan, a: Operand, i: int, at: int, tile: Tile, q: int, work: Work) -> None:
    """Put a chunk's scales into `factor` and `drop`: significands, and exponents, far below all others of a zero."""
    if not how.scaled:
        work.factor[:] = 1
        work.drop[:] = 0
        return
    x = i * a.blocks + at // a.block
    significand = a.scale_significand[x]
    exponent = a.scale_exponent[x] + _zero_lead(significand)
    for c in range(work.total.size):
        work.factor[c] = significand * tile.scale_significand[q, c]
        work.drop[c] = exponent + tile.scale_exponent[q, c]


@numba.njit(cache=True)
def _nearest(a: Operand, x: int, tile: Tile, k: int, lanes: range, near: NDArray[np.int32]) -> None:
    """Find the largest exponent of some lanes' products."""
    near[:] = _NONE
    for lane in lanes:
        if a.significand[x + lane] == 0:
            continue
        exponent = a.exponent[x + lane]
        for c in range(near.size):
            near[c] = max(near[c], np.int32(exponent + tile.exponent[k + lane, c]))


@numba.njit(cache=True)
def _add_cut(how: Plan, rule: Rule, a: Operand, x: int, tile: Tile, k: int, lanes: range, work: Work) -> None:
    """Add products, of which `drop` has the exponent that `cut_right` would leave unshifted, each rounded."""
    directed = rule.half == 0 and rule.away == 0 and rule.even == 0 and rule.odd == 0
    for lane in lanes:
        significand, exponent = a.significand[x + lane] << how.cut_left, a.exponent[x + lane]
        if significand == 0:
            continue
        if directed:
            for c in range(work.total.size):
                value = significand * tile.significand[k + lane, c] * work.factor[c]
                places = min(work.drop[c] - (exponent + tile.exponent[k + lane, c]), 62)
                bias = ~(-1 << places) & (((value >> 63) & rule.negative) | rule.always)
                work.total[c] += (value + bias) >> places
        else:
            for c in range(work.total.size):
                value = significand * tile.significand[k + lane, c] * work.factor[c]
                places = work.drop[c] - (exponent + tile.exponent[k + lane, c])
                work.total[c] += rounded(rule, value, places)


@numba.njit(cache=True)
def _add_truncated(how: Plan, rule: Rule, a: Operand, i: int, at: int, tile: Tile, k: int, work: Work) -> None:
    """Add a step's products, each rounded, and the register where it is an addend, as `add_truncated` does."""
    man_bits = how.register_man_bits
    x = i * a.depth + at
    for c in range(work.total.size):
        held = how.fused != 0 and work.significand[c] != 0
        work.lead[c] = max(how.exp_floor, work.exponent[c] + man_bits if held else how.exp_floor)
    for begin in range(0, how.lanes, how.chunk):
        _scales(how, a, i, at + begin, tile, (k + begin) // how.chunk, work)
        if how.group > 1:
            _group(how, a, x + begin, tile, k + begin, begin // how.group, work)
            continue
        _nearest(a, x, tile, k, range(begin, begin + how.chunk), work.near)
        for c in range(work.total.size):
            work.lead[c] = max(work.lead[c], work.near[c] + work.drop[c])
    work.total[:] = 0
    for begin in range(0, how.lanes, how.chunk):
        if how.scaled:
            _scales(how, a, i, at + begin, tile, (k + begin) // how.chunk, work)
        else:
            work.drop[:] = 0
        for c in range(work.total.size):
            work.drop[c] = work.lead[c] - work.drop[c] + how.cut_right
        if how.group == 1:
            _add_cut(how, rule, a, x, tile, k, range(begin, begin + how.chunk), work)
            continue
        for group in range(begin // how.group, (begin + how.chunk) // how.group):
            for c in range(work.total.size):
                work.total[c] += rounded(rule, work.held[group, c] << how.cut_left, max(work.drop[c], 0))
    for c in range(work.total.size):
        if how.fused:
            places = work.lead[c] - work.exponent[c] - man_bits + how.register_right
            work.total[c] += rounded(rule, work.significand[c] << how.register_left, max(places, 0))
        work.unit[c] = work.lead[c] - how.fraction_bits


@numba.njit(cache=True)
def _group(how: Plan, a: Operand, x: int, tile: Tile, k: int, first: int, work: Work) -> None:
    """Put the sums of a chunk's groups, scaled, into `held`, and their exponent into `lead` where it is larger."""
    for group in range(how.chunk // how.group):
        held = work.held[first + group]
        held[:] = 0
        _add_products(a, x + group * how.group, tile, k + group * how.group, how.group, held)
        for c in range(held.size):
            held[c] *= work.factor[c]
            work.lead[c] = max(work.lead[c], work.drop[c] if held[c] != 0 else how.exp_floor)


@numba.njit(cache=True)
def _beyond(how: Plan, a: Operand, x: int, tile: Tile, k: int, work: Work) -> int:
    """Mark columns with a product beyond the largest float, and tell whether there is one."""
    found = 0
    base = how.limit + how.fraction_bits + how.cut_right - how.cut_left
    for lane in range(how.lanes):
        significand, exponent = a.significand[x + lane], a.exponent[x + lane]
        for c in range(work.slow.size):
            product = significand * tile.significand[k + lane, c]
            places = base - (exponent + tile.exponent[k + lane, c])
            over = 1 if abs(product) >> min(max(places, 0), 63) != 0 else 0
            work.slow[c] |= over
            found |= over
    return found


@numba.njit(cache=True)
def _floor(value: int, places: int) -> int:
    return (value << min(max(places, 0), 62)) >> min(max(-places, 0), 63)


@numba.njit(cache=True)
def _add_cascaded(how: Plan, rule: Rule, a: Operand, x: int, tile: Tile, k: int, work: Work) -> None:
    """Add a step's products and the register as `add_cascaded` does."""
    man_bits, width = how.register_man_bits, work.total.size
    work.factor[:] = 1
    work.other[:] = _NONE
    work.high[:] = 0
    for part in range(how.parts):
        lanes = range(part, how.lanes, how.parts)
        _nearest(a, x, tile, k, lanes, work.near)
        work.total[:] = 0
        for c in range(width):
            work.lead[c] = work.near[c]
            work.drop[c] = work.near[c] + how.cut_right
        _add_cut(how, rule, a, x, tile, k, lanes, work)
        for c in range(width):
            top = max(work.lead[c], work.other[c])
            total = work.total[c] >> min(top - work.lead[c], 63)
            work.high[c] = (work.high[c] >> min(top - work.other[c], 63)) + total
            work.other[c] = top
    places = max(how.sum_fraction_bits, how.register_fraction_bits)
    for c in range(width):
        top, significand = work.other[c], work.significand[c]
        lead = work.exponent[c] + man_bits
        largest = max(top, lead) if significand != 0 else top
        kept = _floor(work.high[c], top - how.fraction_bits - (largest - how.sum_fraction_bits))
        register = _floor(significand, lead - man_bits - (largest - how.register_fraction_bits))
        dropped = how.register_reach != 0 and lead < largest - how.register_reach
        register = 0 if dropped else register << (places - how.register_fraction_bits)
        work.total[c] = (kept << (places - how.sum_fraction_bits)) + register
        work.unit[c] = largest - places


@numba.njit(cache=True)
def add_step(how: Plan, rule: Rule, a: Operand, i: int, at: int, tile: Tile, k: int, work: Work) -> int:
    """Put the sums of a step, of row i of a from element `at` on, and k of the tile, and of the registers into `work`.

    Unchecked: `plan` has the proof. Returns whether a column was found to be slow.
    """
    x = i * a.depth + at
    if how.kind == TRUNCATED:
        _add_truncated(how, rule, a, i, at, tile, k, work)
        return 0
    if how.kind == CASCADED:
        found = _beyond(how, a, x, tile, k, work)
        _add_cascaded(how, rule, a, x, tile, k, work)
        return found
    work.total[:] = 0
    if how.kind == WIDE:
        work.high[:] = 0
        _add_wide(a, x, tile, k, how.lanes, work)
    else:
        _add_products(a, x, tile, k, how.lanes, work.total)
    if how.kind == FIXED:
        return 0
    _scales(how, a, i, at, tile, k // how.chunk, work)
    for c in range(work.total.size):
        work.total[c] *= work.factor[c]
        work.unit[c] = how.exponent + work.drop[c]
    if how.kind == WIDE:
        for c in range(work.total.size):
            work.total[c], work.unit[c] = merge_wide(
                work.high[c] * work.factor[c], work.total[c], work.unit[c], work.significand[c], work.exponent[c]
            )
    return 0


@numba.njit(cache=True)
def clip_step(how: Plan, work: Work) -> None:
    """Add the step's sums to fixed registers."""
    left, right = max(how.sum_shift, 0), max(-how.sum_shift, 0)
    for c in range(work.total.size):
        value = work.register[c] + (work.total[c] << left >> right)
        wrapped = ((value & (how.high - how.low)) ^ -how.low) + how.low
        work.register[c] = wrapped if how.wrap else min(max(value, how.low), how.high)


@numba.njit(cache=True)
def pack_step(how: Plan, pack: Packing, rule: Rule, work: Work) -> None:
    """Add the registers where they are still apart, and round all but those of slow columns."""
    apart = how.kind == GRID or (how.kind == TRUNCATED and not how.fused)
    if apart:
        for c in range(work.total.size):
            work.total[c], work.unit[c] = merged(work.total[c], work.unit[c], work.significand[c], work.exponent[c])
    for c in range(work.total.size):
        code = to_code(pack, rule, work.total[c], work.unit[c], work.minus[c], work.word[c])
        work.register[c] = work.register[c] if work.slow[c] != 0 else code
