# SPDX-License-Identifier: Apache-2.0
"""Float softmaxes against scalars computed one by one with exact fused multiply-adds, and against the real function."""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hwsim.network.float_softmax import exponential, online_softmax, softmax, sum_16_lanes, two_pass_softmax

FloatArray = npt.NDArray[np.float32]
F = np.float32


def _rows(count: int, length: int, spread: float = 4.0) -> FloatArray:
    return (np.random.default_rng(8).standard_normal((count, length)) * spread).astype(np.float32)


def _real(rows: FloatArray) -> npt.NDArray[np.float64]:
    exps = np.exp(rows.astype(np.float64) - rows.max(axis=1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=1, keepdims=True))


def _fma(a: Any, b: Any, c: Any) -> Any:
    return F(float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))))


def _lanes(values: list[Any]) -> Any:
    """Add in 16 lanes, fold to 8, then neighbours."""
    lanes = [F(0)] * 16
    for index, value in enumerate(values):
        lanes[index % 16] = lanes[index % 16] + value
    lanes = [lanes[i] + lanes[i + 8] for i in range(8)]
    while len(lanes) > 1:
        lanes = [lanes[2 * i] + lanes[2 * i + 1] for i in range(len(lanes) // 2)]
    return lanes[0]


def _scalar(x: Any) -> Any:
    return exponential(np.array([[x]], np.float32))[0, 0]


def test_float_softmax_sum_of_16_lanes() -> None:
    for length in (1, 15, 16, 17, 100):
        rows = _rows(20, length)
        assert sum_16_lanes(rows).tolist() == [_lanes(list(row)) for row in rows]


@pytest.mark.parametrize(("length", "tile"), [(1, 1), (37, 16), (37, 5), (40, 8), (40, 64)])
def test_float_softmax_online_is_the_cascade(length: int, tile: int) -> None:
    rows = _rows(12, length)
    for row, got in zip(rows, online_softmax(rows, tile), strict=True):
        running, total = F(-np.inf), F(0)
        parts, tops = [], []
        for start in range(0, length, tile):
            part = row[start : start + tile]
            top = max(running, part.max())
            exps = [_scalar(x - top) for x in part]
            kept = F(0) if start == 0 else total * _scalar(running - top)
            total = kept + _lanes(exps)
            parts.append(exps)
            tops.append(top)
            running = top
        expected = [e * (_scalar(top - running) / total) for exps, top in zip(parts, tops, strict=True) for e in exps]
        assert got.tolist() == [float(e) for e in expected]


def test_float_softmax_online_of_one_tile_is_the_softmax() -> None:
    rows = _rows(50, 70)
    np.testing.assert_array_equal(online_softmax(rows, 70), softmax(rows))
    assert not np.array_equal(online_softmax(rows, 7), softmax(rows))


@pytest.mark.parametrize("length", [1, 9, 40])
def test_float_softmax_two_pass_is_the_algorithm(length: int) -> None:
    coefficients = [
        float.fromhex(text)
        for text in ("0x1.0F9F9Cp-7", "0x1.573A1Ap-5", "0x1.555A80p-3", "0x1.FFFDC6p-2", "0x1.FFFFF6p-1", "0x1p0")
    ]
    rows = _rows(8, length, 30.0)

    def split(x: Any) -> tuple[Any, int]:
        turns = np.rint(x * F(1.44269504088896341))
        rest = _fma(turns, float.fromhex("0x1.05C61p-29"), _fma(turns, float.fromhex("-0x1.62E43p-1"), x))
        power = F(coefficients[0])
        for coefficient in coefficients[1:]:
            power = _fma(power, rest, coefficient)
        return power, int(turns)

    def two(exponent: int) -> Any:
        return F(2.0**exponent) if exponent > -127 else F(0)

    for row, got in zip(rows, two_pass_softmax(rows), strict=True):
        total, largest = F(0), None
        for x in row:
            power, turns = split(x)
            top = turns if largest is None else max(largest, turns)
            kept = F(0) if largest is None else total * two(largest - top)
            total, largest = _fma(power, two(turns - top), kept), top
        assert largest is not None
        expected = []
        for x in row:
            power, turns = split(x)
            expected.append(float(power * (F(1) / total) * two(turns - largest)))
        assert got.tolist() == expected


@pytest.mark.parametrize("spread", [0.1, 4.0, 40.0])
def test_float_softmax_forms_are_near_the_real_function(spread: float) -> None:
    rows = _rows(100, 200, spread)
    real = _real(rows)
    for got in (softmax(rows), online_softmax(rows, 16), two_pass_softmax(rows)):
        assert np.abs(got - real).max() < 2e-6
        kept = real > 1e-30
        assert (np.abs(got - real)[kept] / real[kept]).max() < 5e-6


@pytest.mark.parametrize("masked", [-np.inf, float(np.finfo(np.float32).min)])
def test_float_softmax_masked_elements_are_nothing(masked: float) -> None:
    rows = _rows(6, 20)
    rows[:, :8] = masked
    rows[:, 11] = masked
    for got in (softmax(rows), online_softmax(rows, 4), two_pass_softmax(rows)):
        assert np.all(got[:, :8] < 1e-38)
        np.testing.assert_allclose(got[:, 12:].sum(axis=1) + got[:, 8:11].sum(axis=1), 1, atol=1e-6)
