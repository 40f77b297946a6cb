# SPDX-License-Identifier: Apache-2.0
"""Codebooks: formats given by the list of their values, as a lookup table in hardware holds them.

Sources: Dettmers et al., arXiv:2305.14314, appendix E (NF4), and bitsandbytes, csrc/kernels.cu, retrieved 2026-11 (both
4-bit tables, and the decision points of dQuantizeFP4); Chen et al., BitMoD, arXiv:2411.11745, table IV, and its
quant_weight.py; Ma et al., arXiv:2402.17764 (ternary, BitNet b1.58).
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats import steps
from hwsim.formats.between import rounds_away
from hwsim.formats.codes import Unpacked, check_codes, check_values, code_dtype
from hwsim.formats.levels import Levels, Ties, arranged, thresholds
from hwsim.formats.rounding import Overflow, Rounding, check_random

__all__ = [
    "BINARY",
    "BIPOLAR",
    "BNB_FP4",
    "CODEBOOKS",
    "NF4",
    "TERNARY",
    "CodebookSpec",
    "Ties",
    "bitmod_options",
]

_MAX_BITS = 12
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookSpec:
    """A format given by its values.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and underscores. The name is the identity of a codebook: two with one name must not
        differ.
    levels : tuple of float
        The value of each code, 2 to 4096 of them, a power of two; float32 values up to 2**126 in magnitude, at least
        two of them different. A code that repeats a level is never made by `encode`, which takes the lowest, but for a
        negative zero: with it, a zero keeps its sign.
    ties : Ties
        Where values midway between two levels go.
    boundaries : tuple of float or None
        None: the boundary between two neighbouring levels is their mean. Else the decision points of a rule that goes
        by another measure, in ascending order, one less than there are different levels: a value above one goes up. For
        a boundary that is no float64, the largest below it.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong kind or out of range; if two neighbouring levels are so far apart that their sum or
        difference is no float64; if a boundary is not between its levels.
    """

    name: str
    levels: tuple[float, ...]
    ties: Ties = Ties.EVEN
    boundaries: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a str, not {self.name!r}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must be lower-case letters, digits and underscores, not {self.name!r}")
        if not isinstance(self.ties, Ties):
            raise TypeError(f"ties must be a Ties, not {self.ties!r}")
        _check_floats("levels", self.levels)
        count = len(self.levels)
        if count & (count - 1) or not 2 <= count <= 1 << _MAX_BITS:
            raise ValueError(f"levels must be 2 to {1 << _MAX_BITS} values, a power of two, not {count}")
        for level in self.levels:
            if not (abs(level) <= 2.0**126 and float(np.float32(level)) == level):
                raise ValueError(f"levels must be float32 values of at most 2**126 in magnitude, not {level!r}")
        ordered = sorted(set(self.levels))
        if len(ordered) < 2:
            raise ValueError(f"levels must hold at least two values, not {ordered}")
        for low, high in pairwise(ordered):
            exact = Fraction(high) - Fraction(low), Fraction(high) + Fraction(low)
            if exact != (Fraction(high - low), Fraction(high + low)):
                raise ValueError(
                    f"levels next to each other must have a float64 sum and difference, not {low!r}, {high!r}"
                )
        self._check_boundaries(ordered)

    def _check_boundaries(self, ordered: list[float]) -> None:
        if self.boundaries is None:
            return
        _check_floats("boundaries", self.boundaries)
        if len(self.boundaries) != len(ordered) - 1:
            raise ValueError(f"boundaries must be one less than the {len(ordered)} levels, not {len(self.boundaries)}")
        for boundary, (low, high) in zip(self.boundaries, pairwise(ordered), strict=True):
            if not low <= boundary < high:
                raise ValueError(f"boundaries must each be between their levels {low!r} and {high!r}, not {boundary!r}")

    @property
    def bits(self) -> int:
        """Width of a code."""
        return len(self.levels).bit_length() - 1

    @property
    def has_nan(self) -> bool:
        """Always false: a codebook has no NaN."""
        return False

    @property
    def has_inf(self) -> bool:
        """Always false: a codebook has no infinity."""
        return False

    @property
    def nan_code(self) -> int:
        """-1, which is no code: a codebook has no NaN."""
        return -1

    @property
    def max_value(self) -> float:
        """The largest level."""
        return max(self.levels)

    @property
    def min_value(self) -> float:
        """The lowest level."""
        return min(self.levels)

    @property
    def exp_min(self) -> int:
        """Exponent of the unit of the smallest significand."""
        return int(_arranged(self).unpacked.exponent.min())

    @property
    def exp_max(self) -> int:
        """Exponent of the unit of the largest significand."""
        return int(_arranged(self).unpacked.exponent.max())

    @property
    def sig_bits(self) -> int:
        """Bits of a significand: the most that a level has between its first and its last one, both included."""
        return self.max_significand.bit_length()

    @property
    def max_significand(self) -> int:
        """The largest magnitude of a significand."""
        return int(np.abs(_arranged(self).unpacked.significand).max())

    def thresholds(self, rounding: Rounding | str = "nearest_even") -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the steps of `encode`: the code of v is ``codes[number of thresholds that are <= v]``.

        Parameters
        ----------
        rounding : Rounding or str
            Any mode but the stochastic one, which is a ValueError.

        Returns
        -------
        thresholds : ndarray of float64, shape (levels - 1,)
            The smallest float64 that goes up from each of the different levels, in ascending order.
        codes : ndarray of int64, shape (levels,)
            Of the levels in ascending order; that of the positive zero where there are two.
        """
        mode = Rounding(rounding)
        if mode is Rounding.STOCHASTIC:
            raise ValueError("rounding must not be 'stochastic' for thresholds, which such a rounding does not have")
        return _thresholds(self, mode), _arranged(self).codes

    def unpack(self, codes: ArrayLike) -> Unpacked:
        """Split codes into significand, exponent and specials: the decode stage (see `Unpacked`).

        As in a float, the significands have the same width, and less below the smallest exponent.
        """
        array = check_codes(self, codes)
        return Unpacked(*(np.asarray(column[array]) for column in _arranged(self).unpacked))

    def decode(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Give the value of each code.

        Parameters
        ----------
        codes : array of unsigned integers, any shape
            In [0, 2**bits).

        Returns
        -------
        ndarray of float64, same shape
            Exact; a negative zero kept.

        Raises
        ------
        TypeError
            If the codes are not integers.
        ValueError
            If a code needs more than `bits` bits.
        """
        return np.asarray(_arranged(self).values[check_codes(self, codes)])

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
            Applied once, to the exact value. To nearest even means the nearest level, ties by `ties`; nearest away the
            same but for ties, which go to the larger magnitude, or up; both go by `boundaries` where they are given. To
            odd takes the odd code, or the lower one where both neighbours are even or both odd. Between a negative and
            a positive level without a zero, toward zero keeps the sign, and stochastic rounding goes by the place
            between the lower and the upper level.
        overflow : Overflow or str
            ``"saturate"``, or ``"propagate"``, which is the same here. Applied in any mode to what is beyond the lowest
            and the largest level, infinities included.
        random : array of integers in [0, 2**random_bits), optional
            For stochastic rounding only, of a shape that broadcasts to that of the values.
        random_bits : int, optional
            1 to 32, with `random`.

        Returns
        -------
        ndarray of the smallest unsigned dtype that holds `bits`, same shape
            Zero keeps its sign where the codebook has two zeros, and so does what rounds to it.

        Raises
        ------
        TypeError
            If the values are not real numbers.
        ValueError
            If a value is NaN; if the overflow rule does not apply; if the random words do not go with the mode.
        """
        mode, rule = Rounding(rounding), Overflow(overflow)
        if rule not in (Overflow.SATURATE, Overflow.PROPAGATE):
            raise ValueError(f"overflow must be 'saturate' or 'propagate' for {self.name}, not {rule.value!r}")
        array = check_values(self, values, allow_nan=False, single=True)
        words = check_random(mode, array.shape, random, random_bits)
        if words is not None and random_bits is not None:
            return _encode_random(self, array.astype(np.float64), words, random_bits)
        return steps.encode(self, array, mode, Overflow.SATURATE, lambda each: _encode(self, each, mode))


@lru_cache(maxsize=256)
def _arranged(spec: CodebookSpec) -> Levels:
    return arranged(spec.levels)


@lru_cache(maxsize=256)
def _thresholds(spec: CodebookSpec, mode: Rounding) -> NDArray[np.float64]:
    return thresholds(_arranged(spec), spec.ties, spec.boundaries, mode)


def _encode(
    spec: CodebookSpec, values: NDArray[np.float32] | NDArray[np.float64], mode: Rounding
) -> NDArray[np.unsignedinteger]:
    """Encode checked values, not stochastically."""
    rank = np.searchsorted(_thresholds(spec, mode), values, side="right")
    return _codes(spec, rank, values)


def _encode_random(
    spec: CodebookSpec, values: NDArray[np.float64], words: NDArray[np.int64], random_bits: int
) -> NDArray[np.unsignedinteger]:
    """Encode checked values stochastically."""
    ordered = _arranged(spec).ordered
    inside = np.clip(values, ordered[0], ordered[-1])
    rank = np.clip(np.searchsorted(ordered, inside, side="right") - 1, 0, ordered.size - 2)
    low, high = ordered[rank], ordered[rank + 1]
    negative = high <= 0  # the neighbour toward zero is the upper one
    sizes = (np.where(negative, -high, low), np.where(negative, -low, high))
    away = rounds_away(np.where(negative, -inside, inside), *sizes, words, random_bits)
    return _codes(spec, rank + (away ^ negative), values)


def _codes(
    spec: CodebookSpec, rank: NDArray[np.intp], values: NDArray[np.float32] | NDArray[np.float64]
) -> NDArray[np.unsignedinteger]:
    """Return the codes of levels given by their rank, with the sign of a zero."""
    levels = _arranged(spec)
    codes = levels.codes.astype(code_dtype(spec.bits))[rank]
    if levels.negative_zero >= 0:
        negative = (levels.ordered[rank] == 0) & np.signbit(values)
        codes = np.where(negative, code_dtype(spec.bits)(levels.negative_zero), codes)
    return np.asarray(codes)


def _check_floats(name: str, values: object) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, float) for value in values):
        raise TypeError(f"{name} must be a tuple of floats, not {values!r}")


