# SPDX-License-Identifier: Apache-2.0
import random
from typing import Any

import pytest

from rtl.arithmetic.leading_zeros import LeadingZeros


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 7, 8, 9, 12])
def test_leading_zeros_of_every_word(evaluate: Any, bits: int) -> None:
    counts = evaluate(LeadingZeros(bits), [{"value": value} for value in range(1 << bits)], "count")
    assert counts == [bits - value.bit_length() for value in range(1 << bits)]
    assert len(counts) == 1 << bits


@pytest.mark.parametrize("bits", [31, 32, 33, 69])
def test_leading_zeros_of_a_wide_word(evaluate: Any, bits: int) -> None:
    source = random.Random(bits)
    words = [0, 1, (1 << bits) - 1] + [1 << bit for bit in range(bits)]
    words += [source.getrandbits(source.randint(1, bits)) for _ in range(200)]
    counts = evaluate(LeadingZeros(bits), [{"value": word} for word in words], "count")
    assert counts == [bits - word.bit_length() for word in words]
