# SPDX-License-Identifier: Apache-2.0
from itertools import product

import numpy as np
import pytest

from hwsim.datapath.layers import HadamardSpec, block_hadamard


def _transformed(block: list[int]) -> list[int]:
    """Return the transform by its recursion: that of the sums, then that of the differences, of the halves."""
    if len(block) == 1:
        return block
    half = len(block) // 2
    low, high = block[:half], block[half:]
    sums = [a + b for a, b in zip(low, high, strict=True)]
    differences = [a - b for a, b in zip(low, high, strict=True)]
    return _transformed(sums) + _transformed(differences)


def test_block_hadamard_every_operand() -> None:
    rows = list(product(range(-4, 4), repeat=4))
    spec = HadamardSpec(bits=3, size=4)
    found = block_hadamard(rows, spec)
    assert found.tolist() == [_transformed(list(row)) for row in rows]
    assert len(rows) == 4096
    assert (found.min(), found.max()) == (-16, 14)


def test_block_hadamard_reaches_its_bits() -> None:
    spec = HadamardSpec(bits=8, size=32)
    x = np.full((2, 64), -128)
    x[1] = np.random.default_rng(1).integers(-128, 128, 64)
    found = block_hadamard(x, spec)
    assert found[0, 0] == -(1 << (spec.sum_bits - 1))
    assert found[1].tolist() == _transformed(x[1, :32].tolist()) + _transformed(x[1, 32:].tolist())
    assert np.array_equal(block_hadamard(x.T, spec, axis=0), found.T)


def test_block_hadamard_range_wrong() -> None:
    with pytest.raises(ValueError, match=r"^x must be in -8..7, not 8$"):
        block_hadamard([1, 8], HadamardSpec(bits=4, size=2))
