# SPDX-License-Identifier: Apache-2.0
import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwsim.datapath import FixedAccumulator
from hwsim.datapath.mixed_precision import GroupRow, grouped_exact
from hwsim.formats import FloatSpec, IntegerSpec, Overflow, Specials
from rtl.units.mixed_precision import GroupCore, MixedPrecision, blocks
from rtl.units.step_core import Streams

FLOAT16 = FloatSpec(exp_bits=5, man_bits=10, bias=15, specials=Specials.IEEE)
W4A8 = MixedPrecision(lanes=4, group=16)
FIXED = FixedAccumulator(bits=40, fraction_bits=0, overflow=Overflow.WRAP)
SPECS = {
    "w4a8": W4A8,
    "w4a8_symmetric": replace(W4A8, zero_point=False),
    "w4a8_dyadic": replace(W4A8, scale=IntegerSpec(bits=12, signed=False), accumulator=FIXED),
    "w4a16": replace(W4A8, lanes=2, group=8, activation=FLOAT16),
}

BLOCKS = [
    pytest.param(block, id=block.name, marks=pytest.mark.slow if "heap" in block.name else ()) for block in blocks()
]


def _rows(spec: MixedPrecision, sums: int, *, specials: bool = False) -> list[GroupRow]:
    generator = random.Random(spec.name)
    rows = []
    for _ in range(sums):
        groups = [generator.randrange(1, spec.group // spec.lanes + 1) for _ in range(generator.randrange(1, 4))]
        ends = set(np.cumsum(groups) - 1)
        for place in range(sum(groups)):
            last = place == sum(groups) - 1
            x = [generator.getrandbits(spec.activation.bits) for _ in range(spec.lanes)]
            scale = generator.getrandbits(spec.scale.bits - 1)
            if isinstance(spec.activation, FloatSpec) and not (specials and generator.random() < 0.05):
                x = [code if code & 0x7C00 != 0x7C00 else code ^ 0x4000 for code in x]
            if isinstance(spec.scale, FloatSpec) and scale & 0x7C00 == 0x7C00:
                scale ^= 0x4000
            rows.append(
                GroupRow(
                    first=place == 0,
                    last=last,
                    close=place in ends and (not last or generator.random() < 0.5),
                    w=tuple(generator.getrandbits(spec.weight_bits) for _ in range(spec.lanes)),
                    x=tuple(x),
                    zero=generator.getrandbits(spec.weight_bits) if spec.zero_point else 0,
                    scale=scale,
                    c=generator.choice((0, 0x3F800000, 0xC7000001)),
                )
            )
    return rows


def _packed(spec: MixedPrecision, row: GroupRow) -> dict[str, int]:
    def joined(codes: tuple[int, ...], bits: int) -> int:
        return sum(code << (bits * lane) for lane, code in enumerate(codes))

    fields = {"first": int(row.first), "last": int(row.last), "close": int(row.close), "scale": row.scale, "c": row.c}
    fields |= {"w": joined(row.w, spec.weight_bits), "x": joined(row.x, spec.activation.bits)}
    return fields | ({"zero": row.zero} if spec.zero_point else {})


@pytest.mark.parametrize("name", SPECS)
def test_mixed_precision_rtl_equals_oracle(name: str, run_rows: Any) -> None:
    spec = SPECS[name]
    rows = _rows(spec, 40, specials=True)
    expected = grouped_exact(spec.weight, spec.activation, spec.dequantize, rows)
    seen = run_rows(Streams(GroupCore(spec)), [_packed(spec, row) for row in rows], len(expected))
    assert seen == expected
    assert len(set(seen)) > 25


@pytest.mark.parametrize("block", BLOCKS)
def test_group_sums_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 400) == 400


def test_mixed_precision_oracle_one_group_by_fractions() -> None:
    """Of one group that starts from zero the result is the definition's, rounded once."""
    rows = [row._replace(first=True, last=True, c=0) for row in _rows(SPECS["w4a16"], 60)]
    spec = SPECS["w4a16"]
    assert len(rows) > 100
    for row in rows:
        (code,) = grouped_exact(spec.weight, spec.activation, spec.dequantize, [row])
        x = [Fraction(float(value)) for value in FLOAT16.decode(np.array(row.x))]
        scale = Fraction(float(FLOAT16.decode(np.array(row.scale))))
        exact = scale * (sum(w * value for w, value in zip(row.w, x, strict=True)) - row.zero * sum(x))
        rounded = np.float32(float(exact))  # float64 holds these sums exactly, or rounds far below float32's places
        assert np.uint32(code).view(np.float32) == rounded


def test_mixed_precision_int4_is_uint4_with_zero_8() -> None:
    """A symmetric weight w is the unsigned one w + 8 with the zero point 8."""
    offset, symmetric = W4A8, SPECS["w4a8_symmetric"]
    rows = [row._replace(zero=8) for row in _rows(offset, 50)]
    other = [row._replace(w=tuple(code ^ 8 for code in row.w), zero=0) for row in rows]
    expected = grouped_exact(offset.weight, offset.activation, offset.dequantize, rows)
    assert grouped_exact(symmetric.weight, symmetric.activation, symmetric.dequantize, other) == expected


def test_mixed_precision_group_wrong() -> None:
    with pytest.raises(ValueError, match=r"^group must be a multiple of the 4 lanes, not 6$"):
        MixedPrecision(lanes=4, group=6)


def test_mixed_precision_scale_wrong() -> None:
    with pytest.raises(ValueError, match=r"^scale must have a NaN for float activations, and uint8 has none$"):
        MixedPrecision(lanes=4, activation=FLOAT16, scale=IntegerSpec(bits=8, signed=False))
