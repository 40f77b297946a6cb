# SPDX-License-Identifier: Apache-2.0
"""What an encoder is: the format it makes, the float it takes, and its rules."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal, signed

from hwsim.formats import FloatSpec, Overflow, Rounding, Specials
from hwsim.formats.block import Scalar
from rtl.datapath.layouts import operand_raw

__all__ = [
    "FLOAT32",
    "Conversion",
    "lead_exponent",
]

FLOAT32 = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A float becomes a code of a scalar format.

    Parameters
    ----------
    format : IntegerSpec, FloatSpec, PositSpec or CodebookSpec
    source : FloatSpec
        Signed, with subnormals and IEEE specials.
    rounding, overflow : Rounding, Overflow
        One that `encode` of the format takes.
    random_bits : int
        1 to 32 for stochastic rounding, 0 for any other.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind, or does not go with the others.
    """

    format: Scalar
    source: FloatSpec = FLOAT32
    rounding: Rounding = Rounding.NEAREST_EVEN
    overflow: Overflow = Overflow.SATURATE
    random_bits: int = 0

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"format": Scalar, "source": FloatSpec, "rounding": Rounding, "overflow": Overflow}
        for field, kind in kinds.items():
            if not isinstance(getattr(self, field), kind):
                expected = " or ".join(each.__name__ for each in getattr(kind, "__args__", (kind,)))
                raise TypeError(f"{field} must be a {expected}, not {getattr(self, field)!r}")
        if isinstance(self.random_bits, bool) or not isinstance(self.random_bits, int):
            raise TypeError(f"random_bits must be an int, not {self.random_bits!r}")
        if not (self.source.signed and self.source.subnormals and self.source.specials is Specials.IEEE):
            raise ValueError(f"source must have a sign, subnormals and IEEE specials, not {self.source.name}")
        low, high = (1, 32) if self.rounding is Rounding.STOCHASTIC else (0, 0)
        if not low <= self.random_bits <= high:
            expected = f"{low}..{high}" if high else "0"
            raise ValueError(f"random_bits must be {expected} for {self.rounding.value}, not {self.random_bits}")
        self.format.encode(0.0, Rounding.TOWARD_ZERO, self.overflow)  # raises if the rule does not apply

    @property
    def name(self) -> str:
        """A name that spells the fields, for a module."""
        random = f"_r{self.random_bits}" if self.random_bits else ""
        return f"{self.format.name}_from_{self.source.name}_{self.rounding.value}{random}_{self.overflow.value}"


def lead_exponent(m: Module, source: FloatSpec, number: Any, bias: int) -> tuple[Any, int, int]:
    """Return the exponent of the highest place of a number's significand, plus a bias, and the range of that."""
    raw = operand_raw(source)
    offset = raw.offset + source.man_bits + bias
    low, high = raw.low + offset, raw.high + 1 + offset  # one above the finite ones: infinity and NaN
    lead = Signal(signed(max(low.bit_length(), high.bit_length()) + 1), name="lead")
    m.d.comb += lead.eq(number.exponent + offset)
    return lead, low, high
