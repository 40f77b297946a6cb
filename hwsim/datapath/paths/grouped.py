# SPDX-License-Identifier: Apache-2.0
"""Units that cut exact sums of a group of products: float64 lanes hold the sums, scaled, and what is kept of them."""

from functools import lru_cache, partial
from math import gcd
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import point_bits
from hwsim.datapath.paths.panels import pack
from hwsim.datapath.paths.truncated_operands import load_registers
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import (
    absolute,
    add,
    bit_and,
    bitcast,
    compare_eq,
    compare_le,
    convert,
    fmuladd,
    maximum,
    mul,
    select,
    splat,
    sub,
)
from hwsim.datapath.staged import output
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_load, tile_splat, tile_store
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, NanResult, ScalarSpec, TruncatedAlignment
from hwsim.datapath.vectors import call_llvm, compiled, elementwise, intrinsic
from hwsim.formats import BlockSpec, FloatSpec, Overflow, Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "COLUMNS",
    "ROWS",
    "float32_register",
    "inverse_power",
    "lead_power",
    "offer",
    "read_float32",
    "truncate",
]

COLUMNS = 64
"""Columns of a panel."""

ROWS = 32
"""Rows that share the operands of a step while they are in the first cache."""

_SINGLE_BITS, _DOUBLE_BITS = 24, 53
_TABLE_BITS = 12
_LEAST, _TOP = -149, 127  # exponents of float32's last place and of its first one
_RANGE = 1000  # exponents of float64 that nothing here leaves
_FIELD = 0x7FF << 52
_SHARED = 1 << 30  # the block size of an operand without scales


class _Groups(NamedTuple):
    """A unit as the kernel takes it."""

    group: int
    groups: int  # of a step
    a_block: int  # elements that share a scale
    b_block: int
    floor: float  # two to the power of the least exponent
    kept: float  # two to the power of the fraction bits
    toward_zero: int | None  # None for to nearest even: a type of its own


@intrinsic
def truncate(_context: Any, x: Any) -> Any:
    """Return the integer next toward zero, as a float."""
    return elementwise((x,), lambda builder, p: call_llvm(builder, "llvm.trunc", p.type, [p]))


@numba.njit(forceinline=True)
def inverse_power(power: Any) -> Any:
    """Return one over float64 powers of two, all normal."""
    return bitcast(sub(2046 << 52, bitcast(power, np.int64)), np.float64)


@numba.njit(forceinline=True)
def lead_power(register: Any, least: float) -> Any:
    """Return two to the exponent of float32 values in float64 lanes, that of a subnormal -126, and `least` of zeros."""
    field = bitcast(bit_and(bitcast(register, np.int64), _FIELD), np.float64)
    return select(compare_eq(register, 0.0), least, maximum(field, 2.0**-126))


@numba.njit(forceinline=True)
def _rounded(how: _Groups, value: Any) -> Any:
    """Return float64 values as float32: toward zero in two cuts, at float32's last place and at 24 bits."""
    if how.toward_zero is not None:
        fixed = mul(truncate(mul(value, 2.0**149)), 2.0**-149)
        value = bitcast(bit_and(bitcast(fixed, np.int64), -(1 << 29)), np.float64)
    return add(convert(value, np.float32), 0.0)  # of -0, +0


