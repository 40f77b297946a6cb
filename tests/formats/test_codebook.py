# SPDX-License-Identifier: Apache-2.0
"""CodebookSpec against rational numbers, and the published codebooks against their sources."""

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from hwsim.formats import logarithmic
from hwsim.formats.codebook import (
    BINARY,
    BIPOLAR,
    BNB_FP4,
    CODEBOOKS,
    NF4,
    TERNARY,
    CodebookSpec,
    bitmod_options,
)
from hwsim.formats.levels import Ties

MODES = ("nearest_even", "nearest_away", "toward_zero", "up", "down", "to_odd")
ODD_ONE = CodebookSpec(name="odd_one", levels=(3.0, -0.0, 0.375, -7.0, 0.0, 1.0, 1.0, -0.25))
SPECS = (
    *CODEBOOKS,
    ODD_ONE,
    logarithmic.log2(4),
    logarithmic.logsqrt2(4),
    logarithmic.pot(4),
    logarithmic.denseshift(4),
    logarithmic.shiftadd(4),
    logarithmic.apot(5),
    logarithmic.sulq(4, 0.01, -6.5, 0.0),
)


def ranked(spec: CodebookSpec) -> list[tuple[Fraction, int]]:
    """Return the different levels in ascending order, each with its lowest code, or that of a positive zero."""
    found: dict[Fraction, int] = {}
    for code, level in sorted(enumerate(spec.levels), key=lambda item: (math.copysign(1, item[1]) < 0, item[0])):
        found.setdefault(Fraction(level), code)
    return sorted(found.items())


def choose(spec: CodebookSpec, index: int, value: Fraction, rounding: str) -> bool:
    """Return whether a value between two levels goes to the upper one: the rules, in rational numbers."""
    (low, low_code), (high, high_code) = ranked(spec)[index : index + 2]
    if rounding in ("up", "down"):
        return rounding == "up"
    if rounding == "toward_zero":
        return high <= 0 if low * high >= 0 else value >= 0
    if rounding == "to_odd":
        return high_code % 2 == 1 if (low_code ^ high_code) % 2 else high_code < low_code
    if spec.boundaries is not None:
        return value > Fraction(spec.boundaries[index])
    twice = 2 * value - low - high
    if twice != 0:
        return twice > 0
    if rounding == "nearest_away":
        return abs(high) >= abs(low)
    if spec.ties is Ties.EVEN:
        return high_code % 2 == 0 if (low_code ^ high_code) % 2 else high_code < low_code
    return spec.ties is Ties.UPPER


def expected_code(spec: CodebookSpec, value: float, rounding: str) -> int:
    """Return the code of a value without a NaN."""
    levels = ranked(spec)
    exact = Fraction(max(min(value, spec.max_value), spec.min_value))
    index = max(rank for rank, (level, _) in enumerate(levels) if level <= exact)
    if levels[index][0] != exact:
        index += choose(spec, index, exact, rounding)
    level, code = levels[index]
    negative = [c for c, each in enumerate(spec.levels) if each == 0 and math.copysign(1, each) < 0]
    if level == 0 and math.copysign(1, value) < 0 and negative:
        return negative[0]
    return code


def points_of(spec: CodebookSpec) -> NDArray[np.float64]:
    """Return every level, mean and boundary, the float64 and float32 above and below each, and the ends."""
    levels = [float(level) for level, _ in ranked(spec)]
    means = [(low + high) / 2 for low, high in pairwise(levels)]
    assert [Fraction(mean) for mean in means] == [
        (Fraction(low) + Fraction(high)) / 2 for low, high in pairwise(levels)
    ]
    points = np.array([*levels, *means, *(spec.boundaries or ()), 0.0, -0.0, 1e300, -1e300, math.inf, -math.inf])
    with np.errstate(over="ignore"):
        single = points.astype(np.float32)
        near = [np.nextafter(single, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf)]
    return np.concatenate([points, np.nextafter(points, -np.inf), np.nextafter(points, np.inf), single, *near])


def test_codebook_decode_levels() -> None:
    for spec in SPECS:
        values = spec.decode(np.arange(1 << spec.bits))
        assert values.tolist() == list(spec.levels)
        assert np.signbit(values).tolist() == [math.copysign(1, level) < 0 for level in spec.levels]
        assert (spec.max_value, spec.min_value) == (max(spec.levels), min(spec.levels))


