# SPDX-License-Identifier: Apache-2.0
from hwsim.datapath.terms import Term, add_terms
from hwsim.formats.codes import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY


def test_terms_sum_is_exact_whatever_the_exponents() -> None:
    assert add_terms([Term(3, 200, 0), Term(-1, -200, 4)]) == Term((3 << 400) - 1, -200, 4)


def test_terms_specials_are_ored() -> None:
    up, down = Term(0, 0, 0, POSITIVE_INFINITY), Term(0, 0, 0, NEGATIVE_INFINITY)
    assert add_terms([up, Term(1, 0, 0), up]).special == POSITIVE_INFINITY
    assert add_terms([up, down]).special == NAN
