# SPDX-License-Identifier: Apache-2.0
"""Units that cut products and then their sum (CDNA3): float64 lanes hold the products, and what is kept of them."""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.decode import point_bits
from hwsim.datapath.paths.grouped import (
    COLUMNS,
    ROWS,
    float32_register,
    inverse_power,
    lead_power,
    read_float32,
    truncate,
)
from hwsim.datapath.paths.panels import pack
from hwsim.datapath.paths.truncated_operands import load_registers
from hwsim.datapath.problem import Codes, Path, Problem
from hwsim.datapath.simd import (
    absolute,
    add,
    compare_eq,
    compare_le,
    compare_lt,
    convert,
    floor,
    maximum,
    minimum,
    mul,
    reduce_and,
    select,
    splat,
)
from hwsim.datapath.threads import threads_for
from hwsim.datapath.tiles import tile_and, tile_load, tile_splat, tile_store
from hwsim.datapath.unit import CascadedAlignment, DotProductUnit, FloatAccumulator, ScalarSpec
from hwsim.datapath.vectors import compiled
from hwsim.formats import Rounding
from hwsim.formats.codes import code_dtype

__all__ = [
    "offer",
]

_DOUBLE_BITS = 53
_TABLE_BITS = 19
_LEADS = 300  # the largest magnitude of a product's exponent
_NONE = 2.0**-600  # stands for the exponent of a sum that has no addends
_BEYOND = 2.0**128  # products from here on are infinities
_HALF = 32  # columns whose vectors fit the registers


class _Cascade(NamedTuple):
    """A unit as the kernel takes it; of bits, two to their power."""

    lanes: int
    halves: int | None  # whether even and odd lanes are cut apart; None for a no: a type of its own
    beyond: int | None  # whether a product can be an infinity
    kept: float  # of a product
    sum_kept: float
    register_kept: float
    finest: float  # the larger of both
    reach: float  # how far below the largest exponent's power that of a register counts, 0 for all


@numba.njit(forceinline=True)
def _zeros() -> Any:
    return tile_splat(splat(0.0, np.float64, 8), 1, 4)


@numba.njit(forceinline=True)
def _part(how: _Cascade, left: Any, line: int, right: Any, place: int, begin: int) -> Any:
    """Return the sum of a part's products cut toward zero, two to its exponent, and the largest magnitude."""
    stride = 1 if how.halves is None else 2
    power = add(_zeros(), _NONE)
    for k in range(begin, how.lanes, stride):
        of_b = tile_load(right[1], place + k * COLUMNS, 0, 1, 4, 8)
        power = maximum(power, mul(of_b, left[1][line, k]))
    factor = mul(inverse_power(power), how.kept)
    total, largest = _zeros(), _zeros()
    for k in range(begin, how.lanes, stride):
        product = mul(tile_load(right[0], place + k * COLUMNS, 0, 1, 4, 8), left[0][line, k])
        if how.beyond is not None:
            largest = maximum(largest, absolute(product))
        total = add(total, truncate(mul(product, factor)))
    return total, power, largest


@numba.njit(forceinline=True)
def _sum(how: _Cascade, left: Any, line: int, right: Any, place: int) -> Any:
    """Return the sum of a step's products in units of the last kept place, as does `_part`."""
    total, power, largest = _part(how, left, line, right, place, 0)
    if how.halves is not None:
        odd, odd_power, odd_largest = _part(how, left, line, right, place, 1)
        top = maximum(power, odd_power)
        inverse = inverse_power(top)
        total = add(floor(mul(total, mul(power, inverse))), floor(mul(odd, mul(odd_power, inverse))))
        power, largest = top, maximum(largest, odd_largest)
    return total, power, largest


@numba.njit(forceinline=True)
def _rounded(how: _Cascade, total: Any, power: Any, register: Any) -> Any:
    """Return the float32 of a step's sum and the register, in float64 lanes, each cut downward."""
    register_power = lead_power(register, _NONE)
    largest = maximum(power, register_power)
    inverse = inverse_power(largest)
    kept = floor(mul(total, mul(mul(power, inverse), how.sum_kept / how.kept)))
    held = floor(mul(register, mul(inverse, how.register_kept)))
    if how.reach > 0:
        held = select(compare_lt(register_power, mul(largest, how.reach)), 0.0, held)
    exact = add(mul(kept, how.finest / how.sum_kept), mul(held, how.finest / how.register_kept))
    return add(convert(mul(mul(exact, largest), 1.0 / how.finest), np.float32), 0.0)  # of -0, +0


@numba.njit(forceinline=True)
def _infinities(how: _Cascade, left: Any, line: int, right: Any, place: int) -> Any:
    """Return the sum of the infinities among a step's products; 0 where there is none."""
    high, low = _zeros(), _zeros()
    for k in range(how.lanes):
        product = mul(tile_load(right[0], place + k * COLUMNS, 0, 1, 4, 8), left[0][line, k])
        high, low = maximum(high, product), minimum(low, product)
    plus = select(compare_le(_BEYOND, high), np.inf, _zeros())
    minus = select(compare_le(low, -_BEYOND), -np.inf, _zeros())
    return convert(add(plus, minus), np.float32)


@numba.njit(forceinline=True)
def _is_finite(value: Any) -> Any:
    return compare_lt(absolute(value), np.float32(np.inf))