def test_codebook_encode_rationals() -> None:
    compared = 0
    for spec in SPECS:
        points = points_of(spec)
        for rounding in MODES:
            codes = spec.encode(points, rounding)
            assert codes.tolist() == [expected_code(spec, float(point), rounding) for point in points], spec.name
            assert np.array_equal(codes, spec.encode(points, rounding, "propagate"))
            compared += points.size
    assert compared == 24_624, compared


def test_codebook_encode_halves() -> None:
    compared = 0
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
        brains = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16).astype(np.float32)
    values = np.concatenate([halves, brains])
    values = values[~np.isnan(values)]
    for spec in SPECS:
        levels = np.array([float(level) for level, _ in ranked(spec)])
        codes = np.array([code for _, code in ranked(spec)])
        if spec.boundaries is not None or spec.ties is not Ties.LOWER:
            continue
        # A second way to the nearest: distances in float64, exact enough where they differ by as much as here.
        limits = (levels[1:] + levels[:-1]) / 2
        rank = (values[:, None].astype(np.float64) > limits).sum(axis=1)
        assert np.array_equal(spec.encode(values), codes[rank]), spec.name
        compared += values.size
    assert compared == 9 * 128_772, compared


def test_codebook_encode_tables() -> None:
    # 2**17 values go by a table of steps, a few by the search.
    rng = np.random.default_rng(21)
    values = (rng.normal(size=1 << 17) * np.exp2(rng.integers(-9, 3, 1 << 17))).astype(np.float32)
    for spec in SPECS:
        for rounding in ("nearest_even", "toward_zero"):
            parts = [spec.encode(part, rounding) for part in np.split(values, 256)]
            assert np.array_equal(spec.encode(values, rounding), np.concatenate(parts)), (spec.name, rounding)


def test_codebook_encode_stochastic() -> None:
    rng = np.random.default_rng(22)
    compared = 0
    for spec in SPECS:
        levels = ranked(spec)
        for random_bits in (1, 8, 32):
            points = rng.choice(points_of(spec), 60)
            index = rng.integers(0, len(levels) - 1, 60)
            part = np.ldexp(rng.integers(0, 256, 60).astype(np.float64), -8)
            low, high = (np.array([float(levels[i + up][0]) for i in index]) for up in (0, 1))
            values = np.concatenate([points, low + part * (high - low)])
            words = rng.integers(0, 1 << random_bits, values.size)
            ours = spec.encode(values, "stochastic", random=words, random_bits=random_bits)
            for value, word, code in zip(values, words, ours, strict=True):
                assert code == stochastic(spec, float(value), int(word), random_bits), (spec.name, value, word)
            compared += values.size
    assert compared == 3 * 120 * len(SPECS)


def stochastic(spec: CodebookSpec, value: float, random: int, random_bits: int) -> int:
    """Return the code by the definition of stochastic rounding, in rational numbers."""
    levels = [level for level, _ in ranked(spec)]
    exact = Fraction(max(min(value, spec.max_value), spec.min_value))
    index = max(rank for rank, level in enumerate(levels) if level <= exact)
    if levels[index] != exact:
        low, high = levels[index : index + 2]
        mirrored = high <= 0
        place = (high - exact if mirrored else exact - low) / (high - low)
        index += (math.floor(place * 2**random_bits) + random >= 2**random_bits) != mirrored
    level = float(levels[index])
    return expected_code(spec, math.copysign(level, value) if level == 0 else level, "down")


def test_codebook_unpack_levels() -> None:
    for spec in SPECS:
        parts = spec.unpack(np.arange(1 << spec.bits))
        for level, significand, exponent in zip(spec.levels, parts.significand, parts.exponent, strict=True):
            assert Fraction(int(significand)) * Fraction(2) ** int(exponent) == Fraction(level)
        assert not parts.special.any()
        assert (parts.exponent.min(), parts.exponent.max()) == (spec.exp_min, spec.exp_max)
        assert np.abs(parts.significand).max() == spec.max_significand < 1 << spec.sig_bits
    widths = {spec.name: spec.sig_bits for spec in SPECS}
    assert [widths[name] for name in ("nf4", "ternary", "bitmod_fp3_er_pos", "bitmod_fp4_er_neg")] == [24, 1, 2, 3]
    assert [widths[name] for name in ("log2_4", "pot4", "denseshift4", "logsqrt2_4")] == [1, 1, 1, 24]


def test_codebook_thresholds_steps() -> None:
    for spec in SPECS:
        for rounding in MODES:
            limits, codes = spec.thresholds(rounding)
            below = np.nextafter(limits, -np.inf)
            up, stay = spec.encode(limits, rounding), spec.encode(below, rounding)
            values = spec.decode(codes)
            assert np.array_equal(spec.decode(up), values[1:])
            assert np.array_equal(spec.decode(stay), values[:-1])


