# SPDX-License-Identifier: Apache-2.0
"""Rows of operands as they enter a unit, one a cycle, and what comes out: the oracle on a stream."""

from collections.abc import Iterable
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.datapath.accumulate import load, load_exact, output, output_exact, promote_exact, run, step_exact
from hwsim.datapath.operands import Operand, check_operand, operand
from hwsim.datapath.plan import Plan, plan, register_packing
from hwsim.datapath.round_pack import Packing
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import DotProductUnit

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
    spans: tuple[NDArray[np.int64], NDArray[np.int64]],
    registers: NDArray[np.int64],
    out: NDArray[np.int64],
    specials: NDArray[np.uint8],
) -> None:
    """Unchecked. `spans` are the rows with `first` and the end, and each row's place in `out`, or -1."""
    starts, target = spans
    for chain in numba.prange(starts.size - 1):
        register = registers[starts[chain]]
        seen = 0
        for row in range(starts[chain], starts[chain + 1]):
            register, special = run(how, pack, register, a, row, b, row, 1)
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
) -> NDArray[np.unsignedinteger]:
    """Run a stream of rows: the array form of `dot_exact`.

    Parameters
    ----------
    unit : DotProductUnit
    a, b : arrays of integers, shape (rows, lanes)
        Codes of `unit.element_a` and `unit.element_b`.
    first, last : arrays of bool, shape (rows,)
        As in `Row`. The first row has `first`.
    c : array of integers, shape (rows,), optional
        Codes of the accumulator's format, read where `first` is set; 0 if not given.
    scales : array of integers, shape (rows, len(unit.scales))
        Codes of `unit.scales`; given if and only if the unit has any.

    Returns
    -------
    ndarray of the smallest unsigned dtype that holds `unit.output.bits`, shape (number of `last`,)

    Raises
    ------
    TypeError, ValueError
        If an array is not of the kind, shape or range above, or the unit is too wide for the kernels.
    """
    if not isinstance(unit, DotProductUnit):
        raise TypeError(f"unit must be a DotProductUnit, not {unit!r}")
    how = plan(unit)
    a_codes, b_codes = check_operand("a", unit.element_a, a), check_operand("b", unit.element_b, b)
    rows = a_codes.shape[0] if a_codes.ndim else 0
    firsts, lasts = _flags("first", first, rows), _flags("last", last, rows)
    for name, array in (("a", a_codes), ("b", b_codes)):
        if array.shape != (rows, unit.lanes):
            raise ValueError(f"{name} must have the shape ({rows}, {unit.lanes}), rows and lanes, not {array.shape}")
    c_codes = check_operand("c", unit.accumulator.format, np.zeros(rows, np.uint8) if c is None else c)
    if c_codes.shape != (rows,):
        raise ValueError(f"c must have the shape ({rows},), a code a row, not {c_codes.shape}")
    a_scales, b_scales = _scales(unit, scales, rows)
    if rows and not firsts[0]:
        raise ValueError("rows must start with a row that has `first`, for a register has no value before")
    count = int(lasts.sum())
    out, specials = np.zeros(count, np.int64), np.zeros(count, np.uint8)
    starts = np.append(np.flatnonzero(firsts), rows)
    target = np.where(lasts, np.cumsum(lasts) - 1, -1)
    left = operand(how, unit.element_a, a_codes, unit.scale_a, a_scales)
    right = operand(how, unit.element_b, b_codes, unit.scale_b, b_scales)
    with threads_for(rows * unit.lanes):
        _dot_kernel(how, register_packing(unit), left, right, (starts, target), load(unit, c_codes), out, specials)
    return output(unit, out, specials)


def _flags(name: str, flags: ArrayLike, rows: int) -> NDArray[np.bool_]:
    array = np.asarray(flags)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must be an array of bool, not of {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"{name} must have the shape ({rows},), a flag a row, not {array.shape}")
    return array


def _scales(
    unit: DotProductUnit, scales: ArrayLike | None, rows: int
) -> tuple[NDArray[np.unsignedinteger] | None, NDArray[np.unsignedinteger] | None]:
    """Return a's and b's scales, each of shape (rows, 1), or None."""
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
    columns = [check_operand("scales", spec, array[:, [at]]) for at, spec in enumerate(unit.scales)]
    return (columns[0] if unit.scale_a else None), (columns[-1] if unit.scale_b else None)
