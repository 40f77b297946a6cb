# SPDX-License-Identifier: Apache-2.0
"""Binary floating-point formats of any exponent and mantissa width."""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats import nearest, steps
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
from hwsim.formats.float_encoding import FloatRules, encode_float
from hwsim.formats.rounding import Overflow, Rounding, check_random
from hwsim.formats.specials import Specials, usual_bias

__all__ = [
    "FloatSpec",
    "Specials",
]


# With a sign, subnormals and the usual bias. ml_dtypes calls the OCP formats without any NaN "fn" too.
_NAMES = {
    (5, 10, Specials.IEEE): "float16",
    (8, 7, Specials.IEEE): "bfloat16",
    (8, 10, Specials.IEEE): "tfloat32",
    (8, 23, Specials.IEEE): "float32",
    (11, 52, Specials.IEEE): "float64",
    (2, 1, Specials.FINITE): "float4_e2m1fn",
    (2, 3, Specials.FINITE): "float6_e2m3fn",
    (3, 2, Specials.FINITE): "float6_e3m2fn",
    (2, 1, Specials.FN): "float4_e2m1fn_nan",
    (2, 3, Specials.FN): "float6_e2m3fn_nan",
    (3, 2, Specials.FN): "float6_e3m2fn_nan",
}
_TABLE_BITS = 16  # up to this width, a code is looked up in a table of all of them


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
        An exponent field of e stands for ``2**(e - bias)``, -1000 to 1074. Always given.
    specials : Specials
        Which codes are infinities and NaNs.
    signed : bool
        Whether there is a sign bit.
    subnormals : bool
        Whether an exponent field of 0 holds zero and the subnormals. If not, that field is an ordinary exponent and the
        format has no zero (OCP E8M0).

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range, or a value of the format is not a float64.

    Source
    ------
    IEEE 754-2019; OCP 8-bit Floating Point 1.0; OCP Microscaling Formats 1.0; ml_dtypes for FNUZ; IEEE P3109 interim
    report 4.0.3: ``binary<K>p<P><s|u><f|e>`` has K bits, P - 1 of them mantissa, and a bias of ``2**(exp_bits - 1)``.
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
        check_int("bias", self.bias, -1000, 1074)
        if not isinstance(self.specials, Specials):
            raise TypeError(f"specials must be a Specials, not {self.specials!r}")
        check_bool("signed", self.signed)
        check_bool("subnormals", self.subnormals)
        if self.specials is Specials.IEEE and self.man_bits == 0:
            raise ValueError("man_bits must be at least 1 for IEEE specials, which tell NaN from infinity by it, not 0")
        if self.specials is Specials.FNUZ and not (self.signed and self.subnormals):
            raise ValueError("specials FNUZ need a signed format with a zero: its NaN is the code of negative zero")
        if self.specials is Specials.EXTENDED and (self.bits < 3 or not self.subnormals):
            given = f"{self.bits} bits with subnormals {self.subnormals}"
            raise ValueError(f"specials EXTENDED need a format of at least 3 bits with a zero, not one of {given}")
        if self.max_magnitude_code < 1:
            raise ValueError(f"exp_bits {self.exp_bits} and man_bits {self.man_bits} leave no finite value but zero")
        if (self.max_magnitude_code >> self.man_bits) - self.bias > 1023 or self.exp_min < -1074:
            fields = f"{self.exp_bits} exponent bits and {self.man_bits} mantissa bits"
            raise ValueError(f"bias must keep every value a float64, not {self.bias} with {fields}")

    @property
    def bits(self) -> int:
        """Width of a code."""
        return int(self.signed) + self.exp_bits + self.man_bits

    @property
    def name(self) -> str:
        """The catalog's name: ml_dtypes' where it has one, then P3109's; a signed finite one of P3109 is FNUZ."""
        p3109_bias = usual_bias(self.exp_bits, Specials.EXTENDED)
        finite = self.specials is Specials.FN and not self.signed and self.subnormals and self.bias == p3109_bias
        if self.specials is Specials.EXTENDED or (finite and self.bits > 2):
            kind = f"{'s' if self.signed else 'u'}{'e' if self.has_inf else 'f'}"
            other = "" if self.bias == p3109_bias else f"_b{self.bias}".replace("-", "m")
            return f"binary{self.bits}p{self.man_bits + 1}{kind}{other}"
        default_bias = usual_bias(self.exp_bits, self.specials)
        if self.signed and self.subnormals and self.bias == default_bias:
            known = _NAMES.get((self.exp_bits, self.man_bits, self.specials))
            if known is not None:
                return known
        bias = "" if self.bias == default_bias else f"b{self.bias}".replace("-", "m")
        core = f"e{self.exp_bits}m{self.man_bits}{bias}"
        unsigned = "" if self.signed else "u"
        zero = "" if self.subnormals == (self.signed or self.man_bits > 0) else "_zero" if self.subnormals else "_flat"
        if self.specials is Specials.FINITE:
            return f"minifloat_{core}{unsigned}{zero}"
        suffix = {Specials.IEEE: "", Specials.FN: "fn", Specials.FNUZ: "fnuz"}[self.specials]
        return f"float{self.bits}_{core}{suffix}{unsigned}{zero}"

    @property
    def has_nan(self) -> bool:
        """Whether a code is NaN."""
        return self.specials is not Specials.FINITE

    @property
    def has_inf(self) -> bool:
        """Whether a code is an infinity."""
        return self.specials in (Specials.IEEE, Specials.EXTENDED)

    @property
    def max_magnitude_code(self) -> int:
        """The code, without the sign bit, of the largest finite value."""
        ones = (1 << (self.exp_bits + self.man_bits)) - 1
        if self.specials is Specials.IEEE:
            return ones - (1 << self.man_bits)
        if self.specials is Specials.EXTENDED:
            return ones - (1 if self.signed else 2)
        return ones - (self.specials is Specials.FN)

    @property
    def nan_code(self) -> int:
        """The NaN that `encode` makes: quiet, positive, without payload; -1, which is no code, where there is none."""
        if self.specials is Specials.FINITE:
            return -1
        if self.specials is Specials.FNUZ or (self.specials is Specials.EXTENDED and self.signed):
            return 1 << (self.bits - 1)
        if self.specials is Specials.IEEE:
            return self.inf_code | 1 << (self.man_bits - 1)
        return (1 << (self.exp_bits + self.man_bits)) - 1

    @property
    def inf_code(self) -> int:
        """The code of positive infinity; -1, which is no code, where there is none."""
        return self.max_magnitude_code + 1 if self.has_inf else -1

    @property
    def exp_low(self) -> int:
        """Exponent of the smallest normal value."""
        return int(self.subnormals) - self.bias

    @property
    def exp_min(self) -> int:
        """Exponent of the unit of the smallest significand: that of a subnormal."""
        return self.exp_low - self.man_bits

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
        array = check_codes(self, codes)
        if self.bits > _TABLE_BITS:
            return _unpack(self, array)
        table = _unpacked_table(self)
        return Unpacked(*(np.asarray(column[array]) for column in table))

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In [0, 2**bits).

        Returns
        -------
        ndarray of float64, same shape
            Exact; negative zeros, infinities and NaN kept; no warning.

        Raises
        ------
        TypeError
            If the codes are not integers.
        ValueError
            If a code needs more than `bits` bits.
        """
        array = check_codes(self, codes)
        return np.asarray(_value_table(self)[array] if self.bits <= _TABLE_BITS else _decode(self, array))

    def encode(
        self,
        values: ArrayLike,
        rounding: Rounding | str = "nearest_even",
        overflow: Overflow | str = "saturate",
        *,
        random: ArrayLike | None = None,
        random_bits: int | None = None,
    ) -> NDArray[np.unsignedinteger]:
        """Round values to codes.

        Parameters
        ----------
        values : array of floats or integers, any shape
            Of any type that float64 holds exactly, and integers of 64 bits within 2**53.
        rounding : Rounding or str
            Applied once, to the exact value, as if the exponent had no upper limit. Even and odd are a code's: of its
            significand, and where no mantissa is stored, of its exponent field (P3109). In a format without zero they
            are the significand's, so that a tie without mantissa goes to the larger magnitude (IEEE 754-2019, section
            4.3.1; so does ml_dtypes) and to odd is toward zero.
        overflow : Overflow or str
            Applied to what then lies beyond the largest finite value, and to infinities: any but ``"wrap"``, and only
            ``"saturate"`` where there is no NaN. A zero that the format does not have, and in an unsigned format what
            rounds to a negative value, becomes the smallest value (with the sign of a signed one), or NaN with
            ``"infinity"``; with ``"ieee"`` also NaN, but what rounds up or toward zero to a negative value becomes
            the smallest. What lies between zero and the smallest value of a format without zero becomes that value.
        random, random_bits : array of unsigned integers below 2**random_bits that broadcasts to values, int in 1..32
            For stochastic rounding, and only then (see `Rounding`).

        Returns
        -------
        ndarray of the smallest unsigned dtype that holds `bits`, same shape
            Every NaN is `nan_code`. Zero keeps its sign where the format has two zeros.

        Raises
        ------
        TypeError, ValueError
            If the values are not real numbers, or NaN and the format has none; if the overflow rule does not apply to
            the format; if random words do not go with the rounding.
        """
        mode, rule = Rounding(rounding), Overflow(overflow)
        if rule is Overflow.WRAP:
            raise ValueError(f"overflow must be anything but 'wrap' for {self.name}")
        if rule is not Overflow.SATURATE and not self.has_nan:
            raise ValueError(f"overflow must be 'saturate' for {self.name}, which has no NaN, not {rule.value!r}")
        if random is None and random_bits is None:
            quick = nearest.encode_floats(self, values, mode, rule)
            if quick is not None:
                return quick
        array = check_values(self, values, allow_nan=self.has_nan, single=True)
        words = check_random(mode, array.shape, random, random_bits)
        if words is not None:
            return _encode(self, mode, rule, array, words, random_bits or 0)
        return steps.encode(self, array, mode, rule, partial(_encode, self, mode, rule))


def _encode(
    spec: FloatSpec,
    mode: Rounding,
    rule: Overflow,
    values: NDArray[np.float32] | NDArray[np.float64],
    random: NDArray[np.int64] | None = None,
    random_bits: int = 0,
) -> NDArray[np.unsignedinteger]:
    """Encode checked values, exactly."""
    if rule in (Overflow.PROPAGATE, Overflow.IEEE):
        stops = np.isfinite(values) if rule is Overflow.PROPAGATE else _stops(spec, mode, values)
        saturated, other = (
            _encode(spec, mode, one, values, random, random_bits) for one in (Overflow.SATURATE, Overflow.INFINITY)
        )
        return np.where(stops, saturated, other)
    saturate = rule is Overflow.SATURATE
    rules = FloatRules(
        bits=spec.bits,
        man_bits=spec.man_bits,
        exp_low=spec.exp_low,
        subnormals=int(spec.subnormals),
        signed=int(spec.signed),
        negative_zero=int(spec.nan_code != 1 << (spec.bits - 1)),
        largest=spec.max_magnitude_code,
        beyond=spec.max_magnitude_code if saturate else spec.inf_code if spec.has_inf else spec.nan_code,
        below=0 if saturate else spec.nan_code,
        nan=spec.nan_code,
    )
    return encode_float(values, rules, mode, random, random_bits)


def _stops(spec: FloatSpec, mode: Rounding, values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which values IEEE 754-2019, section 7.4, stops at the largest finite one."""
    finite = np.isfinite(values)
    odd_end = spec.has_inf and spec.max_magnitude_code & 1 == 1
    positive = mode in (Rounding.TOWARD_ZERO, Rounding.DOWN) or (mode is Rounding.TO_ODD and odd_end)
    negative = mode in (Rounding.TOWARD_ZERO, Rounding.UP) or (mode is Rounding.TO_ODD and odd_end and spec.signed)
    return finite & (((values > 0) & positive) | ((values < 0) & negative))


