# SPDX-License-Identifier: Apache-2.0
from math import isqrt
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hwsim.datapath.layers import newton_root
from rtl.neighbours.divider import Divider, NewtonRoot


class _Root(wiring.Component):
    """A root with its divider."""

    def __init__(self, value_bits: int, root_bits: int, start_bits: int, iterations: int) -> None:
        self.divider = Divider(value_bits, root_bits)
        self._root = NewtonRoot(value_bits, root_bits, start_bits, iterations)
        super().__init__({"i": In(stream.Signature(value_bits)), "o": Out(stream.Signature(root_bits))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.divider, m.submodules.root = self.divider, self._root
        wiring.connect(m, self._root.request, self.divider.i)
        wiring.connect(m, self.divider.o, self._root.answer)
        wiring.connect(m, wiring.flipped(self.i), self._root.i)
        wiring.connect(m, self._root.o, wiring.flipped(self.o))
        return m


def _run(component: Any, sent: list[Any]) -> list[tuple[Any, int]]:
    """Return what a component makes of each thing sent, one behind the other, and in how many cycles."""
    seen: list[tuple[Any, int]] = []

    async def bench(context: Any) -> None:
        for each in sent:
            context.set(component.i.p, each)
            context.set(component.i.valid, 1)
            await context.tick().until(component.i.ready)
            context.set(component.i.valid, 0)
            cycles = 1
            while not context.get(component.o.valid):
                await context.tick()
                cycles += 1
                assert cycles < 5000
            await context.tick()  # a result waits
            assert context.get(component.o.valid)
            seen.append((context.get(component.o.p), cycles))
            context.set(component.o.ready, 1)
            await context.tick()
            context.set(component.o.ready, 0)

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def test_divider_every_operand() -> None:
    divider = Divider(5, 3)
    sent = [{"dividend": a, "divisor": b} for a in range(32) for b in range(8)]
    seen = _run(divider, sent)
    assert [(each.quotient, each.remainder) for each, _ in seen] == [
        divmod(each["dividend"], each["divisor"]) if each["divisor"] else (31, each["dividend"] % 8) for each in sent
    ]
    assert len(seen) == 32 * 8
    assert {cycles for _, cycles in seen} == {divider.latency}


def test_divider_of_wide_operands() -> None:
    generator = np.random.default_rng(1)
    wide = generator.integers(0, 1 << 46, 60).tolist()
    narrow = [
        max(int(each) >> int(shift), 1) for each, shift in zip(wide[::-1], generator.integers(16, 46, 60), strict=True)
    ]
    seen = _run(Divider(46, 30), [{"dividend": a, "divisor": b} for a, b in zip(wide, narrow, strict=True)])
    assert [(each.quotient, each.remainder) for each, _ in seen] == [
        divmod(a, b) for a, b in zip(wide, narrow, strict=True)
    ]


@pytest.mark.parametrize(("value_bits", "start_bits", "iterations"), [(10, 6, 6), (30, 16, 10), (44, 16, 14)])
def test_newton_root_is_model(value_bits: int, start_bits: int, iterations: int) -> None:
    root_bits = max(start_bits + 1, value_bits - start_bits + 1)
    values = [0, 1, (1 << value_bits) - 1]
    values += [
        int(each) >> index for index, each in enumerate(np.random.default_rng(2).integers(0, 1 << value_bits, 9))
    ]
    component = _Root(value_bits, root_bits, start_bits, iterations)
    seen = _run(component, values)
    model = newton_root(np.array(values, np.int64), start_bits, iterations)
    assert [root for root, _ in seen] == model.tolist()
    assert {cycles for _, cycles in seen} == {iterations * (component.divider.latency + 1) + 1}
    # A value so large that three of the iterations are left when the halvings from above have reached its root.
    large = 1 << 2 * (start_bits - iterations + 3)
    close = [abs(root - isqrt(value)) <= 1 for (root, _), value in zip(seen, values, strict=True) if value >= large]
    assert len(close) >= 3
    assert all(close)
