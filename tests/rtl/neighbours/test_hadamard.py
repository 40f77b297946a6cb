# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import HadamardSpec, block_hadamard
from rtl.neighbours import hadamard
from rtl.neighbours.hadamard import BlockHadamard

_BLOCKS = {block.name: block for block in hadamard.blocks()}


def test_hadamard_every_operand(check_blocks: Callable[..., int], every: Any) -> None:
    small = [_BLOCKS["hadamard_4_int4"], _BLOCKS["hadamard_8_int2"]]
    assert check_blocks((block, every(block)) for block in small) == 2 << 16


@pytest.mark.parametrize("size", [16, 32])
def test_hadamard_is_model(check_blocks: Callable[..., int], size: int) -> None:
    x = np.random.default_rng(size).integers(-128, 128, (200, size))
    x[0], x[1], x[2, ::2], x[2, 1::2] = -128, 127, -128, 127
    given = np.array([sum((int(v) & 255) << (8 * lane) for lane, v in enumerate(row)) for row in x], object)
    spec = HadamardSpec(bits=8, size=size)
    sums, mask = block_hadamard(x, spec), (1 << spec.sum_bits) - 1
    packed = [sum((int(v) & mask) << (spec.sum_bits * lane) for lane, v in enumerate(row)) for row in sums]
    block, expected = _BLOCKS[f"hadamard_{size}_int8"], np.array(packed, object)
    assert np.array_equal(block.oracle(values=given)["sums"], expected)
    assert check_blocks([(block, {"values": given})], {"sums": expected}) == 200


def test_hadamard_spec_wrong() -> None:
    spec: Any = 16
    with pytest.raises(TypeError, match=r"^spec must be a HadamardSpec, not 16$"):
        BlockHadamard(spec)
