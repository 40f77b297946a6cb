# SPDX-License-Identifier: Apache-2.0
"""The codebooks on powers of two against their papers' formulas, decided in integers."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.levels import Ties
from hwsim.formats.logarithmic import (
    SULQ_ETAS,
    apot,
    denseshift,
    fit_sulq,
    log2,
    logsqrt2,
    pot,
    shiftadd,
    sulq,
)


def around(points: list[float]) -> NDArray[np.float64]:
    """Return points with the float64 and float32 above and below each."""
    exact = np.array(points)
    single = exact.astype(np.float32)
    near = [np.nextafter(single, np.float32(end)).astype(np.float64) for end in (0, np.inf)]
    return np.unique(np.concatenate([exact, np.nextafter(exact, 0), np.nextafter(exact, np.inf), single, *near]))


def log_code(value: float, roots: int) -> int:
    """Return round(-roots * log2(value)) of a positive value, by comparing powers; it is never a tie."""
    exact = Fraction(value) ** (2 * roots)  # against 2**-(2 * code + 1)
    code = -roots * math.frexp(value)[1] - 2 * roots
    while exact < Fraction(2) ** -(2 * code + 1):
        code += 1
    assert Fraction(2) ** -(2 * code + 1) < exact <= Fraction(2) ** -(2 * code - 1)
    return code


@pytest.mark.parametrize(("build", "roots"), [(log2, 1), (logsqrt2, 2)])
def test_logarithmic_unsigned_formula(build: Any, roots: int) -> None:
    compared = 0
    for bits in range(2, 8):
        spec = build(bits)
        last = (1 << bits) - 1
        points = [2.0 ** (-code / (2 * roots)) for code in range(-4, 2 * last + 4)]
        values = np.concatenate([around(points), [1e30, 1.0, 1e-44]])
        expected = [min(max(log_code(float(value), roots), 0), last) for value in values]
        assert spec.encode(values).tolist() == expected, spec.name
        assert spec.encode([0.0, -0.0, -1.0]).tolist() == [last] * 3
        assert spec.decode([last]).tolist() == [0.0]
        compared += values.size
    assert compared > 1500 * roots, compared


def test_logarithmic_log2_below_power() -> None:
    # A float32 logarithm of what is just below a power of two is rounded to the power's; so is one just above a middle.
    spec = log2(6)
    for code in range(1, 60):
        power = np.float32(2.0**-code)
        assert spec.encode([np.nextafter(power, np.float32(0)), power]).tolist() == [code, code]
        middle = 2.0 ** (-code - 0.5)
        low, high = np.float32(middle), np.nextafter(np.float32(middle), np.float32(1))
        if float(low) ** 2 > 2.0 ** (-2 * code - 1):
            low, high = np.nextafter(low, np.float32(0)), low
        assert spec.encode([low, high]).tolist() == [code + 1, code]


def test_logarithmic_logsqrt2_levels() -> None:
    # RepQ-ViT: 2**-ceil(q / 2), times sqrt(2) where q is odd, in float32.
    for bits in range(2, 8):
        codes = np.arange((1 << bits) - 1)
        scale = np.float32(2) ** -np.ceil(codes / 2).astype(np.float32)
        levels = scale * np.where(codes % 2 == 1, np.float32(math.sqrt(2)), np.float32(1))
        assert levels.dtype == np.float32
        assert logsqrt2(bits).decode(codes).tolist() == levels.tolist()
    assert logsqrt2(4).levels[1] == float(np.float32(math.sqrt(0.5)))


def test_logarithmic_pot_levels() -> None:
    # APoT, equation 3: 0 and 2**-(2**(b - 1) - 2) to 1, of both signs.
    for bits in range(2, 7):
        spec = pot(bits)
        sizes = [0.0, *(2.0**-shift for shift in range((1 << (bits - 1)) - 1))]
        assert sorted(set(map(abs, spec.levels))) == sorted(sizes)
        codes = np.arange(1 << (bits - 1))
        assert np.array_equal(spec.decode(codes + codes.size), -spec.decode(codes))
        assert (np.diff(spec.decode(codes)) > 0).all()
    assert pot(4).encode([0.0, -0.0, 1e-9, -1e-9, 0.75, 0.74, 5.0]).tolist() == [0, 8, 0, 8, 6, 6, 7]


def test_logarithmic_denseshift_levels() -> None:
    assert denseshift(3).levels == (1.0, 2.0, 4.0, 8.0, -1.0, -2.0, -4.0, -8.0)
    for bits in range(2, 8):
        spec = denseshift(bits)
        assert 0.0 not in spec.levels
        assert len(set(spec.levels)) == 1 << bits
        assert spec.encode([0.0, -0.0, 1e-9, -1e-9]).tolist() == [0, 0, 0, 1 << (bits - 1)]


def test_logarithmic_shiftadd_formula() -> None:
    # ShiftAddViT: shifts in [-(2**(b - 1) - 1), 0], each the rounded logarithm of the magnitude.
    compared = 0
    for bits in range(2, 8):
        spec = shiftadd(bits)
        most = (1 << (bits - 1)) - 1
        sizes = around([2.0 ** (shift / 2) for shift in range(-2 * most - 4, 5)])
        codes = [min(max(log_code(float(size), 1), 0), most) for size in sizes]
        assert spec.encode(sizes).tolist() == codes
        assert spec.encode(-sizes).tolist() == [code + most + 1 for code in codes]
        assert np.abs(spec.decode(np.arange(1 << bits))).min() == 2.0**-most
        assert spec.encode([0.0, 5e-324, -5e-324]).tolist() == [most, most, 2 * most + 1]
        compared += 2 * sizes.size
    assert compared > 2000, compared


def test_logarithmic_apot_levels() -> None:
    # APoT, equation 5, for terms of two bits; 4 bits of its code: {0, 1/2, 1/4, 1/16} + {0, 1/8}.
    assert sorted(set(map(abs, apot(4).levels))) == [0, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8]
    for bits, terms in ((3, 1), (5, 2), (7, 3)):
        sets = [[0.0] + [2.0 ** -(i + j * terms) for j in range(3)] for i in range(1, terms + 1)]
        sums = [0.0]
        for each in sets:
            sums = [a + b for a in sums for b in each]
        spec = apot(bits)
        assert sorted(spec.levels[: 1 << (bits - 1)]) == sorted(sums)
        assert len(set(spec.levels)) == (1 << bits) - 1
    # The fields of a code: sign, first term, second term.
    assert apot(5).decode([0b0_01_10, 0b1_11_00]).tolist() == [0.5 + 0.0625, -1 / 32]


def sulq_code(value: float, spec_bits: int, eta: Fraction, low: Fraction, high: Fraction) -> int:
    """Return round((log2(value + eta) - low) / d), clipped, in 60 digits; a tie goes to the even code."""
    shifted = Fraction(value) + eta
    last = (1 << spec_bits) - 1
    if shifted <= 0:
        return 0
    with localcontext() as context:
        context.prec = 60
        number = Decimal(shifted.numerator) / Decimal(shifted.denominator)
        place = (
            (number.ln() / Decimal(2).ln() - Decimal(float(low))) * last / (Decimal(float(high)) - Decimal(float(low)))
        )
        near = place.quantize(Decimal("1e-40"))
        if near == near.to_integral_value() + Decimal("0.5") or near == near.to_integral_value() - Decimal("0.5"):
            place = near
        code = int(place.to_integral_value(rounding="ROUND_HALF_EVEN"))
    return min(max(code, 0), last)


@pytest.mark.parametrize(
    ("bits", "eta", "low", "high"),
    [
        (4, 0.01, -6.6, 0.0),
        (3, 0.001, -9.96, 0.0014),
        (4, 0.5, -1.0, 0.6),
        (4, 0.25, -10.0, 5.0),
        (6, 0.05, -4.3, 0.07),
    ],
)
def test_logarithmic_sulq_formula(bits: int, eta: float, low: float, high: float) -> None:
    spec = sulq(bits, eta, low, high)
    exact = [Fraction(float(np.float32(value))) for value in (eta, low, high)]
    step = (exact[2] - exact[1]) / ((1 << bits) - 1)
    powers = [round(exact[1] + code * step) for code in range(1 << bits)]
    levels = [float(np.float32(2.0**power) - np.float32(eta)) for power in powers]
    assert list(spec.levels) == levels
    rng = np.random.default_rng(31)
    middles = [2.0 ** float(exact[1] + (code + Fraction(1, 2)) * step) - float(exact[0]) for code in range(1 << bits)]
    values = np.concatenate([around([*middles, *(spec.boundaries or ())]), rng.random(300), [0.0, -1.0, 100.0]])
    values = np.unique(np.concatenate([values, np.nextafter(values, -np.inf)]))
    ours = spec.decode(spec.encode(values))
    assert ours.tolist() == [levels[sulq_code(float(value), bits, *exact)] for value in values]
    assert values.size > 600


def test_logarithmic_sulq_name() -> None:
    assert formats.named("sulq4_0p01_m6p64_0p0") == sulq(4, 0.01, -6.64, 0.0)
    rng = np.random.default_rng(33)
    compared = 0
    for eta in (*SULQ_ETAS, 1e-5, 1e-30, 1 / 3):
        spec = sulq(4, eta, float(-rng.random() * 20 - 1), float(rng.random()))
        assert formats.named(spec.name) == spec
        fields = [float(text.replace("m", "-").replace("p", ".")) for text in spec.name.split("_")[1:]]
        assert np.float32(fields[0]) == np.float32(eta)
        assert len(spec.name) <= len("sulq4") + 3 * len("_m0p123456789em38")
        compared += 1
    assert compared == 14
    with pytest.raises(KeyError):
        formats.named("sulq4_0p010_m6p64_0p0")


def test_logarithmic_sulq_tie() -> None:
    # Logarithms -2.5, -1.5, -0.5 and 0.5, rounded to even -2, -2, 0 and 0. That of 0.25 + eta is -1, midway between
    # those of codes 1 and 2.
    spec = sulq(2, 0.25, -2.5, 0.5)
    assert spec.levels == (0.0, 0.0, 0.75, 0.75)
    assert spec.encode([0.25]).tolist() == [2]
    assert spec.encode([math.nextafter(0.25, 0)]).tolist() == [0]


def test_logarithmic_sulq_fit() -> None:
    rng = np.random.default_rng(32)
    scores = rng.normal(scale=3, size=(64, 32))
    attention = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    fitted = fit_sulq(attention, 4)
    errors = {}
    for eta in SULQ_ETAS:
        spec = fit_sulq(attention, 4, (eta,))
        errors[spec.name] = float(np.mean((spec.decode(spec.encode(attention)) - attention) ** 2))
    assert errors[fitted.name] == min(errors.values())
    assert len(errors) == 11


def test_logarithmic_ties_lower() -> None:
    for spec in (log2(4), logsqrt2(4), shiftadd(4), sulq(4, 0.1, -3.0, 0.0)):
        assert isinstance(spec, CodebookSpec)
        assert spec.ties is Ties.LOWER
        assert spec.boundaries is not None


@pytest.mark.parametrize(
    ("build", "bits", "text"),
    [
        (log2, 8, r"bits of log2 must be in 2\.\.7, not 8"),
        (logsqrt2, 1, r"bits of logsqrt2 must be in 2\.\.7, not 1"),
        (pot, 7, r"bits of pot must be in 2\.\.6, not 7"),
        (denseshift, 8, r"bits of denseshift must be in 2\.\.7, not 8"),
        (shiftadd, 8, r"bits of shiftadd must be in 2\.\.7, not 8"),
        (apot, 2, r"bits of apot must be in 3\.\.7, not 2"),
    ],
)
def test_logarithmic_bits_wrong(build: Any, bits: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(bits)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((9, 0.1, -3.0, 0.0), ValueError, r"bits of sulq must be in 2\.\.8, not 9"),
        ((4, 1, -3.0, 0.0), TypeError, r"eta of sulq must be a float, not 1"),
        ((4, 5.0, -3.0, 0.0), ValueError, r"eta of sulq must be in 0\.0\.\.4\.0, not 5\.0"),
        ((4, 0.1, -31.0, 0.0), ValueError, r"low of sulq must be in -30\.0\.\.30\.0, not -31\.0"),
        ((4, 0.1, -3.0, math.nan), ValueError, r"high of sulq must be in -30\.0\.\.30\.0, not nan"),
        (
            (4, 0.1, 1.0, 0.0),
            ValueError,
            r"eta and high - low of sulq must give two levels, not eta 0\.1 from 1\.0 to 0\.0",
        ),
    ],
)
def test_logarithmic_sulq_wrong(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sulq(*arguments)


def test_logarithmic_fit_wrong() -> None:
    with pytest.raises(TypeError, match=r"x must be an array of real numbers that fit float64, not complex128"):
        fit_sulq(np.array([1j]), 4)
    with pytest.raises(ValueError, match=r"x must be finite, not below zero, and not all equal"):
        fit_sulq([1.0, 1.0], 4)
    with pytest.raises(ValueError, match=r"etas must hold at least one shift, not none"):
        fit_sulq([0.0, 1.0], 4, ())
