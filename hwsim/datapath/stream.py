# SPDX-License-Identifier: Apache-2.0
"""Rows of operands as they enter a unit, one a cycle, and what comes out: the oracle on a stream."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.accumulate import load_exact, output_exact, promote_exact, step_exact
from hwsim.datapath.entry import check_sparse, enter, flush
from hwsim.datapath.operands import Operand, check_operand, operand
from hwsim.datapath.plan import Plan, plan, register_packing
from hwsim.datapath.problem import Codes
from hwsim.datapath.promotion import promote, promoting
from hwsim.datapath.round_pack import Packing
from hwsim.datapath.staged import load, output, run
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator
from hwsim.formats import BlockSpec, FloatSpec

__all__ = [
    "Row",
    "dot",
    "dot_exact",
]


class Row(NamedTuple):
    """What a unit accepts in a cycle, as plain integers.

    A row with `first` starts a dot product from c, a code of the accumulator's format; a row with `last` ends it and
    makes an output. Without `first` the register goes on; `c` is then ignored. `word` is of stochastic rounding.
    """

    first: bool
    last: bool
    a: tuple[int, ...]
    b: tuple[int, ...]
    scales: tuple[int, ...] = ()
    c: int = 0
    word: int = 0


def dot_exact(unit: DotProductUnit, rows: Iterable[Row]) -> list[int]:
    """Return d, a code of `unit.output`, for each row with `last`, in order.

    Of two registers the first is promoted after as many products as the unit says, and at each `last`.

    Raises
    ------
    ValueError
        If the stream does not start with a `first`, or a row has not `width` operands and a scale for each of
        `unit.scales`.
    """
    register = inner = None
    outputs = []
    products = 0
    for row in rows:
        if row.first:
            register, inner, products = load_exact(unit, row.c), (0, 0), 0
        if register is None or inner is None:
            raise ValueError("rows must start with a row that has `first`, for a register has no value before")
        if unit.promotion is None:
            register = step_exact(unit, register, row.a, row.b, row.scales, row.word)
        else:
            inner = step_exact(unit, inner, row.a, row.b, row.scales, row.word)
            products += unit.width
            if products == unit.promotion.length or row.last:
                register, inner, products = promote_exact(unit, register, inner), (0, 0), 0
        if row.last:
            outputs.append(output_exact(unit, register))
    return outputs


@numba.njit(cache=True, parallel=True)
def _dot_kernel(
    how: Plan,
    pack: Packing,
    a: Operand,
    b: Operand,
    chains: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    words: NDArray[np.int64],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Unchecked. `chains` are the first rows and the end, each row's place in `out`, or -1, and registers, loaded."""
    starts, target, registers = chains
    for chain in numba.prange(starts.size - 1):
        register = registers[starts[chain]]
        seen = 0
        scratch = np.zeros(how.scratch, np.int64)
        for row in range(starts[chain], starts[chain + 1]):
            random = words[row : row + 1] if words.size else words
            register, special = run(how, pack, register, a, b, (row, row, 1), random, scratch)
            seen |= special
            if target[row] >= 0:
                out[target[row]] = register
                specials[target[row]] = seen


def dot(
    unit: DotProductUnit,
    a: ArrayLike,
    b: ArrayLike,
    first: ArrayLike,
    last: ArrayLike,
    c: ArrayLike | None = None,
    *,
    scales: ArrayLike | None = None,
    words: ArrayLike | None = None,
) -> NDArray[np.unsignedinteger]:
    """Run a stream of rows: the array form of `dot_exact`.

    Parameters
    ----------
    unit : DotProductUnit
    a, b : arrays of integers, shape (rows, width)
        Codes of `unit.element_a` and `unit.element_b`, with the bits that the unit ignores; zeros of a where it is
        sparse.
    first, last : arrays of bool, shape (rows,)
        As in `Row`. The first row has `first`.
    c : array of integers, shape (rows,), optional
        Codes of the format of `unit.register`, read where `first` is set; 0 if not given.
    scales : array of integers, shape (rows, len(unit.scales))
        Codes of `unit.scales`; given if and only if the unit has any.
    words : array of integers, shape (rows,)
        In [0, 2**random_bits); given if and only if the accumulator's rounding is stochastic.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `unit.output.bits`, shape (number of `last`,)

    Raises
    ------
    TypeError, ValueError
        If an array is not of the kind, shape or range above, a is not as sparse as it must, or the unit is too wide for
        the kernels.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    plan(unit)
    rows = _checked(unit, (a, b), (first, last), c, scales, words)
    if unit.promotion is None:
        registers, specials = _run_rows(unit, rows, load(unit, rows.c))
    else:
        registers, specials = _run_promoted(unit, rows)
    return output(unit, registers, specials)


class _Rows(NamedTuple):
    """Checked arrays of a stream, as they enter."""

    a: Codes
    b: Codes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    c: Codes
    scales: tuple[Codes | None, Codes | None]
    words: NDArray[np.int64]


def _checked(
    unit: DotProductUnit,
    sides: tuple[ArrayLike, ArrayLike],
    marks: tuple[ArrayLike, ArrayLike],
    c: ArrayLike | None,
    scales: ArrayLike | None,
    words: ArrayLike | None,
) -> _Rows:
    """Check the arrays of a stream."""
    specs = (unit.element_a, unit.element_b)
    codes = [
        check_operand(name, spec, side, unit.ignored_bits) for name, spec, side in zip("ab", specs, sides, strict=True)
    ]
    count = codes[0].shape[0] if codes[0].ndim else 0
    first, last = _flags("first", marks[0], count), _flags("last", marks[1], count)
    for name, array in zip("ab", codes, strict=True):
        if array.shape != (count, unit.width):
            raise ValueError(f"{name} must have the shape ({count}, {unit.width}), rows and lanes, not {array.shape}")
    register = unit.register.format
    start = check_operand("c", register, np.zeros(count, np.uint8) if c is None else c)
    if start.shape != (count,):
        raise ValueError(f"c must have the shape ({count},), a code a row, not {start.shape}")
    if unit.flush_operands and isinstance(register, FloatSpec):
        start = flush(register, start)
    parts = _scales(unit, scales, count)
    random = _words(unit, words, count)
    if count and not first[0]:
        raise ValueError("rows must start with a row that has `first`, for a register has no value before")
    bare = replace(unit, order=())  # rows are in order as they are
    left, right = (enter(bare, name, spec, side) for name, spec, side in zip("ab", specs, codes, strict=True))
    if unit.sparsity is not None:
        check_sparse(unit, left)
    return _Rows(left, right, first, last, start, parts, random)


def _run_rows(
    unit: DotProductUnit, rows: _Rows, registers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the first registers at each row with `last`; `registers` are loaded at each with `first`."""
    unit = unit if unit.unpacked is None else unit.inner
    how = plan(unit)
    sizes = [min(spec.block_size, unit.width) if isinstance(spec, BlockSpec) else 0 for spec in (unit.a, unit.b)]
    left = operand(how, unit.element_a, rows.a, unit.scale_a, rows.scales[0], sizes[0])
    right = operand(how, unit.element_b, rows.b, unit.scale_b, rows.scales[1], sizes[1])
    starts = np.append(np.flatnonzero(rows.first), rows.first.size)
    target = np.where(rows.last, np.cumsum(rows.last) - 1, -1)
    count = int(rows.last.sum())
    out, specials = np.zeros(count, np.int64), np.zeros(count, np.uint8)
    with threads_for(rows.a.size):
        chains = (starts, target, registers)
        _dot_kernel(how, register_packing(unit), left, right, chains, rows.words, out, specials)
    return out, specials


