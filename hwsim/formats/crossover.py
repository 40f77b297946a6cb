# SPDX-License-Identifier: Apache-2.0
"""Where integers overtake floats: closed forms of the QSNR, exact integrals, and our own quantizers on Gaussian blocks.

Source: INT v.s. FP, arXiv:2510.25602, figure 3 and appendix, with the constants of its published code. There, kappa is
the crest factor of a block, its largest magnitude over sigma; rho the overhead of its scale over the one that would put
the largest magnitude on the format's largest value; sigma is 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from hwsim.formats.block import BlockSpec, ScaleRule
from hwsim.formats.catalog import named
from hwsim.formats.codes import code_dtype
from hwsim.formats.float import FloatSpec, Specials
from hwsim.formats.integer import IntegerSpec
from hwsim.formats.quantization import quantize

__all__ = [
    "CONTESTS",
    "Contest",
    "Crossing",
    "Measured",
    "closed_crossing",
    "exact_crossing",
    "gaussian_noise",
    "measured_assumed",
    "measured_blocks",
    "qsnr_float",
    "qsnr_integer",
]


class Crossing(NamedTuple):
    """The crest factor where both formats have the same QSNR, and that QSNR in dB."""

    kappa: float
    qsnr_db: float


class Measured(NamedTuple):
    """A crossing found by sampling: each figure with its standard error, and the blocks drawn."""

    kappa: float
    kappa_error: float
    qsnr_db: float
    qsnr_error: float
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """An integer and a float block format of the same width.

    name : of the contest
    integer, floating : the block formats
    rho : the paper's overhead of the scale
    exact_max : elements of a block whose largest the paper takes as free of error (NV, a fine scale), or 0: none is
    paper : the crossing that the paper's figure 3 prints
    """

    name: str
    integer: BlockSpec
    floating: BlockSpec
    rho: float
    exact_max: int
    paper: Crossing


def _block(name: str) -> BlockSpec:
    """Return a block format with the scale of the paper's equation 9: powers of two rounded up, nothing clipped."""
    spec = named(name)
    assert isinstance(spec, BlockSpec)
    return replace(spec, rule=ScaleRule.CEIL) if spec.rule.is_power else spec


CONTESTS = tuple(
    Contest(name=name, integer=_block(integer), floating=_block(floating), rho=rho, exact_max=exact_max, paper=paper)
    for name, integer, floating, rho, exact_max, paper in (
        ("MXINT8 / MXFP8", "mxint8", "mxfp8_e4m3", 1.5, 0, Crossing(7.55, 31.86)),
        ("MXINT6 / MXFP6", "mxint6", "mxfp6_e2m3", 1.5, 0, Crossing(1.96, 31.54)),
        ("MXINT4 / MXFP4", "mxint4", "mxfp4", 1.5, 0, Crossing(2.04, 19.14)),
        ("NVINT4 / NVFP4", "nvint4", "nvfp4", 1.05, 16, Crossing(2.39, 21.14)),
    )
)


def qsnr_integer(kappa: float, bits: int, rho: float, exact_max: int = 0) -> float:
    """Return the QSNR in dB of an integer: uniform noise of a step of ``rho * kappa / 2**(bits - 1)``, nothing clipped.

    Parameters
    ----------
    kappa, rho : float
        Crest factor and overhead of the scale, positive.
    bits : int
        Of the integer, with its sign.
    exact_max : int
        Elements in a block whose largest has no error; 0: every element has.

    Source
    ------
    ``10.8 + 6.02 (bits - 1) - 20 log10(rho kappa)`` as the paper's code rounds it, or, with exact_max g, a noise of
    ``(rho kappa)**2 / (12 * 4**(bits - 1)) * (1 - 1 / g)``.
    """
    if exact_max:
        noise = (rho * kappa) ** 2 / 12 / 4.0 ** (bits - 1) * (1 - 1 / exact_max)
        return -10 * math.log10(noise)
    return 10.8 + 6.02 * (bits - 1) - 20 * math.log10(rho * kappa)


