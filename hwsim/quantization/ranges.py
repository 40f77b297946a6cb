# SPDX-License-Identifier: Apache-2.0
"""Ranges of tensors over a calibration set: extremes and histograms in portions, and the range that a rule chooses."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwsim.accelerator.scales import scale_top
from hwsim.formats import BlockSpec, PositSpec
from hwsim.formats.block import Scalar
from hwsim.network import Network, SteadyEngine, run
from hwsim.quantization.grids import Grid, activation_grid
from hwsim.quantization.recipe import Observer

__all__ = [
    "BINS",
    "Histogram",
    "Range",
    "choose",
    "histograms",
    "kl_divergence",
]

Array = npt.NDArray[Any]
Portions = Iterable[Mapping[str, Array]]

BINS = 2048
_SHARES = np.linspace(1.0, 0.02, 99)  # of the range's ends, that a search tries


@dataclass(slots=True, kw_only=True, eq=False)
class Range:
    """The least and the greatest value of a tensor."""

    low: float = 0.0
    high: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class Histogram:
    """Counts of a tensor's values in equal bins between its least and its greatest value (0 always in between)."""

    low: float
    high: float
    counts: npt.NDArray[np.int64]

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """The middle of each bin."""
        width = (self.high - self.low) / self.counts.size
        return np.asarray(self.low + width * (np.arange(self.counts.size) + 0.5), np.float64)


def histograms(
    network: Network,
    portions: Callable[[], Portions],
    names: frozenset[str],
    *,
    counted: bool,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Histogram]:
    """Run a calibration set through a float network, portion by portion, and count the values of tensors.

    Parameters
    ----------
    network : Network
    portions : callable
        Gives the portions anew at each call: the set is gone through once for the extremes, and where counted again
        for the counts. Only one portion is held at a time.
    names : frozenset of str
        Tensors.
    counted : bool
        Whether the counts are needed; else they are zeros.
    progress : callable
        Is told each portion.

    Returns
    -------
    dict of str to Histogram
        Of `BINS` bins. A tensor of one value has a range of width 1 around it.

    Raises
    ------
    ValueError
        Where a value is not finite.
    """
    ranges = {name: Range() for name in names}

    def extremes(name: str, value: Array) -> None:
        if name in ranges:
            low, high = float(value.min(initial=0.0)), float(value.max(initial=0.0))
            if not np.isfinite(low + high):
                raise ValueError(f"tensor {name!r} has a value that is not finite on the calibration set")
            ranges[name] = Range(low=min(ranges[name].low, low), high=max(ranges[name].high, high))

    for index, portion in enumerate(portions()):
        progress(f"portion {index + 1}: ranges")
        run(network, portion, engine=SteadyEngine(), hook=extremes)
    found = {
        name: Histogram(
            low=seen.low, high=seen.high if seen.high > seen.low else seen.low + 1.0, counts=np.zeros(BINS, np.int64)
        )
        for name, seen in ranges.items()
    }
    if not counted:
        return found

    def count(name: str, value: Array) -> None:
        if name in found:
            held = found[name]
            held.counts += np.histogram(value, BINS, (held.low, held.high))[0]

    for index, portion in enumerate(portions()):
        progress(f"portion {index + 1}: histograms")
        run(network, portion, engine=SteadyEngine(), hook=count)
    return found


def choose(
    histogram: Histogram,
    spec: Scalar | BlockSpec,
    observer: Observer,
    *,
    symmetric: bool,
    percentile: float = 99.99,
) -> tuple[float, float]:
    """Return the range that a tensor's quantizer is to cover.

    ABSMAX: all of it. PERCENTILE: the middle `percentile` per cent of the values; on one side of zero, the lowest so
    many by magnitude. MSE: of the shares 1, 0.99, ... 0.02 of both ends, that with the least squared error of the
    bins' middles, weighted by their counts. ENTROPY: of the same shares, that with the least Kullback-Leibler
    divergence (`kl_divergence`). Of equals the widest.
    Posits, densest in the middle, have powers of two above 1 as well. Block formats choose their scales as values
    come: all of it.
    Source
    ------
    Migacz, 8-bit inference with TensorRT (2017), for the divergence of clipped and quantized histograms.
    """
    low, high = histogram.low, histogram.high
    if observer is Observer.ABSMAX or isinstance(spec, BlockSpec):
        return low, high
    if observer is Observer.PERCENTILE:
        return _percentile(histogram, percentile)
    cost = _squared_error if observer is Observer.MSE else kl_divergence
    best, least = (low, high), np.inf
    wider = 2.0 ** np.arange(1, np.log2(scale_top(spec)) + 1) if isinstance(spec, PositSpec) else ()
    for share in (*_SHARES, *wider):
        grid = activation_grid(spec, share * low, share * high, symmetric=symmetric)
        assert isinstance(grid, Grid)
        found = cost(histogram, grid)
        if found < least:
            best, least = (share * low, share * high), found
    return best


def _percentile(histogram: Histogram, percentile: float) -> tuple[float, float]:
    """Return the ends between which the middle of the values lies."""
    total = np.cumsum(histogram.counts)
    edges = np.linspace(histogram.low, histogram.high, histogram.counts.size + 1)
    one_sided = histogram.low >= 0 or histogram.high <= 0
    cut = (1 - percentile / 100) * total[-1] * (1.0 if one_sided else 0.5)
    first = int(np.searchsorted(total, cut, side="right"))
    last = int(np.searchsorted(total, total[-1] - cut, side="left"))
    low = 0.0 if histogram.low >= 0 else float(edges[first])
    high = 0.0 if histogram.high <= 0 else float(edges[last + 1])
    return min(low, 0.0), max(high, 0.0)


def _squared_error(histogram: Histogram, grid: Grid) -> float:
    centres = histogram.centres
    error = grid.fake(centres.astype(np.float32)) - centres
    return float((histogram.counts * np.square(error)).sum())


def kl_divergence(histogram: Histogram, grid: Grid) -> float:
    """Return the divergence of a histogram from what is left of it after quantization.

    P: the counts, those of bins whose middle saturates added to the last bin that does not. Q: the unclipped counts of
    all bins whose middles have one code, spread evenly over those of them that are not empty. Both are normalized;
    the divergence is sum P log(P / Q) in nats over bins with P above 0; infinite where there is a P without a Q.
    """
    centres = histogram.centres.astype(np.float32)
    codes = grid.codes(centres)
    values = grid.values(codes)
    limits = grid.values(_ends(grid))
    half = float(np.max(grid.scale)) / 2 if grid.is_affine else 0.0
    inside = (centres >= limits.min() - half) & (centres <= limits.max() + half)
    if not inside.any():
        return float("inf")
    first, last = int(np.argmax(inside)), int(inside.size - 1 - np.argmax(inside[::-1]))
    counts = histogram.counts.astype(np.float64)
    p = counts[first : last + 1].copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[last + 1 :].sum()
    kept = counts[first : last + 1]
    _, group = np.unique(values[first : last + 1], return_inverse=True)
    full = kept > 0
    sums = np.bincount(group, weights=kept)
    sizes = np.bincount(group, weights=full)
    q = np.where(full, sums[group] / np.maximum(sizes[group], 1), 0.0)
    if not q.sum():
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    held = p > 0
    if (q[held] == 0).any():
        return float("inf")
    return float((p[held] * np.log(p[held] / q[held])).sum())


def _ends(grid: Grid) -> Array:
    """Return the codes of the greatest values on both sides."""
    return grid.codes(np.array([-np.finfo(np.float32).max, np.finfo(np.float32).max], np.float32))
