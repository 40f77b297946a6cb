# SPDX-License-Identifier: Apache-2.0
"""What holds for every scalar format, over random specs, by exact rational arithmetic on all of a format's values.

A family takes part with a line in `FAMILIES`.
"""

import math
from bisect import bisect_right
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.formats import CodebookSpec, FloatSpec, IntegerSpec, PositSpec, Specials, Ties
from hwsim.formats.rounding import DETERMINISTIC

MODES = tuple(mode.value for mode in DETERMINISTIC)


@st.composite
def floats(draw: st.DrawFn) -> FloatSpec:
    """Draw a float of 3 to 10 bits."""
    specials = draw(st.sampled_from(Specials))
    signed = specials is Specials.FNUZ or draw(st.booleans())
    subnormals = specials in (Specials.FNUZ, Specials.EXTENDED) or draw(st.booleans())
    bits = draw(st.integers(3 + signed, 10))
    man_bits = draw(st.integers(int(specials is Specials.IEEE), bits - signed - 1))
    exp_bits = bits - signed - man_bits
    bias = draw(st.integers(max(-40, (1 << exp_bits) - 1024), 60))
    return FloatSpec(
        exp_bits=exp_bits,
        man_bits=man_bits,
        bias=bias,
        specials=specials,
        signed=signed,
        subnormals=subnormals,
    )


@st.composite
def integers(draw: st.DrawFn) -> IntegerSpec:
    """Draw an integer or a fixed-point number of 1 to 10 bits, with a zero point or without."""
    bits, signed = draw(st.integers(1, 10)), draw(st.booleans())
    low = -(1 << (bits - 1)) if signed else 0
    narrow = bits > 1 and draw(st.booleans())
    low, high = low + (narrow and signed), low + (1 << bits) - 1 - (narrow and not signed)
    return IntegerSpec(
        bits=bits,
        signed=signed,
        narrow=narrow,
        fraction_bits=draw(st.integers(-20, 40)),
        zero_point=draw(st.one_of(st.just(0), st.integers(low, high))),
    )


@st.composite
def posits(draw: st.DrawFn) -> PositSpec:
    """Draw a posit of 3 to 10 bits."""
    return PositSpec(bits=draw(st.integers(3, 10)), es=draw(st.integers(0, 3)))


@st.composite
def codebooks(draw: st.DrawFn) -> CodebookSpec:
    """Draw a codebook of 1 to 6 bits: zero, and levels in any order, now and then one twice."""
    count = (1 << draw(st.integers(1, 6))) - 1
    level = st.integers(-(1 << 12), 1 << 12).map(lambda number: number / 64)
    levels = draw(st.lists(level, min_size=count, max_size=count).filter(any))
    return CodebookSpec(name="drawn", levels=(0.0, *levels), ties=draw(st.sampled_from(Ties)))


class Family(NamedTuple):
    """How to draw a format of a family, whether its nearest modes take the nearest value, and whether it has a name.

    A posit's nearest modes go by its string of bits, which is not the value where exponent bits are cut off.
    """

    specs: Any
    nearest: bool = True
    named: bool = True


FAMILIES = {
    "float": Family(floats()),
    "integer": Family(integers()),
    "posit": Family(posits(), nearest=False),
    "codebook": Family(codebooks(), named=False),
}
FAMILY = pytest.mark.parametrize("family", FAMILIES)


def table(spec: Any) -> list[Fraction]:
    """Return the values that `encode` can make, ascending."""
    values = np.unique(spec.decode(np.arange(1 << spec.bits)))
    finite = values[np.isfinite(values)]
    inside = finite[(finite >= spec.min_value) & (finite <= spec.max_value)]
    return [Fraction(value) for value in inside.tolist()]


def numbers(data: st.DataObject, spec: Any, exact: list[Fraction]) -> list[float]:
    """Draw values in and around a format: its own, midpoints, neighbours of either, any."""
    reach = 2 * max(abs(spec.max_value), abs(spec.min_value))
    chosen = data.draw(st.lists(st.integers(0, len(exact) - 1), min_size=1, max_size=6))
    values = data.draw(st.lists(st.floats(-reach, reach), max_size=6))
    values += data.draw(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2))
    for index in chosen:
        value, after = exact[index], exact[min(index + 1, len(exact) - 1)]
        middle = float((value + after) / 2)
        values += [float(value), middle, math.nextafter(middle, math.inf), math.nextafter(middle, -math.inf)]
    return values


def one(spec: Any, value: float, rounding: str, **words: int) -> Fraction:
    """Encode and decode one value."""
    return Fraction(float(spec.decode(spec.encode(np.array([value]), rounding, **words))[0]))


