# SPDX-License-Identifier: Apache-2.0
"""The specification of a dot-product unit: the one description that the model, the RTL and the cost come from."""

from dataclasses import dataclass

from hwsim.formats import BlockSpec, CodebookSpec, FloatSpec, IntegerSpec, Overflow, PositSpec, Rounding, Specials
from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "DotProductUnit",
    "ExactAlignment",
    "FixedAccumulator",
    "FloatAccumulator",
    "ScalarSpec",
    "TruncatedAlignment",
]

ScalarSpec = IntegerSpec | FloatSpec | PositSpec | CodebookSpec
"""The formats of an operand's codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactAlignment:
    """The products of a step are added without losing a bit; the accumulator is added to their sum afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedAlignment:
    """The addends of a step are brought to the largest exponent among them and cut toward zero, as tensor cores do.

    An addend's exponent is the sum of its operands' exponents, not normalised: that of a product in [0, 4) * 2**e is e.
    Addends that are zero have none.

    Parameters
    ----------
    fraction_bits : int
        Bits kept below ``2**e`` of the largest exponent e, 0 to 60.
    exp_floor : int
        The least value of e, -4096 to 4096.
    with_accumulator : bool
        Whether the accumulator is one of the addends (one fused step), or is added afterwards.

    Source
    ------
    Fasi et al., PeerJ CS 7:e330 (2021); Khattak and Mikaitis, arXiv:2512.07004; Xie et al., arXiv:2511.10909.
    """

    fraction_bits: int
    exp_floor: int
    with_accumulator: bool = True

    def __post_init__(self) -> None:
        check_int("fraction_bits", self.fraction_bits, 0, 60)
        check_int("exp_floor", self.exp_floor, -4096, 4096)
        check_bool("with_accumulator", self.with_accumulator)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAccumulator:
    """A two's complement register: an integer accumulator, or a fixed-point one that holds every product (Kulisch).

    Parameters
    ----------
    bits : int
        Width of the register, 2 to 1024 (the compiled model takes up to 63).
    fraction_bits : int
        Position of the binary point: the unit of the register is ``2**-fraction_bits``.
    overflow : Overflow
        WRAP or SATURATE, applied to the exact sum of each step.
    """

    bits: int
    fraction_bits: int
    overflow: Overflow

    def __post_init__(self) -> None:
        check_int("bits", self.bits, 2, 1024)
        check_int("fraction_bits", self.fraction_bits, -1000, 1000)
        if self.overflow not in (Overflow.WRAP, Overflow.SATURATE):
            raise ValueError(f"overflow of a fixed accumulator must be WRAP or SATURATE, not {self.overflow!r}")

    @property
    def name(self) -> str:
        """What a unit's name says of its accumulator: ``int32``, ``int32_sat``, ``fixed49``."""
        family = "int" if self.fraction_bits == 0 else "fixed"
        return f"{family}{self.bits}" + ("_sat" if self.overflow is Overflow.SATURATE else "")

    @property
    def format(self) -> IntegerSpec:
        """The format of the register's codes, up to 64 bits."""
        return IntegerSpec(bits=self.bits, fraction_bits=self.fraction_bits)


def _check_block(field: str, spec: BlockSpec) -> None:
    """Raise unless a unit can take a block format: one float scale a step, and elements of one format about zero."""
    if spec.block_size == 0 or spec.block_rows != 1:
        raise ValueError(f"{field} must share scales in blocks along one row, and {spec.name} does not")
    if spec.zero_point or spec.others:
        raise ValueError(f"{field} must have neither zero points nor a choice of elements, and {spec.name} has")
    if not isinstance(spec.scale, FloatSpec) or not spec.scale.has_nan or spec.scale.has_inf:
        raise ValueError(f"{field} must have a float scale with a NaN and no infinity, and {spec.name} has not")


def _scale(operand: ScalarSpec | BlockSpec) -> FloatSpec | None:
    if not isinstance(operand, BlockSpec):
        return None
    assert isinstance(operand.scale, FloatSpec)
    return operand.scale


