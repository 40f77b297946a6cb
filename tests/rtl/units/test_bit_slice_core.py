# SPDX-License-Identifier: Apache-2.0
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from hwsim import datapath
from hwsim.datapath import DotProductUnit, Row, dot_exact
from hwsim.datapath.digits import row_cycles
from rtl.blocks import Block
from rtl.units.bit_serial import BitSerialCore, PragmaticCore
from rtl.units.bit_slice_core import SparseDigitCore
from rtl.units.bit_slice_digits import DigitEncoder, blocks
from rtl.units.bit_slice_weights import SameWeightCore
from rtl.units.step_core import Streams

RunRows = Callable[[Any, Sequence[Mapping[str, int]], int], list[int]]
RunBlock = Callable[[Block, int], int]


def _rows(unit: DotProductUnit, count: int) -> list[Row]:
    source = random.Random(unit.name)

    def code(bits: int) -> int:
        corners = [0, 1, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1]
        return source.choice(corners) if source.random() < 0.3 else source.getrandbits(bits)

    return [
        Row(
            first=number == 0 or source.random() < 0.3,
            last=number == count - 1 or source.random() < 0.4,
            a=tuple(code(unit.element_a.bits) for _ in range(unit.lanes)),
            b=tuple(code(unit.element_b.bits) for _ in range(unit.lanes)),
            scales=(),
            c=code(unit.accumulator.bits),
        )
        for number in range(count)
    ]


def _packed(unit: DotProductUnit, row: Row) -> dict[str, int]:
    words = {
        name: sum(code << (lane * bits) for lane, code in enumerate(codes))
        for name, codes, bits in (("a", row.a, unit.element_a.bits), ("b", row.b, unit.element_b.bits))
    }
    return {"first": int(row.first), "last": int(row.last), **words, "c": row.c}


@pytest.mark.parametrize(
    ("core", "name", "options"),
    [
        (SparseDigitCore, "int8", ("en_t", 1, 1)),
        (SparseDigitCore, "int8_l4", ("en_t", 4, 2)),
        (SparseDigitCore, "uint8_by_int8_l3", ("booth", 1, 5)),
        (SparseDigitCore, "int8_by_uint8_l4", ("en_t", 2, 1)),
        (SparseDigitCore, "int4_l2_int8", ("booth", 2, 1)),
        (SparseDigitCore, "uint4_l6_int13", ("en_t", 3, 13)),
        (SameWeightCore, "int6_by_int8_l3_int20", ("booth",)),
        (SameWeightCore, "uint4_by_int8_int24", ("en_t", "sklansky")),
        (SameWeightCore, "int8_by_uint4_l2_int5", ("en_t",)),
        (BitSerialCore, "int8_l8", ()),
        (BitSerialCore, "uint4_by_int8_l3", ()),
        (BitSerialCore, "int6_by_uint8", ()),
        (PragmaticCore, "int8_l8", ()),
        (PragmaticCore, "uint8_by_int4_l3", (1,)),
        (PragmaticCore, "int6_by_uint8", (6,)),
    ],
)
def test_serial_cores_are_the_oracle(core: Any, name: str, options: tuple[Any, ...], run_rows: RunRows) -> None:
    unit = datapath.named(name)
    rows = _rows(unit, 36)
    expected = dot_exact(unit, rows)
    assert run_rows(Streams(core(unit, *options)), [_packed(unit, row) for row in rows], len(expected)) == expected
    assert len(expected) > 8


def _cycles(core: Any, rows: list[Row]) -> tuple[list[int], list[int]]:
    """Return the outputs of a core that is never kept waiting, and the cycles from each row to the next."""
    outputs: list[int] = []
    accepted: list[int] = []

    async def bench(context: Any) -> None:
        context.set(core.en, 1)
        sent = cycle = 0
        while len(outputs) < sum(row.last for row in rows):
            assert cycle < 100 * len(rows)
            ready = sent < len(rows) and context.get(core.ready)
            context.set(core.valid, int(ready))
            if ready:
                for field, value in _packed(core.spec, rows[sent]).items():
                    context.set(getattr(core, field), value)
                accepted.append(cycle)
                sent += 1
            if context.get(core.d_valid):
                outputs.append(context.get(core.d))
            await context.tick()
            cycle += 1

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return outputs, accepted