@FAMILY
@given(data=st.data())
def test_properties_fixed_point(family: str, data: st.DataObject) -> None:
    spec = data.draw(FAMILIES[family].specs)
    assert not FAMILIES[family].named or formats.named(spec.name) == spec
    values = spec.decode(np.arange(1 << spec.bits))
    values = values[np.isfinite(values) & (values >= spec.min_value) & (values <= spec.max_value)]
    for rounding in MODES:
        assert np.array_equal(spec.decode(spec.encode(values, rounding)), values), rounding
    words = np.arange(values.size) % 8
    assert np.array_equal(spec.decode(spec.encode(values, "stochastic", random=words, random_bits=3)), values)
    given_values = np.array(numbers(data, spec, table(spec)))
    codes = spec.encode(given_values)
    assert np.array_equal(spec.encode(spec.decode(codes)), codes)


@FAMILY
@given(data=st.data())
def test_properties_monotone(family: str, data: st.DataObject) -> None:
    spec = data.draw(FAMILIES[family].specs)
    # -0 before +0: a signed format without zero gives them its two smallest values.
    drawn = sorted(numbers(data, spec, table(spec)), key=lambda value: (value, math.copysign(1.0, value)))
    values = np.array(drawn)
    for rounding in MODES:
        assert (np.diff(spec.decode(spec.encode(values, rounding))) >= 0).all(), rounding
    word = data.draw(st.integers(0, 255))
    decoded = spec.decode(spec.encode(values, "stochastic", random=word, random_bits=8))
    assert (np.diff(decoded) >= 0).all()


@FAMILY
@given(data=st.data())
def test_properties_rounding(family: str, data: st.DataObject) -> None:
    spec = data.draw(FAMILIES[family].specs)
    exact = table(spec)
    for value in numbers(data, spec, exact):
        number = Fraction(value)
        if FAMILIES[family].nearest:
            distance = min(abs(number - other) for other in exact)
            for rounding in ("nearest_even", "nearest_away"):
                assert abs(number - one(spec, value, rounding)) == distance, (value, rounding)
        if not exact[0] <= number <= exact[-1]:
            continue
        up, down, zero = (one(spec, value, rounding) for rounding in ("up", "down", "toward_zero"))
        above = min(other for other in exact if other >= number)
        below = max(other for other in exact if other <= number)
        inner = min(above, below, key=abs)
        if abs(number) >= min(map(abs, exact)):  # a format without zero keeps the sign of what is smaller
            assert (up, down, zero) == (above, below, inner), value


@FAMILY
@given(data=st.data())
def test_properties_stochastic(family: str, data: st.DataObject) -> None:
    spec = data.draw(FAMILIES[family].specs)
    exact = table(spec)
    for value in numbers(data, spec, exact):
        number = Fraction(value)
        random_bits = data.draw(st.integers(1, 32))
        word = data.draw(st.integers(0, (1 << random_bits) - 1))
        ours = one(spec, value, "stochastic", random=word, random_bits=random_bits)
        if number <= exact[0] or number >= exact[-1]:
            assert ours == (exact[0] if number <= exact[0] else exact[-1])
            continue
        sign = -1 if number < 0 else 1
        sizes = sorted(sign * other for other in exact if sign * other >= 0)
        index = bisect_right(sizes, abs(number)) - 1
        if index < 0:  # between zero and the smallest value of a format without zero
            assert ours == sign * sizes[0] or number == 0
            continue
        low, high = sizes[index], sizes[index + 1]
        part = math.floor((abs(number) - low) / (high - low) * 2**random_bits)
        up = part + word >= 2**random_bits
        assert ours == sign * (high if up else low), (value, word, random_bits)


@FAMILY
@given(data=st.data())
def test_properties_stochastic_mean(family: str, data: st.DataObject) -> None:
    spec = data.draw(FAMILIES[family].specs)
    exact = table(spec)
    random_bits = data.draw(st.integers(1, 6))
    index = data.draw(st.integers(0, len(exact) - 2))
    low, high = exact[index], exact[index + 1]
    if low < 0 < high:  # a signed format without zero jumps over it
        return
    part = Fraction(data.draw(st.integers(0, (1 << random_bits) - 1)), 1 << random_bits)
    number = low + (high - low) * part
    if Fraction(float(number)) != number:
        return
    words = np.arange(1 << random_bits)
    values = np.full(words.size, float(number))
    decoded = spec.decode(spec.encode(values, "stochastic", random=words, random_bits=random_bits))
    mean = sum((Fraction(value) for value in decoded.tolist()), Fraction(0)) / words.size
    assert mean == number
