# SPDX-License-Identifier: Apache-2.0
"""Normal values in a scalar format: at which scale it holds them best, and their codes."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.formats.codebook import CodebookSpec
from hwsim.formats.float import FloatSpec
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.posit import PositSpec

__all__ = [
    "normal_codes",
    "normal_deviation",
]

_SAMPLES = 1 << 16
_SEED = 7
_TIE_DB = 0.1
_WIDEST = 40  # powers of two on either side of 1: no format needs more to hold normal values well

_Scalar = IntegerSpec | FloatSpec | PositSpec | CodebookSpec


@lru_cache(maxsize=512)
def normal_deviation(spec: _Scalar) -> float:
    """Return the standard deviation, a power of two, of the normal values that a format holds best.

    Best is the highest ratio of signal to quantization noise on 65,536 seeded values, rounded to nearest and saturated;
    of scales within 0.1 dB of that, the nearest to 1: wide floats hold all scales alike. A format without negative
    numbers is given magnitudes.
    """
    values = _shaped(spec, np.random.default_rng(_SEED).standard_normal(_SAMPLES))
    power = float(np.mean(values**2))
    ratios = {}
    for exponent in range(-_WIDEST, _WIDEST + 1):
        scale = 2.0**exponent
        error = float(np.mean((spec.decode(spec.encode(values * scale)) / scale - values) ** 2))
        ratios[exponent] = 10 * math.log10(power / error) if error > 0 else math.inf
    best = max(ratios.values())
    near = [exponent for exponent, ratio in ratios.items() if ratio >= best - _TIE_DB or ratio == best]
    return 2.0 ** min(near, key=lambda exponent: (abs(exponent), exponent))


def normal_codes(spec: _Scalar, values: NDArray[np.float64]) -> NDArray[np.unsignedinteger]:
    """Return the codes of standard normal values at the scale of `normal_deviation`."""
    return spec.encode(_shaped(spec, values) * normal_deviation(spec))


def _shaped(spec: _Scalar, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take magnitudes where a format has no negative numbers."""
    return values if spec.min_value < 0 else np.abs(values)