def _check_deterministic(rounding: Rounding) -> None:
    if rounding is Rounding.STOCHASTIC:
        raise ValueError(f"rounding of a unit must be deterministic, for it has no random words, not {rounding!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatAccumulator:
    """A float register; the exact sum of register and addends is rounded once a step. A zero result is +0.

    Parameters
    ----------
    format : FloatSpec
        With infinity and NaN (IEEE specials), signed, with subnormals.
    rounding : Rounding
        Of each step.
    overflow : Overflow
        INFINITY or SATURATE. A NaN and an infinity among the addends stay what they are in either.
    result_man_bits : int
        Mantissa bits that a step's result keeps, at most the format's; the rest are zero (13 of 23 in Hopper's FP8
        units).
    nan_all_ones : bool
        Whether a NaN result is all ones below the sign (NVIDIA's tensor cores), or quiet with an empty payload.
    """

    format: FloatSpec
    rounding: Rounding
    overflow: Overflow
    result_man_bits: int
    nan_all_ones: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.format, FloatSpec):
            raise TypeError(f"format of a float accumulator must be a FloatSpec, not {self.format!r}")
        if self.format.specials is not Specials.IEEE or not (self.format.signed and self.format.subnormals):
            name = self.format.name
            raise ValueError(f"format of a float accumulator must be signed, with infinity and NaN, not {name}")
        if not isinstance(self.rounding, Rounding):
            raise TypeError(f"rounding must be a Rounding, not {self.rounding!r}")
        _check_deterministic(self.rounding)
        if self.overflow not in (Overflow.INFINITY, Overflow.SATURATE):
            raise ValueError(f"overflow of a float accumulator must be INFINITY or SATURATE, not {self.overflow!r}")
        check_int("result_man_bits", self.result_man_bits, 1, self.format.man_bits)
        check_bool("nan_all_ones", self.nan_all_ones)

    @property
    def name(self) -> str:
        """What a unit's name says of its accumulator: ``float32``, ``float32_toward_zero_m13``."""
        rounding = "" if self.rounding is Rounding.NEAREST_EVEN else f"_{self.rounding.value}"
        kept = "" if self.result_man_bits == self.format.man_bits else f"_m{self.result_man_bits}"
        overflow = "" if self.overflow is Overflow.INFINITY else "_sat"
        return f"{self.format.name}{rounding}{kept}{overflow}" + ("_ones" if self.nan_all_ones else "")

    @property
    def bits(self) -> int:
        """Width of the register."""
        return self.format.bits

    @property
    def nan_code(self) -> int:
        """The code of a NaN result."""
        ones = (1 << (self.format.bits - 1)) - 1
        return ones if self.nan_all_ones else self.format.nan_code


