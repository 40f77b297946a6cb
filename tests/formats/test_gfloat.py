# SPDX-License-Identifier: Apache-2.0
"""Every scalar format of gfloat, its codes and all its rounding modes."""

from collections.abc import Callable
from typing import Any

import gfloat
import gfloat.formats
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import FloatSpec, IntegerSpec

NAMES = {
    "binary64": "float64",
    "binary32": "float32",
    "binary16": "float16",
    "bfloat16": "bfloat16",
    "ocp_e5m2": "float8_e5m2",
    "ocp_e4m3": "float8_e4m3fn",
    "ocp_e3m2": "float6_e3m2fn",
    "ocp_e2m3": "float6_e2m3fn",
    "ocp_e2m1": "float4_e2m1fn",
    "ocp_e8m0": "float8_e8m0fnu",
    "ocp_int8": "fixed8_6",  # gfloat's precision of 8 and bias of 0: MXINT8's implicit 2**-6
}
MODES = {
    "nearest_even": gfloat.RoundMode.TiesToEven,
    "nearest_away": gfloat.RoundMode.TiesToAway,
    "toward_zero": gfloat.RoundMode.TowardZero,
    "up": gfloat.RoundMode.TowardPositive,
    "down": gfloat.RoundMode.TowardNegative,
}
INFOS = {info.name: info for info in gfloat.formats.sample_formats}
EVERY = tuple(INFOS)


def of_info(info: Any) -> FloatSpec | IntegerSpec:
    """Return our format of gfloat's."""
    name = NAMES.get(info.name) or info.name.replace("p3109_k", "binary")
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec | IntegerSpec)
    return spec


