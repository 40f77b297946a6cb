# SPDX-License-Identifier: Apache-2.0
"""The register of a unit: fixed point, or a float rounded at every step; and the one to which it is promoted."""

from dataclasses import dataclass
from enum import Enum

from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, Specials
from hwsim.formats.codes import check_bool, check_int

__all__ = [
    "Accumulator",
    "FixedAccumulator",
    "FloatAccumulator",
    "NanResult",
    "Promotion",
]

_RANDOM_PLACES = 56  # mantissa and random bits together, of which the kernels lose none


class NanResult(Enum):
    """The code of a NaN result.

    QUIET is the format's quiet NaN with an empty payload. ALL_ONES is all ones below the sign (NVIDIA's tensor cores).
    OPERAND is the first NaN of b, c and a, made quiet; of no such NaN, the quiet one with its sign set (the scalar
    fused multiply-add of NVIDIA's and x86 processors, for float64 measured).
    """

    QUIET = "quiet"
    ALL_ONES = "ones"
    OPERAND = "operand"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAccumulator:
    """A two's complement register: an integer accumulator, or a fixed-point one that holds every product (Kulisch).

    Parameters
    ----------
    bits : int
        Width of the register, 2 to 1024. The compiled model takes up to 63; 64 where d is the register or a float and
        a path with sums exact in 64 bits offers itself; and 64 and more by the path ``sliced``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatAccumulator:
    """A float register; the exact sum of register and addends is rounded once a step.

    Parameters
    ----------
    format : FloatSpec
        With infinity and NaN (IEEE specials), signed, with subnormals.
    rounding : Rounding
        Of each step. STOCHASTIC takes a random word of `random_bits` bits a step (see `hwsim.datapath.words`).
    overflow : Overflow
        INFINITY or SATURATE. A NaN and an infinity among the addends stay what they are in either.
    result_man_bits : int
        Mantissa bits that a step's result keeps, at most the format's; the rest are zero (13 of 23 in Hopper's FP8
        units).
    nan : NanResult
        The code of a NaN result.
    signed_zero : bool
        Whether a zero result has the sign that IEEE 754 gives it (6.3), else it is +0. Not with rounding DOWN.
    flush : bool
        Whether a result that is subnormal after its rounding becomes zero (FTZ).
    random_bits : int
        1 to 32 for STOCHASTIC, else 0.
    """

    format: FloatSpec
    rounding: Rounding
    overflow: Overflow
    result_man_bits: int
    nan: NanResult = NanResult.QUIET
    signed_zero: bool = False
    flush: bool = False
    random_bits: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.format, FloatSpec):
            raise TypeError(f"format of a float accumulator must be a FloatSpec, not {self.format!r}")
        if self.format.specials is not Specials.IEEE or not (self.format.signed and self.format.subnormals):
            name = self.format.name
            raise ValueError(f"format of a float accumulator must be signed, with infinity and NaN, not {name}")
        if not isinstance(self.rounding, Rounding):
            raise TypeError(f"rounding must be a Rounding, not {self.rounding!r}")
        if self.overflow not in (Overflow.INFINITY, Overflow.SATURATE):
            raise ValueError(f"overflow of a float accumulator must be INFINITY or SATURATE, not {self.overflow!r}")
        check_int("result_man_bits", self.result_man_bits, 1, self.format.man_bits)
        if not isinstance(self.nan, NanResult):
            raise TypeError(f"nan must be a NanResult, not {self.nan!r}")
        check_bool("signed_zero", self.signed_zero)
        check_bool("flush", self.flush)
        if self.signed_zero and self.rounding is Rounding.DOWN:
            text = "where IEEE 754 makes an exact sum of zero -0, which no unit here does"
            raise ValueError(f"signed_zero must be False with rounding DOWN, {text}")
        if self.rounding is Rounding.STOCHASTIC:
            check_int("random_bits", self.random_bits, 1, 32)
            if self.format.man_bits + self.random_bits > _RANDOM_PLACES:
                most = _RANDOM_PLACES - self.format.man_bits
                raise ValueError(f"random_bits must be at most {most} for {self.format.name}, not {self.random_bits}")
        else:
            check_int("random_bits", self.random_bits, 0, 0)

    @property
    def name(self) -> str:
        """What a unit's name says of its accumulator: ``float32``, ``float32_toward_zero_m13``."""
        rounding = "" if self.rounding is Rounding.NEAREST_EVEN else f"_{self.rounding.value}"
        random = f"{self.random_bits}" if self.random_bits else ""
        kept = "" if self.result_man_bits == self.format.man_bits else f"_m{self.result_man_bits}"
        overflow = "" if self.overflow is Overflow.INFINITY else "_sat"
        nan = "" if self.nan is NanResult.QUIET else f"_{self.nan.value}"
        signs = ("_signed" if self.signed_zero else "") + ("_ftz" if self.flush else "")
        return f"{self.format.name}{rounding}{random}{kept}{overflow}{nan}{signs}"

    @property
    def bits(self) -> int:
        """Width of the register."""
        return self.format.bits

    @property
    def nan_code(self) -> int:
        """The code of a NaN result that no operand's NaN made."""
        ones = (1 << (self.format.bits - 1)) - 1
        if self.nan is NanResult.ALL_ONES:
            return ones
        return self.format.nan_code | (0 if self.nan is NanResult.QUIET else ones + 1)


Accumulator = FixedAccumulator | FloatAccumulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A second register, to which the first one's value is added every so many products; the first then starts at 0.

    It is also added at the end of a dot product. A dot product starts from c in the second register.

    Parameters
    ----------
    length : int
        Products between two such additions, 1 to 2**20: 128 in cuBLAS' FP8 GEMMs without fast accumulation and in
        DeepSeek-V3's (arXiv:2412.19437, section 3.3.2).
    accumulator : FixedAccumulator or FloatAccumulator
        The second register. A fixed one holds every bit of the first, which is fixed, too.
    """

    length: int
    accumulator: Accumulator

    def __post_init__(self) -> None:
        check_int("length", self.length, 1, 1 << 20)
        if not isinstance(self.accumulator, FixedAccumulator | FloatAccumulator):
            raise TypeError(f"accumulator must be a FixedAccumulator or FloatAccumulator, not {self.accumulator!r}")

    @property
    def name(self) -> str:
        """What a unit's name says of it: ``every128_float32``."""
        return f"every{self.length}_{self.accumulator.name}"
