# SPDX-License-Identifier: Apache-2.0
"""Closed forms against figure 3 of arXiv:2303.17951, read off to 3 gates: INT8, then E2 to E5."""

import re

import pytest

from cost_models.closed_forms.fp8_vs_int8 import INT8, fixed_accumulator, fixed_accumulator_bits, float_accumulator

FIXED = (721, 874, 898, 1064, 1510)
FIXED_SEGMENTS = ((418, 104, 196), (327, 336, 208), (241, 410, 245), (168, 569, 330), (119, 880, 507))
FLOAT16 = (1394, 1271, 1180, 1106, 1051)
FLOAT32 = (2335, 2213, 2121, 2042, 1980)
FLOAT_MULTIPLY = (443, 333, 247, 180, 125)


@pytest.mark.parametrize(("exp_bits", "bar"), list(enumerate(FIXED, 1)))
def test_fp8_vs_int8_fixed_bars(exp_bits: int, bar: int) -> None:
    assert abs(fixed_accumulator(exp_bits).total / bar - 1) < 0.011


@pytest.mark.parametrize(("exp_bits", "bars"), list(enumerate(FIXED_SEGMENTS, 1)))
def test_fp8_vs_int8_fixed_segments(exp_bits: int, bars: tuple[int, int, int]) -> None:
    form = fixed_accumulator(exp_bits)
    assert all(
        abs(ours - theirs) <= 13
        for ours, theirs in zip((form.multiply, form.align, form.accumulate), bars, strict=True)
    )


def test_fp8_vs_int8_fixed_accumulator_bits() -> None:
    """INT8: 15 + 12; E4: 37 + 12 (section 2.3 of the notes on the paper)."""
    assert fixed_accumulator_bits(INT8) == 27
    assert fixed_accumulator_bits(4) == 49


@pytest.mark.parametrize(("register_exp_bits", "bars"), [(5, FLOAT16), (8, FLOAT32)])
def test_fp8_vs_int8_float_bars(register_exp_bits: int, bars: tuple[int, ...]) -> None:
    """Within 5 %: the widths of the steps are ours."""
    for exp_bits, bar in enumerate(bars, 1):
        assert abs(float_accumulator(exp_bits, register_exp_bits).total / bar - 1) < 0.05


@pytest.mark.parametrize(("exp_bits", "bar"), list(enumerate(FLOAT_MULTIPLY, 1)))
def test_fp8_vs_int8_float_multiply(exp_bits: int, bar: int) -> None:
    assert abs(float_accumulator(exp_bits, 5).multiply - bar) <= 5
    assert float_accumulator(exp_bits, 5).multiply == float_accumulator(exp_bits, 8).multiply


def test_fp8_vs_int8_abstract() -> None:
    """FP8 is 50 to 180 % less efficient than INT8: E4 with a float16 and with a float32 accumulator."""
    whole = fixed_accumulator(INT8).total
    assert 1.4 < float_accumulator(4, 5).total / whole < 1.6
    assert 2.7 < float_accumulator(4, 8).total / whole < 2.9


def test_fp8_vs_int8_exp_bits_wrong() -> None:
    with pytest.raises(TypeError, match=re.escape("exp_bits must be an int, not '4'")):
        fixed_accumulator("4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("exp_bits must be 2 to 5, or 1 for INT8, not 6")):
        fixed_accumulator(6)


def test_fp8_vs_int8_register_exp_bits_wrong() -> None:
    with pytest.raises(ValueError, match=re.escape("register_exp_bits must be 5 (float16) or 8 (float32), not 11")):
        float_accumulator(4, 11)
