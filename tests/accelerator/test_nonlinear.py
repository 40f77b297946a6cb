# SPDX-License-Identifier: Apache-2.0
"""Codes to codes through the integer layers: against rational arithmetic and the results of I-ViT's own code."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hwsim.accelerator.nonlinear import KERNELS
from hwsim.network.affine import AffineQuantization
from hwsim.network.nonlinear import GeluKind, LayerNormKind, SoftmaxKind

Array = npt.NDArray[Any]

# Made by running IntSoftmax, IntGELU, IntLayerNorm and QuantAct of I-ViT's quant_modules.py (380ba99) in PyTorch 2 on
# a CPU: for each case the codes, the scales (input, then each output), gamma, beta and the codes that QuantAct gives.
VECTORS = Path(__file__).with_name("i_vit_vectors.npz")
CASES = 6


def _quantization(scale: float, zero_point: int = 0, dtype: str = "int8") -> AffineQuantization:
    return AffineQuantization(
        scale=np.asarray(scale, np.float32), zero_point=np.asarray(zero_point, np.int64), dtype=dtype
    )


@pytest.mark.parametrize("case", range(CASES))
def test_nonlinear_float32_kinds_equal_the_authors_code(case: int) -> None:
    data = np.load(VECTORS)
    codes, gamma, beta = (data[f"{name}_{case}"] for name in ("codes", "gamma", "beta"))
    source, softmax, gelu, norm = (_quantization(scale) for scale in data[f"scales_{case}"])
    got = {
        "softmax": KERNELS.softmax(SoftmaxKind.SHIFTMAX_FLOAT32, codes, source, softmax),
        "gelu": KERNELS.gelu(GeluKind.SHIFT_GELU_FLOAT32, codes, source, gelu),
        "layer_norm": KERNELS.layer_norm(LayerNormKind.I_LAYER_NORM_FLOAT32, codes, source, norm, gamma, beta),
    }
    for name, result in got.items():
        assert result.dtype == np.int8
        np.testing.assert_array_equal(result, data[f"{name}_{case}"])


def test_nonlinear_exact_kinds_are_not_the_float32_kinds() -> None:
    data = np.load(VECTORS)
    different = {"softmax": 0, "gelu": 0}
    for case in range(CASES):
        source, softmax, gelu, _ = (_quantization(scale) for scale in data[f"scales_{case}"])
        codes = data[f"codes_{case}"]
        shiftmax = KERNELS.softmax(SoftmaxKind.SHIFTMAX, codes, source, softmax)
        shift_gelu = KERNELS.gelu(GeluKind.SHIFT_GELU, codes, source, gelu)
        different["softmax"] += int((shiftmax != data[f"softmax_{case}"]).sum())
        different["gelu"] += int((shift_gelu != data[f"gelu_{case}"]).sum())
    assert all(different.values())


def _rational_exponential(value: int, unit: int, steps: int) -> int:
    """I-ViT, equations 12 to 15, in rational numbers."""
    scaled = max(value + math.floor(Fraction(value, 2)) - math.floor(Fraction(value, 16)), -steps * unit)
    quotient = math.floor(Fraction(scaled, -unit))
    rest = scaled + unit * quotient
    return math.floor((Fraction(rest, 2) + unit) * Fraction(2) ** (steps - quotient))


def _rational_share(power: int, total: int) -> int:
    largest = 2**31 - 1
    return min(math.floor(Fraction(power * math.floor(Fraction(largest, min(total, largest))), 2**24)), 127)


def _rational_code(units: int, scale: float, output: AffineQuantization) -> int:
    """Requantize as HAWQ-V3: a multiplier of 31 bits, rounded half up, then one rounding to even."""
    ratio = Fraction(float(np.float32(abs(scale)))) / Fraction(float(output.scale))
    exponent = 0
    while ratio >= 1:
        ratio, exponent = ratio / 2, exponent + 1
    while ratio < Fraction(1, 2):
        ratio, exponent = ratio * 2, exponent - 1
    multiplier = math.floor(Fraction(float(ratio)) * 2**31 + Fraction(1, 2))
    signed = -units if scale < 0 else units
    code = round(Fraction(signed * multiplier) * Fraction(2) ** (exponent - 31)) + int(output.zero_point)
    return max(output.low, min(output.high, code))


def _codes(rng: np.random.Generator, rows: int, length: int) -> Array:
    wide = rng.normal(size=(rows, length)) * rng.uniform(2, 80, size=(rows, 1)) + rng.uniform(-60, 60, size=(rows, 1))
    return np.clip(np.rint(wide), -128, 127).astype(np.int8)


@pytest.mark.parametrize(("scale", "zero_point", "length"), [(0.0371, 0, 197), (0.11, -7, 33), (1.0, 100, 5)])
def test_nonlinear_shiftmax_equals_rational_numbers(scale: float, zero_point: int, length: int) -> None:
    codes = _codes(np.random.default_rng(1), 12, length)
    source, output = _quantization(scale, zero_point), _quantization(1 / 256, -128)
    unit = math.ceil(1 / Fraction(float(np.float32(scale))))
    compared = 0
    for row, got in zip(codes, KERNELS.softmax(SoftmaxKind.SHIFTMAX, codes, source, output), strict=True):
        powers = [_rational_exponential(int(code) - int(row.max()), unit, 15) for code in row]
        expected = [_rational_code(_rational_share(power, sum(powers)), 2.0**-7, output) for power in powers]
        assert got.tolist() == expected
        compared += len(expected)
    assert compared == 12 * length


@pytest.mark.parametrize(("scale", "zero_point", "length"), [(0.0371, 0, 96), (0.11, -7, 33), (0.6, 90, 5)])
def test_nonlinear_shift_gelu_equals_rational_numbers(scale: float, zero_point: int, length: int) -> None:
    codes = _codes(np.random.default_rng(2), 12, length)
    source, output = _quantization(scale, zero_point), _quantization(scale * 0.7, 3)
    single = float(np.float32(scale))
    unit = math.ceil(1 / Fraction(1.702 * single))
    for row, got in zip(codes, KERNELS.gelu(GeluKind.SHIFT_GELU, codes, source, output), strict=True):
        values = [int(code) - zero_point for code in row]
        largest = max(0, *values)
        off = _rational_exponential(-largest, unit, 23)
        expected = []
        for value in values:
            power = _rational_exponential(value - largest, unit, 23)
            expected.append(_rational_code(value * _rational_share(power, power + off), single / 128, output))
        assert got.tolist() == expected


@pytest.mark.parametrize(("zero_point", "length"), [(0, 96), (-7, 33), (90, 5)])
def test_nonlinear_layer_norm_equals_rational_numbers(zero_point: int, length: int) -> None:
    rng = np.random.default_rng(3)
    codes = _codes(rng, 12, length)
    source, output = _quantization(0.07, zero_point), _quantization(0.031, 3)
    gamma = (rng.uniform(0.4, 1.6, length) * rng.choice([-1, 1], length)).astype(np.float32)
    beta = rng.normal(size=length).astype(np.float32) * np.float32(0.4)
    unit = np.sqrt(np.float32(length)) / np.float32(2**30)
    results = KERNELS.layer_norm(LayerNormKind.I_LAYER_NORM, codes, source, output, gamma, beta)
    for row, got in zip(codes, results, strict=True):
        values = [int(code) - zero_point for code in row]
        mean = round(Fraction(sum(values), length))
        square = sum((value - mean) ** 2 for value in values)
        root = 2**16
        for _ in range(10):
            root = (root + square // root) // 2
        factor = (2**31 - 1) // root
        expected = []
        for value, gain, offset in zip(values, gamma, beta, strict=True):
            units = math.floor(Fraction((value - mean) * factor, 2)) + int(np.floor(np.float32(offset / gain) / unit))
            expected.append(_rational_code(units, float(unit * gain), output))
        assert got.tolist() == expected


@pytest.mark.parametrize("kind", list(SoftmaxKind)[1:3])
def test_nonlinear_shiftmax_is_near_the_real_softmax(kind: SoftmaxKind) -> None:
    codes = _codes(np.random.default_rng(6), 200, 40)
    exps = np.exp((codes - codes.max(axis=1, keepdims=True).astype(np.float64)) * 0.05)
    got = KERNELS.softmax(kind, codes, _quantization(0.05), _quantization(1 / 128, dtype="uint8"))
    assert np.abs(got / 128 - exps / exps.sum(axis=1, keepdims=True)).max() < 0.06


_GAIN = np.ones(4, np.float32)
_ZERO = np.zeros(4, np.float32)
_X = np.zeros((1, 4), np.int8)
_IN = _quantization(0.1)


def _norm(gamma: Array = _GAIN, beta: Array = _ZERO, source: AffineQuantization = _IN) -> Array:
    return KERNELS.layer_norm(LayerNormKind.I_LAYER_NORM, _X, source, _IN, gamma, beta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: KERNELS.softmax(SoftmaxKind.SHIFTMAX, _X, _quantization(2.0**-17), _IN),
            f"the input's scale must be at least {2.0**-16} for an integer exponential, not {2.0**-17}",
        ),
        (
            lambda: KERNELS.softmax(SoftmaxKind.SHIFTMAX, _X, _quantization(-1.0), _IN),
            "the input's scale must be positive, not -1.0",
        ),
        (
            lambda: KERNELS.gelu(GeluKind.SHIFT_GELU, _X, _IN, _quantization(-1.0)),
            "the output's scale must be positive, not -1.0",
        ),
        (
            lambda: KERNELS.gelu(GeluKind.SHIFT_GELU, np.zeros((1, 4097), np.int8), _IN, _IN),
            "a vector must have at most 4096 elements, not 4097",
        ),
        (
            lambda: KERNELS.gelu(GeluKind.SHIFT_GELU, _X, _quantization(0.1, dtype="int32"), _IN),
            "the input must have codes of 16 bits or fewer, not int32",
        ),
        (
            lambda: _norm(gamma=np.array([1, 1, 0, 1], np.float32)),
            "gamma must not be 0 (element 2): the integer form divides by it",
        ),
        (
            lambda: _norm(beta=np.array([1, -2.5, 0, 1], np.float32)),
            "beta / gamma must be within 2, the root of the length, for a sum of 32 bits, not -2.5 (element 1)",
        ),
        (
            lambda: KERNELS.softmax(SoftmaxKind.SHIFTMAX, _X, _IN, _quantization(1e-30)),
            "ratio must be in [2**-32, 2**31), not ",
        ),
    ],
)
def test_nonlinear_constants_wrong(call: Callable[[], Array], message: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        call()
    assert str(caught.value).startswith(message)
