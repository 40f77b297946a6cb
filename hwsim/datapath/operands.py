# SPDX-License-Identifier: Apache-2.0
"""Operands unpacked once, before the loops: significands, exponents and specials of whole arrays."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import point_bits
from hwsim.datapath.plan import CASCADED, FIXED, FUSED, GRID, TRUNCATED, WIDE, Plan
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import FloatSpec, Unpacked
from hwsim.formats.codes import code_dtype

__all__ = [
    "ZERO_LEAD",
    "Operand",
    "check_operand",
    "operand",
    "unpack",
]

ZERO_LEAD = -(1 << 20)
"""The exponent of a zero where alignment truncates: below any other sum of exponents."""

_TABLE_BITS = 16
_SLAB = 1 << 18  # elements unpacked at a time


class Operand(NamedTuple):
    """One side of a unit, for the kernels: flat arrays of its elements, row after row, and of its scales.

    significand is shifted to the format's smallest exponent (FIXED, GRID, a group of TRUNCATED), or as decoded.
    exponent is that of the significand's unit (SINGLE, LIMBS, PAIRWISE), the same above the format's smallest (WIDE),
    that by which truncation goes (TRUNCATED, CASCADED), or empty. special is empty where none is set, minus (whether an
    element has a negative sign) where no zero has one, code where no NaN is an operand's. flag tells the steps in which
    a special is set, scales included.
    """

    significand: NDArray[np.int64]
    exponent: NDArray[np.int64]
    special: NDArray[np.uint8]
    minus: NDArray[np.bool_]
    code: NDArray[np.int64]
    flag: NDArray[np.uint8]
    scale_significand: NDArray[np.int64]
    scale_exponent: NDArray[np.int64]
    scale_special: NDArray[np.uint8]
    scale_minus: NDArray[np.bool_]
    depth: int  # elements of a row
    blocks: int  # scales of a row; 0 where one stands for all
    block: int  # elements that share a scale


def check_operand(name: str, spec: ScalarSpec, codes: object, ignored_bits: int = 0) -> NDArray[np.unsignedinteger]:
    """Return codes, with `ignored_bits` below them, as an unsigned array, or raise with the operand's name.

    Integers of signed types are taken as well, none of them negative.
    """
    array = np.asarray(codes)
    bits = spec.bits + ignored_bits
    if array.dtype.kind not in "ui":
        raise TypeError(f"{name} must be an array of integers, the codes of {spec.name}, not of {array.dtype}")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high >> bits:
        hint = ""
        if low < 0:
            same = 8 * array.dtype.itemsize == bits
            make = f"{name}.view(np.uint{bits})" if same else f"{name} & {(1 << bits) - 1:#x}"
            hint = f": codes are unsigned, and `{make}` makes them"
        bad = low if low < 0 else high
        raise ValueError(f"{name} must hold codes of {spec.name}, in 0..2**{bits} - 1, not {bad}{hint}")
    return array.astype(code_dtype(bits), copy=False)


@lru_cache(maxsize=32)
def _table(spec: ScalarSpec) -> Unpacked:
    return spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))


def unpack(spec: ScalarSpec, codes: NDArray[np.unsignedinteger]) -> Unpacked:
    """Decode checked codes, by a table where the format is small."""
    if spec.bits > _TABLE_BITS:
        return spec.unpack(codes)
    table = _table(spec)
    return Unpacked(table.significand[codes], table.exponent[codes], table.special[codes])


def _exponents(how: Plan, spec: ScalarSpec, parts: Unpacked) -> NDArray[np.int64]:
    """Return the exponents as `Operand` has them."""
    if how.kind == WIDE:
        return parts.exponent - spec.exp_min
    if how.kind in (TRUNCATED, CASCADED):
        return np.where(parts.significand == 0, ZERO_LEAD, parts.exponent + point_bits(spec))
    return parts.exponent


@lru_cache(maxsize=32)
def _entries(how: Plan, spec: ScalarSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return significand and exponent, as `Operand` has them, of every code of a small format."""
    return _converted(how, spec, _table(spec))


