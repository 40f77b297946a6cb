# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from hwsim.datapath import Sparsity, prune


def test_sparsity_name() -> None:
    assert Sparsity(kept=2, of=4).name == "2of4"


@pytest.mark.parametrize(
    ("kept", "of", "text"),
    [
        (0, 4, "kept must be in 1..3, not 0"),
        (4, 4, "kept must be in 1..3, not 4"),
        (1, 65, "of must be in 2..64, not 65"),
    ],
)
def test_sparsity_range_wrong(kept: int, of: int, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Sparsity(kept=kept, of=of)


def test_sparsity_prune_keeps_the_largest() -> None:
    values = np.array([[1.0, -4.0, 3.0, 2.0, 0.5, 0.5, 0.5, 0.5, -7.0, 8.0]])
    expected = [[0.0, -4.0, 3.0, 0.0, 0.5, 0.5, 0.0, 0.0, -7.0, 8.0]]
    assert prune(values, Sparsity(kept=2, of=4)).tolist() == expected


def test_sparsity_prune_counts() -> None:
    values = np.random.default_rng(3).standard_normal((5, 7, 33))
    pruned = prune(values, Sparsity(kept=1, of=8))
    assert pruned.shape == values.shape
    assert all((pruned[..., at : at + 8] != 0).sum(axis=-1).max() == 1 for at in range(0, 33, 8))
    assert (np.abs(pruned).max(axis=-1) == np.abs(values).max(axis=-1)).all()


def test_sparsity_prune_values_wrong() -> None:
    wrong = r"^sparsity must be a Sparsity, such as Sparsity\(kept=2, of=4\), not \(2, 4\)$"
    with pytest.raises(TypeError, match=wrong):
        prune([1.0, 2.0], (2, 4))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^values must be real numbers, not <U1$"):
        prune(["a"], Sparsity(kept=1, of=2))
    with pytest.raises(ValueError, match=r"^values must be finite to be pruned$"):
        prune([1.0, np.nan], Sparsity(kept=1, of=2))
    with pytest.raises(ValueError, match=r"^values must have at least one axis, not the shape \(\)$"):
        prune(1.0, Sparsity(kept=1, of=2))