@dataclass(frozen=True, slots=True, kw_only=True)
class DotProductUnit:
    """A unit that computes ``d = round(c + sum(a[i] * b[i]))``, `lanes` products a step, in order of i.

    Parameters
    ----------
    a, b : IntegerSpec, FloatSpec, PositSpec, CodebookSpec or BlockSpec
        Operand formats. A block format brings a scale a step; its tensor scale is no business of the unit.
    lanes : int
        Products a step, 1 to 1024. Divides the block size of a block format. One lane is a MAC.
    alignment : ExactAlignment or TruncatedAlignment
        How the products of a step are added.
    accumulator : FixedAccumulator or FloatAccumulator
        The register, in whose format c is given. A fixed one needs scalar operands and exact alignment, and a unit in
        the last place not above the products'. An infinity or NaN among its operands is remembered beside it, until the
        next c.
    output : IntegerSpec or FloatSpec
        Format of d. The accumulator's own format, or one to which it is rounded after the last step.
    rounding, overflow : Rounding, Overflow
        Of that last conversion.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind, out of range, or does not go with the others.
    """

    a: ScalarSpec | BlockSpec
    b: ScalarSpec | BlockSpec
    lanes: int
    alignment: ExactAlignment | TruncatedAlignment
    accumulator: FixedAccumulator | FloatAccumulator
    output: IntegerSpec | FloatSpec
    rounding: Rounding = Rounding.NEAREST_EVEN
    overflow: Overflow = Overflow.INFINITY

    def __post_init__(self) -> None:
        kinds = {
            "a": (IntegerSpec, FloatSpec, PositSpec, CodebookSpec, BlockSpec),
            "b": (IntegerSpec, FloatSpec, PositSpec, CodebookSpec, BlockSpec),
            "alignment": (ExactAlignment, TruncatedAlignment),
            "accumulator": (FixedAccumulator, FloatAccumulator),
            "output": (IntegerSpec, FloatSpec),
            "rounding": (Rounding,),
            "overflow": (Overflow,),
        }
        for field, allowed in kinds.items():
            if not isinstance(getattr(self, field), allowed):
                expected = " or ".join(kind.__name__ for kind in allowed)
                raise TypeError(f"{field} must be a {expected}, not {getattr(self, field)!r}")
        check_int("lanes", self.lanes, 1, 1024)
        _check_deterministic(self.rounding)
        if self.overflow in (Overflow.PROPAGATE, Overflow.IEEE):
            raise ValueError(f"overflow of a unit must be WRAP, SATURATE or INFINITY, not {self.overflow!r}")
        for field, operand in (("a", self.a), ("b", self.b)):
            if isinstance(operand, BlockSpec):
                _check_block(field, operand)
                size = operand.block_size
                if size % self.lanes:
                    raise ValueError(f"lanes must divide {field}'s block of {size}, and {self.lanes} does not")
            elif isinstance(operand, FloatSpec) and not operand.subnormals:
                raise ValueError(f"{field} must have a zero, and {operand.name} has none")
        for field, spec in (("a", self.element_a), ("b", self.element_b), ("output", self.output)):
            if isinstance(spec, IntegerSpec) and spec.zero_point:
                raise ValueError(
                    f"{field} must have its zero point at 0, and {spec.name} has not: correct for it outside"
                )
        self._check_accumulator()
        self._check_output()

    def _check_accumulator(self) -> None:
        if isinstance(self.accumulator, FloatAccumulator):
            return
        if isinstance(self.alignment, TruncatedAlignment) or self.scale_a is not None or self.scale_b is not None:
            name = self.accumulator.name
            raise ValueError(f"accumulator must be a float for truncated alignment or a block format, not {name}")
        if self.accumulator.fraction_bits < -self.product_exp_min:
            least = -self.product_exp_min
            raise ValueError(
                f"accumulator must have at least {least} fraction bits, for the products' last place is "
                f"2**{-least}, not {self.accumulator.fraction_bits}"
            )

    def _check_output(self) -> None:
        if isinstance(self.output, FloatSpec) and not self.output.subnormals:
            raise ValueError(f"output must have a zero, and {self.output.name} has none")
        if isinstance(self.output, FloatSpec) and self.output.man_bits == 0:
            raise ValueError(f"output must store mantissa bits, and {self.output.name} has none")
        if self.has_specials and not self.output.has_nan:
            name = self.output.name
            raise ValueError(f"output must have a NaN, for the operands or the accumulator have, and {name} has none")
        if self.converts:
            if isinstance(self.output, IntegerSpec) and self.overflow is Overflow.INFINITY:
                raise ValueError(f"overflow must be WRAP or SATURATE for {self.output.name}, not {self.overflow!r}")
            if isinstance(self.output, FloatSpec) and self.overflow is Overflow.WRAP:
                raise ValueError(f"overflow must be INFINITY or SATURATE for {self.output.name}, not {self.overflow!r}")
            if self.overflow is Overflow.INFINITY and not self.output.has_nan:
                name = self.output.name
                raise ValueError(f"overflow must be SATURATE for {name}, which has neither infinity nor NaN")

    @property
    def name(self) -> str:
        """A name that spells the fields; `hwsim.datapath.named` has shorter ones for those of the catalog."""
        operands = self.a.name if self.a == self.b else f"{self.a.name}_by_{self.b.name}"
        cut = ""
        if isinstance(self.alignment, TruncatedAlignment):
            apart = "" if self.alignment.with_accumulator else "_apart"
            cut = f"_t{self.alignment.fraction_bits}_floor{self.alignment.exp_floor}{apart}".replace("-", "m")
        accumulator = self.accumulator.name
        if isinstance(self.accumulator, FixedAccumulator) and self.accumulator.fraction_bits != -self.product_exp_min:
            accumulator += f"_f{self.accumulator.fraction_bits}".replace("-", "m")
        convert = ""
        if self.converts:
            rounding = "" if self.rounding is Rounding.NEAREST_EVEN else f"_{self.rounding.value}"
            overflow = "" if self.overflow is Overflow.INFINITY else f"_{self.overflow.value}"
            convert = f"_to_{self.output.name}{rounding}{overflow}"
        return f"{operands}_l{self.lanes}{cut}_{accumulator}{convert}"

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
    def scales(self) -> tuple[FloatSpec, ...]:
        """The formats of the block scales that a step has, a's before b's."""
        return tuple(scale for scale in (self.scale_a, self.scale_b) if scale is not None)

    @property
    def product_exp_min(self) -> int:
        """Exponent of the last place of the smallest product, without scales."""
        return self.element_a.exp_min + self.element_b.exp_min

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
        """Places by which the sum is shifted left to meet a fixed accumulator's last place."""
        if isinstance(self.accumulator, FloatAccumulator):
            return 0
        return self.product_exp_min + self.accumulator.fraction_bits

    @property
    def converts(self) -> bool:
        """Whether d is anything but the accumulator itself."""
        if isinstance(self.accumulator, FixedAccumulator):
            return self.accumulator.bits > 64 or self.output != self.accumulator.format
        return self.output != self.accumulator.format

    @property
    def is_plain(self) -> bool:
        """Whether the unit has none of the features that only some paths know."""
        return True

    @property
    def has_specials(self) -> bool:
        """Whether an infinity or a NaN can arise."""
        operands = (self.element_a, self.element_b, *self.scales)
        return isinstance(self.accumulator, FloatAccumulator) or any(spec.has_nan or spec.has_inf for spec in operands)
