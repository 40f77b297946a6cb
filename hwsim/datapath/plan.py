# SPDX-License-Identifier: Apache-2.0
"""What the kernels need of a unit, as integers, and the proof that 63 bits hold it."""

from functools import lru_cache
from math import gcd, prod
from typing import NamedTuple

from hwsim.datapath.accumulator import NanResult
from hwsim.datapath.decode import point_bits
from hwsim.datapath.round_pack import Packing, packing
from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    PairwiseAlignment,
    TruncatedAlignment,
)
from hwsim.formats import BlockSpec, FloatSpec, IntegerSpec, Overflow, Rounding, Specials

__all__ = [
    "CASCADED",
    "FIXED",
    "FUSED",
    "GRID",
    "LIMBS",
    "PAIRWISE",
    "SINGLE",
    "TRUNCATED",
    "WIDE",
    "Plan",
    "accumulator_packing",
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
LIMBS = 5
"""A float one; exact sums of any width, in as many integers as it takes."""
FUSED = 6
"""A float64 one, one product of float64 a step: the machine's fused multiply-add."""
PAIRWISE = 7
"""A float one, pairwise alignment."""
CASCADED = 8
"""A float one, cascaded alignment."""

_SUM_BITS = 60  # magnitudes that `add_two` takes; doubled by its one carry they fit `pack_magnitude`
_FIXED_BITS = 62  # a sum of less than 2**62 and a register of up to 2**62 stay below 2**63
_PRODUCT_BITS = 62  # of which `add_limb` takes two halves
_HIGH_BITS = 56
_REGISTER_BITS = 63
_FLOAT64 = FloatSpec(exp_bits=11, man_bits=52, bias=1023, specials=Specials.IEEE)


class Plan(NamedTuple):
    """A unit as the kernels take it. What a kind does not use is 0."""

    kind: int
    lanes: int  # elements of a step, zeros of a sparse operand included
    chunk: int  # neighbouring lanes that share their scales
    scaled: int = 0  # whether there are block scales
    sparse: int = 0  # whether a product with a zero of a does not enter
    exponent: int = 0  # of the sum's unit, scales apart (GRID, WIDE)
    sum_shift: int = 0  # places by which the sum goes left to meet the register (FIXED)
    low: int = 0  # least and largest value of the register (FIXED)
    high: int = 0
    wrap: int = 0
    limb_exponent: int = 0  # of the lowest limb's unit (LIMBS)
    split: int = 0  # whether products are made of four parts (LIMBS)
    scratch: int = 0  # integers of working memory (LIMBS, PAIRWISE)
    exp_floor: int = 0  # TRUNCATED
    fraction_bits: int = 0  # TRUNCATED, CASCADED
    cut_left: int = 0  # shifts that bring an addend to `fraction_bits` below its own exponent
    cut_right: int = 0
    register_left: int = 0  # the same for the register (TRUNCATED)
    register_right: int = 0
    fused: int = 0  # whether the register is an addend (TRUNCATED)
    rounding: int = 0  # of an addend (TRUNCATED)
    group: int = 1  # products that make an addend (TRUNCATED)
    parts: int = 0  # CASCADED, as are those to `limit`
    sum_fraction_bits: int = 0
    register_fraction_bits: int = 0
    register_reach: int = 0
    limit: int = 0  # two to this power is an infinity
    register_man_bits: int = 0  # of a float register, as are those below
    register_exp_bits: int = 0
    register_bias: int = 0
    signed_zero: int = 0
    nan_operand: int = 0  # whether a NaN is an operand's


@lru_cache(maxsize=256)
def plan(unit: DotProductUnit) -> Plan:
    """Return the kernels' form of what a unit's first register takes, step after step.

    Raises
    ------
    ValueError
        If a sum or the register of the unit does not fit the kernels' 64-bit integers; `step_exact` takes any unit.
    """
    accumulator, alignment = unit.accumulator, unit.alignment
    if isinstance(accumulator, FixedAccumulator):
        return _fixed(unit, accumulator)
    base = _base(unit, accumulator)
    product = unit.product_max * _factors(unit)
    if isinstance(alignment, TruncatedAlignment):
        return _truncated(unit, base, accumulator, alignment)
    if isinstance(alignment, CascadedAlignment):
        return _cascaded(unit, base, accumulator, alignment)
    if isinstance(alignment, PairwiseAlignment):
        _check(unit, "a product", product.bit_length(), _SUM_BITS)
        return base._replace(kind=PAIRWISE, scratch=unit.width.bit_length() + 1)
    return _exact(unit, base, accumulator, product)


def _exact(unit: DotProductUnit, base: Plan, accumulator: FloatAccumulator, product: int) -> Plan:
    """Return the plan of exact alignment; `product` is the largest significand of one, scales applied."""
    if unit.width == 1:
        if _is_fused(unit, accumulator):
            return base._replace(kind=FUSED)
        return base if product.bit_length() <= _SUM_BITS else _limbs(unit, base, accumulator)
    grid = base._replace(exponent=unit.product_exp_min)
    spread = unit.product_exp_max - unit.product_exp_min
    high_bits = (unit.width * product << max(spread - 32, 0)).bit_length() + 32
    low_bits = (unit.width * product << min(spread, 31)).bit_length()
    if base.chunk < unit.width:
        return _limbs(unit, base, accumulator)
    if _grid_bits(unit) + _factors(unit).bit_length() <= _SUM_BITS:
        return grid._replace(kind=GRID)
    if high_bits <= _HIGH_BITS + 32 and low_bits <= _SUM_BITS:
        return grid._replace(kind=WIDE)
    return _limbs(unit, base, accumulator)


def _check(unit: DotProductUnit, what: str, bits: int, most: int) -> None:
    if bits > most:
        text = f"{what} of unit {unit.name} needs {bits} bits, and the kernels take {most}"
        raise ValueError(f"{text}: only step_exact runs this unit")


def _factors(unit: DotProductUnit) -> int:
    """Return the largest product of the significands of a lane's scales."""
    return prod(spec.max_significand for spec in (unit.scale_a, unit.scale_b) if spec is not None)


def _grid_bits(unit: DotProductUnit) -> int:
    """Return the bits of the magnitude of a step's sum, at the exponent of the smallest product."""
    spread = unit.product_exp_max - unit.product_exp_min
    return (unit.width * (unit.product_max << spread)).bit_length()


def _fixed(unit: DotProductUnit, accumulator: FixedAccumulator) -> Plan:
    _check(unit, "the register", accumulator.bits, _REGISTER_BITS)
    _check(unit, "the sum of a step", _grid_bits(unit) + max(unit.sum_shift, 0), _FIXED_BITS)
    half = 1 << (accumulator.bits - 1)
    return Plan(
        kind=FIXED,
        lanes=unit.width,
        chunk=unit.width,
        sparse=int(unit.sparsity is not None),
        sum_shift=unit.sum_shift,
        low=-half,
        high=half - 1,
        wrap=int(accumulator.overflow is Overflow.WRAP),
    )


def _base(unit: DotProductUnit, accumulator: FloatAccumulator) -> Plan:
    """Return what all kinds with a float register have."""
    sizes = [spec.block_size for spec in (unit.a, unit.b) if isinstance(spec, BlockSpec)]
    return Plan(
        kind=SINGLE,
        lanes=unit.width,
        chunk=gcd(unit.width, *sizes),
        scaled=int(bool(sizes)),
        sparse=int(unit.sparsity is not None),
        register_man_bits=accumulator.format.man_bits,
        register_exp_bits=accumulator.format.exp_bits,
        register_bias=accumulator.format.bias,
        signed_zero=int(accumulator.signed_zero),
        nan_operand=int(accumulator.nan is NanResult.OPERAND),
    )


def _is_fused(unit: DotProductUnit, accumulator: FloatAccumulator) -> bool:
    exact = accumulator.rounding is Rounding.NEAREST_EVEN and accumulator.overflow is Overflow.INFINITY
    formats = {unit.a, unit.b, accumulator.format}
    return exact and accumulator.result_man_bits == _FLOAT64.man_bits and formats == {_FLOAT64}


def _limbs(unit: DotProductUnit, base: Plan, accumulator: FloatAccumulator) -> Plan:
    assert isinstance(unit.alignment, ExactAlignment)
    product = unit.product_max * _factors(unit)
    split = not base.scaled and product.bit_length() > _PRODUCT_BITS
    if not split:
        _check(unit, "a product", product.bit_length(), _PRODUCT_BITS)
    scales = [spec for spec in (unit.scale_a, unit.scale_b) if spec is not None]
    low = unit.product_exp_min + sum(spec.exp_min for spec in scales)
    high = unit.product_exp_max + sum(spec.exp_max for spec in scales) + product.bit_length()
    register = accumulator.format
    low, high = min(low, register.exp_min), max(high, register.exp_max + register.sig_bits)
    count = (high - low) // 32 + 4  # the sum of 1024 lanes and the register, and a sign
    return base._replace(kind=LIMBS, limb_exponent=low, split=int(split), scratch=count)


def _point(unit: DotProductUnit) -> int:
    """Return how far the place by which a product is aligned stands above its last place."""
    scales = sum(point_bits(spec) for spec in (unit.scale_a, unit.scale_b) if spec is not None)
    return point_bits(unit.element_a) + point_bits(unit.element_b) + scales


def _truncated(unit: DotProductUnit, base: Plan, accumulator: FloatAccumulator, alignment: TruncatedAlignment) -> Plan:
    point, addend = _point(unit), unit.product_max * _factors(unit)
    if alignment.group > 1:  # aligned by its scale
        point -= point_bits(unit.element_a) + point_bits(unit.element_b) + unit.product_exp_min
        addend = alignment.group * (addend << (unit.product_exp_max - unit.product_exp_min))
    left, right = max(alignment.fraction_bits - point, 0), max(point - alignment.fraction_bits, 0)
    man_bits = accumulator.format.man_bits
    register_left = max(alignment.fraction_bits - man_bits, 0)
    _check(unit, "an addend", (addend << left).bit_length(), _FIXED_BITS)
    total = ((addend << left >> right) + 1) * (unit.width // alignment.group)
    total += accumulator.format.max_significand << register_left
    _check(unit, "the sum of a step", total.bit_length(), _SUM_BITS)
    return base._replace(
        kind=TRUNCATED,
        exp_floor=alignment.exp_floor,
        fraction_bits=alignment.fraction_bits,
        cut_left=left,
        cut_right=right,
        register_left=register_left,
        register_right=max(man_bits - alignment.fraction_bits, 0),
        fused=int(alignment.with_accumulator),
        rounding=alignment.rounding.index,
        group=alignment.group,
    )


def _cascaded(unit: DotProductUnit, base: Plan, accumulator: FloatAccumulator, alignment: CascadedAlignment) -> Plan:
    point, kept = _point(unit), alignment.fraction_bits
    left, right = max(kept - point, 0), max(point - kept, 0)
    _check(unit, "a product", (unit.product_max << left).bit_length(), _FIXED_BITS)
    places = max(alignment.sum_fraction_bits, alignment.register_fraction_bits)
    total = ((unit.product_max << left >> right) + 1) * unit.width << max(places - kept, 0)
    held = accumulator.format.max_significand << max(places - accumulator.format.man_bits, 0)
    _check(unit, "the sum of a step", max(total, held).bit_length(), _SUM_BITS)
    return base._replace(
        kind=CASCADED,
        fraction_bits=kept,
        cut_left=left,
        cut_right=right,
        parts=alignment.parts,
        sum_fraction_bits=alignment.sum_fraction_bits,
        register_fraction_bits=alignment.register_fraction_bits,
        register_reach=alignment.register_reach,
        limit=accumulator.format.exp_max + accumulator.format.sig_bits,
    )


@lru_cache(maxsize=256)
def register_packing(unit: DotProductUnit) -> Packing:
    """Return the format and rules by which a sum becomes the first register; of no meaning for a fixed one."""
    accumulator = unit.accumulator
    if isinstance(accumulator, FixedAccumulator):
        return packing(IntegerSpec(bits=2), Rounding.TOWARD_ZERO, Overflow.WRAP, 0)
    return accumulator_packing(accumulator)


def accumulator_packing(accumulator: FloatAccumulator) -> Packing:
    """Return the format and rules of a float register."""
    return packing(
        accumulator.format,
        accumulator.rounding,
        accumulator.overflow,
        accumulator.result_man_bits,
        accumulator.nan_code,
        random_bits=accumulator.random_bits,
        flush=accumulator.flush,
        signed_zero=accumulator.signed_zero,
    )