def _converted(how: Plan, spec: ScalarSpec, parts: Unpacked) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    significand = parts.significand
    if _is_grid(how) and spec.exp_max > spec.exp_min:
        significand = significand << np.where(significand == 0, 0, parts.exponent - spec.exp_min)
    return significand, _exponents(how, spec, parts)


def _is_grid(how: Plan) -> bool:
    return how.kind in (FIXED, GRID) or how.group > 1


def _signs(spec: ScalarSpec, codes: NDArray[np.unsignedinteger], significand: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which elements have a negative sign, zeros included."""
    if isinstance(spec, FloatSpec):
        return codes >> codes.dtype.type(spec.bits - 1) != 0 if spec.signed else np.zeros(codes.shape, np.bool_)
    return significand < 0


def operand(
    how: Plan,
    spec: ScalarSpec,
    codes: NDArray[np.unsignedinteger],
    scale_spec: FloatSpec | None,
    scales: NDArray[np.unsignedinteger] | None,
    block: int = 0,
) -> Operand:
    """Unpack one side of a unit, some rows at a time, so that hardly more memory is taken than the result has.

    Unchecked: codes of shape (rows, steps * lanes), and scales of shape (rows, scales) or None. `block` elements share
    a scale; 0: those of a step.
    """
    rows, depth = codes.shape
    steps = depth // how.lanes
    raw = how.kind == FUSED
    has_exponent = not (raw or _is_grid(how))
    significand = np.empty((0 if raw else rows, depth), np.int64)
    exponent = np.empty((rows if has_exponent else 0, depth), np.int64)
    special = np.empty((0, depth), np.uint8)
    minus = np.empty((rows if how.signed_zero and not raw else 0, depth), np.bool_)
    held = codes if raw or how.nan_operand else codes[:0]
    code = np.ascontiguousarray(held).astype(np.uint64, copy=False).view(np.int64)
    flag = np.zeros((rows, steps), np.uint8)
    small = spec.bits <= _TABLE_BITS
    slab = max(_SLAB // max(depth, 1), 1)
    for begin in range(0, 0 if raw else rows, slab):
        part = slice(begin, begin + slab)
        some = codes[part]
        parts = _table(spec) if small else spec.unpack(some)
        numbers, powers = _entries(how, spec) if small else _converted(how, spec, parts)
        significand[part] = numbers[some] if small else numbers
        if has_exponent:
            exponent[part] = powers[some] if small else powers
        if minus.shape[0]:
            minus[part] = _signs(spec, some, significand[part])
        if parts.special.any():
            found = parts.special[some] if small else parts.special
            if found.any():
                special = special if special.shape[0] else np.zeros((rows, depth), np.uint8)
                special[part] = found
                flag[part] = found.reshape(-1, steps, how.lanes).max(axis=-1)
    scale, scale_minus, blocks = _scale(how, scale_spec, scales)
    block = block or how.lanes
    if blocks and scale.special.any():
        at = np.arange(steps) * how.lanes
        for lane in range(0, how.lanes, how.chunk):
            flag |= scale.special[:, (at + lane) // block]
    return Operand(
        _flat(significand),
        _flat(exponent),
        _flat(special),
        _flat(minus),
        _flat(code),
        _flat(flag),
        _flat(scale.significand),
        _flat(scale.exponent),
        _flat(scale.special),
        _flat(scale_minus),
        depth,
        blocks,
        block if blocks else max(depth, 1),
    )


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array).reshape(-1)


def _scale(
    how: Plan, spec: FloatSpec | None, scales: NDArray[np.unsignedinteger] | None
) -> tuple[Unpacked, NDArray[np.bool_], int]:
    """Return the scales of a row, their signs and how many they are; a 1 where this operand has none."""
    if spec is None or scales is None:
        one = Unpacked(np.ones((1, 1), np.int64), np.zeros((1, 1), np.int64), np.zeros((1, 1), np.uint8))
        return one, np.zeros((1, 1), np.bool_), 0
    parts = unpack(spec, scales)
    lead = spec.man_bits if how.kind == TRUNCATED else 0
    minus = _signs(spec, scales, parts.significand)
    return Unpacked(parts.significand, parts.exponent + lead, parts.special), minus, scales.shape[1]
