# SPDX-License-Identifier: Apache-2.0
"""The values and codes at which a format is compared with a reference."""

from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from hwsim.formats.codes import code_dtype

__all__ = [
    "all_halves",
    "boundaries",
    "codes",
    "doubles",
    "singles",
]

_ENUMERATED_BITS = 16  # up to this width all codes are compared
_SAMPLE = 1 << 13


@lru_cache(maxsize=1)
def all_halves() -> NDArray[np.float32]:
    """Return every float16 and every bfloat16, NaNs and infinities included."""
    patterns = np.arange(1 << 16).astype(np.uint16)
    with np.errstate(invalid="ignore"):
        return np.concatenate([patterns.view(kind).astype(np.float32) for kind in (np.float16, ml_dtypes.bfloat16)])


def codes(spec: Any) -> NDArray[np.unsignedinteger]:
    """Return all codes of a format of up to 16 bits; of a wider one 2**13 random ones and those at the ends."""
    dtype = code_dtype(spec.bits)
    if spec.bits <= _ENUMERATED_BITS:
        return np.arange(1 << spec.bits).astype(dtype)
    words = np.random.default_rng(spec.bits).integers(0, 1 << 64, _SAMPLE, dtype=np.uint64)
    words >>= np.uint64(64 - spec.bits)
    one, sign = np.uint64(1), np.uint64(1 << (spec.bits - 1))
    ends = np.array([0, one, sign - one, sign, sign + one, sign | (sign - one)], np.uint64)
    return np.concatenate([words, ends]).astype(dtype)


@lru_cache(maxsize=4)
def boundaries(spec: Any) -> NDArray[np.float64]:
    """Return the values of `codes`, the middles of neighbours, and what stands one step beyond the ends; finite.

    The middle is also taken of the exponents, which is where posits and logarithmic codes may round.
    """
    values = spec.decode(codes(spec))
    values = np.unique(values[np.isfinite(values)])
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        middles = values[:-1] / 2 + values[1:] / 2
        geometric = np.sign(values[1:]) * np.sqrt(np.abs(values[:-1])) * np.sqrt(np.abs(values[1:]))
        step = np.diff(values)[[0, -1]] if values.size > 1 else np.zeros(2)
        beyond = [values[0] - step[0] * place for place in (0.5, 1, 1.5)]
        beyond += [values[-1] + step[1] * place for place in (0.5, 1, 1.5)]
        ends = [-0.0, 2.0**-149, -(2.0**-149), 3.4028234663852886e38, -3.4028234663852886e38]
        every = np.concatenate([values, middles, geometric, beyond, ends])
    return np.asarray(every[np.isfinite(every)])


def _distinct(patterns: NDArray[Any]) -> NDArray[Any]:
    """Return sorted patterns, each once; numpy's own `unique` hashes integers, which is ten times slower here."""
    ordered = np.sort(patterns)
    return np.asarray(ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])])


@lru_cache(maxsize=2)
def singles(spec: Any) -> NDArray[np.float32]:
    """Return all float32 values at which the format is compared, each once.

    Every float16, every bfloat16, every value and middle of the format, and one float32 below and above each of these
    two. NaN and infinities are among them, NaN only where the format has one.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        points = boundaries(spec).astype(np.float32)
        near = np.concatenate([points, *(np.nextafter(points, np.float32(end)) for end in (-np.inf, np.inf))])
        every = np.concatenate([all_halves(), near])
    unique = _distinct(every.view(np.uint32)).view(np.float32)
    return unique if spec.has_nan else unique[~np.isnan(unique)]


@lru_cache(maxsize=2)
def doubles(spec: Any) -> NDArray[np.float64]:
    """Return the format's values and middles, and one float64 below and above each of them; finite."""
    with np.errstate(over="ignore", under="ignore"):
        points = boundaries(spec)
        every = np.concatenate([points, *(np.nextafter(points, end) for end in (-np.inf, np.inf))])
    unique = _distinct(every.view(np.uint64)).view(np.float64)
    return unique[np.isfinite(unique)]
