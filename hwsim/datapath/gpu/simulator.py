# SPDX-License-Identifier: Apache-2.0
"""The operations of `intrinsics` in plain Python, for Numba's simulator of a GPU; slow and exact."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.datapath.gpu.reals import Real

__all__ = [
    "DOUBLE",
    "SINGLE",
    "add_max",
    "add_odd",
    "dot4",
]


def _halves(word: int) -> tuple[int, int]:
    low, high = int(word) & 0xFFFF, (int(word) >> 16) & 0xFFFF
    return low - ((low >> 15) << 16), high - ((high >> 15) << 16)


def add_max(a: int, b: int, c: int) -> Any:
    """Return max(a + b, c) of each half of a word, two's complement of 16 bits."""
    x, y, z = _halves(a), _halves(b), _halves(c)
    low, high = (max(x[at] + y[at], z[at]) & 0xFFFF for at in (0, 1))
    return np.uint32(low | high << 16).view(np.int32)


def dot4(a_signed: bool, b_signed: bool) -> Any:
    """Return a function that adds the products of two words' four bytes to a third word, modulo 2**32."""

    def call(a: int, b: int, c: int) -> Any:
        total = int(c)
        for at in range(0, 32, 8):
            x, y = (int(a) >> at) & 255, (int(b) >> at) & 255
            total += (x - ((x >> 7) << 8 if a_signed else 0)) * (y - ((y >> 7) << 8 if b_signed else 0))
        return np.uint32(total & 0xFFFFFFFF).view(np.int32)

    return call


def _directed(exact: Fraction, near: Any, toward_zero: bool) -> Any:
    """Return the neighbour of an exact number that a directed rounding gives; `near` is the nearest."""
    if not np.isfinite(near) or Fraction(float(near)) == exact:
        return near
    beyond = abs(Fraction(float(near))) > abs(exact)
    if beyond == toward_zero:
        return np.nextafter(near, near.dtype.type(0 if toward_zero else np.inf * np.sign(near)))
    return near


def _multiply(dtype: Any) -> Callable[..., Any]:
    def call(x: Any, y: Any) -> Any:
        with np.errstate(all="ignore"):
            if not (np.isfinite(x) and np.isfinite(y)):
                return dtype(x) * dtype(y)
            return _directed(Fraction(float(x)) * Fraction(float(y)), dtype(x) * dtype(y), True)

    return call


def _fma(dtype: Any) -> Callable[..., Any]:
    def call(x: Any, y: Any, z: Any) -> Any:
        with np.errstate(all="ignore"):
            if not (np.isfinite(x) and np.isfinite(y)):
                return dtype(x) * dtype(y) + dtype(z)
            if not np.isfinite(z):
                return dtype(z)
            exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
            if exact == 0:
                return dtype(x) * dtype(y) + dtype(z)
            return dtype(_nearest(exact, dtype))

    return call


def _nearest(exact: Fraction, dtype: Any) -> Any:
    """Round to nearest even."""
    real = SINGLE if dtype is np.float32 else DOUBLE
    lead = abs(exact).numerator.bit_length() - exact.denominator.bit_length()
    lead -= abs(exact) < Fraction(2) ** lead
    unit = Fraction(2) ** (max(lead, real.exp_low) - real.man_bits)
    value = round(exact / unit) * unit  # of a Fraction: half to even
    return float(value) if abs(value) < Fraction(2) ** (real.exp_high + 1) else np.inf * (1 if exact > 0 else -1)


def add_odd(x: float, y: float) -> Any:
    """Add two float64, rounded to odd: a later rounding to float32 is as of the exact sum."""
    with np.errstate(all="ignore"):
        near = np.float64(x) + np.float64(y)
        if not np.isfinite(near):
            return near
        exact = Fraction(float(x)) + Fraction(float(y))
        kept = _directed(exact, near, True)
        if Fraction(float(kept)) != exact:
            return (kept.view(np.int64) | np.int64(1)).view(np.float64)
        return kept


def _single(total: int) -> int:
    magnitude = abs(int(total))
    places = max(magnitude.bit_length() - 24, 0)
    return int(np.float32((magnitude >> places << places) * (1 if total >= 0 else -1)).view(np.int32))


def _real(dtype: Any, codes: Any, man_bits: int, exp_low: int) -> Real:
    signed = np.int32 if man_bits == 23 else np.int64
    return Real(
        dtype,
        codes,
        man_bits,
        exp_low,
        1 - exp_low,
        _multiply(dtype),
        _fma(dtype),
        lambda n: dtype(np.ldexp(1.0, int(n))),
        lambda x: int(dtype(x).view(signed)),
        lambda code: codes(int(code) & (2 ** (8 * codes().nbytes) - 1)).view(dtype),
        lambda x: dtype(x).view(codes),
        _single,
    )


SINGLE = _real(np.float32, np.uint32, 23, -126)
DOUBLE = _real(np.float64, np.uint64, 52, -1022)
