# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from rtl.units.dsp_packed import Packing, blocks, packings


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_dsp_packed_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 3000) == 3000


def test_dsp_packed_words_fit() -> None:
    """The word of two int8 with a shared int8 is of 25 bits, as DSP48E1 has them; -128 * 2**16 - 128 needs them all."""
    int8 = next(packing for packing in packings() if packing.a_bits == 8)
    assert int8.a_word_bits == (128 * (1 << 16) + 128 - 1).bit_length() + 1 == 25


def test_dsp_packed_too_wide_wrong() -> None:
    with pytest.raises(ValueError, match=r"^the word of a must fit a port of 18 bits, not need 25$"):
        Packing(a_bits=8, b_bits=8, a_count=2, b_count=1, wide_bits=18, short_bits=18)
