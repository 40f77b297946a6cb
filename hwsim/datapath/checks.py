# SPDX-License-Identifier: Apache-2.0
"""What the fields of a dot-product unit must be, each and together."""

from typing import TYPE_CHECKING

from hwsim.datapath.accumulator import FixedAccumulator, FloatAccumulator, NanResult, Promotion
from hwsim.datapath.alignment import (
    CascadedAlignment,
    ExactAlignment,
    PairwiseAlignment,
    TruncatedAlignment,
)
from hwsim.datapath.sparsity import Sparsity
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding, Specials
from hwsim.formats.codes import check_bool, check_int

if TYPE_CHECKING:
    from hwsim.datapath.unit import DotProductUnit

__all__ = [
    "check_unit",
]


def check_unit(unit: "DotProductUnit") -> None:
    """Raise unless each field of a unit is of its kind, in its range, and goes with the others."""
    _check_kinds(unit)
    check_int("lanes", unit.lanes, 1, 1024)
    if unit.rounding is Rounding.STOCHASTIC:
        raise ValueError(f"rounding of a unit's output must be deterministic, not {unit.rounding!r}")
    if unit.overflow in (Overflow.PROPAGATE, Overflow.IEEE):
        raise ValueError(f"overflow of a unit must be WRAP, SATURATE or INFINITY, not {unit.overflow!r}")
    _check_operands(unit)
    _check_entry(unit)
    _check_accumulator(unit)
    _check_output(unit)


def _check_block(field: str, spec: BlockSpec) -> None:
    """Raise unless a unit can take a block format: one float scale a step, and elements of one format about zero."""
    if spec.block_size == 0 or spec.block_rows != 1:
        raise ValueError(f"{field} must share scales in blocks along one row, and {spec.name} does not")
    if spec.zero_point or spec.others:
        raise ValueError(f"{field} must have neither zero points nor a choice of elements, and {spec.name} has")
    if not isinstance(spec.scale, FloatSpec) or not spec.scale.has_nan or spec.scale.has_inf:
        raise ValueError(f"{field} must have a float scale with a NaN and no infinity, and {spec.name} has not")


def _check_kinds(unit: "DotProductUnit") -> None:
    """Raise unless each field is of its kind."""
    operands = (IntegerSpec, FloatSpec, PositSpec, CodebookSpec, BlockSpec)
    kinds: dict[str, tuple[type, ...]] = {
        "a": operands,
        "b": operands,
        "alignment": (ExactAlignment, TruncatedAlignment, PairwiseAlignment, CascadedAlignment),
        "accumulator": (FixedAccumulator, FloatAccumulator),
        "output": (IntegerSpec, FloatSpec, PositSpec),
        "rounding": (Rounding,),
        "overflow": (Overflow,),
        "promotion": (Promotion, type(None)),
        "order": (tuple,),
        "operand_rounding": (Rounding,),
        "sparsity": (Sparsity, type(None)),
        "unpacked": (FloatSpec, type(None)),
    }
    for field, allowed in kinds.items():
        if not isinstance(getattr(unit, field), allowed):
            expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in allowed)
            raise TypeError(f"{field} must be a {expected}, not {getattr(unit, field)!r}")
    check_bool("flush_operands", unit.flush_operands)


def _check_operands(unit: "DotProductUnit") -> None:
    """Raise unless the unit can take its operands' formats."""
    if unit.sparsity is not None and unit.lanes % unit.sparsity.kept:
        raise ValueError(f"lanes must be a multiple of sparsity.kept, {unit.sparsity.kept}, not {unit.lanes}")
    for field, operand in (("a", unit.a), ("b", unit.b)):
        if isinstance(operand, BlockSpec):
            _check_block(field, operand)
            size = operand.block_size
            if size % unit.width and unit.width % size:
                raise ValueError(
                    f"lanes must divide {field}'s block of {size}, or be a multiple of it, and {unit.width} is neither"
                )
        elif isinstance(operand, FloatSpec) and not operand.subnormals:
            raise ValueError(f"{field} must have a zero, and {operand.name} has none")
    for field, spec in (("a", unit.element_a), ("b", unit.element_b), ("output", unit.output)):
        if isinstance(spec, IntegerSpec) and spec.zero_point:
            raise ValueError(f"{field} must have its zero point at 0, and {spec.name} has not: correct for it outside")


def _check_entry(unit: "DotProductUnit") -> None:
    """Raise unless order, ignored bits and sparsity go with the operands."""
    if unit.order:
        if sorted(unit.order) != list(range(len(unit.order))) or len(unit.order) % unit.lanes:
            raise ValueError(
                f"order must be a permutation of 0..n - 1, n a multiple of lanes ({unit.lanes}), not {unit.order}"
            )
        if unit.scales or unit.sparsity:
            raise ValueError("order must be empty for block formats and sparse operands")
    check_int("ignored_bits", unit.ignored_bits, 0, 32)
    if unit.operand_rounding not in (Rounding.TOWARD_ZERO, Rounding.NEAREST_EVEN):
        raise ValueError(f"operand_rounding must be TOWARD_ZERO or NEAREST_EVEN, not {unit.operand_rounding!r}")
    for field, spec in (("a", unit.a), ("b", unit.b)):
        if unit.ignored_bits and not (isinstance(spec, FloatSpec) and spec.specials is Specials.IEEE):
            raise ValueError(f"{field} must be a float with IEEE specials where bits are ignored, not {spec.name}")
        if unit.ignored_bits and spec.bits + unit.ignored_bits > 64:
            raise ValueError(
                f"ignored_bits must leave {field}'s codes within 64 bits, not {unit.ignored_bits} below {spec.name}"
            )
    if unit.unpacked is not None:
        _check_unpacked(unit, unit.unpacked)
    if unit.promotion is not None:
        _check_length(unit, unit.promotion.length)


