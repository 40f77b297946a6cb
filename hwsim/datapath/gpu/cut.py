# SPDX-License-Identifier: Apache-2.0
"""Which units of truncated alignment the GPU's floats take, and the powers of two by which nothing is lost."""

from functools import lru_cache
from typing import NamedTuple

from hwsim.datapath.decode import point_bits
from hwsim.datapath.gpu.intrinsics import DOUBLE, SINGLE
from hwsim.datapath.gpu.operands import TABLE_BITS
from hwsim.datapath.gpu.reals import Real
from hwsim.datapath.plan import plan, register_packing
from hwsim.datapath.round_pack import Packing, packing
from hwsim.datapath.unit import DotProductUnit, FloatAccumulator, TruncatedAlignment
from hwsim.formats import Rounding

__all__ = [
    "NOTHING",
    "Cut",
    "cut",
]

NOTHING = -8192
"""Exponent of a zero: the sum of two, and of one with any exponent, is below all others and fits 16 bits."""


class Cut(NamedTuple):
    """A unit as the kernel takes it; all its numbers are constants when it is compiled."""

    single: bool  # float32, else float64
    width: int  # places of a step: the lanes, made even
    scaled: bool
    exp_floor: int
    fraction_bits: int
    register_left: int
    register_right: int
    fused: bool
    low: int  # an exponent below is that of no product: all are zero
    high: int  # above it all are cut to zero
    lift: int  # b is multiplied by 2**-lift
    pack: Packing
    fields: tuple[int, int, int]  # exponent bits, mantissa bits and bias of the register
    promote: int  # steps between two additions to the second register; 0: there is none
    outer: Packing
    outer_fields: tuple[int, int, int]


def _fields(accumulator: FloatAccumulator) -> tuple[int, int, int]:
    return accumulator.format.exp_bits, accumulator.format.man_bits, accumulator.format.bias


def _register_packing(accumulator: FloatAccumulator) -> Packing:
    rules = (accumulator.rounding, accumulator.overflow, accumulator.result_man_bits, accumulator.nan_code)
    return packing(accumulator.format, *rules)


@lru_cache(maxsize=256)
def cut(unit: DotProductUnit) -> Cut | None:
    """Return the kernel's form of a unit in float32 if that loses nothing, else in float64, else None."""
    inner, alignment = unit.inner, unit.alignment
    if not isinstance(alignment, TruncatedAlignment) or not isinstance(unit.accumulator, FloatAccumulator):
        return None
    if not isinstance(unit.register, FloatAccumulator) or max(unit.register.bits, unit.accumulator.bits) > 32:
        return None
    odd = unit.register.flush or unit.register.signed_zero or unit.register.rounding is Rounding.STOCHASTIC
    if not inner.is_plain or odd or unit.flush_operands or unit.sparsity:
        return None
    if max(unit.element_a.bits, unit.element_b.bits) > TABLE_BITS:
        return None
    how = plan(inner)
    for real in (SINGLE, DOUBLE):
        limits = _limits(inner, alignment, real)
        if limits is not None:
            return Cut(
                single=real is SINGLE,
                width=unit.lanes + unit.lanes % 2,
                scaled=bool(unit.scales),
                exp_floor=alignment.exp_floor,
                fraction_bits=alignment.fraction_bits,
                register_left=how.register_left,
                register_right=how.register_right,
                fused=alignment.with_accumulator,
                low=limits[0],
                high=limits[1],
                lift=limits[2],
                pack=register_packing(inner),
                fields=_fields(unit.accumulator),
                promote=unit.promotion.length // unit.lanes if unit.promotion else 0,
                outer=_register_packing(unit.register),
                outer_fields=_fields(unit.register),
            )
    return None


def _limits(unit: DotProductUnit, alignment: TruncatedAlignment, real: Real) -> tuple[int, int, int] | None:
    """Return low, high and lift of a `Cut`, or None where a float type cannot do it."""
    a, b, fraction_bits = unit.element_a, unit.element_b, alignment.fraction_bits
    how = plan(unit)
    factors = 1
    for spec in unit.scales:
        factors *= spec.max_significand
    largest = (unit.product_max * factors << how.cut_left >> how.cut_right) + 1
    if (unit.product_max * factors).bit_length() > real.digits or largest * unit.lanes >= 1 << real.digits:
        return None
    scale_low = -sum(spec.man_bits for spec in unit.scales)  # exponents of the scales' last places and of their ends,
    scale_high = len(unit.scales)  # both are taken without their leading exponents
    low = a.exp_min + point_bits(a) + b.exp_min + point_bits(b)
    high = a.exp_max + point_bits(a) + b.exp_max + point_bits(b) + fraction_bits + scale_high + 3
    a_end = a.exp_max + a.max_significand.bit_length()
    b_end = b.exp_max + b.max_significand.bit_length()
    if max(abs(low), abs(high)) > -NOTHING // 4:
        return None
    # The power 2**(fraction_bits + last_exp + lift - e) is normal for e in low..high, and a times it loses nothing.
    least = max(
        real.exp_low - scale_low + high - fraction_bits - real.last_exp,
        high - fraction_bits - a.exp_min - scale_low,
        b_end - real.exp_high,
    )
    most = min(
        real.exp_high - scale_high + low - fraction_bits - real.last_exp,
        real.exp_high - a_end - scale_high + low - fraction_bits - real.last_exp,
        b.exp_min - real.last_exp,
    )
    return (low, high, (least + most) // 2) if least <= most else None
