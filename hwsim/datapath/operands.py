# SPDX-License-Identifier: Apache-2.0
"""Operands unpacked once, before the loops: significands, exponents and specials of whole arrays."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import point_bits
from hwsim.datapath.plan import FIXED, GRID, SINGLE, TRUNCATED, WIDE, Plan
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


class Operand(NamedTuple):
    """One side of a unit, for the kernels: flat arrays, `lanes` elements or one scale a step.

    significand is shifted to the format's smallest exponent (FIXED, GRID), or as decoded. exponent is that of the
    significand's unit (SINGLE), the same above the format's smallest (WIDE), that by which truncation goes (TRUNCATED),
    or empty. special is empty where none is set; flag tells the steps in which one is set, scales included.
    """

    significand: NDArray[np.int64]
    exponent: NDArray[np.int64]
    special: NDArray[np.uint8]
    flag: NDArray[np.uint8]
    scale_significand: NDArray[np.int64]
    scale_exponent: NDArray[np.int64]
    scale_special: NDArray[np.uint8]


def check_operand(name: str, spec: ScalarSpec, codes: object) -> NDArray[np.unsignedinteger]:
    """Return codes as an unsigned array, or raise with the operand's name."""
    array = np.asarray(codes)
    if array.dtype.kind not in "ui":
        raise TypeError(f"{name} must be an array of integers, the codes of {spec.name}, not of {array.dtype}")
    if array.size and (array.min() < 0 or int(array.max()) >> spec.bits):
        bad = int(array.min()) if array.min() < 0 else int(array.max())
        raise ValueError(f"{name} must hold codes of {spec.name}, in 0..2**{spec.bits} - 1, not {bad}")
    return array.astype(code_dtype(spec.bits), copy=False)


@lru_cache(maxsize=32)
def _table(spec: ScalarSpec) -> Unpacked:
    return spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))


def unpack(spec: ScalarSpec, codes: NDArray[np.unsignedinteger]) -> Unpacked:
    """Decode checked codes, by a table where the format is small."""
    if spec.bits > _TABLE_BITS:
        return spec.unpack(codes)
    table = _table(spec)
    return Unpacked(table.significand[codes], table.exponent[codes], table.special[codes])


def operand(
    how: Plan,
    spec: ScalarSpec,
    codes: NDArray[np.unsignedinteger],
    scale_spec: FloatSpec | None,
    scales: NDArray[np.unsignedinteger] | None,
) -> Operand:
    """Unpack one side of a unit.

    Unchecked: codes of shape (rows, steps * lanes) and scales of shape (rows, steps), or none.
    """
    parts = unpack(spec, codes)
    significand = parts.significand
    exponent = np.empty(0, np.int64)
    if how.kind in (FIXED, GRID):
        if spec.exp_max > spec.exp_min:
            significand = significand << (parts.exponent - spec.exp_min)
    elif how.kind == SINGLE:
        exponent = parts.exponent
    elif how.kind == WIDE:
        exponent = parts.exponent - spec.exp_min
    else:
        exponent = np.where(significand == 0, ZERO_LEAD, parts.exponent + point_bits(spec))
    steps = (codes.shape[0], codes.shape[1] // how.lanes)
    special = np.empty(0, np.uint8)
    flag = np.zeros(steps, np.uint8)
    if parts.special.any():
        special = parts.special
        flag |= special.reshape(*steps, how.lanes).max(axis=-1)
    scale = Unpacked(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))
    if how.scaled:
        scale = _scale(how, steps, scale_spec, scales)
        flag |= scale.special
    arrays = (significand, exponent, special, flag, *scale)
    return Operand(*(np.ascontiguousarray(array).reshape(-1) for array in arrays))


def _scale(
    how: Plan, steps: tuple[int, int], spec: FloatSpec | None, scales: NDArray[np.unsignedinteger] | None
) -> Unpacked:
    """Return the scale of each step; 1 where the other operand alone has scales."""
    if spec is None or scales is None:
        return Unpacked(np.ones(steps, np.int64), np.zeros(steps, np.int64), np.zeros(steps, np.uint8))
    parts = unpack(spec, scales)
    lead = spec.man_bits if how.kind == TRUNCATED else 0
    return Unpacked(parts.significand, parts.exponent + lead, parts.special)
