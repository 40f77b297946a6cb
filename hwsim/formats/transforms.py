# SPDX-License-Identifier: Apache-2.0
"""Transforms before quantization: blockwise Hadamard, smoothing, channel order, symmetric clipping."""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.formats.codes import check_axis, check_bool, check_int

__all__ = [
    "Reordered",
    "Smoothed",
    "clip_symmetric",
    "hadamard",
    "inverse_hadamard",
    "random_signs",
    "reorder_channels",
    "smooth",
]

_MAX_SIZE = 4096


class Smoothed(NamedTuple):
    """Activations over `scales`, weights times `scales`, and the scales, one a channel."""

    x: NDArray[np.floating]
    w: NDArray[np.floating]
    scales: NDArray[np.floating]


class Reordered(NamedTuple):
    """An array with its channels in another order: ``values = take(x, permutation)``, ``x = take(values, inverse)``."""

    values: NDArray[Any]
    permutation: NDArray[np.int64]
    inverse: NDArray[np.int64]


def random_signs(size: int, seed: int) -> NDArray[np.int8]:
    """Return `size` signs, +1 or -1, each as likely: the bits of NumPy's PCG64 of that seed, 1 for -1."""
    check_int("size", size, 1, 1 << 31)
    check_int("seed", seed, 0, (1 << 63) - 1)
    bits = np.random.Generator(np.random.PCG64(seed)).integers(0, 2, size, dtype=np.int8)
    return np.asarray(1 - 2 * bits, np.int8)


def hadamard(
    x: ArrayLike, size: int, axis: int = -1, *, signs: ArrayLike | None = None, orthonormal: bool = True
) -> NDArray[Any]:
    """Multiply each block of `size` along an axis by the Hadamard matrix, by the fast transform.

    Parameters
    ----------
    x : array of numbers, any shape with at least one dimension
        float64 stays so, other floats become float32, integers int64. The axis' length is a multiple of size.
    size : int
        A power of two, 2 to 4096.
    axis : int
        Along which blocks lie one after another.
    signs : array of +1 and -1, length `size` (the same for each block) or that of the axis, optional
        A random Hadamard transform: the elements are multiplied by them first (`random_signs`).
    orthonormal : bool
        Divide by the root of size, so that the transform keeps the length of a block. Not with integers.

    Returns
    -------
    ndarray of float32, float64 or int64, same shape
        ``y[i] = sum over j of H[i, j] * signs[j] * x[j]``, H by Sylvester's construction: ``H[i, j]`` is -1 to the
        number of ones in ``i & j``. Floats: ``log2(size)`` stages of butterflies ``(a + b, a - b)`` on elements `step`
        apart, step = 1, 2, 4, ..., size / 2, each sum rounded to nearest even in the type of the array; then, if
        orthonormal, one product with ``1 / sqrt(size)`` rounded to that type (exact where size is a power of four).
        So results are the same bits on every machine. Integers: exact.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a sum of integers could pass int64.

    Source
    ------
    Sylvester's construction, as scipy.linalg.hadamard; blocks of 16 with one sign vector: arXiv:2509.25149; of 32:
    arXiv:2510.25602 and Quartet.
    """
    array, axis = _checked(x, size, axis)
    check_bool("orthonormal", orthonormal)
    turned = _signed(array, signs, size, axis)
    if orthonormal:
        _refuse_integers(array)
    return _transform(turned, size, axis, orthonormal)


def inverse_hadamard(
    y: ArrayLike, size: int, axis: int = -1, *, signs: ArrayLike | None = None, orthonormal: bool = True
) -> NDArray[Any]:
    """Undo `hadamard` of the same arguments: the same transform, divided by size unless orthonormal, then the signs.

    Parameters
    ----------
    y, size, axis, signs, orthonormal
        As in `hadamard`.

    Returns
    -------
    ndarray of float32, float64 or int64, same shape
        Integers and floats whose sums are exact (integers of few bits): the original. Other floats: within the rounding
        of two transforms.

    Raises
    ------
    TypeError, ValueError
        As `hadamard`; if integers are not the transform of integers.
    """
    array, axis = _checked(y, size, axis)
    check_bool("orthonormal", orthonormal)
    if orthonormal:
        _refuse_integers(array)
    turned = _transform(array, size, axis, orthonormal)
    if not orthonormal:
        if array.dtype == np.int64:
            if (turned % size).any():
                raise ValueError(f"y must be the transform of integers: not every sum is a multiple of {size}")
            turned //= size
        else:
            turned *= turned.dtype.type(1 / size)
    return _signed(turned, signs, size, axis)


