# SPDX-License-Identifier: Apache-2.0
"""Rounding rules against rational arithmetic."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.formats import FloatSpec, Overflow, Rounding, Specials
from hwsim.formats.rounding import (
    DETERMINISTIC,
    check_random,
    pack_magnitude,
    round_shift,
    round_shift_exact,
    round_shift_random,
)

MODES = DETERMINISTIC


def by_definition(value: Fraction, rounding: Rounding) -> int:
    """Round to an integer as IEEE 754-2019, section 4.3, words it; value signed."""
    low, high = math.floor(value), math.ceil(value)
    if low == high:
        return low
    nearer = low if value - low < high - value else high
    tie = value - low == high - value
    return {
        Rounding.NEAREST_EVEN: (low if low % 2 == 0 else high) if tie else nearer,
        Rounding.NEAREST_AWAY: (high if value > 0 else low) if tie else nearer,
        Rounding.TOWARD_ZERO: math.trunc(value),
        Rounding.UP: high,
        Rounding.DOWN: low,
        Rounding.TO_ODD: low if low % 2 else high,
    }[rounding]


@numba.njit()
def shifted(magnitudes: NDArray[np.int64], shift: int, negative: int, rounding: int, out: NDArray[np.int64]) -> None:
    for i in range(magnitudes.size):
        out[i] = round_shift(int(magnitudes[i]), shift, negative, rounding)


@numba.njit()
def shifted_randomly(magnitudes: NDArray[np.int64], shift: int, random: int, bits: int, out: NDArray[np.int64]) -> None:
    for i in range(magnitudes.size):
        out[i] = round_shift_random(int(magnitudes[i]), shift, random, bits)


@numba.njit()
def packed(
    magnitudes: NDArray[np.int64],
    exponent: int,
    negative: int,
    ints: tuple[int, int, int],
    rounding: int,
    out: NDArray[np.int64],
) -> None:
    man_bits, exp_low, subnormals = ints
    for i in range(magnitudes.size):
        out[i] = pack_magnitude(int(magnitudes[i]), exponent, negative, man_bits, exp_low, subnormals, rounding)


def magnitudes() -> NDArray[np.int64]:
    """Return small magnitudes, and what stands beside each power of two."""
    large = [(1 << k) + d for k in range(6, 62) for d in (-1, 0, 1)]
    halves = [(1 << k) + (1 << j) + d for k in (30, 61) for j in range(0, k, 7) for d in (-1, 0, 1)]
    return np.array([*range(64), *large, *halves, (1 << 62) - 1], np.int64)


def test_rounding_round_shift(thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    values = thin(magnitudes(), 60)
    out = np.empty(values.size, np.int64)
    compared = 0
    for shift in (*range(8), 29, 30, 31, 60, 61, 62, 63, 64, 70, 2000):
        for negative in (False, True):
            for rounding in MODES:
                shifted(values, shift, int(negative), rounding.index, out)
                for value, ours in zip(values.tolist(), out.tolist(), strict=True):
                    exact = Fraction(-value if negative else value, 1 << shift)
                    expected = abs(by_definition(exact, rounding))
                    assert ours == expected, (value, shift, negative, rounding)
                    assert round_shift_exact(value, shift, negative, rounding) == expected
                    compared += 1
    counted(compared, 59_400)


def test_rounding_round_shift_random(thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    values = thin(magnitudes(), 60)
    out = np.empty(values.size, np.int64)
    compared = 0
    for shift in (*range(8), 29, 31, 32, 33, 60, 61, 62, 63, 64, 90, 94, 95, 2000):
        for random_bits in (1, 2, 8, 31, 32):
            ones = (1 << random_bits) - 1
            for random in {0, 1, ones // 2, ones // 3, ones}:
                shifted_randomly(values, shift, random, random_bits, out)
                for value, ours in zip(values.tolist(), out.tolist(), strict=True):
                    exact = Fraction(value, 1 << shift)
                    part = math.floor((exact - math.floor(exact)) * 2**random_bits)
                    expected = math.floor(exact) + int(part + random >= 2**random_bits)
                    assert ours == expected, (value, shift, random, random_bits)
                    words = (Rounding.STOCHASTIC, random, random_bits)
                    assert round_shift_exact(value, shift, False, *words) == expected
                    compared += 1
    counted(compared, 115_500)


def test_rounding_stochastic_mean() -> None:
    # Over all words the mean is the value itself, where its fraction fits the words.
    compared = 0
    for random_bits in (1, 3, 6):
        for numerator in range(3 << random_bits):
            total = sum(
                round_shift_exact(numerator, random_bits, False, Rounding.STOCHASTIC, random, random_bits)
                for random in range(1 << random_bits)
            )
            assert Fraction(total, 1 << random_bits) == Fraction(numerator, 1 << random_bits)
            compared += 1
    assert compared == 3 * (2 + 8 + 64)


def test_rounding_check_random() -> None:
    words = check_random(Rounding.STOCHASTIC, (2, 3), [1, 2, 3], 2)
    assert words is not None
    assert words.tolist() == [[1, 2, 3]] * 2
    assert words.dtype == np.int64
    assert check_random(Rounding.UP, (2,), None, None) is None
    top = check_random(Rounding.STOCHASTIC, (), np.uint32(2**32 - 1), 32)
    assert top is not None
    assert top.tolist() == 2**32 - 1


@pytest.mark.parametrize(
    ("mode", "random", "random_bits", "error", "text"),
    [
        (
            Rounding.UP,
            [1],
            8,
            ValueError,
            "random and random_bits must be given with stochastic rounding only, not 'up'",
        ),
        (
            Rounding.STOCHASTIC,
            None,
            8,
            ValueError,
            "random and random_bits must be given for stochastic rounding, not None",
        ),
        (Rounding.STOCHASTIC, [1], 33, ValueError, "random_bits must be in 1..32, not 33"),
        (Rounding.STOCHASTIC, [1.0], 8, TypeError, "random must be integers, not float64"),
        (Rounding.STOCHASTIC, [3, 256], 8, ValueError, "random must be in 0..2**8 - 1, not 256"),
        (Rounding.STOCHASTIC, [-1, 3], 8, ValueError, "random must be in 0..2**8 - 1, not -1"),
        (
            Rounding.STOCHASTIC,
            [1, 2],
            8,
            ValueError,
            "random must broadcast to the values' shape (3,), not (2,)",
        ),
    ],
)
def test_rounding_random_wrong(
    mode: Rounding, random: Any, random_bits: int, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        check_random(mode, (3,), random, random_bits)


def test_rounding_round_shift_exact_random_bits_wrong() -> None:
    with pytest.raises(ValueError, match=r"^random_bits must be in 1\.\.32, not 0$"):
        round_shift_exact(5, 1, False, Rounding.STOCHASTIC)


def test_rounding_round_shift_left() -> None:
    out = np.empty(1, np.int64)
    for shift in (-1, -10, -61):
        shifted(np.array([1]), shift, 0, 0, out)
        assert out[0] == 1 << -shift == round_shift_exact(1, shift, False, Rounding.NEAREST_EVEN)


# Without mantissa and with subnormals ties are the exponent field's business: units take no such format.
@pytest.mark.parametrize(
    ("man_bits", "subnormals"), [(1, True), (3, True), (6, True), (0, False), (1, False), (3, False), (6, False)]
)
def test_rounding_pack_magnitude(
    man_bits: int, subnormals: bool, oracle: Callable[..., Any], thin: Callable[..., Any]
) -> None:
    spec = FloatSpec(exp_bits=8, man_bits=man_bits, bias=127, specials=Specials.FINITE, subnormals=subnormals)
    reference = oracle(spec)
    values = thin(magnitudes()[1:], 40)
    out = np.empty(values.size, np.int64)
    compared = 0
    for exponent in (-200, -150, -140, -130, -60, -3, 0, 20):
        # The oracle takes float64 only.
        kept = np.array([v for v in values.tolist() if int(float(v)) == v], np.int64)
        for negative in (False, True):
            for rounding in MODES:
                ints = (man_bits, spec.exp_low, int(subnormals))
                packed(kept, exponent, int(negative), ints, rounding.index, out)
                exact = np.ldexp(kept.astype(np.float64), exponent) * (-1 if negative else 1)
                expected = reference.magnitudes(exact, rounding.value)
                ours = np.clip(out[: kept.size], 0, None)
                small = ours <= spec.max_magnitude_code
                assert np.array_equal(ours[small], expected[small]), (exponent, negative, rounding)
                compared += kept.size
    assert compared >= 8 * 12 * 20


@pytest.mark.parametrize(
    ("rule", "value", "error", "text"),
    [
        (
            Rounding,
            "nearest",
            ValueError,
            f"rounding must be one of {', '.join(mode.value for mode in MODES)}, stochastic, not 'nearest'",
        ),
        (Rounding, 0, TypeError, "rounding must be a Rounding or a str, not 0"),
        (
            Overflow,
            "clip",
            ValueError,
            "overflow must be one of saturate, infinity, wrap, propagate, ieee, not 'clip'",
        ),
        (Overflow, None, TypeError, "overflow must be a Overflow or a str, not None"),
    ],
)
def test_rounding_rule_wrong(rule: Any, value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        rule(value)
