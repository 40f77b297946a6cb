# SPDX-License-Identifier: Apache-2.0
"""The vector functions against NumPy's, element by element."""

import os
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.datapath import simd

COUNT = 16
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
FLOATS = (np.float32, np.float64)

pytestmark = pytest.mark.skipif(INTERPRETED, reason="intrinsics run in compiled code only")


def operands(dtype: Any, seed: int) -> NDArray[Any]:
    """Corner values and random ones, COUNT of them."""
    rng = np.random.default_rng(seed)
    if issubclass(dtype, np.floating):
        return rng.permutation(np.array([0.0, 1.5, -2.5, 3.5, 0.1, -7.75, 1e30, -1e-30, *rng.normal(size=8)], dtype))
    info = np.iinfo(dtype)
    corners = np.array([info.min, info.max, 0, 1, info.max - 1, 7], dtype)
    rest = rng.integers(info.min, info.max, COUNT - corners.size, dtype, endpoint=True)
    return rng.permutation(np.concatenate([corners, rest]))


def both(function: Any, x: NDArray[Any], y: NDArray[Any], dtype: Any | None = None) -> NDArray[Any]:
    """Apply a function of the module to two arrays of COUNT elements."""

    @numba.njit
    def kernel(x: NDArray[Any], y: NDArray[Any], out: NDArray[Any]) -> None:
        simd.store(out, 0, function(simd.load(x, 0, COUNT), simd.load(y, 0, COUNT)))

    out = np.zeros(COUNT, x.dtype if dtype is None else dtype)
    kernel(x, y, out)
    return out


BINARY: list[tuple[Any, Callable[..., Any], tuple[Any, ...]]] = [
    (simd.add, np.add, INTEGERS + FLOATS),
    (simd.sub, np.subtract, INTEGERS + FLOATS),
    (simd.mul, np.multiply, INTEGERS + FLOATS),
    (simd.minimum, np.minimum, INTEGERS + FLOATS),
    (simd.maximum, np.maximum, INTEGERS + FLOATS),
    (simd.bit_and, np.bitwise_and, INTEGERS),
    (simd.bit_or, np.bitwise_or, INTEGERS),
    (simd.bit_xor, np.bitwise_xor, INTEGERS),
]


@pytest.mark.parametrize(("function", "reference", "dtypes"), BINARY)
def test_simd_binary(function: Any, reference: Callable[..., Any], dtypes: tuple[Any, ...]) -> None:
    for seed, dtype in enumerate(dtypes):
        x, y = operands(dtype, seed), operands(dtype, seed + 100)
        assert both(function, x, y).tobytes() == reference(x, y).tobytes(), dtype


@pytest.mark.parametrize("dtype", INTEGERS[:6])
def test_simd_saturating(dtype: Any) -> None:
    x, y = operands(dtype, 1), operands(dtype, 2)
    info = np.iinfo(dtype)
    wide_x, wide_y = x.astype(np.int64), y.astype(np.int64)
    assert both(simd.add_saturating, x, y).tolist() == np.clip(wide_x + wide_y, info.min, info.max).tolist()
    assert both(simd.sub_saturating, x, y).tolist() == np.clip(wide_x - wide_y, info.min, info.max).tolist()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_simd_shift(dtype: Any) -> None:
    x = operands(dtype, 3)
    by = (np.arange(COUNT) % np.dtype(dtype).itemsize).astype(dtype) * dtype(8) // dtype(2)
    assert both(simd.shift_left, x, by).tolist() == np.left_shift(x, by).tolist()
    assert both(simd.shift_right, x, by).tolist() == np.right_shift(x, by).tolist()


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_simd_compare_and_select(dtype: Any) -> None:
    x, y = operands(dtype, 4), operands(dtype, 5)
    y[:5] = x[:5]

    @numba.njit
    def kernel(x: NDArray[Any], y: NDArray[Any], out: NDArray[Any]) -> None:
        p, q = simd.load(x, 0, COUNT), simd.load(y, 0, COUNT)
        simd.store(out, 0, simd.select(simd.compare_lt(p, q), p, 0))
        simd.store(out, COUNT, simd.select(simd.compare_le(p, q), p, 0))
        simd.store(out, 2 * COUNT, simd.select(simd.compare_eq(p, q), p, 0))

    out = np.zeros((3, COUNT), dtype)
    kernel(x, y, out)
    expected = [np.where(mask, x, dtype(0)) for mask in (x < y, x <= y, x == y)]
    assert out.tobytes() == np.stack(expected).tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
