# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction
from math import ceil, exp, floor
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import (
    ShiftGeluSpec,
    ShiftmaxSpec,
    exponential_unit,
    shift_exponential,
    shift_gelu,
    shiftmax,
)

_FACTOR = 2**31 - 1


def _exponential(value: int, unit: int, steps: int) -> int:
    """Return the source's int_exp_shift of a number not above zero, in fractions."""
    scaled = max(value + floor(Fraction(value, 2)) - floor(Fraction(value, 16)), steps * -unit)
    quotient = floor(Fraction(scaled, -unit))
    rest = scaled - (-unit) * quotient
    return max(floor((Fraction(rest, 2) + unit) * Fraction(2) ** (steps - quotient)), 0)


def _softmax(row: list[int], unit: int, spec: ShiftmaxSpec) -> list[int]:
    powers = [_exponential(value - max(row), unit, spec.steps) for value in row]
    factor = floor(Fraction(_FACTOR, min(sum(powers), _FACTOR)))
    top = 2 ** (spec.code_bits - 1) - 1
    return [min(floor(Fraction(power * factor, 2 ** (32 - spec.code_bits))), top) for power in powers]


def _gelu(row: list[int], unit: int, spec: ShiftGeluSpec) -> list[int]:
    most = max([0, *row])
    zero = _exponential(-most, unit, spec.steps)
    found = []
    for value in row:
        power = _exponential(value - most, unit, spec.steps)
        factor = floor(Fraction(_FACTOR, min(power + zero, _FACTOR)))
        top = 2 ** (spec.code_bits - 1) - 1
        found.append(value * min(floor(Fraction(power * factor, 2 ** (32 - spec.code_bits))), top))
    return found


@pytest.mark.parametrize(("unit", "steps"), [(1, 15), (7, 15), (20, 23), (255, 4), (65535, 24), (1, 1)])
def test_shift_exponential_is_fractions(unit: int, steps: int) -> None:
    values = np.concatenate([-np.arange(700), -np.arange(0, 1 << 21, 9973)])
    found = shift_exponential(values, unit, steps)
    assert found.tolist() == [_exponential(value, unit, steps) for value in values.tolist()]
    assert found.min() >= 1
    assert found.max() == unit << steps


def test_shift_exponential_is_near_the_exponential() -> None:
    unit, steps = 50, 15
    found = shift_exponential(-np.arange(300), unit, steps) / (unit << steps)
    assert np.abs(found - np.exp(-np.arange(300) / unit)).max() < 0.06


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0, 3.0, 1 / 3, 0.1])
def test_exponential_unit_is_the_ceiling(scale: float) -> None:
    assert exponential_unit(scale) == ceil(1 / Fraction(scale))
    # The authors' floor(-1 / scale) in float32, where that quotient does not round to an integer.
    if scale not in (1 / 3, 0.1, 0.05):
        assert exponential_unit(scale) == -int(np.floor(np.float32(-1) / np.float32(scale)))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_exponential_unit_scale_wrong(scale: float) -> None:
    with pytest.raises(ValueError, match=r"^scale must be positive and finite, not "):
        exponential_unit(scale)


def _rows(length: int, bits: int, count: int) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(length)
    top = 1 << (bits - 1)
    rows = generator.integers(-top, top, (count, length)) >> generator.integers(0, bits, (count, 1))
    rows[0], rows[1], rows[2] = 0, -top, top - 1
    return np.asarray(rows)


@pytest.mark.parametrize(
    ("spec", "unit"),
    [
        (ShiftmaxSpec(length=13), 20),
        (ShiftmaxSpec(length=64), 1),
        (ShiftmaxSpec(length=3, bits=16, unit_bits=16, steps=24, code_bits=16), 65535),
        (ShiftmaxSpec(length=5, bits=4, unit_bits=4, steps=1, code_bits=2), 15),
    ],
)
def test_shiftmax_is_fractions(spec: ShiftmaxSpec, unit: int) -> None:
    x = _rows(spec.length, spec.bits, 40)
    found = shiftmax(x, unit, spec)
    assert found.tolist() == [_softmax(row, unit, spec) for row in x.tolist()]
    assert found.min() >= 0
    assert found.max() <= 2 ** (spec.code_bits - 1) - 1
    assert np.array_equal(shiftmax(x.T, unit, spec, axis=0), found.T)


def test_shiftmax_is_near_a_softmax() -> None:
    scale, spec = 0.08, ShiftmaxSpec(length=20, code_bits=16)
    x = np.random.default_rng(5).integers(-60, 60, (50, 20))
    powers = np.exp((x - x.max(axis=1, keepdims=True)) * scale)
    exact = powers / powers.sum(axis=1, keepdims=True)
    found = shiftmax(x, exponential_unit(scale), spec) / 2.0**15
    assert np.abs(found - exact).max() < 0.05


@pytest.mark.parametrize(
    ("spec", "unit"),
    [
        (ShiftGeluSpec(length=9), 12),
        (ShiftGeluSpec(length=4, bits=12, unit_bits=16, steps=24, code_bits=12), 65535),
        (ShiftGeluSpec(length=5, bits=4, unit_bits=4, steps=2, code_bits=2), 1),
    ],
)
def test_shift_gelu_is_fractions(spec: ShiftGeluSpec, unit: int) -> None:
    x = _rows(spec.length, spec.bits, 40)
    x[5] = -np.abs(x[5]) - (x[5] == 0)
    found = shift_gelu(x, unit, spec)
    assert found.tolist() == [_gelu(row, unit, spec) for row in x.tolist()]
    limit = 1 << (spec.product_bits - 1)
    assert -limit <= found.min() <= found.max() < limit
    assert np.array_equal(shift_gelu(x.T, unit, spec, axis=0), found.T)


def test_shift_gelu_is_near_a_gelu() -> None:
    scale, spec = 0.05, ShiftGeluSpec(length=64)
    x = np.arange(-32, 32)
    real = x * scale
    exact = real / (1 + np.array([exp(-1.702 * each) for each in real]))
    found = shift_gelu(x, exponential_unit(1.702 * scale), spec) * scale / 128
    assert np.abs(found - exact).max() < 0.08


@pytest.mark.parametrize(
    ("error", "x", "unit", "message"),
    [
        (ValueError, [[1, 2]], 5, r"x must have 3 elements along axis -1, not 2"),
        (ValueError, [[1, 2, 128]], 5, r"x must be in -128..127, not 128"),
        (TypeError, [[1.0, 2, 3]], 5, r"x must be integers, not float64"),
        (ValueError, [[1, 2, 3]], 0, r"unit must be in 1..255, not 0"),
        (ValueError, [[1, 2, 3]], 256, r"unit must be in 1..255, not 256"),
    ],
)
def test_shiftmax_and_gelu_arguments_wrong(error: type[Exception], x: Any, unit: int, message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        shiftmax(x, unit, ShiftmaxSpec(length=3))
    with pytest.raises(error, match=f"^{message}$"):
        shift_gelu(x, unit, ShiftGeluSpec(length=3))
