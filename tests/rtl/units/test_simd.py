# SPDX-License-Identifier: Apache-2.0
import random
from typing import Any

import pytest

from rtl.units.simd import SimdInteger, blocks
from rtl.units.step_core import StepCore, Streams

BLOCKS = [
    pytest.param(
        block,
        id=block.name,
        marks=pytest.mark.slow if "heap" in block.name and block.name != "simd_integer_l4_booth_heap" else (),
    )
    for block in blocks()
]


@pytest.mark.parametrize("block", BLOCKS)
def test_simd_integer_equals_oracle(block: Any, run_block: Any) -> None:
    assert run_block(block, 1500) == 1500


def test_simd_integer_oracle_by_hand() -> None:
    import numpy as np

    block = blocks()[0]
    ports = {"narrow": [0, 1], "a": [0x80, 0x80], "b": [0x80, 0x7F], "base": [1, 1]}
    columns = {name: np.array(codes, dtype=object) for name, codes in ports.items()}
    # -128 * -128 + 1; and, as nibbles, 0 * -1 + -8 * 7 + 1
    assert list(block.oracle(**columns)["following"]) == [16385, (1 << 32) - 55]


def test_simd_integer_stream(run_rows: Any) -> None:
    generator = random.Random(5)
    rows, expected, total = [], [], 0
    for _ in range(40):
        length = generator.randrange(1, 5)
        for place in range(length):
            row = {"first": int(place == 0), "last": int(place == length - 1), "narrow": generator.getrandbits(1)}
            row |= {name: generator.getrandbits(16) for name in "ab"} | {"c": generator.getrandbits(20)}
            total = row["c"] if place == 0 else total
            bits = 4 if row["narrow"] else 8
            for lane in range(16 // bits):
                x, y = (int.from_bytes(row[name].to_bytes(2, "little"), "little") >> bits * lane for name in "ab")
                x, y = (value % (1 << bits) for value in (x, y))
                total += (x - (x >> (bits - 1) << bits)) * (y - (y >> (bits - 1) << bits))
            rows.append(row)
        expected.append(total % (1 << 32))
    assert run_rows(Streams(StepCore(SimdInteger(2))), rows, len(expected)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 32), r"^lanes must be in 1\.\.256, not 0$"), ((4, 8), r"^register_bits must be in 16\.\.64, not 8$")],
)
def test_simd_integer_arguments_wrong(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimdInteger(*arguments)
