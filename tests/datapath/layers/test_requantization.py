# SPDX-License-Identifier: Apache-2.0
import decimal
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import (
    RequantizerSpec,
    ShiftRounding,
    dyadic,
    requantization_ratio,
    requantize,
    rescale,
)


def _rounded(value: Fraction, rounding: ShiftRounding) -> int:
    if rounding is ShiftRounding.DOWN:
        return floor(value)
    if rounding is ShiftRounding.NEAREST_UP:
        return floor(value + Fraction(1, 2))
    if rounding is ShiftRounding.NEAREST_AWAY:
        return floor(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)
    return round(value)  # of a Fraction: halves to even


def _operands(count: int) -> tuple[list[int], list[int], list[int]]:
    generator = np.random.default_rng(1)
    value = (generator.integers(-(1 << 31), 1 << 31, count) >> generator.integers(0, 32, count)).tolist()
    multiplier = generator.integers(1 << 30, (1 << 31) + 1, count).tolist()
    shift = generator.integers(0, 63, count).tolist()
    corners = [(v, b, c) for v in (-(1 << 31), (1 << 31) - 1, -1, 3) for b in (1, 1 << 31) for c in (0, 1, 31, 62)]
    rows = [*zip(value, multiplier, shift, strict=True), *corners]
    return tuple(map(list, zip(*rows, strict=True)))  # type: ignore[return-value]


@pytest.mark.parametrize("rounding", list(ShiftRounding))
def test_rescale_is_fractions(rounding: ShiftRounding) -> None:
    value, multiplier, shift = _operands(3000)
    found = rescale(value, multiplier, shift, rounding)
    expected = [_rounded(Fraction(v * b, 1 << c), rounding) for v, b, c in zip(value, multiplier, shift, strict=True)]
    assert found.tolist() == expected
    assert len(expected) == 3032


@pytest.mark.parametrize("rounding", list(ShiftRounding))
def test_requantize_every_small_operand(rounding: ShiftRounding) -> None:
    for signed in (True, False):
        spec = RequantizerSpec(
            value_bits=6, multiplier_bits=3, shift_max=4, code_bits=3, signed=signed, rounding=rounding
        )
        value, multiplier, shift = np.meshgrid(np.arange(-32, 32), np.arange(8), np.arange(5))
        found = requantize(value, multiplier, shift, spec)
        low, high = (-4, 3) if signed else (0, 7)
        rows = zip(value.ravel().tolist(), multiplier.ravel().tolist(), shift.ravel().tolist(), strict=True)
        expected = [min(max(_rounded(Fraction(v * b, 1 << c), rounding), low), high) for v, b, c in rows]
        assert found.ravel().tolist() == expected
        assert len(expected) == 64 * 8 * 5


def test_requantize_broadcasts_channels() -> None:
    value = np.array([[1000, -1000], [69, 5000]])
    multiplier, shift = dyadic([0.05, 0.25])
    assert requantize(value, multiplier, shift).tolist() == [[50, -128], [3, 127]]
    # A tie goes to even.
    assert rescale(14, *dyadic(0.25)).tolist() == 4
    assert rescale(10, *dyadic(0.25)).tolist() == 2


def test_dyadic_is_the_decimal_rounding_of_the_source() -> None:
    ratios = np.exp(np.random.default_rng(2).uniform(np.log(2.0**-32), np.log(2.0**31), 2000))
    ratios[:4] = [0.5, 2.0**-32, np.nextafter(1.0, 0), 1.0]
    multiplier, shift = dyadic(ratios)
    for ratio, b, c in zip(ratios.tolist(), multiplier.tolist(), shift.tolist(), strict=True):
        fraction, exponent = np.frexp(ratio)
        whole = Decimal(float(fraction) * 2**31).quantize(Decimal("1"), rounding=decimal.ROUND_HALF_UP)
        assert (b, c) == (int(whole), 31 - int(exponent))
    assert multiplier[2] == 1 << 31
    assert shift.min() >= 0
    assert shift.max() <= 62


def test_ratio_rounds_the_product_to_float32() -> None:
    found = requantization_ratio(0.1, [0.3, 0.7], 0.9)
    product = [np.float32(np.float64(np.float32(0.1)) * np.float64(np.float32(w))) for w in (0.3, 0.7)]
    assert found.tolist() == [float(p) / float(np.float32(0.9)) for p in product]


def test_rescale_is_not_the_float64_of_the_source() -> None:
    # A product of 62 bits, just below a half above an odd number, that float64 rounds to that half.
    value, multiplier, shift = 1733759497, 2050706025, 33
    exact = Fraction(value * multiplier, 1 << shift)
    assert int(rescale(value, multiplier, shift)) == round(exact)
    assert round(float(value) * float(multiplier) / 2.0**shift) == round(exact) + 1


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (TypeError, {"value": 0.5}, r"value must be integers, not float64"),
        (ValueError, {"value": 1 << 31}, r"value must be in -2147483648..2147483647, not 2147483648"),
        (ValueError, {"multiplier": -1}, r"multiplier must be in 0..2147483648, not -1"),
        (ValueError, {"shift": 63}, r"shift must be in 0..62, not 63"),
    ],
)
def test_rescale_arguments_wrong(error: type[Exception], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        rescale(**({"value": 1, "multiplier": 1, "shift": 1} | arguments))


def test_rescale_rounding_wrong() -> None:
    known = "nearest_even, nearest_away, nearest_up, down"
    with pytest.raises(ValueError, match=f"^rounding must be one of {known}, not 'odd'$"):
        rescale(1, 1, 1, "odd")
    rounding: Any = 3
    with pytest.raises(TypeError, match=r"^rounding must be a ShiftRounding or a str, not 3$"):
        rescale(1, 1, 1, rounding)


def test_requantize_shift_wrong() -> None:
    with pytest.raises(ValueError, match=r"^shift must be in 31..62, not 30$"):
        requantize(1, 1, 30, RequantizerSpec(shift_min=31))


@pytest.mark.parametrize("ratio", [2.0**31, 2.0**-33, 0.0, float("nan")])
def test_dyadic_ratio_wrong(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"^ratio must be in \[2\*\*-32, 2\*\*31\), not "):
        dyadic(ratio)


def test_ratio_scale_wrong() -> None:
    with pytest.raises(ValueError, match=r"^output_scale must be positive and finite in float32$"):
        requantization_ratio(1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"^input_scale \* weight_scale must be positive and finite in float32$"):
        requantization_ratio(1e-30, 1e-30, 1.0)
