# SPDX-License-Identifier: Apache-2.0
"""Stochastic rounding by its definition, and the overflow rules that depend on the rounding."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim import formats
from hwsim.formats import FloatSpec


def float_spec(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


E4M3 = float_spec("float8_e4m3fn")


def test_float_encoding_stochastic(oracle: Callable[..., Any], thin: Callable[..., Any]) -> None:
    rng = np.random.default_rng(10)
    compared = 0
    for name in (
        *("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "float8_e5m3fnu", "float8_e4m3fnuz"),
        *("binary8p4se", "binary8p1uf", "binary6p3ue", "bfloat16", "minifloat_e3m4"),
    ):
        spec, reference = float_spec(name), oracle(float_spec(name))
        values = reference.boundaries()
        values = values[np.isfinite(values)]
        values = values[rng.integers(0, values.size, 400)]
        for random_bits in (1, 5, 32):
            kept = thin(values, 30)
            words = rng.integers(0, 1 << random_bits, kept.size)
            ours = spec.encode(kept, "stochastic", random=words, random_bits=random_bits)
            for value, word, code in zip(kept.tolist(), words.tolist(), ours.tolist(), strict=True):
                expected = min(reference.stochastic(value, word, random_bits), reference.largest)
                if math.copysign(1.0, value) < 0:
                    negative_zero = spec.nan_code != 1 << (spec.bits - 1)
                    signed = expected | (reference.codes if expected or negative_zero else 0)
                    expected = signed if spec.signed else 0
                assert code == expected, (name, value, word, random_bits)
                compared += 1
    assert compared >= 33 * 30


def test_float_encoding_stochastic_overflow() -> None:
    # The rounding is as if the exponent had no upper limit; what then is beyond is for the overflow rule.
    values = np.full(4, 464.0)  # in the middle between 448 and the next
    words = np.array([0, 127, 128, 255])
    for rule, codes in (("saturate", [0x7E] * 4), ("infinity", [0x7E, 0x7E, 0x7F, 0x7F])):
        assert E4M3.encode(values, "stochastic", rule, random=words, random_bits=8).tolist() == codes
    assert E4M3.encode([1.0625], "stochastic", random=1, random_bits=1).tolist() == [0x39]
    assert E4M3.encode([1.0625], "stochastic", random=0, random_bits=1).tolist() == [0x38]


def test_float_encoding_stochastic_mean() -> None:
    compared = 0
    words = np.arange(256)
    for part in range(256):
        value = 1.0 + part / 2048  # between 1 and 1.125, in 256 parts
        codes = E4M3.encode(np.full(256, value), "stochastic", random=words, random_bits=8)
        assert E4M3.decode(codes).mean() == value
        compared += words.size
    assert compared == 2**16


def test_float_encoding_overflow_directed() -> None:
    # IEEE 754-2019, section 7.4; to odd as Berkeley SoftFloat 3e has it.
    values = np.array([1e6, -1e6, np.inf, -np.inf, np.nan])
    e5m2 = float_spec("float8_e5m2")
    for rounding, codes in (
        ("nearest_even", [0x7C, 0xFC]),
        ("nearest_away", [0x7C, 0xFC]),
        ("toward_zero", [0x7B, 0xFB]),
        ("up", [0x7C, 0xFB]),
        ("down", [0x7B, 0xFC]),
        ("to_odd", [0x7B, 0xFB]),
    ):
        assert e5m2.encode(values, rounding, "ieee").tolist() == [*codes, 0x7C, 0xFC, 0x7E], rounding
        assert e5m2.encode(values, rounding, "propagate").tolist() == [0x7B, 0xFB, 0x7C, 0xFC, 0x7E], rounding
    assert E4M3.encode(values, "up", "ieee").tolist() == [0x7F, 0xFE, 0x7F, 0x7F, 0x7F]
    assert E4M3.encode(values, overflow="propagate").tolist() == [0x7E, 0xFE, 0x7F, 0x7F, 0x7F]
    unsigned = float_spec("binary8p4ue")
    assert unsigned.encode([-1.0, -np.inf], overflow="propagate").tolist() == [0, 0xFF]
    assert unsigned.encode([-1.0, -1e-30], "up", "ieee").tolist() == [0, 0]
    assert unsigned.encode([-1.0, -1e-30], "down", "ieee").tolist() == [0xFF, 0xFF]
