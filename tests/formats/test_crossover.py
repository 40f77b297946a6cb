# SPDX-License-Identifier: Apache-2.0
"""Crossovers of integers and floats: the paper's figures, numerical integrals, and samples within their errors."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from hwsim.formats import FloatSpec, IntegerSpec, named, quantize
from hwsim.formats.crossover import (
    CONTESTS,
    Contest,
    closed_crossing,
    exact_crossing,
    gaussian_noise,
    measured_assumed,
    measured_blocks,
    qsnr_float,
    qsnr_integer,
)
from hwsim.formats.quality import measure

# arXiv:2510.25602, figure 3.
PRINTED = {
    "MXINT8 / MXFP8": (7.55, 31.86),
    "MXINT6 / MXFP6": (1.96, 31.54),
    "MXINT4 / MXFP4": (2.04, 19.14),
    "NVINT4 / NVFP4": (2.39, 21.14),
}
CASES = pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)


def scalar(name: str) -> IntegerSpec | FloatSpec:
    spec = named(name)
    assert isinstance(spec, IntegerSpec | FloatSpec)
    return spec


@CASES
def test_crossover_closed_as_printed(contest: Contest) -> None:
    found = closed_crossing(contest)
    assert (round(found.kappa, 2), round(found.qsnr_db, 2)) == PRINTED[contest.name] == contest.paper


def test_crossover_contests() -> None:
    assert [contest.name for contest in CONTESTS] == list(PRINTED)
    sizes = {(contest.integer.block_size, contest.floating.block_size) for contest in CONTESTS}
    assert sizes == {(32, 32), (16, 16)}
    assert [contest.integer.rule.value for contest in CONTESTS] == ["ceil", "ceil", "ceil", "amax"]


def test_crossover_closed_forms() -> None:
    # 4.78 + 6.02 b - 20 log10 rho - 20 log10 kappa, and 13.80 + 6.02 M where the range is ample: both printed rounded.
    for bits in (4, 6, 8):
        for kappa in (1.5, 3.0, 12.0):
            expected = 4.78 + 6.02 * bits - 20 * math.log10(1.5 * kappa)
            assert abs(qsnr_integer(kappa, bits, 1.5) - expected) < 0.005
            corrected = 4.78 + 6.02 * bits - 20 * math.log10(kappa) + 10 * math.log10(16 / 15)
            assert abs(qsnr_integer(kappa, bits, 1.0, 16) - corrected) < 0.02
    for exp_bits, man_bits in ((6, 2), (6, 3), (7, 4)):
        wide = scalar(f"minifloat_e{exp_bits}m{man_bits}")
        assert isinstance(wide, FloatSpec)
        assert abs(qsnr_float(3.0, wide, 1.5) - (13.80 + 6.02 * man_bits)) < 0.01


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("int4_narrow", 0.4),
        ("int4", 0.2),
        ("int8", 0.03),
        ("float4_e2m1fn", 0.5),
        ("float8_e4m3fn", 0.01),
        ("uint3", 0.5),
    ],
)
def test_crossover_integral(name: str, scale: float) -> None:
    spec = scalar(name)
    sigma = 1.25

    def error(x: float) -> float:
        y = float(spec.decode(spec.encode([x / scale]))[0]) * scale
        return (x - y) ** 2 * math.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))

    values = np.unique(spec.decode(np.arange(1 << spec.bits, dtype=np.uint8)))
    values = values[np.isfinite(values)] * scale
    edges = np.concatenate([[-12.0], (values[1:] + values[:-1]) / 2, [12.0]])
    edges = np.unique(np.clip(edges, -12, 12))
    total = sum(quad(error, low, high)[0] for low, high in pairwise(edges.tolist()))
    assert gaussian_noise(spec, scale, sigma) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(("name", "scale"), [("int4_narrow", 0.4), ("float6_e2m3fn", 0.5), ("float8_e4m3fn", 0.01)])
def test_crossover_integral_sampled(name: str, scale: float) -> None:
    x = np.random.default_rng(11).standard_normal(1 << 16)
    errors = np.square(quantize(x, name, None, scale=scale).dequantize() - x)
    expected = gaussian_noise(scalar(name), float(np.float32(scale)))
    assert abs(errors.mean() - expected) < 4 * errors.std() / math.sqrt(x.size)
    assert measure(x, name, None, scale=scale).mse == pytest.approx(errors.mean(), rel=1e-12)


def test_crossover_exact_float_noise() -> None:
    # Mantissas spread as the logarithm have a mean of 1/m**2 of 3 / (8 ln 2), not 1/2: the closed form is so much low.
    found, closed = exact_crossing(CONTESTS[0]), closed_crossing(CONTESTS[0])
    assert abs(closed.qsnr_db - found.qsnr_db - 10 * math.log10(3 / (4 * math.log(2)))) < 0.01
    assert abs(20 * math.log10(found.kappa / closed.kappa) - (closed.qsnr_db - found.qsnr_db)) < 0.02


@CASES
def test_crossover_sampled_as_exact(contest: Contest) -> None:
    found, expected = measured_assumed(contest, 1 << 13, seed=3), exact_crossing(contest)
    assert found.blocks == 1 << 13
    assert 0 < found.kappa_error < 0.01 * found.kappa
    assert 0 < found.qsnr_error < 0.1
    # Four standard errors, of 16 parts, and what the fit itself may be off.
    assert abs(found.kappa - expected.kappa) < 4 * found.kappa_error + 0.0002
    assert abs(found.qsnr_db - expected.qsnr_db) < 4 * found.qsnr_error + 0.0005


@CASES
def test_crossover_rounded(contest: Contest) -> None:
    # The integer's noise is that of its step: real scales move it by mean overhead and largest value.
    paper, real = exact_crossing(contest), exact_crossing(contest, rounded=True)
    bits = contest.integer.bits
    largest = 20 * math.log10(2 ** (bits - 1) / (2 ** (bits - 1) - 1))
    overhead = 20 * math.log10(contest.rho / (1.0 if contest.exact_max else math.sqrt(3 / math.log(4))))
    steps = [at.qsnr_db + 20 * math.log10(at.kappa) for at in (paper, real)]
    assert steps[1] - steps[0] == pytest.approx(overhead - largest, abs=0.001)


@CASES
def test_crossover_real_blocks(contest: Contest) -> None:
    # What the integral leaves out is that no element is above the largest, which counts where that is small.
    found, expected = measured_blocks(contest, 1 << 13, seed=4), exact_crossing(contest, rounded=True)
    assert found.blocks == 1 << 13
    small = contest.paper.kappa < 3
    assert abs(found.kappa - expected.kappa) < 4 * found.kappa_error + 0.03 * small + 0.0002
    assert abs(found.qsnr_db - expected.qsnr_db) < 4 * found.qsnr_error + 0.15 * small + 0.0005


def test_crossover_blocks_too_few() -> None:
    text = "blocks must be more than 4 in each of 16 parts to find a crossing"
    with pytest.raises(ValueError, match=f"^{text}$"):
        measured_assumed(CONTESTS[2], 64)


def test_crossover_repeats() -> None:
    arguments: dict[str, Any] = {"blocks": 1 << 13, "seed": 9}
    assert measured_assumed(CONTESTS[3], **arguments) == measured_assumed(CONTESTS[3], **arguments)
