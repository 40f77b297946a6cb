# SPDX-License-Identifier: Apache-2.0
import os
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.datapath import simd, tiles
from hwsim.datapath.vectors import NATIVE, REGISTER_BITS

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
ROWS, VECTORS, COUNT = 3, 2, 8

pytestmark = pytest.mark.skipif(INTERPRETED, reason="intrinsics run in compiled code only")


@numba.njit(forceinline=True)
def _add_product(both: Any, a: Any, b: Any, extra: Any) -> Any:
    total, largest = both
    total = simd.fma(a, b, total)
    return total, simd.maximum(largest, simd.mul(total, extra[0]))


@numba.njit(forceinline=True)
def _scale(total: Any, x: Any, y: Any, extra: int) -> Any:
    return simd.add(simd.mul(simd.add(total, x), y), extra)


@numba.njit
def _kernel(a: NDArray[Any], b: NDArray[Any], d: NDArray[Any], out: NDArray[Any]) -> Any:
    """Add the products of a (ROWS, K) and b (K, VECTORS * COUNT) to d, with their running maximum."""
    depth, stride = a.shape[1], d.shape[1]
    one = simd.splat(1.0, np.float64, COUNT)
    both = (
        tiles.tile_load(d, 0, stride, ROWS, VECTORS, COUNT),
        tiles.tile_splat(simd.splat(-np.inf, np.float64, COUNT), ROWS, VECTORS),
    )
    for k in range(depth):
        both = tiles.tile_step(_add_product, both, (a, k, depth), (b, k * b.shape[1]), (one, 0))
    tiles.tile_store(out, 0, stride, both[0])
    tiles.tile_store(out, ROWS * stride, stride, both[1])
    tiles.tile_store(out, 2 * ROWS * stride, stride, tiles.tile_map(_scale, both[0], both[1], one, 3))
    simd.store(out, 3 * ROWS * stride, tiles.tile_get(both[0], 2, 1))
    below = simd.compare_lt(both[0], 1e9)
    return simd.reduce_and(tiles.tile_and(below)), simd.reduce_and(tiles.tile_and(simd.compare_lt(both[0], 0)))


def test_tiles_product() -> None:
    rng = np.random.default_rng(0)
    width = VECTORS * COUNT
    a, b = rng.integers(-9, 9, (ROWS, 5)).astype(np.float64), rng.integers(-9, 9, (5, width)).astype(np.float64)
    d = np.zeros((ROWS, width + 3))
    d[:, :width] = rng.integers(-9, 9, (ROWS, width))
    out = np.zeros((4 * ROWS, width + 3))
    assert _kernel(a, b, d, out) == (True, False)
    sums = d[:, :width] + np.cumsum(a.T[:, :, None] * b[:, None, :], axis=0)
    assert np.array_equal(out[:ROWS, :width], sums[-1])
    assert np.array_equal(out[ROWS : 2 * ROWS, :width], sums.max(axis=0))
    assert np.array_equal(out[2 * ROWS : 3 * ROWS, :width], sums[-1] + sums.max(axis=0) + 3)
    assert np.array_equal(out[3 * ROWS, :COUNT], sums[-1][2, COUNT:])
    assert not out[: 3 * ROWS, width:].any()


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_tiles_native(dtype: Any) -> None:
    """A vector without a count fills a register; elementwise functions take tiles."""

    @numba.njit
    def kernel(x: NDArray[Any], out: NDArray[Any]) -> None:
        tile = tiles.tile_load(x, 0, x.shape[1], ROWS, VECTORS, NATIVE)
        tiles.tile_store(out, 0, x.shape[1], simd.add(tile, 1))

    count = REGISTER_BITS // (8 * np.dtype(dtype).itemsize)
    x = np.arange(ROWS * (VECTORS * count + 1)).reshape(ROWS, -1).astype(dtype)
    out = np.zeros_like(x)
    kernel(x, out)
    assert np.array_equal(out[:, :-1], x[:, :-1] + 1)
    assert not out[:, -1].any()
