# SPDX-License-Identifier: Apache-2.0
"""Infinities and NaN among the operands of a matrix product: where they are, and what they make of a fixed register."""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.entry import special_of, zero_code
from hwsim.datapath.operands import unpack
from hwsim.datapath.problem import Codes, Problem
from hwsim.datapath.round_pack import round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.datapath.threads import threads_for
from hwsim.datapath.unit import Accumulator, DotProductUnit, FloatAccumulator, ScalarSpec
from hwsim.formats import Unpacked
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, code_dtype

__all__ = [
    "Flags",
    "flags",
    "marked",
    "product_specials",
    "without_specials",
]

_ZERO, _PLUS, _MINUS, _PLUS_INFINITY, _MINUS_INFINITY, _NAN = range(6)


class Flags(NamedTuple):
    """Which codes are special, None where none is, and which rows and columns of d they reach."""

    a: NDArray[np.bool_] | None
    b: NDArray[np.bool_] | None
    c: NDArray[np.bool_] | None
    a_scales: NDArray[np.bool_] | None
    b_scales: NDArray[np.bool_] | None
    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]


def flags(problem: Problem, register: Accumulator) -> Flags | None:
    """Return where a problem's specials are; None where there is none. c is in the format of `register`."""
    unit = problem.unit
    a, b = special_of(unit.element_a, problem.a), special_of(unit.element_b, problem.b)
    c = None
    if problem.c is not None and isinstance(register, FloatAccumulator):
        c = special_of(register.format, problem.c)
    scales = []
    for spec, codes in ((unit.scale_a, problem.a_scales), (unit.scale_b, problem.b_scales)):
        scales.append(None if spec is None or codes is None else special_of(spec, codes))
    if all(found is None for found in (a, b, c, *scales)):
        return None
    rows = np.zeros(problem.a.shape[0], np.bool_)
    columns = np.zeros(problem.b.shape[0], np.bool_)
    for reached, found in ((rows, a), (rows, c), (rows, scales[0]), (columns, b), (columns, scales[1])):
        if found is not None:
            np.logical_or(reached, found.any(axis=1), out=reached)
    return Flags(a, b, c, scales[0], scales[1], rows, columns)


def without_specials(problem: Problem, found: Flags) -> Problem:
    """Return the problem with zeros, and scales of one, in place of its specials."""
    unit = problem.unit
    scale_a, scale_b = (0 if spec is None else int(spec.encode(1.0)) for spec in (unit.scale_a, unit.scale_b))
    zero_a, zero_b = zero_code(unit.element_a), zero_code(unit.element_b)
    return problem._replace(
        a=_replaced(problem.a, found.a, zero_a),
        b=_replaced(problem.b, found.b, zero_b),
        c=None if problem.c is None else _replaced(problem.c, found.c, 0),
        a_scales=None if problem.a_scales is None else _replaced(problem.a_scales, found.a_scales, scale_a),
        b_scales=None if problem.b_scales is None else _replaced(problem.b_scales, found.b_scales, scale_b),
    )


def _replaced(codes: Codes, where: NDArray[np.bool_] | None, code: int | None) -> Codes:
    if where is None:
        return codes
    assert code is not None  # every format with a NaN has a zero
    return np.where(where, codes.dtype.type(code), codes)


@lru_cache(maxsize=64)
def _class_table(spec: ScalarSpec) -> NDArray[np.uint8]:
    """Return the class of each code."""
    return _classes_of(spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits))))


def _classes(spec: ScalarSpec, codes: Codes) -> NDArray[np.uint8]:
    found = _class_table(spec)[codes] if spec.bits <= 16 else _classes_of(unpack(spec, np.ascontiguousarray(codes)))
    return np.ascontiguousarray(found)


def _classes_of(parts: Unpacked) -> NDArray[np.uint8]:
    """Return of each number whether it is zero, of which sign, infinite or NaN."""
    found = np.where(parts.significand == 0, _ZERO, np.where(parts.significand > 0, _PLUS, _MINUS))
    for special, kind in ((POSITIVE_INFINITY, _PLUS_INFINITY), (NEGATIVE_INFINITY, _MINUS_INFINITY), (NAN, _NAN)):
        found[parts.special == special] = kind
    return found.astype(np.uint8)


def _product_table(sparse: bool) -> NDArray[np.uint8]:
    """Return the special of the product of two classes; with a sparse a, a zero of it does not meet b's."""
    table = np.zeros((6, 6), np.uint8)
    for x in range(6):
        for y in range(6):
            if sparse and x == _ZERO:
                continue
            if _NAN in (x, y) or (_ZERO in (x, y) and max(x, y) >= _PLUS_INFINITY):
                table[x, y] = NAN
            elif max(x, y) >= _PLUS_INFINITY:
                minus = (x in (_MINUS, _MINUS_INFINITY)) != (y in (_MINUS, _MINUS_INFINITY))
                table[x, y] = NEGATIVE_INFINITY if minus else POSITIVE_INFINITY
    return table


_PRODUCTS = {sparse: _product_table(sparse) for sparse in (False, True)}


@numba.njit(cache=True, parallel=True)
def _product_kernel(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    rows: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    table: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """OR the specials of the products of each flagged row or column; unchecked."""
    for i in numba.prange(a.shape[0]):
        for j in range(b.shape[0]):
            if rows[i] | columns[j]:
                seen = 0
                for k in range(a.shape[1]):
                    seen |= table[a[i, k], b[j, k]]
                out[i, j] = seen


def product_specials(problem: Problem, found: Flags, *, sparse: bool) -> NDArray[np.uint8]:
    """Return the OR of the specials of all products of each element of d: what a fixed register has seen at its end.

    With `sparse`, a zero of a does not enter, whatever is beside it.
    """
    unit = problem.unit
    out = np.zeros((problem.a.shape[0], problem.b.shape[0]), np.uint8)
    a, b = _classes(unit.element_a, problem.a), _classes(unit.element_b, problem.b)
    with threads_for(out.size * a.shape[1]):
        _product_kernel(a, b, found.rows, found.columns, _PRODUCTS[sparse], out)
    return out


def marked(unit: DotProductUnit, d: Codes, specials: NDArray[np.uint8]) -> Codes:
    """Return d with the output's code of a special where a fixed register has seen one."""
    rules = (unit.rounding, unit.overflow)
    codes = [0, *(round_pack_exact(unit.output, Term(0, 0, 0, special), *rules) for special in range(1, NAN + 1))]
    marks: Codes = np.where(specials != 0, np.array(codes, d.dtype)[specials], d)
    return marks
