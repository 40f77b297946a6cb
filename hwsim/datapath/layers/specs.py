# SPDX-License-Identifier: Apache-2.0
"""What the integer layers between matrix products are: widths, constants and roundings of each."""

from dataclasses import dataclass
from enum import Enum
from typing import Never

from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "FACTOR",
    "HadamardSpec",
    "LayerNormSpec",
    "RequantizerSpec",
    "ShiftGeluSpec",
    "ShiftRounding",
    "ShiftmaxSpec",
]

FACTOR = (1 << 31) - 1
"""The dividend of the reciprocals of I-ViT, and the largest sum it divides by."""


class ShiftRounding(Enum):
    """How ``v / 2**c`` becomes an integer.

    NEAREST_EVEN, NEAREST_AWAY, NEAREST_UP: the nearest one, and of two as near the even one, the one further from zero,
    or the larger one (``(v + 2**(c - 1)) >> c``, the cheapest). DOWN: the largest one not above (``v >> c``).
    """

    NEAREST_EVEN = "nearest_even"
    NEAREST_AWAY = "nearest_away"
    NEAREST_UP = "nearest_up"
    DOWN = "down"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        if not isinstance(value, str):
            raise TypeError(f"rounding must be a ShiftRounding or a str, not {value!r}")
        raise ValueError(f"rounding must be one of {', '.join(each.value for each in cls)}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequantizerSpec:
    """``clamp(round(value * multiplier / 2**shift))``, the dyadic requantization of HAWQ-V3 in exact integers.

    Parameters
    ----------
    value_bits : int
        Of the signed accumulator, 2 to 32.
    multiplier_bits : int
        Of the unsigned multiplier, 1 to 32. HAWQ-V3's are from 2**30 to 2**31, both included: 32 bits.
    shift_min, shift_max : int
        Range of the shift, within 0 to 62. HAWQ-V3's of a ratio below 1 is 31 or more.
    code_bits : int
        Of the code, 2 to 32.
    signed : bool
        Whether the code is of two's complement, clamped to ``[-2**(n - 1), 2**(n - 1) - 1]``, or clamped to
        ``[0, 2**n - 1]``.
    rounding : ShiftRounding

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.
    """

    value_bits: int = 32
    multiplier_bits: int = 32
    shift_min: int = 0
    shift_max: int = 62
    code_bits: int = 8
    signed: bool = True
    rounding: ShiftRounding = ShiftRounding.NEAREST_EVEN

    def __post_init__(self) -> None:
        check_int("value_bits", self.value_bits, 2, 32)
        check_int("multiplier_bits", self.multiplier_bits, 1, 32)
        check_int("shift_max", self.shift_max, 0, 62)
        check_int("shift_min", self.shift_min, 0, self.shift_max)
        check_int("code_bits", self.code_bits, 2, 32)
        check_bool("signed", self.signed)
        if not isinstance(self.rounding, ShiftRounding):
            raise TypeError(f"rounding must be a ShiftRounding, not {self.rounding!r}")

    @property
    def min_code(self) -> int:
        """The least code."""
        return -(1 << (self.code_bits - 1)) if self.signed else 0

    @property
    def max_code(self) -> int:
        """The largest code."""
        return (1 << (self.code_bits - self.signed)) - 1


def _check_exponential(spec: "ShiftmaxSpec | ShiftGeluSpec") -> None:
    check_int("length", spec.length, 1, 4096)
    check_int("bits", spec.bits, 2, 24)
    check_int("unit_bits", spec.unit_bits, 1, 16)
    check_int("steps", spec.steps, 1, 30)
    if spec.unit_bits + spec.steps > 40:
        raise ValueError(f"unit_bits and steps must be at most 40 together, not {spec.unit_bits} and {spec.steps}")
    check_int("code_bits", spec.code_bits, 2, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftmaxSpec:
    """I-ViT's Shiftmax over a vector, in exact integers.

    Parameters
    ----------
    length : int
        Elements of a vector, 1 to 4096.
    bits : int
        Of a signed element, 2 to 24.
    unit_bits : int
        Of the unit, which is ``ceil(1 / scale)``, 1 to 16.
    steps : int
        I-ViT's n: the bits that a power of two has below the unit, 1 to 30; at most 40 with unit_bits.
    code_bits : int
        Of a result, whose scale is ``2**-(code_bits - 1)``, 2 to 16.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.

    Source
    ------
    arXiv:2207.01405, equations 12 to 15, and the authors' quant_modules.py, IntSoftmax (n = 15, 8 bits).
    """

    length: int
    bits: int = 8
    unit_bits: int = 8
    steps: int = 15
    code_bits: int = 8

    def __post_init__(self) -> None:
        _check_exponential(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftGeluSpec:
    """I-ViT's ShiftGELU over a vector, in exact integers.

    Parameters
    ----------
    length, bits, unit_bits, steps
        As of `ShiftmaxSpec`; the unit is ``ceil(1 / (1.702 * scale))``.
    code_bits : int
        Of the sigmoid, whose scale is ``2**-(code_bits - 1)``, 2 to 16. The result is the element times it.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.

    Source
    ------
    arXiv:2207.01405, equations 16 to 19, and the authors' quant_modules.py, IntGELU (n = 23, 8 bits).
    """

    length: int
    bits: int = 8
    unit_bits: int = 8
    steps: int = 23
    code_bits: int = 8

    def __post_init__(self) -> None:
        _check_exponential(self)

    @property
    def product_bits(self) -> int:
        """Bits of a signed result."""
        return self.bits + self.code_bits - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNormSpec:
    """I-ViT's I-LayerNorm over a vector, in exact integers.

    Parameters
    ----------
    length : int
        Elements of a vector, 1 to 4096.
    bits : int
        Of a signed element, 2 to 20.
    bias_bits : int
        Of a signed bias beside each element, 2 to 40; 0: there are none.
    start_bits : int
        The root's iteration starts from ``2**start_bits``, 1 to 30.
    iterations : int
        How often the root is improved, 1 to start_bits; a root is thus never 0.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.

    Source
    ------
    arXiv:2207.01405, equations 20 and 21, and the authors' quant_modules.py, IntLayerNorm (from 2**16, 10 iterations).
    """

    length: int
    bits: int = 8
    bias_bits: int = 0
    start_bits: int = 16
    iterations: int = 10

    def __post_init__(self) -> None:
        check_int("length", self.length, 1, 4096)
        check_int("bits", self.bits, 2, 20)
        if self.bias_bits != 0:
            check_int("bias_bits", self.bias_bits, 2, 40)
        check_int("start_bits", self.start_bits, 1, 30)
        check_int("iterations", self.iterations, 1, self.start_bits)

    @property
    def square_bits(self) -> int:
        """Bits of the sum of squared differences from the mean, none of which is above ``2**bits - 1``."""
        return (self.length * ((1 << self.bits) - 1) ** 2).bit_length()

    @property
    def root_bits(self) -> int:
        """Bits of a root on its way."""
        # From k >= root, (k + floor(v / k)) / 2 is at most k; the first step alone may go up, to v / 2**start_bits.
        first = ((1 << self.start_bits) + ((1 << self.square_bits) >> self.start_bits)) >> 1
        return max(self.start_bits + 1, first.bit_length())

    @property
    def factor_bits(self) -> int:
        """Bits of ``(2**31 - 1) / root``, whose root is at least ``2**(start_bits - iterations)``."""
        return (FACTOR >> (self.start_bits - self.iterations)).bit_length()

    @property
    def sum_bits(self) -> int:
        """Bits of a signed result."""
        product = self.bits + 1 + self.factor_bits - 1
        return max(product, self.bias_bits) + 1 if self.bias_bits else product


@dataclass(frozen=True, slots=True, kw_only=True)
class HadamardSpec:
    """The Hadamard transform of blocks of integers: butterflies without any scaling.

    Parameters
    ----------
    bits : int
        Of a signed element, 1 to 32.
    size : int
        Elements of a block, a power of two from 2 to 4096.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.
    """

    bits: int
    size: int

    def __post_init__(self) -> None:
        check_int("bits", self.bits, 1, 32)
        check_int("size", self.size, 2, 4096)
        if self.size & (self.size - 1):
            raise ValueError(f"size must be a power of two, not {self.size}")

    @property
    def sum_bits(self) -> int:
        """Bits of a signed result: one more for each of the ``log2(size)`` stages."""
        return self.bits + self.size.bit_length() - 1
