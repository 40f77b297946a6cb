# SPDX-License-Identifier: Apache-2.0
"""The quality of a format on data: signal to noise, errors, use of codes and crest factor, of tensors and blocks."""

import json
import math
import sys
from dataclasses import asdict, dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.block import BlockSpec
from hwsim.formats.catalog import Format
from hwsim.formats.quantization import Quantized, quantize
from hwsim.formats.rounding import Rounding
from hwsim.formats.tiling import Tiling

__all__ = [
    "BlockQuality",
    "Quality",
    "compare_values",
    "crest_factor",
    "measure",
    "measure_blocks",
    "qsnr_db",
]

_CHUNK = 1024  # elements whose squares are added one after another


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a format holds a tensor.

    format : name of the format
    elements : of the tensor
    bits_per_element : of storage, a block's share of its scale included
    qsnr_db : ``10 log10(sum of x**2 / sum of (y - x)**2)``; infinite where nothing was lost
    mse : mean of ``(y - x)**2``
    max_error : largest ``|y - x|``
    crest_factor : largest ``|x|`` over the root of the mean of ``x**2``
    codes_used : fraction of the ``2**bits`` codes that occur
    entropy_bits : of the codes' frequencies; what an ideal coder would need for an element
    """

    format: str
    elements: int
    bits_per_element: float
    qsnr_db: float
    mse: float
    max_error: float
    crest_factor: float
    codes_used: float
    entropy_bits: float

    def to_json(self) -> str:
        """Return the figures as a JSON object; a `qsnr_db` that is infinite as null."""
        figures = asdict(self)
        if math.isinf(self.qsnr_db):
            figures["qsnr_db"] = None
        return json.dumps(figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockQuality:
    """How well a format holds each block: arrays of float64, of the shape of the scales.

    qsnr_db and crest_factor are NaN for a block of zeros, and qsnr_db is infinite where nothing was lost.
    """

    qsnr_db: NDArray[np.float64]
    mse: NDArray[np.float64]
    max_error: NDArray[np.float64]
    crest_factor: NDArray[np.float64]


def measure(
    x: ArrayLike,
    fmt: str | Format,
    axis: int | None = -1,
    *,
    scale: ArrayLike | None = None,
    rounding: Rounding | str = "nearest_even",
) -> Quality:
    """Quantize a tensor and say what was lost.

    Parameters
    ----------
    x : array of finite floats, not all zero
    fmt, axis, scale, rounding
        As in `quantize`.

    Returns
    -------
    Quality
        All figures are of float64: x and the quantized values as such; squares are added one after another in runs of
        1024 elements in C order, and the runs' sums with `math.fsum`, so results are the same bits on every machine.

    Raises
    ------
    TypeError, ValueError, KeyError
        As `quantize`; if x is empty, all zeros, or holds a NaN or an infinity.
    """
    array = _checked(x)
    quantized = quantize(x, fmt, axis, scale=scale, rounding=rounding)
    return _quality(array, quantized)


def measure_blocks(
    x: ArrayLike,
    fmt: str | BlockSpec,
    axis: int | None = -1,
    *,
    scale: ArrayLike | None = None,
    rounding: Rounding | str = "nearest_even",
) -> BlockQuality:
    """Quantize a tensor to a block format and say what was lost in each block.

    Parameters
    ----------
    x : array of finite floats, not all zero
    fmt, axis, scale, rounding
        As in `quantize`, for a block format.

    Returns
    -------
    BlockQuality
        Arrays of the shape of the scales. Squares are added one after another along the block.

    Raises
    ------
    TypeError, ValueError, KeyError
        As `measure`; if the format has no blocks.
    """
    array = _checked(x)
    quantized = quantize(x, fmt, axis, scale=scale, rounding=rounding)
    spec = quantized.format
    if not isinstance(spec, BlockSpec):
        raise ValueError(f"fmt must be a block format, not {spec.name}")
    tiling = Tiling.of(spec, array.shape, quantized.axis)
    # What fills up the last blocks is zero, without error, and adds nothing.
    sums = _sums(*(tiling.elements(tiling.to_rows(part), 0.0) for part in (array, quantized.dequantize())))
    signal, noise, largest, worst = (part.reshape(tiling.block_shape) for part in sums)
    count = tiling.counts()
    with np.errstate(divide="ignore", invalid="ignore"):  # infinite and NaN, as said
        return BlockQuality(
            qsnr_db=tiling.from_blocks(10 * np.log10(signal / noise)),
            mse=tiling.from_blocks(noise / count),
            max_error=tiling.from_blocks(worst),
            crest_factor=tiling.from_blocks(largest / np.sqrt(signal / count)),
        )


def compare_values(x: ArrayLike, y: ArrayLike) -> tuple[float, float, float]:
    """Return the QSNR in dB, the mean squared error and the largest error of y for x, as `Quality` defines them.

    Parameters
    ----------
    x : array of finite floats, not all zero
    y : array of finite floats of the same shape

    Raises
    ------
    TypeError, ValueError
        If an array is not as above.
    """
    array, other = _pair(x, y)
    signal, noise, _, worst = _totals(array, other)
    return _decibel(signal, noise), noise / array.size, worst


def qsnr_db(x: ArrayLike, y: ArrayLike) -> float:
    """Return ``10 log10(sum of x**2 / sum of (y - x)**2)``; see `compare_values`."""
    return compare_values(x, y)[0]


def crest_factor(x: ArrayLike) -> float:
    """Return the largest magnitude over the root mean square of an array of finite floats, not all zero."""
    array = _checked(x)
    signal, _, largest, _ = _totals(array, array)
    return largest / math.sqrt(signal / array.size)


def _quality(array: NDArray[np.float64], quantized: Quantized) -> Quality:
    spec = quantized.format
    signal, noise, largest, worst = _totals(array, quantized.dequantize())
    counts = (
        np.unique(quantized.codes, return_counts=True)[1]
        if spec.bits > 16
        else np.bincount(quantized.codes.reshape(-1).astype(np.int64), minlength=1 << spec.bits)
    )
    shares = counts[counts > 0] / array.size
    return Quality(
        format=spec.name,
        elements=array.size,
        bits_per_element=spec.bits_per_element if isinstance(spec, BlockSpec) else float(spec.bits),
        qsnr_db=_decibel(signal, noise),
        mse=noise / array.size,
        max_error=worst,
        crest_factor=largest / math.sqrt(signal / array.size),
        codes_used=int(np.count_nonzero(counts)) / 2.0**spec.bits,
        entropy_bits=max(0.0, -math.fsum((shares * np.log2(shares)).tolist())),
    )


def _decibel(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise) if noise else math.inf


def _checked(x: ArrayLike) -> NDArray[np.float64]:
    """Return finite values, not all zero, as float64, or raise."""
    array = _finite("x", x)
    if not array.any():
        raise ValueError("x must hold a value other than zero: without a signal there is no ratio to noise")
    return array


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    array, other = _checked(x), _finite("y", y)
    if array.shape != other.shape:
        raise ValueError(f"y must have the shape {array.shape} of x, not {other.shape}")
    return array, other


def _finite(name: str, x: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(x)
    if not np.can_cast(given.dtype, np.float64):
        raise TypeError(f"{name} must be an array of real numbers that fit float64, not {given.dtype}")
    array = np.ascontiguousarray(given, np.float64).reshape(given.shape)
    if not array.size:
        raise ValueError(f"{name} must not be empty, not of shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, but that at {where} is {array[where]}")
    return array


def _totals(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return the sums of x**2 and (y - x)**2, and the largest |x| and |y - x|."""
    flat = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1)
    whole = x.size // _CHUNK * _CHUNK
    parts = [_sums(*(a[:whole].reshape(-1, _CHUNK) for a in flat)), _sums(*(a[whole:].reshape(1, -1) for a in flat))]
    signal, noise, largest, worst = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    power = math.fsum(signal.tolist())
    if not sys.float_info.min <= power < math.inf:
        raise ValueError(f"x must have squares within the normal float64, but they add to {power}")
    return power, math.fsum(noise.tolist()), float(largest.max()), float(worst.max())


def _sums(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each row, the sums of x**2 and (y - x)**2, and the largest |x| and |y - x|: shape (4, rows)."""
    out = np.empty((4, len(x)))
    _sums_kernel(np.ascontiguousarray(x), np.ascontiguousarray(y), out)
    return out


@numba.njit(cache=True)
def _sums_kernel(x: NDArray[np.float64], y: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Add along rows, one element after another; unchecked."""
    for r in range(x.shape[0]):
        signal = noise = largest = worst = 0.0
        for i in range(x.shape[1]):
            value, error = abs(x[r, i]), abs(y[r, i] - x[r, i])
            signal += value * value
            noise += error * error
            largest = max(largest, value)
            worst = max(worst, error)
        out[0, r], out[1, r], out[2, r], out[3, r] = signal, noise, largest, worst
