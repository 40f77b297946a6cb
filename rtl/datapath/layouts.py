# SPDX-License-Identifier: Apache-2.0
"""What crosses from stage to stage: the layouts, and the ranges that their widths come from.

An exponent in hardware is *raw*: the sum of the operands' exponent fields, where the field 0 of a subnormal counts as
1. It is nonnegative, and the number it stands for is ``raw + offset`` with a constant offset.
"""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    FixedAccumulator,
    FloatAccumulator,
    PairwiseAlignment,
    TruncatedAlignment,
)
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding
from hwsim.formats.block import Scalar

__all__ = [
    "Cascade",
    "Raw",
    "addend_max",
    "cascade_of",
    "fused",
    "group_of",
    "group_raw",
    "operand_layout",
    "operand_raw",
    "product_point",
    "product_raw",
    "products_layout",
    "register_layout",
    "scale_formats",
    "scale_max",
    "scale_raw",
    "scaled_apart",
    "special_bits",
    "total_layout",
    "total_raw",
    "truncated_max",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """The range of a raw exponent over finite operands, and its offset."""

    low: int
    high: int
    offset: int

    @property
    def bits(self) -> int:
        """Bits of the raw exponent; none where it is the same for all operands."""
        return self.high.bit_length() if self.high > self.low else 0

    def __add__(self, other: "Raw") -> "Raw":
        return Raw(low=self.low + other.low, high=self.high + other.high, offset=self.offset + other.offset)

    def fixed(self) -> "Raw":
        """Return the same with a constant exponent moved into the offset."""
        if self.high > self.low:
            return self
        return Raw(low=0, high=0, offset=self.offset + self.low)


_NONE = Raw(low=0, high=0, offset=0)


def operand_raw(spec: Scalar) -> Raw:
    """Return the exponents of the unit of a format's significands."""
    low = int(isinstance(spec, FloatSpec) and spec.subnormals)
    return Raw(low=low, high=low + spec.exp_max - spec.exp_min, offset=spec.exp_min - low).fixed()


def group_of(unit: DotProductUnit) -> int:
    """Return how many products are added exactly before they are an addend of a truncating step."""
    return unit.alignment.group if isinstance(unit.alignment, TruncatedAlignment) else 1


def scaled_apart(unit: DotProductUnit) -> bool:
    """Whether each addend of a truncating step has scales of its own."""
    return max(unit.scale_counts) > 1 or group_of(unit) > 1


def scale_formats(unit: DotProductUnit) -> tuple[FloatSpec, ...]:
    """Return the formats of the scales that a product has."""
    return tuple(spec for spec in (unit.scale_a, unit.scale_b) if spec is not None)


def group_raw(unit: DotProductUnit) -> Raw:
    """Return the exponents of the units of single products, without scales."""
    return (operand_raw(unit.element_a) + operand_raw(unit.element_b)).fixed()


def product_raw(unit: DotProductUnit) -> Raw:
    """Return the exponents of the products' units: without scales, unless each addend has its own.

    That of a group is the exponent of its scales, and a constant.
    """
    products = group_raw(unit)
    if not scaled_apart(unit):
        return products
    if group_of(unit) > 1:
        products = Raw(low=0, high=0, offset=products.low + products.offset)
    return (products + _scales_raw(unit)).fixed()


def scale_raw(unit: DotProductUnit) -> Raw:
    """Return the exponents of the unit of the step's scale, where there is one for all."""
    return _NONE if scaled_apart(unit) else _scales_raw(unit)


def _scales_raw(unit: DotProductUnit) -> Raw:
    total = _NONE
    for spec in scale_formats(unit):
        total += operand_raw(spec)
    return total.fixed()


def scale_max(unit: DotProductUnit) -> int:
    """Return the largest significand of a product's scale; 1 where a scale is only an exponent."""
    largest = 1
    for spec in scale_formats(unit):
        largest *= spec.max_significand
    return largest


def addend_max(unit: DotProductUnit) -> int:
    """Return the largest significand of a product with its scale, or of a group of them."""
    largest = unit.product_max * scale_max(unit)
    if group_of(unit) == 1:
        return largest
    return group_of(unit) * (largest << (unit.product_exp_max - unit.product_exp_min))


def fused(unit: DotProductUnit) -> bool:
    """Whether the accumulator is one of the addends of a truncating step, or of the last sum of a cascaded one."""
    return isinstance(unit.alignment, CascadedAlignment) or _adds_register(unit)


def _adds_register(unit: DotProductUnit) -> bool:
    return isinstance(unit.alignment, TruncatedAlignment) and unit.alignment.with_accumulator


def special_bits(unit: DotProductUnit) -> int:
    """Return the bits that say what special a step's operands make: none, 1 (NaN) or 2 (+inf, -inf; both: NaN)."""
    operands = (unit.element_a, unit.element_b)
    if any(spec.has_inf for spec in operands):
        return 2
    return int(any(spec.has_nan for spec in (*operands, *unit.scales)))


def operand_layout(spec: Scalar) -> data.StructLayout:
    """Return what decode makes of a code; a field that the format has no use for has no bits."""
    if isinstance(spec, IntegerSpec):
        shape = signed(spec.bits) if spec.signed else unsigned(spec.bits)
        if spec.zero_point:
            shape = signed(spec.bits + 1)
        return data.StructLayout({"significand": shape, "exponent": 0, "negative": 0, "nan": 0, "infinite": 0})
    return data.StructLayout(
        {
            "significand": spec.sig_bits,
            "exponent": operand_raw(spec).bits,
            "negative": int(spec.min_value < 0),
            "nan": int(spec.has_nan),
            "infinite": int(spec.has_inf),
        }
    )


def products_layout(unit: DotProductUnit) -> data.StructLayout:
    """Return what multiply makes of a step's operands: with pairwise alignment, codes of the accumulator's format."""
    if isinstance(unit.alignment, PairwiseAlignment):
        return data.StructLayout({"codes": data.ArrayLayout(unit.accumulator.bits, unit.lanes)})
    truncated = isinstance(unit.alignment, TruncatedAlignment)
    largest = addend_max(unit) if truncated else unit.product_max
    operands = [operand_layout(spec) for spec in (unit.element_a, unit.element_b)]
    grouped = group_of(unit) > 1
    is_signed = grouped or any(Shape.cast(operand["significand"].shape).signed for operand in operands)
    signs = not grouped and any(operand["negative"].width for operand in operands)
    scale_signs = any(spec.signed for spec in unit.scales)
    scale_significand = 0 if truncated or scale_max(unit) == 1 else scale_max(unit).bit_length()
    lane = data.StructLayout(
        {
            "significand": signed(largest.bit_length() + 1) if is_signed else unsigned(largest.bit_length()),
            "exponent": product_raw(unit).bits,
            "negative": int(signs or (truncated and scale_signs)),
        }
    )
    return data.StructLayout(
        {
            "lanes": data.ArrayLayout(lane, unit.lanes // group_of(unit)),
            "scale_significand": scale_significand,
            "scale_exponent": scale_raw(unit).bits,
            "scale_negative": int(scale_signs and not truncated),
            "special": special_bits(unit),
        }
    )


def truncated_max(unit: DotProductUnit) -> tuple[int, int]:
    """Return the largest magnitude of a cut product and of a cut accumulator, in units of the sum's last place."""
    assert isinstance(unit.alignment, TruncatedAlignment)
    up = int(unit.alignment.rounding is not Rounding.TOWARD_ZERO)
    products = _cut(addend_max(unit), product_point(unit), unit.alignment.fraction_bits) + up
    if not fused(unit):
        return products, 0
    assert isinstance(unit.accumulator, FloatAccumulator)
    spec = unit.accumulator.format
    return products, _cut(spec.max_significand, spec.man_bits, unit.alignment.fraction_bits) + up


def _cut(magnitude: int, point: int, fraction_bits: int) -> int:
    shift = fraction_bits - point
    return magnitude << shift if shift > 0 else magnitude >> -shift


def product_point(unit: DotProductUnit) -> int:
    """Return how far the place by which a scaled product is aligned stands above the last place of its significand.

    Of a group it is that of its scales, wherever the leading bit of its sum stands.
    """
    scales = scale_formats(unit)
    if group_of(unit) > 1:
        return sum(spec.man_bits for spec in scales) - unit.product_exp_min
    operands = (unit.element_a, unit.element_b, *scales)
    return sum(spec.man_bits if isinstance(spec, FloatSpec) else spec.sig_bits - 1 for spec in operands)


def total_raw(unit: DotProductUnit) -> Raw:
    """Return the exponents of the unit of a step's sum."""
    if isinstance(unit.alignment, PairwiseAlignment):
        return operand_raw(unit.accumulator.format)
    if isinstance(unit.alignment, CascadedAlignment):
        return cascade_of(unit).total
    if isinstance(unit.alignment, TruncatedAlignment):
        floor = unit.alignment.exp_floor
        both = product_raw(unit) + scale_raw(unit)
        high = both.high + both.offset + product_point(unit)
        if fused(unit):
            assert isinstance(unit.accumulator, FloatAccumulator)
            high = max(high, unit.accumulator.format.exp_max + unit.accumulator.format.man_bits)
        return Raw(low=0, high=max(high - floor, 0), offset=floor - unit.alignment.fraction_bits).fixed()
    if unit.on_grid:
        grid = product_raw(unit)
        return (Raw(low=0, high=0, offset=grid.low + grid.offset) + scale_raw(unit)).fixed()
    return (product_raw(unit) + scale_raw(unit)).fixed()


def total_layout(unit: DotProductUnit, *, narrow: bool = False) -> data.StructLayout:
    """Return what align_add makes of a step's products: ``(-1)**negative * sum * 2**(exponent + offset)``.

    For a fixed accumulator the sum has all the bits that it is added in, so that nothing stands between the tree and
    that addition: a synthesizer makes one adder of both. With `narrow`, for a register between them, it has those that
    it needs.
    """
    if isinstance(unit.alignment, PairwiseAlignment):
        own = operand_layout(unit.accumulator.format)
        fields = {"sum": own["significand"].shape, "exponent": own["exponent"].shape, "negative": 1, "special": 2}
        return data.StructLayout(fields)
    if isinstance(unit.alignment, CascadedAlignment):
        held = cascade_of(unit)
        return data.StructLayout({"sum": signed(held.bits), "exponent": held.total.bits, "negative": 0, "special": 2})
    products = products_layout(unit)
    lane = data.Layout.cast(products["lanes"].shape.elem_shape)
    accumulator, negative = unit.accumulator, products["scale_negative"].shape
    shape: Any
    if isinstance(unit.alignment, TruncatedAlignment):
        of_product, of_accumulator = truncated_max(unit)
        addends = unit.lanes // group_of(unit)
        shape = signed((addends * of_product + of_accumulator).bit_length() + 1)
    elif isinstance(accumulator, FixedAccumulator):
        wide = accumulator.bits + (accumulator.overflow is Overflow.SATURATE) - unit.sum_shift
        shape = signed(unit.sum_bits if narrow else max(unit.sum_bits, wide))
    elif unit.on_grid:
        shape = signed((((1 << (unit.sum_bits - 1)) - 1) * scale_max(unit)).bit_length() + 1)
    else:
        bits = (unit.product_max * scale_max(unit)).bit_length()
        shape = signed(bits + 1) if lane["significand"].shape.signed else unsigned(bits)
        negative = max(lane["negative"].shape, negative)
    return data.StructLayout(
        {"sum": shape, "exponent": total_raw(unit).bits, "negative": negative, "special": special_bits(unit)}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Widths and ranges of a cascaded sum.

    Parameters
    ----------
    part : int
        Largest magnitude of the cut products' sum, in units of its last place.
    low : int
        Exponent that is counted as 0 where products and register are compared.
    floor : int
        Exponent above `low` to which lower ones are brought: where the register, which has none so low, is zero.
    below : int
        Zeros below the last place of the sum, for what stands below the floor.
    bits : int
        Of the sum, sign included.
    total : Raw
        Of the sum's last place.
    """

    part: int
    low: int
    floor: int
    below: int
    bits: int
    total: Raw


def cascade_of(unit: DotProductUnit) -> Cascade:
    """Return widths and ranges of a unit with cascaded alignment."""
    alignment, accumulator = unit.alignment, unit.accumulator
    assert isinstance(alignment, CascadedAlignment)
    assert isinstance(accumulator, FloatAccumulator)  # by the unit's check
    spec, raw, point = accumulator.format, product_raw(unit), product_point(unit)
    part = unit.lanes * _cut(unit.product_max, point, alignment.fraction_bits)
    lead = spec.exp_min + spec.man_bits  # the lowest that a register has
    low = min(raw.low + raw.offset + point, lead)
    high = max(raw.high + raw.offset + point, spec.exp_max + spec.man_bits)
    places = max(alignment.sum_fraction_bits, alignment.register_fraction_bits)
    below = max(spec.man_bits + 2 - places, 0) if low < lead else 0
    of_sum = _cut(part, alignment.fraction_bits, alignment.sum_fraction_bits) + 1
    of_register = _cut(spec.max_significand, spec.man_bits, alignment.register_fraction_bits) + 1
    largest = of_sum << (places - alignment.sum_fraction_bits)
    largest += of_register << (places - alignment.register_fraction_bits)
    return Cascade(
        part=part,
        low=low,
        floor=lead - low,
        below=below,
        bits=(largest << below).bit_length() + 1,
        total=Raw(low=lead - low, high=high - low, offset=low - places - below),
    )


def register_layout(unit: DotProductUnit) -> data.StructLayout:
    """Return the accumulator: a code and, beside a fixed one, the specials it has seen."""
    if isinstance(unit.accumulator, FixedAccumulator):
        return data.StructLayout({"value": signed(unit.accumulator.bits), "special": special_bits(unit)})
    return data.StructLayout({"value": unit.accumulator.format.bits, "special": 0})
