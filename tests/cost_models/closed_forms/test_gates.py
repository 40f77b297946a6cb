# SPDX-License-Identifier: Apache-2.0
"""Gate counts against the costs listed in arXiv:2303.17951, appendix B, and against and-inverter graphs by hand."""

import re
from itertools import product

import pytest

from cost_models.closed_forms import gates


def test_gates_constants() -> None:
    assert (gates.AND, gates.OR, gates.MUX, gates.XOR, gates.HALF_ADDER) == (1, 1, 3, 3, 3)
    assert (gates.FULL_ADDER, gates.FLIP_FLOP) == (7, 6)


def test_gates_full_adder_is_a_graph_of_seven() -> None:
    """Seven two-input gates with free inverters suffice for a full adder, the carries of both halves shared."""
    for a, b, c in product((False, True), repeat=3):
        both, neither = a and b, (not a) and (not b)
        half = (not both) and (not neither)
        carried, none = half and c, (not half) and (not c)
        total = (not carried) and (not none)
        carry = both or carried
        assert 2 * carry + total == a + b + c


@pytest.mark.parametrize(("bits", "expected"), [(1, 3), (4, 24), (15, 101)])
def test_gates_add(bits: int, expected: int) -> None:
    """(N - 1) full adders of 7 and a half adder of 3."""
    assert gates.add(bits) == expected


@pytest.mark.parametrize(("bits", "expected"), [(2, 4 + 7 + 3), (4, 16 + 63 + 9), (8, 64 + 343 + 21)])
def test_gates_multiply(bits: int, expected: int) -> None:
    assert gates.multiply(bits) == expected


def test_gates_increment() -> None:
    assert gates.increment(12) == 36


@pytest.mark.parametrize(("bits", "most", "expected"), [(8, 7, 8 * 3 * 3 - 7 * 2), (8, 8, 8 * 4 * 3 - 8 * 2)])
def test_gates_shift_left(bits: int, most: int, expected: int) -> None:
    assert gates.shift_left(bits, most) == expected


@pytest.mark.parametrize(("bits", "most", "expected"), [(9, 28, 7 * 5 * 3 + 28 * 4), (13, 4, 11 * 3 * 3 + 4 * 4)])
def test_gates_shift_left_widening(bits: int, most: int, expected: int) -> None:
    assert gates.shift_left_widening(bits, most) == expected


@pytest.mark.parametrize(("bits", "most", "expected"), [(14, 13, 13 * 4 * 3), (14, 16, 13 * 5 * 3)])
def test_gates_shift_right(bits: int, most: int, expected: int) -> None:
    assert gates.shift_right(bits, most) == expected


def test_gates_bits_wrong() -> None:
    with pytest.raises(TypeError, match=re.escape("bits must be an int, not 2.0")):
        gates.add(2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("bits must be at least 1, not 0")):
        gates.multiply(0)


def test_gates_most_wrong() -> None:
    with pytest.raises(ValueError, match=re.escape("most must be at least 1, not 0")):
        gates.shift_right(4, 0)
