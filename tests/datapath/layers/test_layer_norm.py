# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from hwsim.datapath.layers import LayerNormSpec, layer_norm, newton_root


def _normalized(row: list[int], spec: LayerNormSpec, bias: list[int]) -> list[int]:
    """Return the source's IntLayerNorm in fractions."""
    mean = round(Fraction(sum(row), len(row)))
    centred = [value - mean for value in row]
    variance, root = sum(value**2 for value in centred), 2**spec.start_bits
    for _ in range(spec.iterations):
        root = floor(Fraction(root + floor(Fraction(variance, root)), 2))
        assert root.bit_length() <= spec.root_bits
    assert variance.bit_length() <= spec.square_bits
    factor = floor(Fraction(2**31 - 1, root))
    assert factor.bit_length() <= spec.factor_bits
    return [floor(Fraction(value * factor, 2)) + added for value, added in zip(centred, bias, strict=True)]


@pytest.mark.parametrize(
    "spec",
    [
        LayerNormSpec(length=17),
        LayerNormSpec(length=64, bits=16, bias_bits=33),
        LayerNormSpec(length=7, bits=20, start_bits=4, iterations=4),
        LayerNormSpec(length=4, bits=3, start_bits=30, iterations=30, bias_bits=8),
        LayerNormSpec(length=1, bits=2),
    ],
)
def test_layer_norm_is_fractions(spec: LayerNormSpec) -> None:
    generator = np.random.default_rng(1)
    top = 1 << (spec.bits - 1)
    x = generator.integers(-top, top, (40, spec.length)) >> generator.integers(0, spec.bits, (40, 1))
    x[0], x[1], x[2, ::2], x[2, 1::2] = -top, top - 1, -top, top - 1
    limit = 1 << max(spec.bias_bits - 1, 0)
    bias = generator.integers(-limit, limit, spec.length) if spec.bias_bits else None
    added = [0] * spec.length if bias is None else bias.tolist()
    found = layer_norm(x, spec, bias)
    assert found.tolist() == [_normalized(row, spec, added) for row in x.tolist()]
    assert -(1 << (spec.sum_bits - 1)) <= found.min() <= found.max() < 1 << (spec.sum_bits - 1)
    assert np.array_equal(layer_norm(x.T, spec, bias, axis=0), found.T)


def test_layer_norm_is_near_a_layer_norm() -> None:
    x = np.random.default_rng(2).integers(-3000, 3000, (20, 192))
    spec = LayerNormSpec(length=192, bits=13)
    exact = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    found = layer_norm(x, spec) * np.sqrt(192) / 2.0**30
    assert np.abs(found - exact).max() < 1e-3


def test_newton_root_without_enough_iterations() -> None:
    # From 2**16, ten halvings of a root that is far too large.
    assert newton_root(np.array([0, 9]), 16, 10).tolist() == [64, 64]
    values = np.arange(1 << 22, (1 << 22) + 3000)
    assert np.abs(newton_root(values, 16, 10) - np.sqrt(values)).max() <= 1


@pytest.mark.parametrize(
    ("bias_bits", "bias", "message"),
    [
        (0, [1, 2, 3], "bias must be given where bias_bits is not 0, and only there; it is 0"),
        (8, None, "bias must be given where bias_bits is not 0, and only there; it is 8"),
        (8, [1, 2], r"bias must have the shape \(3,\), not \(2,\)"),
        (8, [1, 2, 128], "bias must be in -128..127, not 128"),
    ],
)
def test_layer_norm_bias_wrong(bias_bits: int, bias: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        layer_norm([[1, 2, 3]], LayerNormSpec(length=3, bias_bits=bias_bits), bias)
