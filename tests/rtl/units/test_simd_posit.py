# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

from rtl.units.simd_posit import SimdPosit, blocks

BLOCKS = [
    pytest.param(block, id=block.name, marks=pytest.mark.slow if "heap" in block.name else ()) for block in blocks()
]


@pytest.mark.parametrize("block", BLOCKS)
def test_simd_posit_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 1500) == 1500


def test_simd_posit_oracle_by_hand() -> None:
    """Of posit(16,1), minpos squared is one unit; of posit(8,0), 1 * 1 twice; of E2M1, 0.5 * 6 in four lanes."""
    codes = {"precision": [0, 1, 2], "a": [1, 0x4040, 0x1111], "b": [1, 0x4040, 0x7777], "base": [0, 0, 0]}
    columns = {name: np.array(column, dtype=object) for name, column in codes.items()}
    assert list(blocks()[0].oracle(**columns)["following"]) == [1, 2 << 12, 4 * 12]


@pytest.mark.parametrize(
    ("precisions", "bits", "message"),
    [
        ((1, 0), 128, r"^precisions must be some of 0, 1, 2 in ascending order, not \(1, 0\)$"),
        ((0,), 64, r"^register_bits must be in 115\.\.256, not 64$"),
    ],
)
def test_simd_posit_arguments_wrong(precisions: tuple[int, ...], bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimdPosit(precisions, bits)
