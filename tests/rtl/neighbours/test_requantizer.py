# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import RequantizerSpec, ShiftRounding, requantize
from rtl.neighbours import requantizer
from rtl.neighbours.requantizer import Requantizer

_BLOCKS = {block.name: block for block in requantizer.blocks()}
_WIDE = [name for name in _BLOCKS if "32x32" in name]


def test_requantizer_every_operand(check_blocks: Callable[..., int], every: Any) -> None:
    small = [block for name, block in _BLOCKS.items() if name not in _WIDE]
    assert check_blocks((block, every(block)) for block in small) == 8 << 15


def test_requantizer_of_full_width(check_blocks: Callable[..., int], some: Any) -> None:
    assert check_blocks((_BLOCKS[name], some(_BLOCKS[name], 4000)) for name in _WIDE) == 3 * 4000


@pytest.mark.parametrize("rounding", list(ShiftRounding))
def test_requantizer_oracle_is_model(rounding: ShiftRounding) -> None:
    spec = RequantizerSpec(value_bits=32, multiplier_bits=32, shift_min=31, shift_max=62, rounding=rounding)
    generator = np.random.default_rng(3)
    value = generator.integers(-(1 << 31), 1 << 31, 5000)
    multiplier = generator.integers(1 << 30, (1 << 31) + 1, 5000)
    shift = generator.integers(31, 63, 5000)
    block = requantizer.block_of(spec)
    ports: dict[str, Any] = {"value": value % (1 << 32), "multiplier": multiplier, "shift": shift - 31}
    expected = requantize(value, multiplier, shift, spec) % 256
    given = {name: codes.astype(np.uint64) for name, codes in ports.items()}
    assert np.array_equal(block.oracle(**given)["code"], expected)


def test_requantizer_spec_wrong() -> None:
    spec: Any = 8
    with pytest.raises(TypeError, match=r"^spec must be a RequantizerSpec, not 8$"):
        Requantizer(spec)