def qsnr_float(kappa: float, spec: FloatSpec, rho: float, exact_max: int = 0) -> float:
    """Return the QSNR in dB of a float on Gaussian values, by three integrals over them.

    Parameters
    ----------
    kappa, rho, exact_max
        As in `qsnr_integer`.
    spec : FloatSpec
        Its mantissa bits, bias and largest value count.

    Source
    ------
    With ``s = rho kappa / max``: values above the smallest normal, s 2**(1 - bias), have a relative error of variance
    ``1 / (24 * 4**M)``; those below, that of a constant step; those below half that step are lost. Nothing is clipped.
    """
    scale = rho * kappa / spec.max_value
    lost, normal = scale * 2.0 ** (-spec.bias - spec.man_bits), scale * 2.0 ** (1 - spec.bias)
    weight_normal = 2 * (normal * _density(normal) + float(ndtr(-normal)))
    if exact_max:
        weight_normal = max(0.0, weight_normal - kappa**2 / exact_max)
    share_below = 2 * float(ndtr(normal) - ndtr(lost))
    weight_lost = 2 * float(ndtr(lost)) - 1 - 2 * lost * _density(lost)
    step = scale * 2.0 ** (1 - spec.bias - spec.man_bits)
    return -10 * math.log10(weight_normal / (24 * 4.0**spec.man_bits) + step**2 / 12 * share_below + weight_lost)


def closed_crossing(contest: Contest) -> Crossing:
    """Return where the paper's two closed forms meet, within a factor 2 of its printed crest factor."""
    integer, floating = _elements(contest)
    rho, exact_max = contest.rho, contest.exact_max

    def lead(kappa: float) -> float:
        return qsnr_integer(kappa, integer.bits, rho, exact_max) - qsnr_float(kappa, floating, rho, exact_max)

    kappa = float(brentq(lead, contest.paper.kappa / 2, contest.paper.kappa * 2))
    return Crossing(kappa, qsnr_integer(kappa, integer.bits, rho, exact_max))


def gaussian_noise(spec: IntegerSpec | FloatSpec, scale: float, sigma: float = 1.0) -> float:
    """Return the mean squared error of a scalar format on values of a normal distribution, as an integral.

    Parameters
    ----------
    spec : IntegerSpec or FloatSpec
        Of at most 16 bits; values are rounded to the nearest and saturate.
    scale, sigma : float
        What an element is multiplied by, and the standard deviation of the values; positive.

    Returns
    -------
    float
        The sum over the format's values v of the integral of ``(x - scale * v)**2`` between the midpoints, each in
        closed form: no sampling error, float64 rounding only.
    """
    values = _values(spec) * (scale / sigma)
    middles = (values[1:] + values[:-1]) / 2
    below = np.concatenate([[0.0], ndtr(middles), [1.0]])
    density = np.concatenate([[0.0], np.exp(-(middles**2) / 2) / math.sqrt(2 * math.pi), [0.0]])
    moment = np.concatenate([[0.0], middles, [0.0]]) * density
    mass, mean = np.diff(below), -np.diff(density)
    square = mass - np.diff(moment)
    return float((values**2 * mass - 2 * values * mean + square).sum()) * sigma**2


def exact_crossing(contest: Contest, *, rounded: bool = False) -> Crossing:
    """Return the crossing under the paper's assumptions but without the approximations of its noise.

    Values are Gaussian, and nothing is clipped: the formats go on beyond their largest value in the same steps. Where
    the largest element is exact, it is one of the block's, and the others have the variance that leaves the block with
    one of 1.

    Parameters
    ----------
    contest : Contest
    rounded : bool
        If not, the scales are the paper's, ``rho kappa / 2**(bits - 1)`` and ``rho kappa / max``. If so, the integer's
        is ``rho kappa / (2**(bits - 1) - 1)``, and the noise is its mean over rho log-uniform in [1, 2), as powers of
        two rounded up have it; rho is 1 for scales of E4M3.
    """
    rhos = [contest.rho]
    if rounded:
        rhos = [1.0] if contest.exact_max else np.exp2((np.arange(32) + 0.5) / 32).tolist()

    def qsnr(kappa: float) -> tuple[float, float]:
        sigma, share = _others(np.array(kappa), contest)
        integers, floats = zip(*(_unlimited(contest, np.array(kappa), rho, rounded) for rho in rhos), strict=True)
        integer, floating = (
            float(np.mean([gaussian_noise(spec, float(scale), float(sigma)) for spec, scale in part])) * share
            for part in (integers, floats)
        )
        return -10 * math.log10(integer), -10 * math.log10(floating)

    def lead(kappa: float) -> float:
        return float(np.subtract(*qsnr(kappa)))

    kappa = float(brentq(lead, contest.paper.kappa / 1.5, contest.paper.kappa * 1.5))
    return Crossing(kappa, qsnr(kappa)[0])