def _unpack(spec: FloatSpec, codes: NDArray[np.unsignedinteger]) -> Unpacked:
    """Unpack checked codes."""
    negative, significand, exponent, special = _fields(spec, codes)
    return Unpacked(np.where(negative, -significand, significand), exponent, special)


def _decode(spec: FloatSpec, codes: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Decode checked codes."""
    if spec == _SINGLE:
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            values = np.asarray(codes.astype(np.uint32, copy=False).view(np.float32).astype(np.float64))
        values[np.isnan(values)] = np.nan
        return values
    negative, significand, exponent, special = _fields(spec, codes)
    # Two steps, for 2**exponent alone may be below the smallest float64.
    magnitude = np.ldexp(np.ldexp(significand.astype(np.float64), -spec.man_bits), exponent + spec.man_bits)
    magnitude = np.where(special == 0, magnitude, np.where(special == NAN, np.nan, np.inf))
    return np.where(negative & (special != NAN), -magnitude, magnitude)


_SINGLE = FloatSpec(exp_bits=8, man_bits=23, bias=127, specials=Specials.IEEE)  # whose codes NumPy knows


@lru_cache(maxsize=64)
def _value_table(spec: FloatSpec) -> NDArray[np.float64]:
    table = _decode(spec, np.arange(1 << spec.bits).astype(code_dtype(spec.bits)))
    table.setflags(write=False)
    return table


@lru_cache(maxsize=64)
def _unpacked_table(spec: FloatSpec) -> Unpacked:
    table = _unpack(spec, np.arange(1 << spec.bits).astype(code_dtype(spec.bits)))
    for column in table:
        column.setflags(write=False)
    return table


def _fields(
    spec: FloatSpec, codes: NDArray[np.unsignedinteger]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Return sign, unsigned significand, exponent of its unit, and special of each code."""
    raw = codes.astype(np.uint64).view(np.int64)
    negative = (raw >> (spec.bits - 1)) & 1 == 1 if spec.signed else np.zeros(raw.shape, np.bool_)
    magnitude = raw & ((1 << (spec.exp_bits + spec.man_bits)) - 1)
    field = magnitude >> spec.man_bits
    hidden = (field > 0) | (not spec.subnormals)
    significand = (magnitude & ((1 << spec.man_bits) - 1)) | (hidden.astype(np.int64) << spec.man_bits)
    exponent = (np.maximum(field, 1) if spec.subnormals else field) - (spec.bias + spec.man_bits)
    if spec.nan_code == 1 << (spec.bits - 1):
        is_nan = negative & (magnitude == 0)
    else:
        is_nan = magnitude > (spec.inf_code if spec.has_inf else spec.max_magnitude_code)
    special = np.where(is_nan, np.uint8(NAN), np.uint8(0))
    if spec.has_inf:
        infinity = np.where(negative, np.uint8(NEGATIVE_INFINITY), np.uint8(POSITIVE_INFINITY))
        special = np.where(magnitude == spec.inf_code, infinity, special)
    return negative, np.where(special == 0, significand, 0), exponent, special
