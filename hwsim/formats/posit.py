# SPDX-License-Identifier: Apache-2.0
"""Posits of any width and exponent size: tapered floats with one zero and one code that is not a real."""

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats import steps
from hwsim.formats.between import rounds_away
from hwsim.formats.codes import NAN, Unpacked, check_codes, check_int, check_values, code_dtype, float_bits
from hwsim.formats.rounding import Overflow, Rounding, check_random, round_shift

__all__ = [
    "PositSpec",
]

_TABLE_BITS = 16  # up to this width, a code is looked up in a table of all of them
_RULES = (Overflow.SATURATE, Overflow.INFINITY, Overflow.PROPAGATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositSpec:
    """A posit: sign, regime, exponent and fraction, from the high bit to the low; negative values in two's complement.

    The regime is a run of equal bits and the opposite bit that ends it: r ones stand for k = r - 1, r zeros for k = -r.
    The value is ``2**(k * 2**es + exponent) * 1.fraction``; bits cut off at the low end are zero. The code 0 is zero,
    and a one with zeros behind it is NaR, "not a real", the format's NaN.

    Parameters
    ----------
    bits : int
        Width of a code, 2 to 32.
    es : int
        Bits of the exponent, 0 to 5. The Posit Standard (2022) has 2 throughout.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range.

    Source
    ------
    Standard for Posit Arithmetic (2022), sections 3 and 4; Gustafson and Yonemoto, Supercomputing Frontiers 4(2) (2017)
    and SoftPosit 0.4 for an es other than 2.
    """

    bits: int
    es: int

    def __post_init__(self) -> None:
        check_int("bits", self.bits, 2, 32)
        check_int("es", self.es, 0, 5)

    @property
    def name(self) -> str:
        """The catalog's name: ``posit16_1`` has 16 bits and es 1."""
        return f"posit{self.bits}_{self.es}"

    @property
    def has_nan(self) -> bool:
        """Always true: NaR."""
        return True

    @property
    def has_inf(self) -> bool:
        """Always false: a posit has no infinity."""
        return False

    @property
    def nan_code(self) -> int:
        """The code of NaR."""
        return 1 << (self.bits - 1)

    @property
    def scale_max(self) -> int:
        """Exponent of the largest value, and minus that of the smallest positive one: ``(bits - 2) * 2**es``."""
        return (self.bits - 2) << self.es

    @property
    def max_value(self) -> float:
        """The largest value, ``2**scale_max`` (maxpos)."""
        return 2.0**self.scale_max

    @property
    def min_value(self) -> float:
        """The most negative value."""
        return -self.max_value

    @property
    def min_positive(self) -> float:
        """The smallest positive value, ``2**-scale_max`` (minpos)."""
        return 2.0**-self.scale_max

    @property
    def fraction_bits(self) -> int:
        """The most fraction bits that a code has: those beside the sign, a regime of two bits and the exponent."""
        return max(self.bits - 3 - self.es, 0)

    @property
    def exp_min(self) -> int:
        """Exponent of the unit of the smallest significand."""
        return -self.scale_max - self.fraction_bits

    @property
    def exp_max(self) -> int:
        """Exponent of the unit of the largest significand."""
        return self.scale_max - self.fraction_bits

    @property
    def sig_bits(self) -> int:
        """Bits of a significand with its hidden bit, the same for all codes."""
        return self.fraction_bits + 1

    @property
    def max_significand(self) -> int:
        """The largest magnitude of a significand."""
        return (2 << self.fraction_bits) - 1

    @property
    def quire_fraction_bits(self) -> int:
        """Fraction bits of the quire: its unit is the square of the smallest positive value."""
        return 2 * self.scale_max

    @property
    def carry_guard_bits(self) -> int:
        """Bits of the quire above those of one product: up to ``2**carry_guard_bits - 1`` of the largest ones add up.

        ``2**(es + 3) - 1``: what is left of `quire_bits` beside the sign and `quire_fraction_bits` on either side of
        the binary point, for the largest product is ``2**quire_fraction_bits``. 31 in the Posit Standard (2022).
        """
        return (8 << self.es) - 1

    @property
    def quire_bits(self) -> int:
        """Width of the exact accumulator: ``1 + carry_guard_bits + 2 * quire_fraction_bits = bits * 2**(es + 2)``.

        16 * bits where es is 2 (Posit Standard 2022); 32, 128 and 512 for SoftPosit's posit8, posit16 and posit32.
        """
        return self.bits << (self.es + 2)

    def unpack(self, codes: ArrayLike) -> Unpacked:
        """Split codes into significand, exponent and specials: the decode stage (see `Unpacked`).

        A significand has `sig_bits` bits with its hidden one, whatever the regime left of the fraction.
        """
        array = check_codes(self, codes)
        if self.bits > _TABLE_BITS:
            return _unpack(self, array)
        return Unpacked(*(np.asarray(column[array]) for column in _unpacked_table(self)))

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In [0, 2**bits).

        Returns
        -------
        ndarray of float64, same shape
            Exact; NaN for NaR.

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
            Applied once, to the exact value. The nearest modes round the string of bits, as the Posit Standard has it:
            the boundary between two neighbours is the posit of one more bit between them, their mean unless exponent
            bits are cut off. A tie goes to the even code, or away from zero. They never round to zero: a magnitude
            below the smallest becomes that. All other modes take a neighbour in value, zero being that of the smallest.
            Stochastic rounding goes by the value's place between its neighbours, not by its lost bits.
        overflow : Overflow or str
            Applied to what is beyond the largest value, in any mode: ``"propagate"`` (finite values saturate,
            infinities become NaR: the Posit Standard), ``"saturate"`` (infinities too) or ``"infinity"`` (NaR).
        random : array of integers in [0, 2**random_bits), optional
            For stochastic rounding only, of a shape that broadcasts to that of the values.
        random_bits : int, optional
            1 to 32, with `random`.

        Returns
        -------
        ndarray of the smallest unsigned dtype that holds `bits`, same shape
            Every NaN becomes NaR; a negative zero becomes zero.

        Raises
        ------
        TypeError
            If the values are not real numbers.
        ValueError
            If the overflow rule does not apply to posits; if the random words do not go with the mode.

        Source
        ------
        Standard for Posit Arithmetic (2022), section 4.1.
        """
        mode, rule = Rounding(rounding), Overflow(overflow)
        if rule not in _RULES:
            allowed = ", ".join(repr(each.value) for each in _RULES)
            raise ValueError(f"overflow must be one of {allowed} for {self.name}, not {rule.value!r}")
        # Where the smallest value is a normal float32, so that a subnormal is below it.
        array = check_values(self, values, allow_nan=True, single=self.scale_max <= 126)
        words = check_random(mode, array.shape, random, random_bits)
        if words is not None and random_bits is not None:
            return _encode_random(self, array.astype(np.float64), rule, words, random_bits)
        return steps.encode(self, array, mode, rule, lambda each: _encode(self, each, mode, rule))


def _encode(
    spec: PositSpec, values: NDArray[np.float32] | NDArray[np.float64], mode: Rounding, rule: Overflow
) -> NDArray[np.unsignedinteger]:
    """Encode checked values, not stochastically."""
    raw, source = float_bits(values)
    largest = spec.nan_code - 1
    beyond = spec.nan_code if rule is Overflow.INFINITY else largest
    infinite = largest if rule is Overflow.SATURATE else spec.nan_code
    out = np.empty(values.shape, code_dtype(spec.bits))
    nearest = mode in (Rounding.NEAREST_EVEN, Rounding.NEAREST_AWAY)
    format_ints = (spec.bits, spec.es, beyond, infinite)
    _encode_kernel(raw, source.man_bits, format_ints, mode.index, nearest, out.reshape(-1))
    return out


def _encode_random(
    spec: PositSpec, values: NDArray[np.float64], rule: Overflow, words: NDArray[np.int64], random_bits: int
) -> NDArray[np.unsignedinteger]:
    """Encode checked values stochastically."""
    low = _encode(spec, np.abs(values), Rounding.TOWARD_ZERO, rule).astype(np.int64)
    inside = np.abs(values) < spec.max_value  # not so for NaN
    below = np.where(inside, low, 0)
    size = np.where(inside, np.abs(values), 0.0)
    away = rounds_away(size, spec.decode(below), spec.decode(below + 1), words, random_bits)
    codes = np.where(inside & away, low + 1, low)
    codes = np.where(np.signbit(values), -codes, codes) & ((1 << spec.bits) - 1)
    return np.asarray(codes.astype(code_dtype(spec.bits)))


def _unpack(spec: PositSpec, codes: NDArray[np.unsignedinteger]) -> Unpacked:
    """Unpack checked codes."""
    flat = np.ascontiguousarray(codes, np.int64).reshape(-1)
    significand, exponent = np.empty(flat.size, np.int64), np.empty(flat.size, np.int64)
    special = np.empty(flat.size, np.uint8)
    _unpack_kernel(flat, spec.bits, spec.es, significand, exponent, special)
    shape = codes.shape
    return Unpacked(significand.reshape(shape), exponent.reshape(shape), special.reshape(shape))


def _decode(spec: PositSpec, codes: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Decode checked codes."""
    parts = _unpack(spec, codes)
    return np.where(parts.special == NAN, np.nan, np.ldexp(parts.significand.astype(np.float64), parts.exponent))


@lru_cache(maxsize=64)
def _value_table(spec: PositSpec) -> NDArray[np.float64]:
    table = _decode(spec, np.arange(1 << spec.bits).astype(code_dtype(spec.bits)))
    table.setflags(write=False)
    return table


@lru_cache(maxsize=64)
def _unpacked_table(spec: PositSpec) -> Unpacked:
    table = _unpack(spec, np.arange(1 << spec.bits).astype(code_dtype(spec.bits)))
    for column in table:
        column.setflags(write=False)
    return table


@numba.njit(cache=True)
def _unpack_kernel(
    codes: NDArray[np.int64],
    bits: int,
    es: int,
    significand: NDArray[np.int64],
    exponent: NDArray[np.int64],
    special: NDArray[np.uint8],
) -> None:
    """Unpack codes; unchecked. Zero and NaR have the exponent of the smallest value."""
    fraction_bits = max(bits - 3 - es, 0)
    for i in range(codes.size):
        code = codes[i]
        negative = code >> (bits - 1)
        magnitude = (-code if negative else code) & ((1 << (bits - 1)) - 1)
        if magnitude == 0:
            significand[i] = 0
            exponent[i] = -((bits - 2) << es) - fraction_bits
            special[i] = NAN if negative else 0
            continue
        first = magnitude >> (bits - 2)
        run = 1
        while run < bits - 1 and (magnitude >> (bits - 2 - run)) & 1 == first:
            run += 1
        regime = run - 1 if first else -run
        left = max(bits - 2 - run, 0)
        kept = min(es, left)
        scale = ((magnitude & ((1 << left) - 1)) >> (left - kept)) << (es - kept)
        fraction = (magnitude & ((1 << (left - kept)) - 1)) << (fraction_bits - (left - kept))
        size = (1 << fraction_bits) | fraction
        significand[i] = -size if negative else size
        exponent[i] = regime * (1 << es) + scale - fraction_bits
        special[i] = 0


@numba.njit(cache=True)
def _encode_kernel(
    raw: NDArray[np.signedinteger],
    source_man_bits: int,
    format_ints: tuple[int, int, int, int],
    rounding: int,
    nearest: bool,
    out: NDArray[np.unsignedinteger],
) -> None:
    """Encode the bits of float32 or float64; unchecked: a subnormal source is below the smallest value.

    Budget: the last bit of the regime, up to 5 of the exponent and 52 of the mantissa: 58 bits.
    """
    bits, es, beyond, infinite = format_ints
    hidden = 1 << source_man_bits
    top_field = 0x7FF if source_man_bits == 52 else 0xFF
    nan_code = 1 << (bits - 1)
    limit = (bits - 2) << es
    for i in range(raw.size):
        word = int(raw[i])
        negative = int(word < 0)
        field = (word >> source_man_bits) & top_field
        fraction = word & (hidden - 1)
        scale = field - (top_field >> 1)
        if field == top_field:
            code = nan_code if fraction else infinite
        elif field == 0 and fraction == 0:
            code = 0
        elif field == 0 or scale < -limit:
            code = 1 if nearest else round_shift(1, 2, negative, rounding)
        elif scale >= limit:
            code = beyond if scale > limit or fraction else nan_code - 1
        else:
            regime = scale >> es
            # The regime but for its last bit, which a tie needs if it is the last one kept.
            head = (1 << (regime + 1)) - 1 if regime >= 0 else 0
            last = 0 if regime >= 0 else 1
            kept = bits - 2 - (regime + 1 if regime >= 0 else -regime)
            tail = (((last << es) | (scale & ((1 << es) - 1))) << source_man_bits) | fraction
            code = (head << (kept + 1)) + round_shift(tail, es + source_man_bits - kept, negative, rounding)
        out[i] = (-code if negative else code) & ((1 << bits) - 1)
