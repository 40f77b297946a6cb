# SPDX-License-Identifier: Apache-2.0
"""The oracle of each alignment against arithmetic on fractions, written anew from the sources' words."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    TruncatedAlignment,
    step_exact,
)
from hwsim.formats import BlockSpec, FloatSpec, Overflow, Rounding


def _float(name: str) -> FloatSpec:
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    return spec


_FLOAT32, _FLOAT16 = _float("float32"), _float("float16")


def _register(**changes: object) -> FloatAccumulator:
    fields: dict[str, object] = {
        "format": _FLOAT32,
        "rounding": Rounding.NEAREST_EVEN,
        "overflow": Overflow.INFINITY,
        "result_man_bits": 23,
    }
    return FloatAccumulator(**(fields | changes))  # type: ignore[arg-type]


def _value(spec: FloatSpec, code: int) -> Fraction:
    return Fraction(float(spec.decode(code)))


def _lead(spec: FloatSpec, code: int) -> int:
    field = (code >> spec.man_bits) & ((1 << spec.exp_bits) - 1)
    return max(field, 1) - spec.bias


def _finite(source: random.Random, spec: FloatSpec, low: int, high: int) -> int:
    """Return a code with an exponent field in low..high."""
    sign = source.getrandbits(1) << (spec.bits - 1)
    return sign | source.randint(low, high) << spec.man_bits | source.getrandbits(spec.man_bits)


def _nearest32(value: Fraction) -> int:
    """Round to float32 through float64, which is exact for what these tests make of it."""
    assert Fraction(float(value)) == value
    return int(_FLOAT32.encode(float(value), "nearest_even", "infinity"))


def _floor(value: Fraction, unit: Fraction) -> Fraction:
    return math.floor(value / unit) * unit


def _power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


@pytest.mark.parametrize("parts", [1, 2])
def test_alignments_cascaded(parts: int) -> None:
    # MMA-Sim's words for CDNA3: products cut toward zero at 24 bits, (even and odd apart,) sums floored.
    alignment = CascadedAlignment(
        fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24, parts=parts, register_reach=25 * (parts - 1)
    )
    unit = DotProductUnit(
        a=_FLOAT16, b=_FLOAT16, lanes=8, alignment=alignment, accumulator=_register(), output=_FLOAT32
    )
    source = random.Random(f"cascaded {parts}")
    compared = inexact = 0
    for _ in range(1500):
        a = [_finite(source, _FLOAT16, 8, 22) for _ in range(8)]
        b = [_finite(source, _FLOAT16, 8, 22) for _ in range(8)]
        c = _finite(source, _FLOAT32, 110, 145)
        sums = []
        for part in range(parts):
            lanes = range(part, 8, parts)
            top = max(_lead(_FLOAT16, a[i]) + _lead(_FLOAT16, b[i]) for i in lanes)
            total = sum(
                (
                    int(_value(_FLOAT16, a[i]) * _value(_FLOAT16, b[i]) / _power(top - 24)) * _power(top - 24)
                    for i in lanes
                ),
                Fraction(0),
            )
            sums.append((total, top))
        top = max(lead for _, lead in sums)
        joined = sum((_floor(total, _power(top - 24)) for total, _ in sums), Fraction(0))
        largest = max(top, _lead(_FLOAT32, c))
        held = _floor(_value(_FLOAT32, c), _power(largest - 24))
        if parts == 2 and _lead(_FLOAT32, c) < largest - 25:
            held = Fraction(0)
        expected = _floor(joined, _power(largest - 31)) + held
        found, _ = step_exact(unit, (c, 0), a, b)
        assert found == _nearest32(expected)
        exact = sum((_value(_FLOAT16, x) * _value(_FLOAT16, y) for x, y in zip(a, b, strict=True)), _value(_FLOAT32, c))
        inexact += exact != expected
        compared += 1
    assert compared == 1500
    assert inexact > 500


def test_alignments_cascaded_large_product_is_infinite() -> None:
    bfloat16 = _float("bfloat16")
    alignment = CascadedAlignment(fraction_bits=24, sum_fraction_bits=31, register_fraction_bits=24)
    unit = DotProductUnit(
        a=bfloat16, b=bfloat16, lanes=2, alignment=alignment, accumulator=_register(), output=_FLOAT32
    )
    two64, minus = int(bfloat16.encode(2.0**64)), int(bfloat16.encode(-(2.0**64)))
    assert step_exact(unit, (0, 0), [two64, 0], [two64, 0]) == (0x7F800000, 0)
    assert step_exact(unit, (0, 0), [two64, two64], [two64, minus]) == (0x7FC00000, 0)
    below = int(bfloat16.encode(1.9921875 * 2.0**63))
    assert step_exact(unit, (0, 0), [below, 0], [two64, 0])[0] == 0x7F7F0000


def test_alignments_pairwise_is_a_tree_of_float32_adds() -> None:
    unit = DotProductUnit(
        a=_FLOAT32, b=_FLOAT32, lanes=4, alignment=PairwiseAlignment(), accumulator=_register(), output=_FLOAT32
    )
    generator = np.random.default_rng(11)
    a, b = (generator.standard_normal((2000, 4)).astype(np.float32) for _ in range(2))
    c = generator.standard_normal(2000).astype(np.float32)
    product = a * b  # NumPy's float32 arithmetic is IEEE 754's
    expected = c + ((product[:, 0] + product[:, 1]) + (product[:, 2] + product[:, 3]))
    found = [
        step_exact(unit, (int(start), 0), x.tolist(), y.tolist())[0]
        for x, y, start in zip(a.view(np.uint32), b.view(np.uint32), c.view(np.uint32), strict=True)
    ]
    assert found == expected.view(np.uint32).tolist()


def test_alignments_pairwise_flushes_every_result() -> None:
    unit = DotProductUnit(
        a=_FLOAT32,
        b=_FLOAT32,
        lanes=2,
        alignment=PairwiseAlignment(),
        accumulator=_register(flush=True),
        output=_FLOAT32,
        flush_operands=True,
    )
    one, tiny, small = 0x3F800000, 0x00800000, 0x00000001
    half = 0x3F000000
    assert step_exact(unit, (0, 0), [tiny, tiny], [half, half]) == (0, 0)  # each product is flushed before the sum
    assert step_exact(unit, (0, 0), [tiny, 0], [one, 0]) == (tiny, 0)
    assert step_exact(unit, (0, 0), [small, 0], [0x7F000000, 0]) == (0, 0)  # a subnormal operand


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.TOWARD_ZERO, 256.0),
        (Rounding.DOWN, 255.0),
        (Rounding.UP, 257.0),
        (Rounding.NEAREST_AWAY, 256.0),
    ],
)
def test_alignments_truncated_rounding(rounding: Rounding, expected: float) -> None:
    # Beside 2**8, at 8 fraction bits, the last place is 1: 0.5 and -0.5 are between two.
    alignment = TruncatedAlignment(fraction_bits=8, exp_floor=-100, rounding=rounding)
    unit = DotProductUnit(
        a=_FLOAT16, b=_FLOAT16, lanes=3, alignment=alignment, accumulator=_register(), output=_FLOAT32
    )
    a = [int(_FLOAT16.encode(value)) for value in (256.0, 0.5, -0.5)]
    one = int(_FLOAT16.encode(1.0))
    assert step_exact(unit, (0, 0), a, [one] * 3) == (_nearest32(Fraction(expected)), 0)


def test_alignments_groups_are_aligned_by_their_scales() -> None:
    # NVFP4's unit: of each 16 products the exact sum times both scales; its exponent is that of the scales.
    element, scale = _float("float4_e2m1fn"), _float("float8_e4m3fn")
    block = formats.named("nvfp4")
    assert isinstance(block, BlockSpec)
    unit = DotProductUnit(
        a=block,
        b=block,
        lanes=64,
        alignment=TruncatedAlignment(fraction_bits=12, exp_floor=-133, group=16),
        accumulator=_register(rounding=Rounding.TOWARD_ZERO, nan=NanResult.ALL_ONES),
        output=_FLOAT32,
    )
    assert len(unit.scales) == 8
    source = random.Random("groups")
    compared = cut = 0
    for _ in range(400):
        a, b = ([source.getrandbits(4) for _ in range(64)] for _ in range(2))
        scales = [_finite(source, scale, 2, 14) & 0x7F for _ in range(8)]
        c = _finite(source, _FLOAT32, 120, 140)
        groups = []
        for at in range(4):
            total = sum(
                (_value(element, a[i]) * _value(element, b[i]) for i in range(16 * at, 16 * at + 16)), Fraction(0)
            )
            factor = _value(scale, scales[at]) * _value(scale, scales[4 + at])
            groups.append((total * factor, _lead(scale, scales[at]) + _lead(scale, scales[4 + at])))
        addends = [*groups, (_value(_FLOAT32, c), _lead(_FLOAT32, c))]
        top = max(lead for value, lead in addends if value)
        kept = sum((int(value / _power(top - 12)) * _power(top - 12) for value, _ in addends), Fraction(0))
        cut += kept != sum((value for value, _ in addends), Fraction(0))
        found, _ = step_exact(unit, (c, 0), a, b, scales)
        assert found == int(_FLOAT32.encode(float(kept), "toward_zero", "infinity"))
        compared += 1
    assert compared == 400
    assert cut > 100


def test_alignments_exact_takes_several_scales() -> None:
    unit = DotProductUnit(
        a=formats.named("mxfp4"),
        b=formats.named("nvfp4"),
        lanes=64,
        alignment=ExactAlignment(),
        accumulator=_register(),
        output=_FLOAT32,
    )
    assert unit.scale_counts == (2, 4)
    one = int(_float("float4_e2m1fn").encode(1.0))
    scales = [127, 128, *(int(_float("float8_e4m3fn").encode(2.0**at)) for at in range(4))]
    # Blocks of 16 ones: 16 * 1 * (1 + 2) with the first scale of a, and 16 * 2 * (4 + 8) with the second.
    expected = 16 * 1 * (1 + 2) + 16 * 2 * (4 + 8)
    assert step_exact(unit, (0, 0), [one] * 64, [one] * 64, scales) == (_nearest32(Fraction(expected)), 0)
