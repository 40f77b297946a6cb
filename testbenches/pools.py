# SPDX-License-Identifier: Apache-2.0
"""The codes that random rows are drawn from, by kind, and how often each kind comes."""

import numpy as np
from numpy.typing import NDArray

from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, PositSpec

__all__ = [
    "EXHAUSTIVE_BITS",
    "KINDS",
    "LONGEST_SUM",
    "ODDS",
    "POOL",
    "finite_codes",
    "negated",
    "pools",
]

EXHAUSTIVE_BITS = 16
"""A format, or two together, of at most so many bits have all their codes listed."""
POOL = 4096
"""Codes drawn from a format that has too many to list."""
LONGEST_SUM = 24
"""Steps of the longest random dot product."""
KINDS = ("any", "finite", "near", "small", "large", "normal", "cancelling")
"""Kinds of random dot products: the pools, and that whose products almost cancel in pairs."""
ODDS = (0.05, 0.15, 0.25, 0.1, 0.05, 0.2, 0.2)
"""How often each kind comes."""


def _codes(spec: ScalarSpec) -> NDArray[np.integer]:
    """List the codes of a format, or a seeded choice of them."""
    if spec.bits <= EXHAUSTIVE_BITS:
        return np.arange(1 << spec.bits)
    if spec.bits > 63:  # more than an int64 holds
        return np.random.default_rng(spec.bits).integers(0, 1 << spec.bits, POOL, dtype=np.uint64)
    return np.random.default_rng(spec.bits).integers(0, 1 << spec.bits, POOL)


def finite_codes(spec: ScalarSpec) -> NDArray[np.integer]:
    """List the codes of a format that are numbers."""
    codes = _codes(spec)
    return codes[np.isfinite(spec.decode(codes.astype(np.uint64)))]


def negated(spec: ScalarSpec, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Change the signs of codes, where the format has signs."""
    if isinstance(spec, CodebookSpec):
        return spec.encode(-spec.decode(codes)).astype(codes.dtype)
    if not (isinstance(spec, PositSpec) or spec.signed):
        return codes
    if isinstance(spec, IntegerSpec | PositSpec):
        return -codes & ((1 << spec.bits) - 1)
    return np.where(codes == 0, 0, codes ^ (1 << (spec.bits - 1)))


def pools(spec: ScalarSpec, random: np.random.Generator) -> dict[str, NDArray[np.integer]]:
    """List the codes to draw from, by kind."""
    finite = finite_codes(spec)
    magnitude = np.abs(spec.decode(finite.astype(np.uint64)))
    ordered = finite[np.argsort(magnitude, kind="stable")]
    part = max(2, ordered.size // 4)
    spread = min(spec.max_value / 4, 1.0) if isinstance(spec, FloatSpec | PositSpec) else spec.max_value / 3
    normal = spec.encode(np.clip(random.normal(0.0, spread, POOL), spec.min_value, spec.max_value)).astype(finite.dtype)
    near = finite[(magnitude == 0) | ((magnitude >= 2.0**-12) & (magnitude <= 2.0**12))]
    if isinstance(spec, IntegerSpec) and spec.bits > EXHAUSTIVE_BITS:  # too rare to be among those drawn
        small = np.random.default_rng((spec.bits, 1)).integers(-(2**12) if spec.signed else 0, 2**12 + 1, POOL)
        near = (small & ((1 << min(spec.bits, 63)) - 1)).astype(finite.dtype)
    return {
        "any": _codes(spec),
        "finite": finite,
        "near": near,
        "small": ordered[:part],
        "large": ordered[-part:],
        "normal": normal,
    }
