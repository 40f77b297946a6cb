# SPDX-License-Identifier: Apache-2.0
"""Counts of arXiv:2510.25602's table 6 evaluated for table 5's formats, by hand from the formulas."""

import re

import pytest

from cost_models.closed_forms.int_vs_fp import FORMATS, VAN_BAALEN, Factors, aligner_bits, counts, per_product

ONES = Factors(
    multiplier=1, adder=1, exponent_adder=1, exponent_subtractor=1, comparator=1, aligner=1, normaliser=1
)  # fmt: skip


def test_int_vs_fp_aligner_bits() -> None:
    assert aligner_bits(4, 3) == 24
    assert aligner_bits(2, 1) == 10
    assert aligner_bits(4, 3, psum_bits=60) == 38


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mxfp8", (512, 768, 128, 128, 128, 3521.3, 110.0)),
        ("mxint8", (2048, 512, 0, 0, 0, 0, 0)),
        ("nvfp4", (64, 160, 32, 32, 32, 531.5, 33.2)),
        ("nvint4", (256, 128, 0, 0, 0, 0, 0)),
    ],
)
def test_int_vs_fp_counts(name: str, expected: tuple[float, ...]) -> None:
    spec = FORMATS[name]
    found = counts(spec.exp_bits, spec.man_bits, spec.lanes)
    fields = (
        found.multiplier, found.adder, found.exponent_adder, found.exponent_subtractor, found.comparator,
        found.aligner, found.normaliser,
    )  # fmt: skip
    assert tuple(round(value, 1) for value in fields) == expected
    assert found.weighted(ONES) == pytest.approx(sum(fields))


def test_int_vs_fp_aligner_is_two_thirds_of_mxfp8() -> None:
    found = counts(4, 3, 32)
    assert round(found.weighted(ONES)) == 5295
    assert round(found.aligner / found.weighted(ONES), 2) == 0.66


def test_int_vs_fp_van_baalen_ratios() -> None:
    """Untuned weights, small scales, no accumulator: 0.86, 0.42, 0.32 (the paper's factors give 0.79, 0.54, 0.38)."""
    scales = {"mxfp8": 118.0, "mxint8": 118.0, "nvfp4": 800.0, "nvint4": 800.0}
    each = {name: per_product(spec, VAN_BAALEN, scales=scales[name]) for name, spec in FORMATS.items()}
    ratios = [round(each[name] / each["mxfp8"], 2) for name in ("mxint8", "nvfp4", "nvint4")]
    assert ratios == [0.86, 0.42, 0.32]


def test_int_vs_fp_per_product_shares_scales_and_accumulator() -> None:
    spec = FORMATS["nvint4"]
    assert per_product(spec, ONES, scales=16.0, accumulator=32.0) == per_product(spec, ONES) + 3


def test_int_vs_fp_lanes_wrong() -> None:
    with pytest.raises(TypeError, match=re.escape("lanes must be an int, not 1.5")):
        counts(4, 3, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("lanes must be at least 1, not 0")):
        counts(4, 3, 0)
