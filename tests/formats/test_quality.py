# SPDX-License-Identifier: Apache-2.0
"""The quality of formats against figures worked by hand and in fractions."""

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwsim.formats import quantize
from hwsim.formats.quality import compare_values, crest_factor, measure, measure_blocks, qsnr_db


def test_quality_by_hand() -> None:
    # int8 under scale 1: 0.5 goes to 0, 2.75 to 3, -1.25 to -1, 4 stays.
    x = [0.5, 2.75, -1.25, 4.0]
    found = measure(x, "int8", scale=1.0)
    signal, noise = 0.25 + 7.5625 + 1.5625 + 16, 0.25 + 0.0625 + 0.0625
    assert found.format == "int8"
    assert (found.elements, found.bits_per_element, found.max_error) == (4, 8.0, 0.5)
    assert found.mse == noise / 4
    assert found.qsnr_db == 10 * math.log10(signal / noise) == qsnr_db(x, [0, 3, -1, 4])
    assert found.crest_factor == 4 / math.sqrt(signal / 4) == crest_factor(x)
    assert (found.codes_used, found.entropy_bits) == (4 / 256, 2.0)
    assert compare_values(x, [0, 3, -1, 4]) == (found.qsnr_db, noise / 4, 0.5)
    figures = json.loads(found.to_json())
    assert figures["mse"] == noise / 4
    assert set(figures) == set(type(found).__dataclass_fields__)


def test_quality_exact() -> None:
    found = measure([1.0, -2.0, 4.0, 0.0], "int8", scale=1.0)
    assert (found.qsnr_db, found.mse, found.max_error) == (math.inf, 0.0, 0.0)
    assert json.loads(found.to_json())["qsnr_db"] is None
    one = measure([3.0] * 5, "int8", scale=1.0)
    assert (one.entropy_bits, one.crest_factor, one.codes_used) == (0.0, 1.0, 1 / 256)
    wide = measure(np.array([1.0, 1.0, 2.0, 3.0]), "float32", scale=1.0)
    assert (wide.entropy_bits, wide.codes_used, wide.bits_per_element) == (1.5, 3 / 2**32, 32.0)


@pytest.mark.parametrize("fmt", ["mxfp4", "nvfp4", "mxint8", "int8", "float8_e4m3fn"])
def test_quality_fractions(fmt: str) -> None:
    x = (np.random.default_rng(2).standard_normal((3, 4, 40)) * 7).astype(np.float32)
    for axis in (-1, 1, 0):
        y = quantize(x, fmt, axis).dequantize()
        signal = sum(Fraction(float(v)) ** 2 for v in x.flat)
        noise = sum((Fraction(float(v)) - Fraction(float(u))) ** 2 for u, v in zip(x.flat, y.flat, strict=True))
        found = measure(x, fmt, axis)
        assert found.mse == pytest.approx(float(noise / x.size), rel=1e-13)
        assert found.qsnr_db == pytest.approx(10 * math.log10(signal / noise), rel=1e-13)
        assert found.max_error == np.abs(y - x.astype(np.float64)).max()
    shares = np.unique(quantize(x, fmt).codes, return_counts=True)[1] / x.size
    found = measure(x, fmt)
    assert found.entropy_bits == pytest.approx(-(shares * np.log2(shares)).sum(), rel=1e-12)
    assert found.codes_used == shares.size / 2 ** (4 if "4" in fmt and "8" not in fmt else 8)


@pytest.mark.parametrize("axis", [-1, 0])
def test_quality_blocks(axis: int) -> None:
    x = np.random.default_rng(3).standard_normal((40, 70))
    x[:32, :32] = 0
    x[:, 69] = 2.0
    x[39] = 2.0
    found = measure_blocks(x, "mxfp4", axis)
    quantized = quantize(x, "mxfp4", axis)
    y = quantized.dequantize()
    assert found.mse.shape == quantized.scales.shape == ((40, 3) if axis else (2, 70))
    compared = 0
    for row, column in np.ndindex(found.mse.shape):
        at: Any = (row, slice(32 * column, 32 * column + 32)) if axis else (slice(32 * row, 32 * row + 32), column)
        block, error = x[at], y[at] - x[at]
        assert found.mse[row, column] == pytest.approx(np.square(error).mean(), rel=1e-13, abs=0)
        assert found.max_error[row, column] == np.abs(error).max()
        if not block.any():
            assert math.isnan(found.qsnr_db[row, column])
            assert math.isnan(found.crest_factor[row, column])
        else:
            rms = math.sqrt(np.square(block).mean())
            assert found.crest_factor[row, column] == pytest.approx(np.abs(block).max() / rms, rel=1e-13)
            if error.any():
                expected = 10 * math.log10(np.square(block).sum() / np.square(error).sum())
                assert found.qsnr_db[row, column] == pytest.approx(expected, rel=1e-12)
            else:
                assert found.qsnr_db[row, column] == math.inf
        compared += block.size
    assert compared == x.size


def test_quality_order() -> None:
    # Runs of 1024 by rows and their sums exactly: a value lost in a long sum stays.
    x = np.ones(4096)
    x[0] = 2.0**26
    x[1024:] = 2.0**-1
    assert compare_values(x, x)[0] == math.inf
    signal = 2.0**52 + 1023 + 3072 / 4
    noise = 4096 * 0.25
    assert compare_values(x, x + 0.5) == (10 * math.log10(signal / noise), 0.25, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: measure([0.0, 0.0], "int8"),
            ValueError,
            "x must hold a value other than zero: without a signal there is no ratio to noise",
        ),
        (lambda: measure([[1.0, math.nan]], "mxfp4"), ValueError, "x must be finite, but that at (0, 1) is nan"),
        (lambda: measure([1.0, -math.inf], "mxfp4"), ValueError, "x must be finite, but that at (1,) is -inf"),
        (lambda: measure([], "int8"), ValueError, "x must not be empty, not of shape (0,)"),
        (lambda: measure(["a"], "int8"), TypeError, "x must be an array of real numbers that fit float64, not <U1"),
        (
            lambda: measure([1e-300], "float64", scale=1.0),
            ValueError,
            "x must have squares within the normal float64, but they add to 0.0",
        ),
        (lambda: measure_blocks([1.0], "int8"), ValueError, "fmt must be a block format, not int8"),
        (lambda: compare_values([1.0], [1.0, 2.0]), ValueError, "y must have the shape (1,) of x, not (2,)"),
        (lambda: compare_values([1.0], [math.nan]), ValueError, "y must be finite, but that at (0,) is nan"),
        (lambda: crest_factor([0.0]), ValueError, "x must hold a value other than zero: without a signal there is no"),
    ],
)
def test_quality_arguments_wrong(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        call()
