# SPDX-License-Identifier: Apache-2.0
"""The specification of a dot-product unit: the one description that the model, the RTL and the cost come from."""

import zlib
from dataclasses import dataclass, replace

from hwsim.datapath.accumulator import Accumulator, FixedAccumulator, FloatAccumulator, NanResult, Promotion
from hwsim.datapath.alignment import (
    Alignment,
    CascadedAlignment,
    ExactAlignment,
    PairwiseAlignment,
    TruncatedAlignment,
)
from hwsim.datapath.checks import check_unit
from hwsim.datapath.sparsity import Sparsity
from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding, Specials

__all__ = [
    "Accumulator",
    "Alignment",
    "CascadedAlignment",
    "DotProductUnit",
    "ExactAlignment",
    "FixedAccumulator",
    "FloatAccumulator",
    "NanResult",
    "PairwiseAlignment",
    "Promotion",
    "ScalarSpec",
    "Sparsity",
    "TruncatedAlignment",
]

ScalarSpec = IntegerSpec | FloatSpec | PositSpec | CodebookSpec
"""The formats of an operand's codes."""

_FLOAT64 = FloatSpec(exp_bits=11, man_bits=52, bias=1023, specials=Specials.IEEE)


def _scale(operand: ScalarSpec | BlockSpec) -> FloatSpec | None:
    if not isinstance(operand, BlockSpec):
        return None
    assert isinstance(operand.scale, FloatSpec)
    return operand.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class DotProductUnit:
    """A unit that computes ``d = round(c + sum(a[i] * b[i]))``, `lanes` products a step, in order of i.

    Parameters
    ----------
    a, b : IntegerSpec, FloatSpec, PositSpec, CodebookSpec or BlockSpec
        Operand formats. A block format brings a scale a block; its tensor scale is no business of the unit.
    lanes : int
        Products a step, 1 to 1024. A block size is a multiple of it, or it of the block size: then a step has several
        scales. One lane is a MAC.
    alignment : ExactAlignment, TruncatedAlignment, PairwiseAlignment or CascadedAlignment
        How the products of a step are added. All but the first need a float accumulator.
    accumulator : FixedAccumulator or FloatAccumulator
        The register. A fixed one needs scalar operands and exact alignment, and a unit in the last place not above the
        products'. An infinity or NaN among its operands is remembered beside it, until the next c.
    output : IntegerSpec, FloatSpec or PositSpec
        Format of d. The (last) accumulator's own format, or one to which it is rounded after the last step.
    rounding, overflow : Rounding, Overflow
        Of that last conversion. An infinite register is no overflow: it becomes the output's infinity by either rule;
        where the output has none, the largest finite value with SATURATE, else NaN (`round_pack_exact`).
    promotion : Promotion, optional
        A second register. c is in its format then, and d is read from it.
    order : tuple of int
        The order in which a dot product's elements enter: of every ``len(order)``, the one at ``order[i]`` comes at
        place i. Empty: as they are. Not with block formats or sparsity.
    ignored_bits : int
        Low bits of each operand's code that are no part of its format: 13 of a tfloat32 in its 32-bit container.
    operand_rounding : Rounding
        How they are dropped: TOWARD_ZERO (ignored) or NEAREST_EVEN (rounded).
    flush_operands : bool
        Whether subnormal operands, and a subnormal c, count as zero (DAZ).
    sparsity : Sparsity, optional
        Of a. A step then takes ``lanes * of / kept`` elements of K (`width`).
    unpacked : FloatSpec, optional
        The format to which both operands are converted as they enter, which holds all of their values: float16 where an
        FP8 instruction is emulated by one on float16. They are aligned by its exponents.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind, out of range, or does not go with the others.
    """

    a: ScalarSpec | BlockSpec
    b: ScalarSpec | BlockSpec
    lanes: int
    alignment: Alignment
    accumulator: Accumulator
    output: IntegerSpec | FloatSpec | PositSpec
    rounding: Rounding = Rounding.NEAREST_EVEN
    overflow: Overflow = Overflow.INFINITY
    promotion: Promotion | None = None
    order: tuple[int, ...] = ()
    ignored_bits: int = 0
    operand_rounding: Rounding = Rounding.TOWARD_ZERO
    flush_operands: bool = False
    sparsity: Sparsity | None = None
    unpacked: FloatSpec | None = None

    def __post_init__(self) -> None:
        check_unit(self)

    @property
    def name(self) -> str:
        """A name that spells the fields; `hwsim.datapath.named` has shorter ones for those of the catalog."""
        operands = self.a.name if self.a == self.b else f"{self.a.name}_by_{self.b.name}"
        cut = "" if isinstance(self.alignment, ExactAlignment) else f"_{self.alignment.name}"
        accumulator = self.accumulator.name
        if isinstance(self.accumulator, FixedAccumulator) and self.accumulator.fraction_bits != -self.product_exp_min:
            accumulator += f"_f{self.accumulator.fraction_bits}".replace("-", "m")
        promotion = f"_{self.promotion.name}" if self.promotion else ""
        entry = f"_order{len(self.order)}_{zlib.crc32(bytes(str(self.order), 'ascii')):08x}" if self.order else ""
        if self.ignored_bits:
            rounded = "" if self.operand_rounding is Rounding.TOWARD_ZERO else f"_{self.operand_rounding.value}"
            entry += f"_ignore{self.ignored_bits}{rounded}"
        entry += f"_as_{self.unpacked.name}" if self.unpacked else ""
        entry += ("_daz" if self.flush_operands else "") + (f"_{self.sparsity.name}" if self.sparsity else "")
        convert = ""
        if self.converts:
            rounding = "" if self.rounding is Rounding.NEAREST_EVEN else f"_{self.rounding.value}"
            overflow = "" if self.overflow is Overflow.INFINITY else f"_{self.overflow.value}"
            convert = f"_to_{self.output.name}{rounding}{overflow}"
        return f"{operands}_l{self.lanes}{cut}_{accumulator}{promotion}{entry}{convert}"

    @property
    def width(self) -> int:
        """Elements of K that a step takes: its lanes, and the zeros between them where a is sparse."""
        return self.lanes if self.sparsity is None else self.lanes * self.sparsity.of // self.sparsity.kept

    @property
    def register(self) -> Accumulator:
        """The register in whose format c is, and from which d is read."""
        return self.promotion.accumulator if self.promotion else self.accumulator

    @property
    def inner(self) -> "DotProductUnit":
        """The unit of what enters in order, as wide as this one's steps, with the first register alone for a result.

        Where this is the unit itself, an operand's code enters as it is.
        """
        output, rules = self.output, (self.rounding, self.overflow)
        if self.promotion is None:
            if not (self.order or self.ignored_bits or self.flush_operands or self.sparsity or self.unpacked):
                return self
        elif isinstance(self.accumulator, FloatAccumulator):
            output, rules = self.accumulator.format, (Rounding.NEAREST_EVEN, Overflow.INFINITY)
        elif any(spec.has_nan or spec.has_inf for spec in (self.element_a, self.element_b)):
            output, rules = _FLOAT64, (Rounding.NEAREST_EVEN, Overflow.INFINITY)  # only to say what it has seen
        else:
            output, rules = self.accumulator.format, (Rounding.NEAREST_EVEN, Overflow.WRAP)
        return replace(
            self,
            a=self.unpacked or self.a,
            b=self.unpacked or self.b,
            lanes=self.width,
            output=output,
            rounding=rules[0],
            overflow=rules[1],
            promotion=None,
            order=(),
            ignored_bits=0,
            operand_rounding=Rounding.TOWARD_ZERO,
            flush_operands=False,
            sparsity=None,
            unpacked=None,
        )

    @property
    def is_plain(self) -> bool:
        """Whether the unit has none of the features that only some paths know."""
        if self.inner is not self or self.scale_counts[0] > 1 or self.scale_counts[1] > 1:
            return False
        if isinstance(self.alignment, PairwiseAlignment | CascadedAlignment) or isinstance(self.output, PositSpec):
            return False
        if isinstance(self.alignment, TruncatedAlignment) and (
            self.alignment.group > 1 or self.alignment.rounding is not Rounding.TOWARD_ZERO
        ):
            return False
        if isinstance(self.accumulator, FixedAccumulator):
            return self.sum_shift >= 0
        register = self.accumulator
        odd = register.signed_zero or register.flush or register.rounding is Rounding.STOCHASTIC
        return not odd and register.nan is not NanResult.OPERAND

    @property
    def element_a(self) -> ScalarSpec:
        """The scalar format of a's codes."""
        return self.a.element if isinstance(self.a, BlockSpec) else self.a

    @property
    def element_b(self) -> ScalarSpec:
        """The scalar format of b's codes."""
        return self.b.element if isinstance(self.b, BlockSpec) else self.b

    @property
    def scale_a(self) -> FloatSpec | None:
        """The format of a's block scale, or None."""
        return _scale(self.a)

    @property
    def scale_b(self) -> FloatSpec | None:
        """The format of b's block scale, or None."""
        return _scale(self.b)

    @property
    def scale_counts(self) -> tuple[int, int]:
        """How many scales of a, and of b, a step has."""
        sizes = [spec.block_size if isinstance(spec, BlockSpec) else 0 for spec in (self.a, self.b)]
        of_a, of_b = (max(1, self.width // size) if size else 0 for size in sizes)
        return of_a, of_b

    @property
    def scales(self) -> tuple[FloatSpec, ...]:
        """The formats of the block scales that a step has, a's before b's."""
        counts = self.scale_counts
        of_a = () if self.scale_a is None else (self.scale_a,) * counts[0]
        return of_a + (() if self.scale_b is None else (self.scale_b,) * counts[1])

    @property
    def product_exp_min(self) -> int:
        """Exponent of the last place of the smallest product, without scales."""
        return self.element_a.exp_min + self.element_b.exp_min

    @property
    def product_last_exp(self) -> int:
        """Exponent of the lowest place in which a product can have a bit.

        That of `product_exp_min`, but for posits: the smallest have no fraction, and zeros in its place.
        """
        elements = (self.element_a, self.element_b)
        return sum(-spec.scale_max if isinstance(spec, PositSpec) else spec.exp_min for spec in elements)

    @property
    def product_exp_max(self) -> int:
        """Exponent of the last place of the largest product, without scales."""
        return self.element_a.exp_max + self.element_b.exp_max

    @property
    def product_max(self) -> int:
        """The largest magnitude of a product's significand."""
        return self.element_a.max_significand * self.element_b.max_significand

    @property
    def on_grid(self) -> bool:
        """Whether products are shifted to their smallest exponent before the sum; not where one lane meets a float."""
        return isinstance(self.alignment, ExactAlignment) and (
            self.lanes > 1 or isinstance(self.accumulator, FixedAccumulator)
        )

    @property
    def sum_bits(self) -> int:
        """Bits, sign included, of the exact sum of a step's products, in units of the smallest product's last place."""
        spread = self.product_exp_max - self.product_exp_min if self.on_grid else 0
        return (self.lanes * (self.product_max << spread)).bit_length() + 1

    @property
    def sum_shift(self) -> int:
        """Places by which the sum is shifted left to meet a fixed accumulator's last place.

        Negative for a quire: the significands of small posits have that many zeros at their end.
        """
        if isinstance(self.accumulator, FloatAccumulator):
            return 0
        return self.product_exp_min + self.accumulator.fraction_bits

    @property
    def converts(self) -> bool:
        """Whether d is anything but the register itself."""
        register = self.register
        if isinstance(register, FixedAccumulator):
            return register.bits > 64 or self.output != register.format
        return self.output != register.format

    @property
    def has_specials(self) -> bool:
        """Whether an infinity or a NaN can arise."""
        operands = (self.element_a, self.element_b, *self.scales)
        return isinstance(self.register, FloatAccumulator) or any(spec.has_nan or spec.has_inf for spec in operands)
