# SPDX-License-Identifier: Apache-2.0
"""Accumulator widths of arXiv:2311.12359 for 4608 products, the deepest dot product of ResNet-18."""

import re

import pytest

from cost_models.closed_forms.minifloat import integer_accumulator_bits, minifloat_accumulator_bits

TERMS = 512 * 3 * 3


@pytest.mark.parametrize(("exp_bits", "man_bits", "expected"), [(2, 3, 26), (3, 3, 34), (4, 3, 50), (5, 2, 80)])
def test_minifloat_accumulator_bits(exp_bits: int, man_bits: int, expected: int) -> None:
    assert minifloat_accumulator_bits(exp_bits, man_bits, exp_bits, man_bits, TERMS) == expected


@pytest.mark.parametrize(("exp_bits", "man_bits"), [(2, 3), (3, 3), (4, 3), (5, 2)])
def test_minifloat_accumulator_bits_suffice(exp_bits: int, man_bits: int) -> None:
    """The largest sum, of finite codes in units of the smallest product, fits with its sign."""
    largest = (((2 << man_bits) - 1) << ((1 << exp_bits) - 2)) ** 2 * TERMS
    bits = minifloat_accumulator_bits(exp_bits, man_bits, exp_bits, man_bits, TERMS)
    assert largest.bit_length() + 1 <= bits <= largest.bit_length() + 2


@pytest.mark.parametrize(("bits", "expected"), [(8, 30), (6, 26)])
def test_minifloat_integer_accumulator_bits(bits: int, expected: int) -> None:
    assert integer_accumulator_bits(bits, bits, TERMS) == expected


def test_minifloat_terms_wrong() -> None:
    with pytest.raises(TypeError, match=re.escape("terms must be an int, not 2.5")):
        minifloat_accumulator_bits(4, 3, 4, 3, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("terms must be at least 1, not 0")):
        integer_accumulator_bits(8, 8, 0)


def test_minifloat_bits_wrong() -> None:
    with pytest.raises(ValueError, match=re.escape("a_bits must be at least 1, not 0")):
        integer_accumulator_bits(0, 8, 1)
    with pytest.raises(ValueError, match=re.escape("b_man_bits must be at least 0, not -1")):
        minifloat_accumulator_bits(4, 3, 4, -1, 1)
