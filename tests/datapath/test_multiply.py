# SPDX-License-Identifier: Apache-2.0
import itertools
import operator

import ml_dtypes
import numpy as np
import pytest

from hwsim import formats
from hwsim.datapath import DotProductUnit, named
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact, multiply_special, step_special
from hwsim.datapath.operands import operand
from hwsim.datapath.plan import plan
from hwsim.datapath.terms import Term
from hwsim.formats import FloatSpec
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY


@pytest.mark.parametrize(
    ("name", "dtype"), [("float8_e4m3fn", ml_dtypes.float8_e4m3fn), ("float8_e5m2", ml_dtypes.float8_e5m2)]
)
def test_multiply_all_pairs_are_numpys(name: str, dtype: type, interpreted: bool) -> None:
    # float32 holds every product of two 8-bit floats.
    spec = formats.named(name)
    assert isinstance(spec, FloatSpec)
    values = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    with np.errstate(invalid="ignore"):
        expected = np.multiply.outer(values, values)
    terms = [decode_exact(spec, code) for code in range(256)]
    compared = 0
    for i, j in itertools.islice(itertools.product(range(256), repeat=2), 0, None, 37 if interpreted else 1):
        product = multiply_exact(terms[i], terms[j])
        value = expected[i, j]
        if np.isnan(value):
            assert product.special == NAN
        elif np.isinf(value):
            assert product.special == (POSITIVE_INFINITY if value > 0 else NEGATIVE_INFINITY)
        else:
            assert product.special == 0
            assert np.ldexp(float(product.significand), product.exponent) == value
        compared += 1
    assert compared == len(range(0, 1 << 16, 37 if interpreted else 1))


def test_multiply_special_equals_oracle() -> None:
    terms = [Term(0, 0, 0, special) for special in (POSITIVE_INFINITY, NEGATIVE_INFINITY, NAN)]
    terms += [Term(significand, 3, 5) for significand in (-7, -1, 0, 1, 9)]
    compared = 0
    for a, b in itertools.product(terms, repeat=2):
        found = multiply_special(a.special, a.significand, b.special, b.significand)
        assert found == multiply_exact(a, b).special
        compared += 1
    assert compared == 64


def test_multiply_lead_is_not_normalised() -> None:
    three_halves = decode_exact(named("float8_e5m2").element_a, 0x3E)
    assert three_halves == Term(6, -2, 0)
    assert multiply_exact(three_halves, three_halves) == Term(36, -4, 0)


def test_multiply_step_special_ors_products_and_scales() -> None:
    unit = named("mxfp8_e5m2_l2")
    infinity, one, zero, nan = 0x7C, 0x3C, 0x00, 0x7F
    minus = 0x80
    cases = {
        ((one, one), (one, one), (127, 127)): 0,
        ((infinity, one), (one, one), (127, 127)): POSITIVE_INFINITY,
        ((infinity, one), (one | minus, one), (127, 127)): NEGATIVE_INFINITY,
        ((infinity, infinity), (one, one | minus), (127, 127)): NAN,
        ((infinity, one), (zero, one), (127, 127)): NAN,
        ((one, one), (one, nan), (127, 127)): NAN,
        ((one, one), (one, one), (255, 127)): NAN,
        ((zero, zero), (zero, zero), (127, 255)): NAN,
    }
    for (a, b, scales), expected in cases.items():
        assert _step_special(unit, a, b, scales) == expected


def _step_special(unit: DotProductUnit, a: tuple[int, ...], b: tuple[int, ...], scales: tuple[int, int]) -> int:
    how = plan(unit)
    sides = [
        operand(how, spec, np.array([codes], np.uint8), scale_spec, np.array([[scale]], np.uint8))
        for spec, codes, scale_spec, scale in zip(
            (unit.element_a, unit.element_b), (a, b), unit.scales, scales, strict=True
        )
    ]
    assert (operator.or_(sides[0].flag[0], sides[1].flag[0]) != 0) == any(
        decode_exact(spec, code).special
        for spec, code in (
            (unit.element_a, a[0]),
            (unit.element_a, a[1]),
            (unit.element_b, b[0]),
            (unit.element_b, b[1]),
        )
    ) or 255 in scales
    return int(step_special(how, sides[0], 0, sides[1], 0, 0))
