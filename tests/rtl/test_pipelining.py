# SPDX-License-Identifier: Apache-2.0
"""A pipelined part is the part some cycles later, with registers where the paths balance."""

import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from rtl.arithmetic.multiplier import Multiply
from rtl.part import Boxes, Part
from rtl.pipelined_netlist import netlist_of
from rtl.pipelining import Pipelined, operator_delay, placed
from rtl.verilog import component_verilog
from testbenches.compiled import Compiled


class Chain(Part):
    """A chain of inverting pairs of gates: (a & b), ^ b, & b, ... with an input that is used last."""

    def __init__(self, length: int) -> None:
        self._length = length
        super().__init__({"a": In(1), "b": In(length), "late": In(1), "out": Out(1)})

    def _module_name(self) -> str:
        return "chain"

    def _build(self) -> Module:
        m = Module()
        value = self.a
        for index in range(self._length):
            value = value & self.b[index]
        m.d.comb += self.out.eq(value & self.late)
        return m


def test_placed_chain() -> None:
    """Eight gates in a row, each taking one: four ranks leave two gates between them, and the late input waits."""
    _, texts = Boxes("t").apart(Chain(7))
    netlist = netlist_of(texts)
    assert len(netlist.operators) == 8
    for ranks, period in ((1, 8.0), (2, 4.0), (4, 2.0), (8, 1.0), (9, 1.0)):
        found = placed(netlist, ranks)
        assert (found.period, found.whole) == (period, 8.0)
        assert list(found.stages) == sorted(found.stages)
        assert found.stages[-1] < ranks
    # One bit of the chain in each rank and what later gates still wait for: 1 + 4 of 8 inputs, then the output.
    assert netlist.registers(placed(netlist, 2).stages, 2) == 1 + 4 + 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_pipelined_verilog(ranks: int) -> None:
    """In Verilog, every product appears `ranks` enabled cycles later, and none while the enable is low."""
    part = Multiply(signed(8), signed(8), "booth", "sklansky")
    module = Compiled(component_verilog(Pipelined(part, ranks), "pipelined", "p"), "pipelined")
    generator = np.random.default_rng(ranks)
    count = 4000
    a, b = (generator.integers(0, 256, count, dtype=np.uint64) for _ in range(2))
    en = generator.integers(0, 4, count, dtype=np.uint64) > 0
    zeros = np.zeros(count, np.uint64)
    seen = module.run({"a": a, "b": b, "en": en.astype(np.uint64), "rst": zeros})["product"]
    x, y = (codes.astype(np.int64) - ((codes.astype(np.int64) >> 7) << 8) for codes in (a, b))
    products = ((x * y) & 0xFFFF)[en]
    # Before a clock edge, the outputs are those of the row that came `ranks` enabled rows ago.
    taken = np.asarray(np.cumsum(en) - en, np.int64)
    known = np.asarray(taken >= ranks)
    assert np.count_nonzero(known) > 2500
    assert np.array_equal(seen.reshape(-1)[known], products[taken[known] - ranks].astype(np.uint64))


def test_pipelined_balances() -> None:
    """More ranks, shorter paths, down to the slowest operator."""
    _, texts = Boxes("t").apart(Multiply(signed(8), signed(8), "booth", "sklansky"))
    netlist = netlist_of(texts)
    periods = [placed(netlist, ranks).period for ranks in range(1, 7)]
    assert periods == sorted(periods, reverse=True)
    assert periods[3] <= 0.3 * periods[0]


def test_pipelined_wrong() -> None:
    part = Chain(2)
    _, texts = Boxes("t").apart(part)
    with pytest.raises(ValueError, match=r"^ranks must be an int of at least 1, not 0$"):
        Pipelined(part, 0)
    with pytest.raises(ValueError, match=r"^ranks must be at least 1, not 0$"):
        placed(netlist_of(texts), 0)


def test_operator_delay() -> None:
    """A full adder takes two gates of two levels; a wide adder more than a narrow one; wires nothing."""
    assert operator_delay("u_full_adder", {"a": 1}) == 2 * operator_delay("$xor", {"A": 1})
    assert operator_delay("$add", {"A": 32, "B": 32, "Y": 32}) > operator_delay("$add", {"A": 8, "B": 8, "Y": 8})
    assert operator_delay("$pos", {"A": 8, "Y": 8}) == 0