def _sign_magnitude(magnitudes: tuple[float, ...], special: float = -0.0) -> tuple[float, ...]:
    """Return levels whose high bit is the sign; `special` takes the code of the negative zero."""
    return (*magnitudes, special, *(-magnitude for magnitude in magnitudes[1:]))


def _mirrored(positive: tuple[float, ...]) -> tuple[float, ...]:
    """Return the float32 boundaries of a rule that goes up where the magnitude is above one, for both signs."""
    single = [float(np.float32(boundary)) for boundary in positive]
    return (*(float(np.nextafter(-boundary, -np.inf)) for boundary in reversed(single)), *single)


NF4 = CodebookSpec(
    name="nf4",
    levels=(
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ),
    ties=Ties.LOWER,
)
"""NormalFloat, 4 bits. bitsandbytes rounds its decision points to float32; here they are the exact means."""

BNB_FP4 = CodebookSpec(
    name="bnb_fp4",
    levels=_sign_magnitude(
        tuple(float(np.float32(level)) for level in (0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4))
    ),
    ties=Ties.LOWER,
    boundaries=_mirrored((0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333)),
)
"""The 4-bit float of bitsandbytes, with the decision points of its CUDA kernel, which are not quite the means."""

TERNARY = CodebookSpec(name="ternary", levels=(0.0, 1.0, 0.0, -1.0))
"""-1, 0 and 1, in two's complement as in sign and magnitude; code 2 is a second zero (ours)."""

