# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.arithmetic.shift import (
    limited_amount,
    shift_left_above,
    shift_left_sticky,
    shift_right_jam,
    shift_right_truncate,
)


class _Shifter(wiring.Component):
    """One shifter with ports."""

    def __init__(self, shape: Any, amount_bits: int, out_shape: Any, make: Callable[[Module, Any, Any], Any]) -> None:
        self._make = make
        super().__init__({"value": In(shape), "amount": In(amount_bits), "out": Out(out_shape)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.out.eq(self._make(m, self.value, self.amount))
        return m


def _inputs(values: range, amount_bits: int) -> list[dict[str, int]]:
    return [{"value": value, "amount": amount} for value in values for amount in range(1 << amount_bits)]


@pytest.mark.parametrize("width", [1, 3, 4, 31, 32])
def test_shift_limited_amount_exhaustive(evaluate: Any, width: int) -> None:
    inputs = _inputs(range(1), 5)
    seen = evaluate(_Shifter(1, 5, 5, lambda m, _, amount: limited_amount(m, amount, width, "limited")), inputs, "out")
    for row, limited in zip(inputs, seen, strict=True):
        exact = row["amount"]
        # What it shifts out of a word of that width is the same: all of it, where the two differ.
        assert limited == exact or (exact >= limited >= width and limited + 1 == 1 << width.bit_length())
    assert len(seen) == 32


@pytest.mark.parametrize(("shape", "values"), [(5, range(32)), (signed(5), range(-16, 16))])
@pytest.mark.parametrize("low", [0, 2])
def test_shift_left_above_exhaustive(evaluate: Any, shape: Any, values: range, low: int) -> None:
    def make(m: Module, value: Any, amount: Any) -> Any:
        return shift_left_above(m, value, amount, low, 7, "shift")

    inputs = _inputs(values, 3)
    out = signed(12 - low) if values.start < 0 else 12 - low
    seen = evaluate(_Shifter(shape, 3, out, make), inputs, "out")
    assert seen == [(row["value"] << row["amount"]) >> low for row in inputs]
    assert len(seen) == 256


@pytest.mark.parametrize("kept", [1, 3, 6])
def test_shift_left_sticky_exhaustive(evaluate: Any, kept: int) -> None:
    def make(m: Module, value: Any, amount: Any) -> Any:
        top, sticky = shift_left_sticky(m, value, amount, kept, "shift")
        joined = Signal(kept + 1)
        m.d.comb += joined.eq((top << 1) | sticky)
        return joined

    inputs = _inputs(range(64), 3)
    seen = evaluate(_Shifter(6, 3, kept + 1, make), inputs, "out")
    expected = []
    for row in inputs:
        word = (row["value"] << row["amount"]) & 63
        low = word & ((1 << (6 - kept)) - 1)
        expected.append((word >> (6 - kept)) << 1 | int(low != 0))
    assert seen == expected
    assert len(seen) == 512


@pytest.mark.parametrize("width", [5, 7, 11])
def test_shift_right_jam_exhaustive(evaluate: Any, width: int) -> None:
    def make(m: Module, value: Any, amount: Any) -> Any:
        return shift_right_jam(m, value, amount, width, "shift")

    inputs = _inputs(range(-32, 32), 4)
    seen = evaluate(_Shifter(signed(6), 4, signed(width + 1), make), inputs, "out")
    expected = []
    for row in inputs:
        exact = row["value"] << (width - 5 + 16)
        kept = exact >> (row["amount"] + 16)
        expected.append(kept | int(kept << (row["amount"] + 16) != exact))
    assert seen == expected
    assert len(seen) == 1024


def test_shift_right_truncate_exhaustive(evaluate: Any) -> None:
    inputs = _inputs(range(32), 4)
    seen = evaluate(
        _Shifter(5, 4, 5, lambda m, value, amount: shift_right_truncate(m, value, amount, "shift")), inputs, "out"
    )
    assert seen == [row["value"] >> row["amount"] for row in inputs]