def _check_unpacked(unit: "DotProductUnit", wide: FloatSpec) -> None:
    for field, spec in (("a", unit.a), ("b", unit.b)):
        if not isinstance(spec, FloatSpec) or spec.bits > 16 or unit.ignored_bits:
            raise ValueError(f"{field} must be a float of at most 16 bits to be unpacked, not {spec.name}")
        narrower = wide.man_bits < spec.man_bits or wide.exp_min > spec.exp_min or wide.max_value < spec.max_value
        if narrower or (spec.has_inf and not wide.has_inf) or (spec.has_nan and not wide.has_nan):
            raise ValueError(f"unpacked must hold every value of {spec.name}, and {wide.name} does not")


def _check_length(unit: "DotProductUnit", length: int) -> None:
    if length % unit.width:
        raise ValueError(f"promotion.length must be a multiple of {unit.width}, a step, not {length}")
    for field, spec in (("a", unit.a), ("b", unit.b)):
        if isinstance(spec, BlockSpec) and length % spec.block_size and spec.block_size % length:
            raise ValueError(
                f"promotion.length must be a multiple of {field}'s block of {spec.block_size}, or divide it, "
                f"not {length}"
            )


def _check_accumulator(unit: "DotProductUnit") -> None:
    """Raise unless the registers can take the sums."""
    accumulator, alignment = unit.accumulator, unit.alignment
    if isinstance(alignment, TruncatedAlignment) and alignment.group > 1:
        if not unit.scales or unit.width % alignment.group:
            raise ValueError(
                f"alignment.group must divide a step of {unit.width} products of block formats, not {alignment.group}"
            )
        sizes = [spec.block_size for spec in (unit.a, unit.b) if isinstance(spec, BlockSpec)]
        if any(size % alignment.group for size in sizes):
            raise ValueError(f"alignment.group must divide the blocks of {sizes}, and {alignment.group} does not")
    if isinstance(alignment, PairwiseAlignment) and unit.width & (unit.width - 1):
        raise ValueError(f"lanes must be a power of two for a PairwiseAlignment, not {unit.width}")
    if isinstance(alignment, PairwiseAlignment | CascadedAlignment) and unit.scales:
        raise ValueError(f"a and b must be scalar formats for a {type(alignment).__name__}")
    if isinstance(accumulator, FloatAccumulator):
        if accumulator.nan is NanResult.OPERAND and not (
            unit.lanes == 1 and unit.sparsity is None and unit.a == unit.b == accumulator.format
        ):
            raise ValueError("accumulator.nan must not be OPERAND but for one lane of operands of its own format")
        if accumulator.rounding is Rounding.STOCHASTIC and isinstance(alignment, PairwiseAlignment | CascadedAlignment):
            raise ValueError(f"rounding of a {type(alignment).__name__} must be deterministic, not STOCHASTIC")
        _check_promotion(unit)
        return
    if not isinstance(alignment, ExactAlignment) or unit.scales:
        raise ValueError(
            f"accumulator must be a float for truncated alignment or a block format, not {accumulator.name}"
        )
    least = -unit.product_last_exp
    if accumulator.fraction_bits < least:
        raise ValueError(
            f"accumulator must have at least {least} fraction bits, for the products' last place is "
            f"2**{-least}, not {accumulator.fraction_bits}"
        )
    _check_promotion(unit)


def _check_promotion(unit: "DotProductUnit") -> None:
    if unit.promotion is None:
        return
    outer = unit.promotion.accumulator
    if isinstance(unit.accumulator, FixedAccumulator) and unit.accumulator.bits > 63:
        raise ValueError(f"accumulator must have at most 63 bits to be promoted, not {unit.accumulator.bits}")
    if isinstance(outer, FloatAccumulator):
        if outer.rounding is Rounding.STOCHASTIC or outer.nan is NanResult.OPERAND:
            raise ValueError(f"promotion.accumulator must round without chance and make its own NaN, not {outer.name}")
        return
    if not isinstance(unit.accumulator, FixedAccumulator) or outer.fraction_bits < unit.accumulator.fraction_bits:
        raise ValueError(
            f"promotion.accumulator must hold every bit of {unit.accumulator.name}, and {outer.name} does not"
        )


def _check_output(unit: "DotProductUnit") -> None:
    """Raise unless the register can be rounded to the output."""
    output = unit.output
    if isinstance(output, FloatSpec) and not output.subnormals:
        raise ValueError(f"output must have a zero, and {output.name} has none")
    if isinstance(output, FloatSpec) and output.man_bits == 0:
        raise ValueError(f"output must store mantissa bits, and {output.name} has none")
    if unit.has_specials and not output.has_nan:
        raise ValueError(
            f"output must have a NaN, for the operands or the accumulator have, and {output.name} has none"
        )
    if unit.converts:
        if isinstance(output, IntegerSpec) and unit.overflow is Overflow.INFINITY:
            raise ValueError(f"overflow must be WRAP or SATURATE for {output.name}, not {unit.overflow!r}")
        if not isinstance(output, IntegerSpec) and unit.overflow is Overflow.WRAP:
            raise ValueError(f"overflow must be INFINITY or SATURATE for {output.name}, not {unit.overflow!r}")
        if unit.overflow is Overflow.INFINITY and not output.has_nan:
            raise ValueError(f"overflow must be SATURATE for {output.name}, which has neither infinity nor NaN")
        if isinstance(output, PositSpec) and unit.rounding is not Rounding.NEAREST_EVEN:
            raise ValueError(f"rounding must be NEAREST_EVEN for {output.name}, not {unit.rounding!r}")