def _run_promoted(unit: DotProductUnit, rows: _Rows) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the second registers at each row with `last`: the first ones are of shorter dot products, from zero."""
    assert unit.promotion is not None
    how = promoting(unit)
    ends = np.zeros(rows.last.size, np.bool_)
    _ends_kernel(rows.first, rows.last, unit.promotion.length // unit.width, ends)
    shorter = rows._replace(first=rows.first | np.append(True, ends)[:-1], last=ends)
    values, seen = _run_rows(unit, shorter, np.zeros(ends.size, np.int64))
    starts = np.append((np.cumsum(ends) - ends)[rows.first], values.size)
    target = np.where(rows.last, np.cumsum(rows.last) - 1, -1)[ends]
    count = int(rows.last.sum())
    out, specials = np.zeros(count, np.int64), np.zeros(count, np.uint8)
    promote(how, (starts, target, load(unit, rows.c)[rows.first]), values, seen, out, specials)
    return out, specials


@numba.njit(cache=True)
def _ends_kernel(first: NDArray[np.bool_], last: NDArray[np.bool_], steps: int, out: NDArray[np.bool_]) -> None:
    """Tell the rows after which the first register is promoted; unchecked."""
    held = 0
    for row in range(first.size):
        held = 1 if first[row] else held + 1
        out[row] = last[row] or held == steps
        if out[row]:
            held = 0


def _flags(name: str, flags: ArrayLike, rows: int) -> NDArray[np.bool_]:
    array = np.asarray(flags)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must be an array of bool, not of {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"{name} must have the shape ({rows},), a flag a row, not {array.shape}")
    return array


def _scales(unit: DotProductUnit, scales: ArrayLike | None, rows: int) -> tuple[Codes | None, Codes | None]:
    """Return a's and b's scales, each of shape (rows, scales of a step), or None."""
    count = len(unit.scales)
    if scales is None:
        if count:
            raise ValueError(f"scales must be given for unit {unit.name}, {count} codes a row")
        return None, None
    if not count:
        raise ValueError(f"scales must be None for unit {unit.name}, which has none")
    array = np.asarray(scales)
    if array.shape != (rows, count):
        raise ValueError(f"scales must have the shape ({rows}, {count}), not {array.shape}")
    of_a = 0 if unit.scale_a is None else unit.scale_counts[0]
    left = None if unit.scale_a is None else check_operand("scales", unit.scale_a, array[:, :of_a])
    right = None if unit.scale_b is None else check_operand("scales", unit.scale_b, array[:, of_a:])
    return left, right


def _words(unit: DotProductUnit, words: ArrayLike | None, rows: int) -> NDArray[np.int64]:
    """Return the words of stochastic rounding, none where the unit takes none."""
    bits = unit.accumulator.random_bits if isinstance(unit.accumulator, FloatAccumulator) else 0
    if words is None:
        if bits:
            raise ValueError(f"words must be given for unit {unit.name}, which rounds stochastically")
        return np.empty(0, np.int64)
    if not bits:
        raise ValueError(f"words must be None for unit {unit.name}, which does not round stochastically")
    array = np.asarray(words)
    if array.dtype.kind not in "ui":
        raise TypeError(f"words must be an array of integers, not of {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"words must have the shape ({rows},), a word a row, not {array.shape}")
    if rows and (int(array.min()) < 0 or int(array.max()) >> bits):
        bad = int(array.min()) if int(array.min()) < 0 else int(array.max())
        raise ValueError(f"words must be in 0..2**{bits} - 1, not {bad}")
    return array.astype(np.int64)
