# SPDX-License-Identifier: Apache-2.0
"""Binary floating-point formats of any exponent and mantissa width."""

from dataclasses import dataclass
from enum import Enum

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import (
    NAN,
    NEGATIVE_INFINITY,
    POSITIVE_INFINITY,
    Unpacked,
    check_bool,
    check_codes,
    check_int,
    check_values,
    code_dtype,
)
from hwsim.formats.rounding import Overflow, Rounding, round_shift

__all__ = [
    "FloatSpec",
    "Specials",
    "pack_magnitude",
]


class Specials(Enum):
    """Which codes are not numbers.

    IEEE: the top exponent holds infinity (mantissa 0) and NaN. FN: no infinity; NaN is all ones below the sign (OFP8 E4M3).
    FNUZ: no infinity and no negative zero; NaN is the code of negative zero. FINITE: every code is a number (OCP FP6, FP4).
    """

    IEEE = "ieee"
    FN = "fn"
    FNUZ = "fnuz"
    FINITE = "finite"


_IEEE_NAMES = {(5, 10): "float16", (8, 7): "bfloat16", (8, 10): "tfloat32", (8, 23): "float32", (11, 52): "float64"}
_FINITE_AS_FN = ((2, 1), (2, 3), (3, 2))  # ml_dtypes calls the OCP formats without any NaN "fn" too


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatSpec:
    """A float: sign, exponent field, mantissa field, from the high bit to the low.

    Parameters
    ----------
    exp_bits : int
        Bits of the exponent field, 1 to 11.
    man_bits : int
        Stored bits of the mantissa, without the hidden one, 0 to 52.
    bias : int
        An exponent field of e stands for ``2**(e - bias)``. Always given.
    specials : Specials
        Which codes are infinities and NaNs.
    signed : bool
        Whether there is a sign bit.
    subnormals : bool
        Whether an exponent field of 0 holds zero and the subnormals. If not, that field is an ordinary exponent and the format has
        no zero (OCP E8M0).

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range, or a value of the format is not a float64.

    Source
    ------
    IEEE 754-2019; OCP 8-bit Floating Point 1.0; OCP Microscaling Formats 1.0; ml_dtypes for FNUZ.
    """

    exp_bits: int
    man_bits: int
    bias: int
    specials: Specials
    signed: bool = True
    subnormals: bool = True

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 1, 11)
        check_int("man_bits", self.man_bits, 0, 52)
        check_int("bias", self.bias, -1000, 1100)
        if not isinstance(self.specials, Specials):
            raise TypeError(f"specials must be a Specials, not {self.specials!r}")
        check_bool("signed", self.signed)
        check_bool("subnormals", self.subnormals)
        if self.specials is Specials.IEEE and self.man_bits == 0:
            raise ValueError("man_bits must be at least 1 for IEEE specials, which tell NaN from infinity by it, not 0")
        if self.specials is Specials.FNUZ and not (self.signed and self.subnormals):
            raise ValueError("specials FNUZ need a signed format with a zero: its NaN is the code of negative zero")
        if self.max_magnitude_code < 1:
            raise ValueError(f"exp_bits {self.exp_bits} and man_bits {self.man_bits} leave no finite value but zero")
        top = (self.max_magnitude_code >> self.man_bits) - self.bias
        if top > 1023 or self.exp_min < -1074:
            raise ValueError(f"bias must keep every value within float64, not {self.bias} with {self.exp_bits} exponent bits")

    @property
    def bits(self) -> int:
        """Width of a code."""
        return int(self.signed) + self.exp_bits + self.man_bits

    @property
    def name(self) -> str:
        """The catalog's name, ml_dtypes' where it has one."""
        default_bias = (1 << (self.exp_bits - 1)) - (self.specials is not Specials.FNUZ)
        shape = (self.exp_bits, self.man_bits)
        if self.specials is Specials.IEEE and self.signed and self.subnormals and self.bias == default_bias and shape in _IEEE_NAMES:
            return _IEEE_NAMES[shape]
        bias = "" if self.bias == default_bias else f"b{self.bias}".replace("-", "m")
        core = f"e{self.exp_bits}m{self.man_bits}{bias}"
        unsigned = "" if self.signed else "u"
        flat = "" if self.subnormals or not (self.signed or self.man_bits) else "_flat"
        if self.specials is Specials.FINITE and not (shape in _FINITE_AS_FN and self.signed and not bias):
            return f"minifloat_{core}{unsigned}{flat}"
        suffix = {Specials.IEEE: "", Specials.FN: "fn", Specials.FNUZ: "fnuz", Specials.FINITE: "fn"}[self.specials]
        return f"float{self.bits}_{core}{suffix}{unsigned}{flat}"

    @property
    def has_nan(self) -> bool:
        """Whether a code is NaN."""
        return self.specials is not Specials.FINITE

    @property
    def has_inf(self) -> bool:
        """Whether a code is an infinity."""
        return self.specials is Specials.IEEE

    @property
    def max_magnitude_code(self) -> int:
        """The code, without the sign bit, of the largest finite value."""
        ones = (1 << (self.exp_bits + self.man_bits)) - 1
        if self.specials is Specials.IEEE:
            return ones - (1 << self.man_bits)
        return ones - (self.specials is Specials.FN)

    @property
    def nan_code(self) -> int:
        """The NaN that `encode` makes: quiet, positive, no payload (with IEEE specials)."""
        if self.specials is Specials.FNUZ:
            return 1 << (self.bits - 1)
        if self.specials is Specials.IEEE:
            return self.inf_code | 1 << (self.man_bits - 1)
        return (1 << (self.exp_bits + self.man_bits)) - 1

    @property
    def inf_code(self) -> int:
        """The code of positive infinity; meaningful only where `has_inf`."""
        return self.max_magnitude_code + 1

    @property
    def exp_min(self) -> int:
        """Exponent of the unit of the smallest significand: that of a subnormal."""
        return int(self.subnormals) - self.bias - self.man_bits

    @property
    def exp_max(self) -> int:
        """Exponent of the unit of the largest finite significand."""
        return max(self.max_magnitude_code >> self.man_bits, int(self.subnormals)) - self.bias - self.man_bits

    @property
    def sig_bits(self) -> int:
        """Bits of a significand with its hidden bit."""
        return self.man_bits + 1

    @property
    def max_significand(self) -> int:
        """The largest magnitude of a significand."""
        return (2 << self.man_bits) - 1

    @property
    def max_value(self) -> float:
        """The largest finite value."""
        return float(self.decode(np.array(self.max_magnitude_code, code_dtype(self.bits))))

    @property
    def min_value(self) -> float:
        """The most negative finite value, or the smallest value of an unsigned format."""
        return -self.max_value if self.signed else float(self.decode(np.array(0, code_dtype(self.bits))))

    def unpack(self, codes: ArrayLike) -> Unpacked:
        """Split codes into significand, exponent and specials: the decode stage (see `Unpacked`)."""
        negative, significand, exponent, special = self._fields(codes)
        return Unpacked(np.where(negative, -significand, significand), exponent, special)

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In [0, 2**bits).

        Returns
        -------
        ndarray of float64, same shape
            Exact; negative zeros, infinities and NaN kept.

        Raises
        ------
        TypeError
            If the codes are not integers.
        ValueError
            If a code needs more than `bits` bits.
        """
        negative, significand, exponent, special = self._fields(codes)
        # Two steps, for 2**exponent alone may be below the smallest float64.
        magnitude = np.ldexp(np.ldexp(significand.astype(np.float64), -self.man_bits), exponent + self.man_bits)
        magnitude = np.where(special == 0, magnitude, np.where(special == NAN, np.nan, np.inf))
        return np.asarray(np.where(negative & (special != NAN), -magnitude, magnitude))

    def encode(
        self, values: ArrayLike, rounding: Rounding | str = "nearest_even", overflow: Overflow | str = "saturate"
    ) -> NDArray[np.unsignedinteger]:
        """Round values to codes.

        Parameters
        ----------
        values : array of floats or integers, any shape
            Taken as float64, which is exact for every float type up to that one.
        rounding : Rounding or str
            Applied once, to the exact value, as if the exponent had no upper limit; a tie goes to the even *code*.
        overflow : Overflow or str
            Applied to what then lies beyond the largest finite value, and to infinities: ``"saturate"`` or ``"infinity"``.
            What an unsigned format cannot hold (a negative value; zero where it has none) becomes the smallest value, or NaN with
            ``"infinity"``.

        Returns
        -------
        ndarray of the smallest unsigned dtype that holds `bits`, same shape
            A NaN becomes `nan_code`. Zero keeps its sign where the format has two zeros.

        Raises
        ------
        TypeError
            If the values are not real numbers.
        ValueError
            If a value is NaN and the format has none; if the overflow rule does not apply to the format.
        """
        mode, rule = Rounding(rounding), Overflow(overflow)
        if rule is Overflow.WRAP:
            raise ValueError(f"overflow must be 'saturate' or 'infinity' for {self.name}, not 'wrap'")
        if rule is Overflow.INFINITY and not (self.has_inf or self.has_nan):
            raise ValueError(f"overflow must be 'saturate' for {self.name}, which has neither infinity nor NaN, not 'infinity'")
        array = check_values(self, values, allow_nan=self.has_nan)
        out = np.empty(array.size, np.int64)
        sign = 1 << (self.bits - 1) if self.signed else 0
        if rule is Overflow.SATURATE:
            beyond, below = self.max_magnitude_code, 0
        else:
            beyond, below = (self.inf_code if self.has_inf else self.nan_code), self.nan_code
        if sign == 1 << 63:
            sign = -sign  # the same bit, as an int64
        format_ints = (self.man_bits, self.exp_min + self.man_bits, int(self.subnormals), self.max_magnitude_code)
        nan_code = self.nan_code if self.has_nan else -1
        code_ints = (sign, beyond, below, nan_code, int(self.specials is not Specials.FNUZ))
        _encode_kernel(array.reshape(-1), format_ints, code_ints, mode.index, out)
        return out.view(np.uint64).reshape(array.shape).astype(code_dtype(self.bits))

    def _fields(
        self, codes: ArrayLike
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
        """Return sign, unsigned significand, exponent of its unit, and special of each code."""
        raw = check_codes(self, codes).astype(np.uint64).view(np.int64)
        negative = (raw >> (self.bits - 1)) & 1 == 1 if self.signed else np.zeros(raw.shape, bool)
        magnitude = raw & ((1 << (self.exp_bits + self.man_bits)) - 1)
        field = magnitude >> self.man_bits
        hidden = (field > 0) | (not self.subnormals)
        significand = (magnitude & ((1 << self.man_bits) - 1)) | (hidden.astype(np.int64) << self.man_bits)
        exponent = (np.maximum(field, 1) if self.subnormals else field) - (self.bias + self.man_bits)
        special = np.zeros(raw.shape, np.uint8)
        if self.specials is Specials.FNUZ:
            special[negative & (magnitude == 0)] = NAN
        elif self.has_nan:
            special[magnitude > self.max_magnitude_code] = NAN
        if self.has_inf:
            infinite = magnitude == self.inf_code
            special[infinite & ~negative] = POSITIVE_INFINITY
            special[infinite & negative] = NEGATIVE_INFINITY
        return negative, np.where(special == 0, significand, 0), exponent, special


@numba.njit(cache=True, inline="always")
def pack_magnitude(
    magnitude: int, exponent: int, negative: int, man_bits: int, exp_low: int, subnormals: int, rounding: int
) -> int:
    """Round ``magnitude * 2**exponent`` to a code without its sign, as if the exponent field had no upper limit.

    Unchecked: magnitude in [1, 2**62). `exp_low` is the exponent of the smallest normal. Negative where the value is below a
    format without zero.
    """
    width = 0
    rest = magnitude
    for step in (32, 16, 8, 4, 2, 1):
        if rest >> step:
            rest >>= step
            width += step
    top = width + exponent
    low = max(top, exp_low) if subnormals else top
    rounded = round_shift(magnitude, low - man_bits - exponent, negative, rounding)
    if subnormals:
        return ((low - exp_low) << man_bits) + rounded
    return (low - exp_low) * (1 << man_bits) + rounded - (1 << man_bits)


@numba.njit(cache=True)
def _encode_kernel(
    values: NDArray[np.float64],
    format_ints: tuple[int, int, int, int],
    code_ints: tuple[int, int, int, int, int],
    rounding: int,
    out: NDArray[np.int64],
) -> None:
    """Unchecked."""
    man_bits, exp_low, subnormals, largest = format_ints
    sign_bit, beyond, below, nan_code, negative_zero = code_ints
    raw = values.view(np.int64)
    for i in range(values.size):
        negative = int(raw[i] < 0)
        field = (raw[i] >> 52) & 0x7FF
        fraction = raw[i] & 0xFFFFFFFFFFFFF
        if field == 0x7FF and fraction != 0:
            out[i] = nan_code
            continue
        if field == 0x7FF:
            code = largest + 1
        elif field == 0 and fraction == 0:
            code = 0 if subnormals else -1
        else:
            significand = fraction | (int(field != 0) << 52)
            code = pack_magnitude(
                significand, max(field, 1) - 1075, negative, man_bits, exp_low, subnormals, rounding
            )
            if not subnormals:  # no zero: what is too small becomes the smallest value, and nothing is negative
                code = -1 if negative else max(code, 0)
        if code > largest:
            code = beyond
        if negative and sign_bit == 0 and code != 0:
            code = below
        elif code < 0:
            code = below
        elif negative and sign_bit != 0 and (code != 0 or negative_zero) and code != nan_code:
            code |= sign_bit
        out[i] = code