def test_codebook_nf4_construction() -> None:
    # create_normal_map of bitsandbytes: quantiles of the normal distribution, eight above zero and seven below.
    offset = 0.9677083
    above = stats.norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    below = -stats.norm.ppf(np.linspace(offset, 0.5, 8)[:-1])
    levels = np.sort(np.concatenate([above, [0.0], below]))
    levels /= levels.max()
    error = np.abs(levels - np.array(NF4.levels))
    # It takes its quantiles at float32 probabilities.
    assert error.max() < 2e-7, error.max()
    assert np.argmin(np.abs(NF4.levels)) == 7


def test_codebook_nf4_bitsandbytes_boundaries() -> None:
    # The decision points of dQuantizeNF4 are the means, but as float32 constants: one float32 each may round otherwise.
    theirs = [
        *(-0.8480964004993439, -0.6106329262256622, -0.4599952697753906, -0.33967943489551544),
        *(-0.23460740596055984, -0.13791173323988914, -0.045525018125772476, 0.03979014977812767),
        *(0.1202552504837513, 0.2035212516784668, 0.2920137718319893, 0.3893125355243683),
        *(0.5016634166240692, 0.6427869200706482, 0.8614784181118011),
    ]
    assert [(low + high) / 2 for low, high in pairwise(NF4.levels)] == theirs
    single = np.array(theirs, np.float32)
    near = np.concatenate([single, np.nextafter(single, np.float32(-2)), np.nextafter(single, np.float32(2))])
    rank = (near[:, None] > single).sum(axis=1)
    differ = near[NF4.encode(near) != rank]
    # At its own decision points above the means; at -0.848, -0.611, -0.340, -0.235, 0.502 and 0.861.
    assert differ.tolist() == [float(value) for value, mean in zip(single, theirs, strict=True) if float(value) > mean]
    assert differ.size == 6


def test_codebook_bnb_fp4_source() -> None:
    # dDequantizeFP4Tree, and dQuantizeFP4: the magnitude's codes in ascending order and the float32 between them.
    levels = (0.0, 0.005208333333, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25)
    assert BNB_FP4.levels[:8] == tuple(float(np.float32(level)) for level in levels)
    limits = np.array((0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333), np.float32)
    order = np.array((0b000, 0b001, 0b110, 0b111, 0b100, 0b101, 0b010, 0b011))
    rng = np.random.default_rng(23)
    near = np.concatenate([limits, np.nextafter(limits, np.float32(0)), np.nextafter(limits, np.float32(1))])
    sizes = np.concatenate([near, rng.random(100_000).astype(np.float32), [np.float32(0)]])
    codes = order[(sizes[:, None] > limits).sum(axis=1)]
    assert np.array_equal(BNB_FP4.encode(sizes), codes)
    # It drops the sign of a negative zero, and keeps that of what rounds to zero.
    assert np.array_equal(BNB_FP4.encode(-sizes), codes | 8)
    assert sizes.size == 100_022


def test_codebook_bitmod_table() -> None:
    # BitMoD, table IV; the order of its search.
    three, four = [0, 1, 2, 4, -1, -2, -4], [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6]
    assert [spec.name for spec in bitmod_options(3)] == [
        "bitmod_fp3_er_pos",
        "bitmod_fp3_er_neg",
        "bitmod_fp3_ea_pos",
        "bitmod_fp3_ea_neg",
    ]
    for bits, basic, specials in ((3, three, (3, -3, 6, -6)), (4, four, (5, -5, 8, -8))):
        for spec, special in zip(bitmod_options(bits), specials, strict=True):
            assert spec.bits == bits
            assert sorted(spec.levels) == sorted([*basic, special])
            assert spec.levels[1 << (bits - 1)] == special  # in place of the negative zero
            assert [-level for level in spec.levels[(1 << (bits - 1)) + 1 :]] == list(spec.levels[1 : 1 << (bits - 1)])
            # Its quant_datatype: a value goes up where it is above the mean.
            levels = np.sort(spec.levels)
            values = np.arange(-10, 10, 1 / 16)
            rank = (values[:, None] > (levels[1:] + levels[:-1]) / 2).sum(axis=1)
            assert np.array_equal(spec.decode(spec.encode(values)), levels[rank])


