# SPDX-License-Identifier: Apache-2.0
"""Numbers to planes of bits and back."""

from typing import Any

import numpy as np
import pytest

from cost_models.activity import Planes
from cost_models.activity.planes import layout, pack, unpack


@pytest.mark.parametrize("lanes", [1, 63, 64, 100, 512, 2048, 2049, 5000])
def test_planes_layout(lanes: int) -> None:
    of = layout(lanes)
    assert of.words % 8 == 0
    assert of.words <= 32
    assert 0 <= of.blocks * of.words * 64 - lanes < of.blocks * 512
    mask = of.mask()
    assert mask.shape == (of.blocks, of.words)
    assert np.bitwise_count(mask).sum() == lanes
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    assert bits[:lanes].all()


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        (np.bool_, 1), (np.uint8, 8), (np.int8, 8), (np.int8, 12), (np.uint8, 12), (np.int16, 5), (np.uint16, 16),
        (np.int32, 20), (np.uint32, 64), (np.int64, 49), (np.uint64, 64), (">i4", 30), (np.uint64, 130),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lanes", [3, 2100])
def test_planes_there_and_back(dtype: Any, bits: int, lanes: int) -> None:
    of = layout(lanes)
    shape = (2, lanes) if bits <= 64 else (2, lanes, 3)
    raw = np.random.default_rng(bits).integers(0, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    values = (raw & 1).astype(np.bool_)[..., 0] if dtype is np.bool_ else raw.view(dtype)[..., 0]
    planes = Planes(words=np.zeros((of.blocks, 2, bits + 3, of.words), dtype=np.uint64), layout=of)
    pack("x", values, bits, planes, 2)
    assert not planes.words[:, :, [0, 1, bits + 2]].any()
    top = values if bits <= 64 else values[:, :, 0]
    for bit in (0, min(bits, 64) - 1):  # numpy's own order of bits
        plane = planes.words[:, :, 2 + bit].transpose(1, 0, 2).reshape(2, -1)
        lanes_of = np.unpackbits(np.ascontiguousarray(plane).view(np.uint8), axis=1, bitorder="little")[:, :lanes]
        assert (lanes_of == [[int(value) >> bit & 1 for value in row] for row in top]).all()
    back = unpack(planes.words, of, 2, bits)
    if bits <= 64:
        assert back.tolist() == [[int(value) % (1 << bits) for value in row] for row in values]
    else:
        assert (back[:, :, :2] == values[:, :, :2]).all()
        assert (back[:, :, 2] == values[:, :, 2] % np.uint64(4)).all()
