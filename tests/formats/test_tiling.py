# SPDX-License-Identifier: Apache-2.0
"""Tilings: every element goes to the block it should, and back."""

import itertools

import numpy as np
import pytest

from hwsim import formats
from hwsim.formats import BlockSpec
from hwsim.formats.tiling import Tiling

SHAPES = ((70,), (3, 70), (70, 3), (5, 33, 7), (2, 3, 4, 17), (0, 40), (4, 0), (1, 1))
NAMES = ("mxfp4", "nvfp4_b8", "nvfp4_16x16", "nvfp4_2x3", "channel_int8_narrow_float32_amax", "dfp16")


def block_spec(name: str) -> BlockSpec:
    spec = formats.named(name)
    assert isinstance(spec, BlockSpec)
    return spec


@pytest.mark.parametrize("name", NAMES)
def test_tiling_blocks(name: str) -> None:
    spec = block_spec(name)
    compared = 0
    for shape in SHAPES:
        if len(shape) < 2 and spec.block_rows > 1:
            continue
        for axis in range(len(shape)):
            tiling = Tiling.of(spec, shape, axis)
            array = np.arange(np.prod(shape)).reshape(shape)
            rows = tiling.to_rows(array)
            assert rows.flags.c_contiguous
            assert np.array_equal(tiling.from_rows(rows), array)
            blocks = tiling.from_blocks(np.arange(np.prod(tiling.block_shape)).reshape(tiling.block_shape))
            assert np.array_equal(tiling.from_blocks(tiling.to_blocks(blocks)), blocks)
            across = axis - 1 if axis else 1
            for index in itertools.product(*map(range, shape)):
                of_block = list(index)
                if spec.block_rows == 0:
                    of_block = [0] * len(shape)
                else:
                    of_block[axis] //= spec.block_size or max(shape[axis], 1)
                    if spec.block_rows > 1:
                        of_block[across] //= spec.block_rows
                row, column = np.argwhere(rows == array[index])[0]
                by_row = tiling.spread(tiling.to_blocks(blocks))
                assert by_row[row, column // tiling.size] == blocks[tuple(of_block)]
                compared += 1
            counts = np.zeros(tiling.block_shape, int)
            largest = tiling.gather(np.ones((rows.shape[0], tiling.blocks), int), np.add)
            assert largest.shape == tiling.block_shape
            where = np.repeat(tiling.spread(np.arange(counts.size).reshape(counts.shape)), tiling.size, axis=1)
            np.add.at(counts.reshape(-1), where[:, : rows.shape[1]].reshape(-1), 1)
            assert np.array_equal(counts, tiling.counts())
            elements = tiling.elements(rows, -1.0)
            assert np.array_equal((elements >= 0).sum(axis=1), counts.reshape(-1))
    assert compared >= 1000


def test_tiling_shape_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"^x must have at least two dimensions for nvfp4_16x16, not the shape \(5,\)$"
    ):
        Tiling.of(block_spec("nvfp4_16x16"), (5,), 0)
