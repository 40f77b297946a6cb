# SPDX-License-Identifier: Apache-2.0
import re
from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest

from hwsim.datapath.digits import (
    Encoding,
    bench_average,
    digit_count,
    digits,
    mean_nonzero,
    nonzero_digits,
    normal_weights,
    row_cycles,
)

_ENCODINGS = get_args(Encoding)
_AXES = "values must have the axes rows and lanes, not the shape (1,)"
_DIVISOR = "elements must be a divisor of 2 lanes, not 3"


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_digits_add_up_to_the_integer(encoding: Encoding, signed: bool) -> None:
    compared = 0
    for bits in range(1, 11):
        low = -(1 << (bits - 1)) if signed else 0
        values = list(range(low, low + (1 << bits)))
        table = digits(values, bits, encoding, signed=signed)
        assert table.shape == (len(values), digit_count(bits, signed=signed))
        for value, row in zip(values, table.tolist(), strict=True):
            assert sum(digit * 4**i for i, digit in enumerate(row)) == value
            allowed = {-2, -1, 0, 1, 2} if encoding == "booth" else ({-1, 0, 1, 2} if value >= 0 else {-2, -1, 0, 1})
            assert set(row) <= allowed
            compared += 1
    assert compared == 2046


def test_digits_en_t_is_the_papers_carry_chain() -> None:
    # carry = (A1 & A0) | (A1 & carry in); digit = B + carry modulo 4, 3 standing for -1; on sign and magnitude.
    for value in range(-128, 128):
        magnitude, carry, expected = abs(value), 0, []
        for i in range(4):
            low, high = (magnitude >> (2 * i)) & 1, (magnitude >> (2 * i + 1)) & 1
            digit = (2 * high + low + carry) % 4
            expected.append((-1 if digit == 3 else digit) * (-1 if value < 0 else 1))
            carry = (high & low) | (high & carry)
        assert digits(value, 8, "en_t").tolist() == expected


def test_digits_widest() -> None:
    values = [-(2**61), 2**61 - 1, 0x155555555555555]
    for encoding in _ENCODINGS:
        rows = digits(np.array(values), 62, encoding).tolist()
        assert [sum(digit * 4**i for i, digit in enumerate(row)) for row in rows] == values


# TPE (arXiv:2503.06342), over all 256 codes of an 8-bit integer.
@pytest.mark.parametrize(
    ("encoding", "histogram"),
    [("en_t", {0: 1, 1: 15, 2: 60, 3: 108, 4: 72}), ("booth", {0: 1, 1: 12, 2: 54, 3: 108, 4: 81})],
)
def test_nonzero_digits_histogram(encoding: Encoding, histogram: dict[int, int]) -> None:
    assert Counter(nonzero_digits(np.arange(-128, 128), 8, encoding).tolist()) == histogram


def test_nonzero_digits_of_most_booth_codes() -> None:
    # TPE: 68.4 % of the codes have at most three.
    assert np.count_nonzero(nonzero_digits(np.arange(-128, 128), 8, "booth") <= 3) == 175


# The README of TPE's authors, K = 128: average digits an operand, N(0, sigma) rounded to int8.
@pytest.mark.parametrize(("sigma", "average"), [(10, 1.75), (20, 2.10), (30, 2.32), (40, 2.48), (50, 2.60)])
def test_bench_average_is_the_published_one(sigma: float, average: float) -> None:
    assert round(bench_average(sigma, "en_t", 128), 2) == average


# The same with K = 32, there from 1000 vectors: the standard error is 0.005.
@pytest.mark.parametrize(("sigma", "average"), [(10, 1.71), (20, 2.05), (30, 2.27), (40, 2.45), (50, 2.57)])
def test_bench_average_of_short_vectors(sigma: float, average: float) -> None:
    assert abs(bench_average(sigma, "en_t", 32) - average) < 0.015