@numba.njit(cache=True, parallel=True)
def _kernel(
    how: _Groups,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    a_scale: tuple[NDArray[np.float64], NDArray[np.float64]],
    b_scale: tuple[NDArray[np.float64], NDArray[np.float64]],
    registers: NDArray[np.float32],
) -> None:
    """Add steps to the registers; unchecked. a is (M, K), b (panels, K, COLUMNS), scales likewise but for blocks.

    A scale is its value and two to its exponent. The sums of a step wait in `sums` until its largest exponent is known.
    """
    panels, rows, _ = registers.shape
    length, lanes = a.shape[1], how.group * how.groups
    tasks = (rows + ROWS - 1) // ROWS
    for task in numba.prange(panels * tasks):
        panel, begin = task // tasks, task % tasks * ROWS
        sums = np.empty((how.groups, COLUMNS), np.float64)
        for at in range(0, length, lanes):
            for row in range(begin, min(begin + ROWS, rows)):
                place = (panel * rows + row) * COLUMNS
                held = tile_load(registers, place, 0, 1, 4, 16)
                register = convert(held, np.float64)
                power = maximum(lead_power(register, how.floor), how.floor)
                for part in range(how.groups):
                    first = at + part * how.group
                    total = tile_splat(splat(0.0, np.float32, 16), 1, 4)
                    for k in range(first, first + how.group):
                        total = fmuladd(tile_load(b, (panel * length + k) * COLUMNS, 0, 1, 4, 16), a[row, k], total)
                    of_a = first // how.a_block
                    of_b = (panel * b_scale[0].shape[1] + first // how.b_block) * COLUMNS
                    scale = mul(tile_load(b_scale[0], of_b, 0, 1, 4, 16), a_scale[0][row, of_a])
                    value = mul(convert(total, np.float64), scale)
                    lead = mul(tile_load(b_scale[1], of_b, 0, 1, 4, 16), a_scale[1][row, of_a])
                    power = maximum(power, select(compare_eq(value, 0.0), how.floor, lead))
                    tile_store(sums, part * COLUMNS, 0, value)
                factor = mul(inverse_power(power), how.kept)
                kept = add(truncate(mul(register, factor)), 0.0)
                for part in range(how.groups):
                    kept = add(kept, truncate(mul(tile_load(sums, part * COLUMNS, 0, 1, 4, 16), factor)))
                value = _rounded(how, mul(mul(kept, power), 1.0 / how.kept))
                infinite = compare_le(np.float32(np.inf), absolute(held))
                tile_store(registers, place, 0, select(infinite, held, value))


def float32_register(unit: DotProductUnit) -> FloatAccumulator | None:
    """Return a unit's only register if it is a float32 that rounds all of its bits, toward zero or to nearest even."""
    register = unit.accumulator
    if not isinstance(register, FloatAccumulator) or unit.inner is not unit:
        return None
    spec = register.format
    single = (spec.exp_bits, spec.man_bits, spec.bias, register.result_man_bits) == (8, 23, 127, 23)
    rounding = register.rounding in (Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN)
    odd = register.signed_zero or register.flush or register.nan is NanResult.OPERAND
    return register if single and rounding and not odd and register.overflow is Overflow.INFINITY else None


def _largest(spec: ScalarSpec) -> int:
    """Return the largest magnitude in units of the smallest one's last place."""
    return spec.max_significand << (spec.exp_max - spec.exp_min)


def _scale_block(spec: object) -> int:
    return spec.block_size if isinstance(spec, BlockSpec) else _SHARED


def _scale_range(spec: FloatSpec | None) -> tuple[int, int]:
    """Return the least and the largest exponent by which a scale aligns."""
    return (0, 0) if spec is None else (spec.exp_min + point_bits(spec), spec.exp_max + point_bits(spec))


def _in_range(unit: DotProductUnit, alignment: TruncatedAlignment, bits: int) -> bool:
    """Tell whether float64 holds all that the kernel multiplies as normal numbers; a sum has so many bits."""
    ranges = [_scale_range(spec) for spec in (unit.scale_a, unit.scale_b)]
    low, high = sum(each[0] for each in ranges), sum(each[1] for each in ranges)
    points = sum(point_bits(spec) for spec in (unit.scale_a, unit.scale_b) if spec is not None)
    least = min(low - points + unit.product_exp_min, _LEAST)  # of a sum's last place, or the register's
    power = max(high, alignment.exp_floor, _TOP)  # the largest exponent that a step can have
    small = min(least - power + alignment.fraction_bits, min(low, alignment.exp_floor) - alignment.fraction_bits)
    large = power + bits - _LEAST
    return small > -_RANGE and large < _RANGE and alignment.exp_floor < _RANGE


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path to a unit with a float32 register that cuts sums of groups, and the register, toward zero.

    Not where Numba does not compile, for its vectors are LLVM's.
    """
    alignment, register = unit.alignment, float32_register(unit)
    if not compiled() or register is None or depth == 0 or not isinstance(alignment, TruncatedAlignment):
        return None
    if alignment.group == 1 or not alignment.with_accumulator or alignment.rounding is not Rounding.TOWARD_ZERO:
        return None
    elements = (unit.element_a, unit.element_b)
    blocks = [_scale_block(spec) for spec in (unit.a, unit.b)]
    if any(spec.bits > _TABLE_BITS for spec in elements) or gcd(unit.lanes, *blocks) % alignment.group:
        return None
    total = alignment.group * _largest(elements[0]) * _largest(elements[1])
    scaled, point = total, -unit.product_exp_min
    for scale in (unit.scale_a, unit.scale_b):
        if scale is not None:
            scaled, point = scaled * scale.max_significand, point + point_bits(scale)
    count, fraction = unit.lanes // alignment.group, alignment.fraction_bits
    kept = scaled << (fraction - point) if fraction >= point else scaled >> (point - fraction)
    whole = count * kept + (2 << fraction)
    bits = whole.bit_length()
    fits = total < 1 << _SINGLE_BITS and scaled < 1 << _DOUBLE_BITS and bits < _DOUBLE_BITS
    if not (fits and _in_range(unit, alignment, bits)):
        return None
    toward_zero = 1 if register.rounding is Rounding.TOWARD_ZERO else None
    how = _Groups(alignment.group, count, blocks[0], blocks[1], 2.0**alignment.exp_floor, 2.0**fraction, toward_zero)
    proof = (
        f"sums of {alignment.group} products take {total.bit_length()} of float32's 24 bits, and "
        f"{scaled.bit_length()} of float64's 53 with their scales; the {count} of a step, cut at {fraction} fraction "
        f"bits, and the register are integers whose sum takes {bits} of 53, and it is rounded once"
    )
    least = [min(block, unit.lanes) for block in blocks]
    return Path(
        "grouped",
        proof,
        partial(_run, how),
        6 + 80 / least[0],
        6 + 80 / least[1],
        8 + (24 if unit.converts else 0),
    )


@lru_cache(maxsize=32)
def _table(spec: ScalarSpec) -> NDArray[np.float32]:
    """Return the value of each code in units of the smallest one's last place; 0 for a special."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    held = (parts.special == 0) & (parts.significand != 0)
    places = np.where(held, parts.exponent - spec.exp_min, 0)
    return np.where(held, parts.significand << places, 0).astype(np.float32)


def _scales(spec: FloatSpec | None, codes: Codes | None, rows: int, exponent: int) -> tuple[Any, Any]:
    """Return scales times ``2**exponent``, and two to the exponents by which they align, (rows, blocks)."""
    if spec is None or codes is None:
        return np.full((rows, 1), 2.0**exponent), np.ones((rows, 1))
    parts = spec.unpack(np.ascontiguousarray(codes))
    values = np.ldexp(parts.significand.astype(np.float64), parts.exponent + exponent)
    lead = np.where(parts.significand == 0, 0, parts.exponent + point_bits(spec))
    return values, np.ldexp(1.0, lead)


def read_float32(unit: DotProductUnit, registers: NDArray[np.float32], columns: int) -> Codes:
    """Return the codes of the unit's output of float32 registers in panels, shape (M, columns)."""
    rows = registers.shape[1]
    codes = np.empty((rows, columns), np.uint32)
    for panel, held in enumerate(registers.view(np.uint32)):
        part = codes[:, panel * COLUMNS : (panel + 1) * COLUMNS]
        part[:] = held[:, : part.shape[1]]
    if not unit.converts:
        return codes
    return output(unit, codes.astype(np.int64), np.zeros(codes.shape, np.uint8))


def _run(how: _Groups, problem: Problem) -> Codes:
    """Return the codes of a problem's result."""
    unit, rows, columns = problem.unit, problem.a.shape[0], problem.b.shape[0]
    assert isinstance(unit.accumulator, FloatAccumulator)
    if rows == 0 or columns == 0:
        return np.empty((rows, columns), code_dtype(unit.output.bits))
    a_scale = _scales(unit.scale_a, problem.a_scales, rows, unit.element_a.exp_min)
    b_scale = _scales(unit.scale_b, problem.b_scales, columns, unit.element_b.exp_min)
    registers = load_registers(unit.accumulator.format, problem.c, (rows, columns))
    with threads_for(problem.a.size * columns):
        a = np.take(_table(unit.element_a), np.ascontiguousarray(problem.a))
        b = np.take(_table(unit.element_b), pack(problem.b, 1, COLUMNS))
        right = pack(b_scale[0], 1, COLUMNS), pack(b_scale[1], 1, COLUMNS)
        _kernel(how, a, b, a_scale, right, registers)
    return read_float32(unit, registers, columns)
