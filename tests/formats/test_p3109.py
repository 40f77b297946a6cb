# SPDX-License-Identifier: Apache-2.0
"""The formats of IEEE P3109, 3 to 16 bits, against gfloat's generator of them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import gfloat
import gfloat.formats
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import formats
from hwsim.formats import FloatSpec, Specials

MODES = {
    "nearest_even": gfloat.RoundMode.TiesToEven,
    "nearest_away": gfloat.RoundMode.TiesToAway,
    "toward_zero": gfloat.RoundMode.TowardZero,
    "up": gfloat.RoundMode.TowardPositive,
    "down": gfloat.RoundMode.TowardNegative,
}


def every_name(widths: range) -> Iterator[tuple[str, Any]]:
    """Give each name of some widths and gfloat's description of it."""
    for bits in widths:
        for signed in (True, False):
            for precision in range(1, bits + (not signed)):
                for extended in (True, False):
                    name = f"binary{bits}p{precision}{'s' if signed else 'u'}{'e' if extended else 'f'}"
                    signedness = gfloat.types.Signedness.Signed if signed else gfloat.types.Signedness.Unsigned
                    domain = gfloat.Domain.Extended if extended else gfloat.Domain.Finite
                    yield name, gfloat.formats.format_info_p3109(bits, precision, signedness, domain)


