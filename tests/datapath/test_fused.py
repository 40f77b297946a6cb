# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction
from typing import Any

import numba
import numpy as np

from hwsim.datapath.fused import multiply_add


def _call(a: float, b: float, c: float) -> float:
    return multiply_add(a, b, c)


_compiled: Any = numba.njit(_call)


def _random_float(source: random.Random) -> float:
    if source.random() < 0.15:
        return source.choice([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308])
    return (source.random() - 0.5) * 2.0 ** source.choice([0, 1, 30, 53, -500, 600, -1040])


def _bits(value: float) -> int:
    return -1 if np.isnan(value) else int(np.float64(value).view(np.int64))


def test_fused_machine_equals_fractions() -> None:
    source = random.Random(1)
    for _ in range(5_000):
        a, b = _random_float(source), _random_float(source)
        c = -a * b if source.random() < 0.4 and np.isfinite(a * b) else _random_float(source)
        assert _bits(_compiled(a, b, c)) == _bits(multiply_add(a, b, c)), (a, b, c)


def test_fused_rounds_once() -> None:
    a, b = 1.0 + 2.0**-30, 1.0 - 2.0**-30  # the product is 1 - 2**-60, and rounded first it is 1
    assert multiply_add(a, b, -1.0) == float(Fraction(a) * Fraction(b) - 1) == -(2.0**-60)
    assert _compiled(a, b, -1.0) == -(2.0**-60)
    assert np.signbit(_compiled(-0.0, 1.0, -0.0))
    assert not np.signbit(_compiled(1.0, 1.0, -1.0))
