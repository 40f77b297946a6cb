# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.formats import FloatSpec
from rtl.units.simd_float import SimdFloat, blocks
from rtl.units.step_core import StepCore, Streams

E4M3, E2M1 = (formats.named(name) for name in ("float8_e4m3fn", "float4_e2m1fn"))

BLOCKS = [
    pytest.param(block, id=block.name, marks=pytest.mark.slow if "heap" in block.name else ()) for block in blocks()
]


@pytest.mark.parametrize("block", BLOCKS)
def test_simd_float_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 1500) == 1500


def _value(spec: Any, code: int) -> Fraction:
    assert isinstance(spec, FloatSpec)
    return Fraction(float(spec.decode(np.array([code]))[0]))


def test_simd_float_stream_by_fractions(run_rows: Any) -> None:
    """Of rows of one precision a register is the sum of the products' values, on the grid of that precision."""
    generator = random.Random(8)
    rows, expected = [], []
    for index in range(60):
        narrow, total = index % 2, Fraction(0)
        for place in range(2):
            a, b = (generator.getrandbits(16) & 0xF7F7 | 0x0100 for _ in "ab")
            rows.append({"first": 1 - place, "last": place, "narrow": narrow, "a": a, "b": b, "c": 0})
            spec, bits = (E2M1, 4) if narrow else (E4M3, 8)
            for lane in range(16 // bits):
                x, y = (word >> bits * lane & ((1 << bits) - 1) for word in (a, b))
                total += _value(spec, x) * _value(spec, y)
        expected.append(int(total * (1 << (6 if narrow else 18))) % (1 << 48))
    assert run_rows(Streams(StepCore(SimdFloat(2))), rows, 60) == expected


def test_simd_float_register_bits_wrong() -> None:
    with pytest.raises(ValueError, match=r"^register_bits must be in 38\.\.63, not 32$"):
        SimdFloat(4, 32)
