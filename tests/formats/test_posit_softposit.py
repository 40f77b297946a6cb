# SPDX-License-Identifier: Apache-2.0
"""PositSpec against SoftPosit, where that is installed."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.formats.posit import PositSpec


@pytest.fixture(scope="session")
def softposit() -> Any:
    """Return SoftPosit, or skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the wrapper's own, of its generator
        return pytest.importorskip("softposit", reason="needs softposit (pip install 'hwsim[references]')")


def to_double(softposit: Any, bits: int, es: int) -> Callable[[int], float]:
    """Return SoftPosit's value of a code; es 2 is its posit of any width, kept in the high bits of 32."""
    kind, convert = {
        (8, 0): (softposit.posit8_t, softposit.convertP8ToDouble),
        (16, 1): (softposit.posit16_t, softposit.convertP16ToDouble),
        (32, 2): (softposit.posit32_t, softposit.convertP32ToDouble),
    }.get((bits, es), (softposit.posit_2_t, softposit.convertPX2ToDouble))
    shift = 32 - bits if kind is softposit.posit_2_t else 0

    def value(code: int) -> float:
        posit = kind()
        posit.v = code << shift
        return float(convert(posit))

    return value


def from_double(softposit: Any, bits: int, es: int) -> Callable[[float], int]:
    """Return SoftPosit's code of a value."""
    fixed = {
        (8, 0): softposit.convertDoubleToP8,
        (16, 1): softposit.convertDoubleToP16,
        (32, 2): softposit.convertDoubleToP32,
    }.get((bits, es))
    if fixed is not None:
        return lambda value: int(fixed(value).v)
    return lambda value: int(softposit.convertDoubleToPX2(value, bits).v) >> (32 - bits)


def _points(spec: PositSpec) -> NDArray[np.float64]:
    """Return every value and boundary, which is a posit of one more bit, the float64 beside each, and the ends."""
    finer = replace(spec, bits=spec.bits + 1).decode(np.arange(1 << spec.bits))
    points = np.concatenate([finer, [5e-324, 2.0**-1022, 1.7e308, math.inf]])
    near = np.unique(np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, math.inf)]))
    return np.concatenate([near, -near])


def test_posit_softposit_decode(softposit: Any) -> None:
    compared = 0
    for bits, es in ((8, 0), (16, 1), (2, 2), (3, 2), (4, 2), (5, 2), (8, 2), (10, 2), (13, 2), (16, 2)):
        spec = PositSpec(bits=bits, es=es)
        theirs = to_double(softposit, bits, es)
        ours = spec.decode(np.arange(1 << bits))
        for code, value in enumerate(ours):
            # It gives NaR as an infinity.
            expected = theirs(code)
            assert (math.isinf(expected) and math.isnan(value)) or expected == value, (spec.name, code)
        compared += ours.size
    assert compared == 2 * 2**8 + 2 * 2**16 + 2**2 + 2**3 + 2**4 + 2**5 + 2**10 + 2**13


def test_posit_softposit_encode(softposit: Any, thin: Callable[..., Any], counted: Callable[..., Any]) -> None:
    compared = expected = 0
    for bits, es in ((8, 0), (16, 1), (2, 2), (3, 2), (4, 2), (5, 2), (8, 2), (10, 2), (16, 2)):
        spec = PositSpec(bits=bits, es=es)
        points = _points(spec)
        expected += points.size
        points = thin(points, 200)
        theirs = from_double(softposit, bits, es)
        ours = spec.encode(points, overflow="propagate")
        assert ours.tolist() == [theirs(float(value)) for value in points], spec.name
        compared += points.size
    assert expected == 796_152
    counted(compared, expected)


def test_posit_softposit_wide(softposit: Any, thin: Callable[..., Any]) -> None:
    spec = PositSpec(bits=32, es=2)
    rng = np.random.default_rng(15)
    codes = rng.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    value = to_double(softposit, 32, 2)
    assert spec.decode(codes).tolist() == [value(int(code)) for code in codes]
    spread = rng.normal(size=100_000) * np.exp2(rng.integers(-125, 126, 100_000))
    decoded = spec.decode(codes)
    middles = (decoded + spec.decode(np.where(codes == 2**31 - 1, codes, codes + 1).astype(np.uint32))) / 2
    values = thin(np.concatenate([spread, middles[np.isfinite(middles)]]), 500)
    code = from_double(softposit, 32, 2)
    assert spec.encode(values, overflow="propagate").tolist() == [code(float(each)) for each in values]