def test_bench_average_is_that_of_a_simulated_bench() -> None:
    """Run what that bench does on drawn vectors: 4 operands a group, the last group counted again if it is short."""
    source = np.random.default_rng(7)
    length, total, count = 16, 0, 0
    for _ in range(4000):
        drawn: list[int] = []
        while len(drawn) < length:
            number = source.normal(0, 20)
            if -128 <= number <= 127:
                drawn.append(round(number))
        table = digits(drawn, 8, "en_t") != 0
        for weight in range(4):
            groups = table[:, weight].reshape(-1, 4).sum(axis=1)
            total, count = total + int(groups.sum()), count + len(groups)
        if groups[-1] < 2:
            total, count = total + int(groups[-1]), count + 1
    assert total / count == pytest.approx(bench_average(20, "en_t", length), abs=0.012)


def test_mean_nonzero_at_one_sigma_is_both_of_the_papers_averages() -> None:
    # TPE states 2.22 for EN-T and 2.41 for Booth digits of one distribution.
    close = [
        sigma
        for sigma in np.arange(5.0, 60.0, 0.05)
        if (round(mean_nonzero(sigma, "en_t"), 2), round(mean_nonzero(sigma, "booth"), 2)) == (2.22, 2.41)
    ]
    assert close
    assert 24.0 < min(close) <= max(close) < 25.0


def test_mean_nonzero_is_what_is_drawn() -> None:
    source = np.random.default_rng(3)
    drawn = source.normal(0, 30, 400_000)
    kept = np.rint(drawn[(drawn >= -128) & (drawn <= 127)]).astype(np.int64)
    for encoding in _ENCODINGS:
        assert nonzero_digits(kept, 8, encoding).mean() == pytest.approx(mean_nonzero(30, encoding), abs=0.008)


def test_normal_weights_are_a_distribution() -> None:
    values, weights = normal_weights(30)
    assert values.tolist() == list(range(-128, 128))
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    assert weights[128] == weights.max()
    np.testing.assert_allclose(weights[2:127], weights[254:129:-1])


def test_row_cycles_wait_for_the_busiest_element() -> None:
    rows = [[0, 0, 0, 0], [1, 0, 0, 0], [85, 85, 1, 0], [85, 1, 1, 0], [85, 85, 85, 85]]
    assert row_cycles(rows, 8, "en_t").tolist() == [1, 1, 9, 6, 16]
    assert row_cycles(rows, 8, "en_t", elements=2).tolist() == [1, 1, 8, 5, 8]
    assert row_cycles(rows, 8, "en_t", elements=4).tolist() == [1, 1, 4, 4, 4]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: digits([1.0], 8, "booth"), TypeError, "values must be integers, not float64"),
        (lambda: digits([128], 8, "booth"), ValueError, "values must be in -128..127, not 128..128"),
        (lambda: digits([-1], 4, "en_t", signed=False), ValueError, "values must be in 0..15, not -1..-1"),
        (lambda: digits([1], 63, "booth"), ValueError, "bits must be in 1..62, not 63"),
        (lambda: digits([1], 8, "gray"), ValueError, "encoding must be one of booth, en_t, not 'gray'"),  # type: ignore[arg-type]
        (
            lambda: row_cycles([1], 8, "booth"),
            ValueError,
            "values must have the axes rows and lanes, not the shape (1,)",
        ),
        (
            lambda: row_cycles([[1, 2]], 8, "booth", elements=3),
            ValueError,
            "elements must be a divisor of 2 lanes, not 3",
        ),
        (lambda: normal_weights(0.0), ValueError, "sigma must be positive, not 0.0"),
        (lambda: normal_weights(1.0, 17), ValueError, "bits must be in 2..16, not 17"),
        (lambda: bench_average(1.0, "en_t", 6), ValueError, "length must be a positive multiple of 4, not 6"),
    ],
)
def test_digits_arguments_wrong(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()
