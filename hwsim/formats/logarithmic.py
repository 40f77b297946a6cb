# SPDX-License-Identifier: Apache-2.0
"""Codebooks on powers of two, whose products are shifts: of two and of its root, shifted, signed, and their sums.

Sources (retrieved 2026-11): Li et al., arXiv:1909.13144, eqs. 3 and 5, and its build_power_value (pot, apot); Li et
al., DenseShift, ICCV 2023 (denseshift); You et al., ShiftAddViT, arXiv:2306.06446, and its deepshift/modules_q.py
(shiftadd); Lin et al., FQ-ViT, arXiv:2111.13824, and its Log2Quantizer (log2); Li et al., RepQ-ViT, arXiv:2212.08254,
and its LogSqrt2Quantizer (logsqrt2); Zhong et al., I&S-ViT, arXiv:2311.10126, and its quantizer.py (sulq). Which code
stands for which level is ours where the docstring does not say otherwise: they compute with values.
"""

import math
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.codes import check_int
from hwsim.formats.levels import Ties

__all__ = [
    "SULQ_ETAS",
    "apot",
    "denseshift",
    "fit_sulq",
    "log2",
    "logsqrt2",
    "pot",
    "shiftadd",
    "sulq",
]

SULQ_ETAS = (0.001, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.5, 1.0)
"""The shifts that I&S-ViT tries."""

_DIGITS = Context(prec=80)
# The terms of an additive power of two, by its width with the sign: the exponents of each, and zero.
_APOT_TERMS: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((1, 2, 3),),
    4: ((1, 2, 4), (3,)),
    5: ((1, 3, 5), (2, 4, 6)),
    6: ((1, 3, 6), (2, 4, 7), (5,)),
    7: ((1, 4, 7), (2, 5, 8), (3, 6, 9)),
}


def log2(bits: int) -> CodebookSpec:
    """Return powers of two down from 1, and zero: code q is ``2**-q``, and the last code is 0.

    A value goes to the level whose logarithm is nearest: q = round(-log2(v)), clipped at 0; q of the last code and
    beyond is zero. The sources have 2**bits powers and a zero on top, which `bits` bits do not hold.

    Parameters
    ----------
    bits : int
        2 to 7.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of log2", bits, 2, 7)
    return _log(f"log2_{bits}", bits, Fraction(1))


def logsqrt2(bits: int) -> CodebookSpec:
    """Return powers of the root of two down from 1, and zero: code q is ``2**(-q / 2)``, and the last code is 0.

    As `log2`, with q = round(-2 * log2(v)). An odd q is ``2**-ceil(q / 2)`` times the root, rounded to float32.

    Parameters
    ----------
    bits : int
        2 to 7.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of logsqrt2", bits, 2, 7)
    return _log(f"logsqrt2_{bits}", bits, Fraction(1, 2))


def _log(name: str, bits: int, step: Fraction) -> CodebookSpec:
    powers = [-step * code for code in range((1 << bits) - 1)]
    levels = tuple(_single_power(power) for power in powers)
    boundaries = tuple(_below_power(power - step / 2) for power in reversed(powers))
    return CodebookSpec(name=name, levels=(*levels, 0.0), ties=Ties.LOWER, boundaries=boundaries)


def pot(bits: int) -> CodebookSpec:
    """Return signed powers of two and zero: magnitude code 0 is zero, m is ``2**(m - m_max)``; the high bit is a sign.

    Parameters
    ----------
    bits : int
        2 to 6.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of pot", bits, 2, 6)
    last = (1 << (bits - 1)) - 1
    magnitudes = [0.0, *(2.0 ** (code - last) for code in range(1, last + 1))]
    return CodebookSpec(name=f"pot{bits}", levels=_signed(magnitudes))


def denseshift(bits: int) -> CodebookSpec:
    """Return signed powers of two without zero: ``2**m`` for magnitude code m from 0; the high bit is a sign.

    A value goes to the nearest level; zero to 1.

    Parameters
    ----------
    bits : int
        2 to 7.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of denseshift", bits, 2, 7)
    levels = _signed([2.0**code for code in range(1 << (bits - 1))])
    return CodebookSpec(name=f"denseshift{bits}", levels=levels)


