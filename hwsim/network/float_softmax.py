# SPDX-License-Identifier: Apache-2.0
"""Softmax of float32 rows, three ways: as ONNX Runtime, online over tiles, and in two passes without a maximum.

Every operation named is rounded to float32, to nearest even; a fused multiply-add is one operation. Results do not
depend on the machine that runs this.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "exponential",
    "finite_top",
    "online_softmax",
    "softmax",
    "sum_16_lanes",
    "two_pass_softmax",
]

FloatArray = npt.NDArray[np.float32]

# exp(x) on |x| <= ln(2)/2. Source: onnxruntime mlas/lib/compute.cpp, MlasExpConstants.
_POLYNOMIAL = tuple(
    np.float32(float.fromhex(text))
    for text in ("0x1.694p-10", "0x1.125edcp-7", "0x1.555b5ap-5", "0x1.55545p-3", "0x1.fffff6p-2", "0x1p0", "0x1p0")
)
_LOWER = np.float32(-88.3762626647949)
_LOG2_RECIPROCAL = np.float32(1.44269504088896341)
_LOG2_HIGH = np.float32(-6.93145752e-1)
_LOG2_LOW = np.float32(-1.42860677e-6)
_ROUNDING_BIAS = np.float32(12582912.0)  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits

# Source: "The Two-Pass Softmax Algorithm", arXiv:2001.04438, and its authors' kernels (degree 5, Cody and Waite).
_TWO_PASS_POLYNOMIAL = tuple(
    np.float32(float.fromhex(text))
    for text in ("0x1.0F9F9Cp-7", "0x1.573A1Ap-5", "0x1.555A80p-3", "0x1.FFFDC6p-2", "0x1.FFFFF6p-1", "0x1p0")
)
_TWO_PASS_HIGH = np.float32(float.fromhex("-0x1.62E43p-1"))
_TWO_PASS_LOW = np.float32(float.fromhex("0x1.05C61p-29"))
_NOTHING = np.float32(-127)  # at so many powers of two below the largest, and less, an addend is 0
_TWO_PASS_LOWER = np.float32(-(2.0**20))  # below it, to -inf: an element that is masked away


def softmax(rows: FloatArray) -> FloatArray:
    """Return the softmax of each row as ONNX Runtime on x86 with AVX-512 does.

    The maximum is subtracted; exp is a polynomial of degree 6 with fused multiply-adds; the sum runs in 16 lanes,
    folded to 8 and then pairwise; each exp is multiplied by the float32 reciprocal of the sum.

    Source: onnxruntime mlas/lib/compute.cpp and x86_64/TransKernelAvx512F.S; the order of the sum was measured.
    """
    with np.errstate(invalid="ignore"):  # a row of which every element is masked away is NaN
        exps = exponential(rows - rows.max(axis=-1, keepdims=True))
        return np.asarray(exps * (np.float32(1) / sum_16_lanes(exps))[:, np.newaxis])


def online_softmax(rows: FloatArray, tile: int) -> FloatArray:
    """Return the softmax of each row in one pass over tiles of elements, with a running maximum and sum.

    Of tile t with elements x: ``m' = max(m, max(x))``; ``e = exp(x - m')``; ``s = s * exp(m - m') + sum(e)``, the sum
    of a tile by `sum_16_lanes`; ``m = m'``. After the last tile each tile's e are multiplied by
    ``exp(m' of its tile - m) / s``. The exponential is that of `softmax`.

    Parameters
    ----------
    rows : ndarray of float32, shape (rows, length)
    tile : int
        Elements of a tile, at least 1; the last one may be shorter.

    Source
    ------
    FuseMax, arXiv:2406.10491, the one-pass cascade (equations 39 to 55), with the division deferred.
    """
    maximum = np.full((rows.shape[0], 1), -np.inf, np.float32)
    total = np.zeros((rows.shape[0], 1), np.float32)
    out = np.empty_like(rows)
    tops = []
    for start in range(0, rows.shape[1], tile):
        part = rows[:, start : start + tile]
        top = np.maximum(maximum, part.max(axis=-1, keepdims=True))
        exps = exponential(part - finite_top(top))
        total = total * exponential(maximum - finite_top(top)) + sum_16_lanes(exps)[:, np.newaxis]
        out[:, start : start + tile] = exps
        tops.append(top)
        maximum = top
    for index, top in enumerate(tops):
        out[:, index * tile : (index + 1) * tile] *= exponential(top - finite_top(maximum)) / total
    return out


def two_pass_softmax(rows: FloatArray) -> FloatArray:
    """Return the softmax of each row from exponentials held as p * 2**n, which never overflow.

    ``n = round(x * log2(e))``; p a polynomial of degree 5 of ``x - n * ln(2)`` (two fused multiply-adds), by fused
    multiply-adds. First pass, in order of the elements: ``e' = max(e, n)``;
    ``s = fma(p, 2**(n - e'), s * 2**(e - e'))``, a power of two at or below 2**-127 being 0. Second pass:
    ``p * (1 / s) * 2**(n - e)``. An element below -2**20 counts as that.

    Source
    ------
    Dukhan and Ablavatski, "The Two-Pass Softmax Algorithm", arXiv:2001.04438.
    """
    powers, turns = _split_exponential(rows)
    total = np.zeros(rows.shape[0], np.float32)
    exponent = np.full(rows.shape[0], -np.inf, np.float32)
    for power, turn in zip(powers.T, turns.T, strict=True):
        top = np.maximum(exponent, turn)
        total = _fma(power, _power_of_two(turn - top), total * _power_of_two(exponent - top))
        exponent = top
    return (powers * (np.float32(1) / total)[:, np.newaxis]) * _power_of_two(turns - exponent[:, np.newaxis])


def exponential(x: FloatArray) -> FloatArray:
    """Return the exponential of numbers not above 0, with the bits of MLAS; below -88.376 it stays what it is there."""
    clamped = np.maximum(x, _LOWER)
    turns = _fma(clamped, _LOG2_RECIPROCAL, _ROUNDING_BIAS) - _ROUNDING_BIAS
    rest = _fma(turns, _LOG2_HIGH, clamped)
    rest = _fma(turns, _LOG2_LOW, rest)
    result = np.full_like(rest, _POLYNOMIAL[0])
    for coefficient in _POLYNOMIAL[1:]:
        result = _fma(result, rest, coefficient)
    return np.ldexp(result, turns.astype(np.int32))


def sum_16_lanes(rows: FloatArray) -> FloatArray:
    """Add along the last axis in 16 lanes, fold to 8, then pairwise."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 16)))
    lanes = np.zeros((rows.shape[0], 16), np.float32)
    for start in range(0, padded.shape[1], 16):
        lanes += padded[:, start : start + 16]
    lanes = lanes[:, :8] + lanes[:, 8:]
    while lanes.shape[1] > 1:
        lanes = lanes[:, 0::2] + lanes[:, 1::2]
    return lanes[:, 0]


def _split_exponential(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the exponential as a number near 1 and a power of two."""
    clamped = np.maximum(x, _TWO_PASS_LOWER)
    turns = np.rint(clamped * _LOG2_RECIPROCAL)
    rest = _fma(turns, _TWO_PASS_HIGH, clamped)
    rest = _fma(turns, _TWO_PASS_LOW, rest)
    result = np.full_like(rest, _TWO_PASS_POLYNOMIAL[0])
    for coefficient in _TWO_PASS_POLYNOMIAL[1:]:
        result = _fma(result, rest, coefficient)
    return result, turns


def _power_of_two(exponent: FloatArray) -> FloatArray:
    """Return 2**exponent for whole numbers not above 0; 0 from -127 down."""
    return np.where(exponent > _NOTHING, np.exp2(np.maximum(exponent, _NOTHING)), np.float32(0)).astype(np.float32)


def finite_top(top: FloatArray) -> FloatArray:
    """Return a maximum that can be subtracted, where all elements so far are -inf."""
    return np.where(top == -np.inf, np.float32(0), top)


def _fma(a: FloatArray, b: Any, c: Any) -> FloatArray:
    """Fused multiply-add: the product is exact in float64; a second rounding changes one result in 2**29."""
    return (a.astype(np.float64) * np.float64(b) + np.float64(c)).astype(np.float32)
