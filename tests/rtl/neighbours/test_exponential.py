# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import shift_exponential
from rtl.neighbours import exponential


def test_exponential_every_operand(check_blocks: Callable[..., int], every: Any) -> None:
    assert check_blocks((block, every(block)) for block in exponential.blocks()) == 2 << 16


def test_exponential_of_wide_operands(check_blocks: Callable[..., int], some: Any) -> None:
    block = exponential.block_of(20, 16, 24)
    assert check_blocks([(block, some(block, 3000))]) == 3000


@pytest.mark.parametrize(("bits", "unit_bits", "steps"), [(8, 8, 15), (8, 8, 23), (12, 4, 30)])
def test_exponential_oracle_is_model(bits: int, unit_bits: int, steps: int) -> None:
    distance, unit = np.meshgrid(np.arange(1 << bits), np.arange(1, 1 << unit_bits))
    block = exponential.block_of(bits, unit_bits, steps)
    found = block.oracle(distance=distance.astype(np.uint64), unit=unit.astype(np.uint64))["power"]
    assert np.array_equal(found.astype(np.int64), shift_exponential(-distance, unit, steps))
