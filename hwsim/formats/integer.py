# SPDX-License-Identifier: Apache-2.0
"""Integers and fixed-point numbers: two's complement codes with an implied binary point and a zero point."""

from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats import nearest, steps
from hwsim.formats.codes import Unpacked, check_bool, check_codes, check_int, check_values, code_dtype, float_bits
from hwsim.formats.rounding import Overflow, Rounding, check_random, round_shift, round_shift_random

__all__ = [
    "IntegerSpec",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerSpec:
    """An integer, or a fixed-point number, of 1 to 64 bits.

    Parameters
    ----------
    bits : int
        Width of a code, 1 to 64 if signed, 1 to 63 if not.
    signed : bool
        Two's complement, or unsigned.
    narrow : bool
        `encode` leaves out the code without an opposite: the most negative one of a signed format, the largest of an
        unsigned one (QONNX calls it narrow range). `decode` gives that code its ordinary value.
    fraction_bits : int
        Position of the binary point, -900 to 1000: the last bit of a code is worth ``2**-fraction_bits``.
    zero_point : int
        The code's integer of value 0 (offset binary; ONNX QuantizeLinear): a value is ``(integer - zero_point) *
        2**-fraction_bits``. One that `encode` makes; 0 where the codes have more than 62 bits.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind, or out of the range above.
    """

    bits: int
    signed: bool = True
    narrow: bool = False
    fraction_bits: int = 0
    zero_point: int = 0

    def __post_init__(self) -> None:
        check_bool("signed", self.signed)
        check_int("bits", self.bits, 1, 64 if self.signed else 63)
        check_int("fraction_bits", self.fraction_bits, -900, 1000)
        check_bool("narrow", self.narrow)
        if self.narrow and self.bits == 1:
            raise ValueError("bits must be at least 2 for a narrow range, not 1")
        wide = self.bits > 62
        check_int("zero_point", self.zero_point, *((0, 0) if wide else (self.min_int, self.max_int)))

    @property
    def name(self) -> str:
        """The catalog's name: ``int8``, ``uint4``, ``int8_narrow``, ``fixed12_8``, ``uint8_z128``."""
        prefix = "" if self.signed else "u"
        offset = f"_z{self.zero_point}".replace("-", "m") if self.zero_point else ""
        suffix = ("_narrow" if self.narrow else "") + offset
        if self.fraction_bits == 0:
            return f"{prefix}int{self.bits}{suffix}"
        point = f"m{-self.fraction_bits}" if self.fraction_bits < 0 else f"{self.fraction_bits}"
        return f"{prefix}fixed{self.bits}_{point}{suffix}"

    @property
    def _code_range(self) -> tuple[int, int]:
        """The integers of all codes, those that `encode` leaves out included."""
        low = -(1 << (self.bits - 1)) if self.signed else 0
        return low, low + (1 << self.bits) - 1

    @property
    def max_int(self) -> int:
        """The largest integer that `encode` makes, the zero point included."""
        return (1 << (self.bits - self.signed)) - 1 - (self.narrow and not self.signed)

    @property
    def min_int(self) -> int:
        """The smallest integer that `encode` makes, the zero point included."""
        return -(1 << (self.bits - 1)) + self.narrow if self.signed else 0

    @property
    def max_value(self) -> float:
        """The largest value that `encode` makes."""
        return (self.max_int - self.zero_point) * 2.0**-self.fraction_bits

    @property
    def min_value(self) -> float:
        """The smallest value that `encode` makes."""
        return (self.min_int - self.zero_point) * 2.0**-self.fraction_bits

    @property
    def has_nan(self) -> bool:
        """Always false: an integer has no NaN."""
        return False

    @property
    def has_inf(self) -> bool:
        """Always false: an integer has no infinity."""
        return False

    @property
    def nan_code(self) -> int:
        """Always -1, which is no code: an integer has no NaN."""
        return -1

    @property
    def exp_min(self) -> int:
        """Exponent of a significand's unit; the same for all codes."""
        return -self.fraction_bits

    @property
    def exp_max(self) -> int:
        """Exponent of a significand's unit; the same for all codes."""
        return -self.fraction_bits

    @property
    def sig_bits(self) -> int:
        """Bits of the magnitude of the largest significand of any code."""
        return self.max_significand.bit_length()

    @property
    def max_significand(self) -> int:
        """The largest magnitude of a significand over all codes, those that `encode` leaves out included."""
        return max(abs(integer - self.zero_point) for integer in self._code_range)

    def unpack(self, codes: ArrayLike) -> Unpacked:
        """Split codes into significand, exponent and specials: the decode stage (see `Unpacked`)."""
        array = check_codes(self, codes)
        wide = array.astype(np.uint64).view(np.int64)
        if self.signed and self.bits < 64:
            wide = (wide ^ (1 << (self.bits - 1))) - (1 << (self.bits - 1))
        exponent = np.full(wide.shape, -self.fraction_bits, np.int64)
        return Unpacked(
            significand=np.asarray(wide - self.zero_point), exponent=exponent, special=np.zeros(wide.shape, np.uint8)
        )

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In [0, 2**bits).

        Returns
        -------
        ndarray of float64, same shape
            Exact where the format has at most 53 bits; beyond, rounded to nearest even.

        Raises
        ------
        TypeError
            If the codes are not integers.
        ValueError
            If a code needs more than `bits` bits.
        """
        return np.asarray(self.unpack(codes).significand * 2.0**-self.fraction_bits)

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
            Applied once, to the exact value in units of the last bit, before the zero point is added.
        overflow : Overflow or str
            ``"saturate"`` or ``"wrap"`` (modulo ``2**bits``; not with a narrow range).
        random, random_bits : array of unsigned integers below 2**random_bits that broadcasts to values, int in 1..32
            For stochastic rounding, and only then (see `Rounding`).

        Returns
        -------
        ndarray of the smallest unsigned dtype that holds `bits`, same shape

        Raises
        ------
        TypeError
            If the values are not real numbers.
        ValueError
            If a value is NaN, or infinite while wrapping; if the rule does not apply to the format; if random words do
            not go with the rounding.
        """
        mode, rule = Rounding(rounding), Overflow(overflow)
        if rule not in (Overflow.SATURATE, Overflow.WRAP):
            raise ValueError(f"overflow must be 'saturate' or 'wrap' for {self.name}, not {rule.value!r}")
        if rule is Overflow.WRAP and self.narrow:
            raise ValueError(f"overflow must be 'saturate' for the narrow range of {self.name}, not 'wrap'")
        if random is None and random_bits is None:
            quick = nearest.encode_integers(self, values, mode, rule)
            if quick is not None:
                return quick
        array = check_values(self, values, allow_nan=False, single=True)
        if rule is Overflow.WRAP and not np.isfinite(array).all():
            raise ValueError(f"values to wrap into {self.name} must be finite, not infinite")
        words = check_random(mode, array.shape, random, random_bits)
        if words is not None:
            return _encode(self, mode, rule, array, words, random_bits or 0)
        return steps.encode(self, array, mode, rule, partial(_encode, self, mode, rule))


def _encode(
    spec: IntegerSpec,
    mode: Rounding,
    rule: Overflow,
    values: NDArray[np.float32] | NDArray[np.float64],
    random: NDArray[np.int64] | None = None,
    random_bits: int = 0,
) -> NDArray[np.unsignedinteger]:
    """Encode checked values, exactly."""
    if spec.fraction_bits > 100:  # a subnormal float32 would move left
        values = values.astype(np.float64, copy=False)
    raw, source = float_bits(values)
    unit = source.exp_low - source.man_bits - 1 + spec.fraction_bits
    keep = (1 << spec.bits) - 1 if spec.bits < 64 else -1
    out = np.empty(values.shape, code_dtype(spec.bits))
    target = (out.view(np.int64) if out.itemsize == 8 else out).reshape(-1)  # no uint64 meets an int64 in the kernel
    offset = spec.zero_point
    limits = (spec.min_int - offset, spec.max_int - offset, offset, keep, int(rule is Overflow.WRAP))
    if random is None:
        _encode_kernel(raw, source.man_bits, unit, limits, mode.index, target)
    else:
        _encode_random_kernel(raw, random.reshape(-1), random_bits, source.man_bits, unit, limits, target)
    return out


@numba.njit(cache=True)
def _encode_kernel(
    raw: NDArray[np.signedinteger],
    source_man_bits: int,
    unit: int,
    limits: tuple[int, int, int, int, int],
    rounding: int,
    out: NDArray[np.integer],
) -> None:
    """Encode the bits of float32 or float64; unchecked."""
    for i in range(raw.size):
        out[i] = _code(int(raw[i]), source_man_bits, unit, limits, rounding, 0, 0)


@numba.njit(cache=True)
def _encode_random_kernel(
    raw: NDArray[np.signedinteger],
    random: NDArray[np.int64],
    random_bits: int,
    source_man_bits: int,
    unit: int,
    limits: tuple[int, int, int, int, int],
    out: NDArray[np.integer],
) -> None:
    """Encode the bits of float32 or float64 stochastically; unchecked."""
    for i in range(raw.size):
        out[i] = _code(int(raw[i]), source_man_bits, unit, limits, 0, int(random[i]), random_bits)


@numba.njit(cache=True, inline="always")
def _code(
    bits: int,
    source_man_bits: int,
    unit: int,
    limits: tuple[int, int, int, int, int],
    rounding: int,
    random: int,
    random_bits: int,
) -> int:
    """Encode the bits of a float of value ``significand * 2**(field + unit)``; random_bits of 0 asks for the mode.

    Unchecked. Budget: a significand and its places to the left are at most 63 bits, else it is huge; a subnormal never
    moves left (float32 is taken up to 100 fraction bits only).
    """
    low, high, offset, keep, wrap = limits
    hidden = 1 << source_man_bits
    top_field = 0x7FF if source_man_bits == 52 else 0xFF
    negative = int(bits < 0)
    field = (bits >> source_man_bits) & top_field
    significand = (bits & (hidden - 1)) | (hidden if field else 0)
    places = max(field, 1) + unit
    huge = significand != 0 and (places > 62 - source_man_bits or field == top_field)
    if huge:  # at least 2**63; the low bits matter, and only when wrapping
        magnitude = (significand & ((1 << (64 - places)) - 1)) << places if 0 < places < 64 else 0
    elif random_bits:
        magnitude = round_shift_random(significand, -places, random, random_bits)
    else:
        magnitude = round_shift(significand, -places, negative, rounding)
    if wrap:
        wrapped = ((-magnitude if negative else magnitude) + offset) & keep
        if keep == -1:  # 64 bits: uncompiled, this is an int beyond int64
            wrapped = (((wrapped >> 32) & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000 << 32 | (wrapped & 0xFFFFFFFF)
        return wrapped
    if negative:
        return ((low if huge or -magnitude < low else -magnitude) + offset) & keep
    return ((high if huge or magnitude > high else magnitude) + offset) & keep