def smooth(x: ArrayLike, w: ArrayLike, alpha: float = 0.5, *, power_of_two: bool = False) -> Smoothed:
    """Move the size of the activations' channels into the weights: ``(x / s) @ (s[:, None] * w)`` is ``x @ w``.

    Parameters
    ----------
    x : array of finite floats, shape (..., channels)
    w : array of finite floats, shape (channels, outputs)
    alpha : float
        From 0, where every channel of w gets the same largest magnitude, to 1, where every channel of x does.
    power_of_two : bool
        Round each scale to the nearest power of two by its logarithm. Then both products are exact, but for underflow
        and overflow, and hardware needs an exponent's adder in place of a multiplier.

    Returns
    -------
    Smoothed
        float64 if x or w is, else float32: ``s = max|x|**alpha / max|w|**(1 - alpha)`` computed in float64, rounded to
        that type; 1 for a channel where x or w is all zeros. Quotients and products are rounded once.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a scale is zero or infinite in the type.

    Source
    ------
    SmoothQuant, arXiv:2211.10438, equation 4.
    """
    check_bool("power_of_two", power_of_two)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise TypeError(f"alpha must be a float, not {alpha!r}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in 0..1, not {alpha!r}")
    left, right = _floats("x", x), _floats("w", w)
    if right.ndim != 2 or left.ndim == 0 or left.shape[-1] != right.shape[0]:
        text = f"x and w must have shapes (..., channels) and (channels, outputs), not {left.shape} and {right.shape}"
        raise ValueError(text)
    dtype = np.result_type(left, right)
    largest_x = np.abs(left).reshape(-1, left.shape[-1]).max(axis=0, initial=0.0).astype(np.float64)
    largest_w = np.abs(right).max(axis=1, initial=0.0).astype(np.float64)
    used = (largest_x > 0) & (largest_w > 0)
    scales = np.where(used, largest_x, 1.0) ** alpha / np.where(used, largest_w, 1.0) ** (1 - alpha)
    if power_of_two:
        scales = np.exp2(np.rint(np.log2(scales)))
    with np.errstate(over="ignore", under="ignore"):
        rounded = scales.astype(dtype)
    if not (np.isfinite(rounded).all() and (rounded > 0).all()):
        worst = scales[~np.isfinite(rounded) | (rounded == 0)][0]
        raise ValueError(f"a scale must be positive and finite in {dtype}, not {worst}")
    return Smoothed(left.astype(dtype) / rounded, right.astype(dtype) * rounded[:, None], rounded)


def reorder_channels(x: ArrayLike, axis: int = -1) -> Reordered:
    """Sort the channels by their largest magnitude, from the largest, so that outliers share blocks.

    Parameters
    ----------
    x : array of real numbers without NaN, at least one dimension
    axis : int
        The channels' axis, and that along which blocks will be cut.

    Returns
    -------
    Reordered
        Equal channels keep their order. The other operand of a product takes the same permutation on its channels:
        ``x @ w`` is ``take(x, p, -1) @ take(w, p, 0)``, up to the order of additions.

    Raises
    ------
    TypeError, ValueError
        If x or axis is not as above.

    Source
    ------
    Accurate block quantization with outliers, arXiv:2403.20137 (channels of keys sorted for block floating point).
    """
    array = _real("x", x)
    axis = check_axis(axis, array.ndim)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError("x must not hold a NaN, which has no place in the order")
    others = tuple(i for i in range(array.ndim) if i != axis)
    largest = np.maximum(array.max(axis=others, initial=0), -array.min(axis=others, initial=0).astype(np.float64))
    permutation = np.argsort(-largest, kind="stable").astype(np.int64)
    inverse = np.empty_like(permutation)
    inverse[permutation] = np.arange(permutation.size)
    return Reordered(np.take(array, permutation, axis=axis), permutation, inverse)


def clip_symmetric(x: ArrayLike, limit: ArrayLike) -> NDArray[Any]:
    """Clip to the same magnitude on both sides, so that a value and its opposite are treated alike.

    Parameters
    ----------
    x : array of floats
        NaN stays NaN.
    limit : float or array that broadcasts to the shape of x
        Positive; rounded to the type of x.

    Returns
    -------
    ndarray of the type of x (float32, or float64 if it is so), same shape
        ``min(max(x, -limit), limit)``. Codes are clipped alike by a narrow format (``int8_narrow``), which leaves out
        the code without an opposite: the "symmetric clipping" of arXiv:2510.25602.

    Raises
    ------
    TypeError, ValueError
        If x or limit is not as above.
    """
    array = _real("x", x)
    dtype = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    bound: NDArray[np.floating] = _real("limit", limit).astype(dtype)
    if not (bound > 0).all():
        raise ValueError(f"limit must be positive, not {bound[~(bound > 0)].flat[0]}")
    try:
        np.broadcast_to(bound, array.shape)
    except ValueError:
        raise ValueError(f"limit must broadcast to the shape {array.shape} of x, not {bound.shape}") from None
    return np.asarray(np.clip(array.astype(dtype), -bound, bound))


def _real(name: str, x: ArrayLike) -> NDArray[Any]:
    array = np.asarray(x)
    if not np.can_cast(array.dtype, np.float64) and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an array of real numbers, not {array.dtype}")
    return array


def _floats(name: str, x: ArrayLike) -> NDArray[np.floating]:
    """Return finite floats as float64 if they are, else as float32, or raise."""
    array = _real(name, x)
    floats = array if array.dtype == np.float64 else array.astype(np.float32)
    if not np.isfinite(floats).all():
        raise ValueError(f"{name} must be finite, as that at {_first(~np.isfinite(floats))} is not")
    return floats


