# SPDX-License-Identifier: Apache-2.0
"""Prefix networks join neighbouring spans only, and adders of every topology add."""

import random
from typing import Any, get_args

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from rtl.architecture import Adder
from rtl.arithmetic.adder import add, prefix_spans

TOPOLOGIES: tuple[Adder, ...] = get_args(Adder)
PREFIX: tuple[Adder, ...] = ("sklansky", "kogge_stone", "brent_kung", "han_carlson")


@pytest.mark.parametrize("topology", PREFIX)
def test_prefix_spans(topology: Adder) -> None:
    """Every group ends as the span from its bit to bit 0, each join being of two spans side by side."""
    for width in range(1, 70):
        lows = list(range(width))
        for level in prefix_spans(width, topology):
            following = list(lows)
            for high, low in level:
                assert lows[high] == low + 1
                following[high] = lows[low]
            lows = following
        assert lows == [0] * width


def test_prefix_spans_levels() -> None:
    """The known depths at 32 bits: log2 for Sklansky and Kogge-Stone, one more for Han-Carlson, 2 log2 - 1 less."""
    depths = {topology: len([row for row in prefix_spans(32, topology) if row]) for topology in PREFIX}
    assert depths == {"sklansky": 5, "kogge_stone": 5, "brent_kung": 9, "han_carlson": 6}


def test_prefix_spans_unknown() -> None:
    with pytest.raises(ValueError, match=r"^topology must be sklansky, .*, not 'tool'$"):
        list(prefix_spans(8, "tool"))


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("bits", [1, 2, 5, 13, 32])
def test_add(topology: Adder, bits: int) -> None:
    m = Module()
    a, b, carry = Signal(bits), Signal(bits), Signal()
    with_carry = add(m, a, b, carry, topology=topology, name="with_carry")
    without = add(m, a, b, topology=topology, name="without")
    drawn = random.Random(bits)
    mask = (1 << bits) - 1
    rows = [(x, y, c) for x in (0, 1, mask) for y in (0, mask) for c in (0, 1)]
    rows += [(drawn.getrandbits(bits), drawn.getrandbits(bits), drawn.getrandbits(1)) for _ in range(200)]

    async def bench(ctx: Any) -> None:
        for x, y, c in rows:
            ctx.set(a, x)
            ctx.set(b, y)
            ctx.set(carry, c)
            assert ctx.get(with_carry) & mask == (x + y + c) & mask
            assert ctx.get(without) & mask == (x + y) & mask

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
