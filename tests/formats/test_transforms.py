# SPDX-License-Identifier: Apache-2.0
"""Transforms against explicit matrices and orders, bit for bit."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from hwsim.formats.transforms import (
    clip_symmetric,
    hadamard,
    inverse_hadamard,
    random_signs,
    reorder_channels,
    smooth,
)

SIZES = [1 << k for k in range(1, 13)]


def butterflies(row: NDArray[Any], step: int) -> NDArray[Any]:
    """Return a stage of butterflies as the definition has it."""
    pairs = row.reshape(-1, 2, step)
    return np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(row.shape)


@pytest.mark.parametrize("size", SIZES)
def test_transforms_hadamard_integers(size: int) -> None:
    rng = np.random.default_rng(size)
    x = rng.integers(-(1 << 40), 1 << 40, (2, 3 * size))
    expected = (x.reshape(-1, size) @ scipy.linalg.hadamard(size, np.int64)).reshape(x.shape)
    found = hadamard(x, size, orthonormal=False)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)
    assert np.array_equal(inverse_hadamard(found, size, orthonormal=False), x)
    assert np.array_equal(hadamard(x.astype(np.float64), size, orthonormal=False), expected)  # below 2**53: exact
    small = (x >> 30).astype(np.float32)
    assert np.array_equal(hadamard(small, size, orthonormal=False), hadamard(x >> 30, size, orthonormal=False))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_transforms_hadamard_order(size: int, dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(size)
    x = (rng.standard_normal((3, 2 * size)) * np.exp2(rng.integers(-9, 9, 2 * size))).astype(dtype)
    sums = x.reshape(-1, size)
    step = 1
    while step < size:
        sums = np.stack([butterflies(row, step) for row in sums])
        step *= 2
    plain = hadamard(x, size, orthonormal=False)
    assert plain.dtype == dtype
    assert plain.tobytes() == sums.reshape(x.shape).tobytes()
    scaled = (sums * dtype(1 / np.sqrt(np.float64(size)))).reshape(x.shape)
    assert hadamard(x, size).tobytes() == scaled.tobytes()
    columns = hadamard(np.ascontiguousarray(x.T), size, axis=0)
    assert np.ascontiguousarray(columns.T).tobytes() == scaled.tobytes()
    depth = 70 if size <= 128 else 2  # more columns than the kernel takes at a time
    deep = hadamard(np.repeat(x.reshape(3, -1, 1), depth, axis=2), size, axis=1)
    assert deep[..., 0].tobytes() == deep[..., -1].tobytes() == scaled.tobytes()


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_transforms_hadamard_orthonormal(size: int) -> None:
    unit = hadamard(np.eye(size), size)
    assert np.abs(unit @ unit.T - np.eye(size)).max() < size * 2.0**-50
    exact = size in {16, 64}
    if exact:
        assert np.array_equal(unit @ unit.T, np.eye(size))
    rng = np.random.default_rng(size)
    x = rng.integers(-8, 9, (5, 4 * size)).astype(np.float32)
    signs = random_signs(size, 7)
    y = hadamard(x, size, signs=signs)
    expected = (x.reshape(-1, size) * signs @ scipy.linalg.hadamard(size)).reshape(x.shape) / np.sqrt(size)
    assert np.abs(y - expected).max() <= np.abs(expected).max() * 2.0**-22
    back = inverse_hadamard(y, size, signs=signs)
    if exact:
        assert np.array_equal(back, x)
    assert np.abs(back - x).max() < 8 * 2.0**-20
    power = np.square(x, dtype=np.float64).sum()
    assert abs(np.square(y, dtype=np.float64).sum() / power - 1) < 2.0**-20


def test_transforms_signs() -> None:
    signs = random_signs(4096, 3)
    assert signs.dtype == np.int8
    assert sorted(set(signs.tolist())) == [-1, 1]
    assert abs(int(signs.sum())) < 5 * 64  # five standard deviations
    assert np.array_equal(signs, random_signs(4096, 3))
    assert not np.array_equal(signs, random_signs(4096, 4))
    x = np.random.default_rng(0).integers(-99, 100, (3, 64, 2))
    whole = random_signs(64, 1)
    assert np.array_equal(
        hadamard(x, 16, 1, signs=whole, orthonormal=False), hadamard(x * whole[:, None], 16, 1, orthonormal=False)
    )
    once = random_signs(16, 1)
    assert np.array_equal(
        hadamard(x, 16, 1, signs=once, orthonormal=False),
        hadamard(x, 16, 1, signs=np.tile(once, 4), orthonormal=False),
    )
    assert np.array_equal(
        inverse_hadamard(hadamard(x, 16, 1, signs=once, orthonormal=False), 16, 1, signs=once, orthonormal=False), x
    )


def test_transforms_hadamard_types() -> None:
    assert hadamard(np.ones(4, np.float16), 4).dtype == np.float32
    assert hadamard(np.ones(4, np.int8) * np.int8(-128), 4, orthonormal=False).tolist() == [-512, 0, 0, 0]
    given = np.ones((2, 4))
    assert hadamard(given, 4).tolist() == [[2, 0, 0, 0]] * 2
    assert (given == 1).all()
    assert hadamard(np.zeros((0, 4)), 4).shape == (0, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (([1.0] * 4, 3), {}, ValueError, "size must be a power of two, not 3"),
        (([1.0] * 4, 1), {}, ValueError, "size must be in 2..4096, not 1"),
        (([1.0] * 4, 8192), {}, ValueError, "size must be in 2..4096, not 8192"),
        (([1.0] * 4, 4.0), {}, TypeError, "size must be an int, not 4.0"),
        (([1.0] * 6, 4), {}, ValueError, "x must have a multiple of 4 elements along axis 0, not 6"),
        (([1.0] * 4, 4, 1), {}, ValueError, "axis must be in -1..0 for an array of 1 dimensions, not 1"),
        (([1.0] * 4, 4, None), {}, TypeError, "axis must be an int, not None"),
        ((["a"] * 4, 4), {}, TypeError, "x must be an array of real numbers, not <U1"),
        (([1] * 4, 4), {}, TypeError, "orthonormal must be False for integers, whose transform is exact"),
        (([1] * 4, 4), {"orthonormal": 0}, TypeError, "orthonormal must be a bool, not 0"),
        (
            ([1 << 61] * 4, 4),
            {"orthonormal": False},
            ValueError,
            f"x must be below 2**63 / 4 for its sums to fit int64, not {1 << 61}",
        ),
        (([1.0] * 4, 4), {"signs": [1, 1, 1, 0]}, ValueError, "signs must be +1 or -1, each"),
        (
            ([1.0] * 8, 4),
            {"signs": [1, 1]},
            ValueError,
            "signs must have length 4, or 8 as the axis, not shape (2,)",
        ),
    ],
)
def test_transforms_hadamard_wrong(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    for transform in (hadamard, inverse_hadamard):
        with pytest.raises(error, match=f"^{re.escape(text)}$"):
            transform(*arguments, **options)


def test_transforms_inverse_wrong() -> None:
    text = "y must be the transform of integers: not every sum is a multiple of 4"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        inverse_hadamard([1, 0, 0, 0], 4, orthonormal=False)


@pytest.mark.parametrize("alpha", [0, 0.5, 0.75, 1.0])
def test_transforms_smooth(alpha: float) -> None:
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((5, 7, 24)) * np.exp2(rng.integers(-6, 7, 24))).astype(np.float32)
    w = (rng.standard_normal((24, 9)) * np.exp2(rng.integers(-6, 7, (24, 1)))).astype(np.float32)
    x[..., 3], w[5] = 0, 0
    found = smooth(x, w, alpha)
    assert found.x.dtype == found.w.dtype == found.scales.dtype == np.float32
    for j in range(24):
        largest_x, largest_w = np.abs(x[..., j]).max(), np.abs(w[j]).max()
        scale = 1.0 if j in {3, 5} else float(largest_x) ** alpha / float(largest_w) ** (1 - alpha)
        assert found.scales[j] == np.float32(scale)
        assert np.array_equal(found.x[..., j], x[..., j] / np.float32(scale))
        assert np.array_equal(found.w[j], w[j] * np.float32(scale))
    if alpha == 1:
        assert np.abs(found.x).max(axis=(0, 1))[[0, 1, 2, 4]].tolist() == [1.0] * 4
    exact = smooth(x, w, alpha, power_of_two=True)
    assert (np.frexp(exact.scales)[0] == 0.5).all()
    assert (np.abs(np.log2(exact.scales.astype(np.float64) / found.scales)) <= 0.5 + 1e-6).all()
    product = x.astype(np.float64)[..., None] * w.astype(np.float64)  # every product of the pair is the very same
    assert np.array_equal(exact.x.astype(np.float64)[..., None] * exact.w.astype(np.float64), product)
    assert smooth(x.astype(np.float64), w).scales.dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([[1.0]], [[1.0]], 1.5), ValueError, "alpha must be in 0..1, not 1.5"),
        (([[1.0]], [[1.0]], "a"), TypeError, "alpha must be a float, not 'a'"),
        (([[np.nan]], [[1.0]]), ValueError, "x must be finite, as that at (0, 0) is not"),
        (([[1.0]], [[np.inf]]), ValueError, "w must be finite, as that at (0, 0) is not"),
        (
            ([[1.0, 2.0]], [[1.0]]),
            ValueError,
            "x and w must have shapes (..., channels) and (channels, outputs), not (1, 2) and (1, 1)",
        ),
        (
            (np.array([[1e30]], np.float32), np.array([[1e-40]], np.float32), 0.1),
            ValueError,
            "a scale must be positive and finite in float32, not ",
        ),
    ],
)
def test_transforms_smooth_wrong(arguments: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        smooth(*arguments)


def test_transforms_smooth_power_wrong() -> None:
    with pytest.raises(TypeError, match=r"^power_of_two must be a bool, not 1$"):
        smooth([[1.0]], [[1.0]], power_of_two=1)  # type: ignore[arg-type]


def test_transforms_reorder() -> None:
    x = np.array([[1.0, -9.0, 3.0, 0.0, -3.0], [2.0, 4.0, -1.0, 0.0, 3.0]])
    found = reorder_channels(x)
    assert found.permutation.tolist() == [1, 2, 4, 0, 3]  # 9, 3, 3 (in order), 2, 0
    assert np.array_equal(found.values, x[:, found.permutation])
    assert np.array_equal(np.take(found.values, found.inverse, axis=-1), x)
    rows = reorder_channels(np.array([[-128, 1], [127, 5]], np.int8), axis=0)
    assert rows.permutation.tolist() == [0, 1]
    assert rows.values.dtype == np.int8
    w = np.arange(10).reshape(5, 2)
    assert np.array_equal(found.values @ w[found.permutation], x @ w)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: reorder_channels([1.0, np.nan]), ValueError, "x must not hold a NaN, which has no place in the order"),
        (lambda: reorder_channels([1.0], 1), ValueError, "axis must be in -1..0 for an array of 1 dimensions, not 1"),
        (lambda: reorder_channels(["a"]), TypeError, "x must be an array of real numbers, not <U1"),
        (lambda: clip_symmetric([1.0], 0.0), ValueError, "limit must be positive, not 0.0"),
        (lambda: clip_symmetric([1.0], np.nan), ValueError, "limit must be positive, not nan"),
        (
            lambda: clip_symmetric([1.0], [1.0, 2.0]),
            ValueError,
            "limit must broadcast to the shape (1,) of x, not (2,)",
        ),
        (lambda: random_signs(0, 0), ValueError, f"size must be in 1..{1 << 31}, not 0"),
    ],
)
def test_transforms_arguments_wrong(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()


def test_transforms_clip() -> None:
    x = np.array([[-3.0, -1.0, np.nan, 0.5], [np.inf, -np.inf, 2.0, -2.0]])
    expected = np.array([[-2, -1, np.nan, 0.5], [2, -2, 2, -2]])
    assert np.array_equal(clip_symmetric(x, 2), expected, equal_nan=True)
    assert clip_symmetric(x, [[1.0], [3.0]])[:, 3].tolist() == [0.5, -2]
    assert clip_symmetric(x.astype(np.float16), 0.1).dtype == np.float32
    assert clip_symmetric([1.0], 0.1).tolist() == [0.1]