@pytest.mark.parametrize(("encoding", "elements"), [("en_t", 1), ("booth", 1), ("en_t", 4)])
def test_sparse_digits_take_the_cycles_of_the_model(encoding: Any, elements: int) -> None:
    unit = datapath.named("int8_l4")
    source = np.random.default_rng(elements)
    a = np.rint(source.normal(0, 30, (40, 4))).clip(-128, 127).astype(np.int64)
    a[3] = 0
    b = source.integers(-128, 128, (40, 4))
    rows = [Row(n == 0, n == 39, tuple((a[n] & 255).tolist()), tuple((b[n] & 255).tolist()), (), 5) for n in range(40)]
    outputs, accepted = _cycles(SparseDigitCore(unit, encoding, elements), rows)
    assert outputs == [(5 + int((a * b).sum())) % (1 << 32)]
    assert np.diff(accepted).tolist() == row_cycles(a, 8, encoding, elements=elements)[:-1].tolist()


def test_bit_serial_takes_a_cycle_a_bit() -> None:
    unit = datapath.named("int6_by_int8_l2")
    rows = [Row(n == 0, n == 9, (n, 63 - n), (3, 200), (), 0) for n in range(10)]
    outputs, accepted = _cycles(BitSerialCore(unit), rows)
    assert outputs == dot_exact(unit, rows)
    assert set(np.diff(accepted).tolist()) == {6}


def test_pragmatic_takes_a_cycle_a_window() -> None:
    unit = datapath.named("uint8_by_int8_l2")
    # Places of the ones 0, 3 | 4, 7 | 0 and 7 | none | all of one lane.
    codes = [(0b00001001, 0), (0b10010000, 0), (1, 0b10000000), (0, 0), (255, 1), (0, 0)]
    rows = [Row(n == 0, n == 5, code, (9, 11), (), 0) for n, code in enumerate(codes)]
    outputs, accepted = _cycles(PragmaticCore(unit), rows)
    assert outputs == dot_exact(unit, rows)
    assert np.diff(accepted).tolist() == [2, 2, 2, 1, 8]


@pytest.mark.parametrize("block", blocks(), ids=lambda block: str(block.name))
def test_digit_encoder_is_the_oracle(block: Block, run_block: RunBlock) -> None:
    assert run_block(block, 600) == 1800


def test_digit_encoder_oracle_adds_up() -> None:
    for block in blocks():
        codes = np.arange(256, dtype=np.uint64)
        out = block.oracle(value=codes)
        for code in range(256):
            digits = [
                ((int(out["nonzero"][code]) >> i) & 1)
                * (1 + ((int(out["two"][code]) >> i) & 1))
                * (1 - 2 * ((int(out["negative"][code]) >> i) & 1))
                for i in range(5)
            ]
            number = code - (256 if code > 127 and "_int8" in block.name else 0)
            assert sum(digit * 4**i for i, digit in enumerate(digits)) == number


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: BitSerialCore(datapath.named("float8_e4m3fn")),
            ValueError,
            "a of a unit of digits must be an integer of 2 to 32 bits, not float8_e4m3fn",
        ),
        (
            lambda: SameWeightCore(datapath.named("int8_int16_sat")),
            ValueError,
            "unit int8_l1_int16_sat must add in an integer register that wraps, and give that register",
        ),
        (lambda: SameWeightCore("int8"), TypeError, "unit must be a DotProductUnit, not 'int8'"),  # type: ignore[arg-type]
        (
            lambda: SparseDigitCore(datapath.named("int8"), "gray"),  # type: ignore[arg-type]
            ValueError,
            "encoding must be one of booth, en_t, not 'gray'",
        ),
        (
            lambda: SparseDigitCore(datapath.named("int8_l4"), "en_t", 3),
            ValueError,
            "elements must be a divisor of 4 lanes, not 3",
        ),
        (
            lambda: SparseDigitCore(datapath.named("int8"), "en_t", 1, 33),
            ValueError,
            "carry_bits must be in 1..32, not 33",
        ),
        (lambda: PragmaticCore(datapath.named("int8"), 9), ValueError, "window must be in 1..8, not 9"),
        (lambda: DigitEncoder(1), ValueError, "bits must be in 2..32, not 1"),
    ],
)
def test_cores_arguments_wrong(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        make()
