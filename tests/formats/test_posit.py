# SPDX-License-Identifier: Apache-2.0
"""PositSpec against the definition in rational numbers and printed values; SoftPosit is in test_posit_softposit.py."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim.formats.posit import PositSpec

ALL_OF = ((2, 0), (3, 1), (4, 1), (5, 3), (7, 5), (8, 0), (8, 1), (8, 2), (10, 0), (11, 4), (16, 1), (16, 2))
DIRECTED = ("toward_zero", "up", "down", "to_odd")
MODES = ("nearest_even", "nearest_away", *DIRECTED)
RULES = ("saturate", "infinity", "propagate")
ALL_HALVES = np.arange(1 << 16, dtype=np.uint16)


def value_of(code: int, bits: int, es: int) -> Fraction | None:
    """Return the value of a code, None for NaR: the definition, on its string of digits."""
    if code == 0:
        return Fraction(0)
    if code == 1 << (bits - 1):
        return None
    negative = code >> (bits - 1)
    text = format((1 << bits) - code if negative else code, f"0{bits}b")[1:]
    run = len(text) - len(text.lstrip(text[0]))
    k = run - 1 if text[0] == "1" else -run
    rest = text[run + 1 :]
    exponent = int(rest[:es].ljust(es, "0") or "0", 2)
    fraction = rest[es:]
    mantissa = 1 + (Fraction(int(fraction, 2), 1 << len(fraction)) if fraction else 0)
    value = mantissa * Fraction(2) ** (k * 2**es + exponent)
    return Fraction(-value if negative else value)


class Oracle:
    """Encode by comparing with a table of the positive values and of those of one bit more, from the definition."""

    def __init__(self, spec: PositSpec) -> None:
        self.spec = spec
        finer = [value_of(code, spec.bits + 1, spec.es) for code in range(1 << spec.bits)]
        exact = [value for value in finer if value is not None]
        assert len(exact) == 1 << spec.bits
        assert all(Fraction(float(value)) == value for value in exact)
        self.values = np.array([float(value) for value in exact[::2]])  # of the codes from 0 to the largest
        self.middles = np.array([float(value) for value in exact[1::2]])  # between each and the next
        assert (np.diff(self.values) > 0).all()

    def points(self) -> NDArray[np.float64]:
        """Return every value and boundary, the float64 above and below each, and what stands at the ends."""
        points = np.concatenate([self.values, self.middles, [5e-324, 2.0**-1022, 1.7e308, math.inf]])
        near = np.unique(np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, math.inf)]))
        return np.concatenate([near, -near])

    def encode(self, values: NDArray[np.float64], rounding: str, overflow: str) -> NDArray[np.int64]:
        """Return the codes of values."""
        bits = self.spec.bits
        nar, largest = 1 << (bits - 1), (1 << (bits - 1)) - 1
        nan = np.isnan(values)
        size = np.where(nan, 0.0, np.abs(values))
        low = np.searchsorted(self.values, size, side="right") - 1
        inexact = (self.values[low] != size) & (low < largest)
        over, tie = size > self.middles[low], size == self.middles[low]
        negative = np.signbit(values)
        step = {
            "nearest_even": over | (tie & (low & 1 == 1)) | (low == 0),
            "nearest_away": over | tie | (low == 0),
            "toward_zero": np.zeros(size.shape, np.bool_),
            "up": ~negative,
            "down": negative,
            "to_odd": low & 1 == 0,
        }[rounding]
        codes = low + (step & inexact)
        beyond = size > self.values[-1]
        if overflow == "infinity":
            codes = np.where(beyond, nar, codes)
        elif overflow == "propagate":
            codes = np.where(np.isinf(size), nar, codes)
        codes = np.where(negative, -codes, codes) & ((1 << bits) - 1)
        return np.asarray(np.where(nan, nar, codes))


_ORACLES: dict[PositSpec, Oracle] = {}


def oracle_of(bits: int, es: int) -> Oracle:
    spec = PositSpec(bits=bits, es=es)
    if spec not in _ORACLES:
        _ORACLES[spec] = Oracle(spec)
    return _ORACLES[spec]


def test_posit_decode_definition() -> None:
    compared = 0
    for bits, es in ALL_OF:
        spec = PositSpec(bits=bits, es=es)
        ours = spec.decode(np.arange(1 << bits))
        for code, value in enumerate(ours):
            expected = value_of(code, bits, es)
            assert math.isnan(value) if expected is None else Fraction(float(value)) == expected, (spec.name, code)
        compared += ours.size
    assert compared == 3 * 2**8 + 2 * 2**16 + 2**2 + 2**3 + 2**4 + 2**5 + 2**7 + 2**10 + 2**11


def test_posit_decode_wide_definition() -> None:
    compared = 0
    for bits, es in ((17, 0), (24, 3), (32, 0), (32, 2), (32, 5)):
        spec = PositSpec(bits=bits, es=es)
        codes = np.random.default_rng(bits + es).integers(0, 1 << bits, 3000, dtype=np.uint64)
        ends = np.array([0, 1, 2, 3, (1 << bits) - 1, (1 << bits) - 2], np.uint64)
        middle = np.uint64(1 << (bits - 1)) + np.array([0, 1, 2], np.uint64)
        codes = np.concatenate([codes, ends, middle, middle - np.uint64(3)]).astype(np.uint32)
        for code, value in zip(codes, spec.decode(codes), strict=True):
            expected = value_of(int(code), bits, es)
            assert math.isnan(value) if expected is None else Fraction(float(value)) == expected, (spec.name, code)
        compared += codes.size
    assert compared == 5 * 3012


def test_posit_printed_values() -> None:
    # Values printed for posit(4, 1), and the ends of (8, 0), (16, 1) and (32, 2).
    spec = PositSpec(bits=4, es=1)
    positive = [1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16]
    assert spec.decode(np.arange(8)).tolist() == [0.0, *positive]
    assert spec.decode(np.arange(9, 16)).tolist() == [-value for value in reversed(positive)]
    for bits, es, largest in ((8, 0, 64.0), (16, 1, 2.0**28), (32, 2, 2.0**120), (8, 2, 2.0**24), (16, 2, 2.0**56)):
        spec = PositSpec(bits=bits, es=es)
        assert (spec.max_value, spec.min_positive, spec.min_value) == (largest, 1 / largest, -largest)
        ends = spec.decode(np.array([1, (1 << (bits - 1)) - 1, (1 << (bits - 1)) + 1]))
        assert ends.tolist() == [spec.min_positive, spec.max_value, spec.min_value]


def test_posit_quire_widths() -> None:
    # SoftPosit's quire8, quire16 and quire32; 16 n in the Posit Standard (2022), section 3.
    assert [PositSpec(bits=bits, es=es).quire_bits for bits, es in ((8, 0), (16, 1), (32, 2))] == [32, 128, 512]
    for bits in range(2, 33):
        standard = PositSpec(bits=bits, es=2)
        assert (standard.quire_bits, standard.carry_guard_bits) == (16 * bits, 31)
        assert standard.quire_fraction_bits == 8 * bits - 16
        for es in range(6):
            spec = PositSpec(bits=bits, es=es)
            assert spec.quire_bits == 1 + spec.carry_guard_bits + 2 * spec.quire_fraction_bits
            unit = Fraction(2) ** -spec.quire_fraction_bits
            assert unit == Fraction(spec.min_positive) ** 2
            most = ((1 << spec.carry_guard_bits) - 1) * Fraction(spec.max_value) ** 2
            assert most <= ((1 << (spec.quire_bits - 1)) - 1) * unit


def test_posit_encode_boundaries(thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    compared = expected = 0
    for bits, es in ALL_OF:
        oracle = oracle_of(bits, es)
        points = oracle.points()
        values = thin(np.append(points, math.nan), 200)
        for rounding in MODES if bits <= 11 else ("nearest_even", "to_odd"):
            for rule in RULES:
                ours = oracle.spec.encode(values, rounding, rule)
                assert np.array_equal(ours, oracle.encode(values, rounding, rule)), (oracle.spec.name, rounding, rule)
                compared += ours.size
                expected += points.size + 1
    assert expected == 5_156_880
    counted(compared, expected)


def test_posit_encode_halves(thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    compared = 0
    with np.errstate(all="ignore"):
        halves = ALL_HALVES.view(np.float16).astype(np.float32)
        brains = ALL_HALVES.view(ml_dtypes.bfloat16).astype(np.float32)
    for bits, es in ((4, 1), (8, 0), (8, 1), (8, 2), (16, 1), (16, 2)):
        oracle = oracle_of(bits, es)
        for rounding in MODES:
            for values in (halves, brains):
                kept = thin(values, 200)
                with np.errstate(invalid="ignore"):
                    wide = kept.astype(np.float64)
                ours = oracle.spec.encode(kept, rounding, "propagate")
                assert np.array_equal(ours, oracle.encode(wide, rounding, "propagate"))
                compared += ours.size
    counted(compared, 6 * 6 * 2 * 2**16)


def test_posit_encode_float32(thin: Callable[..., Any]) -> None:
    rng = np.random.default_rng(11)
    raw = rng.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    raw = thin(raw, 500)
    for bits, es in ((2, 0), (8, 0), (8, 5), (16, 1), (32, 0), (32, 2), (32, 5)):
        spec = PositSpec(bits=bits, es=es)
        for rounding in MODES:
            with np.errstate(invalid="ignore"):
                wide = raw.astype(np.float64)
            assert np.array_equal(spec.encode(raw, rounding), spec.encode(wide, rounding)), (spec.name, rounding)


def test_posit_encode_wide_nearest(thin: Callable[..., Any]) -> None:
    compared = 0
    rng = np.random.default_rng(12)
    for bits, es in ((20, 1), (32, 0), (32, 2), (32, 4)):
        spec = PositSpec(bits=bits, es=es)
        low = rng.integers(1, (1 << (bits - 1)) - 1, 2000)
        middles = [value_of(2 * int(code) + 1, bits + 1, es) for code in low]
        points = np.array([float(middle) for middle in middles if middle is not None])
        assert all(Fraction(float(point)) == middle for point, middle in zip(points, middles, strict=True))
        for values, codes in (
            (points, low + (low & 1)),
            (np.nextafter(points, 0), low),
            (np.nextafter(points, math.inf), low + 1),
        ):
            assert np.array_equal(spec.encode(values), codes), spec.name
            assert np.array_equal(spec.encode(-values), (1 << bits) - codes), spec.name
            compared += 2 * values.size
    assert compared == 4 * 3 * 2 * 2000


def test_posit_encode_never_zero_nor_nar() -> None:
    for bits, es in (*ALL_OF, (32, 2)):
        spec = PositSpec(bits=bits, es=es)
        tiny = np.array([5e-324, spec.min_positive / 2, math.nextafter(spec.min_positive, 0)])
        huge = np.array([math.nextafter(spec.max_value, math.inf), 1.7e308])
        for rounding in ("nearest_even", "nearest_away"):
            assert (spec.encode(tiny, rounding, "propagate") == 1).all()
            assert (spec.encode(huge, rounding, "propagate") == spec.nan_code - 1).all()
        assert (spec.encode(tiny, "toward_zero") == 0).all()
        specials = [math.inf, -math.inf, math.nan, -0.0]
        assert spec.encode(specials, overflow="propagate").tolist() == [spec.nan_code] * 3 + [0]
        largest = spec.nan_code - 1
        assert spec.encode(specials).tolist() == [largest, spec.nan_code + 1, spec.nan_code, 0]
        assert (spec.encode(huge, overflow="infinity") == spec.nan_code).all()


def stochastic(oracle: Oracle, value: float, random: int, random_bits: int) -> int:
    """Return the code of a finite value by the definition of stochastic rounding, in rational numbers."""
    size = abs(Fraction(value))
    low = int(np.searchsorted(oracle.values, float(size), side="right")) - 1
    if low < oracle.values.size - 1:
        bottom, top = (Fraction(float(each)) for each in oracle.values[low : low + 2])
        place = (size - bottom) / (top - bottom)
        low += math.floor(place * 2**random_bits) + random >= 2**random_bits
    return -low % (1 << oracle.spec.bits) if value < 0 else low


def test_posit_encode_stochastic() -> None:
    rng = np.random.default_rng(13)
    compared = 0
    for bits, es in ((4, 1), (8, 0), (8, 2), (8, 5), (16, 1)):
        oracle = oracle_of(bits, es)
        for random_bits in (1, 7, 32):
            picked = rng.choice(oracle.points()[np.isfinite(oracle.points())], 150)
            low = rng.integers(0, oracle.values.size - 1, 150)
            # Values on the grid of the random word, where the carry is decided by the last bit.
            part = np.ldexp(rng.integers(0, 1 << min(random_bits, 12), 150).astype(np.float64), -min(random_bits, 12))
            between = oracle.values[low] + part * (oracle.values[low + 1] - oracle.values[low])
            values = np.concatenate([picked, between, -between])
            words = rng.integers(0, 1 << random_bits, values.size)
            words[::3] = (1 << random_bits) - np.minimum(1, words[::3])
            words %= 1 << random_bits
            ours = oracle.spec.encode(values, "stochastic", random=words, random_bits=random_bits)
            for value, word, code in zip(values, words, ours, strict=True):
                assert code == stochastic(oracle, float(value), int(word), random_bits), (oracle.spec.name, value, word)
            compared += values.size
    assert compared == 5 * 3 * 450


def test_posit_encode_stochastic_specials() -> None:
    spec = PositSpec(bits=8, es=0)
    values = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e9]
    codes = spec.encode(values, "stochastic", "propagate", random=127, random_bits=7)
    assert codes.tolist() == [128, 128, 128, 0, 0, 127]


def test_posit_encode_tables() -> None:
    # 2**17 values go by a table of steps, a few by the kernel itself.
    rng = np.random.default_rng(14)
    values = rng.integers(0, 1 << 32, 1 << 17, dtype=np.uint64).astype(np.uint32).view(np.float32)
    for bits, es in ((8, 0), (8, 2), (16, 1)):
        spec = PositSpec(bits=bits, es=es)
        for rounding in ("nearest_even", "down"):
            whole = spec.encode(values, rounding, "infinity")
            parts = [spec.encode(part, rounding, "infinity") for part in np.split(values, 256)]
            assert np.array_equal(whole, np.concatenate(parts)), (spec.name, rounding)


def test_posit_unpack_constant_width() -> None:
    for bits, es in (*ALL_OF, (20, 2)):
        spec = PositSpec(bits=bits, es=es)
        codes = np.arange(1 << bits)
        parts = spec.unpack(codes)
        number = (codes != 0) & (codes != spec.nan_code)
        size = np.abs(parts.significand[number])
        assert (size >> (spec.sig_bits - 1) == 1).all()
        assert size.max() <= spec.max_significand < 1 << spec.sig_bits
        assert parts.exponent.min() == spec.exp_min
        assert parts.exponent.max() == spec.exp_max
        values = np.ldexp(parts.significand.astype(np.float64), parts.exponent)
        assert np.array_equal(values[number], spec.decode(codes)[number])
        assert parts.special.tolist() == [3 if code == spec.nan_code else 0 for code in codes]
        assert (parts.significand[~number] == 0).all()


@given(st.integers(2, 32), st.integers(0, 5), st.integers(0, 2**32 - 1), st.sampled_from(MODES))
def test_posit_encode_fixed_point(bits: int, es: int, word: int, rounding: str) -> None:
    spec = PositSpec(bits=bits, es=es)
    code = word & ((1 << bits) - 1)
    assert spec.encode(spec.decode([code]), rounding, "propagate").tolist() == [code]


@given(
    st.integers(2, 32),
    st.integers(0, 5),
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=20),
    st.sampled_from(("nearest_even", "nearest_away", "toward_zero", "up", "down")),
)
def test_posit_encode_monotone(bits: int, es: int, values: list[float], rounding: str) -> None:
    spec = PositSpec(bits=bits, es=es)
    rounded = spec.decode(spec.encode(sorted(values), rounding))
    assert (np.diff(rounded) >= 0).all()


@given(st.integers(2, 32), st.integers(0, 5), st.floats(allow_nan=False, allow_infinity=False))
def test_posit_encode_nearest(bits: int, es: int, value: float) -> None:
    spec = PositSpec(bits=bits, es=es)
    code = int(spec.encode([value])[0])
    size = code if value >= 0 else -code % (1 << bits)
    exact = abs(Fraction(value))
    below, above = value_of(2 * size - 1, bits + 1, es), value_of(2 * size + 1, bits + 1, es)
    if exact == 0:
        assert size == 0
    else:
        assert 1 <= size < 1 << (bits - 1)
        assert below is not None
        assert above is not None
        # The boundaries with the neighbours; the least and the largest code take all that is beyond.
        assert size == 1 or exact > below or (exact == below and size % 2 == 0)
        assert size == (1 << (bits - 1)) - 1 or exact < above or (exact == above and size % 2 == 0)


@pytest.mark.parametrize(
    ("bits", "es", "error", "text"),
    [
        (1, 0, ValueError, r"bits must be in 2\.\.32, not 1"),
        (33, 0, ValueError, r"bits must be in 2\.\.32, not 33"),
        (8.0, 0, TypeError, r"bits must be an int, not 8\.0"),
        (8, 6, ValueError, r"es must be in 0\.\.5, not 6"),
        (8, True, TypeError, r"es must be an int, not True"),
    ],
)
def test_posit_spec_wrong(bits: Any, es: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        PositSpec(bits=bits, es=es)


def test_posit_overflow_wrong() -> None:
    text = r"overflow must be one of 'saturate', 'infinity', 'propagate' for posit8_0, not 'wrap'"
    with pytest.raises(ValueError, match=text):
        PositSpec(bits=8, es=0).encode([1.0], overflow="wrap")


def test_posit_codes_wrong() -> None:
    with pytest.raises(ValueError, match=r"codes of posit6_1 must be in 0\.\.2\*\*6 - 1, not 64"):
        PositSpec(bits=6, es=1).decode([64])
