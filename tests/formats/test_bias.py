# SPDX-License-Identifier: Apache-2.0
"""Real-valued exponent biases against the expressions of the paper."""

import math
import re
from typing import Any

import numpy as np
import pytest

from hwsim.formats import Specials
from hwsim.formats.bias import bias_of_maximum, with_real_bias

FORMATS = ((2, 1), (1, 2), (3, 0), (3, 4), (4, 3), (5, 2))


def paper(x: float, exp_bits: int, man_bits: int, bias: float) -> tuple[float, float]:
    """Quantize as LLM-FP4 writes it, in float64; give how far the value is from a tie, in steps, too."""
    largest = (2 - 2.0**-man_bits) * 2 ** (2**exp_bits - 1 - bias)
    clipped = min(max(x, -largest), largest)
    field = max(1, math.floor(math.log2(abs(clipped)) + bias)) if clipped else 1
    step = 2.0 ** (field - man_bits - bias)
    return step * round(clipped / step), abs(abs(clipped / step) % 1 - 0.5)


def test_bias_paper() -> None:
    rng = np.random.default_rng(8)
    compared = 0
    for exp_bits, man_bits in FORMATS:
        for bias in rng.uniform(-6, 12, 25).tolist():
            spec, scale = with_real_bias(exp_bits, man_bits, bias)
            largest = spec.max_value * float(scale)
            assert largest == pytest.approx((2 - 2.0**-man_bits) * 2 ** (2**exp_bits - 1 - bias), rel=1e-7)
            values = rng.standard_normal(200) * largest / 2
            ours = spec.decode(spec.encode(values / float(scale))) * float(scale)
            for value, near in zip(values.tolist(), ours.tolist(), strict=True):
                expected, distance = paper(value, exp_bits, man_bits, bias)
                if distance > 1e-5:  # the float32 scale is off by up to 2**-24, which decides only near a tie
                    assert near == pytest.approx(expected, rel=1e-7, abs=0)
                    compared += 1
    assert compared > 29_900


def test_bias_integer() -> None:
    # An integer bias needs a power of two, and the values are those of the format with that bias.
    for exp_bits, man_bits in FORMATS:
        for bias in (-3, 0, 5, 12):
            spec, scale = with_real_bias(exp_bits, man_bits, bias)
            codes = np.arange(1 << spec.bits)
            usual = 2 ** (exp_bits - 1) - 1
            assert (spec.bias, spec.specials, float(scale)) == (usual, Specials.FINITE, 2.0 ** (usual - bias))
            same = type(spec)(exp_bits=exp_bits, man_bits=man_bits, bias=bias, specials=Specials.FINITE)
            assert np.array_equal(spec.decode(codes) * float(scale), same.decode(codes))


def test_bias_of_maximum() -> None:
    for exp_bits, man_bits in FORMATS:
        for largest in (0.37, 1.0, 6.0, 448.0):
            spec, scale = with_real_bias(exp_bits, man_bits, bias_of_maximum(exp_bits, man_bits, largest))
            assert spec.max_value * float(scale) == pytest.approx(largest, rel=1e-7)
    assert bias_of_maximum(2, 1, 6.0) == 1.0  # E2M1 has its own bias


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ((2, 1, "1"), TypeError, "bias must be a real number, not '1'"),
        ((2, 1, True), TypeError, "bias must be a real number, not True"),
        ((2, 1, 127.5), ValueError, "bias must be within 126 of 1, the usual one, not 127.5"),
        ((2, 1, math.nan), ValueError, "bias must be within 126 of 1, the usual one, not nan"),
        ((0, 1, 1.0), ValueError, "exp_bits must be in 1..11, not 0"),
    ],
)
def test_bias_wrong(fields: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        with_real_bias(*fields)


def test_bias_largest_wrong() -> None:
    with pytest.raises(ValueError, match=r"^largest must be finite and above 0, not 0\.0$"):
        bias_of_maximum(2, 1, 0.0)