def _first(where: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(where)[0])


def _checked(x: ArrayLike, size: int, axis: int) -> tuple[NDArray[Any], int]:
    """Return the array in the type that its transform has, and the axis from the front, or raise."""
    check_int("size", size, 2, _MAX_SIZE)
    if size & (size - 1):
        raise ValueError(f"size must be a power of two, not {size}")
    array = _real("x", x)
    axis = check_axis(axis, array.ndim)
    length = array.shape[axis]
    if length % size:
        raise ValueError(f"x must have a multiple of {size} elements along axis {axis}, not {length}")
    if array.dtype.kind not in "iub":
        return array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False), axis
    worst = max((abs(int(array.max())), abs(int(array.min()))), default=0) if array.size else 0
    if worst * size >= 1 << 63:
        raise ValueError(f"x must be below 2**63 / {size} for its sums to fit int64, not {worst}")
    return array.astype(np.int64, copy=False), axis


def _refuse_integers(array: NDArray[Any]) -> None:
    if array.dtype == np.int64:
        raise TypeError("orthonormal must be False for integers, whose transform is exact")


def _signed(array: NDArray[Any], signs: ArrayLike | None, size: int, axis: int) -> NDArray[Any]:
    """Return the array times the signs along an axis, or raise."""
    if signs is None:
        return array
    given = np.asarray(signs)
    length = array.shape[axis]
    if given.dtype.kind not in "if" or not (np.abs(given) == 1).all():
        raise ValueError("signs must be +1 or -1, each")
    if given.shape not in {(size,), (length,)}:
        raise ValueError(f"signs must have length {size}, or {length} as the axis, not shape {given.shape}")
    along = np.tile(given, length // given.size if given.size else 0).astype(array.dtype)
    return np.asarray(array * along.reshape([-1 if i == axis else 1 for i in range(array.ndim)]))


def _transform(array: NDArray[Any], size: int, axis: int, orthonormal: bool) -> NDArray[Any]:
    """Return the transform of blocks along an axis as a new array."""
    out = np.array(array, order="C")
    if not out.size:
        return out
    factor = out.dtype.type(1 / math.sqrt(size)) if orthonormal else out.dtype.type(1)
    inner = math.prod(out.shape[axis + 1 :])
    if inner == 1:
        _hadamard_kernel(out.reshape(-1, size), factor, orthonormal)
    else:
        _planes_kernel(out.reshape(-1, size, inner), factor, orthonormal)
    return out


@numba.njit(cache=True)
def _hadamard_kernel(blocks: NDArray[Any], factor: Any, scaled: bool) -> None:
    """Transform rows in place; unchecked. The sums are those of steps 1, 2, 4, ... whatever the loops' order."""
    size = blocks.shape[1]
    for r in range(blocks.shape[0]):
        row = blocks[r]
        if size >= 8:
            for i in range(0, size, 8):
                a0, a1 = row[i] + row[i + 1], row[i] - row[i + 1]
                a2, a3 = row[i + 2] + row[i + 3], row[i + 2] - row[i + 3]
                a4, a5 = row[i + 4] + row[i + 5], row[i + 4] - row[i + 5]
                a6, a7 = row[i + 6] + row[i + 7], row[i + 6] - row[i + 7]
                b0, b2, b1, b3 = a0 + a2, a0 - a2, a1 + a3, a1 - a3
                b4, b6, b5, b7 = a4 + a6, a4 - a6, a5 + a7, a5 - a7
                row[i], row[i + 4], row[i + 1], row[i + 5] = b0 + b4, b0 - b4, b1 + b5, b1 - b5
                row[i + 2], row[i + 6], row[i + 3], row[i + 7] = b2 + b6, b2 - b6, b3 + b7, b3 - b7
            step = 8
        else:
            step = 1
        while step < size:
            for i in range(0, size, 2 * step):
                for j in range(i, i + step):
                    a, b = row[j], row[j + step]
                    row[j], row[j + step] = a + b, a - b
            step *= 2
        if scaled:
            for j in range(size):
                row[j] *= factor


@numba.njit(cache=True)
def _planes_kernel(blocks: NDArray[Any], factor: Any, scaled: bool) -> None:
    """Transform the middle axis in place; unchecked. The same sums as `_hadamard_kernel`."""
    count, size, inner = blocks.shape
    width = 64  # columns at a time, so that a block stays in the cache
    for n in range(count):
        for first in range(0, inner, width):
            last = min(first + width, inner)
            step = 1
            while step < size:
                for i in range(0, size, 2 * step):
                    for j in range(i, i + step):
                        for k in range(first, last):
                            a, b = blocks[n, j, k], blocks[n, j + step, k]
                            blocks[n, j, k], blocks[n, j + step, k] = a + b, a - b
                step *= 2
            if scaled:
                for j in range(size):
                    for k in range(first, last):
                        blocks[n, j, k] *= factor
