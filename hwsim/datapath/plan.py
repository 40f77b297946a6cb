# SPDX-License-Identifier: Apache-2.0
"""What the kernels need of a unit, as integers, and the proof that 63 bits hold it."""

from functools import lru_cache
from typing import NamedTuple

from hwsim.datapath.decode import point_bits
from hwsim.datapath.round_pack import Packing, packing
from hwsim.datapath.unit import DotProductUnit, FixedAccumulator, FloatAccumulator, TruncatedAlignment
from hwsim.formats import IntegerSpec, Overflow, Rounding

__all__ = [
    "FIXED",
    "GRID",
    "SINGLE",
    "TRUNCATED",
    "WIDE",
    "Plan",
    "plan",
    "register_packing",
]

FIXED = 0
"""A fixed accumulator."""
GRID = 1
"""A float one; the products of a step are added in one integer, at the exponent of the smallest product."""
WIDE = 2
"""The same, in two integers: what lies 32 places or more above that exponent, and the rest."""
SINGLE = 3
"""A float one, one product a step: no common exponent is needed."""
TRUNCATED = 4
"""A float one, truncated alignment."""

_SUM_BITS = 60  # magnitudes that `add_two` takes; doubled by its one carry they fit `pack_magnitude`
_FIXED_BITS = 62  # a sum of less than 2**62 and a register of up to 2**62 stay below 2**63
_HIGH_BITS = 56
_REGISTER_BITS = 63


class Plan(NamedTuple):
    """A unit as the kernels take it. What a kind does not use is 0."""

    kind: int
    lanes: int
    scaled: int  # whether there are block scales
    exponent: int  # of the sum's unit, scales apart (GRID, WIDE)
    sum_shift: int  # places by which the sum goes left to meet the register (FIXED)
    low: int  # least and largest value of the register (FIXED)
    high: int
    wrap: int
    exp_floor: int  # TRUNCATED, as are those below
    fraction_bits: int
    cut_left: int  # shifts that bring a product to `fraction_bits` below its own exponent
    cut_right: int
    register_left: int  # the same for the register
    register_right: int
    fused: int
    register_man_bits: int  # of a float register, as are those below
    register_exp_bits: int
    register_bias: int


@lru_cache(maxsize=256)
def plan(unit: DotProductUnit) -> Plan:
    """Return the kernels' form of a unit.

    Raises
    ------
    ValueError
        If a sum or the register of the unit does not fit the kernels' 64-bit integers; `step_exact` takes any unit.
    """
    accumulator = unit.accumulator
    if isinstance(accumulator, FixedAccumulator):
        if accumulator.bits > _REGISTER_BITS:
            raise ValueError(_too_wide(unit, "the register", accumulator.bits, _REGISTER_BITS))
        _check(unit, "the sum of a step", unit.sum_bits - 1 + unit.sum_shift, _FIXED_BITS)
        return _fixed(unit, accumulator)
    factors = 1
    for spec in unit.scales:
        factors *= spec.max_significand
    product = unit.product_max * factors
    if isinstance(unit.alignment, TruncatedAlignment):
        return _truncated(unit, accumulator, product, unit.alignment)
    if not unit.on_grid:
        _check(unit, "a product", product.bit_length(), _SUM_BITS)
        return _float(unit, accumulator, SINGLE)
    total_bits = (unit.sum_bits - 1) + factors.bit_length()
    if total_bits <= _SUM_BITS:
        return _float(unit, accumulator, GRID)
    spread = unit.product_exp_max - unit.product_exp_min
    _check(unit, "the sum of a step", (unit.lanes * product << max(spread - 32, 0)).bit_length() + 32, _HIGH_BITS + 32)
    _check(unit, "the low part of a step's sum", (unit.lanes * product << min(spread, 31)).bit_length(), _SUM_BITS)
    return _float(unit, accumulator, WIDE)


def _check(unit: DotProductUnit, what: str, bits: int, most: int) -> None:
    if bits > most:
        raise ValueError(_too_wide(unit, what, bits, most))


def _too_wide(unit: DotProductUnit, what: str, bits: int, most: int) -> str:
    return f"{what} of unit {unit.name} needs {bits} bits, and the kernels take {most}: only step_exact runs this unit"


def _fixed(unit: DotProductUnit, accumulator: FixedAccumulator) -> Plan:
    half = 1 << (accumulator.bits - 1)
    wrap = int(accumulator.overflow is Overflow.WRAP)
    kinds = (FIXED, unit.lanes, 0, 0, unit.sum_shift, -half, half - 1, wrap)
    return Plan(*kinds, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def _float(unit: DotProductUnit, accumulator: FloatAccumulator, kind: int) -> Plan:
    exponent = 0 if kind == SINGLE else unit.product_exp_min
    kinds = (kind, unit.lanes, int(bool(unit.scales)), exponent, 0, 0, 0, 0)
    return Plan(*kinds, 0, 0, 0, 0, 0, 0, 0, *_register(accumulator))


def _truncated(
    unit: DotProductUnit, accumulator: FloatAccumulator, product: int, alignment: TruncatedAlignment
) -> Plan:
    point = point_bits(unit.element_a) + point_bits(unit.element_b) + sum(point_bits(spec) for spec in unit.scales)
    left = max(alignment.fraction_bits - point, 0)
    register_left = max(alignment.fraction_bits - accumulator.format.man_bits, 0)
    _check(unit, "an addend", (product << left).bit_length(), _FIXED_BITS)
    largest = product << left >> max(point - alignment.fraction_bits, 0)
    total = (largest + 1) * unit.lanes + (accumulator.format.max_significand << register_left)
    _check(unit, "the sum of a step", total.bit_length(), _SUM_BITS)
    return Plan(
        TRUNCATED,
        unit.lanes,
        int(bool(unit.scales)),
        0,
        0,
        0,
        0,
        0,
        alignment.exp_floor,
        alignment.fraction_bits,
        left,
        max(point - alignment.fraction_bits, 0),
        register_left,
        max(accumulator.format.man_bits - alignment.fraction_bits, 0),
        int(alignment.with_accumulator),
        *_register(accumulator),
    )


def _register(accumulator: FloatAccumulator) -> tuple[int, int, int]:
    return accumulator.format.man_bits, accumulator.format.exp_bits, accumulator.format.bias


@lru_cache(maxsize=256)
def register_packing(unit: DotProductUnit) -> Packing:
    """Return the format and rules by which the sum of a step becomes the register; of no meaning for a fixed one."""
    accumulator = unit.accumulator
    if isinstance(accumulator, FixedAccumulator):
        return packing(IntegerSpec(bits=2), Rounding.TOWARD_ZERO, Overflow.WRAP, 0)
    rules = (accumulator.rounding, accumulator.overflow, accumulator.result_man_bits, accumulator.nan_code)
    return packing(accumulator.format, *rules)