def same_bits(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
    """Compare bits, but for the sign and payload of NaN."""
    nan = np.isnan(theirs)
    return bool(np.array_equal(np.isnan(ours), nan)) and bool(
        np.array_equal(ours[~nan].view(np.uint64), theirs[~nan].view(np.uint64))
    )


def points(spec: FloatSpec | IntegerSpec, oracle: Callable[..., Any], thin: Callable[..., Any]) -> NDArray[np.float64]:
    """Return values at and beside each rounding boundary, of a wide format at and beside random ones."""
    rng = np.random.default_rng(5)
    if spec.bits > 16:
        wide = rng.integers(0, 1 << 64, 1 << 16, dtype=np.uint64).view(np.float64)
        singles = rng.standard_normal(1 << 16).astype(np.float32).astype(np.float64)
        return np.asarray(thin(np.concatenate([wide[np.abs(wide) > 2.0**-900], singles, singles * (1 + 2.0**-24)])))
    if isinstance(spec, IntegerSpec):
        steps = np.ldexp(np.arange(-(4 << spec.bits), 4 << spec.bits), -2 - spec.fraction_bits)
        return np.asarray(thin(np.concatenate([steps, np.nextafter(steps, -np.inf), np.nextafter(steps, np.inf)]), 500))
    values = np.asarray(oracle(spec).boundaries())
    return np.asarray(thin(values, 300))


def taken(spec: FloatSpec | IntegerSpec, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out what gfloat 0.5.2 does not round to a value of the format: negative ones without sign, none."""
    values = values[~np.isnan(values)]
    if not spec.signed:
        values = values[~np.signbit(values)]
    if isinstance(spec, FloatSpec) and not spec.subnormals:
        values = values[values >= spec.min_value]
        values = values[np.frexp(values)[0] != 0.75]  # it takes a tie of E8M0 to the even code
    if isinstance(spec, IntegerSpec):
        values = values[values != 0]  # of which it keeps the sign
    return values


def test_gfloat_formats() -> None:
    assert len(INFOS) == 27
    compared = 0
    for info in INFOS.values():
        spec = of_info(info)
        if spec.bits <= 16:
            codes = np.arange(1 << spec.bits, dtype=np.uint64)
            theirs = gfloat.decode_ndarray(info, codes)
        else:
            codes = np.random.default_rng(6).integers(0, 1 << 63, 4000, dtype=np.uint64) >> np.uint64(64 - spec.bits)
            theirs = np.array([gfloat.decode_float(info, int(code)).fval for code in codes.tolist()])
        assert same_bits(spec.decode(codes), np.asarray(theirs, np.float64)), info.name
        assert (spec.max_value, spec.min_value) == (float(info.max), float(info.min)), info.name
        compared += codes.size
    assert compared == 2**17 + 8000 + 16 * 2**8 + 4 * 2**6 + 2 * 2**4 + 2**3


@pytest.mark.parametrize("name", EVERY)
def test_gfloat_modes(
    name: str, oracle: Callable[..., Any], thin: Callable[..., Any], counted: Callable[..., Any]
) -> None:
    info, compared = INFOS[name], 0
    spec = of_info(info)
    values = taken(spec, points(spec, oracle, thin))
    for rounding, mode in MODES.items():
        for overflow in ("saturate", "ieee") if spec.has_nan else ("saturate",):
            with np.errstate(all="ignore"):
                theirs = gfloat.round_ndarray(info, values, mode, overflow == "saturate")
            ours = spec.decode(spec.encode(values, rounding, overflow))
            if isinstance(spec, IntegerSpec):
                theirs = theirs + 0.0  # an integer has no negative zero
            assert same_bits(ours, theirs), (name, rounding, overflow)
            compared += ours.size
    counted(compared, 5 * 20)


@pytest.mark.parametrize("name", EVERY)
def test_gfloat_stochastic(name: str, oracle: Callable[..., Any], thin: Callable[..., Any]) -> None:
    # StochasticFastest is our definition (P3109's StochasticA). StochasticFast is it with a one below the word
    # (StochasticB). Stochastic and StochasticOdd round the fraction to the word's bits first: where it fits
    # them all four that are left agree.
    info, compared = INFOS[name], 0
    spec = of_info(info)
    rng = np.random.default_rng(7)
    with np.errstate(over="ignore", under="ignore"):
        values = taken(spec, points(spec, oracle, thin).astype(np.float32).astype(np.float64))
    values = values[np.isfinite(values)]
    if spec.bits > 16:
        values = values[np.abs(values) > 2.0**-120]
    for random_bits in (1, 3, 7, 16):
        words = rng.integers(0, 1 << random_bits, values.size)
        for mode, word, bits in (
            (gfloat.RoundMode.StochasticFastest, words, random_bits),
            (gfloat.RoundMode.StochasticFast, 2 * words + 1, random_bits + 1),
        ):
            ours = spec.decode(spec.encode(values, "stochastic", random=word, random_bits=bits))
            with np.errstate(all="ignore"):
                theirs = gfloat.round_ndarray(info, values, mode, True, words, random_bits)
            assert same_bits(ours, np.asarray(theirs) + (0.0 if isinstance(spec, IntegerSpec) else -0.0)), (name, mode)
            compared += values.size
    if isinstance(spec, FloatSpec) and spec.bits <= 16 and spec.subnormals:
        grid = np.asarray(oracle(spec).grid)
        grid = grid[np.isfinite(grid)][: spec.max_magnitude_code + 1]
        low = rng.integers(0, grid.size - 1, 4000)
        for random_bits in (2, 5):
            parts = rng.integers(0, 1 << random_bits, low.size) / (1 << random_bits)
            between = grid[low] + (grid[low + 1] - grid[low]) * parts
            words = rng.integers(0, 1 << random_bits, low.size)
            ours = spec.decode(spec.encode(between, "stochastic", random=words, random_bits=random_bits))
            for mode in (
                gfloat.RoundMode.Stochastic,
                gfloat.RoundMode.StochasticOdd,
                gfloat.RoundMode.StochasticFastest,
            ):
                with np.errstate(all="ignore"):
                    theirs = gfloat.round_ndarray(info, between, mode, True, words, random_bits)
                assert same_bits(ours, theirs), (name, mode)
                compared += between.size
    assert compared >= 8 * 20
