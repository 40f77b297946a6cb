# SPDX-License-Identifier: Apache-2.0
"""The usual biases against the published ones, and the errors of widths that have none."""

import re

import pytest

from hwsim import formats
from hwsim.formats import Specials
from hwsim.formats.specials import usual_bias


def test_specials_usual_bias() -> None:
    # IEEE 754-2019, table 3.5; OCP OFP8 1.0, table 1; OCP MX 1.0; ml_dtypes' FNUZ; P3109's binary8p3 and binary8p4.
    published = [
        (5, Specials.IEEE, 15),
        (8, Specials.IEEE, 127),
        (11, Specials.IEEE, 1023),
        (4, Specials.FN, 7),
        (8, Specials.FN, 127),
        (2, Specials.FINITE, 1),
        (3, Specials.FINITE, 3),
        (4, Specials.FNUZ, 8),
        (5, Specials.FNUZ, 16),
        (5, Specials.EXTENDED, 16),
        (4, Specials.EXTENDED, 8),
    ]
    for exp_bits, specials, bias in published:
        assert usual_bias(exp_bits, specials) == bias


@pytest.mark.parametrize("name", ["minifloat_e0m3", "float8_e0m7", "bfp8_e0_b16", "float8_e0m7fnuz"])
def test_specials_bug_no_exponent(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('exp_bits must be in 1..11, not 0')}$"):
        formats.named(name)