def test_codebook_signs() -> None:
    values = [-2.0, -0.5, -0.0, 0.0, 0.25, 0.5, 0.75, 3.0]
    assert TERNARY.encode(values).tolist() == [3, 0, 0, 0, 0, 0, 1, 1]
    assert TERNARY.decode([0, 1, 2, 3]).tolist() == [0.0, 1.0, 0.0, -1.0]
    assert BINARY.encode(values).tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert BIPOLAR.encode(values).tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    # Two's complement of two bits, but for the code that ternary never makes.
    assert [TERNARY.levels[code] for code in (0, 1, 3)] == [0, 1, -1]


@given(st.sampled_from(SPECS), st.integers(0, 4095), st.sampled_from(MODES))
def test_codebook_encode_fixed_point(spec: CodebookSpec, word: int, rounding: str) -> None:
    values = spec.decode([word % (1 << spec.bits)])
    again = spec.decode(spec.encode(values, rounding))
    assert again.tolist() == values.tolist()


@given(
    st.lists(st.floats(-1000, 1000, width=32), min_size=4, max_size=4, unique=True),
    st.sampled_from(Ties),
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=12),
    st.sampled_from(MODES),
)
def test_codebook_encode_any(levels: list[float], ties: Ties, values: list[float], rounding: str) -> None:
    try:
        spec = CodebookSpec(name="any", levels=tuple(levels), ties=ties)
    except ValueError:
        return  # neighbours too far apart
    codes = spec.encode(values, rounding)
    assert codes.tolist() == [expected_code(spec, value, rounding) for value in values]
    assert (np.diff(spec.decode(spec.encode(sorted(values), rounding))) >= 0).all()


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"name": 4}, TypeError, r"name must be a str, not 4"),
        ({"name": "A b"}, ValueError, r"name must be lower-case letters, digits and underscores, not 'A b'"),
        ({"ties": "even"}, TypeError, r"ties must be a Ties, not 'even'"),
        ({"levels": [0.0, 1.0]}, TypeError, r"levels must be a tuple of floats, not \[0\.0, 1\.0\]"),
        ({"levels": (0.0, 1)}, TypeError, r"levels must be a tuple of floats, not \(0\.0, 1\)"),
        ({"levels": (0.0, 1.0, 2.0)}, ValueError, r"levels must be 2 to 4096 values, a power of two, not 3"),
        (
            {"levels": (0.0, 0.1)},
            ValueError,
            r"levels must be float32 values of at most 2\*\*126 in magnitude, not 0\.1",
        ),
        ({"levels": (0.0, math.nan)}, ValueError, r"levels must be float32 values of at most .*, not nan"),
        ({"levels": (1.0, 1.0)}, ValueError, r"levels must hold at least two values, not \[1\.0\]"),
        (
            {"levels": (1.0, 2.0**60)},
            ValueError,
            r"levels next to each other must have a float64 sum and difference, not 1\.0, 1\.152921504606847e\+18",
        ),
        ({"boundaries": (0.5, 1.5)}, ValueError, r"boundaries must be one less than the 2 levels, not 2"),
        (
            {"boundaries": (1.0,)},
            ValueError,
            r"boundaries must each be between their levels 0\.0 and 1\.0, not 1\.0",
        ),
        ({"boundaries": 0.5}, TypeError, r"boundaries must be a tuple of floats, not 0\.5"),
    ],
)
def test_codebook_spec_wrong(fields: dict[str, Any], error: type[Exception], text: str) -> None:
    right: dict[str, Any] = {"name": "some", "levels": (0.0, 1.0)}
    with pytest.raises(error, match=text):
        CodebookSpec(**{**right, **fields})


@pytest.mark.parametrize("rule", ["infinity", "wrap", "ieee"])
def test_codebook_overflow_wrong(rule: str) -> None:
    with pytest.raises(ValueError, match=rf"overflow must be 'saturate' or 'propagate' for nf4, not '{rule}'"):
        NF4.encode([0.0], overflow=rule)


def test_codebook_values_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"values to encode as nf4, which has no NaN, must not be NaN, as that at \(1,\)"
    ):
        NF4.encode([0.0, math.nan])
    with pytest.raises(ValueError, match=r"codes of nf4 must be in 0\.\.2\*\*4 - 1, not 16"):
        NF4.decode([16])


def test_codebook_thresholds_wrong() -> None:
    with pytest.raises(ValueError, match=r"rounding must not be 'stochastic' for thresholds"):
        NF4.thresholds("stochastic")


def test_codebook_bitmod_wrong() -> None:
    with pytest.raises(ValueError, match=r"bits of BitMoD's codebooks must be 3 or 4, not 5"):
        bitmod_options(5)
