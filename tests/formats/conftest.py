# SPDX-License-Identifier: Apache-2.0
"""An independent oracle of floats in rational numbers, and how many values a slow mode gets."""

import math
import os
import sys
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.formats import FloatSpec, Specials

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
BOUNDS_CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0"
MODES = ("nearest_even", "nearest_away", "toward_zero", "up", "down", "to_odd")


def as_float(value: Fraction) -> float:
    """Return value, which must be a float64, or infinity beyond the largest."""
    try:
        exact = float(value)
    except OverflowError:
        return math.inf
    assert Fraction(exact) == value
    return exact


class Oracle:
    """Encode by comparing with a table of the format's values and their midpoints, all computed in fractions."""

    def __init__(self, spec: FloatSpec) -> None:
        self.spec = spec
        self.codes = 1 << (spec.exp_bits + spec.man_bits)  # of magnitudes
        not_finite = {
            Specials.IEEE: 1 << spec.man_bits,
            Specials.FN: 1,
            Specials.FNUZ: 0,
            Specials.FINITE: 0,
            Specials.EXTENDED: 1 if spec.signed else 2,
        }[spec.specials]
        self.largest = self.codes - not_finite - 1
        # One more, as if there were no upper limit.
        grid = [self.value(code) for code in range(self.largest + 2)]
        assert all(low < high for low, high in pairwise(grid))
        self.exact = grid
        self.grid = np.array([as_float(value) for value in grid])
        self.midpoints = np.array([as_float((a + b) / 2) for a, b in pairwise(grid)])

    def value(self, code: int) -> Fraction:
        """Return the value of a magnitude by the definition: sum of its bits' weights."""
        spec = self.spec
        field, mantissa = divmod(code, 1 << spec.man_bits)
        hidden = int(field > 0 or not spec.subnormals)
        exponent = (1 if field == 0 and spec.subnormals else field) - spec.bias
        return (hidden + Fraction(mantissa, 1 << spec.man_bits)) * Fraction(2) ** exponent

    def parity(self, code: int) -> int:
        """Return whether a magnitude's significand is odd; without mantissa and with a zero, whether its code is."""
        if self.spec.man_bits == 0 and self.spec.subnormals:
            return code & 1
        return self.significand(code) & 1

    def significand(self, code: int) -> int:
        """Return a magnitude's significand."""
        field, mantissa = divmod(code, 1 << self.spec.man_bits)
        return mantissa + (int(field > 0 or not self.spec.subnormals) << self.spec.man_bits)

    def boundaries(self) -> NDArray[np.float64]:
        """Return every value, midpoint, the float64 above and below each, and what stands at the ends; both signs."""
        ends = [0.0, 5e-324, 2.0**-1022, 1.7976931348623157e308, math.inf]
        points = np.concatenate([self.grid, self.midpoints, ends])
        points = points[np.isfinite(points) | (points == math.inf)]
        with np.errstate(over="ignore", under="ignore"):
            near = np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, math.inf)])
        unique = np.unique(near)
        return np.concatenate([unique, -unique])

    def magnitudes(self, values: NDArray[np.float64], rounding: str) -> NDArray[np.int64]:
        """Return the rounded magnitudes' codes; largest + 1 for what is beyond, 0 for what is below the smallest."""
        size = np.abs(values)
        low = np.searchsorted(self.grid[: self.largest + 1], size, side="right") - 1
        below = low < 0
        low = np.maximum(low, 0)
        inexact = (self.grid[low] != size) & ~below & np.isfinite(size)
        over = size > self.midpoints[low]
        tie = size == self.midpoints[low]
        odd = np.array([self.parity(code) for code in range(self.largest + 2)])
        negative = np.signbit(values)
        # A tie where both neighbours are odd, as in E8M0, goes to the larger (IEEE 754-2019, 4.3.1).
        step = {
            "nearest_even": over | (tie & (odd[low] == 1)),
            "nearest_away": over | tie,
            "toward_zero": np.zeros(size.shape, np.bool_),
            "up": ~negative,
            "down": negative,
            "to_odd": odd[low] == 0,
        }[rounding]
        codes = low + (step & inexact)
        codes = np.where(size >= self.grid[-1], self.largest + 1, codes)
        return np.asarray(np.where(below, 0, codes), np.int64)

    def encode(self, values: NDArray[np.float64], rounding: str, overflow: str) -> NDArray[np.int64]:
        """Return the codes of values without NaN."""
        spec = self.spec
        sign = self.codes if spec.signed else 0
        nan = {
            Specials.IEEE: self.largest + 1 + (1 << max(spec.man_bits - 1, 0)),
            Specials.FN: self.codes - 1,
            Specials.FNUZ: self.codes,
            Specials.FINITE: -1,
            Specials.EXTENDED: self.codes if spec.signed else self.codes - 1,
        }[spec.specials]
        codes = self.magnitudes(values, rounding)
        has_infinity = spec.specials in (Specials.IEEE, Specials.EXTENDED)
        infinity = self.largest + 1 if has_infinity else nan
        saturates = self.saturates(values, rounding, overflow, has_infinity)
        codes = np.where(codes > self.largest, np.where(saturates, self.largest, infinity), codes)
        missing = np.zeros(values.shape, np.bool_)
        if not spec.subnormals:
            missing |= values == 0
        if not spec.signed:
            missing |= np.signbit(values) & ((codes != 0) | (not spec.subnormals))
        codes = np.where(missing, np.where(saturates, 0, nan), codes)
        no_negative_zero = nan == self.codes and spec.signed
        signed = np.signbit(values) & (codes != nan) & ~((codes == 0) & no_negative_zero)
        return np.asarray(np.where(signed, codes | sign, codes))

    def saturates(
        self, values: NDArray[np.float64], rounding: str, overflow: str, has_infinity: bool
    ) -> NDArray[np.bool_]:
        """Return where what is beyond the ends becomes the end: P3109's SatFinite, SatPropagate and SatNone."""
        finite = np.isfinite(values)
        if overflow in ("saturate", "infinity"):
            return np.full(values.shape, overflow == "saturate")
        if overflow == "propagate":
            return finite
        above, below = values > 0, values < 0
        if rounding == "to_odd":  # the end's code is odd, and that of the infinity above it even
            odd_end = has_infinity and self.largest % 2 == 1
            return finite & odd_end & (above | (below & self.spec.signed))
        toward_end = {"toward_zero": above | below, "down": above, "up": below}
        return finite & toward_end.get(rounding, np.zeros(values.shape, np.bool_))

    def stochastic(self, value: float, random: int, random_bits: int) -> int:
        """Return the magnitude's code of a stochastic rounding, by its definition; largest + 1 for what is beyond."""
        size = abs(Fraction(value))
        if size < self.exact[0]:
            return 0
        if size >= self.exact[-1]:
            return self.largest + 1
        low = bisect_right(self.exact, size) - 1
        part = (size - self.exact[low]) / (self.exact[low + 1] - self.exact[low])
        return low + int(math.floor(part * 2**random_bits) + random >= 2**random_bits)

    def nearest_even(self, value: Fraction) -> int:
        """Return the code of a rational number, rounded to nearest even; saturates."""
        size = abs(value)
        low = max(bisect_right(self.exact, size) - 1, 0)
        code = low
        if low <= self.largest:
            twice = 2 * size - self.exact[low] - self.exact[low + 1]
            code += int(twice > 0 or (twice == 0 and self.parity(low) == 1))
        code = min(code, self.largest)
        drop_sign = value >= 0 or (code == 0 and self.spec.specials is Specials.FNUZ)
        return code if drop_sign else code | self.codes


_ORACLES: dict[FloatSpec, Oracle] = {}


@pytest.fixture(scope="session")
def oracle() -> Callable[[FloatSpec], Any]:
    """Return the maker of oracles, which keeps them."""

    def make(spec: FloatSpec) -> Oracle:
        if spec not in _ORACLES:
            _ORACLES[spec] = Oracle(spec)
        return _ORACLES[spec]

    return make


@pytest.fixture(scope="session")
def thin() -> Callable[..., Any]:
    """Return what thins values out where kernels run as plain Python; all of them elsewhere."""

    def choose(values: NDArray[Any], keep: int = 2000) -> NDArray[Any]:
        if not INTERPRETED or values.size <= keep:
            return values
        return values[np.linspace(0, values.size - 1, keep).astype(np.int64)]

    return choose


@pytest.fixture(scope="session")
def counted() -> Callable[[int, int], None]:
    """Return the check of how many values were compared: as many as said at least, or a thousand if thinned."""

    def check(compared: int, expected: int) -> None:
        sys.stdout.write(f"compared {compared}\n")  # `pytest -rP` shows it
        assert compared >= expected or (INTERPRETED and compared >= 1000), compared

    return check
