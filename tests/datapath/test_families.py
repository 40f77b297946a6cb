# SPDX-License-Identifier: Apache-2.0
"""Units of posits and codebooks: exact dot products in rational numbers, and the kernels against the oracle."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import (
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    Row,
    TruncatedAlignment,
    dot,
    dot_exact,
    matmul,
)
from hwsim.datapath.unit import ScalarSpec
from hwsim.formats import BlockSpec, FloatSpec, Overflow, PositSpec, Rounding

_FAMILIES = ("posit8_0", "posit5_1", "posit6_2", "nf4", "bnb_fp4", "bitmod_fp3_er_pos", "bitmod_fp4_ea_neg", "pot4")
_OTHERS = ("int4", "float4_e2m1fn", "float8_e4m3fn", "log2_4", "ternary", "apot5")


def _scalar(name: str) -> ScalarSpec:
    spec = formats.named(name)
    assert not isinstance(spec, BlockSpec)
    return spec


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


def _fixed_unit(a: str, b: str, lanes: int, bits: int) -> DotProductUnit:
    left, right = _scalar(a), _scalar(b)
    return DotProductUnit(
        a=left,
        b=right,
        lanes=lanes,
        alignment=ExactAlignment(),
        accumulator=FixedAccumulator(
            bits=bits, fraction_bits=-(left.exp_min + right.exp_min), overflow=Overflow.SATURATE
        ),
        output=_float("float64"),
    )


@pytest.mark.parametrize("lanes", [1, 4])
def test_families_posit_quire(lanes: int) -> None:
    # The quire, with the places below its unit that a significand of constant width has, and which stay zero.
    spec = PositSpec(bits=8, es=0)
    unit = _fixed_unit("posit8_0", "posit8_0", lanes, spec.quire_bits + 2 * spec.fraction_bits)
    assert unit.accumulator.bits == 42
    rng = np.random.default_rng(51)
    finite = np.delete(np.arange(256), spec.nan_code).astype(np.uint8)
    a, b = rng.choice(finite, (16, 45)), rng.choice(finite, (45, 16))
    a[0], b[:, 0] = 127, 127  # the largest values
    out = unit.output.decode(matmul(unit, a, b))
    for row in range(16):
        for column in range(16):
            pairs = zip(spec.decode(a[row]), spec.decode(b[:, column]), strict=True)
            exact = sum((Fraction(float(x)) * Fraction(float(y)) for x, y in pairs), Fraction(0))
            assert Fraction(float(out[row, column])) == exact
            assert (exact * 2**spec.quire_fraction_bits).denominator == 1
            assert abs(exact) * 2**spec.quire_fraction_bits < 2 ** (spec.quire_bits - 1)


def test_families_posit_nar() -> None:
    unit = _fixed_unit("posit8_0", "posit8_0", 1, 42)
    out = unit.output.decode(matmul(unit, np.array([[64, 128], [64, 64]]), np.array([[64], [0]])))
    assert math.isnan(out[0, 0])
    assert out[1, 0] == 1.0


@pytest.mark.parametrize("a", _FAMILIES)
def test_families_fixed_exact(a: str) -> None:
    compared = 0
    rng = np.random.default_rng(52)
    for b in (a, *_OTHERS):
        # Up to 60 bits hold the products of one step, and 2**4 of them.
        left, right = _scalar(a), _scalar(b)
        widest = left.max_significand * right.max_significand
        bits = widest.bit_length() + left.exp_max + right.exp_max - left.exp_min - right.exp_min + 5
        if bits > 60:
            continue
        unit = _fixed_unit(a, b, 3, bits)
        x, y = (rng.integers(0, 1 << spec.bits, shape) for spec, shape in ((left, (5, 16)), (right, (16, 5))))
        x[left.unpack(x).special != 0] = 0
        y[right.unpack(y).special != 0] = 0
        out = matmul(unit, x, y)
        for row in range(5):
            for column in range(5):
                pairs = zip(left.decode(x[row]), right.decode(y[:, column]), strict=True)
                exact = sum((Fraction(float(p)) * Fraction(float(q)) for p, q in pairs), Fraction(0))
                numerator = exact * 2**52
                found = Fraction(float(unit.output.decode(out[row, column])))
                # float64 holds 53 bits: rounded once, to nearest.
                assert found == Fraction(exact.numerator / exact.denominator), (a, b, numerator)
                compared += 1
    assert compared >= 6 * 25


@pytest.mark.parametrize("lanes", [1, 3])
def test_families_kernels_oracle(lanes: int, interpreted: bool) -> None:
    source = random.Random(f"families {lanes}")
    compared = 0
    for a in _FAMILIES:
        # A step of three products of bnb_fp4 is wider than the kernels take.
        for b in ("pot4" if a == "bnb_fp4" else a, *_OTHERS):
            for alignment in (
                ExactAlignment(),
                TruncatedAlignment(fraction_bits=12, exp_floor=-133, with_accumulator=True),
            ):
                register = _float(source.choice(["float32", "float16", "bfloat16"]))
                unit = DotProductUnit(
                    a=_scalar(a),
                    b=_scalar(b),
                    lanes=lanes,
                    alignment=alignment,
                    accumulator=FloatAccumulator(
                        format=register,
                        rounding=Rounding.NEAREST_EVEN,
                        overflow=Overflow.INFINITY,
                        result_man_bits=register.man_bits,
                    ),
                    output=register,
                )
                rows = [
                    Row(
                        first=index % 3 == 0,
                        last=index % 3 == 2,
                        a=tuple(source.getrandbits(unit.element_a.bits) for _ in range(lanes)),
                        b=tuple(source.getrandbits(unit.element_b.bits) for _ in range(lanes)),
                    )
                    for index in range(12 if interpreted else 60)
                ]
                found = dot(
                    unit,
                    np.array([row.a for row in rows]),
                    np.array([row.b for row in rows]),
                    np.array([row.first for row in rows]),
                    np.array([row.last for row in rows]),
                )
                assert found.tolist() == dot_exact(unit, rows), unit.name
                compared += found.size
    assert compared >= len(_FAMILIES) * 7 * 2 * 4


def test_families_no_zero_wrong() -> None:
    unit = _fixed_unit("bipolar", "int4", 4, 16)
    codes = np.zeros((2, 8), np.uint8)
    assert matmul(unit, codes, codes.T).shape == (2, 2)
    with pytest.raises(ValueError, match=r"a must fill its last step, for bipolar has no zero to fill it up with"):
        matmul(unit, codes[:, :7], codes.T[:7])


def test_families_fill_zero() -> None:
    # Code 0 of nf4 is -1: a last step that is not full has code 7 in it.
    unit = _fixed_unit("nf4", "nf4", 4, 62)
    nf4 = formats.named("nf4")
    ones = np.full((1, 5), 15)
    assert not isinstance(nf4, BlockSpec)
    assert nf4.decode([15]).tolist() == [1.0]
    assert unit.output.decode(matmul(unit, ones, ones.T)).tolist() == [[5.0]]