def measured_assumed(contest: Contest, blocks: int = 1 << 15, seed: int = 0) -> Measured:
    """Find the crossing of `exact_crossing` with `quantize` on random values.

    Parameters
    ----------
    contest : Contest
    blocks : int
        To draw.
    seed : int
        Of the values.

    Returns
    -------
    Measured
        See `measured_blocks` for the fit and the errors.
    """
    centre = exact_crossing(contest).kappa
    rng = np.random.default_rng(seed)
    size = contest.integer.block_size
    parts = []
    for _ in range(_BATCHES):
        kappa = _spread(rng, centre, blocks // _BATCHES)
        sigma, share = _others(kappa, contest)
        values = rng.standard_normal((kappa.size, size - (contest.exact_max > 0))) * sigma[:, None]
        noises = []
        for spec, scale in _unlimited(contest, kappa, contest.rho, False):
            quantized = quantize(values, spec, scale=scale.astype(np.float32)[:, None])
            noises.append(np.square(quantized.dequantize() - values).mean(axis=1) * share)
        parts.append((kappa, *noises))
    return _crossing(centre, parts)


def measured_blocks(contest: Contest, blocks: int = 1 << 15, seed: int = 0) -> Measured:
    """Find the crossing of the real block formats, scales rounded, on Gaussian blocks.

    Where the paper's crest factor can be that of a block's own values, below the root of its size, sigma is their root
    mean square: one element of a block is kappa, the others are Gaussian, scaled so that the mean square is 1, and
    drawn again while one is above kappa. These are the Gaussian blocks of that crest factor, no others; noise is that
    of all elements. Where it cannot (7.55 in a block of 32), sigma is that of the other elements, and so is the
    noise, as in the closed form. Each block is multiplied by a random factor, log-uniform in [1, 2), so that rounded
    scales have all their overheads.

    Parameters
    ----------
    contest : Contest
    blocks : int
        To draw.
    seed : int
        Of the values.

    Returns
    -------
    Measured
        Crest factors are log-uniform within a factor 1.15 of the crossing expected, and gathered in 24 bins; the bins'
        mean noises in dB are fitted by parabolas in log kappa, which meet there (with exact noises in place of samples:
        within 0.0002 and 0.0005 dB of their crossing). The errors are standard errors: the scatter of the fits to 16
        independent parts of the blocks, over 4. The QSNR is that of a tensor of such blocks.
    """
    centre = exact_crossing(contest, rounded=True).kappa
    rng = np.random.default_rng(seed)
    size = contest.integer.block_size
    own = contest.paper.kappa**2 < size
    parts = []
    for _ in range(_BATCHES):
        kappa = _spread(rng, centre, blocks // _BATCHES)
        values = _draw_blocks(rng, kappa, size, own)
        factors = np.exp2(rng.random((len(values), 1)))
        noises = []
        for spec in (contest.integer, contest.floating):
            errors = np.square(quantize(values * factors, spec).dequantize() / factors - values)
            noises.append(errors[:, 0 if own else 1 :].mean(axis=1))
        parts.append((kappa, *noises))
    return _crossing(centre, parts)


_BATCHES = 16
_BINS = 24
_WINDOW = 1.15


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@lru_cache(maxsize=16)
def _values(spec: IntegerSpec | FloatSpec) -> NDArray[np.float64]:
    """Return the values that a format encodes to, in order."""
    values = np.unique(spec.decode(np.arange(1 << spec.bits).astype(code_dtype(spec.bits))))
    return values[(values >= spec.min_value) & (values <= spec.max_value)]


def _elements(contest: Contest) -> tuple[IntegerSpec, FloatSpec]:
    integer, floating = contest.integer.element, contest.floating.element
    assert isinstance(integer, IntegerSpec)
    assert isinstance(floating, FloatSpec)
    return integer, floating


def _others(kappa: NDArray[np.float64], contest: Contest) -> tuple[NDArray[np.float64], float]:
    """Return the deviation of the elements that have noise, and their share of the block."""
    size = contest.exact_max
    if not size:
        return np.ones_like(kappa), 1.0
    return np.sqrt((size - kappa**2) / (size - 1)), 1 - 1 / size


def _unlimited(
    contest: Contest, kappa: NDArray[np.float64], rho: float, rounded: bool
) -> tuple[tuple[IntegerSpec, NDArray[np.float64]], tuple[FloatSpec, NDArray[np.float64]]]:
    """Return both elements with values far beyond their largest, in the same steps, and their scales."""
    integer, floating = _elements(contest)
    largest = 2 ** (integer.bits - 1) - rounded
    wide = replace(floating, exp_bits=5, specials=Specials.FINITE)
    return (IntegerSpec(bits=12), rho * kappa / largest), (wide, rho * kappa / floating.max_value)


def _spread(rng: np.random.Generator, centre: float, count: int) -> NDArray[np.float64]:
    """Return crest factors, log-uniform within a factor of the window from the centre."""
    return centre * _WINDOW ** rng.uniform(-1, 1, count)


def _draw_blocks(rng: np.random.Generator, kappa: NDArray[np.float64], size: int, own: bool) -> NDArray[np.float64]:
    """Return Gaussian blocks with kappa in front; of mean square 1 if own, redrawn until kappa is the largest."""
    values = np.empty((kappa.size, size))
    wanted = np.arange(kappa.size)
    while wanted.size:
        tried = np.tile(wanted, max(1, 4096 // wanted.size))  # the last few are the rarest
        drawn, largest = rng.standard_normal((tried.size, size)), kappa[tried]
        if own:
            drawn *= np.sqrt((size - largest**2) / np.square(drawn[:, 1:]).sum(axis=1))[:, None]
        drawn[:, 0] = largest * rng.choice([-1.0, 1.0], largest.size)
        good = np.abs(drawn).max(axis=1) <= largest
        values[tried[good]] = drawn[good]
        wanted = np.setdiff1d(wanted, tried[good])
    return values


def _crossing(centre: float, parts: Sequence[tuple[NDArray[np.float64], ...]]) -> Measured:
    """Return the crossing of all parts together, and the errors from their scatter."""
    each = np.array([_fit(centre, *part) for part in parts])
    kappa, decibel = _fit(centre, *(np.concatenate(column) for column in zip(*parts, strict=True)))
    errors = each.std(axis=0, ddof=1) / math.sqrt(len(parts))
    return Measured(kappa, float(errors[0]), decibel, float(errors[1]), sum(part[0].size for part in parts))


def _fit(
    centre: float, kappa: NDArray[np.float64], integer: NDArray[np.float64], floating: NDArray[np.float64]
) -> tuple[float, float]:
    """Return where the parabolas through the noises' bins meet, and the QSNR there."""
    place = np.log(kappa / centre) / math.log(_WINDOW)
    index = np.clip((place + 1) / 2 * _BINS, 0, _BINS - 1).astype(np.int64)
    counts = np.bincount(index, minlength=_BINS)
    if counts.min() < 4:
        raise ValueError(f"blocks must be more than {kappa.size} in each of {_BATCHES} parts to find a crossing")
    centres = np.bincount(index, place) / counts
    fits = [np.polyfit(centres, -10 * np.log10(np.bincount(index, noise) / counts), 2) for noise in (integer, floating)]
    lead = fits[0] - fits[1]
    if np.polyval(lead, -1) <= 0 or np.polyval(lead, 1) >= 0:
        raise ValueError(f"blocks must be more than {kappa.size} in each of {_BATCHES} parts to find a crossing")
    root = float(brentq(lambda at: float(np.polyval(lead, at)), -1, 1))
    return centre * _WINDOW**root, float(np.polyval(fits[0], root))