def test_simd_float(dtype: Any) -> None:
    x, y, z = (operands(dtype, seed) for seed in (6, 7, 8))
    x[:2], y[:2], z[:2] = 1 + np.finfo(dtype).eps, 1 - np.finfo(dtype).eps, -1  # -eps**2, lost by two roundings

    @numba.njit
    def kernel(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any], out: NDArray[Any]) -> None:
        p = simd.load(x, 0, COUNT)
        simd.store(out, 0, simd.fma(p, simd.load(y, 0, COUNT), simd.load(z, 0, COUNT)))
        simd.store(out, COUNT, simd.floor(p))
        simd.store(out, 2 * COUNT, simd.rint(p))
        simd.store(out, 3 * COUNT, simd.absolute(p))
        simd.store(out, 4 * COUNT, simd.fmuladd(p, 2, 1))

    out = np.zeros((5, COUNT), dtype)
    kernel(x, y, z, out)
    assert out[0, :2].tolist() == [-(float(np.finfo(dtype).eps) ** 2)] * 2
    if dtype is np.float32:
        exact = [float(dtype(float(p) * float(q) + float(r))) for p, q, r in zip(x[2:], y[2:], z[2:], strict=True)]
        assert np.allclose(out[0, 2:], exact, rtol=1e-7)
    expected = [np.floor(x), np.rint(x), np.abs(x), x * 2 + 1]
    assert out[1:].tobytes() == np.stack(expected).tobytes()


CASTS = [
    (np.float32, np.int32),
    (np.int32, np.float32),
    (np.uint32, np.float32),
    (np.float32, np.float64),
    (np.float64, np.float32),
    (np.float64, np.int64),
    (np.int64, np.float64),
    (np.int8, np.int32),
    (np.uint8, np.int32),
    (np.int32, np.int8),
    (np.uint16, np.uint64),
    (np.int16, np.uint16),
    (np.int8, np.float32),
]


@pytest.mark.parametrize(("of", "to"), CASTS)
def test_simd_convert(of: Any, to: Any) -> None:
    x = operands(of, 9)
    if issubclass(of, np.floating) and issubclass(to, np.integer):
        x = np.clip(x, -1e6, 1e6)

    @numba.njit
    def kernel(x: NDArray[Any], out: NDArray[Any]) -> None:
        simd.store(out, 0, simd.convert(simd.load(x, 0, COUNT), to))

    out = np.zeros(COUNT, to)
    kernel(x, out)
    assert out.tobytes() == x.astype(to).tobytes()


def test_simd_bitcast() -> None:
    x = operands(np.float32, 10)

    @numba.njit
    def kernel(x: NDArray[Any], words: NDArray[Any], bytes_: NDArray[Any]) -> None:
        value = simd.load(x, 0, COUNT)
        simd.store(words, 0, simd.bitcast(value, np.int32))
        simd.store(bytes_, 0, simd.bitcast(value, np.uint8))

    words, bytes_ = np.zeros(COUNT, np.int32), np.zeros(4 * COUNT, np.uint8)
    kernel(x, words, bytes_)
    assert words.tobytes() == bytes_.tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_simd_reduce(dtype: Any) -> None:
    x = operands(dtype, 11)

    @numba.njit
    def kernel(x: NDArray[Any]) -> tuple[Any, Any, Any, Any]:
        value = simd.load(x, 0, COUNT)
        same = simd.compare_eq(value, value)
        none = simd.compare_lt(value, value)
        return simd.reduce_or(value), simd.reduce_and(value), simd.reduce_and(same), simd.reduce_or(none)

    expected = [np.bitwise_or.reduce(x), np.bitwise_and.reduce(x), True, False]
    assert [int(value) for value in kernel(x)] == [int(value) for value in expected]


@pytest.mark.parametrize("dtype", FLOATS)
def test_simd_bits(dtype: Any) -> None:
    x = operands(dtype, 13)
    width = np.int32 if dtype is np.float32 else np.int64

    @numba.njit
    def kernel(x: NDArray[Any], signs: NDArray[Any], out: NDArray[Any]) -> None:
        value = simd.load(x, 0, COUNT)
        simd.store(signs, 0, simd.shift_right(simd.bits(value), 8 * x.itemsize - 1))
        simd.store(out, 0, simd.bit_xor(simd.floats(simd.bits(value)), -0.0))
        simd.store(out, COUNT, simd.bit_and(value, np.inf))

    signs, out = np.zeros(COUNT, width), np.zeros((2, COUNT), dtype)
    kernel(x, signs, out)
    assert signs.tolist() == np.where(np.signbit(x), -1, 0).tolist()
    mantissa, exponent = np.frexp(x)
    assert out[0].tobytes() == (-x).tobytes()
    assert out[1].tolist() == np.ldexp(np.where(mantissa == 0, dtype(0), dtype(0.5)), exponent).tolist()


def test_simd_absolute() -> None:
    x = operands(np.int16, 12)

    @numba.njit
    def kernel(x: NDArray[Any], out: NDArray[Any]) -> None:
        simd.store(out, 0, simd.absolute(simd.load(x, 0, COUNT)))

    out = np.zeros(COUNT, np.int16)
    kernel(x, out)
    assert out.tolist() == np.abs(x).tolist()


def test_simd_splat() -> None:
    @numba.njit
    def kernel(value: int, out: NDArray[Any]) -> None:
        simd.store(out, 3, simd.splat(value, np.float32, COUNT))

    out = np.zeros(COUNT + 4, np.float32)
    kernel(7, out)
    assert out.tolist() == [0] * 3 + [7] * COUNT + [0]