BINARY = CodebookSpec(name="binary", levels=(0.0, 1.0))

BIPOLAR = CodebookSpec(name="bipolar", levels=(-1.0, 1.0), ties=Ties.UPPER)
"""The sign of a value, zero being positive; the one bit stands for 1 (the XNOR networks' convention)."""

_BITMOD_BASIC = {3: (0.0, 1.0, 2.0, 4.0), 4: (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)}
_BITMOD_SPECIAL = {3: {"er": 3.0, "ea": 6.0}, 4: {"er": 5.0, "ea": 8.0}}
_BITMOD = {
    bits: tuple(
        CodebookSpec(
            name=f"bitmod_fp{bits}_{kind}_{sign}",
            levels=_sign_magnitude(_BITMOD_BASIC[bits], special if sign == "pos" else -special),
            ties=Ties.LOWER,
        )
        for kind, special in specials.items()
        for sign in ("pos", "neg")
    )
    for bits, specials in _BITMOD_SPECIAL.items()
}


def bitmod_options(bits: int) -> tuple[CodebookSpec, ...]:
    """Return BitMoD's four codebooks of a width, in the order in which it tries them on a group.

    Parameters
    ----------
    bits : int
        3 or 4; else a ValueError.

    Returns
    -------
    tuple of CodebookSpec
        Extra resolution with the positive and the negative special value, then extra asymmetry with both. The special
        value takes the code of the negative zero (BitMoD, table IV); the other codes are sign and magnitude (ours).
    """
    if bits not in _BITMOD:
        raise ValueError(f"bits of BitMoD's codebooks must be 3 or 4, not {bits!r}")
    return _BITMOD[bits]


CODEBOOKS = (NF4, BNB_FP4, TERNARY, BINARY, BIPOLAR, *_BITMOD[3], *_BITMOD[4])
"""The codebooks without a parameter; those that have one are in `hwsim.formats.logarithmic`."""