def float_spec(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def same_bits(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
    """Compare bits, but for the sign and payload of NaN."""
    nan = np.isnan(theirs)
    return bool(np.array_equal(np.isnan(ours), nan)) and bool(
        np.array_equal(ours[~nan].view(np.uint64), theirs[~nan].view(np.uint64))
    )


def encode_all(spec: FloatSpec, info: Any, values: NDArray[np.float64]) -> int:
    """Compare the rounding of values in every mode that gfloat has; return how many."""
    compared = 0
    for rounding, mode in MODES.items():
        for overflow in ("saturate", "ieee"):
            kept = values
            if not spec.signed:  # gfloat does not take the sign of what it rounds
                kept = kept[~np.signbit(kept)]
            with np.errstate(all="ignore"):
                theirs = gfloat.round_ndarray(info, kept, mode, overflow == "saturate")
            ours = spec.decode(spec.encode(kept, rounding, overflow))
            assert same_bits(ours, theirs), (spec.name, rounding, overflow)
            compared += kept.size
    return compared


def test_p3109_decode_every() -> None:
    held = compared = beyond = 0
    for name, info in every_name(range(3, 17)):
        if info.expBits > 11:  # beyond float64
            with pytest.raises(ValueError, match=rf"^exp_bits must be in 1\.\.11, not {info.expBits}$"):
                formats.named(name)
            beyond += 1
            continue
        spec = float_spec(name)
        codes = np.arange(1 << spec.bits)
        assert same_bits(spec.decode(codes), gfloat.decode_ndarray(info, codes)), name
        assert (spec.max_value, spec.min_value) == (float(info.max), float(info.min)), name
        assert (spec.nan_code, spec.has_inf) == (info.code_of_nan, info.domain is gfloat.Domain.Extended), name
        assert formats.named(spec.name) == spec
        held, compared = held + 1, compared + codes.size
    assert (held, compared, beyond) == (454, 5_742_576, 50)


def test_p3109_encode(oracle: Callable[..., Any], thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    compared = 0
    for name, info in every_name(range(3, 9)):
        spec = float_spec(name)
        values = thin(oracle(spec).boundaries(), 20)
        compared += encode_all(spec, info, values)
    counted(compared, 804_240)


@pytest.mark.slow
def test_p3109_encode_every(oracle: Callable[..., Any], thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    compared = 0
    for name, info in every_name(range(9, 17)):
        if info.expBits <= 10:  # gfloat's scaling loses float64 subnormals
            spec = float_spec(name)
            values = oracle(spec).boundaries()
            compared += encode_all(spec, info, thin(values[np.abs(values) >= 2.0**-1000], 20))
    counted(compared, 313_027_320)


def test_p3109_encode_widest_exponent(oracle: Callable[..., Any], thin: Callable[..., Any]) -> None:
    # 11 exponent bits and a bias of 1024: the smallest normal value is a float64 subnormal.
    compared = 0
    for name in ("binary12p1se", "binary13p2sf", "binary11p1ue", "binary12p2uf", "binary16p5se"):
        spec, reference = float_spec(name), oracle(float_spec(name))
        assert (spec.exp_bits, spec.bias, spec.exp_low) == (11, 1024, -1023)
        values = thin(reference.boundaries(), 100)
        for rounding in (*MODES, "to_odd"):
            for overflow in ("saturate", "infinity", "propagate", "ieee"):
                ours = spec.encode(values, rounding, overflow)
                assert np.array_equal(ours, reference.encode(values, rounding, overflow)), (name, rounding, overflow)
                compared += values.size
        codes = np.arange(1 << spec.bits)
        assert np.array_equal(spec.encode(spec.decode(codes), overflow="propagate"), codes), name
    assert compared > 10_000


def test_p3109_required() -> None:
    # The formats that the interim report requires, by the rules printed there.
    for name, largest, smallest, bias in (
        ("binary8p4se", 224.0, 2.0**-10, 8),
        ("binary8p3se", 49152.0, 2.0**-17, 16),
        ("binary4p2sf", 3.0, 0.25, 2),
        ("binary8p1uf", 2.0**126, 2.0**-127, 128),
    ):
        spec = float_spec(name)
        assert (spec.max_value, spec.decode([1])[0], spec.bias) == (largest, smallest, bias)
        assert spec.decode([0])[0] == 0
    binary8p4se = float_spec("binary8p4se")
    assert binary8p4se.decode([0x7F, 0xFF]).tolist() == [np.inf, -np.inf]
    assert np.isnan(binary8p4se.decode([0x80])[0])
    binary8p4ue = float_spec("binary8p4ue")
    assert binary8p4ue.decode([0xFE])[0] == np.inf
    assert np.isnan(binary8p4ue.decode([0xFF])[0])


def test_p3109_names() -> None:
    for name, other in (
        ("binary8p4sf", "float8_e4m3fnuz"),
        ("binary8p3sf", "float8_e5m2fnuz"),
        ("binary4p2sf", "float4_e2m1fnuz"),
        ("binary8p1uf", "float8_e8m0b128fnu_zero"),
        ("binary8p4uf", "float8_e5m3b16fnu"),
    ):
        assert float_spec(name) == float_spec(other)
    assert float_spec("binary8p1uf").name == "binary8p1uf"
    assert float_spec("binary8p4sf").name == "float8_e4m3fnuz"
    assert float_spec("binary8p4se").name == "binary8p4se"
    biased = FloatSpec(exp_bits=4, man_bits=3, bias=11, specials=Specials.EXTENDED)
    assert (biased.name, float_spec("binary8p4se_b11")) == ("binary8p4se_b11", biased)
    below = FloatSpec(exp_bits=4, man_bits=3, bias=-2, specials=Specials.EXTENDED, signed=False)
    assert (below.name, float_spec("binary7p4ue_bm2")) == ("binary7p4ue_bm2", below)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("binary2p1se", "format 'binary2p1se' must have at least 3 bits, not 2"),
        ("binary8p8se", "format 'binary8p8se' must have a precision in 1..7, not 8"),
        ("binary8p0sf", "format 'binary8p0sf' must have a precision in 1..7, not 0"),
        ("binary8p9uf", "format 'binary8p9uf' must have a precision in 1..8, not 9"),
        ("binary16p1se", "exp_bits must be in 1..11, not 15"),
    ],
)
def test_p3109_name_wrong(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        formats.named(name)


def test_p3109_bias_of_finite_wrong() -> None:
    with pytest.raises(KeyError, match="unknown format 'binary8p4sf_b11'"):
        formats.named("binary8p4sf_b11")
