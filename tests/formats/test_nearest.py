# SPDX-License-Identifier: Apache-2.0
"""The quick way from float32: the codes of the exact encode, and None where it does not apply."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Rounding, nearest

EVEN, SATURATE, INFINITY = Rounding.NEAREST_EVEN, Overflow.SATURATE, Overflow.INFINITY
FLOATS = (
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3",
    "float8_e3m4",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e4m3b20",
    "float5_e2m2fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
    "minifloat_e1m2",
    "binary8p3se",
    "binary6p4sf",
    "float16",
    "bfloat16",
    "float12_e8m3",
)
INTEGERS = ("int2", "int4", "uint4", "int8", "int8_narrow", "uint8", "fixed8_6", "fixed9_m3", "ufixed12_4", "int16")


def _samples(spec: Any) -> NDArray[np.float32]:
    """Return every bfloat16, the format's values and middles, and one float32 below and above each of these two."""
    brains = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)).view(np.float32)
    values = spec.decode(np.arange(1 << spec.bits))
    values = np.unique(values[np.isfinite(values)])
    step = values[-1] - values[-2]
    with np.errstate(over="ignore", under="ignore"):
        middles = (values[1:] + values[:-1]) / 2
        points = np.concatenate([values, middles, [values[-1] + step / 2, values[-1] + step]]).astype(np.float32)
        points = np.concatenate([points, -points])
        near = [np.nextafter(points, np.float32(end)) for end in (-np.inf, np.inf)]
    return np.concatenate([brains, points, *near])


def _exact(spec: Any, values: NDArray[np.float32], rule: Overflow) -> Any:
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return spec.encode(values.astype(np.float64), EVEN, rule)


@pytest.mark.parametrize("name", FLOATS)
def test_nearest_floats(name: str, thin: Callable[..., Any]) -> None:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    values = _samples(spec)
    values = thin(values if spec.has_nan else values[~np.isnan(values)], 3000)
    for rule in (SATURATE, INFINITY) if spec.has_nan else (SATURATE,):
        codes = nearest.encode_floats(spec, values, EVEN, rule)
        assert codes is not None
        expected = _exact(spec, values, rule)
        assert codes.dtype == expected.dtype
        assert np.array_equal(codes, expected)
        assert np.array_equal(spec.encode(values, EVEN, rule), codes)
    assert values.size >= 3000


@pytest.mark.parametrize("name", INTEGERS)
def test_nearest_integers(name: str, thin: Callable[..., Any]) -> None:
    spec = formats.named(name)
    assert isinstance(spec, IntegerSpec)
    values = _samples(spec)
    values = thin(values[~np.isnan(values)], 3000)
    codes = nearest.encode_integers(spec, values, EVEN, SATURATE)
    assert codes is not None
    expected = _exact(spec, values, SATURATE)
    assert codes.dtype == expected.dtype
    assert np.array_equal(codes, expected)
    assert values.size >= 3000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float8_e4m3fn", "float4_e2m1fn", "int8"])
def test_nearest_every_float32(name: str) -> None:
    """All 2**32 patterns, beside the kernel that rounds with integers."""
    spec = formats.named(name)
    compared = 0
    for start in range(0, 1 << 32, 1 << 26):
        patterns = np.arange(start, start + (1 << 26), dtype=np.uint32).view(np.float32)
        values = patterns if spec.has_nan else patterns[~np.isnan(patterns)]  # type: ignore[union-attr]
        if values.size:
            assert np.array_equal(spec.encode(values), _exact(spec, values, SATURATE))  # type: ignore[union-attr]
        compared += values.size
    assert compared > (1 << 32) - (1 << 25)


def test_nearest_none() -> None:
    ones = np.ones(1 << 10, np.float32)
    e4m3, e2m1 = formats.named("float8_e4m3fn"), formats.named("float4_e2m1fn")
    assert isinstance(e4m3, FloatSpec)
    assert nearest.encode_floats(e4m3, ones, EVEN, SATURATE) is not None
    for values, mode, rule in (
        (ones[:-1], EVEN, SATURATE),
        (ones.astype(np.float64), EVEN, SATURATE),
        (np.ones(1 << 11, np.float32)[::2], EVEN, SATURATE),
        (ones.tolist(), EVEN, SATURATE),
        (ones, Rounding.UP, SATURATE),
        (ones, EVEN, Overflow.IEEE),
    ):
        assert nearest.encode_floats(e4m3, values, mode, rule) is None
    for name in ("float8_e8m0fnu", "float8_e5m3fnu", "minifloat_e3m0", "float32", "minifloat_e8m3", "float8_e4m3bm100"):
        assert nearest.encode_floats(formats.named(name), ones, EVEN, SATURATE) is None, name
    with_nan = np.where(np.arange(1 << 10) == 77, np.float32(np.nan), ones)
    assert nearest.encode_floats(e2m1, with_nan, EVEN, SATURATE) is None
    for name, values, rule in (
        ("int8", with_nan, SATURATE),
        ("int8", ones, Overflow.WRAP),
        ("int8_z3", ones, SATURATE),
        ("int32", ones, SATURATE),
        ("fixed8_101", ones, SATURATE),
    ):
        assert nearest.encode_integers(formats.named(name), values, EVEN, rule) is None, name


@pytest.mark.parametrize("name", ["float4_e2m1fn", "int8"])
def test_nearest_nan_wrong(name: str) -> None:
    spec: Any = formats.named(name)
    values = np.ones((32, 64), np.float32)
    values[3, 5] = np.nan
    text = rf"^values to encode as {name}, which has no NaN, must not be NaN, as that at \(3, 5\) is$"
    with pytest.raises(ValueError, match=text):
        spec.encode(values)
