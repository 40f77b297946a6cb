# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction

import pytest

from hwsim import formats
from hwsim.datapath.align_add import add_two, align_add_exact, align_add_truncated_exact
from hwsim.datapath.round_pack import round_pack_exact
from hwsim.datapath.terms import Term
from hwsim.datapath.unit import TruncatedAlignment
from hwsim.datapath.wide import merge_wide
from hwsim.formats import FloatSpec, Overflow
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY
from hwsim.formats.rounding import DETERMINISTIC


def _value(term: Term) -> Fraction:
    return term.significand * Fraction(2) ** term.exponent


def _random_terms(source: random.Random, count: int) -> list[Term]:
    terms = []
    for _ in range(count):
        lead = source.randint(-20, 20)
        terms.append(Term(source.randint(-255, 255) * source.randint(0, 1), lead - 6, lead))
    return terms


def test_align_add_exact_is_the_sum() -> None:
    source = random.Random(1)
    for _ in range(500):
        terms = _random_terms(source, source.randint(1, 9))
        scale = Term(source.randint(-15, 15), source.randint(-9, 9), 0)
        total = align_add_exact(terms, scale)
        assert total.special == 0
        assert _value(total) == sum(map(_value, terms)) * _value(scale)


@pytest.mark.parametrize(
    ("special", "scale", "expected"),
    [
        (POSITIVE_INFINITY, Term(1, 0, 0), POSITIVE_INFINITY),
        (POSITIVE_INFINITY, Term(-1, 0, 0), NEGATIVE_INFINITY),
        (NEGATIVE_INFINITY, Term(-3, 0, 0), POSITIVE_INFINITY),
        (NEGATIVE_INFINITY, Term(0, 0, 0), NAN),
        (NAN, Term(-1, 0, 0), NAN),
        (0, Term(0, 0, 0, NAN), NAN),
        (POSITIVE_INFINITY, Term(0, 0, 0, NAN), NAN),
    ],
)
def test_align_add_exact_specials(special: int, scale: Term, expected: int) -> None:
    total = align_add_exact([Term(5, 0, 0), Term(0, 0, 0, special)], scale)
    assert (total.significand, total.special) == (0, expected)


def test_align_add_exact_infinities_of_both_signs_are_nan() -> None:
    infinities = [Term(0, 0, 0, POSITIVE_INFINITY), Term(0, 0, 0, NEGATIVE_INFINITY)]
    assert align_add_exact(infinities, Term(1, 0, 0)).special == NAN
    assert align_add_truncated_exact(TruncatedAlignment(fraction_bits=4, exp_floor=0), infinities).special == NAN


def test_align_add_truncated_is_the_sum_of_what_is_cut() -> None:
    source = random.Random(2)
    cut = 0
    for _ in range(500):
        spec = TruncatedAlignment(fraction_bits=source.randint(0, 25), exp_floor=source.choice([-133, 0, 15]))
        terms = _random_terms(source, source.randint(1, 9))
        found = align_add_truncated_exact(spec, terms)
        largest = max([spec.exp_floor] + [term.lead for term in terms if term.significand])
        unit = Fraction(2) ** (largest - spec.fraction_bits)
        expected = sum(int(_value(term) / unit) for term in terms) * unit  # int() cuts toward zero
        assert _value(found) == expected
        cut += expected != sum(map(_value, terms))
    assert cut > 100


def test_align_add_truncated_by_hand() -> None:
    # 1 + 2**-14 - 2**-13: 13 fraction bits below 2**0 keep the last one alone; below 2**1, the floor, neither.
    terms = [Term(1, 0, 0), Term(1, -14, -14), Term(-1, -13, -13)]
    spec = TruncatedAlignment(fraction_bits=13, exp_floor=-133)
    assert _value(align_add_truncated_exact(spec, terms)) == 1 - Fraction(1, 1 << 13)
    assert _value(align_add_truncated_exact(TruncatedAlignment(fraction_bits=13, exp_floor=1), terms)) == 1


def test_align_add_truncated_zeros_lift_nothing() -> None:
    spec = TruncatedAlignment(fraction_bits=3, exp_floor=-50)
    terms = [Term(0, 90, 100), Term(7, -20, -18)]
    assert _value(align_add_truncated_exact(spec, terms)) == 7 * Fraction(2) ** -20


_REGISTER = FloatSpec(exp_bits=11, man_bits=52, bias=1023, specials=formats.Specials.IEEE)


def _same_rounding(found: tuple[int, int], exact: Fraction) -> None:
    """Fail unless the kernels' sum rounds as the exact one does, to float64, in every mode."""
    power = 0
    while exact.denominator != 1:
        exact, power = exact * 2, power - 1
    for rounding in DETERMINISTIC:
        codes = [
            round_pack_exact(_REGISTER, term, rounding, Overflow.INFINITY)
            for term in (Term(found[0], found[1], 0), Term(int(exact), power, 0))
        ]
        assert codes[0] == codes[1], (rounding, found, exact)


def test_align_add_two_rounds_as_the_exact_sum(interpreted: bool) -> None:
    source = random.Random(3)
    for _ in range(300 if interpreted else 3_000):
        sig_a = source.getrandbits(source.randint(1, 60)) * source.choice([-1, 1])
        sig_b = source.getrandbits(source.randint(1, 60)) * source.choice([-1, 1])
        if source.random() < 0.3:  # they cancel but for a little
            sig_b = -sig_a + source.randint(-1, 1)
        if abs(sig_b) >= 1 << 60:
            continue
        gap = source.choice([0, 1, source.randint(-70, 70), source.randint(-200, 200)])
        found = add_two(sig_a, 3, sig_b, 3 - gap)
        assert abs(found[0]) < 1 << 62
        _same_rounding(found, Fraction(8) * sig_a + sig_b * Fraction(2) ** (3 - gap))


def test_align_add_wide_rounds_as_the_exact_sum(interpreted: bool) -> None:
    source = random.Random(4)
    for _ in range(300 if interpreted else 3_000):
        high = source.getrandbits(source.randint(1, 56)) * source.choice([-1, 0, 1])
        low = source.getrandbits(source.randint(1, 60)) * source.choice([-1, 0, 1])
        sig = source.getrandbits(source.randint(1, 53)) * source.choice([-1, 0, 1])
        gap = source.choice([source.randint(-60, 100), source.randint(-200, 200)])
        if source.random() < 0.4:  # sig cancels the sum's upper bits
            total = (high << 32) + low
            gap = max(total.bit_length() - 53, 0) if source.random() < 0.5 else source.randint(0, 40)
            sig = -(total >> gap)
            if abs(sig) >= 1 << 53:
                continue
        found = merge_wide(high, low, 7, sig, 7 + gap)
        assert abs(found[0]) < 1 << 62
        _same_rounding(found, Fraction(128) * ((high << 32) + low + sig * Fraction(2) ** gap))