def shiftadd(bits: int) -> CodebookSpec:
    """Return signed right shifts: ``2**-m`` for magnitude code m from 0 to ``2**(bits - 1) - 1``; the high bit a sign.

    A value goes to the level whose logarithm is nearest, ``round(log2(abs(v)))``, and zero to the smallest positive
    one; the source leaves a weight that is exactly zero at zero, for which it has no code.

    Parameters
    ----------
    bits : int
        2 to 7.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of shiftadd", bits, 2, 7)
    shifts = range(1 << (bits - 1))
    middles = [Fraction(-2 * shift - 1, 2) for shift in reversed(shifts[:-1])]
    upper = [_below_power(middle) for middle in middles]
    lower = [-math.nextafter(boundary, math.inf) for boundary in reversed(upper)]
    below_zero = math.nextafter(0.0, -math.inf)
    return CodebookSpec(
        name=f"shiftadd{bits}",
        levels=_signed([2.0**-shift for shift in shifts]),
        ties=Ties.LOWER,
        boundaries=(*lower, below_zero, *upper),
    )


def apot(bits: int) -> CodebookSpec:
    """Return signed sums of powers of two, one from each of up to three sets.

    The fields of a code are the sign and one for each term, of two bits or one, from the high bit to the low; in each,
    0 is no term. 4 and 5 bits have two terms. The source divides by the largest sum, here that is left to a scale.

    Parameters
    ----------
    bits : int
        3 to 7.

    Raises
    ------
    TypeError, ValueError
        If bits is not one of these.
    """
    check_int("bits of apot", bits, 3, 7)
    sums = [0.0]
    for exponents in _APOT_TERMS[bits]:
        terms = [0.0, *(2.0**-exponent for exponent in exponents)]
        sums = [before + term for before in sums for term in terms]
    return CodebookSpec(name=f"apot{bits}", levels=_signed(sums))


def sulq(bits: int, eta: float, low: float, high: float) -> CodebookSpec:
    """Return shifted powers of two: the logarithm of ``v + eta``, uniform from `low` to `high`.

    Code q is ``2**round(low + q * d) - eta`` with ``d = (high - low) / (2**bits - 1)``, the power rounded to an integer
    so that it is a shift, ties to even, and the difference to float32. A value goes to
    ``q = round((log2(v + eta) - low) / d)``, computed exactly; a tie goes to the even q. Where two q have one level,
    `encode` gives the lower.

    Parameters
    ----------
    bits : int
        2 to 8.
    eta : float
        The shift, above 0 and at most 4; rounded to float32.
    low, high : float
        Least and largest logarithm, -30 to 30, more than 0.5 apart so that there are two levels; rounded to float32.

    Returns
    -------
    CodebookSpec
        Its name has the parameters, each in the fewest digits that give its float32: ``sulq4_0p01_m6p64_0p0``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    check_int("bits of sulq", bits, 2, 8)
    for what, value, least, most in (("eta", eta, 0.0, 4.0), ("low", low, -30.0, 30.0), ("high", high, -30.0, 30.0)):
        if isinstance(value, bool) or not isinstance(value, float):
            raise TypeError(f"{what} of sulq must be a float, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"{what} of sulq must be in {least}..{most}, not {value!r}")
    shift, start, end = (Fraction(float(np.float32(value))) for value in (eta, low, high))
    codes = range(1 << bits)
    step = (end - start) / codes[-1]
    powers = [round(start + code * step) for code in codes] if step > 0 else [0]
    if shift == 0 or powers[0] == powers[-1]:
        raise ValueError(f"eta and high - low of sulq must give two levels, not eta {eta!r} from {low!r} to {high!r}")
    boundaries = [
        _below_power(start + (code + Fraction(1, 2)) * step, shift, up=code % 2 == 1)
        for code, (power, after) in enumerate(pairwise(powers))
        if power != after
    ]
    values = (float(np.float32(2.0**power - float(shift))) for power in powers)
    texts = (_text(np.float32(value)) for value in (eta, low, high))
    name = "_".join((f"sulq{bits}", *texts))
    return CodebookSpec(name=name, levels=tuple(values), ties=Ties.LOWER, boundaries=tuple(boundaries))


def fit_sulq(x: ArrayLike, bits: int, etas: Sequence[float] = SULQ_ETAS) -> CodebookSpec:
    """Return the `sulq` codebook with the shift that has the least mean squared error on data.

    Parameters
    ----------
    x : array of floats, any shape
        Finite, not below zero, and not all equal: attention after softmax.
    bits : int
        2 to 8.
    etas : sequence of float
        The shifts to try; the first of equals is taken. `low` and `high` are the logarithms of the least and largest
        value plus the shift, rounded to float32.

    Raises
    ------
    TypeError, ValueError
        If x is not as above; if `sulq` does not take a shift.
    """
    values = np.asarray(x)
    if not np.can_cast(values.dtype, np.float64):
        raise TypeError(f"x must be an array of real numbers that fit float64, not {values.dtype}")
    values = values.astype(np.float64)
    if not (values.size and np.isfinite(values).all() and values.min() >= 0 and values.max() > values.min()):
        raise ValueError("x must be finite, not below zero, and not all equal")
    if not len(etas):
        raise ValueError("etas must hold at least one shift, not none")
    specs = [
        sulq(bits, eta, *(float(np.float32(np.log2(end + np.float32(eta)))) for end in (values.min(), values.max())))
        for eta in etas
    ]
    errors = [float(np.mean((spec.decode(spec.encode(values)) - values) ** 2)) for spec in specs]
    return specs[int(np.argmin(errors))]


def _signed(magnitudes: Sequence[float]) -> tuple[float, ...]:
    """Return levels whose high bit is the sign."""
    return (*magnitudes, *(-magnitude for magnitude in magnitudes))


def _text(value: np.float32) -> str:
    """Return the shortest text of a float32 as a name spells it: m for minus, p for the point."""
    return str(value).replace("-", "m").replace(".", "p").replace("+", "")


def _power(exponent: Fraction) -> Decimal:
    """Return ``2**exponent`` to 80 digits."""
    return _DIGITS.power(Decimal(2), _DIGITS.divide(Decimal(exponent.numerator), Decimal(exponent.denominator)))


def _single_power(exponent: Fraction) -> float:
    """Return ``2**exponent``, or its float32 rounding where that is irrational."""
    whole = math.ceil(exponent)
    return float(np.float32(float(_power(exponent - whole)) * 2.0)) * 2.0 ** (whole - 1)


def _below_power(exponent: Fraction, shift: Fraction = Fraction(0), *, up: bool = False) -> float:
    """Return the largest float64 below ``2**exponent - shift``, or where that is a float64 and not `up`, itself."""
    whole = math.floor(exponent)
    if exponent == whole:
        point, exact = Fraction(2) ** whole - shift, True
    else:
        # A power of two with a fractional exponent is irrational: 80 digits tell it from a float64 nearby.
        point, exact = Fraction(_power(exponent - whole)) * Fraction(2) ** whole - shift, False
    nearest = float(point)
    if Fraction(nearest) > point or (exact and up and Fraction(nearest) == point):
        return math.nextafter(nearest, -math.inf)
    return nearest