@numba.njit(cache=True, parallel=True)
def _kernel(
    how: _Cascade,
    a: tuple[NDArray[np.float64], NDArray[np.float64]],
    b: tuple[NDArray[np.float64], NDArray[np.float64]],
    registers: NDArray[np.float32],
) -> None:
    """Add steps to the registers; unchecked. Operands are values and two to their exponents, 0 of a zero.

    a is (steps * M, lanes), a step's operands of all rows side by side; b is (panels, K, COLUMNS).
    """
    panels, rows, _ = registers.shape
    length = b[0].shape[1]
    tasks = (rows + ROWS - 1) // ROWS
    for task in numba.prange(panels * tasks):
        panel, begin = task // tasks, task % tasks * ROWS
        for at in range(0, length, how.lanes):
            for half in range(0, COLUMNS, _HALF):
                right = (panel * length + at) * COLUMNS + half
                for row in range(begin, min(begin + ROWS, rows)):
                    line = at // how.lanes * rows + row
                    place = (panel * rows + row) * COLUMNS + half
                    held = tile_load(registers, place, 0, 1, 4, 8)
                    total, power, largest = _sum(how, a, line, b, right)
                    value = _rounded(how, total, power, convert(held, np.float64))
                    value = select(_is_finite(held), value, held)
                    if how.beyond is not None and not reduce_and(tile_and(compare_lt(largest, _BEYOND))):
                        special = add(_infinities(how, a, line, b, right), select(_is_finite(held), 0.0, held))
                        value = select(compare_eq(special, 0.0), value, special)
                    tile_store(registers, place, 0, value)


def _leads(spec: ScalarSpec) -> tuple[int, int]:
    """Return the least and the largest exponent by which a format's numbers are aligned."""
    return spec.exp_min + point_bits(spec), spec.exp_max + point_bits(spec)


def offer(unit: DotProductUnit, depth: int) -> Path | None:
    """Offer the path to a unit with a float32 register, to nearest even, that cuts products and then their sum.

    Not where Numba does not compile, for its vectors are LLVM's.
    """
    alignment, register = unit.alignment, float32_register(unit)
    if not compiled() or register is None or depth == 0 or not isinstance(alignment, CascadedAlignment):
        return None
    elements = (unit.element_a, unit.element_b)
    if register.rounding is not Rounding.NEAREST_EVEN or unit.scales:
        return None
    if any(spec.bits > _TABLE_BITS for spec in elements):
        return None
    low, high = (sum(each) for each in zip(*(_leads(spec) for spec in elements), strict=True))
    point = sum(point_bits(spec) for spec in elements)
    bits = alignment.fraction_bits, alignment.sum_fraction_bits, alignment.register_fraction_bits
    places = max(bits[1:])
    cut = (unit.product_max << bits[0] >> point) + 1
    whole = (((unit.lanes + 2) * cut) << max(places - bits[0], 0)) + (2 << places)
    in_range = max(-low, high) + point <= _LEADS
    if not in_range or whole.bit_length() > _DOUBLE_BITS or unit.product_max.bit_length() > _DOUBLE_BITS:
        return None
    how = _Cascade(
        lanes=unit.lanes,
        halves=1 if alignment.parts == 2 else None,
        beyond=1 if unit.product_max.bit_length() + unit.product_exp_max > 128 else None,
        kept=2.0 ** bits[0],
        sum_kept=2.0 ** bits[1],
        register_kept=2.0 ** bits[2],
        finest=2.0**places,
        reach=2.0**-alignment.register_reach if alignment.register_reach else 0.0,
    )
    proof = (
        f"products of {unit.product_max.bit_length()} bits are exact in float64's 53, and integers once they are cut "
        f"at {bits[0]} fraction bits; their sum, cut at {bits[1]}, and the register, cut at {bits[2]}, are integers "
        f"whose sum takes {whole.bit_length()} bits of 53, and it is rounded once"
    )
    return Path("cascaded", proof, partial(_run, how), 20, 20, 8 + (24 if unit.converts else 0))


@lru_cache(maxsize=8)
def _tables(spec: ScalarSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of each code its value, and two to its exponent; 0 and 0 for a zero or a special."""
    parts = spec.unpack(np.arange(1 << spec.bits, dtype=code_dtype(spec.bits)))
    held = (parts.special == 0) & (parts.significand != 0)
    values = np.where(held, np.ldexp(parts.significand.astype(np.float64), parts.exponent), 0.0)
    return values, np.where(held, np.ldexp(1.0, np.where(held, parts.exponent + point_bits(spec), 0)), 0.0)


def _run(how: _Cascade, problem: Problem) -> Codes:
    """Return the codes of a problem's result."""
    unit, rows, columns = problem.unit, problem.a.shape[0], problem.b.shape[0]
    register = unit.accumulator
    assert isinstance(register, FloatAccumulator)
    if rows == 0 or columns == 0:
        return np.empty((rows, columns), code_dtype(unit.output.bits))
    registers = load_registers(register.format, problem.c, (rows, columns))
    steps = problem.a.reshape(rows, -1, how.lanes).transpose(1, 0, 2)
    a = np.ascontiguousarray(steps).reshape(-1, how.lanes)
    with threads_for(problem.a.size * columns):
        b = pack(problem.b, 1, COLUMNS)
        left, right = _tables(unit.element_a), _tables(unit.element_b)
        _kernel(
            how,
            (np.take(left[0], a), np.take(left[1], a)),
            (np.take(right[0], b), np.take(right[1], b)),
            registers,
        )
    bits = registers.view(np.uint32)
    bits[np.isnan(registers)] = register.nan_code
    return read_float32(unit, registers, columns)
