# SPDX-License-Identifier: Apache-2.0
"""How often arithmetic in a small float puts the largest value of an INT8 block on -128 in place of -127."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec

__all__ = [
    "overshoot_exact",
    "overshoot_measured",
]


def overshoot_exact(arithmetic: FloatSpec) -> float:
    """Return the share of values that land on -128 or 128 where INT8's arithmetic is that of a small float.

    A value x of normal distribution, held in the float, is its own block's largest; ``s = |x| / 127`` and ``q = x / s``
    are each rounded to the float, and q to an integer. Exactly, q is 127 or -127; the share of 128 and -128 is the
    probability that the roundings lift it there: a sum over all codes of the float, each with the probability of the
    values that round to it.

    Parameters
    ----------
    arithmetic : FloatSpec
        At most 16 bits, with a sign.

    Source
    ------
    arXiv:2510.25602: 16.82 % with BF16, 0.02 % with FP16, 0 % with FP32. It does not say how these were
    counted; this reading gives all three.
    """
    values = arithmetic.decode(np.arange(1, arithmetic.max_magnitude_code + 1).astype(code_dtype(arithmetic.bits)))
    upper = np.concatenate([(values[1:] + values[:-1]) / 2, [math.inf]])
    lower = np.concatenate([[values[0] / 2], upper[:-1]])
    mass = 2 * (ndtr(-lower) - ndtr(-upper))  # the tails: no cancellation
    return float(mass[_overshoots(values, arithmetic)].sum())


def overshoot_measured(
    arithmetic: FloatSpec, samples: int = 1 << 22, seed: int = 0, *, block: int = 1
) -> tuple[float, float]:
    """Return the share of `overshoot_exact` by sampling, and its standard error, or one block's share if that is more.

    Parameters
    ----------
    arithmetic : FloatSpec
    samples, seed : int
        Values of normal distribution.
    block : int
        Elements of a block; the share is that of the blocks, by their largest magnitudes.
    """
    rng = np.random.default_rng(seed)
    drawn = np.abs(rng.standard_normal((samples // block, block))).max(axis=1)
    share = float(_overshoots(arithmetic.decode(arithmetic.encode(drawn)), arithmetic).mean())
    return share, max(math.sqrt(share * (1 - share) / len(drawn)), 1 / len(drawn))


def _overshoots(values: NDArray[np.float64], arithmetic: FloatSpec) -> NDArray[np.bool_]:
    """Return where magnitudes held in the float, over the scale from themselves, round to 128 or more."""
    scales = arithmetic.decode(arithmetic.encode(values / 127))
    with np.errstate(divide="ignore", invalid="ignore"):  # a scale that underflowed gives infinity, and of zero NaN
        quotients = values / scales
    found = np.isfinite(quotients)
    rounded = arithmetic.decode(arithmetic.encode(np.where(found, quotients, 0.0)))
    return np.asarray(np.where(found, np.rint(rounded) >= 128, quotients > 0))
